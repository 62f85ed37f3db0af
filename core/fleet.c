/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's memory, names and time. Commands of workers are in fleet_call.c,
 * those of operators in fleet_order.c, survival in fleet_keep.c. */
#include "core/bug.h"
#include "core/fleet_private.h"
#include <string.h>

#define LARGE_PAGE ((size_t)2 << 20)

static uint32_t
bucket_count_for(uint32_t services)
{
    uint32_t count = 16;
    while (count < 2 * services) {
        count *= 2;
    }
    return count;
}

/* Where the parts lie in the caller's memory, each aligned for 8 octets. */
struct layout {
    size_t services;
    size_t stats;
    size_t evidence;
    size_t policies;
    size_t routes;
    size_t leases;
    size_t policy_users;
    size_t buckets;
    size_t timers;
    size_t total;
};

static size_t
take(size_t *total, size_t octets)
{
    size_t at = *total;
    *total += (octets + 7) / 8 * 8;
    return at;
}

/* Many services start on a large page, if the memory does: what lies before them is
 * touched here and there, and would keep the first page a collection of small ones. */
static size_t
before_services(const struct bk_limits *l)
{
    bool is_large = sizeof(struct bk_service) * l->services > 2 * LARGE_PAGE;
    size_t unit = is_large ? LARGE_PAGE : 8;
    return (sizeof(struct bk_fleet) + unit - 1) / unit * unit;
}

static struct layout
lay_out(const struct bk_limits *l)
{
    struct layout at = {0};
    at.total = before_services(l);
    at.services = take(&at.total, sizeof(struct bk_service) * l->services);
    at.stats = take(&at.total, sizeof(struct bk_stats) * l->services);
    at.evidence = take(&at.total, sizeof(struct bk_evidence) *
                                      BK_EVIDENCE_COUNT * l->services);
    at.policies = take(&at.total, sizeof(struct bk_policy) * l->policies);
    at.routes = take(&at.total, sizeof(struct bk_route) * l->routes);
    at.leases = take(&at.total, bk_leases_bytes(l->leases));
    at.policy_users = take(&at.total, sizeof(uint32_t) * l->policies);
    at.buckets =
        take(&at.total, sizeof(uint32_t) * bucket_count_for(l->services));
    at.timers = take(&at.total, sizeof(uint32_t) * l->services);
    return at;
}

size_t
bk_fleet_bytes(const struct bk_limits *limits)
{
    return lay_out(limits).total;
}

struct bk_fleet *
bk_fleet_init(void *mem, const struct bk_limits *limits,
              bk_policy_source *source, void *context, uint64_t seed)
{
    struct layout at = lay_out(limits);
    char *base = mem;
    struct bk_fleet *f = mem;
    f->limits = *limits;
    f->source = source;
    f->context = context;
    f->random = seed;
    f->next_id = 1;
    f->dirty_head = BK_NO_SLOT;
    f->bucket_count = bucket_count_for(limits->services);
    f->services = (struct bk_service *)(void *)(base + at.services);
    f->stats = (struct bk_stats *)(void *)(base + at.stats);
    f->evidence = (struct bk_evidence *)(void *)(base + at.evidence);
    f->policies = (struct bk_policy *)(void *)(base + at.policies);
    f->routes = (struct bk_route *)(void *)(base + at.routes);
    f->policy_users = (uint32_t *)(void *)(base + at.policy_users);
    f->buckets = (uint32_t *)(void *)(base + at.buckets);
    f->timers = (uint32_t *)(void *)(base + at.timers);
    bk_leases_init(&f->leases, base + at.leases, limits->leases);
    memset(f->buckets, 0xff, sizeof(uint32_t) * f->bucket_count);
    return f;
}

void
bk_fleet_parts(struct bk_fleet *f, struct bk_fleet_part out[BK_FLEET_PARTS])
{
    out[0] = (struct bk_fleet_part){f->services, sizeof(*f->services), false};
    out[1] = (struct bk_fleet_part){f->stats, sizeof(*f->stats), false};
    out[2] = (struct bk_fleet_part){
        f->evidence, BK_EVIDENCE_COUNT * sizeof(*f->evidence), true};
}

/* ---- looking and draining ---- */

const struct bk_service *
bk_fleet_service(const struct bk_fleet *f, uint32_t slot)
{
    BK_ASSERT(slot < f->limits.services);
    return f->services[slot].name[0] != '\0' ? &f->services[slot] : NULL;
}

uint64_t
bk_fleet_policy_edition(const struct bk_fleet *f)
{
    return f->policy_edition;
}

uint32_t
bk_fleet_count(const struct bk_fleet *f)
{
    return f->count;
}

const struct bk_limits *
bk_fleet_limits(const struct bk_fleet *f)
{
    return &f->limits;
}

uint64_t
bk_fleet_next_id(const struct bk_fleet *f)
{
    return f->next_id;
}

void
bk_fleet_set_next_id(struct bk_fleet *f, uint64_t next_id)
{
    f->next_id = next_id;
}

const struct bk_leases *
bk_fleet_leases(const struct bk_fleet *f)
{
    return &f->leases;
}

const struct bk_route *
bk_fleet_routes(const struct bk_fleet *f, uint32_t *count)
{
    *count = f->route_count;
    return f->routes;
}

bool
bk_fleet_has_note(const struct bk_fleet *f)
{
    return f->note_count > 0;
}

bool
bk_fleet_next_note(struct bk_fleet *f, struct bk_note *out)
{
    if (f->note_count == 0) {
        return false;
    }
    *out = f->notes[f->note_first];
    f->note_first = (f->note_first + 1) % BK_OUTBOX;
    f->note_count--;
    return true;
}

uint32_t
bk_fleet_next_dirty(struct bk_fleet *f)
{
    uint32_t slot = f->dirty_head;
    if (slot != BK_NO_SLOT) {
        f->dirty_head = f->services[slot].dirty_next;
        f->services[slot].is_dirty = false;
    }
    return slot;
}

bool
bk_fleet_next_dirty_name(struct bk_fleet *f, uint32_t slot)
{
    bool is_dirty = f->services[slot].is_name_dirty;
    f->services[slot].is_name_dirty = false;
    return is_dirty;
}

size_t
bk_fleet_next_dirty_stat(struct bk_fleet *f, uint32_t slot)
{
    uint64_t *masks = f->services[slot].stats_dirty;
    for (size_t i = 0; i < BK_STAT_MASKS; i++) {
        if (masks[i] != 0) {
            size_t bit = (size_t)__builtin_ctzll(masks[i]);
            masks[i] &= masks[i] - 1;
            return i * 64 + bit;
        }
    }
    return BK_STAT_WORDS;
}

uint32_t
bk_fleet_next_dirty_evidence(struct bk_fleet *f, uint32_t slot)
{
    uint32_t *mask = &f->services[slot].evidence_dirty;
    if (*mask == 0) {
        return BK_EVIDENCE_COUNT;
    }
    uint32_t bit = (uint32_t)__builtin_ctz(*mask);
    *mask &= *mask - 1;
    return bit;
}

uint32_t
bk_fleet_next_dirty_lease(struct bk_fleet *f)
{
    return bk_leases_next_dirty(&f->leases);
}
