#ifndef CLIENT_CALL_NUMBERS_H
#define CLIENT_CALL_NUMBERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What whole calls come to in one process, and how many of them wait. */
#include "breaker/retry.h"
#include <stdatomic.h>

/* Sentences a second on the handle's own log. */
#define CALL_SENTENCES_MAX 10

struct call_numbers {
    _Atomic uint64_t calls;
    _Atomic uint64_t attempts;
    _Atomic uint64_t retries;
    _Atomic uint64_t retry_delay_ms;
    _Atomic uint64_t fallbacks;
    _Atomic uint64_t parked_now;
    _Atomic uint64_t parked;
    _Atomic uint64_t parked_refused;
    _Atomic uint64_t cancelled;
    _Atomic uint64_t default_answers;
    _Atomic uint64_t by_class[BREAKER_CLASS_COUNT];
    _Atomic uint64_t retries_by_class[BREAKER_CLASS_COUNT];
    /* Sentences of the running second, on the monotonic clock. */
    _Atomic int64_t second;
    _Atomic uint32_t sentences;
};

#endif
