#ifndef BK_PREFETCH_H
#define BK_PREFETCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Calling for memory before it is needed. */
#include <stddef.h>

/* The cache line at `at` is to be here, and nowhere else, when it is written. Any
 * address may be named. */
static inline void
bk_prefetch(const void *at)
{
#if defined(__x86_64__)
    /* What compilers make of the builtin by default fetches it to be read only; and a
     * function that does nothing else is idle to them, and not called. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
#endif
}

/* The same of all lines from there on; of the last perhaps not. */
static inline void
bk_prefetch_all(const void *from, size_t octets)
{
    for (size_t at = 0; at < octets; at += 64)
        bk_prefetch((const char *)from + at);
}

#endif
