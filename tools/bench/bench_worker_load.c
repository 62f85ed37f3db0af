/* SPDX-License-Identifier: Apache-2.0
 *
 * Many at once: threads that report, handles that do nothing. */
#define _GNU_SOURCE
#include "tools/bench/bench_worker.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define HANDLES_MAX 2000
/* Longer than the daemon ever leaves reports lying. */
#define ROUND_NS 12000000
/* What a thread may tell in a round without waiting. */
#define FLOOD_BURST 240

struct flood {
    pthread_t thread;
    uint64_t rounds;
    uint64_t taken;
};

static void *
flood(void *argument)
{
    struct flood *f = argument;
    struct breaker_service *s = breaker_service(worker.b, "bench");

    for (uint64_t round = 0; round < f->rounds; round++) {
        struct breaker_permit permit;

        for (int i = 0; i < FLOOD_BURST; i++) {
            breaker_acquire(s, &permit);
            f->taken +=
                breaker_report(&permit, BREAKER_SUCCESS, 7) == BREAKER_DONE;
        }
        player_pause_ns(ROUND_NS);
    }
    return NULL;
}

/* flood ROUNDS [THREADS]: what a full queue dropped is not counted. */
bool
worker_play_flood(const struct player_order *order, struct player_told *told)
{
    static struct flood all[THREADS_MAX];
    size_t count = (size_t)player_number(order, 0, 16);
    size_t started = 0;
    uint64_t taken = 0;
    struct breaker_stats before = BREAKER_STATS_INIT;
    struct breaker_stats after = BREAKER_STATS_INIT;

    if (count > THREADS_MAX)
        return player_fail(told, "too many threads");
    breaker_stats(worker.b, &before);
    player_begin(told);
    for (; started < count; started++) {
        all[started].rounds = order->count;
        all[started].taken = 0;
        if (pthread_create(&all[started].thread, NULL, flood, &all[started]) !=
            0)
            break;
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(all[i].thread, NULL);
        taken += all[i].taken;
    }
    if (!worker_rest() || breaker_stats(worker.b, &after) != 0)
        return player_fail(told, breaker_error_text());
    player_end(told, taken - (after.reports_dropped - before.reports_dropped));
    return started == count || player_fail(told, "cannot start the threads");
}

static struct breaker *handles[HANDLES_MAX];
static size_t handle_count;

void
worker_close_idle(void)
{
    while (handle_count > 0)
        breaker_close(&handles[--handle_count]);
}

/* open COUNT: so many idle workers, kept until this process ends. */
bool
worker_play_open(const struct player_order *order, struct player_told *told)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    options.dir = worker.dir;
    options.mode = BREAKER_MODE_ZMQ;
    options.deadline_ms = 5000;
    player_begin(told);
    for (uint64_t i = 0; i < order->count; i++) {
        struct breaker *b =
            handle_count < HANDLES_MAX ? breaker_open(&options) : NULL;

        if (b == NULL)
            return player_fail(told, "no more handles");
        handles[handle_count++] = b;
        if (breaker_ping(b, NULL) != 0)
            return player_fail(told, breaker_error_text());
    }
    player_end(told, order->count);
    return true;
}

/* threads 0: those of this process, as the kernel counts them. */
bool
worker_play_threads(const struct player_order *order, struct player_told *told)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[128];

    (void)order;
    player_begin(told);
    player_end(told, 1);
    if (status == NULL)
        return player_fail(told, "no /proc");
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "Threads:", 8) == 0)
            told->more[told->more_count++] = strtod(line + 8, NULL);
    }
    fclose(status);
    return told->more_count == 1;
}
