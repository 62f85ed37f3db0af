/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's names (a hash table with open addressing) and its policies, each
 * kept once however many services share it. */
#include "core/bug.h"
#include "core/fleet_private.h"
#include "core/prefetch.h"
#include <stddef.h>
#include <string.h>

/* What so many services have stays in a core's cache. */
#define FEW 256

/* ---- names ---- */

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
uint64_t
bk_fleet_hash(const char *name, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ (hash >> 32);
}

static bool
has_name(const char *stored, const char *name, size_t len)
{
    return memcmp(stored, name, len) == 0 && stored[len] == '\0';
}

/* The bucket where a name is, or the empty one where it would go. */
uint32_t
bk_fleet_bucket(const struct bk_fleet *f, const char *name, size_t len)
{
    uint32_t mask = f->bucket_count - 1;
    uint32_t at = (uint32_t)bk_fleet_hash(name, len) & mask;
    while (f->buckets[at] != BK_NO_SLOT &&
           !has_name(f->services[f->buckets[at]].name, name, len)) {
        at = (at + 1) & mask;
    }
    return at;
}

uint32_t
bk_fleet_find(const struct bk_fleet *f, const char *name, size_t len)
{
    if (len == 0 || len >= BK_NAME_SIZE) {
        return BK_NO_SLOT;
    }
    return f->buckets[bk_fleet_bucket(f, name, len)];
}

bool
bk_fleet_is_large(const struct bk_fleet *f)
{
    return f->count > FEW;
}

/* But for an operator's words. */
void
bk_fleet_foresee_slot(const struct bk_fleet *f, uint32_t slot)
{
    const struct bk_service *s = &f->services[slot];
    const struct bk_stats *stats = &f->stats[slot];
    bk_prefetch_all(s, offsetof(struct bk_service, breaker.override));
    bk_prefetch_all(stats->duration, sizeof(stats->duration));
    bk_prefetch(stats->duration_us);
}

/* The bucket first, and once that has come, whoever is found there: nearly always the
 * one. */
void
bk_fleet_foresee(struct bk_fleet *f, const char *name, size_t len)
{
    if (len == 0 || len >= BK_NAME_SIZE) {
        return;
    }
    uint32_t *place = &f->foreseen[f->foreseen_next++ % BK_FORESEEN];
    uint32_t slot = f->buckets[*place];
    *place = (uint32_t)bk_fleet_hash(name, len) & (f->bucket_count - 1);
    bk_prefetch(&f->buckets[*place]);
    if (slot != BK_NO_SLOT) {
        bk_fleet_foresee_slot(f, slot);
    }
}

/* Takes a name out of the open-addressed table: what follows in the same run
 * moves up, so that no search stops short of it. */
void
bk_fleet_unlink(struct bk_fleet *f, const char *name)
{
    uint32_t mask = f->bucket_count - 1;
    uint32_t hole = bk_fleet_bucket(f, name, strlen(name));
    for (uint32_t at = (hole + 1) & mask; f->buckets[at] != BK_NO_SLOT;
         at = (at + 1) & mask) {
        const char *other = f->services[f->buckets[at]].name;
        uint32_t home = (uint32_t)bk_fleet_hash(other, strlen(other)) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            f->buckets[hole] = f->buckets[at];
            hole = at;
        }
    }
    f->buckets[hole] = BK_NO_SLOT;
}

const struct bk_route *
bk_fleet_route(const struct bk_fleet *f, const char *name, size_t len)
{
    if (len == 0 || len >= BK_NAME_SIZE) {
        return NULL;
    }
    for (uint32_t i = 0; i < f->route_count; i++) {
        if (has_name(f->routes[i].name, name, len)) {
            return &f->routes[i];
        }
    }
    return NULL;
}

bool
bk_fleet_is_route(const struct bk_fleet *f, const char *name, size_t len)
{
    return bk_fleet_route(f, name, len) != NULL;
}

/* ---- policies ---- */

uint32_t
bk_fleet_take_policy(struct bk_fleet *f, const struct bk_policy *policy)
{
    uint32_t free_at =
        f->policy_end < f->limits.policies ? f->policy_end : BK_NO_SLOT;
    for (uint32_t i = 0; i < f->policy_end; i++) {
        if (f->policy_users[i] == 0) {
            free_at = i < free_at ? i : free_at;
        } else if (memcmp(&f->policies[i], policy, sizeof(*policy)) == 0) {
            f->policy_users[i]++;
            return i;
        }
    }
    if (free_at != BK_NO_SLOT) {
        f->policy_end = free_at < f->policy_end ? f->policy_end : free_at + 1;
        f->policies[free_at] = *policy;
        f->policy_edition++;
        f->policy_users[free_at] = 1;
    }
    return free_at;
}

uint32_t
bk_fleet_take_policy_at(struct bk_fleet *f, uint32_t at,
                        const struct bk_policy *policy)
{
    if (at < f->limits.policies && f->policy_users[at] > 0 &&
        memcmp(&f->policies[at], policy, sizeof(*policy)) == 0) {
        f->policy_users[at]++;
        return at;
    }
    if (at >= f->limits.policies || f->policy_users[at] > 0) {
        return bk_fleet_take_policy(f, policy);
    }
    f->policies[at] = *policy;
    f->policy_edition++;
    f->policy_users[at] = 1;
    f->policy_end = at < f->policy_end ? f->policy_end : at + 1;
    return at;
}

void
bk_fleet_drop_policy(struct bk_fleet *f, uint32_t policy)
{
    BK_ASSERT(policy < f->limits.policies && f->policy_users[policy] > 0);
    f->policy_users[policy]--;
}

const struct bk_policy *
bk_fleet_policy(const struct bk_fleet *f, uint32_t policy)
{
    BK_ASSERT(policy < f->limits.policies);
    return f->policy_users[policy] > 0 ? &f->policies[policy] : NULL;
}

uint32_t
bk_fleet_policy_end(const struct bk_fleet *f)
{
    return f->policy_end;
}

const struct bk_policy *
bk_fleet_policy_of(const struct bk_fleet *f, uint32_t slot)
{
    return &f->policies[f->services[slot].policy];
}
