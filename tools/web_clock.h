#ifndef WEB_CLOCK_H
#define WEB_CLOCK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's own time: for how fresh, how old, how soon. */
#include <stdint.h>

int64_t web_clock_ns(void); /* CLOCK_MONOTONIC */

#endif
