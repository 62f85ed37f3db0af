#ifndef CLIENT_STOPWATCH_H
#define CLIENT_STOPWATCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a call took, by the processor's own counter where that runs evenly: reading
 * it costs a third of reading the precise clock. How fast it runs is measured against
 * that clock, and again all the time. Elsewhere the clock itself is read. */
#include "client/clock.h"
#include <stdatomic.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* Microseconds of 2^42 counts; 0: not known, or there is no such counter. Written now
 * and then; it stands alone, so relaxed. */
extern _Atomic uint64_t stopwatch_rate __attribute__((visibility("hidden")));

#define STOPWATCH_SCALE (1.0 / 4398046511104.0) /* 2^-42 */

enum stopwatch_kind { STOPWATCH_NONE, STOPWATCH_COUNTER, STOPWATCH_CLOCK };

/* Measures the rate when it is time to. Cheap when it is not. */
void stopwatch_tend(void);
/* Starts by whatever there is. */
void stopwatch_start(uint64_t began[2]);
/* Microseconds since then; -1: it was not started. */
int64_t stopwatch_stop(const uint64_t began[2]);

static inline bool
stopwatch_runs(void)
{
    return atomic_load_explicit(&stopwatch_rate, memory_order_relaxed) != 0;
}

static inline uint64_t
stopwatch_count(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t count;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
    return count;
#else
    return 0;
#endif
}

/* By the counter's own fineness, whatever it is; -1: it went back. */
static inline int64_t
stopwatch_us(uint64_t counts, uint64_t rate)
{
    if (counts >> 62 != 0)
        return -1;
    return (int64_t)((double)(int64_t)counts * (double)(int64_t)rate *
                     STOPWATCH_SCALE);
}

/* Counts in so many microseconds. */
static inline uint64_t
stopwatch_counts(uint64_t us, uint64_t rate)
{
    return rate > 0 ? (us << 42) / rate : 0;
}

#endif
