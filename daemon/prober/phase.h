#ifndef PROBER_PHASE_H
#define PROBER_PHASE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * When a service's turn comes. Each name has a place of its own in the interval,
 * so that health probes of many services do not start together. */
#include <stdint.h>

/* The first instant after `now_ns` at which this name is asked, every
 * `interval_ns`. */
int64_t phase_next(const char *name, int64_t interval_ns, int64_t now_ns);

#endif
