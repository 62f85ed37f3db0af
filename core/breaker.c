/* SPDX-License-Identifier: Apache-2.0
 *
 * States and modes: the changes a breaker can make, then one function an event.
 * What outcomes mean is in breaker_judge.c, health probes in breaker_health.c. */
#include "core/backoff.h"
#include "core/breaker_private.h"
#include "core/bug.h"
#include <string.h>

/* A denied half-open caller looks again after at most this. */
#define HALF_OPEN_WAIT_MAX_NS (1000 * BK_NS_PER_MS)

void
bk_breaker_init(struct bk_breaker *b, const struct bk_policy *p, int64_t now_ns,
                uint64_t generation)
{
    memset(b, 0, sizeof(*b));
    b->mode = p->mode;
    b->changed_ns = now_ns;
    b->generation = generation;
}

void
bk_breaker_enter(struct bk_step *s, enum bk_state to, enum bk_mode mode,
                 enum bk_cause cause)
{
    struct bk_breaker *b = s->b;
    enum bk_state from = (enum bk_state)b->state;

    if (from != to) {
        b->probe_successes = 0;
    }
    b->open_ns = bk_breaker_open_time(b, s->ev->now_ns);
    if (from != BK_OPEN && to == BK_OPEN) {
        b->counters.opened++;
    }
    if (to != BK_CLOSED) {
        bk_ramp_end(&b->ramp);
    }
    b->state = to;
    b->mode = mode;
    b->cause = cause;
    b->generation++;
    b->changed_ns = s->ev->now_ns;
    b->permits_out = 0;
    s->fx->change = (struct bk_change){.happened = true,
                                       .from = from,
                                       .to = to,
                                       .mode = mode,
                                       .cause = cause,
                                       .generation = b->generation,
                                       .at_ns = s->ev->now_ns};
}

void
bk_breaker_empty(struct bk_breaker *b)
{
    bk_window_clear(&b->window);
    b->consecutive_failures = 0;
    b->failed_rounds = 0;
    b->probe_successes = 0;
    b->health_failures = 0;
}

void
bk_breaker_open(struct bk_step *s, enum bk_cause cause)
{
    const struct bk_policy *p = s->p;
    int64_t time_ns =
        bk_grow(p->recovery_timeout_ns, p->recovery_multiplier_ppm,
                s->b->failed_rounds, p->max_recovery_timeout_ns);
    time_ns -= bk_random_share(s->ev->random,
                               bk_scale(time_ns, p->recovery_jitter_ppm));
    s->b->open_until_ns = bk_after(s->ev->now_ns, time_ns);
    bk_breaker_enter(s, BK_OPEN, (enum bk_mode)s->b->mode, cause);
}

void
bk_breaker_close(struct bk_step *s)
{
    bk_breaker_empty(s->b);
    bk_breaker_enter(s, BK_CLOSED, (enum bk_mode)s->b->mode,
                     BK_CAUSE_PROBE_SUCCEEDED);
    bk_ramp_start(&s->b->ramp, s->p, s->ev->now_ns);
}

/* From one mode into another. Nothing to do when it is in force already. */
static void
change_mode(struct bk_step *s, enum bk_mode to, enum bk_cause cause)
{
    struct bk_breaker *b = s->b;
    if (b->mode == to) {
        return;
    }
    enum bk_state state = (enum bk_state)b->state;
    if (to == BK_FORCED_OPEN) {
        state = BK_OPEN;
    } else if (to == BK_BYPASS) {
        bk_breaker_empty(b);
        bk_ramp_end(&b->ramp);
        state = BK_CLOSED;
    } else if (b->mode == BK_FORCED_OPEN) {
        state = BK_HALF_OPEN;
    }
    b->open_until_ns = state == BK_OPEN ? b->open_until_ns : 0;
    bk_breaker_enter(s, state, to, cause);
}

static void
remove_override(struct bk_step *s, enum bk_cause cause)
{
    memset(&s->b->override, 0, sizeof(s->b->override));
    s->fx->was_override = true;
    change_mode(s, (enum bk_mode)s->p->mode, cause);
}

/* ---- acquire ---- */

/* The first check that fails, in the order of the contract. */
static enum bk_deny
first_denial(const struct bk_step *s)
{
    const struct bk_breaker *b = s->b;
    if (b->mode == BK_FORCED_OPEN) {
        return BK_DENY_FORCED_OPEN;
    }
    if (bk_hold_left(&b->hold, s->ev->now_ns) > 0) {
        return BK_DENY_RATE_LIMITED;
    }
    if (s->ev->u.acquire.requires_denies) {
        return BK_DENY_REQUIRES;
    }
    if (b->state == BK_OPEN) {
        return BK_DENY_OPEN;
    }
    uint32_t limit = bk_breaker_permit_limit(b, s->p);
    bool is_full = limit > 0 && b->permits_out >= limit;
    if (b->state == BK_HALF_OPEN && is_full) {
        return BK_DENY_HALF_OPEN;
    }
    if (b->mode != BK_OBSERVE && s->ev->u.acquire.needs_token &&
        !s->ev->u.acquire.has_token) {
        return BK_DENY_BUDGET;
    }
    return is_full ? BK_DENY_CONCURRENCY : BK_DENY_NONE;
}

static int64_t
wait_for(const struct bk_step *s, enum bk_deny reason)
{
    const struct bk_event *ev = s->ev;
    if (reason == BK_DENY_OPEN || reason == BK_DENY_FORCED_OPEN ||
        reason == BK_DENY_RATE_LIMITED) {
        return bk_breaker_wait(s->b, ev->now_ns);
    }
    if (reason == BK_DENY_HALF_OPEN) {
        int64_t left_ns = ev->u.acquire.lease_left_ns;
        return left_ns < HALF_OPEN_WAIT_MAX_NS ? left_ns
                                               : HALF_OPEN_WAIT_MAX_NS;
    }
    if (reason == BK_DENY_REQUIRES) {
        return ev->u.acquire.requires_left_ns;
    }
    return reason == BK_DENY_RAMP ? bk_ramp_left(&s->b->ramp, ev->now_ns) : 0;
}

static void
acquire(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    struct bk_effects *fx = s->fx;
    if (b->mode == BK_BYPASS) {
        fx->is_allowed = true;
        b->counters.allowed++;
        return;
    }
    enum bk_deny reason = first_denial(s);
    if (reason != BK_DENY_NONE) {
        if (b->mode == BK_OBSERVE) {
            bk_ramp_pass(&b->ramp);
        }
    } else if (!bk_ramp_admit(&b->ramp)) {
        reason = BK_DENY_RAMP;
    }
    if (reason == BK_DENY_NONE) {
        fx->is_leased = b->state == BK_HALF_OPEN || s->p->max_concurrent > 0;
        b->permits_out += fx->is_leased;
    } else if (b->mode == BK_OBSERVE) {
        fx->would_deny = reason;
        b->counters.would_deny++;
    } else {
        fx->deny = reason;
        fx->wait_ns = wait_for(s, reason);
        b->counters.denied += !s->ev->u.acquire.is_tried;
        return;
    }
    fx->is_allowed = true;
    b->counters.allowed++;
}

/* ---- operators, time, configuration ---- */

static void
order(struct bk_step *s)
{
    struct bk_override *o = &s->b->override;
    enum bk_mode mode = s->ev->u.order.mode;
    if (mode == BK_AUTO) {
        if (o->is_set) {
            remove_override(s, BK_CAUSE_OPERATOR);
        }
        return;
    }
    const char *actor = s->ev->u.order.actor;
    memset(o, 0, sizeof(*o));
    o->is_set = 1;
    o->mode = mode;
    o->expires_ns = bk_after(s->ev->now_ns, s->ev->u.order.duration_ns);
    bk_copy_text(o->reason, sizeof(o->reason), s->ev->u.order.reason,
                 s->ev->u.order.reason_len);
    bk_copy_text(o->actor, sizeof(o->actor), actor, strlen(actor));
    change_mode(s, mode, BK_CAUSE_OPERATOR);
}

static void
reset(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    bool is_kept = b->override.is_set && s->ev->u.reset.keeps_override;
    enum bk_mode mode = (enum bk_mode)(is_kept ? b->override.mode : s->p->mode);

    s->fx->was_override = b->override.is_set != 0;
    if (!is_kept) {
        memset(&b->override, 0, sizeof(b->override));
    }
    bk_breaker_empty(b);
    bk_hold_end(&b->hold);
    bk_ramp_end(&b->ramp);
    bk_budget_forget_withdrawals(&b->budget);
    b->open_until_ns = 0;
    bk_breaker_enter(s, mode == BK_FORCED_OPEN ? BK_OPEN : BK_CLOSED, mode,
                     BK_CAUSE_OPERATOR);
}

/* One deadline at most: at one instant an override ends before an open time, that
 * before a hold, that before a ramp step. The caller asks until none is due. */
static void
tick(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    int64_t now_ns = s->ev->now_ns;
    if (b->override.is_set && b->override.expires_ns <= now_ns) {
        remove_override(s, BK_CAUSE_OVERRIDE_EXPIRED);
    } else if (b->state == BK_OPEN && b->mode != BK_FORCED_OPEN &&
               b->open_until_ns <= now_ns) {
        b->open_until_ns = 0;
        bk_breaker_enter(s, BK_HALF_OPEN, (enum bk_mode)b->mode,
                         BK_CAUSE_RECOVERY_TIMEOUT);
    } else if (b->hold.until_ns != 0 && b->hold.until_ns <= now_ns) {
        bk_hold_end(&b->hold);
    } else {
        bk_ramp_advance(&b->ramp, s->p, now_ns);
    }
}

static void
take_policy(struct bk_step *s)
{
    const struct bk_policy *old = s->ev->u.old_policy;
    const struct bk_policy *p = s->p;
    if (old->window_ns != p->window_ns ||
        old->window_calls != p->window_calls) {
        bk_window_clear(&s->b->window);
    }
    if (old->retry_ttl_ns != p->retry_ttl_ns) {
        bk_budget_clear(&s->b->budget);
    }
    if (p->ramp_ns == 0) {
        bk_ramp_end(&s->b->ramp);
    }
    if (!s->b->override.is_set) {
        change_mode(s, (enum bk_mode)p->mode, BK_CAUSE_OPERATOR);
    }
}

struct bk_effects
bk_breaker_step(struct bk_breaker *b, const struct bk_policy *p,
                const struct bk_event *event)
{
    struct bk_effects fx = {0};
    struct bk_step s = {.b = b, .p = p, .ev = event, .fx = &fx};
    switch (event->kind) {
    case BK_EV_TICK:
        tick(&s);
        break;
    case BK_EV_ACQUIRE:
        acquire(&s);
        break;
    case BK_EV_REPORT:
        bk_breaker_report(&s);
        break;
    case BK_EV_RECLAIM:
        bk_breaker_reclaim(&s);
        break;
    case BK_EV_RETURN:
        BK_ASSERT(b->permits_out > 0);
        b->permits_out--;
        break;
    case BK_EV_HEALTH:
        bk_breaker_health(&s);
        break;
    case BK_EV_ORDER:
        order(&s);
        break;
    case BK_EV_RESET:
        reset(&s);
        break;
    case BK_EV_POLICY:
        take_policy(&s);
        break;
    }
    return fx;
}

/* ---- looking ---- */

/* No instant is negative: slices are found by division. */
static bool
times_are_sound(const struct bk_breaker *b)
{
    return b->changed_ns >= 0 && b->open_until_ns >= 0 && b->open_ns >= 0 &&
           b->hold.until_ns >= 0 && b->override.expires_ns >= 0 &&
           b->ramp.step_since_ns >= 0 && b->ramp.step_length_ns >= 0;
}

bool
bk_breaker_is_sound(const struct bk_breaker *b)
{
    return times_are_sound(b) && bk_budget_is_sound(&b->budget) &&
           b->generation < BK_NUMBER_END && b->state < BK_STATE_COUNT &&
           b->mode < BK_MODE_COUNT && b->cause < BK_CAUSE_COUNT &&
           b->override.is_set <= 1 && b->override.mode < BK_MODE_COUNT &&
           b->ramp.step <= BK_RAMP_STEPS &&
           (b->mode != BK_FORCED_OPEN || b->state == BK_OPEN) &&
           (b->mode != BK_BYPASS || b->state == BK_CLOSED) &&
           (b->mode != BK_FORCED_OPEN || b->override.is_set) &&
           b->window.head < BK_WINDOW_CALLS_MAX &&
           b->window.sums.calls <= BK_WINDOW_CALLS_MAX &&
           memchr(b->override.reason, 0, sizeof(b->override.reason)) != NULL &&
           memchr(b->override.actor, 0, sizeof(b->override.actor)) != NULL;
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t
bk_breaker_deadline(const struct bk_breaker *b)
{
    int64_t at_ns = bk_ramp_deadline(&b->ramp);
    if (b->override.is_set) {
        at_ns = earlier(at_ns, b->override.expires_ns);
    }
    if (b->state == BK_OPEN && b->mode != BK_FORCED_OPEN) {
        at_ns = earlier(at_ns, b->open_until_ns);
    }
    return b->hold.until_ns != 0 ? earlier(at_ns, b->hold.until_ns) : at_ns;
}

/* When what keeps an open service shut ends: BK_NEVER for an override without
 * an end, 0 when it is not open. */
static int64_t
open_end(const struct bk_breaker *b)
{
    if (b->mode == BK_FORCED_OPEN) {
        return b->override.expires_ns;
    }
    return b->state == BK_OPEN ? b->open_until_ns : 0;
}

int64_t
bk_breaker_shut_until(const struct bk_breaker *b)
{
    if (b->mode == BK_BYPASS) {
        return 0;
    }
    int64_t end_ns = open_end(b);
    return end_ns > b->hold.until_ns ? end_ns : b->hold.until_ns;
}

int64_t
bk_breaker_wait(const struct bk_breaker *b, int64_t now_ns)
{
    int64_t end_ns = bk_breaker_shut_until(b);
    return end_ns == BK_NEVER || end_ns <= now_ns ? 0 : end_ns - now_ns;
}

/* A damaged record may tell of a change yet to come. */
int64_t
bk_breaker_open_time(const struct bk_breaker *b, int64_t now_ns)
{
    if (b->state != BK_OPEN || now_ns <= b->changed_ns) {
        return b->open_ns;
    }
    return bk_after(b->open_ns, now_ns - b->changed_ns);
}

enum bk_deny
bk_breaker_bars_retry(const struct bk_breaker *b, int64_t now_ns,
                      int64_t delay_ns, int64_t *wait_ns)
{
    *wait_ns = 0;
    if (b->mode == BK_BYPASS || b->mode == BK_OBSERVE) {
        return BK_DENY_NONE;
    }
    int64_t back_ns = bk_after(now_ns, delay_ns);
    enum bk_deny reason = BK_DENY_NONE;
    if (b->hold.until_ns > back_ns) {
        reason = BK_DENY_RATE_LIMITED;
    } else if (open_end(b) > back_ns) {
        reason = BK_DENY_OPEN;
    }
    *wait_ns = reason == BK_DENY_NONE ? 0 : bk_breaker_wait(b, now_ns);
    return reason;
}

uint32_t
bk_breaker_permit_limit(const struct bk_breaker *b, const struct bk_policy *p)
{
    if (b->mode == BK_BYPASS) {
        return 0;
    }
    if (b->state == BK_CLOSED) {
        return p->max_concurrent;
    }
    return p->max_concurrent > 0 && p->max_concurrent < p->half_open_max_calls
               ? p->max_concurrent
               : p->half_open_max_calls;
}
