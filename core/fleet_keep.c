/* SPDX-License-Identifier: Apache-2.0
 *
 * Survival: what SQLite keeps of a service, what a segment hands over, and the
 * generations of names that are gone. */
#include "core/fleet_private.h"
#include <string.h>

/* ---- names that are gone ---- */

static uint32_t
find_forgotten(const struct bk_fleet *f, const char *name)
{
    uint64_t hash = bk_fleet_hash(name, strlen(name));
    for (uint32_t i = 0; i < f->forgotten_count; i++) {
        if (f->forgotten[i].hash == hash &&
            strcmp(f->forgotten[i].name, name) == 0) {
            return i;
        }
    }
    return BK_NO_SLOT;
}

void
bk_fleet_remember(struct bk_fleet *f, const char *name, uint64_t generation)
{
    uint32_t at = find_forgotten(f, name);
    if (at == BK_NO_SLOT && f->forgotten_count < BK_FORGOTTEN) {
        at = f->forgotten_count++;
    } else if (at == BK_NO_SLOT) {
        at = f->forgotten_next;
        f->forgotten_next = (at + 1) % BK_FORGOTTEN;
        if (f->forgotten[at].generation >= f->generation_floor) {
            f->generation_floor = f->forgotten[at].generation + 1;
        }
    }
    struct forgotten *gone = &f->forgotten[at];
    memset(gone, 0, sizeof(*gone));
    gone->hash = bk_fleet_hash(name, strlen(name));
    gone->generation = generation;
    bk_copy_text(gone->name, sizeof(gone->name), name, strlen(name));
}

bool
bk_fleet_forgotten(const struct bk_fleet *f, const char *name,
                   uint64_t *generation)
{
    uint32_t at = find_forgotten(f, name);
    if (at == BK_NO_SLOT) {
        return false;
    }
    *generation = f->forgotten[at].generation;
    return true;
}

uint64_t
bk_fleet_first_generation(const struct bk_fleet *f, const char *name)
{
    uint64_t generation;
    return bk_fleet_forgotten(f, name, &generation) ? generation + 1
                                                    : f->generation_floor;
}

void
bk_fleet_each_forgotten(const struct bk_fleet *f,
                        void (*visit)(void *context, const char *name,
                                      uint64_t generation),
                        void *context)
{
    for (uint32_t i = 0; i < f->forgotten_count; i++) {
        visit(context, f->forgotten[i].name, f->forgotten[i].generation);
    }
}

/* ---- saving and restoring ---- */

static int64_t
left(int64_t until_ns, int64_t now_ns)
{
    if (until_ns == BK_NEVER) {
        return BK_NEVER;
    }
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

void
bk_fleet_save(const struct bk_fleet *f, uint32_t service, int64_t now_ns,
              struct bk_saved *out)
{
    const struct bk_service *s = &f->services[service];
    const struct bk_breaker *b = &s->breaker;
    memset(out, 0, sizeof(*out));
    memcpy(out->name, s->name, sizeof(out->name));
    out->state = b->state;
    out->cause = b->cause;
    out->generation = b->generation;
    out->failed_rounds = b->failed_rounds;
    out->open_left_ns =
        b->state == BK_OPEN ? left(b->open_until_ns, now_ns) : 0;
    out->hold_left_ns = bk_hold_left(&b->hold, now_ns);
    out->override = b->override;
    out->override.expires_ns =
        b->override.is_set ? left(b->override.expires_ns, now_ns) : 0;
    out->counters = b->counters;
    out->open_ns = bk_breaker_open_time(b, now_ns);
    out->stats = *s->stats;
}

/* The end of what remained: as given, even if the configuration has changed
 * since, but no longer than any configuration can give (a damaged row). */
static int64_t
resume(int64_t now_ns, int64_t left_ns)
{
    return bk_after(now_ns, left_ns < BK_DURATION_MAX_NS ? left_ns
                                                         : BK_DURATION_MAX_NS);
}

/* The breaker as it goes on after a lost segment: no leases, no windows, half
 * open due again. */
static void
revive(struct bk_breaker *b, int64_t now_ns, const struct bk_saved *saved)
{
    b->state = saved->state;
    b->cause = saved->cause;
    b->failed_rounds = saved->failed_rounds;
    b->counters = saved->counters;
    b->open_ns = saved->open_ns;
    b->override = saved->override;
    if (saved->override.is_set) {
        b->mode = saved->override.mode;
        b->override.expires_ns = bk_after(now_ns, saved->override.expires_ns);
    }
    if (saved->hold_left_ns > 0) {
        b->hold.until_ns = resume(now_ns, saved->hold_left_ns);
    }
    if (b->mode == BK_FORCED_OPEN) {
        b->state = BK_OPEN;
    } else if (b->mode == BK_BYPASS) {
        b->state = BK_CLOSED;
    } else if (saved->state == BK_HALF_OPEN) {
        b->state = BK_OPEN;
        b->cause = BK_CAUSE_RESTORED;
        b->open_until_ns = now_ns;
    } else if (saved->state == BK_OPEN) {
        b->open_until_ns = resume(now_ns, saved->open_left_ns);
    }
}

enum bk_error
bk_fleet_restore(struct bk_fleet *f, int64_t now_ns,
                 const struct bk_saved *saved)
{
    size_t len = strlen(saved->name);
    struct bk_policy policy;
    uint32_t slot;
    now_ns = bk_fleet_clamp(f, now_ns);
    if (!bk_name_is_valid(saved->name, len) ||
        bk_fleet_route(f, saved->name, len) != NULL ||
        bk_fleet_find(f, saved->name, len) != BK_NO_SLOT) {
        return BK_ERR_BAD_SERVICE;
    }
    bool is_configured = f->source(f->context, saved->name, &policy);
    enum bk_error error =
        bk_fleet_place(f, now_ns, saved->name, len, &policy,
                       saved->generation + BK_GENERATION_LEAP, &slot);
    if (error == BK_OK) {
        f->services[slot].is_configured = is_configured;
        *f->services[slot].stats = saved->stats;
        revive(&f->services[slot].breaker, now_ns, saved);
        bk_fleet_settle(f, slot);
    }
    return error;
}

/* ---- adopting a segment ---- */

static bool
may_adopt(const struct bk_fleet *f, const struct bk_kept *kept, size_t len)
{
    return kept->slot < f->limits.services &&
           f->services[kept->slot].name[0] == '\0' &&
           bk_name_is_valid(kept->name, len) &&
           bk_breaker_is_sound(kept->breaker) &&
           bk_fleet_find(f, kept->name, len) == BK_NO_SLOT;
}

/* True when something is not as it was. */
static bool
take_breaker(struct bk_breaker *b, const struct bk_kept *kept)
{
    const struct bk_policy *policy = kept->policy;
    bool is_other = kept->breaker->permits_out != 0;
    *b = *kept->breaker;
    b->permits_out = 0; /* counted anew from the leases */
    if (policy->window_calls > 0 && b->window.head >= policy->window_calls) {
        bk_window_clear(&b->window); /* it was another window's */
        is_other = true;
    }
    return is_other;
}

/* A slot that was never used has zeros already, which are not written once more. */
static void
take_stats(struct bk_stats *to, const struct bk_stats *stats, bool is_fresh)
{
    if (stats != NULL) {
        *to = *stats;
    } else if (!is_fresh) {
        memset(to, 0, sizeof(*to));
    }
}

enum bk_error
bk_fleet_adopt(struct bk_fleet *f, int64_t now_ns, const struct bk_kept *kept)
{
    size_t len = strlen(kept->name);
    uint32_t slot = kept->slot;
    bk_fleet_clamp(f, now_ns);
    if (!may_adopt(f, kept, len)) {
        return BK_ERR_BAD_SERVICE;
    }
    uint32_t policy = bk_fleet_take_policy_at(f, kept->policy_at, kept->policy);
    if (policy == BK_NO_SLOT) {
        return BK_ERR_TABLE_FULL;
    }
    bool is_fresh = f->services[slot].stats == NULL;
    struct bk_service *s = bk_fleet_enter(f, slot, kept->name, len, policy);
    take_stats(s->stats, kept->stats, is_fresh);
    s->incarnation = kept->incarnation;
    s->is_configured = kept->is_configured;
    s->used_ns = kept->used_ns;
    bk_fleet_clear_evidence(s);
    if (kept->evidence != NULL) {
        s->has_evidence = true;
        memcpy(s->evidence, kept->evidence,
               BK_EVIDENCE_COUNT * sizeof(*s->evidence));
        s->evidence_next = bk_evidence_next(kept->evidence);
    }
    if (take_breaker(&s->breaker, kept) || policy != kept->policy_at) {
        bk_fleet_touch(f, slot);
    }
    bk_fleet_settle_quietly(f, slot);
    return BK_OK;
}

bool
bk_fleet_adopt_lease(struct bk_fleet *f, uint32_t slot,
                     const struct bk_lease *lease)
{
    bool is_permit = lease->kind == BK_LEASE_PERMIT;
    if ((!is_permit && lease->kind != BK_LEASE_TOKEN) || lease->id == 0 ||
        lease->id >= f->next_id || lease->service >= f->limits.services ||
        f->services[lease->service].name[0] == '\0' ||
        bk_leases_find(&f->leases, lease->id) != BK_NO_SLOT) {
        return false;
    }
    struct bk_service *s = &f->services[lease->service];
    if (is_permit && lease->generation != s->breaker.generation) {
        return false;
    }
    if (!bk_leases_adopt(&f->leases, is_permit ? &s->permits : &s->tokens, slot,
                         lease)) {
        return false;
    }
    s->breaker.permits_out += is_permit;
    bk_fleet_settle(f, lease->service);
    return true;
}
