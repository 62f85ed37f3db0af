/* SPDX-License-Identifier: Apache-2.0
 *
 * Curves against the number of processes and of services, for the plots. */
#define _GNU_SOURCE
#include "tools/bench/bench_process.h"
#include "tools/bench/bench_rows.h"
#include <stdio.h>

#define REPEATS 3
#define CROWD_MAX 8
/* Each of them: ours, an echo, Redis; ours and the robust mutex. */
#define SIDES 3

static const size_t crowds[] = {1, 2, 4, 8};
static const unsigned services[] = {1, 10, 100, 1000, 10000};

struct place {
    struct bench_daemon *d;
    char echo[BENCH_PATH_SIZE];
    char redis[BENCH_PATH_SIZE];
    char robust[BENCH_PATH_SIZE + 16];
    bool has_redis;
};

static bool
play(struct bench *b, struct side *sides, size_t count)
{
    unsigned repeats =
        b->options.repeats < REPEATS ? b->options.repeats : REPEATS;
    bool is_done = side_alternate_times(b, sides, count, repeats);

    side_stop(sides, count);
    return is_done;
}

static double
median(const struct side *s, enum figure figure)
{
    return series_median(result_figure(s, figure));
}

/* As many who ask, one by one or pipelined. */
static bool
draw_asking(struct bench *b, const struct place *p, size_t crowd,
            bool is_pipelined)
{
    static const char *const names[] = {"breakerd", "bare echo", "redis"};
    static struct side sides[SIDES];
    size_t count = p->has_redis ? SIDES : SIDES - 1;
    bool is_done;

    for (size_t i = 0; i < count; i++)
        sides[i] = (struct side){.name = names[i],
                                 .block = is_pipelined ? "flow" : "trip"};
    is_done =
        side_add_dealers(b, &sides[1], crowd, p->echo, PROCESS_ANY_CORE) &&
        (!p->has_redis || side_add_peers(b, &sides[2], crowd, "redis", p->redis,
                                         PROCESS_ANY_CORE));
    if (is_pipelined) {
        is_done = is_done && side_add_dealers(b, &sides[0], crowd,
                                              p->d->endpoint, PROCESS_ANY_CORE);
    } else {
        sides[0].block = "ask";
        for (size_t i = 0; is_done && i < crowd; i++)
            is_done = side_add_worker(b, &sides[0], p->d, "zmq", NULL,
                                      PROCESS_ANY_CORE);
    }
    if (!is_done || !play(b, sides, count)) {
        side_stop(sides, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        double ns = median(&sides[i], FIGURE_WALL);

        if (is_pipelined)
            result_point(b, "throughput", names[i], (double)crowd, 1e9 / ns);
        else
            result_point(b, "latency", names[i], (double)crowd,
                         ns * (double)crowd);
    }
    return true;
}

static bool
draw_sharing(struct bench *b, const struct place *p, size_t crowd)
{
    static struct side sides[2];
    bool is_done;

    sides[0] = (struct side){.name = "guarded call", .block = "guard"};
    sides[1] = (struct side){
        .name = "robust mutex", .block = "guard", .is_crowd = crowd > 1};
    is_done = side_spread_peers(b, &sides[1], crowd, "robust", p->robust) &&
              side_spread_workers(b, &sides[0], crowd, p->d);
    if (!is_done || !play(b, sides, 2)) {
        side_stop(sides, 2);
        return false;
    }
    result_point(b, "sharing", "breakerd", (double)crowd,
                 median(&sides[0], FIGURE_CPU));
    result_point(b, "sharing", "robust mutex", (double)crowd,
                 median(&sides[1], FIGURE_CPU));
    return true;
}

static bool
draw_services(struct bench *b, unsigned count)
{
    static struct side sides[3];
    struct bench_daemon *d = bench_get_daemon(b, BENCH_BIG);
    char one[16];
    char lines[24];

    if (d == NULL)
        return false;
    snprintf(one, sizeof one, "%u", count);
    snprintf(lines, sizeof lines, "100 %u", count);
    sides[0] =
        (struct side){.name = "decision", .block = "decide", .words = one};
    sides[1] = (struct side){
        .name = "ACQUIRE", .block = "flow", .words = lines, .server = d->pid};
    sides[2] = (struct side){
        .name = "REPORTQ", .block = "tell", .words = lines, .server = d->pid};
    if (!side_add_worker(b, &sides[0], d, "auto", NULL, PROCESS_ANY_CORE) ||
        !side_add_dealers(b, &sides[1], 1, d->endpoint, PROCESS_ANY_CORE) ||
        !side_add_dealers(b, &sides[2], 1, d->endpoint, PROCESS_ANY_CORE) ||
        !play(b, sides, 3)) {
        side_stop(sides, 3);
        return false;
    }
    result_point(b, "services", "decision", count,
                 median(&sides[0], FIGURE_WALL));
    result_point(b, "services", "ACQUIRE", count,
                 median(&sides[1], FIGURE_SERVER));
    result_point(b, "services", "REPORTQ", count,
                 median(&sides[2], FIGURE_SERVER));
    return true;
}

bool
row_curves(struct bench *b)
{
    static struct place p;
    pid_t echo = peer_serve_echo(b, "curves", PROCESS_ANY_CORE, p.echo);
    pid_t redis = 0;
    bool is_done;

    p.d = bench_get_daemon(b, BENCH_SMALL);
    p.has_redis = peer_is_there(b, "redis");
    snprintf(p.robust, sizeof p.robust, "%s/robust", b->dir);
    if (p.has_redis)
        redis = peer_serve_redis(b, "curves", PROCESS_ANY_CORE, p.redis);
    is_done = echo != 0 && p.d != NULL && (!p.has_redis || redis != 0) &&
              process_pin(p.d->pid, PROCESS_ANY_CORE);
    for (size_t i = 0; is_done && i < sizeof crowds / sizeof crowds[0]; i++)
        is_done = draw_asking(b, &p, crowds[i], true) &&
                  draw_asking(b, &p, crowds[i], false) &&
                  draw_sharing(b, &p, crowds[i]);
    for (size_t i = 0; is_done && i < sizeof services / sizeof services[0]; i++)
        is_done = draw_services(b, services[i]);
    process_stop(redis);
    process_stop(echo);
    return is_done;
}
