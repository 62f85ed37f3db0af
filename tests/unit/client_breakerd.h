#ifndef CLIENT_BREAKERD_H
#define CLIENT_BREAKERD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The real breakerd in a stage's directory. One at a time. */
#include "client_stage.h"
#include <sys/types.h>

extern pid_t breakerd_pid; /* 0: none runs */

/* Starts it with this configuration and waits until it answers. */
void breakerd_start(struct stage *s, const char *config);
/* Ends it and waits for it; nothing when none runs. */
void breakerd_end(int signal_number);
/* The number behind `key` in the service's status. */
double breakerd_number(struct stage *s, const char *name, const char *key);

#endif
