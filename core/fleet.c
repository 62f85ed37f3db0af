/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's memory, names and time. Commands of workers are in fleet_call.c,
 * those of operators in fleet_order.c, survival in fleet_keep.c. */
#include "core/backoff.h"
#include "core/bug.h"
#include "core/fleet_private.h"
#include "core/verdict.h"
#include <string.h>

/* One command leaves fewer notes than this: a route's members and the services
 * they require, each with at most six deadlines that change something. */
#define NOTES_A_COMMAND (BK_OUTBOX * 3 / 4)

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

static struct layout
lay_out(const struct bk_limits *l)
{
    struct layout at = {0};
    at.total = (sizeof(struct bk_fleet) + 7) / 8 * 8;
    at.services = take(&at.total, sizeof(struct bk_service) * l->services);
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
    memset(mem, 0, at.leases);
    memset(base + at.policy_users, 0, at.total - at.policy_users);
    f->limits = *limits;
    f->source = source;
    f->context = context;
    f->random = seed;
    f->next_id = 1;
    f->dirty_head = BK_NO_SLOT;
    f->bucket_count = bucket_count_for(limits->services);
    f->services = (struct bk_service *)(void *)(base + at.services);
    f->policies = (struct bk_policy *)(void *)(base + at.policies);
    f->routes = (struct bk_route *)(void *)(base + at.routes);
    f->policy_users = (uint32_t *)(void *)(base + at.policy_users);
    f->buckets = (uint32_t *)(void *)(base + at.buckets);
    f->timers = (uint32_t *)(void *)(base + at.timers);
    bk_leases_init(&f->leases, base + at.leases, limits->leases);
    memset(f->buckets, 0xff, sizeof(uint32_t) * f->bucket_count);
    return f;
}

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
static uint32_t
bucket_of(const struct bk_fleet *f, const char *name, size_t len)
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
    return f->buckets[bucket_of(f, name, len)];
}

/* Takes a name out of the open-addressed table: what follows in the same run
 * moves up, so that no search stops short of it. */
static void
unlink_name(struct bk_fleet *f, const char *name)
{
    uint32_t mask = f->bucket_count - 1;
    uint32_t hole = bucket_of(f, name, strlen(name));
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

/* ---- policies ---- */

uint32_t
bk_fleet_take_policy(struct bk_fleet *f, const struct bk_policy *policy)
{
    uint32_t free_at = BK_NO_SLOT;
    for (uint32_t i = 0; i < f->limits.policies; i++) {
        if (f->policy_users[i] == 0) {
            free_at = free_at == BK_NO_SLOT ? i : free_at;
        } else if (memcmp(&f->policies[i], policy, sizeof(*policy)) == 0) {
            f->policy_users[i]++;
            return i;
        }
    }
    if (free_at != BK_NO_SLOT) {
        f->policies[free_at] = *policy;
        f->policy_edition++;
        f->policy_users[free_at] = 1;
    }
    return free_at;
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

const struct bk_policy *
bk_fleet_policy_of(const struct bk_fleet *f, uint32_t slot)
{
    return &f->policies[f->services[slot].policy];
}

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

static void
mark_dirty(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    if (!s->is_dirty) {
        s->is_dirty = true;
        s->dirty_next = f->dirty_head;
        f->dirty_head = slot;
    }
}

void
bk_fleet_settle(struct bk_fleet *f, uint32_t slot)
{
    f->services[slot].timer_ns = service_deadline(f, slot);
    sift(f, f->services[slot].timer_at);
    mark_dirty(f, slot);
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

static void
void_permits(struct bk_fleet *f, struct bk_service *s)
{
    while (bk_leases_first(&s->permits) != BK_NO_SLOT) {
        bk_leases_remove(&f->leases, &s->permits, bk_leases_first(&s->permits));
    }
}

/* The verdict of a service that requires this one may be another now. */
static void
touch_dependants(struct bk_fleet *f, const char *name)
{
    for (uint32_t i = 0; i < f->limits.policies; i++) {
        if (f->policy_users[i] == 0 ||
            strcmp(f->policies[i].requires_name, name) != 0) {
            continue;
        }
        for (uint32_t k = 0; k < f->count; k++) {
            if (f->services[f->timers[k]].policy == i) {
                mark_dirty(f, f->timers[k]);
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
        memcpy(note.name, s->name, sizeof(note.name));
        void_permits(f, s);
        bk_fleet_note(f, &note);
        touch_dependants(f, s->name);
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

static void
put_evidence(struct bk_service *s, const struct bk_lease *lease, int64_t at_ns)
{
    struct bk_evidence *e = &s->evidence[s->evidence_next % BK_EVIDENCE_COUNT];
    s->evidence_next++;
    memset(e, 0, sizeof(*e));
    e->at_ns = at_ns;
    e->latency_ns = -1;
    e->pid = lease->holder_pid;
    e->outcome = BK_TIMEOUT;
    bk_copy_text(e->text, sizeof(e->text), "permit not reported in time", 27);
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

enum bk_error
bk_fleet_place(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
               const char *name, size_t len, const struct bk_policy *policy,
               uint64_t generation, uint32_t *out)
{
    if (slot == BK_NO_SLOT) {
        slot = find_room(f, now_ns);
    }
    uint32_t taken =
        slot == BK_NO_SLOT ? BK_NO_SLOT : bk_fleet_take_policy(f, policy);
    if (taken == BK_NO_SLOT) {
        return BK_ERR_TABLE_FULL;
    }
    struct bk_service *s = &f->services[slot];
    BK_ASSERT(s->name[0] == '\0');
    bk_copy_text(s->name, sizeof(s->name), name, len);
    s->incarnation++;
    s->policy = taken;
    s->is_configured = false;
    s->used_ns = now_ns;
    s->evidence_next = 0;
    memset(s->evidence, 0, sizeof(s->evidence));
    bk_lease_heap_init(&s->permits);
    bk_lease_heap_init(&s->tokens);
    bk_breaker_init(&s->breaker, policy, now_ns, generation);
    f->buckets[bucket_of(f, name, len)] = slot;
    s->timer_at = f->count;
    f->timers[f->count++] = slot;
    bk_fleet_settle(f, slot);
    *out = slot;
    return BK_OK;
}

void
bk_fleet_remove(struct bk_fleet *f, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    uint32_t last = f->count - 1;
    uint32_t at = s->timer_at;
    void_permits(f, s);
    while (bk_leases_first(&s->tokens) != BK_NO_SLOT) {
        bk_leases_remove(&f->leases, &s->tokens, bk_leases_first(&s->tokens));
    }
    unlink_name(f, s->name);
    touch_dependants(f, s->name);
    bk_fleet_drop_policy(f, s->policy);
    swap_timers(f, at, last);
    f->count--;
    if (at < f->count) {
        sift(f, at);
    }
    memset(s->name, 0, sizeof(s->name));
    memset(&s->breaker, 0, sizeof(s->breaker));
    mark_dirty(f, slot);
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
        bk_fleet_place(f, now_ns, BK_NO_SLOT, text, len, &policy,
                       bk_fleet_first_generation(f, text), service);
    if (error == BK_OK) {
        f->services[*service].is_configured = is_configured;
        touch_dependants(f, text);
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

uint32_t
bk_fleet_next_dirty_lease(struct bk_fleet *f)
{
    return bk_leases_next_dirty(&f->leases);
}

/* Whether what a service requires is open, and for how long. */
static bool
is_required_open(const struct bk_fleet *f, uint32_t slot, int64_t *until_ns)
{
    const char *name = bk_fleet_policy_of(f, slot)->requires_name;
    uint32_t other = bk_fleet_find(f, name, strlen(name));
    if (other == BK_NO_SLOT || f->services[other].breaker.state != BK_OPEN) {
        return false;
    }
    int64_t wait_ns = bk_breaker_wait(&f->services[other].breaker, f->now_ns);
    *until_ns = wait_ns > 0 ? bk_after(f->now_ns, wait_ns) : BK_NEVER;
    return true;
}

/* Denies while bk_breaker_wait says so, for ever when it does not know. */
static void
deny(const struct bk_fleet *f, const struct bk_breaker *b, enum bk_deny reason,
     struct bk_verdict *v)
{
    int64_t wait_ns = bk_breaker_wait(b, f->now_ns);
    v->kind = BK_NO;
    v->reason = reason;
    v->until_ms =
        bk_verdict_until(wait_ns > 0 ? bk_after(f->now_ns, wait_ns) : BK_NEVER);
}

uint64_t
bk_fleet_verdict(const struct bk_fleet *f, uint32_t slot)
{
    const struct bk_service *s = &f->services[slot];
    if (s->name[0] == '\0') {
        return 0;
    }
    const struct bk_breaker *b = &s->breaker;
    const struct bk_policy *p = bk_fleet_policy_of(f, slot);
    struct bk_verdict v = {.kind = BK_ASK,
                           .incarnation = (uint8_t)s->incarnation,
                           .generation = (uint16_t)(b->generation & 0xfff)};
    int64_t until_ns = 0;
    bool is_held = bk_hold_left(&b->hold, f->now_ns) > 0;
    bool is_barred = is_required_open(f, slot, &until_ns);
    if (b->mode == BK_BYPASS) {
        v.kind = BK_GO;
    } else if (b->mode == BK_FORCED_OPEN) {
        deny(f, b, BK_DENY_FORCED_OPEN, &v);
    } else if (b->state == BK_CLOSED && !is_held && !is_barred) {
        v.kind = p->max_concurrent == 0 && b->ramp.step == 0 ? BK_GO : BK_ASK;
    } else if (b->mode == BK_OBSERVE) {
        v.kind = BK_ASK; /* the daemon counts what would have been denied */
    } else if (is_held) {
        deny(f, b, BK_DENY_RATE_LIMITED, &v);
    } else if (is_barred) {
        v.kind = BK_NO;
        v.reason = BK_DENY_REQUIRES;
        v.until_ms = bk_verdict_until(until_ns);
    } else if (b->state == BK_OPEN) {
        deny(f, b, BK_DENY_OPEN, &v);
    }
    return bk_verdict_pack(&v);
}
