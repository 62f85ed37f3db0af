/* SPDX-License-Identifier: Apache-2.0
 *
 * Making services and letting them go. */
#include "core/bug.h"
#include "core/fleet_private.h"
#include <string.h>

/* ---- making and removing services ---- */

/* The service unused for longest among those that may make room. */
static uint32_t
find_idle(struct bk_fleet *f, int64_t now_ns)
{
    uint32_t oldest = BK_NO_SLOT;
    int64_t room_ns = bk_after(now_ns, BK_NS_PER_S);
    if (now_ns < f->room_ns) {
        return BK_NO_SLOT;
    }
    for (uint32_t k = 0; k < f->count; k++) {
        const struct bk_service *s = &f->services[f->timers[k]];
        bool may_go = !s->is_configured && s->breaker.state == BK_CLOSED &&
                      !s->breaker.override.is_set && s->permits.count == 0 &&
                      s->tokens.count == 0 && now_ns - s->used_ns >= BK_IDLE_NS;
        if (may_go && (oldest == BK_NO_SLOT ||
                       s->used_ns < f->services[oldest].used_ns)) {
            oldest = f->timers[k];
        }
    }
    f->room_ns = oldest == BK_NO_SLOT ? room_ns : 0;
    return oldest;
}

/* A free slot, if need be by letting an idle service go. */
static uint32_t
find_room(struct bk_fleet *f, int64_t now_ns)
{
    if (f->count == f->limits.services) {
        uint32_t idle = find_idle(f, now_ns);
        if (idle == BK_NO_SLOT) {
            return BK_NO_SLOT;
        }
        struct bk_service *s = &f->services[idle];
        struct bk_note note = {.service = idle, .is_forgotten = true};
        note.change.generation = s->breaker.generation;
        memcpy(note.name, s->name, sizeof(note.name));
        bk_fleet_remember(f, s->name, s->breaker.generation);
        bk_fleet_remove(f, idle);
        bk_fleet_note(f, &note);
        return idle;
    }
    /* Slots fill from the start and are freed seldom: where the count points is
     * nearly always free. */
    for (uint32_t i = 0; i < f->limits.services; i++) {
        uint32_t slot = (f->count + i) % f->limits.services;
        if (f->services[slot].name[0] == '\0') {
            return slot;
        }
    }
    return BK_NO_SLOT;
}

struct bk_service *
bk_fleet_enter(struct bk_fleet *f, uint32_t slot, const char *name, size_t len,
               uint32_t policy)
{
    struct bk_service *s = &f->services[slot];
    BK_ASSERT(s->name[0] == '\0');
    bk_copy_text(s->name, sizeof(s->name), name, len);
    s->is_name_dirty = true;
    s->policy = policy;
    s->stats = &f->stats[slot];
    s->evidence = &f->evidence[(size_t)slot * BK_EVIDENCE_COUNT];
    s->shut_ns = 0;
    bk_lease_heap_init(&s->permits);
    bk_lease_heap_init(&s->tokens);
    f->buckets[bk_fleet_bucket(f, name, len)] = slot;
    bk_fleet_add_timer(f, slot);
    return s;
}

void
bk_fleet_clear_evidence(struct bk_service *s)
{
    if (s->has_evidence) {
        memset(s->evidence, 0, BK_EVIDENCE_COUNT * sizeof(*s->evidence));
    }
    s->has_evidence = false;
    s->evidence_next = 0;
}

enum bk_error
bk_fleet_place(struct bk_fleet *f, int64_t now_ns, const char *name, size_t len,
               const struct bk_policy *policy, uint64_t generation,
               uint32_t *out)
{
    uint32_t slot = find_room(f, now_ns);
    uint32_t taken =
        slot == BK_NO_SLOT ? BK_NO_SLOT : bk_fleet_take_policy(f, policy);
    if (taken == BK_NO_SLOT) {
        return BK_ERR_TABLE_FULL;
    }
    struct bk_service *s = bk_fleet_enter(f, slot, name, len, taken);
    s->incarnation++;
    s->is_configured = false;
    s->used_ns = now_ns;
    memset(s->stats, 0, sizeof(*s->stats));
    bk_fleet_clear_evidence(s);
    bk_breaker_init(&s->breaker, policy, now_ns, generation);
    bk_fleet_touch(f, slot);
    bk_fleet_settle(f, slot);
    *out = slot;
    return BK_OK;
}

void
bk_fleet_remove(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    bk_fleet_void_permits(f, s);
    while (bk_leases_first(&s->tokens) != BK_NO_SLOT) {
        bk_leases_remove(&f->leases, &s->tokens, bk_leases_first(&s->tokens));
    }
    bk_fleet_unlink(f, s->name);
    bk_fleet_touch_dependants(f, s->name);
    bk_fleet_drop_policy(f, s->policy);
    bk_fleet_remove_timer(f, slot);
    memset(s->name, 0, sizeof(s->name));
    memset(&s->breaker, 0, sizeof(s->breaker));
    bk_fleet_mark_dirty(f, slot);
}

enum bk_error
bk_fleet_make(struct bk_fleet *f, int64_t now_ns, const char *name, size_t len,
              uint32_t *service)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t found = bk_fleet_find(f, name, len);
    if (found != BK_NO_SLOT) {
        *service = found;
        return BK_OK;
    }
    if (!bk_name_is_valid(name, len) || bk_fleet_route(f, name, len) != NULL) {
        return BK_ERR_BAD_SERVICE;
    }
    char text[BK_NAME_SIZE];
    struct bk_policy policy;
    bk_copy_text(text, sizeof(text), name, len);
    bool is_configured = f->source(f->context, text, &policy);
    enum bk_error error =
        bk_fleet_place(f, now_ns, text, len, &policy,
                       bk_fleet_first_generation(f, text), service);
    if (error == BK_OK) {
        f->services[*service].is_configured = is_configured;
    }
    return error;
}

enum bk_error
bk_fleet_reach(struct bk_fleet *f, int64_t now_ns, const char *name, size_t len,
               uint32_t *slot)
{
    enum bk_error error = bk_fleet_make(f, now_ns, name, len, slot);
    if (error == BK_OK) {
        bk_fleet_catch_up(f, *slot, now_ns);
        f->services[*slot].used_ns = now_ns;
    }
    return error;
}
