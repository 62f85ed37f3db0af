#ifndef NOTIFY_H
#define NOTIFY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service manager wants to hear ($NOTIFY_SOCKET, sd_notify(3)). */
#include <stdint.h>

/* "READY=1", "STOPPING=1", ...; nothing happens without a manager. */
void notify_send(const char *state);
/* How often "WATCHDOG=1" is expected: half of what $WATCHDOG_USEC says, 0 for
 * never. */
int64_t notify_watchdog_ns(void);

#endif
