/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions, whole calls, reports. */
#define _GNU_SOURCE
#include "tools/bench/bench_worker.h"
#include <stdio.h>

static bool
is_from(const struct breaker_permit *permit, enum breaker_source source,
        struct player_told *told)
{
    if (permit->verdict == BREAKER_ALLOWED && permit->source == source)
        return true;
    snprintf(told->why, sizeof told->why, "the answer was by %s, %s",
             breaker_source_name(permit->source),
             permit->verdict == BREAKER_ALLOWED ? "allowed" : "denied");
    return false;
}

/* decide COUNT [SERVICES] */
bool
worker_play_decide(const struct player_order *order, struct player_told *told)
{
    struct breaker_permit permit = {0};
    struct breaker_service *only;
    uint64_t allowed = 0;

    if (!worker_choose(player_number(order, 0, 0)))
        return player_fail(told, breaker_error_text());
    only = worker_only();
    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++)
        allowed +=
            breaker_acquire(worker_turn(only), &permit) == BREAKER_ALLOWED;
    player_end(told, order->count);
    if (allowed != order->count)
        return player_fail(told, "a call was denied");
    return is_from(&permit, BREAKER_BY_MEMORY, told);
}

/* name COUNT */
bool
worker_play_name(const struct player_order *order, struct player_told *told)
{
    struct breaker_permit permit = {0};

    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++)
        breaker_acquire_name(worker.b, "bench", &permit);
    player_end(told, order->count);
    return is_from(&permit, BREAKER_BY_MEMORY, told);
}

static bool
guard(struct breaker_service *s, struct breaker_permit *permit)
{
    return breaker_begin(s, permit) == BREAKER_ALLOWED &&
           breaker_end(permit, BREAKER_SUCCESS) == BREAKER_DONE;
}

/* guard COUNT [SERVICES]: time and processor time are those of the bursts. */
bool
worker_play_guard(const struct player_order *order, struct player_told *told)
{
    struct breaker_permit permit = {0};
    struct breaker_service *only;
    uint64_t done = 0;
    int64_t cpu_ns = 0;
    int64_t ns = 0;

    if (!worker_choose(player_number(order, 0, 0)))
        return player_fail(told, breaker_error_text());
    only = worker_only();
    player_begin(told);
    while (done < order->count) {
        int64_t began_cpu_ns = player_thread_cpu_ns();
        int64_t began_ns = player_clock_ns();

        for (int i = 0; i < WORKER_BURST; i++) {
            if (!guard(worker_turn(only), &permit))
                return player_fail(told, "a call was denied, or not reported");
        }
        ns += player_clock_ns() - began_ns;
        cpu_ns += player_thread_cpu_ns() - began_cpu_ns;
        done += WORKER_BURST;
        if (!worker_rest())
            return player_fail(told, breaker_error_text());
    }
    player_end(told, done);
    told->ns = ns;
    told->cpu_ns = cpu_ns;
    return is_from(&permit, BREAKER_BY_MEMORY, told);
}

/* report COUNT [SERVICES] */
bool
worker_play_report(const struct player_order *order, struct player_told *told)
{
    static struct breaker_permit permits[WORKER_BURST];
    uint64_t done = 0;
    int64_t ns = 0;

    if (!worker_choose(player_number(order, 0, 0)))
        return player_fail(told, breaker_error_text());
    player_begin(told);
    while (done < order->count) {
        int64_t began_ns;
        int told_all = 0;

        for (int i = 0; i < WORKER_BURST; i++)
            breaker_acquire(worker_next(), &permits[i]);
        began_ns = player_clock_ns();
        for (int i = 0; i < WORKER_BURST; i++)
            told_all +=
                breaker_report(&permits[i], BREAKER_SUCCESS, 7) == BREAKER_DONE;
        ns += player_clock_ns() - began_ns;
        done += WORKER_BURST;
        if (told_all != WORKER_BURST)
            return player_fail(told, "a report was not taken");
        if (!worker_rest())
            return player_fail(told, breaker_error_text());
    }
    player_end(told, done);
    told->ns = ns;
    return true;
}

static bool
ask(struct player_told *told)
{
    struct breaker_permit permit = {0};

    breaker_acquire(worker_next(), &permit);
    return is_from(&permit, BREAKER_BY_DAEMON, told);
}

/* ask COUNT [PAUSE_US]: the median of round trips. */
bool
worker_play_ask(const struct player_order *order, struct player_told *told)
{
    if (!worker_choose(0))
        return player_fail(told, breaker_error_text());
    return player_median(told, order->count,
                         (int64_t)player_number(order, 0, 0) * 1000, ask);
}
