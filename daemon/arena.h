#ifndef ARENA_H
#define ARENA_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One large piece of memory of which little may ever be used: zeros, taken page by
 * page as they are touched, and in large pages where much will be. */
#include <stddef.h>

#define ARENA_LARGE_PAGE ((size_t)2 << 20)

/* Octets from `at` to the next large page, 0 where one begins. */
size_t arena_to_large(const void *at);
/* NULL: there is none. It starts on a large page. */
void *arena_open(size_t bytes);
void arena_close(void *arena, size_t bytes);
/* Much of these octets will be used: large pages, where there are some. */
void arena_prefer_large(void *at, size_t bytes);

#endif
