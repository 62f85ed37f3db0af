#ifndef BK_BUG_H
#define BK_BUG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens when a promise we made ourselves is broken. In the daemon, the
 * tools and the tests the program stops. Inside a worker (BK_BUG_HOOK) the client
 * is told, takes itself out of service and lets the host's calls through. */
#ifdef BK_BUG_HOOK
void bk_bug(const char *promise, const char *file, int line);
#define BK_ASSERT(promise) \
    ((promise) ? (void)0 : bk_bug(#promise, __FILE__, __LINE__))
#else
#include <assert.h>
#define BK_ASSERT(promise) assert(promise)
#endif

#endif
