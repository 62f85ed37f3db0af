#ifndef BENCH_PEER_H
#define BENCH_PEER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that are asked to play blocks (bench_player.h says how), and servers
 * that some of them need. */
#include "tools/bench/bench.h"
#include "tools/bench/bench_player.h"

struct peer {
    pid_t pid;
    int to;
    int from;
    char name[32];
};

/* The program is looked for beside this one (with "breaker-bench-" before its
 * name), then among the peers. A NULL ends the arguments, which are at most four. */
struct peer_plan {
    const char *program;
    const char *args[4];
    const char *env; /* NAME=VALUE, or NULL */
    int core;
};

/* False, with the words why: it was not built, or needs what is not there. */
bool peer_is_there(struct bench *b, const char *program);
bool peer_start(struct bench *b, struct peer *p, const struct peer_plan *plan);
void peer_stop(struct peer *p);
/* Orders a block and does not wait for it. */
bool peer_tell(struct bench *b, struct peer *p, const char *block,
               uint64_t count, const char *words);
/* Waits for what was ordered. */
bool peer_hear(struct bench *b, struct peer *p, struct player_told *told);
bool peer_ask(struct bench *b, struct peer *p, const char *block,
              uint64_t count, const char *words, struct player_told *told);

/* A worker of ours; `env` as above. */
bool peer_start_worker(struct bench *b, struct peer *p,
                       const struct bench_daemon *d, const char *mode,
                       const char *env, int core);

/* Servers: the bare echo, and Redis. They stay until the end, or peer_stop_server.
 * `name` names their socket. 0: see `why`. */
pid_t peer_serve_echo(struct bench *b, const char *name, int core,
                      char endpoint[BENCH_PATH_SIZE]);
pid_t peer_serve_redis(struct bench *b, const char *name, int core,
                       char socket[BENCH_PATH_SIZE]);

#endif
