#ifndef QUICKSTART_GUARD_H
#define QUICKSTART_GUARD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a worker asks before it calls: libbreaker, or nobody. With nobody, a
 * call is always allowed and a retry follows the worker's own fixed delays. */
#include "breaker/breaker.h"
#include "tools/quickstart_tally.h"

struct quickstart_guard {
    const struct quickstart_options *options;
    struct quickstart_tally *tally;
    struct breaker *breaker; /* NULL: nobody is asked */
    struct breaker_service *service;
};

/* Call it in the worker's own process. False: said why on standard error. */
bool quickstart_guard_open(struct quickstart_guard *guard,
                           const struct quickstart_options *options,
                           struct quickstart_tally *tally);
void quickstart_guard_close(struct quickstart_guard *guard);

/* What a worker holds of a call: the permit of the attempt that runs, the token
 * of the one that is to come. */
struct quickstart_right {
    struct breaker_permit permit;
    struct breaker_token token;
    bool has_token;
};

/* May the attempt be made? Otherwise *wait_ns is when to ask again. */
bool quickstart_guard_ask(struct quickstart_guard *guard,
                          struct quickstart_right *right, int64_t *wait_ns);
/* The attempt is over: tells the outcome and, if it is worth trying again,
 * whether that is granted, and after how long. */
bool quickstart_guard_tell(struct quickstart_guard *guard,
                           struct quickstart_right *right, uint32_t attempt,
                           enum breaker_outcome outcome, int64_t latency_us,
                           uint64_t retry_after_ms, int64_t *delay_ns);
/* The call is given up before its next attempt. */
void quickstart_guard_drop(struct quickstart_guard *guard,
                           struct quickstart_right *right);

#endif
