#ifndef LOOP_H
#define LOOP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's one loop: everything that decides happens here, nothing here
 * waits for a disk or a network. */
#include "daemon/rings.h"
#include "daemon/router.h"

struct loop {
    struct registry *registry;
    struct router *router;
    struct commands *commands;
    struct watch *watch;
    struct rings *rings;
    struct callers *callers;
    int signal_fd; /* SIGTERM, SIGINT, SIGHUP */
};

/* Runs until it is told to end. 0: ended on purpose; 1: it gave up (a line says
 * why). */
int loop_run(struct loop *l);

#endif
