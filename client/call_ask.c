/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call asks for and tells: its permit, what came of an attempt, and the
 * token of a retry, which is taken before the sleep. */
#include "client/call.h"
#include "core/backoff.h"
#include <string.h>

/* ---- a permit ---- */

static uint64_t
ms_up(int64_t ns)
{
    uint64_t ms = bk_ms_up(ns);

    return ms > 0 ? ms : 1;
}

static int64_t
ns_of(uint64_t ms)
{
    return (int64_t)(ms < CALL_MS_MAX ? ms : CALL_MS_MAX) * BK_NS_PER_MS;
}

static void
start(struct breaker_call *c)
{
    int64_t timeout_ns;

    /* Whoever was asked may have made the service, or chosen another. */
    if (c->permit.source != BREAKER_BY_MEMORY)
        c->door->policy(c->world, c->service, &c->policy);
    timeout_ns = call_timeout(c);
    memset(&c->attempt, 0, sizeof c->attempt);
    c->attempt.service = c->service;
    c->attempt.call = c;
    c->attempt.number = c->failed + 1;
    c->attempt.total = c->sum.attempts + 1;
    c->attempt.preset = c->how.preset;
    c->attempt.timeout_ms = ms_up(timeout_ns);
    if (c->end_ns != BK_NEVER)
        c->attempt.deadline_ms = ms_up(c->end_ns - c->now_ns);
    c->attempt_ns = c->now_ns;
    c->lease_ns = c->now_ns;
    c->is_told = false;
    c->rides_out = false;
    c->polls = 0;
    c->phase = CALL_OUT;
}

/* The daemon has no other member of the route to offer than one that has failed:
 * the last failure is what the caller gets. */
static bool
is_at_its_end(struct breaker_call *c)
{
    const struct breaker_failure *last =
        &c->sum.failures[c->sum.failure_count - 1];

    if (c->failed > 0 || c->permit.service == c->members[c->at])
        return false;
    for (uint32_t i = 0; i < c->sum.failure_count; i++) {
        if (c->sum.failures[i].service != c->permit.service ||
            c->sum.failures[i].attempts == 0)
            continue;
        c->door->release(c->world, &c->permit);
        c->service = last->service;
        c->failed = last->attempts;
        call_finish(c, (enum breaker_stop)last->stop);
        return true;
    }
    return false;
}

static void
allowed(struct breaker_call *c)
{
    bool is_new;

    c->has_token = false;
    if (is_at_its_end(c))
        return;
    c->service = c->permit.service;
    is_new = c->built != c->service;
    c->built = c->service;
    if (is_new && c->how.rebuild != NULL &&
        c->how.rebuild(c->how.context, c->service) != 0) {
        c->door->release(c->world, &c->permit);
        c->built = NULL;
        call_give_up(c, BREAKER_STOP_NOT_RETRYABLE);
        return;
    }
    start(c);
}

static void
denied(struct breaker_call *c)
{
    int64_t known_ns = ns_of(c->permit.retry_after_ms);

    c->sum.reason = c->permit.reason;
    c->sum.retry_after_ms = c->permit.retry_after_ms;
    if (c->permit.reason == BREAKER_REASON_BUDGET && c->has_token &&
        !c->is_renewed) {
        /* The token is over; another one is asked for, once. */
        c->has_token = false;
        c->is_renewed = true;
        c->phase = CALL_ASKING;
        return;
    }
    if (c->has_token && known_ns > 0 &&
        bk_after(c->now_ns, known_ns) <= c->token_grace_ns &&
        call_park(c, known_ns, CALL_READY))
        return;
    if (c->failed > 0 && call_waits(c) && call_next_member(c) < 0 &&
        call_park(c, known_ns, CALL_READY))
        return;
    if (c->failed == 0 && known_ns > 0 &&
        (c->soonest_ns == 0 || c->now_ns + known_ns < c->soonest_ns))
        c->soonest_ns = bk_after(c->now_ns, known_ns);
    call_give_up(c, call_stop_of(c->permit.reason));
}

void
call_ask(struct breaker_call *c)
{
    struct breaker_token *token = c->has_token ? &c->token : NULL;

    if (c->now_ns >= c->end_ns) {
        call_finish(c, BREAKER_STOP_MAX_ELAPSED);
        return;
    }
    if (c->failed == 0) {
        c->service = c->members[c->at];
        c->door->policy(c->world, c->service, &c->policy);
    }
    c->ttl_ms = ms_up(call_timeout(c)) + BREAKER_GRACE_MS;
    if (c->door->acquire(c->world, c->service, token, c->ttl_ms, &c->permit) ==
        BREAKER_ALLOWED)
        allowed(c);
    else
        denied(c);
}

/* ---- an outcome ---- */

static void
report(struct breaker_call *c, bool will_retry, uint32_t flags)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    enum breaker_outcome outcome = (enum breaker_outcome)c->last.outcome;

    if (c->is_told)
        return;
    c->is_told = true;
    details.latency_us = (c->now_ns - c->attempt_ns) / BK_NS_PER_US;
    details.text = c->last.text[0] != '\0' ? c->last.text : NULL;
    details.will_retry = will_retry;
    details.flags = flags;
    if ((c->last.flags & BREAKER_RESULT_LOCAL) != 0)
        outcome = BREAKER_CANCELLED;
    else if ((c->last.flags & BREAKER_RESULT_DELAY_ONLY) != 0 &&
             outcome == BREAKER_RATE_LIMITED)
        outcome = BREAKER_REJECTED; /* it answered, and means only this call */
    else if (outcome == BREAKER_RATE_LIMITED)
        details.retry_after_ms = c->last.retry_after_ms;
    c->door->report(c->world, &c->permit, outcome, &details);
}

void
call_report(struct breaker_call *c, bool will_retry)
{
    report(c, will_retry, 0);
}

/* For numbers, when the maker of the attempt did not say. */
static const uint32_t class_of[] = {
    [BREAKER_SUCCESS] = BREAKER_CLASS_NONE,
    [BREAKER_FAILURE] = BREAKER_CLASS_OTHER,
    [BREAKER_TIMEOUT] = BREAKER_CLASS_TIMEOUT,
    [BREAKER_RATE_LIMITED] = BREAKER_CLASS_RATE_LIMIT,
    [BREAKER_REJECTED] = BREAKER_CLASS_REQUEST,
    [BREAKER_CRITICAL] = BREAKER_CLASS_AUTH,
    [BREAKER_CANCELLED] = BREAKER_CLASS_CANCELLED};

static void
take_result(struct breaker_call *c, const struct breaker_result *result)
{
    c->last = *result;
    c->last.text[sizeof c->last.text - 1] = '\0';
    if (c->last.outcome > BREAKER_CANCELLED)
        c->last.outcome = BREAKER_FAILURE;
    if (c->last.error_class >= BREAKER_CLASS_COUNT)
        c->last.error_class = BREAKER_CLASS_OTHER;
    if (c->last.error_class == BREAKER_CLASS_NONE)
        c->last.error_class = class_of[c->last.outcome];
    c->retry_at_ns = 0;
    if (c->last.retry_after_ms > 0)
        c->retry_at_ns = bk_after(c->now_ns, ns_of(c->last.retry_after_ms));
}

bool
call_result(struct breaker_call *c, const struct breaker_result *result,
            int64_t now_ns)
{
    if (c->phase != CALL_OUT)
        return false;
    if (now_ns > c->now_ns)
        c->now_ns = now_ns;
    take_result(c, result);
    c->failed++;
    c->sum.attempts++;
    c->sum.reason = 0;
    c->sum.retry_after_ms = 0;
    c->is_renewed = false;
    c->door->tell(c->world, c, CALL_EVENT_ATTEMPT, 0);
    if ((c->last.flags & BREAKER_RESULT_LOCAL) != 0) {
        call_report(c, false);
        if (call_is_cancelled(c))
            call_finish(c, BREAKER_STOP_CANCELLED);
        else
            call_give_up(c, BREAKER_STOP_NOT_RETRYABLE);
    } else if (c->last.outcome == BREAKER_SUCCESS) {
        call_report(c, false);
        call_finish(c, BREAKER_STOP_SUCCESS);
    } else if (c->last.outcome == BREAKER_CANCELLED || call_is_cancelled(c)) {
        call_report(c, false);
        call_finish(c, BREAKER_STOP_CANCELLED);
    } else if ((c->last.flags & BREAKER_RESULT_STREAMED) != 0) {
        call_report(c, false);
        call_finish(c, BREAKER_STOP_NOT_RETRYABLE);
    } else {
        call_ask_retry(c);
    }
    return true;
}

/* ---- a retry ---- */

static enum breaker_stop
own_bar(const struct breaker_call *c)
{
    uint32_t bit = 1U << c->last.outcome;

    if (c->last.outcome == BREAKER_CRITICAL ||
        (c->how.retry_on != 0 && (c->how.retry_on & bit) == 0))
        return BREAKER_STOP_NOT_RETRYABLE;
    if (c->how.max_attempts > 0 && c->failed >= c->how.max_attempts)
        return BREAKER_STOP_MAX_ATTEMPTS;
    if (c->now_ns >= call_horizon(c) || c->retry_at_ns >= call_horizon(c))
        return BREAKER_STOP_MAX_ELAPSED;
    return BREAKER_STOP_SUCCESS;
}

/* The number of the last attempt that the fleet lets be followed by another:
 * asked about that one, only the budget decides. */
static uint32_t
last_number(const struct breaker_call *c)
{
    uint32_t most = c->last.outcome == BREAKER_RATE_LIMITED
                        ? c->policy.rate_limit_max_attempts
                        : c->policy.max_attempts;

    return most > 1 ? most - 1 : 1;
}

/* The attempt's number as the fleet is asked about it: a call with a larger
 * number of its own stays at the fleet's last. */
static uint32_t
number_asked(const struct breaker_call *c)
{
    uint32_t last = last_number(c);

    return (c->how.max_attempts > 0 || c->rides_out) && c->failed > last
               ? last
               : c->failed;
}

static int64_t
delay_of(const struct breaker_call *c)
{
    const struct breaker_call_options *how = &c->how;
    struct bk_policy p = c->policy;
    int64_t granted_ns = (int64_t)c->token.delay_ms * BK_NS_PER_MS;
    int64_t base_ns;

    if (c->retry_at_ns != 0 || c->last.outcome == BREAKER_RATE_LIMITED)
        return granted_ns;
    if (how->base_delay_ms == 0 && how->max_delay_ms == 0 &&
        how->multiplier_pct == 0 && how->jitter == BREAKER_JITTER_DEFAULT &&
        (c->rides_out || number_asked(c) == c->failed))
        return granted_ns;
    if (how->base_delay_ms > 0)
        p.base_delay_ns =
            (int64_t)(how->base_delay_ms < CALL_MS_MAX ? how->base_delay_ms
                                                       : CALL_MS_MAX) *
            BK_NS_PER_MS;
    if (how->max_delay_ms > 0)
        p.max_delay_ns =
            (int64_t)(how->max_delay_ms < CALL_MS_MAX ? how->max_delay_ms
                                                      : CALL_MS_MAX) *
            BK_NS_PER_MS;
    if (how->multiplier_pct > 0)
        p.multiplier_ppm = (uint64_t)how->multiplier_pct * (BK_PPM / 100);
    if (how->jitter != BREAKER_JITTER_DEFAULT)
        p.jitter = how->jitter - BREAKER_JITTER_FULL;
    base_ns = bk_backoff_base(&p, c->failed, BK_FAILURE);
    switch ((enum bk_jitter)p.jitter) {
    case BK_JITTER_FULL:
        return c->door->share(c->world, base_ns);
    case BK_JITTER_EQUAL:
        return base_ns / 2 + c->door->share(c->world, base_ns - base_ns / 2);
    case BK_JITTER_NONE:
        break;
    }
    return base_ns;
}

static void
granted(struct breaker_call *c)
{
    int64_t delay_ns = delay_of(c);
    int64_t grace_ns = delay_ns / 10;

    c->has_token = true;
    c->token.attempt = c->failed + 1;
    if (bk_after(c->now_ns, delay_ns) >= call_horizon(c)) {
        call_report(c, false);
        call_give_up(c, BREAKER_STOP_MAX_ELAPSED);
        return;
    }
    if (grace_ns < CALL_TOKEN_GRACE_NS)
        grace_ns = CALL_TOKEN_GRACE_NS;
    c->token_grace_ns = bk_after(bk_after(c->now_ns, delay_ns), grace_ns);
    call_report(c, true);
    c->door->tell(c->world, c, CALL_EVENT_RETRY, delay_ns);
    call_sleep(c, delay_ns, CALL_READY);
}

static bool
ask_for_token(struct breaker_call *c, uint32_t number)
{
    uint64_t after_ms = 0;
    bool is_granted;

    /* What is left of it; when it is over, no backoff begins anew. */
    if (c->retry_at_ns != 0)
        after_ms = c->is_told ? ms_up(c->retry_at_ns - c->now_ns)
                              : c->last.retry_after_ms;
    is_granted = c->door->retry(c->world, c->service, number,
                                (enum breaker_outcome)c->last.outcome, after_ms,
                                &c->token) == BREAKER_ALLOWED;
    c->sum.reason = is_granted ? BREAKER_REASON_NONE : c->token.reason;
    c->sum.retry_after_ms = is_granted ? 0 : c->token.retry_after_ms;
    return is_granted;
}

static bool
park_for_token(struct breaker_call *c)
{
    return call_stop_of(c->token.reason) == BREAKER_STOP_OPEN &&
           call_waits(c) && call_next_member(c) < 0 &&
           call_park(c, (int64_t)c->token.retry_after_ms * BK_NS_PER_MS,
                     CALL_ASKING);
}

/* The service is thought to be up, though this call says otherwise. An outage that
 * has just begun looks like this until failure_threshold failures in a row are
 * told; so a call that waits may fail that often more, on the budget's account.
 * If the service is still up then, it is the call that is at fault. */
static bool
go_beyond(struct breaker_call *c)
{
    if (c->beyond >= c->policy.failure_threshold || !c->policy.retries ||
        c->policy.max_attempts <= 1 || !ask_for_token(c, last_number(c)))
        return false;
    c->beyond++;
    granted(c);
    return true;
}

/* The fleet's attempts are used up. When the service is down by the fleet's own
 * verdict, which this very failure may have brought about, a call that waits is
 * not at its end: attempts count while the service is thought to be up. So the
 * failure is told first, and then it is asked whether a call would be let in. */
static bool
ride_out(struct breaker_call *c)
{
    int64_t known_ns;

    if (c->token.reason != BREAKER_REASON_MAX_ATTEMPTS || c->rides_out ||
        !call_waits(c) || call_next_member(c) >= 0)
        return false;
    report(c, false, BREAKER_CONFIRM);
    if (c->door->acquire(c->world, c->service, NULL, c->ttl_ms, &c->permit) ==
        BREAKER_ALLOWED) {
        c->door->release(c->world, &c->permit);
        if (c->permit.state != BREAKER_HALF_OPEN)
            return go_beyond(c);
    }
    c->rides_out = true;
    c->sum.reason = c->permit.reason;
    c->sum.retry_after_ms = c->permit.retry_after_ms;
    known_ns = ns_of(c->permit.retry_after_ms);
    if (call_park(c, known_ns, CALL_ASKING))
        return true;
    c->sum.reason = c->token.reason;
    c->sum.retry_after_ms = 0;
    return false;
}

void
call_ask_retry(struct breaker_call *c)
{
    enum breaker_stop stop = own_bar(c);

    if (stop != BREAKER_STOP_SUCCESS) {
        call_report(c, false);
        call_give_up(c, stop);
    } else if (ask_for_token(c, number_asked(c))) {
        granted(c);
    } else if (park_for_token(c)) {
        call_report(c, true);
    } else if (!ride_out(c)) {
        call_report(c, false);
        call_give_up(c, call_stop_of(c->token.reason));
    }
}
