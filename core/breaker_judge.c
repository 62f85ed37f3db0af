/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes: what a report says of the upstream, and what becomes of it closed and
 * half open. */
#include "core/breaker_private.h"
#include "core/bug.h"

/* What an outcome says of the upstream, by the policy's rules. */
enum judgement { GOOD, BAD, NO_VERDICT, HELD, TRIPS };

static enum judgement
judge(const struct bk_policy *p, enum bk_outcome outcome,
      int64_t retry_after_ns)
{
    switch (outcome) {
    case BK_SUCCESS:
    case BK_REJECTED:
        return GOOD;
    case BK_FAILURE:
    case BK_TIMEOUT:
        return BAD;
    case BK_RATE_LIMITED:
        if (p->on_rate_limit == BK_LIMIT_IGNORE) {
            return NO_VERDICT;
        }
        return p->on_rate_limit == BK_LIMIT_HOLD && retry_after_ns > 0 ? HELD
                                                                       : BAD;
    case BK_CRITICAL:
        if (p->on_critical == BK_CRITICAL_IGNORE) {
            return NO_VERDICT;
        }
        return p->on_critical == BK_CRITICAL_TRIP ? TRIPS : BAD;
    case BK_CANCELLED:
    case BK_OUTCOME_COUNT:
        break;
    }
    return NO_VERDICT;
}

static uint64_t *
counter_of(struct bk_counters *c, enum bk_outcome outcome)
{
    switch (outcome) {
    case BK_SUCCESS:
        return &c->success;
    case BK_FAILURE:
        return &c->failure;
    case BK_TIMEOUT:
        return &c->timeout;
    case BK_RATE_LIMITED:
        return &c->rate_limited;
    case BK_REJECTED:
        return &c->rejected;
    case BK_CRITICAL:
        return &c->critical;
    case BK_CANCELLED:
    case BK_OUTCOME_COUNT:
        break;
    }
    return &c->cancelled;
}

static bool
rate_reached(uint64_t rate_ppm, uint32_t part, uint32_t calls)
{
    return rate_ppm > 0 && (uint64_t)part * BK_PPM >= rate_ppm * calls;
}

/* The rule that opens the breaker after an outcome entered the window, or NONE.
 * The order is part of the meaning. */
static enum bk_cause
tripping_rule(const struct bk_step *s)
{
    const struct bk_policy *p = s->p;
    if (p->failure_threshold > 0 &&
        s->b->consecutive_failures >= p->failure_threshold) {
        return BK_CAUSE_CONSECUTIVE_FAILURES;
    }
    struct bk_window_totals t =
        bk_window_totals(&s->b->window, p, s->ev->now_ns);
    uint32_t least = p->minimum_calls;
    if (p->window_ns == 0 && least > p->window_calls) {
        least = p->window_calls;
    }
    if (t.calls == 0 || t.calls < least) {
        return BK_CAUSE_NONE;
    }
    if (rate_reached(p->failure_rate_ppm, t.failures, t.calls)) {
        return BK_CAUSE_FAILURE_RATE;
    }
    if (p->slow_call_duration_ns > 0 &&
        rate_reached(p->slow_call_rate_ppm, t.slow, t.calls)) {
        return BK_CAUSE_SLOW_RATE;
    }
    return BK_CAUSE_NONE;
}

/* An outcome that is a verdict while closed. */
static void
judge_closed(struct bk_step *s, enum judgement is, int64_t latency_ns,
             uint32_t ramp_serial)
{
    struct bk_breaker *b = s->b;
    const struct bk_policy *p = s->p;
    bool is_bad = is != GOOD;
    bool is_slow =
        p->slow_call_duration_ns > 0 && latency_ns > p->slow_call_duration_ns;

    bk_window_add(&b->window, p, s->ev->now_ns, is_bad, is_slow);
    if (!is_bad) {
        b->consecutive_failures = 0;
        b->health_failures = 0;
    } else if (b->consecutive_failures < UINT32_MAX) {
        b->consecutive_failures++;
    }
    s->fx->is_evidence = is_bad;
    enum bk_cause cause = is == TRIPS ? BK_CAUSE_CRITICAL : tripping_rule(s);
    if (cause != BK_CAUSE_NONE) {
        bk_breaker_open(s, cause);
    } else if (is_bad) {
        bk_ramp_failure(&b->ramp, p, s->ev->now_ns);
    } else {
        bk_ramp_success(&b->ramp, p, s->ev->now_ns, ramp_serial);
    }
}

/* The verdict of a probe. */
static void
judge_half_open(struct bk_step *s, enum judgement is)
{
    struct bk_breaker *b = s->b;
    if (is == GOOD) {
        b->health_failures = 0;
        b->probe_successes++;
        if (b->probe_successes >= s->p->success_threshold) {
            bk_breaker_close(s);
        }
        return;
    }
    s->fx->is_evidence = true;
    if (b->failed_rounds < UINT32_MAX) {
        b->failed_rounds++;
    }
    bk_breaker_open(s, is == TRIPS ? BK_CAUSE_CRITICAL : BK_CAUSE_PROBE_FAILED);
}

static bool
is_stale(const struct bk_step *s)
{
    enum bk_standing standing = s->ev->u.report.standing;
    if (s->b->state == BK_HALF_OPEN) {
        return standing != BK_LIVE;
    }
    return standing == BK_LATE || (s->b->state == BK_OPEN);
}

void
bk_breaker_report(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    enum bk_outcome outcome = s->ev->u.report.outcome;
    int64_t retry_after_ns = s->ev->u.report.retry_after_ns;
    enum judgement is = judge(s->p, outcome, retry_after_ns);

    if (s->ev->u.report.deposits && outcome != BK_CANCELLED) {
        bk_budget_deposit(&b->budget, s->p, s->ev->now_ns);
    }
    if (is == HELD && b->mode != BK_BYPASS) {
        bk_hold_extend(&b->hold, s->p, s->ev->now_ns, retry_after_ns);
    }
    if (is_stale(s)) {
        b->counters.stale++;
        s->fx->applied = BK_STALE;
        return;
    }
    s->fx->applied = BK_APPLIED;
    (*counter_of(&b->counters, outcome))++;
    if (s->ev->u.report.standing == BK_LIVE) {
        BK_ASSERT(b->permits_out > 0);
        b->permits_out--;
    }
    if (b->mode == BK_BYPASS || is == NO_VERDICT || is == HELD) {
        return;
    }
    bool is_counted =
        s->p->count == BK_COUNT_ATTEMPT || !s->ev->u.report.will_retry;
    if (b->state == BK_HALF_OPEN) {
        judge_half_open(s, is);
    } else if (is_counted) {
        judge_closed(s, is, s->ev->u.report.latency_ns,
                     s->ev->u.report.ramp_serial);
    } else if (is == TRIPS) {
        s->fx->is_evidence = true;
        bk_breaker_open(s, BK_CAUSE_CRITICAL);
    }
}

void
bk_breaker_reclaim(struct bk_step *s)
{
    BK_ASSERT(s->b->permits_out > 0);
    s->b->permits_out--;
    s->b->counters.timeout++;
    if (s->b->state == BK_HALF_OPEN) {
        judge_half_open(s, BAD);
    } else {
        judge_closed(s, BAD, -1, 0);
    }
}
