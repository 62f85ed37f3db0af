/* SPDX-License-Identifier: Apache-2.0
 *
 * Many services, many workers. */
#define _GNU_SOURCE
#include "core/image.h"
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <stdio.h>

#define CLIENTS 4
#define MANY "10000"
#define WITHIN 1.5
#define IDLE_NS INT64_C(2000000000)
#define QUICK_IDLE_NS INT64_C(1000000000)
#define BASE_KIB 16384
#define EACH_KIB 40

/* ---- services ---- */

/* One kind of block in both daemons: 10,000 services, and one. */
static bool
compare(struct bench *b, const char *what, struct side *sides,
        enum figure figure, const char *note)
{
    bool is_done = side_alternate(b, sides, 2);
    struct claim claim = {.what = what,
                          .ours = &sides[0],
                          .peer = &sides[1],
                          .figure = figure,
                          .kind = GOAL_AT_MOST,
                          .goal = WITHIN,
                          .note = note};

    if (is_done)
        result_ratio(b, &claim);
    if (is_done && figure == FIGURE_LOOP) {
        claim.what = "  the same with the thread that saves";
        claim.figure = FIGURE_SERVER;
        claim.kind = GOAL_NONE;
        claim.note = "what has changed is in the database within a second, so "
                     "it is ten thousand rows a second against one";
        result_ratio(b, &claim);
    }
    side_stop(sides, 2);
    return is_done;
}

static bool
compare_workers(struct bench *b, const char *what, const char *block,
                const struct bench_daemon *big, const struct bench_daemon *one)
{
    static struct side sides[2];

    sides[0] =
        (struct side){.name = "of 10,000", .block = block, .words = MANY};
    sides[1] = (struct side){.name = "of 1", .block = block};
    if (side_add_worker(b, &sides[0], big, "auto", NULL, b->cores[0]) &&
        side_add_worker(b, &sides[1], one, "auto", NULL, b->cores[0]))
        return compare(b, what, sides, FIGURE_WALL, NULL);
    side_stop(sides, 2);
    return false;
}

static bool
compare_lines(struct bench *b, const char *what, const char *block,
              const struct bench_daemon *big, const struct bench_daemon *one)
{
    static struct side sides[2];

    sides[0] = (struct side){.name = "of 10,000",
                             .block = block,
                             .words = "100 " MANY,
                             .server = big->pid,
                             .is_long = true};
    sides[1] = (struct side){.name = "of 1",
                             .block = block,
                             .words = "100",
                             .server = one->pid,
                             .is_long = true};
    if (side_add_dealers(b, &sides[0], 1, big->endpoint, PROCESS_ANY_CORE) &&
        side_add_dealers(b, &sides[1], 1, one->endpoint, PROCESS_ANY_CORE))
        return compare(b, what, sides, FIGURE_LOOP,
                       "processor time of the daemon's loop, with what it "
                       "publishes each second");
    side_stop(sides, 2);
    return false;
}

bool
row_services(struct bench *b)
{
    struct bench_daemon *one = bench_get_daemon(b, BENCH_SMALL);
    struct bench_daemon *big = bench_get_daemon(b, BENCH_BIG);

    if (one == NULL || big == NULL)
        return false;
    process_pin(one->pid, b->cores[1]);
    process_pin(big->pid, b->cores[1]);
    if (!compare_workers(b, "decision, 10,000 services / 1", "decide", big,
                         one) ||
        !compare_workers(b, "report in the caller, 10,000 / 1", "report", big,
                         one))
        return false;
    process_pin(one->pid, PROCESS_ANY_CORE);
    process_pin(big->pid, PROCESS_ANY_CORE);
    return compare_lines(b, "ACQUIRE, 10,000 / 1", "flow", big, one) &&
           compare_lines(b, "REPORTQ lines, 10,000 / 1", "tell", big, one);
}

/* ---- memory and idleness ---- */

static void
tell_memory(struct bench *b, const struct crowd *crowd)
{
    double limit = BASE_KIB + EACH_KIB * (double)crowd->connections;
    char note[RESULT_NOTE_SIZE];

    result_number(b, "the daemon alone", (double)crowd->alone_kib, UNIT_KIB,
                  GOAL_AT_MOST, BASE_KIB, "resident, its segment included");
    snprintf(note, sizeof note, "with %llu: 16 MiB + 40 KiB each",
             (unsigned long long)crowd->connections);
    result_number(b, "the daemon with connected workers",
                  (double)crowd->with_kib, UNIT_KIB, GOAL_AT_MOST, limit, note);
}

/* What of the file has memory. */
static double
octets_in_use(const struct bench_daemon *d)
{
    const struct bk_segment *s = &d->segment;
    size_t words = bk_segment_policies(s) * BK_IMAGE_WORDS(struct bk_policy) +
                   (size_t)bk_segment_blocks(s) * BK_BLOCK_WORDS;

    return (double)bk_segment_fixed_bytes(&s->limits) +
           (double)sizeof(uint64_t) * (double)words;
}

/* From two segments that differ in the number of services alone. */
static bool
tell_segment(struct bench *b)
{
    const struct bench_daemon *one = bench_get_daemon(b, BENCH_SMALL);
    const struct bench_daemon *big = bench_get_daemon(b, BENCH_BIG);
    double services;

    if (one == NULL || big == NULL)
        return false;
    services = (double)big->segment.limits.services -
               (double)one->segment.limits.services;
    result_number(b, "segment, octets a service",
                  (octets_in_use(big) - octets_in_use(one)) / services,
                  UNIT_OCTETS, GOAL_AT_MOST, 1024,
                  "two files that differ in services, all of one in use; each "
                  "outcome that counts against one takes 128 more");
    return true;
}

static bool
tell_idleness(struct bench *b, const struct crowd *crowd)
{
    int64_t length_ns = b->options.is_quick ? QUICK_IDLE_NS : IDLE_NS;
    struct fact busy = {.what = "an idle daemon with them, of a core",
                        .unit = UNIT_PERCENT,
                        .kind = GOAL_AT_MOST,
                        .goal = 0.5};
    struct fact sleeps = {.what = "times it wakes up a second",
                          .unit = UNIT_COUNT};

    player_pause_ns(length_ns / 4);
    for (unsigned i = 0; i < (b->options.is_quick ? 1U : 3U); i++) {
        int64_t cpu_ns = process_cpu_ns(crowd->daemon->pid);
        uint64_t slept = process_sleeps(crowd->daemon->pid);

        player_pause_ns(length_ns);
        if (process_interrupted() != 0)
            return bench_fail(b, "interrupted", "");
        series_add(&busy.value,
                   100 * (double)(process_cpu_ns(crowd->daemon->pid) - cpu_ns) /
                       (double)length_ns);
        series_add(&sleeps.value,
                   (double)(process_sleeps(crowd->daemon->pid) - slept) * 1e9 /
                       (double)length_ns);
    }
    result_fact(b, &busy);
    result_fact(b, &sleeps);
    result_number(b, "its resident memory", (double)crowd->with_kib, UNIT_KIB,
                  GOAL_AT_MOST, 65536, NULL);
    return true;
}

/* One daemon, with them and without, in turns. */
static bool
alternate_crowd(struct bench *b, struct side *with, struct side *without)
{
    bool is_done = side_prepare(b, with);

    without->count = with->count;
    for (unsigned i = 0; is_done && i < b->options.repeats; i++)
        is_done = side_play(b, with) && row_send_crowd_away(b) &&
                  side_play(b, without) && row_call_crowd_back(b);
    return is_done;
}

static bool
tell_throughput(struct bench *b, const struct crowd *crowd)
{
    static struct side sides[2];
    bool is_done;

    sides[0] = (struct side){.name = "with idle workers", .block = "flow"};
    sides[1] = (struct side){.name = "without", .block = "flow"};
    is_done = side_add_dealers(b, &sides[0], CLIENTS, crowd->daemon->endpoint,
                               PROCESS_ANY_CORE) &&
              side_add_dealers(b, &sides[1], CLIENTS, crowd->daemon->endpoint,
                               PROCESS_ANY_CORE) &&
              alternate_crowd(b, &sides[0], &sides[1]);
    if (is_done)
        result_ratio(b, &(struct claim){.what = "pipelined ACQUIRE with idle "
                                                "workers / without",
                                        .ours = &sides[0],
                                        .peer = &sides[1],
                                        .figure = FIGURE_RATE,
                                        .kind = GOAL_AT_LEAST,
                                        .goal = 0.90});
    side_stop(sides, 2);
    return is_done;
}

bool
row_memory(struct bench *b)
{
    struct crowd crowd;

    if (!row_get_crowd(b, &crowd))
        return false;
    tell_memory(b, &crowd);
    return tell_segment(b) && tell_idleness(b, &crowd) &&
           tell_throughput(b, &crowd);
}
