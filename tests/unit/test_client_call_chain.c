/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a call: cancelling, what a call overrides, chains. */
#define _GNU_SOURCE
#include "client_call_play.h"

static const char *const nothing[] = {NULL};

/* ---- cancelling ---- */

static void
a_cancelled_sleep_gives_its_token_back(void **state)
{
    struct play *p = *state;

    p->how.cancel = breaker_cancel_new();
    assert_non_null(p->how.cancel);
    p->cancel_at = "report a failure+";
    assert_int_equal(
        play(p, p->a, ARRAY("allow", "grant 5000"), ARRAY("failure")),
        BREAKER_STOP_CANCELLED);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "0 retry a 1 failure 0: grant 5000\n"
                                 "0 report a failure+ 0 us 0\n"
                                 "0 give back a\n");
    assert_int_equal(p->call.sum.result.outcome, BREAKER_FAILURE);
    /* Set before the first attempt: nobody is asked. */
    assert_int_equal(play(p, p->a, nothing, nothing), BREAKER_STOP_CANCELLED);
    assert_int_equal(p->call.sum.attempts, 0);
}

static void
an_attempt_that_is_out_is_told_cancelled(void **state)
{
    struct play *p = *state;
    int64_t wait_ns;

    play_begin(p, p->a, ARRAY("allow"));
    assert_int_equal(call_next(&p->call, 0, &wait_ns), BREAKER_STEP_ATTEMPT);
    assert_int_equal(call_next(&p->call, 5, &wait_ns), BREAKER_STEP_ATTEMPT);
    call_cancel(&p->call, MS(3));
    assert_int_equal(call_next(&p->call, MS(3), &wait_ns), BREAKER_STEP_DONE);
    assert_non_null(strstr(p->said, "report a cancelled 3000 us 0\n"));
    assert_int_equal(p->call.sum.stop, BREAKER_STOP_CANCELLED);
    assert_int_equal(p->call.sum.attempts, 1);
}

/* ---- what a call overrides ---- */

static void
fast_has_its_own_numbers(void **state)
{
    struct play *p = *state;

    p->how.preset = BREAKER_FAST;
    assert_int_equal(play(p, p->a,
                          ARRAY("allow", "grant 900", "allow", "grant 900",
                                "allow", "grant 900", "allow"),
                          ARRAY("failure", "failure", "failure", "failure")),
                     BREAKER_STOP_MAX_ATTEMPTS);
    /* The third failure is put as the fleet's last: the budget pays. */
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "0 retry a 1 failure 0: grant 900\n"
                                 "0 report a failure+ 0 us 0\n"
                                 "100 acquire a 2 ttl=32000: allow\n"
                                 "100 attempt a 2 timeout=30000\n"
                                 "100 retry a 2 failure 0: grant 900\n"
                                 "100 report a failure+ 0 us 0\n"
                                 "300 acquire a 3 ttl=32000: allow\n"
                                 "300 attempt a 3 timeout=30000\n"
                                 "300 retry a 2 failure 0: grant 900\n"
                                 "300 report a failure+ 0 us 0\n"
                                 "700 acquire a 4 ttl=32000: allow\n"
                                 "700 attempt a 4 timeout=30000\n"
                                 "700 report a failure 0 us 0\n");
}

static void
a_call_may_be_stricter(void **state)
{
    struct play *p = *state;

    p->how.max_attempts = 1;
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("failure")),
                     BREAKER_STOP_MAX_ATTEMPTS);
    p->how.max_attempts = 0;
    p->how.retry_on = 1U << BREAKER_TIMEOUT;
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("failure")),
                     BREAKER_STOP_NOT_RETRYABLE);
    p->how.attempt_timeout_ms = 250;
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("success")),
                     BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said, "ttl=2250"));
    assert_non_null(strstr(p->said, "timeout=250"));
    p->how.base_delay_ms = 40;
    p->how.multiplier_pct = 300;
    p->how.max_delay_ms = 100;
    p->how.jitter = BREAKER_JITTER_EQUAL;
    p->how.retry_on = 0;
    p->share_ns = -1;
    assert_int_equal(
        play(p, p->a, ARRAY("allow", "grant 9", "allow", "grant 9", "allow"),
             ARRAY("failure", "failure", "success")),
        BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said, "40 acquire a 2 "));
    assert_non_null(strstr(p->said, "140 acquire a 3 "));
}

static void
bad_options_are_refused(void **state)
{
    struct play *p = *state;
    struct breaker_call_options bad = p->how;

    bad.size = 8;
    assert_false(call_begin(&p->call, &call_library, NULL, p->a, &bad, 0));
    assert_non_null(strstr(breaker_error_text(), "BREAKER_CALL_OPTIONS_INIT"));
    bad = p->how;
    bad.preset = 3;
    assert_false(call_begin(&p->call, &call_library, NULL, p->a, &bad, 0));
    bad = p->how;
    bad.service_count = 17;
    assert_false(call_begin(&p->call, &call_library, NULL, p->a, &bad, 0));
    bad = p->how;
    bad.multiplier_pct = 50;
    assert_false(call_begin(&p->call, &call_library, NULL, p->a, &bad, 0));
}

/* ---- a chain ---- */

static void
the_next_is_taken_when_one_denies_or_fails(void **state)
{
    struct play *p = *state;

    p->how.rebuild = play_rebuild;
    p->how.context = p;
    assert_int_equal(play(p, breaker_service(p->b, "route"),
                          ARRAY("deny open 5000", "allow"), ARRAY("success")),
                     BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: deny open 5000\n"
                                 "0 next z\n"
                                 "0 acquire z 1 ttl=32000: allow\n"
                                 "0 rebuild z\n"
                                 "0 attempt z 1 timeout=30000\n"
                                 "0 report z success 0 us 0\n");
    assert_ptr_equal(p->call.sum.service, p->z);
    assert_int_equal(p->call.sum.failures[0].reason, BREAKER_REASON_OPEN);
    /* Retries first, then the next, also on errors that are not retried. */
    assert_int_equal(play(p, breaker_service(p->b, "route"),
                          ARRAY("allow", "grant 10", "allow",
                                "deny max_attempts 0", "allow"),
                          ARRAY("failure", "failure", "critical")),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_int_equal(p->call.sum.failure_count, 2);
    assert_int_equal(p->call.sum.failures[0].stop, BREAKER_STOP_MAX_ATTEMPTS);
    assert_int_equal(p->call.sum.failures[0].result.outcome, BREAKER_FAILURE);
    assert_int_equal(p->call.sum.failures[0].attempts, 2);
    assert_int_equal(p->call.sum.failures[1].result.outcome, BREAKER_CRITICAL);
    assert_int_equal(p->call.sum.attempts, 3);
}

/* When all deny, the shortest wait is waited for, and the first comes first. */
static void
a_chain_that_denies_is_waited_for(void **state)
{
    struct play *p = *state;

    p->how.services = p->chain;
    p->how.service_count = 2;
    p->how.deadline_ms = 60000;
    p->how.answer = play_answer;
    p->how.context = p;
    assert_int_equal(play(p, NULL,
                          ARRAY("deny open 5000", "deny open 2000",
                                "deny open 3000", "allow"),
                          ARRAY("success")),
                     BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: deny open 5000\n"
                                 "0 next z\n"
                                 "0 acquire z 1 ttl=32000: deny open 2000\n"
                                 "2000 acquire a 1 ttl=32000: deny open 3000\n"
                                 "2000 next z\n"
                                 "2000 acquire z 1 ttl=32000: allow\n"
                                 "2000 attempt z 1 timeout=30000\n"
                                 "2000 report z success 0 us 0\n");
    /* One has failed for good, the other denies: only that is waited for. */
    assert_int_equal(
        play(p, NULL,
             ARRAY("deny open 5000", "allow", "deny open 900000", "allow"),
             ARRAY("failure", "success")),
        BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said, "5000 acquire a 1 ttl=32000: allow\n"));
}

static void
the_default_answer_comes_last(void **state)
{
    struct play *p = *state;

    p->how.services = p->chain;
    p->how.service_count = 2;
    p->how.answer = play_answer;
    p->how.rebuild = play_rebuild;
    p->rebuild_refuses = 1;
    p->how.context = p;
    assert_int_equal(
        play(p, NULL, ARRAY("allow", "deny forced_open 0"), nothing),
        BREAKER_STOP_OPEN);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 rebuild a\n"
                                 "0 release a\n"
                                 "0 next z\n"
                                 "0 acquire z 1 ttl=32000: deny forced_open "
                                 "0\n"
                                 "0 default answer after 2\n");
    assert_int_equal(p->call.sum.is_default, 1);
}

/* The daemon chooses where the members are not known here. */
static void
a_route_of_the_daemon_ends_where_it_began(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, breaker_service(p->b, "hidden"),
                          ARRAY("allow a", "deny open 900", "allow z",
                                "deny max_attempts 0", "allow a"),
                          ARRAY("failure", "timeout")),
                     BREAKER_STOP_MAX_ATTEMPTS);
    assert_string_equal(p->said, "0 acquire hidden 1 ttl=32000: allow a\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "0 retry a 1 failure 0: deny open 900\n"
                                 "0 report a failure 0 us 0\n"
                                 "0 next hidden\n"
                                 "0 acquire hidden 1 ttl=32000: allow z\n"
                                 "0 attempt z 1 timeout=30000\n"
                                 "0 retry z 1 timeout 0: deny max_attempts 0\n"
                                 "0 report z timeout 0 us 0\n"
                                 "0 next hidden\n"
                                 "0 acquire hidden 1 ttl=32000: allow a\n"
                                 "0 release a\n");
    assert_int_equal(p->call.sum.failure_count, 2);
    assert_int_equal(p->call.sum.result.outcome, BREAKER_TIMEOUT);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, play_up, play_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_cancelled_sleep_gives_its_token_back),
        ROW(an_attempt_that_is_out_is_told_cancelled),
        ROW(fast_has_its_own_numbers),
        ROW(a_call_may_be_stricter),
        ROW(bad_options_are_refused),
        ROW(the_next_is_taken_when_one_denies_or_fails),
        ROW(a_chain_that_denies_is_waited_for),
        ROW(the_default_answer_comes_last),
        ROW(a_route_of_the_daemon_ends_where_it_began),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
