#ifndef SCRATCH_H
#define SCRATCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A directory of a test's own under /tmp. */
#include <stddef.h>

/* Makes it and writes its name (at least 32 octets); fails the test if it
 * cannot. */
void scratch_make(char *path, size_t size);
/* Removes it with all that is in it. */
void scratch_remove(const char *path);

#endif
