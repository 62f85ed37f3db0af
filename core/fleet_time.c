/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's time: which deadline comes next, letting deadlines pass, and what
 * follows when an event changes a service. */
#include "core/bug.h"
#include "core/fleet_private.h"
#include <string.h>

/* One command leaves fewer notes than this: a route's members and the services
 * they require, each with at most six deadlines that change something. */
#define NOTES_A_COMMAND (BK_OUTBOX * 3 / 4)

/* ---- deadlines: a heap of services ---- */

static bool
is_earlier(const struct bk_fleet *f, uint32_t a, uint32_t b)
{
    return f->services[f->timers[a]].timer_ns <
           f->services[f->timers[b]].timer_ns;
}

static void
swap_timers(struct bk_fleet *f, uint32_t a, uint32_t b)
{
    uint32_t slot = f->timers[a];
    f->timers[a] = f->timers[b];
    f->timers[b] = slot;
    f->services[f->timers[a]].timer_at = a;
    f->services[f->timers[b]].timer_at = b;
}

static void
sift(struct bk_fleet *f, uint32_t at)
{
    while (at > 0 && is_earlier(f, at, (at - 1) / 2)) {
        swap_timers(f, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1;
             child <= 2 * at + 2 && child < f->count; child++) {
            least = is_earlier(f, child, least) ? child : least;
        }
        if (least == at) {
            return;
        }
        swap_timers(f, at, least);
        at = least;
    }
}

static int64_t
first_end(const struct bk_fleet *f, const struct bk_lease_heap *h)
{
    uint32_t slot = bk_leases_first(h);
    return slot == BK_NO_SLOT ? BK_NEVER
                              : bk_leases_at(&f->leases, slot)->deadline_ns;
}

static int64_t
service_deadline(const struct bk_fleet *f, uint32_t slot)
{
    const struct bk_service *s = &f->services[slot];
    int64_t at_ns = bk_breaker_deadline(&s->breaker);
    int64_t permit_ns = first_end(f, &s->permits);
    int64_t token_ns = first_end(f, &s->tokens);
    at_ns = permit_ns < at_ns ? permit_ns : at_ns;
    return token_ns < at_ns ? token_ns : at_ns;
}

void
bk_fleet_count_stat(struct bk_service *s, uint64_t *word, uint64_t more)
{
    size_t at = ((uintptr_t)word - (uintptr_t)s->stats) / sizeof(*word);
    BK_ASSERT(at < BK_STAT_WORDS);
    bk_count(word, more);
    s->stats_dirty[at / 64] |= UINT64_C(1) << at % 64;
}

void
bk_fleet_mark_dirty(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    if (!s->is_dirty) {
        s->is_dirty = true;
        s->dirty_next = f->dirty_head;
        f->dirty_head = slot;
    }
}

void
bk_fleet_touch(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    for (size_t i = 0; i < BK_STAT_WORDS; i++) {
        s->stats_dirty[i / 64] |= UINT64_C(1) << i % 64;
    }
    s->evidence_dirty = (UINT32_C(1) << BK_EVIDENCE_COUNT) - 1;
    s->is_name_dirty = true;
    bk_fleet_mark_dirty(f, slot);
}

void
bk_fleet_settle_quietly(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    int64_t shut_ns =
        s->breaker.state == BK_OPEN ? bk_breaker_shut_until(&s->breaker) : 0;
    if (shut_ns != s->shut_ns) {
        s->shut_ns = shut_ns;
        bk_fleet_touch_dependants(f, s->name);
    }
    /* Most changes leave it, and its neighbours in the heap are far away. */
    int64_t timer_ns = service_deadline(f, slot);
    if (timer_ns != s->timer_ns) {
        s->timer_ns = timer_ns;
        sift(f, s->timer_at);
    }
}

void
bk_fleet_settle(struct bk_fleet *f, uint32_t slot)
{
    bk_fleet_settle_quietly(f, slot);
    bk_fleet_mark_dirty(f, slot);
}

void
bk_fleet_add_timer(struct bk_fleet *f, uint32_t slot)
{
    f->services[slot].timer_ns = BK_NEVER;
    f->services[slot].timer_at = f->count;
    f->timers[f->count++] = slot;
}

void
bk_fleet_remove_timer(struct bk_fleet *f, uint32_t slot)
{
    uint32_t at = f->services[slot].timer_at;
    swap_timers(f, at, f->count - 1);
    f->count--;
    if (at < f->count) {
        sift(f, at);
    }
}

int64_t
bk_fleet_deadline(const struct bk_fleet *f)
{
    return f->count > 0 ? f->services[f->timers[0]].timer_ns : BK_NEVER;
}

int64_t
bk_fleet_clamp(struct bk_fleet *f, int64_t now_ns)
{
    if (now_ns > f->now_ns) {
        f->now_ns = now_ns;
    }
    return f->now_ns;
}

bool
bk_fleet_advance(struct bk_fleet *f, int64_t now_ns)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    while (bk_fleet_deadline(f) <= now_ns) {
        if (f->note_count > BK_OUTBOX - NOTES_A_COMMAND) {
            return false;
        }
        bk_fleet_catch_up(f, f->timers[0], now_ns);
    }
    return true;
}

/* ---- events and what follows from them ---- */

void
bk_fleet_note(struct bk_fleet *f, const struct bk_note *note)
{
    BK_ASSERT(f->note_count < BK_OUTBOX);
    f->notes[(f->note_first + f->note_count) % BK_OUTBOX] = *note;
    f->note_count++;
}

void
bk_fleet_void_permits(struct bk_fleet *f, struct bk_service *s)
{
    while (bk_leases_first(&s->permits) != BK_NO_SLOT) {
        bk_leases_remove(&f->leases, &s->permits, bk_leases_first(&s->permits));
    }
}

/* The verdict of a service that requires this one may be another now. */
void
bk_fleet_touch_dependants(struct bk_fleet *f, const char *name)
{
    for (uint32_t i = 0; i < f->policy_end; i++) {
        if (f->policy_users[i] == 0 ||
            strcmp(f->policies[i].requires_name, name) != 0) {
            continue;
        }
        for (uint32_t k = 0; k < f->count; k++) {
            if (f->services[f->timers[k]].policy == i) {
                bk_fleet_mark_dirty(f, f->timers[k]);
            }
        }
    }
}

struct bk_effects
bk_fleet_step(struct bk_fleet *f, uint32_t slot, struct bk_event *event)
{
    struct bk_service *s = &f->services[slot];
    event->random = &f->random;
    struct bk_effects fx =
        bk_breaker_step(&s->breaker, bk_fleet_policy_of(f, slot), event);
    if (fx.change.happened) {
        struct bk_note note = {.service = slot, .change = fx.change};
        size_t change = (size_t)fx.change.from * BK_STATE_COUNT + fx.change.to;
        memcpy(note.name, s->name, sizeof(note.name));
        bk_fleet_count_stat(s, &s->stats->transitions[change], 1);
        bk_fleet_void_permits(f, s);
        bk_fleet_note(f, &note);
    }
    return fx;
}

void
bk_fleet_cancel_token(struct bk_fleet *f, uint32_t lease_slot, int64_t now_ns)
{
    struct bk_lease lease = *bk_leases_at(&f->leases, lease_slot);
    struct bk_service *s = &f->services[lease.service];
    struct bk_withdrawal made = {.index = lease.slice, .era = lease.era};
    bk_leases_remove(&f->leases, &s->tokens, lease_slot);
    bk_budget_cancel(&s->breaker.budget, bk_fleet_policy_of(f, lease.service),
                     now_ns, made);
}

uint32_t
bk_evidence_next(const struct bk_evidence *evidence)
{
    for (uint32_t i = 0; i < BK_EVIDENCE_COUNT; i++) {
        if (evidence[i].outcome == BK_SUCCESS ||
            (i > 0 && evidence[i].at_ns < evidence[i - 1].at_ns)) {
            return i;
        }
    }
    return 0;
}

struct bk_evidence *
bk_fleet_next_evidence(struct bk_service *s)
{
    uint32_t at = s->evidence_next % BK_EVIDENCE_COUNT;
    s->evidence_next = (at + 1) % BK_EVIDENCE_COUNT;
    s->has_evidence = true;
    s->evidence_dirty |= UINT32_C(1) << at;
    memset(&s->evidence[at], 0, sizeof(s->evidence[at]));
    return &s->evidence[at];
}

static void
put_evidence(struct bk_service *s, const struct bk_lease *lease, int64_t at_ns)
{
    static const char text[] = "permit not reported in time";
    struct bk_evidence *e = bk_fleet_next_evidence(s);
    e->at_ns = at_ns;
    e->latency_ns = -1;
    e->pid = lease->holder_pid;
    e->outcome = BK_TIMEOUT;
    bk_copy_text(e->text, sizeof(e->text), text, sizeof(text) - 1);
}

/* A permit has run out: a timeout, unless the event before voided it. */
static void
reclaim(struct bk_fleet *f, uint32_t slot, uint32_t lease_slot)
{
    struct bk_service *s = &f->services[slot];
    struct bk_lease lease = *bk_leases_at(&f->leases, lease_slot);
    struct bk_event event = {.kind = BK_EV_RECLAIM,
                             .now_ns = lease.deadline_ns};
    bk_leases_remove(&f->leases, &s->permits, lease_slot);
    struct bk_effects fx = bk_fleet_step(f, slot, &event);
    if (fx.is_evidence) {
        put_evidence(s, &lease, lease.deadline_ns);
    }
}

/* Of two leases that may end now, the earlier, then the lower number. */
static uint32_t
first_lease(const struct bk_fleet *f, const struct bk_service *s)
{
    uint32_t permit = bk_leases_first(&s->permits);
    uint32_t token = bk_leases_first(&s->tokens);
    if (permit == BK_NO_SLOT || token == BK_NO_SLOT) {
        return permit == BK_NO_SLOT ? token : permit;
    }
    const struct bk_lease *p = bk_leases_at(&f->leases, permit);
    const struct bk_lease *t = bk_leases_at(&f->leases, token);
    if (p->deadline_ns != t->deadline_ns) {
        return p->deadline_ns < t->deadline_ns ? permit : token;
    }
    return p->id < t->id ? permit : token;
}

void
bk_fleet_catch_up(struct bk_fleet *f, uint32_t slot, int64_t now_ns)
{
    struct bk_service *s = &f->services[slot];
    if (s->timer_ns > now_ns) {
        return;
    }
    for (;;) {
        int64_t due_ns = service_deadline(f, slot);
        if (due_ns > now_ns) {
            break;
        }
        if (bk_breaker_deadline(&s->breaker) == due_ns) {
            struct bk_event event = {.kind = BK_EV_TICK, .now_ns = due_ns};
            bk_fleet_step(f, slot, &event);
            continue;
        }
        uint32_t lease = first_lease(f, s);
        if (bk_leases_at(&f->leases, lease)->kind == BK_LEASE_TOKEN) {
            bk_fleet_cancel_token(f, lease, due_ns);
        } else {
            reclaim(f, slot, lease);
        }
    }
    bk_fleet_settle(f, slot);
}
