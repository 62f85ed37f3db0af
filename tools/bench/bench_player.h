#ifndef BENCH_PLAYER_H
#define BENCH_PLAYER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Whoever is measured is a process that plays blocks on request, so that blocks of
 * several can alternate in one run. It reads a line for each, and answers with one:
 *
 *     BLOCK COUNT [WORD...]
 *     ok OPS BEGAN_NS ENDED_NS NS CPU_NS [NUMBER...]    or    no WORDS
 *
 * COUNT is how much to do, OPS how much was done, NS the time it took (less than
 * from BEGAN to ENDED where parts are not to be timed), CPU_NS what the process
 * used. This is the side of the one who plays; peers in other languages do the same. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAYER_WORDS_MAX 8
#define PLAYER_MORE_MAX 5
#define PLAYER_LINE_MAX 512

struct player_order {
    uint64_t count;
    const char *words[PLAYER_WORDS_MAX];
    size_t word_count;
};

struct player_told {
    uint64_t ops;
    int64_t began_ns; /* CLOCK_MONOTONIC */
    int64_t ended_ns;
    int64_t ns;
    int64_t cpu_ns;
    double more[PLAYER_MORE_MAX]; /* whatever else the block tells */
    size_t more_count;
    char why[128]; /* it returned false: what is wrong */
};

typedef bool player_block(const struct player_order *order,
                          struct player_told *told);

struct player_row {
    const char *name;
    player_block *play;
};

/* Plays until the input ends. For main to return. */
int player_serve(const struct player_row *rows, size_t count);

/* The order's word as a number; `otherwise` when there is none. */
uint64_t player_number(const struct player_order *order, size_t word,
                       uint64_t otherwise);
bool player_fail(struct player_told *told, const char *why);

int64_t player_clock_ns(void);
/* Of the whole process. */
int64_t player_cpu_ns(void);
int64_t player_thread_cpu_ns(void);
void player_pause_ns(int64_t ns);

/* Around what is timed as a whole: one after the other fills in `told`. */
void player_begin(struct player_told *told);
void player_end(struct player_told *told, uint64_t ops);

/* The block is the median of single ones, PLAYER_SAMPLES_MAX at most, with a pause
 * before each. `once` fails as a block does. */
#define PLAYER_SAMPLES_MAX 100000
bool player_median(struct player_told *told, uint64_t count, int64_t pause_ns,
                   bool (*once)(struct player_told *told));

/* A value below which `share` of them lie; sorts them. 0 for none. */
int64_t player_share(int64_t *values, size_t count, double share);

#endif
