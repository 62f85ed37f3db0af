#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A breakerd of the bench's own: private directory, private database, its segment
 * mapped to see what it does. */
#include "core/segment.h"
#include <sys/types.h>

#define DAEMON_PATH_SIZE 256

struct bench;

struct bench_daemon {
    char dir[DAEMON_PATH_SIZE];
    char db[DAEMON_PATH_SIZE];
    char conf[DAEMON_PATH_SIZE];
    char worker_socket[DAEMON_PATH_SIZE];
    char endpoint[DAEMON_PATH_SIZE]; /* ipc:// and that */
    pid_t pid;                       /* 0: does not run */
    uint64_t epoch;
    struct bk_segment segment;
    void *base;
    size_t bytes;
    int64_t running_ns;   /* start to the segment says it runs, the last time */
    int64_t listening_ns; /* CLOCK_MONOTONIC: the socket first took somebody */
};

/* Writes its files; `services` 0: the daemon's default. */
bool daemon_prepare(struct bench *b, struct bench_daemon *d, const char *name,
                    unsigned services);
/* Starts it and waits until it serves. */
bool daemon_start(struct bench *b, struct bench_daemon *d);
/* As a crash does. */
void daemon_kill(struct bench_daemon *d);
/* Takes the shared memory away from under a daemon that does not run. */
bool daemon_remove_segment(struct bench *b, struct bench_daemon *d);
struct bk_totals daemon_totals(const struct bench_daemon *d);
/* What the operator's line is answered; false: nothing, or an error. */
bool daemon_ask(struct bench *b, const struct bench_daemon *d, const char *line,
                char *answer, size_t size);
/* How many successes of the service it has counted. */
bool daemon_successes(struct bench *b, const struct bench_daemon *d,
                      const char *service, uint64_t *count);

#endif
