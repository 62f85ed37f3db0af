#ifndef BENCH_WORKER_H
#define BENCH_WORKER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that is measured: a process of its own that knows breakerd by what any
 * program knows, the public header and the shared library. */
#include "breaker/breaker.h"
#include "tools/bench/bench_player.h"

/* Calls between two pauses: what a worker may tell at once without waiting. */
#define WORKER_BURST 200
#define WORKER_SERVICES_MAX 10000

struct worker {
    const char *dir;
    struct breaker *b;
    /* Those that calls go to, in an order that no prefetcher guesses. */
    struct breaker_service *services[WORKER_SERVICES_MAX];
    size_t service_count;
    size_t next;
};
extern struct worker worker;

/* The service "bench" for 0, else that many of those called s0, s1, ... */
bool worker_choose(uint64_t count);
static inline struct breaker_service *
worker_next(void)
{
    struct breaker_service *s = worker.services[worker.next];

    worker.next = worker.next + 1 < worker.service_count ? worker.next + 1 : 0;
    return s;
}
/* Where there is one service it need not be looked up: `only` is worker_only's. */
static inline struct breaker_service *
worker_only(void)
{
    return worker.service_count == 1 ? worker.services[0] : NULL;
}
static inline struct breaker_service *
worker_turn(struct breaker_service *only)
{
    return only != NULL ? only : worker_next();
}
/* The daemon hears what was told so far; then a while of silence. */
bool worker_rest(void);

void worker_close_idle(void);

/* Blocks. bench_worker.c says what each does. */
player_block worker_play_decide, worker_play_name, worker_play_guard,
    worker_play_report, worker_play_ask, worker_play_flood, worker_play_open,
    worker_play_count, worker_play_lines, worker_play_threads,
    worker_play_change, worker_play_watch, worker_play_back;

#endif
