/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker sees of a restart. */
#define _GNU_SOURCE
#include "tools/bench/bench_worker.h"
#include <sys/resource.h>

#define NS_PER_MS INT64_C(1000000)
#define PAUSE_NS 200000
/* A gap is looked at from this length on. */
#define GAP_NS 50000

/* Did others have this thread's core since the last time? */
static bool
was_away(void)
{
    static long known;
    struct rusage used;
    bool is_new;

    getrusage(RUSAGE_THREAD, &used);
    is_new = used.ru_nivcsw != known;
    known = used.ru_nivcsw;
    return is_new;
}

/* watch MS: asks without a pause. Told are the longest time from one answer to the
 * next (but not when others had the core), and how many answers were by memory, by
 * this process alone, by the daemon. */
bool
worker_play_watch(const struct player_order *order, struct player_told *told)
{
    struct breaker_stats before = BREAKER_STATS_INIT;
    struct breaker_stats after = BREAKER_STATS_INIT;
    struct breaker_permit permit;
    uint64_t denied = 0;
    uint64_t answers = 0;
    int64_t longest_ns = 0;
    int64_t last_ns;

    if (!worker_choose(0) || breaker_stats(worker.b, &before) != 0)
        return player_fail(told, breaker_error_text());
    was_away();
    player_begin(told);
    last_ns = told->began_ns;
    while (last_ns < told->began_ns + (int64_t)order->count * NS_PER_MS) {
        int64_t now_ns;
        int64_t gap_ns;

        denied += breaker_acquire(worker_next(), &permit) != BREAKER_ALLOWED;
        now_ns = player_clock_ns();
        gap_ns = now_ns - last_ns;
        if (gap_ns > GAP_NS && was_away())
            gap_ns = 0;
        if (gap_ns > longest_ns)
            longest_ns = gap_ns;
        last_ns = now_ns;
        answers++;
    }
    player_end(told, answers);
    if (denied > 0 || breaker_stats(worker.b, &after) != 0)
        return player_fail(told, "a call was denied");
    told->more[0] = (double)longest_ns;
    told->more[1] = (double)(after.by_memory - before.by_memory);
    told->more[2] = (double)(after.by_local - before.by_local) +
                    (double)(after.by_nobody - before.by_nobody);
    told->more[3] = (double)(after.by_daemon - before.by_daemon);
    told->more_count = 4;
    return true;
}

/* back MS: asks the daemon, and tells when (CLOCK_MONOTONIC) it answered after the
 * longest time in which it did not; 0: it never did. An ask that took long counts
 * as well as one that was given up. */
bool
worker_play_back(const struct player_order *order, struct player_told *told)
{
    struct breaker_permit permit;
    uint64_t answers = 0;
    int64_t back_ns = 0;
    int64_t longest_ns = 0;
    int64_t last_ns;

    if (!worker_choose(0))
        return player_fail(told, breaker_error_text());
    player_begin(told);
    last_ns = told->began_ns;
    while (player_clock_ns() <
           told->began_ns + (int64_t)order->count * NS_PER_MS) {
        breaker_acquire(worker_next(), &permit);
        answers++;
        if (permit.source == BREAKER_BY_DAEMON) {
            int64_t now_ns = player_clock_ns();

            if (now_ns - last_ns > longest_ns) {
                longest_ns = now_ns - last_ns;
                back_ns = now_ns;
            }
            last_ns = now_ns;
        }
        player_pause_ns(PAUSE_NS);
    }
    player_end(told, answers);
    told->more[told->more_count++] = (double)back_ns;
    return true;
}
