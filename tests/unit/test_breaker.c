/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine: closed, open, half open, and what can be seen of it. */
#include "machine.h"
#include "policies.h"
#include "unit.h"

/* ---- closed ---- */

static void
a_new_breaker_is_closed(void **state)
{
    (void)state;
    begin("");
    bk_breaker_init(&b, &p, SECONDS(3), 77);
    assert_int_equal(b.state, BK_CLOSED);
    assert_int_equal(b.mode, BK_AUTO);
    assert_int_equal(b.cause, BK_CAUSE_NONE);
    assert_int_equal(b.generation, 77);
    assert_true(b.changed_ns == SECONDS(3));
    assert_true(bk_breaker_deadline(&b) == BK_NEVER);
    assert_true(bk_breaker_wait(&b, SECONDS(3)) == 0);
    acquire(SECONDS(3));
    assert_true(fx.is_allowed);
    assert_false(fx.is_leased);
    assert_int_equal(b.counters.allowed, 1);
}

static void
failures_in_a_row_open_it(void **state)
{
    (void)state;
    begin("failure_threshold=3");
    report(BK_FAILURE, 1);
    report(BK_TIMEOUT, 2);
    report(BK_REJECTED, 3); /* answered: the row ends */
    assert_int_equal(b.consecutive_failures, 0);
    report(BK_FAILURE, 4);
    report(BK_CANCELLED, 5); /* says nothing */
    report(BK_CRITICAL, 6);
    assert_int_equal(b.state, BK_CLOSED);
    report(BK_RATE_LIMITED, 7); /* without a time to wait: a failure */
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CONSECUTIVE_FAILURES);
    assert_true(fx.is_evidence);
    assert_int_equal(b.generation, 1);
    assert_int_equal(b.counters.opened, 1);
    assert_true(b.open_until_ns == SECONDS(60) + 7);
    assert_true(fx.change.at_ns == 7);
}

static void
a_threshold_of_0_is_off(void **state)
{
    (void)state;
    begin("failure_threshold=0");
    for (int i = 0; i < 1000; i++)
        report(BK_FAILURE, i);
    assert_int_equal(b.state, BK_CLOSED);
    b.consecutive_failures = UINT32_MAX;
    report(BK_FAILURE, 1000);
    assert_int_equal(b.consecutive_failures, UINT32_MAX);
}

static void
a_failure_rate_needs_enough_calls(void **state)
{
    (void)state;
    begin("failure_threshold=0 failure_rate=0.5 minimum_calls=4");
    report(BK_FAILURE, 0);
    report(BK_FAILURE, 0);
    report(BK_SUCCESS, 0);
    assert_int_equal(b.state, BK_CLOSED);
    /* The outcome that makes it enough may be a success. */
    report(BK_SUCCESS, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_FAILURE_RATE);
    assert_false(fx.is_evidence);

    begin("failure_threshold=0 failure_rate=0.500001 minimum_calls=4");
    for (int i = 0; i < 100; i++)
        report(i % 2 == 0 ? BK_SUCCESS : BK_FAILURE, 0);
    assert_int_equal(b.state, BK_CLOSED);
    report(BK_FAILURE, 0);
    assert_int_equal(b.state, BK_OPEN);
}

static void
a_count_window_clamps_the_minimum(void **state)
{
    (void)state;
    begin("failure_threshold=0 failure_rate=1 window=3calls");
    report(BK_SUCCESS, 0);
    report(BK_FAILURE, 0);
    report(BK_FAILURE, 0);
    assert_int_equal(b.state, BK_CLOSED);
    report(BK_FAILURE, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_FAILURE_RATE);
}

static void
slow_calls_open_it(void **state)
{
    (void)state;
    begin("slow_call_duration=1s slow_call_rate=0.5 minimum_calls=2");
    report_slow(SECONDS(1), 0);
    report_slow(-1, 0);
    report_slow(SECONDS(1), 0);
    assert_int_equal(b.state, BK_CLOSED);
    report_slow(SECONDS(1) + 1, 0);
    report_slow(SECONDS(2), 0);
    assert_int_equal(b.state, BK_CLOSED);
    report_slow(SECONDS(2), 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_SLOW_RATE);
    /* Without a duration nothing is slow. */
    begin("slow_call_rate=0.5 minimum_calls=2");
    for (int i = 0; i < 50; i++)
        report_slow(SECONDS(100), 0);
    assert_int_equal(b.state, BK_CLOSED);
}

static void
rules_are_asked_in_their_order(void **state)
{
    (void)state;
    begin("failure_threshold=2 failure_rate=0.5 slow_call_duration=1ms "
          "slow_call_rate=0.1 minimum_calls=2");
    struct bk_event e = {.kind = BK_EV_REPORT};
    e.u.report.outcome = BK_FAILURE;
    e.u.report.latency_ns = SECONDS(9);
    step(e, 0);
    step(e, 0);
    assert_int_equal(fx.change.cause, BK_CAUSE_CONSECUTIVE_FAILURES);
    begin("failure_threshold=9 failure_rate=0.5 slow_call_duration=1ms "
          "slow_call_rate=0.1 minimum_calls=2");
    step(e, 0);
    step(e, 0);
    assert_int_equal(fx.change.cause, BK_CAUSE_FAILURE_RATE);
}

static void
minimum_0_needs_a_call_all_the_same(void **state)
{
    (void)state;
    begin("failure_threshold=0 failure_rate=0.5 minimum_calls=0");
    report(BK_CANCELLED, 0);
    assert_int_equal(b.state, BK_CLOSED);
    report(BK_FAILURE, 0);
    assert_int_equal(b.state, BK_OPEN);
}

static void
critical_follows_its_rule(void **state)
{
    (void)state;
    begin("on_critical=trip");
    report(BK_CRITICAL, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CRITICAL);
    begin("on_critical=ignore failure_threshold=1");
    report(BK_CRITICAL, 0);
    assert_int_equal(b.state, BK_CLOSED);
    assert_int_equal(b.counters.critical, 1);
    assert_int_equal(b.window.u.slices[0].totals.calls, 0);
    begin("on_critical=count failure_threshold=1");
    report(BK_CRITICAL, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CONSECUTIVE_FAILURES);
}

static void
calls_that_will_be_retried_may_not_count(void **state)
{
    struct bk_event e = {.kind = BK_EV_REPORT};
    (void)state;
    e.u.report.outcome = BK_FAILURE;
    e.u.report.will_retry = true;
    e.u.report.deposits = true;
    begin("count=call failure_threshold=1 retry_min_per_sec=0");
    step(e, 0);
    assert_int_equal(b.state, BK_CLOSED);
    assert_int_equal(b.counters.failure, 1);
    assert_int_equal(bk_budget_balance_ppm(&b.budget, &p, 0), 200000);
    e.u.report.outcome = BK_CRITICAL;
    step(e, 0);
    assert_int_equal(b.state, BK_CLOSED);
    p.on_critical = BK_CRITICAL_TRIP;
    step(e, 0);
    expect_change(BK_CLOSED, BK_OPEN, BK_CAUSE_CRITICAL);
    begin("count=attempt failure_threshold=1");
    e.u.report.outcome = BK_FAILURE;
    step(e, 0);
    assert_int_equal(b.state, BK_OPEN);
}

/* ---- open ---- */

static void
open_lasts_exactly_its_time(void **state)
{
    (void)state;
    begin("recovery_timeout=5s failure_threshold=1");
    report(BK_FAILURE, SECONDS(1));
    acquire(SECONDS(6) - 1);
    expect_denied(BK_DENY_OPEN, 1);
    assert_int_equal(b.counters.denied, 1);
    assert_true(bk_breaker_wait(&b, SECONDS(2)) == SECONDS(4));
    assert_true(bk_breaker_deadline(&b) == SECONDS(6));
    tick(SECONDS(6));
    expect_change(BK_OPEN, BK_HALF_OPEN, BK_CAUSE_RECOVERY_TIMEOUT);
    assert_true(fx.change.at_ns == SECONDS(6));
    acquire(SECONDS(6));
    assert_true(fx.is_allowed);
    assert_true(fx.is_leased);
}

static void
reports_while_open_are_stale(void **state)
{
    (void)state;
    begin("failure_threshold=1");
    report(BK_FAILURE, 0);
    uint64_t failures = b.counters.failure;
    report(BK_SUCCESS, 1);
    assert_int_equal(fx.applied, BK_STALE);
    report_as(BK_LATE, BK_FAILURE, 0, 2);
    assert_int_equal(fx.applied, BK_STALE);
    assert_int_equal(b.counters.stale, 2);
    assert_int_equal(b.counters.failure, failures);
    assert_int_equal(b.counters.success, 0);
    assert_true(b.open_until_ns == SECONDS(60));
}

static void
open_time_grows_with_failed_rounds(void **state)
{
    static const int64_t want[] = {1, 2, 4, 8, 10, 10};
    int64_t now_ns = 0;
    (void)state;
    begin("failure_threshold=1 recovery_timeout=1s recovery_multiplier=2 "
          "max_recovery_timeout=10s");
    report(BK_FAILURE, 0);
    for (size_t n = 0; n < COUNT_OF(want); n++) {
        assert_true(b.open_until_ns - now_ns == SECONDS(want[n]));
        assert_int_equal(b.failed_rounds, n);
        now_ns = b.open_until_ns;
        acquire(now_ns);
        report_as(BK_LIVE, BK_FAILURE, 0, now_ns);
        expect_change(BK_HALF_OPEN, BK_OPEN, BK_CAUSE_PROBE_FAILED);
        assert_true(fx.is_evidence);
    }
}

static void
jitter_only_shortens_the_open_time(void **state)
{
    int64_t least_ns = BK_NEVER;
    (void)state;
    begin("failure_threshold=1 recovery_timeout=10s recovery_jitter=0.3");
    for (int i = 0; i < 500; i++) {
        reset(false, 0);
        report(BK_FAILURE, 0);
        assert_true(b.open_until_ns >= SECONDS(7));
        assert_true(b.open_until_ns <= SECONDS(10));
        least_ns = b.open_until_ns < least_ns ? b.open_until_ns : least_ns;
    }
    assert_true(least_ns < MS(7200));
}

/* ---- half open ---- */

static void
probes_are_counted_out(void **state)
{
    (void)state;
    begin("failure_threshold=1 half_open_max_calls=2 recovery_timeout=1s");
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    acquire(SECONDS(1));
    assert_int_equal(b.permits_out, 2);
    acquire(SECONDS(1));
    expect_denied(BK_DENY_HALF_OPEN, MS(300));
    struct bk_event e = {.kind = BK_EV_ACQUIRE};
    e.u.acquire.lease_left_ns = SECONDS(2);
    step(e, SECONDS(1));
    expect_denied(BK_DENY_HALF_OPEN, MS(1000));
    /* A cancelled probe makes room and says nothing. */
    report_as(BK_LIVE, BK_CANCELLED, 0, SECONDS(1));
    assert_int_equal(fx.applied, BK_APPLIED);
    assert_int_equal(b.permits_out, 1);
    step((struct bk_event){.kind = BK_EV_RETURN}, SECONDS(1));
    assert_int_equal(b.permits_out, 0);
    assert_int_equal(b.state, BK_HALF_OPEN);
    acquire(SECONDS(1));
    assert_true(fx.is_leased);
}

static void
enough_successes_close_it(void **state)
{
    (void)state;
    begin("failure_threshold=1 success_threshold=2 recovery_timeout=1s "
          "half_open_max_calls=3");
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    acquire(SECONDS(1));
    acquire(SECONDS(1));
    report_as(BK_LIVE, BK_REJECTED, 0, SECONDS(1));
    assert_int_equal(b.state, BK_HALF_OPEN);
    /* What is not of a live lease is no verdict here. */
    report(BK_SUCCESS, SECONDS(1));
    assert_int_equal(fx.applied, BK_STALE);
    report_as(BK_LIVE, BK_SUCCESS, 0, SECONDS(1));
    expect_change(BK_HALF_OPEN, BK_CLOSED, BK_CAUSE_PROBE_SUCCEEDED);
    assert_int_equal(b.permits_out, 0);
    assert_int_equal(b.consecutive_failures, 0);
    assert_int_equal(b.failed_rounds, 0);
    assert_int_equal(bk_window_totals(&b.window, &p, SECONDS(1)).calls, 0);
}

static void
a_lost_probe_is_a_timeout(void **state)
{
    (void)state;
    begin("failure_threshold=1 recovery_timeout=1s");
    report(BK_FAILURE, 0);
    acquire(SECONDS(1));
    step((struct bk_event){.kind = BK_EV_RECLAIM}, SECONDS(2));
    expect_change(BK_HALF_OPEN, BK_OPEN, BK_CAUSE_PROBE_FAILED);
    assert_int_equal(b.counters.timeout, 1);
    assert_true(b.open_until_ns == SECONDS(3));
    acquire(SECONDS(3));
    p.on_critical = BK_CRITICAL_TRIP;
    report_as(BK_LIVE, BK_CRITICAL, 0, SECONDS(3));
    expect_change(BK_HALF_OPEN, BK_OPEN, BK_CAUSE_CRITICAL);
    assert_int_equal(b.failed_rounds, 2);
    acquire(SECONDS(4));
    b.failed_rounds = UINT32_MAX;
    report_as(BK_LIVE, BK_FAILURE, 0, SECONDS(4));
    assert_int_equal(b.failed_rounds, UINT32_MAX);
}

/* ---- looking ---- */

static void
retries_are_barred_while_shut_for_longer(void **state)
{
    int64_t wait_ns = 7;
    (void)state;
    begin("failure_threshold=1 recovery_timeout=5s");
    assert_int_equal(bk_breaker_bars_retry(&b, 0, 0, &wait_ns), BK_DENY_NONE);
    assert_true(wait_ns == 0);
    report(BK_FAILURE, 0);
    assert_int_equal(bk_breaker_bars_retry(&b, 0, SECONDS(5) - 1, &wait_ns),
                     BK_DENY_OPEN);
    assert_true(wait_ns == SECONDS(5));
    assert_int_equal(bk_breaker_bars_retry(&b, 0, SECONDS(5), &wait_ns),
                     BK_DENY_NONE);
    report_as(BK_LATE, BK_RATE_LIMITED, SECONDS(3), 0);
    assert_int_equal(bk_breaker_bars_retry(&b, 0, SECONDS(2), &wait_ns),
                     BK_DENY_RATE_LIMITED);
    assert_true(wait_ns == SECONDS(5));
    assert_int_equal(bk_breaker_bars_retry(&b, 0, SECONDS(3), &wait_ns),
                     BK_DENY_OPEN);
    order(BK_FORCED_OPEN, BK_NEVER, 0);
    assert_int_equal(bk_breaker_bars_retry(&b, 0, SECONDS(900), &wait_ns),
                     BK_DENY_OPEN);
    assert_true(wait_ns == 0);
    order(BK_OBSERVE, BK_NEVER, 0);
    assert_int_equal(bk_breaker_bars_retry(&b, 0, 0, &wait_ns), BK_DENY_NONE);
    order(BK_BYPASS, BK_NEVER, 0);
    assert_int_equal(bk_breaker_bars_retry(&b, 0, 0, &wait_ns), BK_DENY_NONE);
}

/* The breaker with one field changed. */
#define DAMAGE(field, value)                       \
    do {                                           \
        struct bk_breaker bad_b = b;               \
        bad_b.field = value;                       \
        assert_false(bk_breaker_is_sound(&bad_b)); \
    } while (0)

static void
rows_of_health_probes_do_not_overflow(void **state)
{
    (void)state;
    struct bk_event bad = {.kind = BK_EV_HEALTH};
    struct bk_event good = {.kind = BK_EV_HEALTH, .u.health.is_good = true};
    begin("failure_threshold=0");
    b.health_failures = UINT32_MAX;
    b.consecutive_failures = UINT32_MAX;
    step(bad, 1);
    assert_true(b.health_failures == UINT32_MAX);
    assert_true(b.consecutive_failures == UINT32_MAX);
    assert_int_equal(b.state, BK_CLOSED);
    /* Numbers that do not go together come of a damaged record alone. */
    b.consecutive_failures = 3;
    step(good, 2);
    assert_int_equal(b.consecutive_failures, 0);
    assert_int_equal(b.health_failures, 0);
}

static void
numbers_out_of_range_are_not_sound(void **state)
{
    (void)state;
    begin("");
    assert_true(bk_breaker_is_sound(&b));
    DAMAGE(state, BK_STATE_COUNT);
    DAMAGE(mode, BK_MODE_COUNT);
    DAMAGE(cause, BK_CAUSE_COUNT);
    DAMAGE(override.is_set, 2);
    DAMAGE(override.mode, BK_MODE_COUNT);
    DAMAGE(ramp.step, BK_RAMP_STEPS + 1);
    DAMAGE(window.head, BK_WINDOW_CALLS_MAX);
    DAMAGE(window.sums.calls, BK_WINDOW_CALLS_MAX + 1);
    DAMAGE(generation, BK_NUMBER_END);
    DAMAGE(budget.deposits_ppm[9], UINT64_MAX);
    DAMAGE(budget.newest, -1);
}

static void
instants_before_0_are_not_sound(void **state)
{
    (void)state;
    begin("");
    DAMAGE(changed_ns, -1);
    DAMAGE(open_until_ns, -1);
    DAMAGE(hold.until_ns, -1);
    DAMAGE(override.expires_ns, -1);
    DAMAGE(ramp.step_since_ns, -1);
    DAMAGE(ramp.step_length_ns, -1);
}

static void
states_that_no_mode_has_are_not_sound(void **state)
{
    (void)state;
    begin("");
    DAMAGE(mode, BK_FORCED_OPEN);
    order(BK_FORCED_OPEN, BK_NEVER, 0);
    DAMAGE(state, BK_CLOSED);
    DAMAGE(override.is_set, 0);
    struct bk_breaker bad = b;
    memset(bad.override.reason, 'x', sizeof(bad.override.reason));
    assert_false(bk_breaker_is_sound(&bad));
    bad = b;
    memset(bad.override.actor, 'x', sizeof(bad.override.actor));
    assert_false(bk_breaker_is_sound(&bad));
    order(BK_BYPASS, BK_NEVER, 0);
    DAMAGE(state, BK_OPEN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_breaker_is_closed),
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(a_threshold_of_0_is_off),
        cmocka_unit_test(a_failure_rate_needs_enough_calls),
        cmocka_unit_test(a_count_window_clamps_the_minimum),
        cmocka_unit_test(slow_calls_open_it),
        cmocka_unit_test(rules_are_asked_in_their_order),
        cmocka_unit_test(minimum_0_needs_a_call_all_the_same),
        cmocka_unit_test(critical_follows_its_rule),
        cmocka_unit_test(calls_that_will_be_retried_may_not_count),
        cmocka_unit_test(open_lasts_exactly_its_time),
        cmocka_unit_test(reports_while_open_are_stale),
        cmocka_unit_test(open_time_grows_with_failed_rounds),
        cmocka_unit_test(jitter_only_shortens_the_open_time),
        cmocka_unit_test(probes_are_counted_out),
        cmocka_unit_test(enough_successes_close_it),
        cmocka_unit_test(a_lost_probe_is_a_timeout),
        cmocka_unit_test(retries_are_barred_while_shut_for_longer),
        cmocka_unit_test(rows_of_health_probes_do_not_overflow),
        cmocka_unit_test(numbers_out_of_range_are_not_sound),
        cmocka_unit_test(instants_before_0_are_not_sound),
        cmocka_unit_test(states_that_no_mode_has_are_not_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
