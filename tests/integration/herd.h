#ifndef HERD_H
#define HERD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Many worker processes that do the same thing at the same moment, and their
 * parent: memory they share, a barrier between them, a line to the daemon. Trouble
 * ends the program with a sentence; no wait is without an end. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HERD_WAIT_MS 20000
#define HERD_ANSWER_SIZE 16384

struct herd;

/* CLOCK_BOOTTIME, as the daemon's. */
int64_t herd_now_ns(void);
/* Sleeps until `at_ns`; returns at once when that is over. */
void herd_sleep_until(int64_t at_ns);
__attribute__((noreturn, format(printf, 1, 2))) void
herd_fail(const char *format, ...);

/* Zeroed memory that children of herd_start share with their parent. */
void *herd_share(size_t bytes);

typedef void herd_work(unsigned index, void *context);
/* Starts `count` children that run `work` and exit 0. They die with the parent. */
struct herd *herd_start(unsigned count, herd_work *work, void *context);
/* All children and the parent meet here. */
void herd_meet(struct herd *h);
/* The meeting place for children, which get no `h` from herd_start. */
void herd_meet_parent(void);
/* Waits for all children; fails unless each ended well. */
void herd_finish(struct herd **h);

/* A DEALER at DIR/name. */
struct line;
struct line *line_open(const char *dir, const char *name);
void line_close(struct line **l);
/* Asks one line; the answer is valid until the next call. NULL when there was
 * none within `wait_ms` (a later one is thrown away). */
const char *line_ask_for(struct line *l, const char *request, int wait_ms);
/* The same with HERD_WAIT_MS; silence ends the program. */
__attribute__((format(printf, 2, 3))) const char *
line_ask(struct line *l, const char *format, ...);
/* Asks and fails unless the answer starts with `start`. */
__attribute__((format(printf, 3, 4))) const char *
line_expect(struct line *l, const char *start, const char *format, ...);

/* Does `answer` begin with these words? */
bool line_says(const char *answer, const char *words);

/* The numbers of "ALLOW service permit generation state"; false for any other
 * answer. */
bool line_allows(const char *answer, uint64_t *permit, uint64_t *generation);

/* A random number (splitmix64, Vigna 2015); `state` begins as any. */
uint64_t herd_draw(uint64_t *state);
/* The number behind "key": in a document, or a failure. */
uint64_t herd_number(const char *document, const char *key);
/* The value behind --name, or `otherwise`. */
const char *herd_option(int argc, char **argv, const char *name,
                        const char *otherwise);
uint64_t herd_option_number(int argc, char **argv, const char *name,
                            uint64_t otherwise);

#endif
