/* SPDX-License-Identifier: Apache-2.0 */
#include "client/local_seed.h"
#include "client/client.h"
#include <stdlib.h>
#include <string.h>

#define LOCAL_ROUTES 64

/* A fleet of N workers without a daemon has N reserves; each is an Nth. */
static uint64_t
share_of_reserve(struct breaker *b, uint64_t reserve_ppm)
{
    struct view *view = client_view(b);
    uint64_t workers =
        view == NULL ? 0
                     : atomic_load_explicit(&view->segment.header->workers,
                                            memory_order_relaxed);

    return workers > 1 ? reserve_ppm / workers : reserve_ppm;
}

/* What a service never published gets: the built-in values, and those of the
 * environment, which names the same keys here as in the daemon. */
static bool
default_policy(void *context, const char *name, struct bk_policy *out)
{
    struct breaker *b = context;

    (void)name;
    bk_policy_defaults(out);
    bk_policy_overlay(out, &b->environment, BK_FROM_ENVIRONMENT, NULL);
    out->retry_min_per_sec_ppm =
        share_of_reserve(b, out->retry_min_per_sec_ppm);
    return false;
}

static void
seed_routes(struct breaker *b, struct bk_fleet *f)
{
    struct view *view = client_view(b);
    struct bk_route *routes;
    uint64_t published;
    uint32_t count = 0;

    if (view == NULL)
        return;
    published = atomic_load_explicit(&view->segment.header->route_count,
                                     memory_order_acquire);
    routes = calloc(LOCAL_ROUTES, sizeof *routes);
    if (routes == NULL)
        return;
    for (uint32_t i = 0; i < published && count < LOCAL_ROUTES; i++) {
        if (!bk_segment_read_route(&view->segment, i, &routes[count])) {
            if (i >= view->segment.limits.routes)
                break;
            continue;
        }
        count++;
    }
    (void)bk_fleet_set_routes(f, routes, count);
    free(routes);
}

struct bk_fleet *
local_seed_fleet(struct breaker *b)
{
    static const struct bk_limits limits = {.services = LOCAL_SERVICES,
                                            .leases = LOCAL_LEASES,
                                            .policies = LOCAL_SERVICES,
                                            .routes = LOCAL_ROUTES};
    struct world *w = client_world(b);
    void *memory = calloc(1, bk_fleet_bytes(&limits));
    struct bk_fleet *f;

    if (memory == NULL)
        return NULL;
    f = bk_fleet_init(memory, &limits, default_policy, b,
                      (uint64_t)client_jitter(w, INT64_MAX - 1));
    seed_routes(b, f);
    return f;
}

/* A fleet's probes are not out any more, or not ours: half open comes back as
 * open and due, in a generation of its own. Deposits were the whole fleet's. */
static void
make_own(struct bk_breaker *b, int64_t now_ns)
{
    if (b->state == BK_HALF_OPEN) {
        b->state = BK_OPEN;
        b->cause = BK_CAUSE_RESTORED;
        b->open_until_ns = now_ns;
        b->changed_ns = now_ns;
        b->probe_successes = 0;
        b->generation++;
    }
    b->permits_out = 0;
    bk_budget_clear(&b->budget);
}

static uint32_t
free_slot(const struct bk_fleet *f)
{
    for (uint32_t slot = 0; slot < LOCAL_SERVICES; slot++) {
        if (bk_fleet_service(f, slot) == NULL)
            return slot;
    }
    return BK_NO_SLOT;
}

/* True when the service is in the fleet now; `policy` is then filled in. */
static bool
take_over(struct breaker *b, struct bk_fleet *f, int64_t now_ns,
          const char *name, struct bk_policy *policy)
{
    struct view *view = client_view(b);
    size_t len = strlen(name);
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_record record;
    uint32_t slot;

    if (view == NULL || bk_fleet_find(f, name, len) != BK_NO_SLOT)
        return false;
    slot = bk_segment_find(&view->segment, name, len);
    if (slot == BK_NO_SLOT || !bk_segment_read(&view->segment, slot, &record) ||
        strcmp(record.name, name) != 0 ||
        !bk_segment_read_policy(&view->segment, record.policy, policy))
        return false;
    bk_segment_read_evidence(&view->segment, slot, evidence);
    policy->retry_min_per_sec_ppm =
        share_of_reserve(b, policy->retry_min_per_sec_ppm);
    make_own(&record.breaker, now_ns);
    slot = free_slot(f);
    if (slot == BK_NO_SLOT)
        return false;
    return bk_fleet_adopt(f, now_ns,
                          &(struct bk_kept){.name = name,
                                            .slot = slot,
                                            .incarnation = record.incarnation,
                                            .used_ns = now_ns,
                                            .breaker = &record.breaker,
                                            .policy = policy,
                                            .evidence = evidence}) == BK_OK;
}

static void
seed_one(struct breaker *b, struct bk_fleet *f, int64_t now_ns,
         const char *name)
{
    struct bk_policy policy;
    struct bk_policy unused;

    if (take_over(b, f, now_ns, name, &policy) &&
        policy.requires_name[0] != '\0')
        (void)take_over(b, f, now_ns, policy.requires_name, &unused);
}

void
local_seed(struct breaker *b, struct bk_fleet *f, int64_t now_ns,
           const char *name)
{
    uint32_t count;
    const struct bk_route *routes = bk_fleet_routes(f, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(routes[i].name, name) != 0)
            continue;
        for (uint32_t k = 0; k < routes[i].count; k++)
            seed_one(b, f, now_ns, routes[i].members[k]);
        return;
    }
    seed_one(b, f, now_ns, name);
}
