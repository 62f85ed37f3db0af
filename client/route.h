#ifndef CLIENT_ROUTE_H
#define CLIENT_ROUTE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon has published for calls: a route's members, a service's
 * configuration. */
#include "breaker/retry.h"
#include "client/client.h"

/* The members of the route of this name, first preferred; 0: it is none, or its
 * daemon's memory cannot be read. */
uint32_t route_members(struct breaker *b, const struct breaker_service *s,
                       struct breaker_service *members[BREAKER_CHAIN_MAX]);
/* The configuration published for the service; where there is none, the built-in
 * values and those of this process's environment. */
void route_policy(struct breaker *b, const struct breaker_service *s,
                  struct bk_policy *out);

#endif
