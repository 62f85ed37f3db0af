/* SPDX-License-Identifier: Apache-2.0
 *
 *   breaker-bench-worker DIR auto|zmq [DEADLINE_MS] */
#define _GNU_SOURCE
#include "tools/bench/bench_worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_MS 10000
#define LOOK_NS 5000000
/* Of the pause between two bursts; a peer's is as long. */
#define PAUSE_NS 100000

static const struct player_row rows[] = {
    {"decide", worker_play_decide},   /* from memory, by handle */
    {"name", worker_play_name},       /* from memory, by name */
    {"guard", worker_play_guard},     /* whole calls, in bursts */
    {"report", worker_play_report},   /* the reports alone */
    {"ask", worker_play_ask},         /* over the socket, one by one */
    {"flood", worker_play_flood},     /* reports of many threads */
    {"open", worker_play_open},       /* more connections */
    {"count", worker_play_count},     /* system calls, for a tracer */
    {"lines", worker_play_lines},     /* cache lines of the mapping */
    {"threads", worker_play_threads}, /* of this process */
    {"change", worker_play_change},   /* how fast a trip is seen */
    {"watch", worker_play_watch},     /* answers while the daemon restarts */
    {"back", worker_play_back},       /* when the socket answers again */
};

struct worker worker;

bool
worker_choose(uint64_t count)
{
    char name[32];

    if (count > WORKER_SERVICES_MAX)
        return false;
    worker.next = 0;
    if (count == 0) {
        worker.services[0] = breaker_service(worker.b, "bench");
        worker.service_count = 1;
        return worker.services[0] != NULL;
    }
    if (worker.service_count == count && count > 1)
        return true;
    for (uint64_t i = 0; i < count; i++) {
        /* The same prime for every count: a walk through all of them. */
        snprintf(name, sizeof name, "s%u", (unsigned)(i * 7919 % count));
        worker.services[i] = breaker_service(worker.b, name);
        if (worker.services[i] == NULL)
            return false;
    }
    worker.service_count = (size_t)count;
    return true;
}

bool
worker_rest(void)
{
    if (breaker_ping(worker.b, NULL) != 0)
        return false;
    player_pause_ns(PAUSE_NS);
    return true;
}

static bool
open_handle(const char *mode, const char *deadline_ms)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    int64_t end_ns = player_clock_ns() + READY_MS * INT64_C(1000000);

    options.dir = worker.dir;
    options.mode =
        strcmp(mode, "zmq") == 0 ? BREAKER_MODE_ZMQ : BREAKER_MODE_AUTO;
    options.deadline_ms = (uint32_t)strtoul(deadline_ms, NULL, 10);
    worker.b = breaker_open(&options);
    if (worker.b == NULL)
        return false;
    while (breaker_ping(worker.b, NULL) != 0) {
        if (player_clock_ns() > end_ns)
            return false;
        player_pause_ns(LOOK_NS);
    }
    return true;
}

int
main(int argc, char **argv)
{
    int status;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: breaker-bench-worker DIR auto|zmq [MS]\n");
        return 2;
    }
    worker.dir = argv[1];
    if (!open_handle(argv[2], argc > 3 ? argv[3] : "5000")) {
        fprintf(stderr, "breaker-bench-worker: %s\n", breaker_error_text());
        return 1;
    }
    status = player_serve(rows, sizeof rows / sizeof rows[0]);
    worker_close_idle();
    breaker_close(&worker.b);
    return status;
}
