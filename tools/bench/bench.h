#ifndef BENCH_H
#define BENCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of breaker-bench: what was asked for, where it takes place, what came of
 * it so far. */
#include "tools/bench/bench_daemon.h"
#include "tools/bench/bench_options.h"
#include "tools/bench/bench_result.h"
#include "tools/bench/bench_series.h"

#define BENCH_PATH_SIZE 192
#define BENCH_PROGRAM_SIZE 384
#define BENCH_WHY_SIZE 256

enum bench_daemons {
    BENCH_SMALL, /* a handful of services */
    BENCH_BIG,   /* BENCH_SERVICES of them */
    BENCH_CROWD, /* with idle workers connected */
    BENCH_DAEMONS
};

struct bench {
    struct bench_options options;
    char dir[BENCH_PATH_SIZE];  /* in memory: sockets, segments */
    char disk[BENCH_PATH_SIZE]; /* on a disk: databases */
    char here[BENCH_PATH_SIZE]; /* where this program lies */
    int cores[2];               /* the same twice when there is but one */
    struct bench_daemon daemons[BENCH_DAEMONS];
    struct results results;
    double others_pct;        /* of the machine, used by others meanwhile */
    const char *row;          /* that is measured now */
    char why[BENCH_WHY_SIZE]; /* the last trouble */
};

/* The row cannot be measured; for it to return. */
bool bench_fail(struct bench *b, const char *why, const char *more);
/* A daemon, started when it is first asked for. NULL: see `why`. */
struct bench_daemon *bench_get_daemon(struct bench *b,
                                      enum bench_daemons which);
/* Measures what was chosen; 0, or 1 when a row failed. */
int bench_run(struct bench *b);

#endif
