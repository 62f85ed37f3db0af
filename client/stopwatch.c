/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/stopwatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The first measurement takes so long, and later ones, which are more exact. */
#define FIRST_NS (10 * BK_NS_PER_MS)
#define SPAN_NS (500 * BK_NS_PER_MS)
/* A look at both that took longer was interrupted. */
#define LOOK_COUNTS 20000
/* Of more than 16 GHz or less than 4 MHz there is no counter. */
#define RATE_MIN (UINT64_C(1) << 28)
#define RATE_MAX (UINT64_C(1) << 40)

_Atomic uint64_t stopwatch_rate __attribute__((visibility("hidden")));

static atomic_flag is_tended = ATOMIC_FLAG_INIT;
static uint64_t base_count;
static int64_t base_ns;

/* The same at any speed and on every core. */
static bool
find_counter(void)
{
#if defined(__x86_64__)
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d = 0;

    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d >> 8 & 1) != 0;
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

/* To ask the processor costs microseconds in a virtual machine: once. */
static bool
has_counter(void)
{
    static _Atomic int known; /* 1: yes, 2: no */
    int is = atomic_load_explicit(&known, memory_order_relaxed);

    if (is == 0) {
        is = find_counter() ? 1 : 2;
        atomic_store_explicit(&known, is, memory_order_relaxed);
    }
    return is == 1;
}

static void
measure(int64_t now_ns, uint64_t count)
{
    double us = (double)(now_ns - base_ns) / BK_NS_PER_US;
    double rate = us / STOPWATCH_SCALE / (double)(count - base_count);

    if (rate > (double)RATE_MIN && rate < (double)RATE_MAX)
        atomic_store_explicit(&stopwatch_rate, (uint64_t)rate,
                              memory_order_relaxed);
}

void
stopwatch_tend(void)
{
    uint64_t before;
    uint64_t after;
    int64_t now_ns;

    if (!has_counter() ||
        atomic_flag_test_and_set_explicit(&is_tended, memory_order_acquire))
        return;
    before = stopwatch_count();
    now_ns = clock_mono_ns();
    after = stopwatch_count();
    if (after - before < LOOK_COUNTS &&
        now_ns - base_ns >= (stopwatch_runs() ? SPAN_NS : FIRST_NS)) {
        if (base_ns != 0 && before > base_count)
            measure(now_ns, before);
        base_ns = now_ns;
        base_count = before;
    }
    atomic_flag_clear_explicit(&is_tended, memory_order_release);
}

void
stopwatch_start(uint64_t began[2])
{
    if (atomic_load_explicit(&stopwatch_rate, memory_order_relaxed) != 0) {
        began[0] = stopwatch_count();
        began[1] = STOPWATCH_COUNTER;
    } else {
        began[0] = (uint64_t)clock_mono_ns();
        began[1] = STOPWATCH_CLOCK;
    }
}

int64_t
stopwatch_stop(const uint64_t began[2])
{
    uint64_t rate = atomic_load_explicit(&stopwatch_rate, memory_order_relaxed);
    int64_t us;

    if (began[1] == STOPWATCH_CLOCK) {
        us = (clock_mono_ns() - (int64_t)began[0]) / BK_NS_PER_US;
        return us >= 0 ? us : -1;
    }
    if (began[1] != STOPWATCH_COUNTER || rate == 0)
        return -1;
    return stopwatch_us(stopwatch_count() - began[0], rate);
}
