/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"
#include "policies.h"
#include "unit.h"

struct bk_policy p;
struct bk_breaker b;
static uint64_t random_state;
struct bk_effects fx;

void
begin(const char *settings)
{
    p = policy_with(settings);
    random_state = 1;
    bk_breaker_init(&b, &p, 0, 0);
}

void
step(struct bk_event event, int64_t now_ns)
{
    event.now_ns = now_ns;
    event.random = &random_state;
    fx = bk_breaker_step(&b, &p, &event);
    assert_true(bk_breaker_is_sound(&b));
    assert_int_equal(fx.change.happened ? b.generation : 0,
                     fx.change.generation);
}

/* Lets deadlines up to now pass, each at its own instant. */
void
tick(int64_t now_ns)
{
    for (int i = 0; bk_breaker_deadline(&b) <= now_ns; i++) {
        assert_true(i < 50);
        step((struct bk_event){.kind = BK_EV_TICK}, bk_breaker_deadline(&b));
    }
}

void
report_as(enum bk_standing standing, enum bk_outcome outcome,
          int64_t retry_after_ns, int64_t now_ns)
{
    struct bk_event e = {.kind = BK_EV_REPORT};
    e.u.report.standing = standing;
    e.u.report.outcome = outcome;
    e.u.report.latency_ns = MS(1);
    e.u.report.retry_after_ns = retry_after_ns;
    e.u.report.deposits = true;
    tick(now_ns);
    step(e, now_ns);
}

void
report(enum bk_outcome outcome, int64_t now_ns)
{
    report_as(BK_CURRENT, outcome, 0, now_ns);
}

void
report_slow(int64_t latency_ns, int64_t now_ns)
{
    struct bk_event e = {.kind = BK_EV_REPORT};
    e.u.report.latency_ns = latency_ns;
    step(e, now_ns);
}

void
acquire(int64_t now_ns)
{
    struct bk_event e = {.kind = BK_EV_ACQUIRE};
    e.u.acquire.lease_left_ns = MS(300);
    tick(now_ns);
    step(e, now_ns);
}

void
order(enum bk_mode mode, int64_t duration_ns, int64_t now_ns)
{
    struct bk_event e = {.kind = BK_EV_ORDER};
    e.u.order.mode = mode;
    e.u.order.duration_ns = duration_ns;
    e.u.order.reason = "maintenance";
    e.u.order.reason_len = 11;
    e.u.order.actor = "0:0:4711";
    tick(now_ns);
    step(e, now_ns);
}

void
reset(bool keeps_override, int64_t now_ns)
{
    struct bk_event e = {.kind = BK_EV_RESET};
    e.u.reset.keeps_override = keeps_override;
    tick(now_ns);
    step(e, now_ns);
}

void
take_policy(const char *settings, int64_t now_ns)
{
    struct bk_policy old = p;
    struct bk_event e = {.kind = BK_EV_POLICY};
    e.u.old_policy = &old;
    p = policy_with(settings);
    step(e, now_ns);
}

void
expect_denied(enum bk_deny reason, int64_t wait_ns)
{
    assert_false(fx.is_allowed);
    assert_int_equal(fx.deny, reason);
    assert_true(fx.wait_ns == wait_ns);
}

void
expect_change(enum bk_state from, enum bk_state to, enum bk_cause cause)
{
    assert_true(fx.change.happened);
    assert_int_equal(fx.change.from, from);
    assert_int_equal(fx.change.to, to);
    assert_int_equal(fx.change.cause, cause);
    assert_int_equal(b.state, to);
}

void
trip(int64_t now_ns)
{
    order(BK_AUTO, BK_NEVER, now_ns);
    while (b.state != BK_OPEN)
        report(BK_FAILURE, now_ns);
}
