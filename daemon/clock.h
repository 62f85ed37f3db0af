#ifndef CLOCK_H
#define CLOCK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The only place of the daemon that reads clocks. */
#include <stdint.h>

int64_t clock_boot_ns(void); /* deadlines: goes on while suspended */
int64_t clock_mono_ns(void); /* the heartbeat's second form */
int64_t clock_wall_ms(void); /* SQLite and people */

#endif
