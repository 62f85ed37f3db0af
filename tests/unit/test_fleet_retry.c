/* SPDX-License-Identifier: Apache-2.0
 *
 * Retries on a fleet: checks, tokens, the budget. */
#include "fleets.h"
#include "unit.h"

static void
expect_grant(const char *name, uint64_t attempt, enum bk_outcome outcome,
             int64_t now_ns)
{
    assert_int_equal(retry(name, attempt, outcome, 0, now_ns), BK_OK);
    assert_true(granted.is_granted);
    assert_true(granted.token > 0);
}

static void
expect_no_grant(const char *name, uint64_t attempt, enum bk_outcome outcome,
                enum bk_deny reason)
{
    assert_int_equal(retry(name, attempt, outcome, 0, SECONDS(1)), BK_OK);
    assert_false(granted.is_granted);
    assert_int_equal(granted.deny, reason);
    assert_int_equal(granted.token, 0);
}

static void
checks_come_in_their_order(void **state)
{
    (void)state;
    begin_fleet(8, 8, 8, 0);
    configure("off", "retries=off retry_on=critical max_attempts=1");
    expect_no_grant("off", 1, BK_FAILURE, BK_DENY_OFF);
    configure("not", "retry_on=critical max_attempts=1");
    expect_no_grant("not", 1, BK_FAILURE, BK_DENY_NOT_RETRYABLE);
    configure("few", "max_attempts=2 rate_limit_max_attempts=3 max_elapsed=1ms "
                     "jitter=none");
    expect_no_grant("few", 2, BK_FAILURE, BK_DENY_MAX_ATTEMPTS);
    expect_no_grant("few", BK_NUMBER_END - 1, BK_FAILURE, BK_DENY_MAX_ATTEMPTS);
    expect_no_grant("few", 3, BK_RATE_LIMITED, BK_DENY_MAX_ATTEMPTS);
    expect_no_grant("few", 2, BK_RATE_LIMITED, BK_DENY_MAX_ELAPSED);
    expect_no_grant("few", 1, BK_FAILURE, BK_DENY_MAX_ELAPSED);
    configure("shut", "failure_threshold=1 retry_min_per_sec=0");
    report("shut", BK_FAILURE, SECONDS(1));
    expect_no_grant("shut", 1, BK_FAILURE, BK_DENY_OPEN);
    assert_int_equal(granted.retry_after_ms, 60000);
    configure("poor", "retry_min_per_sec=0");
    expect_no_grant("poor", 1, BK_FAILURE, BK_DENY_BUDGET);
    assert_int_equal(service("poor")->breaker.budget.denied, 1);
    assert_int_equal(service("shut")->breaker.budget.denied, 0);
    assert_int_equal(retry("*", 1, BK_FAILURE, 0, 0), BK_ERR_BAD_SERVICE);
}

static void
a_given_time_is_kept_exactly(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    assert_int_equal(retry("llm", 1, BK_RATE_LIMITED, MS(1234), 0), BK_OK);
    assert_true(granted.is_granted);
    assert_true(granted.delay_ns == MS(1234));
    assert_int_equal(retry("llm", 1, BK_RATE_LIMITED, SECONDS(301), 0), BK_OK);
    assert_false(granted.is_granted);
    assert_int_equal(granted.deny, BK_DENY_MAX_ELAPSED);
    configure("exact", "jitter=none");
    expect_grant("exact", 2, BK_FAILURE, 0);
    assert_true(granted.delay_ns == SECONDS(2));
}

static void
attempts_after_the_first_need_a_token(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    assert_int_equal(acquire_as("llm", 2, 0, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
    assert_int_equal(acquire_as("llm", 2, 12345, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
    expect_grant("llm", 1, BK_FAILURE, 0);
    uint64_t token = granted.token;
    /* Attempt 1 ignores it, another service has no use for it. */
    assert_int_equal(acquire_as("llm", 1, token, 0, 100, 0), BK_OK);
    expect_allowed(false);
    assert_int_equal(acquire_as("other", 2, token, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
    assert_int_equal(acquire_as("llm", 2, token, 0, 100, 0), BK_OK);
    expect_allowed(false);
    assert_int_equal(acquire_as("llm", 2, token, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
}

static void
a_denied_acquire_leaves_the_token(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "max_concurrent=1");
    expect_grant("llm", 1, BK_FAILURE, 0);
    acquire("llm", 0);
    uint64_t permit = got.permit;
    assert_int_equal(acquire_as("llm", 2, granted.token, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_CONCURRENCY, 0);
    assert_int_equal(bk_fleet_release(fleet, 0, permit), BK_APPLIED);
    assert_int_equal(acquire_as("llm", 2, granted.token, 0, 100, 0), BK_OK);
    expect_allowed(true);
    /* A permit is no token. */
    assert_int_equal(acquire_as("llm", 2, got.permit, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
}

static void
a_spent_token_makes_room_for_its_permit(void **state)
{
    (void)state;
    begin_fleet(4, 1, 4, 0);
    configure("llm", "max_concurrent=1");
    expect_grant("llm", 1, BK_FAILURE, 0);
    assert_int_equal(acquire_as("llm", 1, 0, 0, 100, 0), BK_ERR_TABLE_FULL);
    assert_int_equal(acquire_as("llm", 2, granted.token, 0, 100, 0), BK_OK);
    expect_allowed(true);
}

static void
an_unused_token_gives_its_withdrawal_back(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "retry_min_per_sec=0.1 permit_ttl=2s jitter=none");
    expect_grant("llm", 1, BK_FAILURE, 0);
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, 0), BK_OK);
    assert_int_equal(granted.deny, BK_DENY_BUDGET);
    /* It expires after its delay (1 s) and the permit's time. */
    assert_true(bk_fleet_deadline(fleet) == SECONDS(3));
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, SECONDS(3) - 1), BK_OK);
    assert_int_equal(granted.deny, BK_DENY_BUDGET);
    expect_grant("llm", 1, BK_FAILURE, SECONDS(3));
    uint64_t token = granted.token;
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(3), token, SECONDS(9)),
                     BK_STALE);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(3), token), BK_APPLIED);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(3), token), BK_STALE);
    expect_grant("llm", 1, BK_FAILURE, SECONDS(3));
    assert_int_equal(service("llm")->breaker.counters.cancelled, 0);
}

static void
permits_and_tokens_end_in_order(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "max_concurrent=9 permit_ttl=5s jitter=none base_delay=0 "
                     "failure_threshold=1 retry_min_per_sec=1");
    /* A token and a permit of one instant, the token with the lower number;
     * then a permit and a token, the permit with the lower number. */
    expect_grant("llm", 1, BK_FAILURE, 0);
    acquire("llm", 0);
    assert_true(bk_fleet_advance(fleet, SECONDS(5)));
    assert_int_equal(service("llm")->breaker.state, BK_OPEN);
    assert_int_equal(service("llm")->tokens.count, 0);
    bool was_override;
    assert_int_equal(
        bk_fleet_reset(fleet, SECONDS(5), "llm", 3, false, &was_override),
        BK_OK);
    acquire("llm", SECONDS(5));
    expect_grant("llm", 1, BK_FAILURE, SECONDS(5));
    assert_int_equal(acquire_as("llm", 1, 0, SECONDS(7), 100, SECONDS(5)),
                     BK_OK);
    assert_true(bk_fleet_advance(fleet, SECONDS(11)));
    assert_int_equal(service("llm")->breaker.state, BK_OPEN);
    assert_int_equal(service("llm")->breaker.counters.timeout, 2);
    assert_int_equal(service("llm")->tokens.count, 0);
    assert_int_equal(service("llm")->permits.count, 0);
    expect_no_grant("llm", 1, BK_FAILURE, BK_DENY_OPEN);
}

static void
a_token_serves_the_routes_others(void **state)
{
    struct bk_route routes[2] = {{.name = "x", .count = 2},
                                 {.name = "y", .count = 2}};
    (void)state;
    begin_fleet(8, 8, 8, 2);
    strcpy(routes[0].members[0], "c");
    strcpy(routes[0].members[1], "d");
    strcpy(routes[1].members[0], "a");
    strcpy(routes[1].members[1], "b");
    assert_true(bk_fleet_set_routes(fleet, routes, 2));
    configure("a", "failure_threshold=1");
    expect_grant("a", 1, BK_FAILURE, 0);
    uint64_t token = granted.token;
    report("a", BK_FAILURE, 0);
    acquire("c", 0);
    assert_int_equal(acquire_as("c", 2, token, 0, 100, 0), BK_OK);
    expect_denied(BK_DENY_BUDGET, 0);
    assert_int_equal(acquire_as("y", 2, token, 0, 100, 0), BK_OK);
    expect_allowed(false);
    assert_string_equal(got.name, "b");
    assert_int_equal(service("a")->tokens.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_come_in_their_order),
        cmocka_unit_test(a_given_time_is_kept_exactly),
        cmocka_unit_test(attempts_after_the_first_need_a_token),
        cmocka_unit_test(a_denied_acquire_leaves_the_token),
        cmocka_unit_test(a_spent_token_makes_room_for_its_permit),
        cmocka_unit_test(an_unused_token_gives_its_withdrawal_back),
        cmocka_unit_test(permits_and_tokens_end_in_order),
        cmocka_unit_test(a_token_serves_the_routes_others),
    };
    return cmocka_run_group_tests(tests, NULL, end_fleet);
}
