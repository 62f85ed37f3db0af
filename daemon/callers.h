#ifndef CALLERS_H
#define CALLERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The connections at worker.sock and operator.sock. Each speaks ZMTP 3 to a socket
 * like ZeroMQ's ROUTER, and the loop itself reads and writes them: no other thread
 * is woken for a question, and no octet waits in a queue that nobody counts.
 *
 * Callers are read one after the other, a piece each, so that who says much holds
 * nobody up. What one says is handed out in whole messages; the beginning of one is
 * kept here, and what a caller does not read, each up to a limit. */
#include "core/text.h"
#include "core/wire.h"
#include "daemon/peer.h"
#include <stddef.h>

/* Frames of the longest message: envelope, delimiter, lines. */
#define CALLERS_FRAMES (BK_ENVELOPE_MAX + 1 + BK_LINES_MAX)
/* A caller that has not greeted after this is hung up on. */
#define CALLERS_GREETING_NS (2 * BK_NS_PER_S)
/* Answers that one caller has not read, in octets: while there are more, it gets no
 * further ones. */
#define CALLERS_UNREAD_MAX ((size_t)1 << 20)
/* Octets of a message without end. */
#define CALLERS_ENDLESS ((size_t)16 << 20)
/* What all callers may make the daemon keep, in octets; beyond it those that need
 * more than an equal share are hung up on. */
#define CALLERS_KEPT_MAX ((size_t)256 << 20)

enum callers_door { CALLERS_WORKERS, CALLERS_OPERATORS, CALLERS_DOORS };

struct callers;

struct callers_frame {
    const char *at;
    size_t len;
};

/* A message: frames that are good until the next of the same caller is taken. More
 * than CALLERS_FRAMES: its content is gone. */
struct callers_message {
    const struct callers_frame *frames;
    unsigned count;
};

/* NULL, with errno: no memory or no descriptor. */
struct callers *callers_open(void);
/* Says what is still to be said, within `linger_ms`, and hangs up. */
void callers_close(struct callers **c, int linger_ms);
/* Takes connections from `listening_fd`, which does not block and is theirs from now
 * on. False, with errno, when it cannot be watched. */
bool callers_listen(struct callers *c, enum callers_door door,
                    int listening_fd);
/* Readable when somebody has something to say or comes. */
int callers_fd(const struct callers *c);

/* Finds out who has something, unless some of the last time are still to be heard. */
void callers_look(struct callers *c, int64_t now_ns);
/* Some of those are still to be heard. */
bool callers_has_more(const struct callers *c);
/* When callers_look must be called though nobody says anything; BK_NEVER. */
int64_t callers_deadline(const struct callers *c);

/* The next one, with what it has said, until callers_done(); NULL: none. */
struct peer *callers_next(struct callers *c);
/* The same for what a process that is dead has left; NULL: nothing more. */
struct peer *callers_next_of(struct callers *c, uint32_t pid);
/* Its next whole message; false: it has said no other one. */
bool callers_take(struct callers *c, struct callers_message *message);
/* What is left of it is the beginning of a message. */
void callers_done(struct callers *c);
/* Names the caller in hand for an answer, now or later; never 0. */
uint64_t callers_current(const struct callers *c);

/* Begins an answer; false: it is gone, or reads nothing. */
bool callers_answer(struct callers *c, uint64_t caller);
/* More of the answer. */
void callers_put(struct callers *c, const void *octets, size_t len);
/* All answers are on their way to the kernel. */
void callers_flush(struct callers *c);
/* Hung up on since the start, for what they made the daemon keep. */
uint64_t callers_cut(const struct callers *c);

#endif
