/* SPDX-License-Identifier: Apache-2.0
 *
 * How soon something is seen: a trip, a daemon that is back. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <stdio.h>

#define CHANGES 100
#define CHANGES_QUICK 40
/* A restart within this long, and the watchers look on. */
#define WATCH_MS 2500
#define BEFORE_NS 200000000
/* Until the database has what was made. */
#define SAVE_NS INT64_C(10000000000)
#define LOOK_NS 20000000
/* A reader that waited for anything of ours would be gone for longer. */
#define GAP_NS 10e6

/* ---- a trip ---- */

static void
tell_changes(struct bench *b, const struct side *s)
{
    static const struct {
        const char *what;
        double goal_ns;
    } told[] = {
        {"store to a reading worker, p50", 1e3},
        {"store to a reading worker, p99", 5e3},
        {"failing report to published trip, at rest, p50", 2e6},
        {"failing report to published trip, at rest, p99", 0},
    };

    char note[RESULT_NOTE_SIZE];

    snprintf(note, sizeof note,
             "left out are changes while others had the reader's core, the "
             "median is %.0f of %llu",
             series_median(&s->more[4]), (unsigned long long)s->count);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        struct fact fact = {.note = i == 1 ? note : NULL,
                            .what = told[i].what,
                            .value = s->more[i],
                            .unit = UNIT_NS,
                            .kind =
                                told[i].goal_ns > 0 ? GOAL_AT_MOST : GOAL_NONE,
                            .goal = told[i].goal_ns};

        result_fact(b, &fact);
    }
}

bool
row_change(struct bench *b)
{
    static struct side side;
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    char words[16];
    bool is_done;

    if (b->cores[0] == b->cores[1]) {
        result_skip(b, "store to a reading worker", "there is but one core");
        return true;
    }
    snprintf(words, sizeof words, "%d", b->cores[1]);
    side =
        (struct side){.name = "change",
                      .block = "change",
                      .words = words,
                      .count = b->options.is_quick ? CHANGES_QUICK : CHANGES};
    is_done = d != NULL && process_pin(d->pid, b->cores[0]) &&
              side_add_worker(b, &side, d, "auto", NULL, b->cores[0]) &&
              side_alternate(b, &side, 1);
    if (is_done)
        tell_changes(b, &side);
    side_stop(&side, 1);
    return is_done;
}

/* ---- a restart ---- */

/* What was made is on disk: a killed daemon's successor finds it. */
static bool
await_saved(struct bench *b, const struct bench_daemon *d)
{
    int64_t end_ns = player_clock_ns() + SAVE_NS;
    uint64_t commits;

    do {
        commits = daemon_totals(d).store_commits;
        if (player_clock_ns() > end_ns)
            return bench_fail(b, "the services are not saved", "");
        /* Longer than it waits before it saves. */
        player_pause_ns(60 * (int64_t)LOOK_NS);
    } while (daemon_totals(d).store_queued > 0 ||
             daemon_totals(d).store_commits != commits);
    return true;
}

struct restarts {
    struct series adopt_ns;
    struct series rebuild_ns;
    struct series back_ns;
    struct series gap_ns;
    double alone; /* answers that were not by memory */
};

static bool
restart_watched(struct bench *b, struct bench_daemon *d, struct peer *watcher,
                struct peer *asker, struct restarts *r)
{
    struct player_told watched;
    struct player_told asked;
    double after_ns;

    if (!peer_tell(b, watcher, "watch", WATCH_MS, NULL) ||
        !peer_tell(b, asker, "back", WATCH_MS, NULL))
        return false;
    player_pause_ns(BEFORE_NS);
    daemon_kill(d);
    if (!daemon_start(b, d) || !peer_hear(b, watcher, &watched) ||
        !peer_hear(b, asker, &asked))
        return false;
    series_add(&r->adopt_ns, (double)d->running_ns);
    series_add(&r->gap_ns, watched.more[0]);
    r->alone += watched.more[2] + watched.more[3];
    if (asked.more[0] <= 0)
        return bench_fail(b, "the asking worker did not come back", "");
    /* It may have its answer before this process sees the socket. */
    after_ns = asked.more[0] - (double)d->listening_ns;
    series_add(&r->back_ns, after_ns > 0 ? after_ns : 0);
    return true;
}

static bool
restart_from_disk(struct bench *b, struct bench_daemon *d, struct restarts *r)
{
    daemon_kill(d);
    if (!daemon_remove_segment(b, d) || !daemon_start(b, d))
        return false;
    if (atomic_load(&d->segment.header->service_count) < BENCH_SERVICES)
        return bench_fail(b, "not all services came back", "");
    series_add(&r->rebuild_ns, (double)d->running_ns);
    return true;
}

static void
tell_restarts(struct bench *b, const struct restarts *r)
{
    char note[RESULT_NOTE_SIZE];

    result_fact(b, &(struct fact){.what = "kill -9, start, 10,000 services "
                                          "adopted",
                                  .value = r->adopt_ns,
                                  .unit = UNIT_NS,
                                  .kind = GOAL_AT_MOST,
                                  .goal = 10e6,
                                  .note = "fork to the phase running"});
    result_fact(b, &(struct fact){.what = "the same, rebuilt from SQLite",
                                  .value = r->rebuild_ns,
                                  .unit = UNIT_NS,
                                  .kind = GOAL_AT_MOST,
                                  .goal = 100e6,
                                  .note = "fork to the phase running"});
    result_fact(b, &(struct fact){.what = "bind to an asking worker's next "
                                          "answer",
                                  .value = r->back_ns,
                                  .unit = UNIT_NS,
                                  .kind = GOAL_AT_MOST,
                                  .goal = 10e6});
    snprintf(note, sizeof note,
             "%.0f answers were not by memory; gaps in which others had the "
             "core are left out",
             r->alone);
    result_fact(b, &(struct fact){.what = "longest time between two answers "
                                          "from memory meanwhile",
                                  .value = r->gap_ns,
                                  .unit = UNIT_NS,
                                  .kind = GOAL_AT_MOST,
                                  .goal = GAP_NS,
                                  .note = note});
}

bool
row_restart(struct bench *b)
{
    static struct restarts r;
    struct bench_daemon *d = bench_get_daemon(b, BENCH_BIG);
    /* The ask that the kill met waits till its deadline: no longer than the restart
     * takes, so that it is another that finds the socket. */
    struct peer_plan plan = {.program = "worker",
                             .core = PROCESS_ANY_CORE,
                             .args = {d != NULL ? d->dir : "", "zmq", "5"}};
    struct peer watcher = {0};
    struct peer asker = {0};
    bool is_done =
        d != NULL && process_pin(d->pid, PROCESS_ANY_CORE) &&
        await_saved(b, d) &&
        peer_start_worker(b, &watcher, d, "auto", NULL, PROCESS_ANY_CORE) &&
        peer_start(b, &asker, &plan);

    r = (struct restarts){0};
    for (unsigned i = 0; is_done && i < b->options.repeats; i++)
        is_done = restart_watched(b, d, &watcher, &asker, &r);
    peer_stop(&watcher);
    peer_stop(&asker);
    for (unsigned i = 0; is_done && i < b->options.repeats; i++)
        is_done = restart_from_disk(b, d, &r);
    if (is_done)
        tell_restarts(b, &r);
    return is_done;
}
