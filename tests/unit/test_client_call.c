/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a call at one service: attempts, retries, denials. */
#define _GNU_SOURCE
#include "client_call_play.h"

static const char *const nothing[] = {NULL};

/* ---- one service ---- */

static void
success_at_the_first_attempt(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("success 0 took 40")),
                     BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "40 report a success 40000 us 0\n");
    assert_int_equal(p->call.sum.attempts, 1);
    assert_int_equal(p->call.sum.elapsed_us, 40000);
    assert_int_equal(p->call.sum.failure_count, 0);
}

/* The token is asked for before the sleep and spent by the next acquire. */
static void
retry_on_timeout(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, p->a, ARRAY("allow", "grant 812", "allow"),
                          ARRAY("timeout 0 took 30", "success")),
                     BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "30 retry a 1 timeout 0: grant 812\n"
                                 "30 report a timeout+ 30000 us 0\n"
                                 "842 acquire a 2 ttl=32000: allow\n"
                                 "842 attempt a 2 timeout=30000\n"
                                 "842 report a success 0 us 0\n");
    assert_int_equal(p->call.sum.attempts, 2);
    assert_int_equal(p->call.sum.waits, 1);
    assert_int_equal(p->call.sum.waited_us, 812000);
}

static void
the_last_error_is_given_back(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, p->a,
                          ARRAY("allow", "grant 5", "allow", "grant 5", "allow",
                                "deny max_attempts 0"),
                          ARRAY("failure", "failure", "timeout")),
                     BREAKER_STOP_MAX_ATTEMPTS);
    assert_int_equal(p->call.sum.result.outcome, BREAKER_TIMEOUT);
    assert_int_equal(p->call.sum.attempts, 3);
    assert_non_null(strstr(p->said, "report a timeout 0 us 0\n"));
    assert_int_equal(p->call.sum.failures[0].attempts, 3);
    assert_int_equal(
        play(p, p->a, ARRAY("allow", "deny budget 0"), ARRAY("failure")),
        BREAKER_STOP_BUDGET);
    assert_int_equal(p->call.sum.result.outcome, BREAKER_FAILURE);
    assert_int_equal(p->call.sum.reason, BREAKER_REASON_BUDGET);
    assert_int_equal(
        play(p, p->a, ARRAY("allow", "deny off 0"), ARRAY("failure")),
        BREAKER_STOP_OFF);
}

static void
what_is_never_retried(void **state)
{
    struct play *p = *state;

    /* Credentials: nobody is even asked. */
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("critical")),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_int_equal(play(p, p->a, ARRAY("allow", "deny not_retryable 0"),
                          ARRAY("rejected")),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_int_equal(p->call.sum.attempts, 1);
    p->flags = BREAKER_RESULT_LOCAL;
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("failure")),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_non_null(strstr(p->said, "report a cancelled 0 us"));
    p->flags = BREAKER_RESULT_STREAMED;
    p->how.answer = play_answer;
    p->how.context = p;
    p->how.services = p->chain;
    p->how.service_count = 2;
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("failure")),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_non_null(strstr(p->said, "report a failure 0 us"));
    assert_null(strstr(p->said, "default"));
}

static void
a_retry_after_is_waited_for_exactly(void **state)
{
    struct play *p = *state;

    p->share_ns = -1;
    p->how.preset = BREAKER_FAST; /* its delays do not matter here */
    assert_int_equal(play(p, p->a, ARRAY("allow", "grant 1000", "allow"),
                          ARRAY("rate_limited 1000 took 7", "success")),
                     BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said,
                           "7 retry a 1 rate_limited 1000: grant 1000\n"
                           "7 report a rate_limited+ 7000 us 1000\n"
                           "1007 acquire a 2 "));
    /* A bucket's: the service is not held, the call waits all the same. */
    p->flags = BREAKER_RESULT_DELAY_ONLY;
    assert_int_equal(
        play(p, p->a,
             ARRAY("allow", "grant 1000", "allow", "deny max_attempts 0"),
             ARRAY("rate_limited 1000", "rate_limited 1000")),
        BREAKER_STOP_MAX_ATTEMPTS);
    assert_non_null(strstr(p->said,
                           "0 retry a 1 rate_limited 1000: grant 1000\n"
                           "0 report a rejected+ 0 us 0\n"
                           "1000 acquire a 2 "));
}

/* The hold that a call reports itself ends a moment after its own delay: that is
 * no reason to fail. */
static void
a_token_outlasts_a_moment(void **state)
{
    struct play *p = *state;

    assert_int_equal(
        play(p, p->a,
             ARRAY("allow", "grant 1000", "deny rate_limited 2", "allow"),
             ARRAY("rate_limited 1000", "success")),
        BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said, "1002 acquire a 2 "));
    /* More than a moment is a denial, and the token goes back. */
    assert_int_equal(play(p, p->a,
                          ARRAY("allow", "grant 1000", "deny open 60000"),
                          ARRAY("failure")),
                     BREAKER_STOP_OPEN);
    assert_non_null(strstr(p->said, "give back a\n"));
    assert_int_equal(p->call.sum.retry_after_ms, 60000);
    assert_int_equal(p->call.sum.result.outcome, BREAKER_FAILURE);
}

/* ---- denied ---- */

static void
a_denied_call_fails_at_once_or_waits(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, p->a, ARRAY("deny open 5000"), nothing),
                     BREAKER_STOP_OPEN);
    assert_int_equal(p->call.sum.attempts, 0);
    assert_int_equal(p->call.sum.retry_after_ms, 5000);
    assert_int_equal(p->call.sum.result.outcome, BREAKER_CANCELLED);
    p->how.deadline_ms = 120000;
    p->share_ns = -1;
    assert_int_equal(
        play(p, p->a, ARRAY("deny open 5000", "deny half_open 1000", "allow"),
             ARRAY("success")),
        BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: deny open 5000\n"
                                 "5500 acquire a 1 ttl=32000: deny half_open "
                                 "1000\n"
                                 "6600 acquire a 1 ttl=32000: allow\n"
                                 "6600 attempt a 1 timeout=30000\n"
                                 "6600 report a success 0 us 0\n");
    assert_int_equal(p->call.sum.attempts, 1);
    assert_int_equal(p->call.sum.waited_us, 6600000);
}

static void
an_unknown_wait_is_looked_at_again(void **state)
{
    struct play *p = *state;

    p->how.deadline_ms = 400;
    assert_int_equal(play(p, p->a,
                          ARRAY("deny concurrency 0", "deny concurrency 0",
                                "deny concurrency 0", "deny concurrency 0"),
                          nothing),
                     BREAKER_STOP_OPEN);
    assert_string_equal(p->said,
                        "0 acquire a 1 ttl=2400: deny concurrency 0\n"
                        "50 acquire a 1 ttl=2350: deny concurrency 0\n"
                        "150 acquire a 1 ttl=2250: deny concurrency 0\n"
                        "350 acquire a 1 ttl=2050: deny concurrency 0\n");
}

static void
what_does_not_fit_is_not_waited_for(void **state)
{
    struct play *p = *state;

    p->how.deadline_ms = 5000;
    p->share_ns = -1;
    assert_int_equal(play(p, p->a, ARRAY("deny open 5000"), nothing),
                     BREAKER_STOP_OPEN);
    assert_int_equal(p->call.sum.elapsed_us, 0);
    /* The spread is given up before the call is. */
    assert_int_equal(
        play(p, p->a, ARRAY("deny open 4900", "allow"), ARRAY("success")),
        BREAKER_STOP_SUCCESS);
    assert_non_null(strstr(p->said, "4900 acquire a 1 ttl=2100: allow\n"
                                    "4900 attempt a 1 timeout=100\n"));
    /* A granted retry that would come too late goes back. */
    assert_int_equal(
        play(p, p->a, ARRAY("allow", "grant 5000"), ARRAY("failure")),
        BREAKER_STOP_MAX_ELAPSED);
    assert_non_null(strstr(p->said, "report a failure 0 us"));
    assert_non_null(strstr(p->said, "give back a"));
    /* A Retry-After that would, too, and nobody is asked. */
    assert_int_equal(play(p, p->a, ARRAY("allow"), ARRAY("rate_limited 5000")),
                     BREAKER_STOP_MAX_ELAPSED);
    p->how.deadline_ms = 0;
    p->how.max_elapsed_ms = 2000;
    assert_int_equal(play(p, p->a, ARRAY("allow", "grant 900", "allow"),
                          ARRAY("failure 0 took 100", "failure 0 took 1500")),
                     BREAKER_STOP_MAX_ELAPSED);
}

static void
parked_calls_are_bounded(void **state)
{
    struct play *p = *state;

    p->how.on_deny = BREAKER_ON_DENY_WAIT;
    p->parked_max = 0;
    assert_int_equal(play(p, p->a, ARRAY("deny open 100"), nothing),
                     BREAKER_STOP_OPEN);
}

/* The breaker opens under a call that has failed: it waits for its token. */
static void
a_retry_that_is_denied_waits_and_asks_again(void **state)
{
    struct play *p = *state;

    p->how.on_deny = BREAKER_ON_DENY_WAIT;
    p->share_ns = 0;
    assert_int_equal(play(p, p->a,
                          ARRAY("allow", "deny open 60000", "grant 10",
                                "deny half_open 30", "allow"),
                          ARRAY("failure", "success")),
                     BREAKER_STOP_SUCCESS);
    assert_string_equal(p->said, "0 acquire a 1 ttl=32000: allow\n"
                                 "0 attempt a 1 timeout=30000\n"
                                 "0 retry a 1 failure 0: deny open 60000\n"
                                 "0 report a failure+ 0 us 0\n"
                                 "60000 retry a 1 failure 0: grant 10\n"
                                 "60010 acquire a 2 ttl=32000: deny "
                                 "half_open 30\n"
                                 "60040 acquire a 2 ttl=32000: allow\n"
                                 "60040 attempt a 2 timeout=30000\n"
                                 "60040 report a success 0 us 0\n");
}

/* The third failure opens the breaker: the call is not at its end then. It is
 * when the service is thought to be up. */
static void
used_up_attempts_ride_out_an_outage(void **state)
{
    struct play *p = *state;

    p->how.on_deny = BREAKER_ON_DENY_WAIT;
    p->policy.failure_threshold = 0;
    assert_int_equal(
        play(p, p->a,
             ARRAY("allow", "grant 1", "allow", "grant 1", "allow",
                   "deny max_attempts 0", "deny open 5000", "grant 1", "allow",
                   "deny max_attempts 0", "allow"),
             ARRAY("failure", "failure", "failure", "timeout")),
        BREAKER_STOP_MAX_ATTEMPTS);
    assert_non_null(strstr(p->said,
                           "2 retry a 3 failure 0: deny max_attempts 0\n"
                           "2 report a failure 0 us 0\n"
                           "2 acquire a 1 ttl=32000: deny open 5000\n"
                           "5002 retry a 2 failure 0: grant 1\n"
                           "5003 acquire a 4 ttl=32000: allow\n"
                           "5003 attempt a 4 timeout=30000\n"
                           "5003 retry a 4 timeout 0: deny max_attempts 0\n"
                           "5003 report a timeout 0 us 0\n"
                           "5003 acquire a 1 ttl=32000: allow\n"
                           "5003 release a\n"));
    assert_int_equal(p->call.sum.attempts, 4);
    assert_int_equal(p->call.sum.reason, BREAKER_REASON_MAX_ATTEMPTS);
}

/* Three quick failures of one call are not yet the fleet's verdict: it goes on, as
 * often as the verdict may take, and no longer. */
static void
a_waiting_call_outlasts_the_beginning_of_an_outage(void **state)
{
    struct play *p = *state;

    p->how.on_deny = BREAKER_ON_DENY_WAIT;
    p->policy.failure_threshold = 2;
    assert_int_equal(
        play(p, p->a,
             ARRAY("allow", "grant 1", "allow", "grant 1", "allow",
                   "deny max_attempts 0", "allow", "grant 7", "allow",
                   "deny max_attempts 0", "allow", "grant 8", "allow",
                   "deny max_attempts 0", "allow"),
             ARRAY("failure", "failure", "failure", "failure", "failure")),
        BREAKER_STOP_MAX_ATTEMPTS);
    assert_non_null(strstr(p->said,
                           "2 retry a 3 failure 0: deny max_attempts 0\n"
                           "2 report a failure 0 us 0\n"
                           "2 acquire a 1 ttl=32000: allow\n"
                           "2 release a\n"
                           "2 retry a 2 failure 0: grant 7\n"
                           "9 acquire a 4 ttl=32000: allow\n"));
    assert_int_equal(p->call.sum.attempts, 5);
}

static void
a_lost_token_is_replaced_once(void **state)
{
    struct play *p = *state;

    assert_int_equal(play(p, p->a,
                          ARRAY("allow", "grant 10", "deny budget 0",
                                "grant 10", "deny budget 0"),
                          ARRAY("failure")),
                     BREAKER_STOP_BUDGET);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, play_up, play_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(success_at_the_first_attempt),
        ROW(retry_on_timeout),
        ROW(the_last_error_is_given_back),
        ROW(what_is_never_retried),
        ROW(a_retry_after_is_waited_for_exactly),
        ROW(a_token_outlasts_a_moment),
        ROW(a_denied_call_fails_at_once_or_waits),
        ROW(an_unknown_wait_is_looked_at_again),
        ROW(what_does_not_fit_is_not_waited_for),
        ROW(parked_calls_are_bounded),
        ROW(a_retry_that_is_denied_waits_and_asks_again),
        ROW(used_up_attempts_ride_out_an_outage),
        ROW(a_waiting_call_outlasts_the_beginning_of_an_outage),
        ROW(a_lost_token_is_replaced_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
