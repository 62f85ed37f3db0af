#ifndef CLIENT_CLOCK_H
#define CLIENT_CLOCK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The clocks of a worker. BOOTTIME is the time of verdicts and of the machine;
 * MONOTONIC bounds waits; its coarse twin (5 ns to read, 4 ms fine) is enough to
 * see that a heartbeat is young. Files that use it define _GNU_SOURCE. */
#include "core/vocab.h"
#include <stdatomic.h>
#include <time.h>

typedef int clock_reader(clockid_t id, struct timespec *out);

/* Reads the coarse clock: clock_gettime, or what that calls, where it can be found. A
 * third of the time goes into the way there. */
extern _Atomic(clock_reader *) clock_coarse_reader
    __attribute__((visibility("hidden")));

/* Finds it. */
void clock_find(void);

static inline int64_t
clock_read(clockid_t id)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + (int64_t)t.tv_nsec;
}

static inline int64_t
clock_coarse_ns(void)
{
    clock_reader *reader =
        atomic_load_explicit(&clock_coarse_reader, memory_order_relaxed);
    struct timespec t = {0, 0};

    (void)reader(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + (int64_t)t.tv_nsec;
}

static inline int64_t
clock_mono_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

static inline int64_t
clock_boot_ns(void)
{
    return clock_read(CLOCK_BOOTTIME);
}

static inline struct timespec
clock_spec(int64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / BK_NS_PER_S),
                         .tv_nsec = (long)(ns % BK_NS_PER_S)};

    return t;
}

#endif
