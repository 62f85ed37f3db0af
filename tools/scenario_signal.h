#ifndef SCENARIO_SIGNAL_H
#define SCENARIO_SIGNAL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C and its like: remembered, so that whoever waits can end in order and
 * leave nothing behind. */
#include <stdbool.h>

/* Catches SIGINT, SIGTERM and SIGHUP; ignores SIGPIPE. */
void scenario_signal_catch(void);
/* The signal that came, or 0. */
int scenario_signal_came(void);

#endif
