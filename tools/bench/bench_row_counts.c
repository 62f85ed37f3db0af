/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted, not timed. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include "tools/bench/bench_trace.h"
#include <stdio.h>

#define TRACED_CALLS 10000
#define TRACE_MS 30000
/* A call here and there is the tally that goes out once a second. */
#define ALMOST_NONE 0.01
#define IDLE_QUICK 200
/* Until the daemon has seen that they left, and who may still be there. */
#define LEAVE_NS INT64_C(10000000000)
#define LOOK_NS 1000000
#define STAYING 16
/* Of each of the two stretches in which commits are counted. */
#define STRETCH_NS INT64_C(1200000000)

static bool
count_calls(struct bench *b, struct peer *p, const char *what,
            const char *block)
{
    char title[64];
    struct player_told told;
    uint64_t calls;

    snprintf(title, sizeof title, "system calls a %s by shared memory", what);
    if (!trace_begin(p->pid)) {
        result_skip(b, title, "tracing is not allowed here");
        return true;
    }
    if (!peer_tell(b, p, "count", TRACED_CALLS, block))
        return false;
    if (!trace_until_end(p->pid, TRACE_MS, &calls))
        return bench_fail(b, "the traced worker did not come to its end", "");
    if (!peer_hear(b, p, &told))
        return false;
    result_number(b, title, (double)calls / (double)told.ops, UNIT_COUNT,
                  GOAL_AT_MOST, ALMOST_NONE, NULL);
    return true;
}

static bool
count_lines(struct bench *b, struct peer *p)
{
    static const char what[] = "cache lines of the segment a decision";
    struct player_told told;
    char note[RESULT_NOTE_SIZE];

    if (!peer_ask(b, p, "lines", 64, NULL, &told)) {
        result_skip(b, what, b->why);
        return true;
    }
    snprintf(note, sizeof note,
             "the verdict word's; others are the header's, which is written "
             "ten times a second (the most was %.0f)",
             told.more[1]);
    result_number(b, what, told.more[0], UNIT_COUNT, GOAL_AT_MOST, 1, note);
    return true;
}

/* Commits while calls are made that fast, and the calls. */
static bool
count_commits(struct bench *b, const struct bench_daemon *d, struct peer *p,
              uint64_t at_once, int64_t pause_ns, uint64_t *commits,
              uint64_t *calls)
{
    int64_t end_ns = player_clock_ns() + STRETCH_NS;
    uint64_t before = daemon_totals(d).store_commits;

    *calls = 0;
    while (player_clock_ns() < end_ns) {
        struct player_told told;

        if (!peer_ask(b, p, "guard", at_once, NULL, &told))
            return false;
        *calls += told.ops;
        player_pause_ns(pause_ns);
    }
    *commits = daemon_totals(d).store_commits - before;
    return true;
}

/* Saving goes on by time, whatever the load: what counts is how many more commits
 * many more calls make. */
static bool
tell_commits(struct bench *b, const struct bench_daemon *d, struct peer *p)
{
    uint64_t slow_commits;
    uint64_t slow_calls;
    uint64_t commits;
    uint64_t calls;
    double more;
    char note[RESULT_NOTE_SIZE];

    if (!count_commits(b, d, p, 200, 40000000, &slow_commits, &slow_calls) ||
        !count_commits(b, d, p, 2000, 0, &commits, &calls))
        return false;
    more = commits > slow_commits ? (double)(commits - slow_commits) : 0;
    snprintf(note, sizeof note,
             "%llu commits in 1.2 s with %llu calls, %llu with %llu",
             (unsigned long long)slow_commits, (unsigned long long)slow_calls,
             (unsigned long long)commits, (unsigned long long)calls);
    result_number(b, "commits a guarded call more",
                  more / (double)(calls - slow_calls), UNIT_COUNT, GOAL_AT_MOST,
                  0.001, note);
    return true;
}

static bool
tell_threads(struct bench *b, struct peer *p)
{
    struct player_told told;

    if (!peer_ask(b, p, "threads", 0, NULL, &told))
        return false;
    result_number(b, "threads added to the host", told.more[0] - 1, UNIT_COUNT,
                  GOAL_AT_MOST, 0, NULL);
    return true;
}

static struct crowd kept;
static struct peer idle;

/* The first connection is what it takes at all; the others are what one takes. */
static bool
gather(struct bench *b, uint64_t connections)
{
    struct player_told told;

    return peer_start_worker(b, &idle, kept.daemon, "zmq", NULL,
                             PROCESS_ANY_CORE) &&
           peer_ask(b, &idle, "open", 1, NULL, &told) &&
           (connections == 0 ||
            peer_ask(b, &idle, "open", connections, NULL, &told));
}

bool
row_get_crowd(struct bench *b, struct crowd *crowd)
{
    uint64_t connections = b->options.is_quick ? IDLE_QUICK : BENCH_IDLE;
    struct player_told told;

    if (kept.connections == 0) {
        kept.daemon = bench_get_daemon(b, BENCH_CROWD);
        if (kept.daemon == NULL || !gather(b, 0))
            return false;
        kept.alone_kib = process_rss_kib(kept.daemon->pid);
        if (!peer_ask(b, &idle, "open", connections, NULL, &told))
            return false;
        kept.with_kib = process_rss_kib(kept.daemon->pid);
        kept.connections = connections;
    }
    *crowd = kept;
    return true;
}

bool
row_send_crowd_away(struct bench *b)
{
    int64_t end_ns = player_clock_ns() + LEAVE_NS;

    peer_stop(&idle);
    while (daemon_totals(kept.daemon).connections > STAYING) {
        if (player_clock_ns() > end_ns)
            return bench_fail(b, "the daemon keeps connections that ended", "");
        player_pause_ns(LOOK_NS);
    }
    return true;
}

bool
row_call_crowd_back(struct bench *b)
{
    return gather(b, kept.connections);
}

static bool
tell_connections(struct bench *b)
{
    struct crowd crowd;
    char note[RESULT_NOTE_SIZE];

    if (!row_get_crowd(b, &crowd))
        return false;
    snprintf(note, sizeof note, "%llu connections more",
             (unsigned long long)crowd.connections);
    result_number(b, "KiB a connection, in the daemon",
                  (double)(crowd.with_kib - crowd.alone_kib) /
                      (double)crowd.connections,
                  UNIT_KIB, GOAL_AT_MOST, 40, note);
    return true;
}

bool
row_counts(struct bench *b)
{
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    struct peer worker = {0};
    bool is_done =
        d != NULL &&
        peer_start_worker(b, &worker, d, "auto", NULL, PROCESS_ANY_CORE) &&
        count_calls(b, &worker, "decision", "decide") &&
        count_calls(b, &worker, "report", "report") &&
        tell_threads(b, &worker) && tell_commits(b, d, &worker) &&
        count_lines(b, &worker) && tell_connections(b);

    peer_stop(&worker);
    return is_done;
}
