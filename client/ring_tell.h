#ifndef CLIENT_RING_TELL_H
#define CLIENT_RING_TELL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling by ring: what came of a call is written where the daemon reads it, which
 * costs a few stores. docs/rings.md says when the bell is rung. */
#include "client/client.h"

/* Tells what can be told this way, in the order it is given by this thread; false:
 * it cannot (no ring to be had, no room, a service that is not published), and is to
 * be sent. */
bool ring_tell(struct breaker *b, const struct told *item);
/* The same for most calls: a success that memory let through, by a thread whose ring
 * is ready. `permit->service` is not NULL. No system call unless the daemon sleeps.
 * False: try the long way. */
bool ring_tell_success(struct breaker_permit *permit, int64_t latency_us);
/* Before the daemon is asked: a ring that this thread has just handed over is taken up
 * first (or it is `end_ns`), since what lies in it came earlier. */
void ring_await(struct breaker *b, int64_t end_ns);
/* Something of this thread's may be on its way to the daemon, nobody knows. */
void ring_note_sent(struct breaker *b);
/* At close: what lies in rings that no daemon reads any more is queued to be sent. */
void ring_rescue(struct breaker *b);

#endif
