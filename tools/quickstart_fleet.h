#ifndef QUICKSTART_FLEET_H
#define QUICKSTART_FLEET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker processes: made, started at one instant, watched, and gone at the
 * end whatever happens. */
#include "tools/quickstart_tally.h"

struct quickstart_fleet {
    const struct quickstart_options *options;
    struct quickstart_tally *tallies; /* one a worker, shared with it */
    int *start_fds;                   /* the start is told through these */
    long *pids;                       /* 0: gone */
    uint32_t alive;
    uint32_t failed; /* ended otherwise than with 0 */
};

/* Forks the workers; they wait for the start. Call it before anything starts a
 * thread. False: said why. */
bool quickstart_fleet_open(struct quickstart_fleet *fleet,
                           const struct quickstart_options *options);
/* Everybody's time 0 is `start_ns` of CLOCK_MONOTONIC. */
bool quickstart_fleet_start(struct quickstart_fleet *fleet, int64_t start_ns);
/* Notices workers that ended; true while some are there. */
bool quickstart_fleet_lives(struct quickstart_fleet *fleet);
/* Kills what still runs, frees. */
void quickstart_fleet_close(struct quickstart_fleet *fleet);

/* No worker runs longer than this after its last call began. */
int64_t quickstart_drain_ns(const struct quickstart_options *options);
int64_t quickstart_clock(void);

#endif
