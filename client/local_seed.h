#ifndef CLIENT_LOCAL_SEED_H
#define CLIENT_LOCAL_SEED_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How the local machine begins: routes and services as the daemon published them
 * last, adjusted to a worker that is on its own. */
#include "core/fleet.h"

struct breaker;

/* A fleet of our own in fresh memory, with the published routes; NULL: no
 * memory. Freed with free(). */
struct bk_fleet *local_seed_fleet(struct breaker *b);
/* Brings a service in with its published state if it is not there yet: itself,
 * the members of the route it is, and what they require. What was never
 * published is made on first use with the defaults. */
void local_seed(struct breaker *b, struct bk_fleet *f, int64_t now_ns,
                const char *name);

#endif
