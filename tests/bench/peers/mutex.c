/* SPDX-License-Identifier: Apache-2.0
 *
 * A breaker inside one process: a mutex around the machine. */
#define _GNU_SOURCE
#include "machine.h"
#include "tools/bench/bench_player.h"
#include <pthread.h>
#include <time.h>

/* Between bursts, as long as the other side of the comparison is silent. */
#define PAUSE_NS 100000

static struct {
    pthread_mutex_t lock;
    struct machine machine;
} breaker = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t
coarse_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* As a library has them: functions that are called. */
static __attribute__((noinline)) bool
allow(int64_t now_ns, uint64_t *generation)
{
    bool is_allowed;

    pthread_mutex_lock(&breaker.lock);
    is_allowed = machine_allow(&breaker.machine, now_ns, generation);
    pthread_mutex_unlock(&breaker.lock);
    return is_allowed;
}

static __attribute__((noinline)) void
report(bool is_success, int64_t now_ns, int64_t latency_ns, uint64_t generation)
{
    pthread_mutex_lock(&breaker.lock);
    machine_report(&breaker.machine, is_success, now_ns, latency_ns,
                   generation);
    pthread_mutex_unlock(&breaker.lock);
}

/* allow COUNT [precise]: on the coarse clock, or that one. */
static bool
play_allow(const struct player_order *order, struct player_told *told)
{
    bool is_precise = order->word_count > 0;
    uint64_t allowed = 0;
    uint64_t generation;

    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++)
        allowed +=
            allow(is_precise ? player_clock_ns() : coarse_ns(), &generation);
    player_end(told, order->count);
    return allowed == order->count || player_fail(told, "it is open");
}

/* allow, a clock read before and one after the call, report: in bursts, with a
 * pause between them that is not timed. */
static bool
play_guard(const struct player_order *order, struct player_told *told)
{
    uint64_t burst = player_number(order, 0, 200);
    uint64_t generation;
    int64_t ns = 0;

    player_begin(told);
    for (uint64_t done = 0; done < order->count; done += burst) {
        int64_t began_ns = player_clock_ns();

        for (uint64_t i = 0; i < burst; i++) {
            int64_t before_ns = player_clock_ns();
            int64_t after_ns;

            if (!allow(before_ns, &generation))
                return player_fail(told, "it is open");
            after_ns = player_clock_ns();
            report(true, after_ns, after_ns - before_ns, generation);
        }
        ns += player_clock_ns() - began_ns;
        player_pause_ns(PAUSE_NS);
    }
    player_end(told, (order->count + burst - 1) / burst * burst);
    told->ns = ns;
    return true;
}

int
main(void)
{
    static const struct player_row rows[] = {
        {"allow", play_allow},
        {"guard", play_guard},
    };

    return player_serve(rows, sizeof rows / sizeof rows[0]);
}
