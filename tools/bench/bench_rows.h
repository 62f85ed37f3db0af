#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What is measured: a row is a set-up and the lines that come of it. */
#include "tools/bench/bench_side.h"

/* Services of the big daemon. */
#define BENCH_SERVICES 10000
#define BENCH_IDLE 1000

typedef bool row_run(struct bench *b);

struct bench_row {
    const char *name;
    const char *title;
    row_run *run;      /* false: see bench->why */
    bool is_long;      /* only drawn, so left out when it has to be quick */
    const char *prose; /* how to read it, for performance.md */
};

extern const struct bench_row bench_rows[];
extern const size_t bench_row_count;

row_run row_counts, row_decide, row_guard, row_shared, row_report, row_ask,
    row_pipeline, row_ingest, row_change, row_services, row_restart, row_memory,
    row_floors, row_peers, row_curves;

/* The daemon with idle workers, and what it held before and with them. */
struct crowd {
    struct bench_daemon *daemon;
    uint64_t connections;
    uint64_t alone_kib;
    uint64_t with_kib;
};
bool row_get_crowd(struct bench *b, struct crowd *crowd);
/* They leave, and come again. */
bool row_send_crowd_away(struct bench *b);
bool row_call_crowd_back(struct bench *b);

#endif
