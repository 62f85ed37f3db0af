#ifndef BK_BACKOFF_H
#define BK_BACKOFF_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The delay before a retry: exponential, clamped, and only then jittered (jitter
 * before the clamp would bunch everybody at the maximum). */
#include "core/policy.h"

/* A number in 0..2^64-1 drawn from *state (splitmix64, Vigna 2015). */
uint64_t bk_random(uint64_t *state);
/* A uniform share of `span`: 0..span. */
int64_t bk_random_share(uint64_t *state, int64_t span);

/* value x millionths, clamped to BK_NEVER; no overflow. */
int64_t bk_scale(int64_t value_ns, uint64_t ppm);
/* value x multiplier^times, clamped to `max`; no overflow. */
int64_t bk_grow(int64_t value_ns, uint64_t multiplier_ppm, uint32_t times,
                int64_t max_ns);
/* The delay before jitter for the attempt that failed (1 is the first). */
int64_t bk_backoff_base(const struct bk_policy *p, uint32_t failed_attempt,
                        enum bk_outcome outcome);
int64_t bk_backoff_jitter(const struct bk_policy *p, int64_t base_ns,
                          uint64_t *random);

#endif
