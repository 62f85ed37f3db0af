#ifndef MACHINE_H
#define MACHINE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One breaker under test, driven event by event. Leases are counted by hand: the
 * table of leases is the fleet's. */
#include "core/breaker.h"

extern struct bk_policy p;
extern struct bk_breaker b;
extern struct bk_effects fx; /* of the last step */

/* A new breaker at time 0; settings as in policy_with. */
void begin(const char *settings);
void step(struct bk_event event, int64_t now_ns);
/* Lets deadlines up to now pass, each at its own instant. */
void tick(int64_t now_ns);
void report_as(enum bk_standing standing, enum bk_outcome outcome,
               int64_t retry_after_ns, int64_t now_ns);
/* Of permit 0 and the current generation. */
void report(enum bk_outcome outcome, int64_t now_ns);
void report_slow(int64_t latency_ns, int64_t now_ns);
void acquire(int64_t now_ns);
void order(enum bk_mode mode, int64_t duration_ns, int64_t now_ns);
void reset(bool keeps_override, int64_t now_ns);
void take_policy(const char *settings, int64_t now_ns);
void expect_denied(enum bk_deny reason, int64_t wait_ns);
void expect_change(enum bk_state from, enum bk_state to, enum bk_cause cause);
/* Failures until it is open. */
void trip(int64_t now_ns);

#endif
