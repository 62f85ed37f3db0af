#ifndef CLIENT_HOME_H
#define CLIENT_HOME_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Who issued a permit or a token: which process, and within it the daemon (also by
 * its memory) or the local machine of a certain outage. */
#include "client/client.h"

static inline uint64_t
home_of_daemon(struct breaker *b)
{
    return (uint64_t)client_world(b)->life << 32;
}

static inline uint64_t
home_of_local(struct breaker *b, uint32_t serial)
{
    return home_of_daemon(b) | serial;
}

/* The outage; 0: the daemon issued it. */
static inline uint32_t
home_serial(uint64_t home)
{
    return (uint32_t)home;
}

/* False in a child for what its parent was given. */
static inline bool
home_is_ours(struct breaker *b, uint64_t home)
{
    return home >> 32 == client_world(b)->life;
}

#endif
