#ifndef MAPS_H
#define MAPS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment under test, in plain memory, fed from the fleet under test. */
#include "core/segment.h"

extern struct bk_segment segment;
extern void *memory; /* what it lies in */
extern size_t bytes;

/* Lays out and attaches a new segment for the fleet's limits. */
void map(void);
/* cmocka's teardown: frees it and the fleet. */
int end_map(void **state);
/* Puts what has changed, as the daemon does after each turn. */
void publish(void);

#endif
