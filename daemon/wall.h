#ifndef WALL_H
#define WALL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Instants for people: RFC 3339, UTC, milliseconds. */
#include <stdint.h>

#define WALL_SIZE 40

void wall_format(int64_t wall_ms, char out[WALL_SIZE]);

#endif
