#ifndef CLIENT_BUG_H
#define CLIENT_BUG_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A broken promise of the core inside a worker. The host goes on: the core is
 * pure, so leaving it by a jump loses nothing but the machine it worked on. */
#include <stdbool.h>
#include <stdint.h>

typedef void bug_work(void *context);

/* Does `work`; false when a promise was broken in it, with a clause about which
 * in *what. Not to be nested. */
bool bug_guard(bug_work *work, void *context, const char **what);
/* Promises broken so far in this process. */
uint64_t bug_count(void);

#endif
