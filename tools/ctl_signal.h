#ifndef CTL_SIGNAL_H
#define CTL_SIGNAL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Ctrl-C as the way to end a command that would go on for ever. */
#include <stdbool.h>

/* Catches the first SIGINT; the next one ends the program as ever, so that
 * nothing that is stuck keeps it. Where SIGINT is ignored (a job in the
 * background) it stays so. Returns a descriptor that is readable once it came,
 * or -1 with errno. It lasts until the program ends. */
int ctl_signal_watch(void);
bool ctl_signal_came(void);

#endif
