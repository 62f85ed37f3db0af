/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine under overrides, resets and changed configuration. */
#include "machine.h"
#include "policies.h"
#include "unit.h"

/* ---- overrides ---- */

static void
forced_open_ends_half_open(void **state)
{
    (void)state;
    begin("");
    order(BK_FORCED_OPEN, SECONDS(5), 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_OPERATOR);
    assert_int_equal(b.mode, BK_FORCED_OPEN);
    assert_string_equal(b.override.reason, "maintenance");
    assert_string_equal(b.override.actor, "0:0:4711");
    acquire(SECONDS(1));
    expect_denied(BK_DENY_FORCED_OPEN, SECONDS(4));
    /* Again: another end, no other generation. */
    order(BK_FORCED_OPEN, SECONDS(5), SECONDS(1));
    assert_false(fx.change.happened);
    assert_true(b.override.expires_ns == SECONDS(6));
    tick(SECONDS(6));
    expect_change(BK_OPEN, BK_HALF_OPEN, BK_CAUSE_OVERRIDE_EXPIRED);
    assert_int_equal(b.mode, BK_AUTO);
    assert_false(b.override.is_set);
    assert_int_equal(b.counters.opened, 1);
}

static void
forced_open_without_end_has_no_known_wait(void **state)
{
    (void)state;
    begin("");
    order(BK_FORCED_OPEN, BK_NEVER, 0);
    acquire(SECONDS(1));
    expect_denied(BK_DENY_FORCED_OPEN, 0);
    assert_true(bk_breaker_deadline(&b) == BK_NEVER);
    order(BK_AUTO, BK_NEVER, SECONDS(2));
    assert_true(fx.was_override);
    expect_change(BK_OPEN, BK_HALF_OPEN, BK_CAUSE_OPERATOR);
    order(BK_AUTO, BK_NEVER, SECONDS(2));
    assert_false(fx.was_override);
    assert_false(fx.change.happened);
}

static void
bypass_lets_all_through_and_judges_nothing(void **state)
{
    (void)state;
    begin("failure_threshold=1 max_concurrent=1 ramp=10s");
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(9), 0);
    report(BK_FAILURE, 0);
    order(BK_BYPASS, BK_NEVER, 0);
    expect_change(BK_OPEN, BK_CLOSED, BK_CAUSE_OPERATOR);
    assert_int_equal(bk_breaker_permit_limit(&b, &p), 0);
    for (int i = 0; i < 5; i++) {
        acquire(0);
        assert_true(fx.is_allowed);
        assert_false(fx.is_leased);
        report(BK_FAILURE, 0);
        assert_int_equal(fx.applied, BK_APPLIED);
        assert_false(fx.is_evidence);
    }
    assert_int_equal(b.counters.failure, 6);
    assert_int_equal(b.state, BK_CLOSED);
    assert_true(bk_breaker_wait(&b, 0) == 0);
    int64_t until_ns = b.hold.until_ns;
    report_as(BK_CURRENT, BK_RATE_LIMITED, SECONDS(100), 0);
    assert_true(b.hold.until_ns == until_ns);
    order(BK_AUTO, BK_NEVER, 0);
    expect_change(BK_CLOSED, BK_CLOSED, BK_CAUSE_OPERATOR);
    assert_int_equal(b.consecutive_failures, 0);
    assert_int_equal(b.ramp.step, 0);
}

static void
observe_denies_nothing_and_tells(void **state)
{
    (void)state;
    begin("failure_threshold=2 recovery_timeout=1s half_open_max_calls=1");
    order(BK_OBSERVE, BK_NEVER, 0);
    report(BK_FAILURE, 0);
    report(BK_FAILURE, 0);
    assert_int_equal(b.state, BK_OPEN);
    acquire(0);
    assert_true(fx.is_allowed);
    assert_false(fx.is_leased);
    assert_int_equal(b.counters.would_deny, 1);
    assert_int_equal(b.counters.denied, 0);
    acquire(SECONDS(1));
    assert_true(fx.is_leased);
    acquire(SECONDS(1));
    assert_true(fx.is_allowed);
    assert_false(fx.is_leased);
    assert_int_equal(b.counters.would_deny, 2);
    /* No token is needed here. */
    report_as(BK_LIVE, BK_SUCCESS, 0, SECONDS(1));
    struct bk_event e = {.kind = BK_EV_ACQUIRE};
    e.u.acquire.needs_token = true;
    step(e, SECONDS(1));
    assert_true(fx.is_leased);
}

static void
successes_survive_a_change_of_mode(void **state)
{
    (void)state;
    begin("failure_threshold=1 success_threshold=2 recovery_timeout=1s");
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    report_as(BK_LIVE, BK_SUCCESS, 0, SECONDS(1));
    order(BK_OBSERVE, BK_NEVER, SECONDS(1));
    expect_change(BK_HALF_OPEN, BK_HALF_OPEN, BK_CAUSE_OPERATOR);
    acquire(SECONDS(1));
    report_as(BK_LIVE, BK_SUCCESS, 0, SECONDS(1));
    assert_int_equal(b.state, BK_CLOSED);
}

static void
observe_keeps_the_open_time(void **state)
{
    (void)state;
    begin("failure_threshold=1 recovery_timeout=9s");
    report(BK_FAILURE, 0);
    order(BK_OBSERVE, BK_NEVER, SECONDS(1));
    assert_int_equal(b.state, BK_OPEN);
    assert_true(bk_breaker_deadline(&b) == SECONDS(9));
}

static void
what_observe_lets_through_arrives_at_the_ramp(void **state)
{
    (void)state;
    begin("ramp=10s max_concurrent=1 mode=observe");
    bk_ramp_start(&b.ramp, &p, 0);
    acquire(0);
    assert_int_equal(b.ramp.admitted, 1);
    acquire(0);
    assert_int_equal(b.ramp.arrivals, 2);
    assert_int_equal(b.ramp.admitted, 1);
    assert_int_equal(b.counters.would_deny, 1);
}

static void
a_configured_mode_changes_at_once(void **state)
{
    (void)state;
    begin("failure_threshold=1");
    report(BK_FAILURE, 0);
    take_policy("mode=bypass", 0);
    expect_change(BK_OPEN, BK_CLOSED, BK_CAUSE_OPERATOR);
    assert_int_equal(b.mode, BK_BYPASS);
    /* Under an override it waits for its end. */
    order(BK_OBSERVE, SECONDS(1), 0);
    take_policy("mode=auto", 0);
    assert_int_equal(b.mode, BK_OBSERVE);
    tick(SECONDS(1));
    assert_int_equal(b.mode, BK_AUTO);
}

static void
reset_leaves_nothing_but_counters(void **state)
{
    (void)state;
    begin("failure_threshold=1 retry_min_per_sec=0 retry_ratio=1");
    report(BK_FAILURE, 0);
    struct bk_withdrawal made;
    assert_true(bk_budget_withdraw(&b.budget, &p, 0, &made));
    report_as(BK_LATE, BK_RATE_LIMITED, SECONDS(5), 0);
    order(BK_FORCED_OPEN, BK_NEVER, 0);
    uint64_t generation = b.generation;
    reset(false, SECONDS(1));
    assert_true(fx.was_override);
    expect_change(BK_OPEN, BK_CLOSED, BK_CAUSE_OPERATOR);
    assert_int_equal(b.generation, generation + 1);
    assert_int_equal(b.mode, BK_AUTO);
    assert_true(bk_breaker_deadline(&b) == BK_NEVER);
    assert_int_equal(bk_budget_balance_ppm(&b.budget, &p, SECONDS(1)),
                     2 * BK_PPM);
    assert_int_equal(b.counters.opened, 1);
    assert_int_equal(b.counters.failure, 1);
    reset(false, SECONDS(1));
    assert_false(fx.was_override);
    assert_true(fx.change.happened);
}

static void
reset_of_all_leaves_overrides(void **state)
{
    (void)state;
    begin("");
    order(BK_FORCED_OPEN, BK_NEVER, 0);
    reset(true, 0);
    assert_true(fx.was_override);
    assert_int_equal(b.state, BK_OPEN);
    assert_int_equal(b.mode, BK_FORCED_OPEN);
    assert_true(b.override.is_set);
    begin("");
    order(BK_OBSERVE, BK_NEVER, 0);
    reset(true, 0);
    assert_int_equal(b.mode, BK_OBSERVE);
    assert_int_equal(b.state, BK_CLOSED);
    begin("mode=bypass");
    reset(true, 0);
    assert_int_equal(b.mode, BK_BYPASS);
    assert_false(fx.was_override);
}

static void
a_changed_window_starts_empty(void **state)
{
    (void)state;
    begin("failure_threshold=9 retry_min_per_sec=0 retry_ratio=1");
    report(BK_FAILURE, 0);
    take_policy("window=60s failure_threshold=1 retry_min_per_sec=0", 0);
    assert_int_equal(bk_window_totals(&b.window, &p, 0).calls, 1);
    assert_int_equal(bk_budget_balance_ppm(&b.budget, &p, 0), BK_PPM);
    assert_int_equal(b.state, BK_CLOSED);
    take_policy("window=10calls retry_min_per_sec=0", 0);
    assert_int_equal(bk_window_totals(&b.window, &p, 0).calls, 0);
    report(BK_FAILURE, 0);
    take_policy("window=11calls retry_min_per_sec=0 retry_ttl=9s", 0);
    assert_int_equal(bk_window_totals(&b.window, &p, 0).calls, 0);
    assert_int_equal(bk_budget_balance_ppm(&b.budget, &p, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forced_open_ends_half_open),
        cmocka_unit_test(forced_open_without_end_has_no_known_wait),
        cmocka_unit_test(bypass_lets_all_through_and_judges_nothing),
        cmocka_unit_test(observe_denies_nothing_and_tells),
        cmocka_unit_test(successes_survive_a_change_of_mode),
        cmocka_unit_test(observe_keeps_the_open_time),
        cmocka_unit_test(what_observe_lets_through_arrives_at_the_ramp),
        cmocka_unit_test(a_configured_mode_changes_at_once),
        cmocka_unit_test(reset_leaves_nothing_but_counters),
        cmocka_unit_test(reset_of_all_leaves_overrides),
        cmocka_unit_test(a_changed_window_starts_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
