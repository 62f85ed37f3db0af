/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrival times: gaps drawn evenly from nothing to twice the mean. All workers
 * draw the same sequence and each takes every n-th call of it. */
#include "tools/quickstart_schedule.h"

#include "core/backoff.h"

static void
step(struct quickstart_schedule *schedule)
{
    schedule->at_ns += bk_random_share(&schedule->random, 2 * schedule->gap_ns);
    schedule->place++;
}

void
quickstart_schedule_init(struct quickstart_schedule *schedule,
                         const struct quickstart_options *options,
                         uint32_t worker)
{
    *schedule = (struct quickstart_schedule){.random = options->seed,
                                             .gap_ns = BK_NS_PER_S /
                                                       (int64_t)options->rate,
                                             .end_ns = options->duration_ns,
                                             .worker = worker,
                                             .workers = options->workers};
    step(schedule);
    schedule->place = 0;
}

int64_t
quickstart_schedule_peek(struct quickstart_schedule *schedule)
{
    while (schedule->place % schedule->workers != schedule->worker) {
        step(schedule);
    }
    return schedule->at_ns < schedule->end_ns ? schedule->at_ns : BK_NEVER;
}

void
quickstart_schedule_take(struct quickstart_schedule *schedule)
{
    step(schedule);
}
