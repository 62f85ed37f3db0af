#ifndef CLIENT_LIVE_H
#define CLIENT_LIVE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage with the real breakerd on it. Services: "slow" has one permit at a time,
 * "quick" trips at two failures for 300 ms; others have the defaults. */
#include "client_stage.h"

/* cmocka's setup and teardown, with a daemon that runs. */
int live_up(void **state);
int live_down(void **state);
/* Starts it (again) and waits until it answers. */
void live_start(struct stage *s);
/* Ends it with this signal and waits until it is gone. */
void live_end(int signal_number);
pid_t live_pid(void);
/* The number behind `key` (as in "\"denied\":") of a service's status; -1: none. */
long live_number(struct stage *s, const char *name, const char *key);

#endif
