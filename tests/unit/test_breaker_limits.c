/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine under a hold, a ramp and a limit of concurrency. */
#include "machine.h"
#include "policies.h"
#include "unit.h"

/* ---- hold ---- */

static void
a_hold_is_no_trip(void **state)
{
    (void)state;
    begin("failure_threshold=1 max_hold=10s");
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(5), 0);
    assert_int_equal(fx.applied, BK_APPLIED);
    assert_false(fx.change.happened);
    assert_int_equal(b.counters.rate_limited, 1);
    acquire(SECONDS(1));
    expect_denied(BK_DENY_RATE_LIMITED, SECONDS(4));
    /* Late ones extend it too, up to the cap. */
    report_as(BK_LATE, BK_RATE_LIMITED, SECONDS(500), SECONDS(1));
    assert_int_equal(fx.applied, BK_STALE);
    assert_true(bk_breaker_deadline(&b) == SECONDS(11));
    acquire(SECONDS(11) - 1);
    expect_denied(BK_DENY_RATE_LIMITED, 1);
    acquire(SECONDS(11));
    assert_true(fx.is_allowed);
    assert_int_equal(b.generation, 0);
}

static void
other_rules_for_rate_limits(void **state)
{
    (void)state;
    begin("failure_threshold=1 on_rate_limit=count");
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(5), 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CONSECUTIVE_FAILURES);
    assert_true(b.hold.until_ns == 0);
    begin("failure_threshold=1 on_rate_limit=ignore");
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(5), 0);
    report(BK_RATE_LIMITED, 0);
    assert_int_equal(b.state, BK_CLOSED);
    assert_true(b.hold.until_ns == 0);
    assert_int_equal(b.counters.rate_limited, 2);
}

static void
a_limited_probe_is_given_back(void **state)
{
    (void)state;
    begin("failure_threshold=1 recovery_timeout=1s");
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    report_as(BK_LIVE, BK_RATE_LIMITED, SECONDS(5), SECONDS(2));
    assert_int_equal(b.state, BK_HALF_OPEN);
    assert_int_equal(b.permits_out, 0);
    acquire(SECONDS(3));
    expect_denied(BK_DENY_RATE_LIMITED, SECONDS(4));
    acquire(SECONDS(7));
    assert_true(fx.is_leased);
}

static void
while_open_and_held_the_later_end_counts(void **state)
{
    (void)state;
    begin("failure_threshold=1 recovery_timeout=5s");
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(2), 0);
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    expect_denied(BK_DENY_RATE_LIMITED, SECONDS(4));
    report_as(BK_LATE, BK_RATE_LIMITED, SECONDS(8), SECONDS(1));
    assert_true(bk_breaker_wait(&b, SECONDS(1)) == SECONDS(8));
    /* Both end: each at its own instant. */
    tick(SECONDS(5));
    assert_int_equal(b.state, BK_HALF_OPEN);
    tick(SECONDS(9));
    assert_true(b.hold.until_ns == 0);
}

/* ---- ramp and concurrency ---- */

static void
after_closing_the_share_rises(void **state)
{
    (void)state;
    begin("failure_threshold=2 recovery_timeout=1s success_threshold=1 "
          "ramp=10s");
    trip(0);
    acquire(SECONDS(1));
    report_as(BK_LIVE, BK_SUCCESS, 0, SECONDS(1));
    assert_int_equal(b.ramp.step, 1);
    acquire(SECONDS(1));
    assert_true(fx.is_allowed);
    acquire(MS(1500));
    expect_denied(BK_DENY_RAMP, MS(500));
    report(BK_SUCCESS, SECONDS(2));
    assert_int_equal(b.ramp.step, 2);
    acquire(SECONDS(2));
    report(BK_SUCCESS, MS(2500));
    assert_true(bk_breaker_deadline(&b) == SECONDS(3));
    tick(SECONDS(3));
    assert_int_equal(b.ramp.step, 3);
    report(BK_FAILURE, SECONDS(3));
    assert_int_equal(b.ramp.step, 3);
    report(BK_FAILURE, SECONDS(3));
    assert_int_equal(b.state, BK_OPEN);
    assert_int_equal(b.ramp.step, 0);
}

static void
a_ramp_set_to_0_ends_at_once(void **state)
{
    (void)state;
    begin("ramp=10s");
    bk_ramp_start(&b.ramp, &p, 0);
    take_policy("ramp=20s", 0);
    assert_int_equal(b.ramp.step, 1);
    take_policy("ramp=0", 0);
    assert_int_equal(b.ramp.step, 0);
}

static void
concurrency_is_limited(void **state)
{
    (void)state;
    begin("max_concurrent=2 half_open_max_calls=3 failure_threshold=1 "
          "recovery_timeout=1s");
    acquire(0);
    assert_true(fx.is_leased);
    acquire(0);
    acquire(0);
    expect_denied(BK_DENY_CONCURRENCY, 0);
    assert_int_equal(bk_breaker_permit_limit(&b, &p), 2);
    report_as(BK_LIVE, BK_SUCCESS, 0, 0);
    acquire(0);
    assert_true(fx.is_allowed);
    /* A lost call of a closed breaker is a timeout like any other. */
    step((struct bk_event){.kind = BK_EV_RECLAIM}, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CONSECUTIVE_FAILURES);
    tick(SECONDS(1));
    assert_int_equal(bk_breaker_permit_limit(&b, &p), 2);
    acquire(SECONDS(1));
    acquire(SECONDS(1));
    acquire(SECONDS(1));
    expect_denied(BK_DENY_HALF_OPEN, MS(300));
    p.half_open_max_calls = 1;
    assert_int_equal(bk_breaker_permit_limit(&b, &p), 1);
    p.max_concurrent = 0;
    assert_int_equal(bk_breaker_permit_limit(&b, &p), 1);
}

static void
checks_come_in_their_order(void **state)
{
    struct bk_event e = {.kind = BK_EV_ACQUIRE};
    (void)state;
    begin("max_concurrent=1 failure_threshold=1 ramp=10s");
    e.u.acquire.needs_token = true;
    bk_ramp_start(&b.ramp, &p, 0);
    acquire(0);
    acquire(0);
    expect_denied(BK_DENY_CONCURRENCY, 0);
    assert_int_equal(b.ramp.arrivals, 1);
    step(e, 0);
    expect_denied(BK_DENY_BUDGET, 0);
    e.u.acquire.has_token = true;
    step(e, 0);
    expect_denied(BK_DENY_CONCURRENCY, 0);
    e.u.acquire.requires_denies = true;
    e.u.acquire.requires_left_ns = MS(77);
    report(BK_FAILURE, 0);
    assert_int_equal(b.state, BK_OPEN);
    step(e, 0);
    expect_denied(BK_DENY_REQUIRES, MS(77));
    report_as(BK_LATE, BK_RATE_LIMITED, SECONDS(1), 0);
    step(e, 0);
    expect_denied(BK_DENY_RATE_LIMITED, SECONDS(60));
    order(BK_FORCED_OPEN, SECONDS(90), 0);
    step(e, 0);
    expect_denied(BK_DENY_FORCED_OPEN, SECONDS(90));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_is_no_trip),
        cmocka_unit_test(other_rules_for_rate_limits),
        cmocka_unit_test(a_limited_probe_is_given_back),
        cmocka_unit_test(while_open_and_held_the_later_end_counts),
        cmocka_unit_test(after_closing_the_share_rises),
        cmocka_unit_test(a_ramp_set_to_0_ends_at_once),
        cmocka_unit_test(concurrency_is_limited),
        cmocka_unit_test(checks_come_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
