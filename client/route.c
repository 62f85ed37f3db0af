/* SPDX-License-Identifier: Apache-2.0 */
#include "client/route.h"
#include <string.h>

_Static_assert(BK_ROUTE_MEMBERS <= BREAKER_CHAIN_MAX, "a route is a chain");

uint32_t
route_members(struct breaker *b, const struct breaker_service *s,
              struct breaker_service *members[BREAKER_CHAIN_MAX])
{
    struct view *view = client_view(b);
    struct bk_route route;
    uint64_t published;
    uint32_t count = 0;

    if (view == NULL)
        return 0;
    published = atomic_load_explicit(&view->segment.header->route_count,
                                     memory_order_acquire);
    /* A name is a service's or a route's, and calls are mostly to services. */
    if (published == 0 ||
        bk_segment_find(&view->segment, s->name, s->name_len) != BK_NO_SLOT)
        return 0;
    for (uint32_t i = 0; i < published && i < view->segment.limits.routes;
         i++) {
        if (!bk_segment_read_route(&view->segment, i, &route) ||
            strcmp(route.name, s->name) != 0)
            continue;
        for (uint32_t k = 0; k < route.count; k++) {
            members[count] = breaker_service(b, route.members[k]);
            if (members[count] != NULL)
                count++;
        }
        return count;
    }
    return 0;
}

void
route_policy(struct breaker *b, const struct breaker_service *s,
             struct bk_policy *out)
{
    struct view *view = client_view(b);
    struct bk_record record;
    uint32_t slot;

    if (view != NULL) {
        slot = bk_segment_find(&view->segment, s->name, s->name_len);
        if (slot != BK_NO_SLOT &&
            bk_segment_read(&view->segment, slot, &record) &&
            strcmp(record.name, s->name) == 0 &&
            bk_segment_read_policy(&view->segment, record.policy, out))
            return;
    }
    bk_policy_defaults(out);
    bk_policy_overlay(out, &b->environment, BK_FROM_ENVIRONMENT, NULL);
}
