/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a call: phases, sleeps, the way along the chain, the end. */
#include "client/call.h"
#include <string.h>

int
call_next_member(const struct breaker_call *c)
{
    for (uint32_t i = c->at + 1; i < c->member_count; i++) {
        if ((c->spent & (1U << i)) == 0)
            return (int)i;
    }
    return -1;
}

/* ---- sleeping ---- */

static void
unpark(struct breaker_call *c)
{
    if (c->is_parked)
        c->door->unpark(c->world);
    c->is_parked = false;
}

void
call_sleep(struct breaker_call *c, int64_t wait_ns, enum call_phase after)
{
    c->phase = CALL_ASLEEP;
    c->after = after;
    c->slept_ns = c->now_ns;
    c->until_ns = bk_after(c->now_ns, wait_ns);
    c->sum.waits++;
}

static void
wake(struct breaker_call *c)
{
    int64_t slept_ns = c->now_ns - c->slept_ns;

    if (slept_ns > 0)
        c->sum.waited_us += (uint64_t)(slept_ns / BK_NS_PER_US);
    unpark(c);
    c->phase = c->after;
}

bool
call_park(struct breaker_call *c, int64_t known_ns, enum call_phase after)
{
    int64_t wait_ns = known_ns;

    if (known_ns > 0) {
        wait_ns = bk_after(known_ns, c->door->share(c->world, known_ns / 10));
        c->polls = 0;
    } else {
        wait_ns = CALL_POLL_NS;
        for (uint32_t i = 0; i < c->polls && wait_ns < CALL_POLL_MAX_NS; i++)
            wait_ns *= 2;
        if (wait_ns > CALL_POLL_MAX_NS)
            wait_ns = CALL_POLL_MAX_NS;
        c->polls++;
    }
    /* The spread alone is no reason to miss the end. */
    if (bk_after(c->now_ns, wait_ns) >= call_horizon(c))
        wait_ns = known_ns;
    if (wait_ns <= 0 || bk_after(c->now_ns, wait_ns) >= call_horizon(c) ||
        !c->door->park(c->world))
        return false;
    c->is_parked = true;
    c->door->tell(c->world, c, CALL_EVENT_WAIT, wait_ns);
    call_sleep(c, wait_ns, after);
    return true;
}

/* ---- the end, of a service and of the call ---- */

static void
drop_token(struct breaker_call *c)
{
    if (c->has_token)
        c->door->give_back(c->world, &c->token);
    c->has_token = false;
}

static struct breaker_failure *
failure_of(struct breaker_call *c)
{
    for (uint32_t i = 0; i < c->sum.failure_count; i++) {
        if (c->sum.failures[i].service == c->service)
            return &c->sum.failures[i];
    }
    return c->sum.failure_count < BREAKER_CHAIN_MAX
               ? &c->sum.failures[c->sum.failure_count++]
               : &c->sum.failures[BREAKER_CHAIN_MAX - 1];
}

static void
note_failure(struct breaker_call *c, enum breaker_stop stop)
{
    struct breaker_failure *f = failure_of(c);

    f->service = c->service;
    f->stop = (uint32_t)stop;
    f->attempts = c->failed;
    f->reason = stop == BREAKER_STOP_OPEN ? c->sum.reason : 0;
    f->retry_after_ms = stop == BREAKER_STOP_OPEN ? c->sum.retry_after_ms : 0;
    f->result = c->last;
    if (c->failed == 0) {
        memset(&f->result, 0, sizeof f->result);
        f->result.size = sizeof f->result;
        f->result.outcome = BREAKER_CANCELLED;
    }
}

void
call_finish(struct breaker_call *c, enum breaker_stop stop)
{
    bool may_answer = stop != BREAKER_STOP_SUCCESS &&
                      stop != BREAKER_STOP_CANCELLED &&
                      (c->last.flags & BREAKER_RESULT_STREAMED) == 0;

    if (c->phase == CALL_ASLEEP)
        wake(c);
    unpark(c);
    drop_token(c);
    if (stop != BREAKER_STOP_SUCCESS)
        note_failure(c, stop);
    c->phase = CALL_OVER;
    c->sum.service = c->service;
    c->sum.stop = (uint32_t)stop;
    c->sum.result = c->last;
    if (stop == BREAKER_STOP_SUCCESS)
        c->sum.reason = 0;
    if (stop != BREAKER_STOP_OPEN)
        c->sum.retry_after_ms = 0;
    c->sum.elapsed_us = (uint64_t)((c->now_ns - c->start_ns) / BK_NS_PER_US);
    if (may_answer && c->how.answer != NULL)
        c->sum.is_default = c->how.answer(c->how.context, &c->sum) != 0;
    c->door->tell(c->world, c, CALL_EVENT_OVER, 0);
}

static void
turn_to(struct breaker_call *c, uint32_t member)
{
    c->at = member;
    c->service = c->members[member];
    c->failed = 0;
    c->beyond = 0;
    c->retry_at_ns = 0;
}

/* A member that only denied may be asked again when all have been. */
static bool
wait_for_chain(struct breaker_call *c, enum breaker_stop stop)
{
    int64_t known_ns = 0;
    uint32_t first = 0;

    while (first < c->member_count && (c->spent & (1U << first)) != 0)
        first++;
    if (!call_waits(c) || first == c->member_count)
        return false;
    if (c->soonest_ns > 0)
        known_ns = c->soonest_ns > c->now_ns ? c->soonest_ns - c->now_ns : 1;
    if (!call_park(c, known_ns, CALL_READY))
        return false;
    note_failure(c, stop);
    turn_to(c, first);
    c->soonest_ns = 0;
    return true;
}

/* The member to take now; -1: none is left. */
static int
choose_next(const struct breaker_call *c)
{
    int next = call_next_member(c);

    /* A route whose members nobody could name: the daemon names another, or
     * one that has failed already, which ends it. */
    if (next < 0 && c->failed > 0 && c->service != c->members[c->at] &&
        c->sum.failure_count < BREAKER_CHAIN_MAX)
        return (int)c->at;
    return next;
}

void
call_give_up(struct breaker_call *c, enum breaker_stop stop)
{
    bool is_denied = c->failed == 0 && (stop == BREAKER_STOP_OPEN ||
                                        stop == BREAKER_STOP_UNAVAILABLE);
    int next;

    drop_token(c);
    if (!is_denied)
        c->spent |= 1U << c->at;
    next = choose_next(c);
    if (next < 0 && wait_for_chain(c, stop))
        return;
    if (next < 0) {
        call_finish(c, stop);
        return;
    }
    note_failure(c, stop);
    c->next = c->members[next];
    c->door->tell(c->world, c, CALL_EVENT_NEXT, 0);
    c->spent &= ~(1U << (uint32_t)next);
    turn_to(c, (uint32_t)next);
    c->phase = CALL_READY;
}

enum breaker_stop
call_stop_of(uint32_t reason)
{
    switch (reason) {
    case BREAKER_REASON_BUDGET:
        return BREAKER_STOP_BUDGET;
    case BREAKER_REASON_MAX_ATTEMPTS:
        return BREAKER_STOP_MAX_ATTEMPTS;
    case BREAKER_REASON_NOT_RETRYABLE:
        return BREAKER_STOP_NOT_RETRYABLE;
    case BREAKER_REASON_MAX_ELAPSED:
        return BREAKER_STOP_MAX_ELAPSED;
    case BREAKER_REASON_OFF:
        return BREAKER_STOP_OFF;
    case BREAKER_REASON_UNAVAILABLE:
        return BREAKER_STOP_UNAVAILABLE;
    default:
        return BREAKER_STOP_OPEN;
    }
}

/* ---- driving ---- */

enum breaker_step_kind
call_next(struct breaker_call *c, int64_t now_ns, int64_t *wait_ns)
{
    *wait_ns = 0;
    if (now_ns > c->now_ns)
        c->now_ns = now_ns;
    for (;;) {
        if (c->phase != CALL_OUT && c->phase != CALL_OVER &&
            call_is_cancelled(c))
            call_finish(c, BREAKER_STOP_CANCELLED);
        switch (c->phase) {
        case CALL_OVER:
            return BREAKER_STEP_DONE;
        case CALL_OUT:
            return BREAKER_STEP_ATTEMPT;
        case CALL_ASLEEP:
            if (c->now_ns < c->until_ns) {
                *wait_ns = c->until_ns - c->now_ns;
                return BREAKER_STEP_WAIT;
            }
            wake(c);
            break;
        case CALL_ASKING:
            call_ask_retry(c);
            break;
        case CALL_READY:
            call_ask(c);
            break;
        }
    }
}

void
call_cancel(struct breaker_call *c, int64_t now_ns)
{
    if (now_ns > c->now_ns)
        c->now_ns = now_ns;
    if (c->phase == CALL_OVER)
        return;
    if (c->phase == CALL_OUT) {
        memset(&c->last, 0, sizeof c->last);
        c->last.size = sizeof c->last;
        c->last.outcome = BREAKER_CANCELLED;
        c->last.error_class = BREAKER_CLASS_CANCELLED;
        c->failed++;
        c->sum.attempts++;
        c->is_told = false;
        call_report(c, false);
    }
    call_finish(c, BREAKER_STOP_CANCELLED);
}
