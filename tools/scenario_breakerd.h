#ifndef SCENARIO_BREAKERD_H
#define SCENARIO_BREAKERD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A real breakerd in a private directory: its configuration, its process, its
 * files, all gone afterwards. */
#include "tools/scenario_file.h"
#include <sys/types.h>

/* The longest path used here; a socket's path must be shorter still. */
#define SCENARIO_PATH_SIZE 512

struct scenario_breakerd {
    const struct scenario *scenario;
    pid_t pid; /* 0: not running */
    char program[SCENARIO_PATH_SIZE];
    char base[SCENARIO_PATH_SIZE]; /* "" before it is made */
    char dir[SCENARIO_PATH_SIZE];
    char config[SCENARIO_PATH_SIZE];
    char db[SCENARIO_PATH_SIZE];
    char log[SCENARIO_PATH_SIZE];
    char segment[SCENARIO_PATH_SIZE];
    char worker_socket[SCENARIO_PATH_SIZE];
    char operator_socket[SCENARIO_PATH_SIZE];
};

/* Makes the directory and writes the configuration; starts nothing. */
bool scenario_breakerd_prepare(struct scenario_breakerd *b,
                               const struct scenario *s, struct bk_text *error);
/* Starts it, which must not run, and waits until it listens. */
bool scenario_breakerd_start(struct scenario_breakerd *b,
                             struct bk_text *error);
/* SIGTERM to one that runs; false when it does not end, or not with status 0. */
bool scenario_breakerd_stop(struct scenario_breakerd *b, struct bk_text *error);
/* SIGKILL. Fine when it is not running. */
void scenario_breakerd_kill(struct scenario_breakerd *b);
/* False, with the words for it, when it should run and has ended by itself. */
bool scenario_breakerd_lives(struct scenario_breakerd *b,
                             struct bk_text *error);
bool scenario_breakerd_remove_segment(struct scenario_breakerd *b,
                                      struct bk_text *error);
/* Kills what runs and removes the directory. */
void scenario_breakerd_clean(struct scenario_breakerd *b);

#endif
