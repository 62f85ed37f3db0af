#ifndef SCENARIO_ACTOR_H
#define SCENARIO_ACTOR_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * An actor of a scenario as a process of its own with a socket of its own. It is
 * told over a pair of sockets what to send, and tells what was answered. */
#include "tools/scenario_file.h"
#include "tools/scenario_worker.h"
#include <sys/types.h>

/* How long an actor waits for the daemon's answer. */
#define SCENARIO_ANSWER_MS 2000

struct scenario_actor {
    const char *name;
    pid_t pid; /* 0: not running */
    int fd;    /* to it; -1: none */
};

/* Where an actor turns to, and how. Its strings outlive it. */
struct scenario_part {
    const char *name;
    const char *socket_path;    /* of the endpoint */
    bool is_worker;             /* it greets with its name */
    const char *library_dir;    /* of the instance; NULL: it sends all lines */
    struct scenario_ways *ways; /* shared with it; NULL likewise */
};

/* Starts the process, which connects. False with a sentence. */
bool scenario_actor_start(struct scenario_actor *actor,
                          const struct scenario_part *part,
                          struct bk_text *error);
/* Sends lines and waits for their answers, both separated by \n. */
bool scenario_actor_ask(struct scenario_actor *actor, const char *lines,
                        struct bk_text *answers, struct bk_text *error);
/* Has it connect anew, to a daemon that was started again. */
bool scenario_actor_reconnect(struct scenario_actor *actor,
                              struct bk_text *error);
/* Has it tell what its library keeps back. */
bool scenario_actor_tell_all(struct scenario_actor *actor,
                             struct bk_text *error);
/* Kills the process and waits for its end. Fine when it is not running. */
void scenario_actor_kill(struct scenario_actor *actor);

#endif
