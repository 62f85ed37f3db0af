/* SPDX-License-Identifier: Apache-2.0
 *
 * What nothing can be faster than, and how far from it the peers are: those must be
 * as good here as they were when the goals were set, or the goals are too easy. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLOORS 7
#define ALIKE 0.25

/* ---- floors ---- */

bool
row_floors(struct bench *b)
{
    static const char *const told[FLOORS][3] = {
        {"an acquire load", "load", NULL},
        {"CLOCK_MONOTONIC", "clock", "0"},
        {"CLOCK_MONOTONIC_COARSE", "clock", "1"},
        {"a record of 64 octets stored", "store", NULL},
        {"futex there and back, one core", "futex", NULL},
        {"socket there and back, one core", "socket", NULL},
        {"libzmq echo, one core", "trip", NULL},
    };
    static struct side sides[FLOORS];
    char endpoint[BENCH_PATH_SIZE];
    pid_t echo = peer_serve_echo(b, "floor", b->cores[0], endpoint);
    bool is_done = echo != 0;

    for (size_t i = 0; i < FLOORS; i++) {
        sides[i] = (struct side){
            .name = told[i][0], .block = told[i][1], .words = told[i][2]};
        if (is_done && i + 1 < FLOORS)
            is_done =
                side_add_peers(b, &sides[i], 1, "floor", NULL, b->cores[0]);
    }
    is_done =
        is_done &&
        side_add_dealers(b, &sides[FLOORS - 1], 1, endpoint, b->cores[0]) &&
        side_alternate(b, sides, FLOORS);
    for (size_t i = 0; is_done && i < FLOORS; i++) {
        struct fact fact = {
            .what = told[i][0], .value = sides[i].wall_ns, .unit = UNIT_NS};

        result_fact(b, &fact);
    }
    side_stop(sides, FLOORS);
    process_stop(echo);
    return is_done;
}

/* ---- peers over their floors ---- */

struct pair {
    const char *what;
    double reference; /* when the goals were set */
    /* program, block, words, processes; a server's name instead of an argument */
    struct {
        const char *name;
        const char *program;
        const char *block;
        const char *words;
        size_t count;
    } peer, floor;
    enum figure figure;
    double clocks;       /* of the floor in one of the peer's */
    const char *because; /* it may be unlike the reference */
};

/* The reference ratios are of 30, 59 ns to 23 and 46 of clocks, 69 to 59, 425 to 69,
 * 10 us to 9, 53 to 96, 1.4 M/s to 271 k/s, 129, 168 and 499 ns to 59. */
#define ON_CLOCK                          \
    {                                     \
        "clock", "floor", "clock", "0", 1 \
    }
#define ON_MUTEX                           \
    {                                      \
        "mutex", "mutex", "guard", NULL, 1 \
    }
#define TWO_SPEEDS "it has two speeds, as those who wait meet or sleep in turns"
#define TWO_PLACES "each has two speeds, by where the scheduler puts both sides"
#define ANOTHER_NODE "its promise is awaited here, by another Node"
static const struct pair pairs[] = {
    {.what = "mutex allow / precise clock",
     .reference = 1.30,
     .peer = {"mutex", "mutex", "allow", "precise", 1},
     .floor = ON_CLOCK,
     .clocks = 1},
    {.what = "mutex allow + report / two precise clocks",
     .reference = 1.28,
     .peer = ON_MUTEX,
     .floor = ON_CLOCK,
     .clocks = 2},
    {.what = "robust mutex alone / mutex allow + report",
     .reference = 1.17,
     .peer = {"robust mutex", "robust", "guard", NULL, 1},
     .floor = ON_MUTEX,
     .clocks = 1},
    {.what = "robust mutex at 4 processes / alone, processor time",
     .reference = 6.16,
     .peer = {"4 processes", "robust", "guard", NULL, 4},
     .floor = {"alone", "robust", "guard", NULL, 1},
     .figure = FIGURE_CPU,
     .clocks = 1,
     .because = TWO_SPEEDS},
    {.what = "SQLite decision / its bare commit",
     .reference = 1.11,
     .peer = {"sqlite", "sqlite", "decide", NULL, 1},
     .floor = {"commit", "sqlite", "commit", NULL, 1},
     .clocks = 1},
    {.what = "Redis EVALSHA / bare libzmq echo, anywhere",
     .reference = 0.55,
     .peer = {"redis", "redis", "trip", NULL, 1},
     .floor = {"echo", "dealer", "trip", NULL, 1},
     .clocks = 1,
     .because = TWO_PLACES},
    {.what = "Redis EVALSHA / bare libzmq echo, 4 clients pipelined",
     .reference = 5.17,
     .peer = {"redis", "redis", "flow", NULL, 4},
     .floor = {"echo", "dealer", "flow", NULL, 4},
     .clocks = 1},
    {.what = "gobreaker Execute / mutex allow + report",
     .reference = 2.19,
     .peer = {"gobreaker", "gobreaker", "execute", NULL, 1},
     .floor = ON_MUTEX,
     .clocks = 1},
    {.what = "cockatiel / mutex allow + report",
     .reference = 2.85,
     .peer = {"cockatiel", "cockatiel", "execute", NULL, 1},
     .floor = ON_MUTEX,
     .clocks = 1,
     .because = ANOTHER_NODE},
    {.what = "opossum / mutex allow + report",
     .reference = 8.46,
     .peer = {"opossum", "opossum", "execute", NULL, 1},
     .floor = ON_MUTEX,
     .clocks = 1,
     .because = ANOTHER_NODE},
};

/* What the program is to be told on its command line. */
struct places {
    char robust[BENCH_PATH_SIZE + 16];
    char sqlite[BENCH_PATH_SIZE + 16];
    char redis[BENCH_PATH_SIZE];
    char echo[BENCH_PATH_SIZE];
};

static const char *
argument_of(const struct places *p, const char *program)
{
    switch (program[0]) {
    case 'r':
        return program[1] == 'o' ? p->robust : p->redis;
    case 's':
        return p->sqlite;
    case 'd':
        return p->echo;
    default:
        return NULL;
    }
}

static void
tell_pair(struct bench *b, const struct pair *pair, struct side *sides)
{
    const struct series *floor = result_figure(&sides[1], pair->figure);
    struct series of = series_scale(floor, pair->clocks);
    struct fact fact = {.what = pair->what, .unit = UNIT_RATIO};
    char note[RESULT_NOTE_SIZE];
    char beside[RESULT_SIDE_SIZE];
    char figures[2][RESULT_TEXT_SIZE];
    double ratio;
    bool is_alike;

    fact.value = series_divide(result_figure(&sides[0], pair->figure), &of);
    ratio = series_median(&fact.value);
    is_alike = fabs(ratio / pair->reference - 1) <= ALIKE;
    snprintf(note, sizeof note, "%.2f when the goals were set: %s%s%s",
             pair->reference,
             is_alike                  ? "alike"
             : ratio < pair->reference ? "better here"
                                       : "worse here",
             !is_alike && pair->because != NULL ? "; " : "",
             !is_alike && pair->because != NULL ? pair->because : "");
    fact.note = note;
    for (int i = 0; i < 2; i++)
        result_write(series_median(result_figure(&sides[i], pair->figure)),
                     UNIT_NS, figures[i]);
    snprintf(beside, sizeof beside, "%s %.24s, %s %.24s", sides[0].name,
             figures[0], sides[1].name, figures[1]);
    fact.peer = beside;
    result_fact(b, &fact);
}

/* Those that do not wait for another process stay on one core; Node has threads of
 * its own. */
static bool
add(struct bench *b, struct side *s, const char *program, size_t count,
    const struct places *at)
{
    const char *argument = argument_of(at, program);
    bool is_alone = strchr("fmrgs", program[0]) != NULL && count == 1 &&
                    strcmp(program, "redis") != 0;

    s->is_crowd = count > 1 && strcmp(program, "robust") == 0;
    if (s->is_crowd)
        return side_spread_peers(b, s, count, program, argument);
    return side_add_peers(b, s, count, program, argument,
                          is_alone ? b->cores[0] : PROCESS_ANY_CORE);
}

static bool
compare_pair(struct bench *b, const struct pair *pair, const struct places *at)
{
    static struct side sides[2];
    bool is_done;

    if (!peer_is_there(b, pair->peer.program)) {
        result_skip(b, pair->what, b->why);
        return true;
    }
    sides[0] = (struct side){.name = pair->peer.name,
                             .block = pair->peer.block,
                             .words = pair->peer.words};
    sides[1] = (struct side){.name = pair->floor.name,
                             .block = pair->floor.block,
                             .words = pair->floor.words};
    is_done = add(b, &sides[0], pair->peer.program, pair->peer.count, at) &&
              add(b, &sides[1], pair->floor.program, pair->floor.count, at) &&
              side_alternate(b, sides, 2);
    if (is_done)
        tell_pair(b, pair, sides);
    side_stop(sides, 2);
    return is_done;
}

bool
row_peers(struct bench *b)
{
    static struct places at;
    pid_t redis = 0;
    pid_t echo = peer_serve_echo(b, "peers", PROCESS_ANY_CORE, at.echo);
    bool is_done = echo != 0;

    snprintf(at.robust, sizeof at.robust, "%s/robust", b->dir);
    snprintf(at.sqlite, sizeof at.sqlite, "%s/sqlite.db", b->disk);
    if (is_done && peer_is_there(b, "redis")) {
        redis = peer_serve_redis(b, "peers", PROCESS_ANY_CORE, at.redis);
        is_done = redis != 0;
    }
    for (size_t i = 0; is_done && i < sizeof pairs / sizeof pairs[0]; i++)
        is_done = compare_pair(b, &pairs[i], &at);
    process_stop(redis);
    process_stop(echo);
    return is_done;
}
