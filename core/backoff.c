/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

/* Growth beyond this many rounds changes nothing within the keys' bounds. */
#define ROUNDS_MAX 10000

uint64_t
bk_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t
bk_random_share(uint64_t *state, int64_t span)
{
    if (span <= 0) {
        return 0;
    }
    return (int64_t)(bk_random(state) % ((uint64_t)span + 1));
}

int64_t
bk_scale(int64_t value_ns, uint64_t ppm)
{
    uint64_t value = (uint64_t)value_ns;
    uint64_t whole;
    uint64_t rest;
    uint64_t sum;
    if (__builtin_mul_overflow(value / BK_PPM, ppm, &whole) ||
        __builtin_mul_overflow(value % BK_PPM, ppm, &rest) ||
        __builtin_add_overflow(whole, rest / BK_PPM, &sum) ||
        sum > (uint64_t)BK_NEVER) {
        return BK_NEVER;
    }
    return (int64_t)sum;
}

int64_t
bk_grow(int64_t value_ns, uint64_t multiplier_ppm, uint32_t times,
        int64_t max_ns)
{
    uint32_t rounds = times < ROUNDS_MAX ? times : ROUNDS_MAX;
    for (uint32_t i = 0; i < rounds && value_ns < max_ns; i++) {
        int64_t grown_ns = bk_scale(value_ns, multiplier_ppm);
        if (grown_ns == value_ns) {
            break;
        }
        value_ns = grown_ns;
    }
    return value_ns < max_ns ? value_ns : max_ns;
}

int64_t
bk_backoff_base(const struct bk_policy *p, uint32_t failed_attempt,
                enum bk_outcome outcome)
{
    bool is_limit = outcome == BK_RATE_LIMITED;
    uint32_t times = failed_attempt > 0 ? failed_attempt - 1 : 0;
    return bk_grow(is_limit ? p->rate_limit_base_delay_ns : p->base_delay_ns,
                   p->multiplier_ppm, times,
                   is_limit ? p->rate_limit_max_delay_ns : p->max_delay_ns);
}

int64_t
bk_backoff_jitter(const struct bk_policy *p, int64_t base_ns, uint64_t *random)
{
    switch ((enum bk_jitter)p->jitter) {
    case BK_JITTER_NONE:
        return base_ns;
    case BK_JITTER_EQUAL:
        return base_ns - bk_random_share(random, base_ns / 2);
    case BK_JITTER_FULL:
        break;
    }
    return bk_random_share(random, base_ns);
}
