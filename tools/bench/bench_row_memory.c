/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker does by itself, in its own time: decisions from shared memory, whole
 * calls, reports. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <stdio.h>

/* What gobreaker took when the goals were set, and what was to be reached then. */
#define GOBREAKER_NS 129
/* Of the row with several processes. */
#define SHARERS 4

/* The callers take turns on the first core; the daemon is out of their way. */
static struct bench_daemon *
set_stage(struct bench *b)
{
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);

    if (d != NULL)
        process_pin(d->pid, b->cores[1]);
    return d;
}

static bool
compare_decisions(struct bench *b, struct side *sides)
{
    struct bench_daemon *d = set_stage(b);

    return d != NULL &&
           side_add_worker(b, &sides[0], d, "auto", NULL, b->cores[0]) &&
           side_add_peers(b, &sides[1], 1, "mutex", NULL, b->cores[0]) &&
           side_add_worker(b, &sides[2], d, "auto", NULL, b->cores[0]) &&
           side_alternate(b, sides, 3);
}

bool
row_decide(struct bench *b)
{
    static struct side sides[3];
    bool is_done;

    sides[0] = (struct side){.name = "by handle", .block = "decide"};
    sides[1] = (struct side){.name = "mutex", .block = "allow"};
    sides[2] = (struct side){.name = "by name", .block = "name"};
    is_done = compare_decisions(b, sides);
    if (is_done) {
        result_ratio(b, &(struct claim){.what = "decision by handle / mutex "
                                                "allow, coarse clock",
                                        .ours = &sides[0],
                                        .peer = &sides[1],
                                        .kind = GOAL_AT_MOST,
                                        .goal = 0.65});
        result_ratio(b, &(struct claim){.what = "decision by name / by handle",
                                        .ours = &sides[2],
                                        .peer = &sides[0]});
    }
    side_stop(sides, 3);
    return is_done;
}

static void
tell_gobreaker(struct bench *b, const struct side *ours,
               const struct side *peer)
{
    static const char what[] = "guarded call / gobreaker Execute";
    char why[BENCH_WHY_SIZE + 80];
    double ns = series_median(&ours->wall_ns);

    if (peer->peer_count > 0) {
        result_ratio(b, &(struct claim){.what = what,
                                        .ours = ours,
                                        .peer = peer,
                                        .kind = GOAL_AT_MOST,
                                        .goal = 0.45});
        return;
    }
    snprintf(why, sizeof why,
             "%s; of the %d ns it took when goals were set: %.2f, goal 0.45",
             b->why, GOBREAKER_NS, ns / GOBREAKER_NS);
    result_skip(b, what, why);
}

bool
row_guard(struct bench *b)
{
    static struct side sides[3];
    struct bench_daemon *d = set_stage(b);
    size_t count = 2;
    bool is_done;

    sides[0] = (struct side){.name = "guarded call", .block = "guard"};
    sides[1] = (struct side){.name = "mutex", .block = "guard"};
    sides[2] = (struct side){.name = "gobreaker", .block = "execute"};
    is_done = d != NULL &&
              side_add_worker(b, &sides[0], d, "auto", NULL, b->cores[0]) &&
              side_add_peers(b, &sides[1], 1, "mutex", NULL, b->cores[0]);
    if (is_done && peer_is_there(b, "gobreaker")) {
        is_done =
            side_add_peers(b, &sides[2], 1, "gobreaker", NULL, b->cores[0]);
        count = 3;
    }
    is_done = is_done && side_alternate(b, sides, count);
    if (is_done) {
        result_ratio(b, &(struct claim){.what = "guarded call / mutex allow + "
                                                "report",
                                        .ours = &sides[0],
                                        .peer = &sides[1],
                                        .kind = GOAL_AT_MOST,
                                        .goal = 0.80});
        peer_is_there(b, "gobreaker");
        tell_gobreaker(b, &sides[0], &sides[2]);
    }
    side_stop(sides, 3);
    return is_done;
}

bool
row_report(struct bench *b)
{
    static struct side sides[2];
    struct bench_daemon *d = set_stage(b);
    bool is_done;

    sides[0] = (struct side){.name = "report", .block = "report"};
    sides[1] = (struct side){.name = "bare store", .block = "store"};
    is_done = d != NULL &&
              side_add_worker(b, &sides[0], d, "auto", NULL, b->cores[0]) &&
              side_add_peers(b, &sides[1], 1, "floor", NULL, b->cores[0]) &&
              side_alternate(b, sides, 2);
    if (is_done) {
        result_fact(b, &(struct fact){.what = "report in the caller",
                                      .value = sides[0].wall_ns,
                                      .unit = UNIT_NS,
                                      .kind = GOAL_AT_MOST,
                                      .goal = 15});
        result_ratio(b, &(struct claim){.what = "report / bare store of 64 "
                                                "octets",
                                        .ours = &sides[0],
                                        .peer = &sides[1]});
    }
    side_stop(sides, 2);
    return is_done;
}

bool
row_shared(struct bench *b)
{
    static struct side sides[3];
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    char file[BENCH_PATH_SIZE + 16];
    bool is_done = d != NULL && process_pin(d->pid, PROCESS_ANY_CORE);

    sides[0] = (struct side){.name = "guarded call", .block = "guard"};
    sides[1] = (struct side){
        .name = "robust mutex", .block = "guard", .is_crowd = true};
    sides[2] =
        (struct side){.name = "in bursts", .block = "guard", .words = "200"};
    snprintf(file, sizeof file, "%s/robust", b->dir);
    is_done = is_done && side_spread_workers(b, &sides[0], SHARERS, d) &&
              side_spread_peers(b, &sides[1], SHARERS, "robust", file) &&
              side_spread_peers(b, &sides[2], SHARERS, "robust", file) &&
              side_alternate(b, sides, 3);
    if (is_done) {
        result_ratio(
            b, &(struct claim){.what = "guarded call at 4 processes / robust "
                                       "mutex, processor time",
                               .ours = &sides[0],
                               .peer = &sides[1],
                               .figure = FIGURE_CPU,
                               .kind = GOAL_AT_MOST,
                               .goal = 0.20,
                               .note = "ours in bursts of 200, the mutex "
                                       "without a pause"});
        result_ratio(
            b, &(struct claim){.what = "the same, the mutex in bursts too",
                               .ours = &sides[0],
                               .peer = &sides[2],
                               .figure = FIGURE_CPU});
    }
    side_stop(sides, 3);
    return is_done;
}
