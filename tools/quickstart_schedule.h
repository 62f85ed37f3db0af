#ifndef QUICKSTART_SCHEDULE_H
#define QUICKSTART_SCHEDULE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * When calls begin. The times depend on seed and rate alone: an open loop, as
 * users are one, and the same for every way of guarding the calls. */
#include "tools/quickstart_options.h"

struct quickstart_schedule {
    uint64_t random;
    uint64_t place; /* number of the next call within the fleet */
    int64_t gap_ns; /* the mean */
    int64_t at_ns;  /* when that call begins, after the start */
    int64_t end_ns;
    uint32_t worker; /* whose calls are given out */
    uint32_t workers;
};

/* The calls of worker `worker` of options->workers. */
void quickstart_schedule_init(struct quickstart_schedule *schedule,
                              const struct quickstart_options *options,
                              uint32_t worker);
/* When this worker's next call begins (after the start), BK_NEVER at the end. */
int64_t quickstart_schedule_peek(struct quickstart_schedule *schedule);
void quickstart_schedule_take(struct quickstart_schedule *schedule);

#endif
