#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Those who are compared: one or several peers that play the same block at once.
 * Their blocks alternate, so that what the machine does meanwhile happens to all. */
#include "tools/bench/bench_peer.h"

#define SIDE_PEERS_MAX 8

struct side {
    const char *name; /* as tables call it */
    const char *block;
    const char *words;
    uint64_t count; /* a block and peer; 0: found out, for blocks of a length */
    uint64_t ops_sum; /* of all its blocks, the first ones too */
    struct peer peers[SIDE_PEERS_MAX];
    size_t peer_count;
    /* For each repeat, per operation. */
    struct series wall_ns;
    struct series cpu_ns; /* of the peers */
    struct series server_ns;
    struct series loop_ns;
    struct series more[PLAYER_MORE_MAX]; /* as told by the first peer */
    pid_t server;  /* whose processor time is of interest; 0: none's */
    bool is_crowd; /* they share memory: it takes long until all meet */
    bool is_long;  /* blocks of more than a second */
};

/* One more of its peers; `core` as in process_plan, `env` NAME=VALUE or NULL. */
bool side_add_worker(struct bench *b, struct side *s,
                     const struct bench_daemon *d, const char *mode,
                     const char *env, int core);
bool side_add_dealers(struct bench *b, struct side *s, size_t count,
                      const char *endpoint, int core);
bool side_add_peers(struct bench *b, struct side *s, size_t count,
                    const char *program, const char *argument, int core);
/* Whoever shares memory is spread over the cores one after the other: where many
 * are woken at once, the scheduler first puts all of them on the waker's. */
bool side_spread_workers(struct bench *b, struct side *s, size_t count,
                         const struct bench_daemon *d);
bool side_spread_peers(struct bench *b, struct side *s, size_t count,
                       const char *program, const char *argument);
/* So many blocks of each, in turns that go back and forth. */
bool side_alternate(struct bench *b, struct side *sides, size_t count);
bool side_alternate_times(struct bench *b, struct side *sides, size_t count,
                          unsigned repeats);
/* By hand: what makes a block, then one block. */
bool side_prepare(struct bench *b, struct side *s);
bool side_play(struct bench *b, struct side *s);
/* Stops the peers of all of them. */
void side_stop(struct side *sides, size_t count);

#endif
