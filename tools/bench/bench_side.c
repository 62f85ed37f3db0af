/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_side.h"
#include "tools/bench/bench_process.h"
#include <string.h>

/* Blocks are about this long. */
#define BLOCK_NS INT64_C(40000000)
#define QUICK_BLOCK_NS INT64_C(15000000)
/* As long as what a daemon does each second takes its share of every block. */
#define LONG_BLOCK_NS INT64_C(1200000000)
#define QUICK_LONG_BLOCK_NS INT64_C(400000000)
/* Those of several processes take a while to get going, and those that get into
 * each other's way do so in stretches. */
#define SEVERAL_FACTOR 3
#define CROWD_FACTOR 10
#define COUNT_FIRST 64
#define TRIES 24
#define COUNT_MAX (UINT64_C(1) << 26)

struct sums {
    uint64_t ops;
    int64_t wall_ns;
    int64_t cpu_ns;
    int64_t server_ns;
    int64_t loop_ns;
    struct player_told first;
};

/* Room for one more; there always is. */
static struct peer *
add(struct side *s)
{
    return &s->peers[s->peer_count < SIDE_PEERS_MAX ? s->peer_count++
                                                    : SIDE_PEERS_MAX - 1];
}

bool
side_add_worker(struct bench *b, struct side *s, const struct bench_daemon *d,
                const char *mode, const char *env, int core)
{
    return peer_start_worker(b, add(s), d, mode, env, core);
}

bool
side_add_dealers(struct bench *b, struct side *s, size_t count,
                 const char *endpoint, int core)
{
    return side_add_peers(b, s, count, "dealer", endpoint, core);
}

bool
side_add_peers(struct bench *b, struct side *s, size_t count,
               const char *program, const char *argument, int core)
{
    struct peer_plan plan = {
        .program = program, .args = {argument}, .core = core};

    for (size_t i = 0; i < count; i++) {
        if (!peer_start(b, add(s), &plan))
            return false;
    }
    return true;
}

bool
side_spread_workers(struct bench *b, struct side *s, size_t count,
                    const struct bench_daemon *d)
{
    for (size_t i = 0; i < count; i++) {
        if (!side_add_worker(b, s, d, "auto", NULL, b->cores[i % 2]))
            return false;
    }
    return true;
}

bool
side_spread_peers(struct bench *b, struct side *s, size_t count,
                  const char *program, const char *argument)
{
    for (size_t i = 0; i < count; i++) {
        if (!side_add_peers(b, s, 1, program, argument, b->cores[i % 2]))
            return false;
    }
    return true;
}

/* One block of all its peers. */
static bool
play(struct bench *b, struct side *s, uint64_t count, struct sums *sums)
{
    int64_t server_ns = s->server != 0 ? process_cpu_ns(s->server) : 0;
    int64_t loop_ns = s->server != 0 ? process_first_cpu_ns(s->server) : 0;
    int64_t began_ns = INT64_MAX;
    int64_t ended_ns = 0;

    memset(sums, 0, sizeof *sums);
    for (size_t i = 0; i < s->peer_count; i++) {
        if (!peer_tell(b, &s->peers[i], s->block, count, s->words))
            return false;
    }
    for (size_t i = 0; i < s->peer_count; i++) {
        struct player_told told;

        if (!peer_hear(b, &s->peers[i], &told))
            return false;
        if (i == 0)
            sums->first = told;
        sums->ops += told.ops;
        sums->cpu_ns += told.cpu_ns;
        began_ns = told.began_ns < began_ns ? told.began_ns : began_ns;
        ended_ns = told.ended_ns > ended_ns ? told.ended_ns : ended_ns;
    }
    s->ops_sum += sums->ops;
    sums->wall_ns = s->peer_count == 1 ? sums->first.ns : ended_ns - began_ns;
    if (s->server != 0) {
        sums->server_ns = process_cpu_ns(s->server) - server_ns;
        sums->loop_ns = process_first_cpu_ns(s->server) - loop_ns;
    }
    return sums->ops > 0 || bench_fail(b, "did nothing: ", s->name);
}

/* One block, and how long it was. */
static bool
play_for(struct bench *b, struct side *s, uint64_t count, int64_t *took_ns)
{
    struct sums sums;

    if (!play(b, s, count, &sums))
        return false;
    *took_ns = sums.first.ended_ns - sums.first.began_ns + 1;
    return true;
}

/* It is also what warms everything up. A block that happens to be long, as the one in
 * which a worker tells what it has decided, must not make all of them short: what
 * was found is tried once more. */
bool
side_prepare(struct bench *b, struct side *s)
{
    bool is_quick = b->options.is_quick;
    int64_t wanted_ns = s->is_long
                            ? (is_quick ? QUICK_LONG_BLOCK_NS : LONG_BLOCK_NS)
                            : (is_quick ? QUICK_BLOCK_NS : BLOCK_NS);
    uint64_t count = s->count != 0 ? s->count : COUNT_FIRST;
    int64_t took_ns;

    if (s->peer_count > 1)
        wanted_ns *= s->is_crowd ? CROWD_FACTOR : SEVERAL_FACTOR;
    if (!play_for(b, s, count, &took_ns))
        return false;
    for (int tries = 0; s->count == 0 && tries < TRIES && count < COUNT_MAX &&
                        took_ns < wanted_ns / 2;
         tries++) {
        double more = (double)wanted_ns / (double)took_ns;

        count = (uint64_t)((double)count * (more < 4 ? more : 4)) + 1;
        if (!play_for(b, s, count, &took_ns) ||
            (took_ns >= wanted_ns / 2 && !play_for(b, s, count, &took_ns)))
            return false;
    }
    s->count = count;
    return true;
}

static void
keep(struct side *s, const struct sums *sums)
{
    double ops = (double)sums->ops;

    series_add(&s->wall_ns, (double)sums->wall_ns / ops);
    series_add(&s->cpu_ns, (double)sums->cpu_ns / ops);
    series_add(&s->server_ns, (double)sums->server_ns / ops);
    series_add(&s->loop_ns, (double)sums->loop_ns / ops);
    for (size_t i = 0; i < sums->first.more_count; i++)
        series_add(&s->more[i], sums->first.more[i]);
}

bool
side_play(struct bench *b, struct side *s)
{
    struct sums sums;

    if (!play(b, s, s->count, &sums))
        return false;
    keep(s, &sums);
    return true;
}

bool
side_alternate_times(struct bench *b, struct side *sides, size_t count,
                     unsigned repeats)
{
    for (size_t i = 0; i < count; i++) {
        if (!side_prepare(b, &sides[i]))
            return false;
    }
    for (unsigned repeat = 0; repeat < repeats; repeat++) {
        for (size_t i = 0; i < count; i++) {
            if (!side_play(b, &sides[repeat % 2 == 0 ? i : count - 1 - i]))
                return false;
        }
    }
    return true;
}

bool
side_alternate(struct bench *b, struct side *sides, size_t count)
{
    return side_alternate_times(b, sides, count, b->options.repeats);
}

void
side_stop(struct side *sides, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sides[i].peer_count; j++)
            peer_stop(&sides[i].peers[j]);
        sides[i].peer_count = 0;
    }
}
