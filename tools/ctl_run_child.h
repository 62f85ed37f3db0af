#ifndef CTL_RUN_CHILD_H
#define CTL_RUN_CHILD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of a command: started, its output passed on, signals handed to it,
 * ended when its time is over. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A command that ignores TERM gets KILL this much later. */
#define RUN_GRACE_NS INT64_C(5000000000)

/* What does not change between attempts. */
struct run_frame {
    const char *const *argv;
    size_t argc;
    int64_t timeout_ns; /* of each attempt; 0: none */
    bool counts_output; /* stdout goes through us, to know whether it was
                                written */
    int signals;        /* a signalfd, see run_signals */
    int64_t every_ns;   /* how often `tick` is called */
    void (*tick)(void *context);
    void *context;
};

/* How one attempt ended. */
struct run_end {
    int status;       /* as the shell would say it */
    int signal;       /* the command died of it; 0: it did not */
    int told;         /* the signal that was meant for us; 0: none */
    bool is_timeout;  /* we ended it: its time was over */
    bool has_written; /* counts_output: something came on stdout */
    bool was_started;
};

/* Blocks the signals that are passed on and the one of a child's end; returns
 * the descriptor where they arrive, or -1. */
int run_signals(void);
/* Runs the command to its end. A command that cannot be started is told on
 * stderr; its status is 127 (not found) or 126. */
void run_child(const struct run_frame *frame, struct run_end *end);
/* Sleeps; the signal that ended it early, or 0. */
int run_sleep(int signals, int64_t ns);

#endif
