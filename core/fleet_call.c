/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of workers: ask, report, retry, give back. */
#include "core/backoff.h"
#include "core/bug.h"
#include "core/fleet_private.h"
#include <string.h>

/* ---- acquire ---- */

static bool
is_member(const struct bk_route *r, const char *name)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (strcmp(r->members[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A token serves its own service and the others of a route they share. */
static bool
token_serves(const struct bk_fleet *f, uint32_t given_for, uint32_t slot)
{
    if (given_for == slot) {
        return true;
    }
    for (uint32_t i = 0; i < f->route_count; i++) {
        if (is_member(&f->routes[i], f->services[given_for].name) &&
            is_member(&f->routes[i], f->services[slot].name)) {
            return true;
        }
    }
    return false;
}

/* The lease of a live id, once the deadlines of its service have passed. */
static uint32_t
find_live(struct bk_fleet *f, int64_t now_ns, uint64_t id)
{
    uint32_t lease = bk_leases_find(&f->leases, id);
    if (lease == BK_NO_SLOT) {
        return BK_NO_SLOT;
    }
    bk_fleet_catch_up(f, bk_leases_at(&f->leases, lease)->service, now_ns);
    return bk_leases_find(&f->leases, id);
}

static uint32_t
find_token(struct bk_fleet *f, int64_t now_ns, uint32_t slot, uint64_t id)
{
    uint32_t at = find_live(f, now_ns, id);
    if (at == BK_NO_SLOT) {
        return BK_NO_SLOT;
    }
    const struct bk_lease *lease = bk_leases_at(&f->leases, at);
    bool serves =
        lease->kind == BK_LEASE_TOKEN && token_serves(f, lease->service, slot);
    return serves ? at : BK_NO_SLOT;
}

static void
look_at_required(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
                 struct bk_event *event)
{
    const char *name = bk_fleet_policy_of(f, slot)->requires_name;
    uint32_t other = bk_fleet_find(f, name, strlen(name));
    if (other == BK_NO_SLOT) {
        return;
    }
    bk_fleet_catch_up(f, other, now_ns);
    const struct bk_breaker *b = &f->services[other].breaker;
    event->u.acquire.requires_denies = b->state == BK_OPEN;
    event->u.acquire.requires_left_ns = bk_breaker_wait(b, now_ns);
}

static uint64_t
lease_out(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
          const struct bk_acquire *ask)
{
    struct bk_service *s = &f->services[slot];
    const struct bk_policy *p = bk_fleet_policy_of(f, slot);
    int64_t ttl_ns = ask->ttl_ns > 0 ? ask->ttl_ns : p->permit_ttl_ns;
    if (ask->ttl_ns > p->max_permit_ttl_ns) {
        ttl_ns = p->max_permit_ttl_ns;
    }
    struct bk_lease lease = {
        .id = f->next_id++,
        .generation = s->breaker.generation,
        .deadline_ns = bk_after(now_ns, ttl_ns),
        .service = slot,
        .holder_pid = ask->caller.pid,
        .ramp_serial = s->breaker.ramp.step > 0 ? s->breaker.ramp.serial : 0,
        .kind = BK_LEASE_PERMIT};
    uint32_t at = bk_leases_add(&f->leases, &s->permits, &lease);
    BK_ASSERT(at != BK_NO_SLOT);
    return lease.id;
}

/* One service, its deadlines passed. */
static enum bk_error
ask_service(struct bk_fleet *f, int64_t now_ns, uint32_t slot, bool is_tried,
            const struct bk_acquire *ask, struct bk_acquired *answer)
{
    struct bk_service *s = &f->services[slot];
    struct bk_event event = {.kind = BK_EV_ACQUIRE, .now_ns = now_ns};
    event.u.acquire.is_tried = is_tried;
    uint32_t token = BK_NO_SLOT;
    if (ask->attempt > 1) {
        event.u.acquire.needs_token = true;
        token = find_token(f, now_ns, slot, ask->token);
        event.u.acquire.has_token = token != BK_NO_SLOT;
    }
    look_at_required(f, now_ns, slot, &event);
    if (bk_leases_first(&s->permits) != BK_NO_SLOT) {
        event.u.acquire.lease_left_ns =
            bk_leases_at(&f->leases, bk_leases_first(&s->permits))
                ->deadline_ns -
            now_ns;
    }
    /* A token that is spent makes room for the permit that takes its place. */
    bool may_lease =
        bk_breaker_permit_limit(&s->breaker, bk_fleet_policy_of(f, slot)) > 0;
    if (may_lease && f->leases.used == f->leases.capacity &&
        token == BK_NO_SLOT) {
        return BK_ERR_TABLE_FULL;
    }
    struct bk_effects fx = bk_fleet_step(f, slot, &event);
    if (fx.would_deny != BK_DENY_NONE) {
        bk_fleet_count_stat(s, &s->stats->would_reject[fx.would_deny], 1);
    } else if (!fx.is_allowed && !is_tried) {
        bk_fleet_count_stat(s, &s->stats->rejected[fx.deny], 1);
    }
    *answer = (struct bk_acquired){.is_allowed = fx.is_allowed,
                                   .service = slot,
                                   .name = s->name,
                                   .generation = s->breaker.generation,
                                   .state = (enum bk_state)s->breaker.state,
                                   .deny = fx.deny,
                                   .would_deny = fx.would_deny,
                                   .wait_ns = fx.wait_ns,
                                   .retry_after_ms = bk_ms_up(fx.wait_ns)};
    if (fx.is_allowed && token != BK_NO_SLOT) {
        uint32_t giver = bk_leases_at(&f->leases, token)->service;
        bk_leases_remove(&f->leases, &f->services[giver].tokens, token);
        bk_fleet_settle(f, giver);
    }
    if (fx.is_leased) {
        answer->permit = lease_out(f, now_ns, slot, ask);
    }
    bk_fleet_settle(f, slot);
    return BK_OK;
}

/* Every member that was asked has denied, and the caller is told so. */
static void
count_denied(struct bk_fleet *f, const struct bk_acquired *asked,
             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bk_service *s = &f->services[asked[i].service];
        s->breaker.counters.denied++;
        bk_fleet_count_stat(s, &s->stats->rejected[asked[i].deny], 1);
    }
}

/* The first member that admits; else the shortest known wait of all. */
static enum bk_error
ask_route(struct bk_fleet *f, int64_t now_ns, const struct bk_route *route,
          const struct bk_acquire *ask, struct bk_acquired *answer)
{
    enum bk_error error = BK_ERR_UNAVAILABLE;
    struct bk_acquired asked[BK_ROUTE_MEMBERS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        struct bk_acquired *one = &asked[count];
        const char *name = route->members[i];
        uint32_t slot;
        enum bk_error failed =
            bk_fleet_reach(f, now_ns, name, strlen(name), &slot);
        if (failed == BK_OK) {
            failed = ask_service(f, now_ns, slot, true, ask, one);
        }
        if (failed != BK_OK) {
            error = failed;
            continue;
        }
        if (one->is_allowed) {
            *answer = *one;
            return BK_OK;
        }
        bool is_shorter = one->wait_ns > 0 && (answer->wait_ns == 0 ||
                                               one->wait_ns < answer->wait_ns);
        if (count == 0 || is_shorter) {
            *answer = *one;
        }
        count++;
    }
    count_denied(f, asked, count);
    answer->name = route->name;
    return count > 0 ? BK_OK : error;
}

enum bk_error
bk_fleet_acquire(struct bk_fleet *f, int64_t now_ns,
                 const struct bk_acquire *ask, struct bk_acquired *answer)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    memset(answer, 0, sizeof(*answer));
    const struct bk_route *route = bk_fleet_route(f, ask->name, ask->name_len);
    if (route != NULL) {
        return ask_route(f, now_ns, route, ask, answer);
    }
    uint32_t slot;
    enum bk_error error =
        bk_fleet_reach(f, now_ns, ask->name, ask->name_len, &slot);
    return error == BK_OK ? ask_service(f, now_ns, slot, false, ask, answer)
                          : error;
}

/* ---- report ---- */

static void
put_evidence(struct bk_service *s, const struct bk_report *r, int64_t now_ns)
{
    struct bk_evidence *e = bk_fleet_next_evidence(s);
    e->at_ns = now_ns;
    e->latency_ns = r->latency_ns;
    e->pid = r->caller.pid;
    e->outcome = r->outcome;
    if (r->caller.worker != NULL) {
        bk_copy_text(e->worker, sizeof(e->worker), r->caller.worker,
                     strlen(r->caller.worker));
    }
    if (r->text != NULL) {
        bk_copy_text(e->text, sizeof(e->text), r->text, r->text_len);
    }
}

/* Whether the permit was ever given out and the generation has come. */
static bool
is_known(const struct bk_fleet *f, uint32_t slot, const struct bk_report *r)
{
    return r->permit < f->next_id &&
           (r->is_current ||
            r->generation <= f->services[slot].breaker.generation);
}

/* What the report stands for; takes the lease out when it is live. */
static enum bk_standing
settle_lease(struct bk_fleet *f, uint32_t slot, const struct bk_report *r,
             uint32_t *ramp_serial)
{
    struct bk_service *s = &f->services[slot];
    bool is_now = r->is_current || r->generation == s->breaker.generation;
    if (r->permit == 0) {
        return is_now ? BK_CURRENT : BK_LATE;
    }
    uint32_t at = bk_leases_find(&f->leases, r->permit);
    if (at == BK_NO_SLOT || !is_now) {
        return BK_LATE;
    }
    const struct bk_lease *lease = bk_leases_at(&f->leases, at);
    if (lease->kind != BK_LEASE_PERMIT || lease->service != slot) {
        return BK_LATE;
    }
    *ramp_serial = lease->ramp_serial;
    bk_leases_remove(&f->leases, &s->permits, at);
    return BK_LIVE;
}

static void
count_duration(struct bk_service *s, const struct bk_report *r)
{
    size_t bucket = bk_duration_bucket(r->latency_ns);
    bk_fleet_count_stat(s, &s->stats->duration[bucket], 1);
    bk_fleet_count_stat(s, &s->stats->duration_us[r->outcome],
                        (uint64_t)(r->latency_ns / BK_NS_PER_US));
}

/* A report may make its service only when it cannot be about an earlier life. */
static bool
makes_service(const struct bk_report *r)
{
    return r->permit == 0 && (r->is_current || r->generation == 0);
}

/* Of a service that is there, its deadlines passed. */
static enum bk_applied
report_of(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
          const struct bk_report *r)
{
    if (!is_known(f, slot, r)) {
        return BK_UNKNOWN;
    }
    struct bk_event event = {.kind = BK_EV_REPORT, .now_ns = now_ns};
    event.u.report.outcome = r->outcome;
    event.u.report.latency_ns = r->latency_ns;
    event.u.report.retry_after_ns = r->retry_after_ns;
    event.u.report.will_retry = r->will_retry;
    event.u.report.deposits = r->attempt <= 1;
    event.u.report.standing =
        settle_lease(f, slot, r, &event.u.report.ramp_serial);
    struct bk_effects fx = bk_fleet_step(f, slot, &event);
    if (r->latency_ns >= 0 && r->outcome != BK_CANCELLED &&
        fx.applied == BK_APPLIED) {
        count_duration(&f->services[slot], r);
    }
    if (fx.is_evidence) {
        put_evidence(&f->services[slot], r, now_ns);
    }
    bk_fleet_settle(f, slot);
    return fx.applied;
}

/* One that is there, used now. */
static void
visit(struct bk_fleet *f, int64_t now_ns, uint32_t slot)
{
    bk_fleet_catch_up(f, slot, now_ns);
    f->services[slot].used_ns = now_ns;
}

/* One that is not there; BK_NO_SLOT when it is not to be made either. */
static enum bk_error
make_for(struct bk_fleet *f, int64_t now_ns, const struct bk_report *r,
         uint32_t *slot)
{
    *slot = BK_NO_SLOT;
    if (!makes_service(r) && bk_name_is_valid(r->name, r->name_len) &&
        bk_fleet_route(f, r->name, r->name_len) == NULL) {
        return BK_OK;
    }
    return bk_fleet_reach(f, now_ns, r->name, r->name_len, slot);
}

enum bk_error
bk_fleet_report(struct bk_fleet *f, int64_t now_ns, const struct bk_report *r,
                enum bk_applied *answer)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    *answer = BK_UNKNOWN;
    uint32_t slot = bk_fleet_find(f, r->name, r->name_len);
    enum bk_error error = BK_OK;
    if (slot != BK_NO_SLOT) {
        visit(f, now_ns, slot);
    } else {
        error = make_for(f, now_ns, r, &slot);
    }
    if (error == BK_OK && slot != BK_NO_SLOT) {
        *answer = report_of(f, now_ns, slot, r);
    }
    return error;
}

enum bk_applied
bk_fleet_report_at(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
                   uint8_t incarnation, const struct bk_report *r)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    const struct bk_service *s =
        slot < f->limits.services ? bk_fleet_service(f, slot) : NULL;
    if (s == NULL || (uint8_t)s->incarnation != incarnation) {
        return BK_UNKNOWN;
    }
    visit(f, now_ns, slot);
    return report_of(f, now_ns, slot, r);
}

/* ---- retry ---- */

/* Checks 1 to 5 of a retry, in their order; the delay that would be waited. */
static enum bk_deny
bars_retry(struct bk_fleet *f, int64_t now_ns, uint32_t slot,
           const struct bk_retry *ask, int64_t *delay_ns, int64_t *wait_ns)
{
    const struct bk_policy *p = bk_fleet_policy_of(f, slot);
    uint32_t attempts = ask->outcome == BK_RATE_LIMITED
                            ? p->rate_limit_max_attempts
                            : p->max_attempts;
    if (!p->retries) {
        return BK_DENY_OFF;
    }
    if ((p->retry_on & (1U << ask->outcome)) == 0) {
        return BK_DENY_NOT_RETRYABLE;
    }
    if (ask->failed_attempt >= attempts) {
        return BK_DENY_MAX_ATTEMPTS;
    }
    int64_t base_ns = ask->retry_after_ns;
    *delay_ns = base_ns;
    if (base_ns == 0) {
        base_ns =
            bk_backoff_base(p, (uint32_t)ask->failed_attempt, ask->outcome);
        *delay_ns = bk_backoff_jitter(p, base_ns, &f->random);
    }
    if (*delay_ns > p->max_elapsed_ns) {
        return BK_DENY_MAX_ELAPSED;
    }
    return bk_breaker_bars_retry(&f->services[slot].breaker, now_ns, base_ns,
                                 wait_ns);
}

static void
count_retry(struct bk_service *s, const struct bk_retry *ask,
            const struct bk_granted *answer)
{
    if (!answer->is_granted) {
        bk_fleet_count_stat(s, &s->stats->retry_denied[answer->deny], 1);
        return;
    }
    bk_fleet_count_stat(s, &s->stats->retry_granted[ask->outcome], 1);
    bk_fleet_count_stat(s, &s->stats->retry_delay_us[ask->outcome],
                        (uint64_t)(answer->delay_ns / BK_NS_PER_US));
}

enum bk_error
bk_fleet_retry(struct bk_fleet *f, int64_t now_ns, const struct bk_retry *ask,
               struct bk_granted *answer)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    memset(answer, 0, sizeof(*answer));
    uint32_t slot;
    enum bk_error error =
        bk_fleet_reach(f, now_ns, ask->name, ask->name_len, &slot);
    if (error != BK_OK) {
        return error;
    }
    struct bk_service *s = &f->services[slot];
    const struct bk_policy *p = bk_fleet_policy_of(f, slot);
    struct bk_withdrawal made = {0};
    int64_t wait_ns = 0;
    answer->service = slot;
    answer->deny =
        bars_retry(f, now_ns, slot, ask, &answer->delay_ns, &wait_ns);
    if (answer->deny == BK_DENY_NONE) {
        if (f->leases.used == f->leases.capacity) {
            return BK_ERR_TABLE_FULL;
        }
        if (!bk_budget_withdraw(&s->breaker.budget, p, now_ns, &made)) {
            answer->deny = BK_DENY_BUDGET;
        }
    }
    if (answer->deny == BK_DENY_NONE) {
        struct bk_lease lease = {
            .id = f->next_id++,
            .deadline_ns =
                bk_after(bk_after(now_ns, answer->delay_ns), p->permit_ttl_ns),
            .slice = made.index,
            .era = made.era,
            .service = slot,
            .holder_pid = ask->caller.pid,
            .kind = BK_LEASE_TOKEN};
        uint32_t at = bk_leases_add(&f->leases, &s->tokens, &lease);
        BK_ASSERT(at != BK_NO_SLOT);
        answer->is_granted = true;
        answer->token = lease.id;
    }
    count_retry(s, ask, answer);
    answer->retry_after_ms = bk_ms_up(wait_ns);
    bk_fleet_settle(f, slot);
    return BK_OK;
}

/* ---- giving back ---- */

/* Takes a lease out that ends without a verdict: `kind` says whether its holder
 * gave it back (a cancelled report) or died (nothing is counted). */
static void
give_back(struct bk_fleet *f, int64_t now_ns, uint32_t at,
          enum bk_event_kind kind)
{
    uint32_t slot = bk_leases_at(&f->leases, at)->service;
    if (bk_leases_at(&f->leases, at)->kind == BK_LEASE_TOKEN) {
        bk_fleet_cancel_token(f, at, now_ns);
    } else {
        struct bk_event event = {.kind = kind, .now_ns = now_ns};
        if (kind == BK_EV_REPORT) {
            event.u.report.standing = BK_LIVE;
            event.u.report.outcome = BK_CANCELLED;
            event.u.report.latency_ns = -1;
        }
        bk_leases_remove(&f->leases, &f->services[slot].permits, at);
        bk_fleet_step(f, slot, &event);
    }
    bk_fleet_settle(f, slot);
}

enum bk_applied
bk_fleet_release(struct bk_fleet *f, int64_t now_ns, uint64_t id)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t at = find_live(f, now_ns, id);
    if (at == BK_NO_SLOT) {
        return BK_STALE;
    }
    give_back(f, now_ns, at, BK_EV_REPORT);
    return BK_APPLIED;
}

enum bk_applied
bk_fleet_renew(struct bk_fleet *f, int64_t now_ns, uint64_t id, int64_t ttl_ns)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t at = find_live(f, now_ns, id);
    if (at == BK_NO_SLOT ||
        bk_leases_at(&f->leases, at)->kind != BK_LEASE_PERMIT) {
        return BK_STALE;
    }
    uint32_t slot = bk_leases_at(&f->leases, at)->service;
    int64_t max_ns = bk_fleet_policy_of(f, slot)->max_permit_ttl_ns;
    bk_leases_renew(&f->leases, &f->services[slot].permits, at,
                    bk_after(now_ns, ttl_ns < max_ns ? ttl_ns : max_ns));
    bk_fleet_settle(f, slot);
    return BK_APPLIED;
}

bool
bk_fleet_process_died(struct bk_fleet *f, int64_t now_ns, uint32_t pid)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t at;
    while ((at = bk_leases_of(&f->leases, pid)) != BK_NO_SLOT) {
        if (f->note_count > BK_OUTBOX / 2) {
            return false;
        }
        uint64_t id = bk_leases_at(&f->leases, at)->id;
        at = find_live(f, now_ns, id);
        if (at != BK_NO_SLOT) {
            give_back(f, now_ns, at, BK_EV_RETURN);
        }
    }
    return true;
}

/* ---- tally ---- */

enum bk_error
bk_fleet_tally(struct bk_fleet *f, int64_t now_ns, const char *name,
               size_t name_len, bool is_allowed, uint64_t count,
               enum bk_deny deny)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t slot = bk_fleet_find(f, name, name_len);
    if (slot == BK_NO_SLOT) {
        return BK_ERR_UNKNOWN_SERVICE;
    }
    bk_fleet_catch_up(f, slot, now_ns);
    struct bk_service *s = &f->services[slot];
    if (is_allowed) {
        bk_count(&s->breaker.counters.allowed, count);
    } else {
        bk_count(&s->breaker.counters.denied, count);
        bk_fleet_count_stat(
            s, &s->stats->rejected[deny < BK_DENY_CALLS ? deny : 0], count);
    }
    s->used_ns = now_ns;
    bk_fleet_settle(f, slot);
    return BK_OK;
}
