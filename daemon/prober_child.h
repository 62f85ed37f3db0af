#ifndef PROBER_CHILD_H
#define PROBER_CHILD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober as a process: found, started, ended, started again. Nothing here
 * waits for it. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct prober_child {
    pid_t pid; /* 0: none; not 0 and fd -1: killed, not buried yet */
    int fd;    /* the socket to it; -1: none */
    int64_t started_ns;
    int64_t next_start_ns;
    int64_t backoff_ns;
    bool is_missing; /* the program was not found, and that was said */
};

void prober_child_init(struct prober_child *c);
/* Starts it when that is due. False: not now, a line said why. */
bool prober_child_start(struct prober_child *c, int64_t now_ns);
/* Kills it, if it is there; it may be started again after a while that grows with
 * each life that was short. */
void prober_child_end(struct prober_child *c, int64_t now_ns);
/* Buries what was killed. */
void prober_child_reap(struct prober_child *c);

#endif
