/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes over the socket: single questions, many at once, outcomes. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <stdio.h>

#define CLIENTS 4
/* Questions of a block, one a millisecond. */
#define PACED 150
#define PACED_QUICK 60
#define FLOOD_ROUNDS 12
/* An outcome may be lost at the limit of a queue; more may not. */
#define LOST_MAX 0.001

enum { LIBZMQ, OWN, BARE, ECHO, REDIS, ASKERS };

/* ---- one by one ---- */

/* Those who ask, all of them and their servers on one core, or anywhere. */
static bool
set_askers(struct bench *b, struct side *sides, const char *where, int core,
           size_t *count)
{
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    char endpoint[BENCH_PATH_SIZE];
    char socket[BENCH_PATH_SIZE];

    *count = REDIS;
    if (d == NULL || !process_pin(d->pid, core) ||
        !side_add_dealers(b, &sides[BARE], 1, d->endpoint, core) ||
        !side_add_worker(b, &sides[LIBZMQ], d, "zmq",
                         "BREAKERD_TRANSPORT=libzmq", core) ||
        !side_add_worker(b, &sides[OWN], d, "zmq", NULL, core))
        return false;
    sides[ECHO].server = peer_serve_echo(b, where, core, endpoint);
    if (sides[ECHO].server == 0 ||
        !side_add_dealers(b, &sides[ECHO], 1, endpoint, core))
        return false;
    if (!peer_is_there(b, "redis"))
        return true;
    *count = ASKERS;
    sides[REDIS].server = peer_serve_redis(b, where, core, socket);
    return sides[REDIS].server != 0 &&
           side_add_peers(b, &sides[REDIS], 1, "redis", socket, core);
}

static void
end_askers(struct side *sides)
{
    side_stop(sides, ASKERS);
    process_stop(sides[ECHO].server);
    process_stop(sides[REDIS].server);
}

static void
name_askers(struct side *sides, const char *words, uint64_t count)
{
    static const char *const names[] = {"libbreaker by libzmq", "own ZMTP",
                                        "bare client", "bare echo", "redis"};
    static const char *const blocks[] = {"ask", "ask", "trip", "trip", "trip"};

    for (int i = 0; i < ASKERS; i++)
        sides[i] = (struct side){.name = names[i],
                                 .block = blocks[i],
                                 .words = words,
                                 .count = count};
}

static bool
ask_on_one_core(struct bench *b, struct side *sides)
{
    static const char to_redis[] =
        "decision by own ZMTP / Redis EVALSHA, one core";
    size_t count;

    name_askers(sides, NULL, 0);
    if (!set_askers(b, sides, "pinned", b->cores[0], &count) ||
        !side_alternate(b, sides, count))
        return false;
    result_ratio(b,
                 &(struct claim){.what = "decision by a bare libzmq client / "
                                         "bare echo, one core",
                                 .ours = &sides[BARE],
                                 .peer = &sides[ECHO],
                                 .kind = GOAL_AT_MOST,
                                 .goal = 1.10});
    result_ratio(b,
                 &(struct claim){.what = "decision by libbreaker over libzmq "
                                         "/ bare echo, one core",
                                 .ours = &sides[LIBZMQ],
                                 .peer = &sides[ECHO]});
    result_ratio(b, &(struct claim){.what = "decision by own ZMTP / bare echo, "
                                            "one core",
                                    .ours = &sides[OWN],
                                    .peer = &sides[ECHO],
                                    .kind = GOAL_AT_MOST,
                                    .goal = 0.70});
    if (count == ASKERS)
        result_ratio(b, &(struct claim){.what = to_redis,
                                        .ours = &sides[OWN],
                                        .peer = &sides[REDIS],
                                        .kind = GOAL_AT_MOST,
                                        .goal = 1.25});
    else
        result_skip(b, to_redis, b->why);
    return true;
}

static bool
ask_in_peace(struct bench *b, struct side *sides)
{
    size_t count;

    name_askers(sides, "1000", b->options.is_quick ? PACED_QUICK : PACED);
    if (!set_askers(b, sides, "paced", PROCESS_ANY_CORE, &count) ||
        !side_alternate(b, sides, count))
        return false;
    result_ratio(b, &(struct claim){.what = "decision by own ZMTP / bare echo, "
                                            "one a millisecond",
                                    .ours = &sides[OWN],
                                    .peer = &sides[ECHO],
                                    .kind = GOAL_AT_MOST,
                                    .goal = 0.50});
    if (count == ASKERS)
        result_ratio(b, &(struct claim){.what = "the same / Redis EVALSHA, one "
                                                "a millisecond",
                                        .ours = &sides[OWN],
                                        .peer = &sides[REDIS]});
    return true;
}

bool
row_ask(struct bench *b)
{
    static struct side sides[ASKERS];
    bool is_done = ask_on_one_core(b, sides);

    end_askers(sides);
    if (!is_done)
        return false;
    is_done = ask_in_peace(b, sides);
    end_askers(sides);
    return is_done;
}

/* ---- many at once ---- */

bool
row_pipeline(struct bench *b)
{
    static const char to_redis[] = "pipelined ACQUIRE / Redis EVALSHA "
                                   "pipelined, decisions a second";
    static struct side sides[3];
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    bool has_redis = peer_is_there(b, "redis");
    char endpoint[BENCH_PATH_SIZE];
    char socket[BENCH_PATH_SIZE];
    bool is_done = d != NULL && process_pin(d->pid, PROCESS_ANY_CORE);

    sides[0] = (struct side){.name = "ACQUIRE", .block = "flow"};
    sides[1] = (struct side){.name = "bare echo", .block = "flow"};
    sides[2] = (struct side){.name = "redis", .block = "flow"};
    if (is_done) {
        sides[0].server = d->pid;
        sides[1].server =
            peer_serve_echo(b, "flow", PROCESS_ANY_CORE, endpoint);
        is_done =
            sides[1].server != 0 &&
            side_add_dealers(b, &sides[0], CLIENTS, d->endpoint,
                             PROCESS_ANY_CORE) &&
            side_add_dealers(b, &sides[1], CLIENTS, endpoint, PROCESS_ANY_CORE);
    }
    if (is_done && has_redis) {
        sides[2].server = peer_serve_redis(b, "flow", PROCESS_ANY_CORE, socket);
        is_done = sides[2].server != 0 &&
                  side_add_peers(b, &sides[2], CLIENTS, "redis", socket,
                                 PROCESS_ANY_CORE);
    }
    is_done = is_done && side_alternate(b, sides, has_redis ? 3 : 2);
    if (is_done) {
        result_ratio(b, &(struct claim){.what = "pipelined ACQUIRE / bare "
                                                "echo, decisions a second",
                                        .ours = &sides[0],
                                        .peer = &sides[1],
                                        .figure = FIGURE_RATE,
                                        .kind = GOAL_AT_LEAST,
                                        .goal = 0.80});
        result_ratio(b, &(struct claim){.what = "the server's processor time a "
                                                "decision / bare echo",
                                        .ours = &sides[0],
                                        .peer = &sides[1],
                                        .figure = FIGURE_SERVER,
                                        .kind = GOAL_AT_MOST,
                                        .goal = 1.4});
    }
    if (is_done && has_redis)
        result_ratio(b, &(struct claim){.what = to_redis,
                                        .ours = &sides[0],
                                        .peer = &sides[2],
                                        .figure = FIGURE_RATE,
                                        .kind = GOAL_AT_LEAST,
                                        .goal = 3.5});
    else if (is_done && !peer_is_there(b, "redis"))
        result_skip(b, to_redis, b->why);
    side_stop(sides, 3);
    process_stop(sides[1].server);
    process_stop(sides[2].server);
    return is_done;
}

/* ---- outcomes ---- */

/* All that was told has been counted: what is lost costs nothing. */
static bool
check_counted(struct bench *b, const struct bench_daemon *d, uint64_t before,
              uint64_t told)
{
    uint64_t after;
    char note[80];

    if (!daemon_successes(b, d, "bench", &after))
        return false;
    if ((double)(after - before) >= (double)told * (1 - LOST_MAX))
        return true;
    snprintf(note, sizeof note, "%llu of %llu",
             (unsigned long long)(after - before), (unsigned long long)told);
    return bench_fail(b, "outcomes were lost: counted were ", note);
}

static void
tell_ingested(struct bench *b, const char *what, const struct side *s,
              double goal)
{
    struct fact fact = {.what = what,
                        .value = series_invert(&s->server_ns, 1e9),
                        .unit = UNIT_RATE,
                        .kind = GOAL_AT_LEAST,
                        .goal = goal};

    result_fact(b, &fact);
}

bool
row_ingest(struct bench *b)
{
    static struct side sides[2];
    struct bench_daemon *d = bench_get_daemon(b, BENCH_SMALL);
    uint64_t before = 0;
    bool is_done;

    sides[0] = (struct side){.name = "by libbreaker",
                             .block = "flood",
                             .words = "16",
                             .count = FLOOD_ROUNDS};
    sides[1] =
        (struct side){.name = "REPORTQ", .block = "tell", .words = "100"};
    is_done =
        d != NULL && process_pin(d->pid, PROCESS_ANY_CORE) &&
        side_add_worker(b, &sides[0], d, "auto", NULL, PROCESS_ANY_CORE) &&
        side_add_dealers(b, &sides[1], 1, d->endpoint, PROCESS_ANY_CORE);
    if (is_done) {
        struct player_told told;

        sides[0].server = sides[1].server = d->pid;
        /* So that the service is there to be asked about. */
        is_done =
            peer_ask(b, &sides[1].peers[0], "trip", 1, NULL, &told) &&
            daemon_successes(b, d, "bench", &before) &&
            side_alternate(b, sides, 2) &&
            check_counted(b, d, before, sides[0].ops_sum + sides[1].ops_sum);
    }
    if (is_done) {
        tell_ingested(b, "outcomes a core second of the daemon, by libbreaker",
                      &sides[0], 5e6);
        tell_ingested(b,
                      "outcomes a core second, by REPORTQ lines, 100 a "
                      "message",
                      &sides[1], 2e6);
    }
    side_stop(sides, 2);
    return is_done;
}
