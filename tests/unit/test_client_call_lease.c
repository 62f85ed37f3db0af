/* SPDX-License-Identifier: Apache-2.0
 *
 * What whole calls put on the wire: the lease's time, its renewal, a token given
 * back; and what is answered to callers that get it wrong. */
#define _GNU_SOURCE
#include "breaker/retry.h"
#include "client_stage.h"
#include "unit.h"
#include <stdio.h>

/* A daemon that leases every call and grants every retry, seconds away. */
static void
play(void *context, const char *line, char *answer, size_t size)
{
    (void)context;
    if (strncmp(line, "ACQUIRE ", 8) == 0)
        snprintf(answer, size, "ALLOW llm 41 3 half_open");
    else if (strncmp(line, "RETRY ", 6) == 0)
        snprintf(answer, size, "GRANT llm 42 3600");
    else if (strncmp(line, "RENEW ", 6) == 0)
        snprintf(answer, size, "OK applied");
    else if (strcmp(line, "PING") == 0)
        snprintf(answer, size, "PONG 7");
    else if (strncmp(line, "HELLO ", 6) == 0)
        snprintf(answer, size, "OK {\"protocol\":1}");
}

static int
up(void **state)
{
    struct stage *s;

    if (stage_up(state) != 0)
        return -1;
    s = *state;
    s->fake = fake_new(s->dir, play, NULL);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
    return 0;
}

static void
stream(void *context, const struct breaker_attempt *a,
       struct breaker_result *result)
{
    (void)context;
    /* Octets that come at once renew nothing. */
    for (int i = 0; i < 100; i++)
        assert_int_equal(breaker_attempt_progress(a), 0);
    sleep_ms(1200);
    for (int i = 0; i < 100; i++)
        assert_int_equal(breaker_attempt_progress(a), 0);
    result->outcome = BREAKER_FAILURE;
    result->flags = BREAKER_RESULT_STREAMED;
    snprintf(result->text, sizeof result->text, "cut off");
}

static void
a_stream_renews_its_lease(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    char line[1100];

    how.preset = BREAKER_STREAMING;
    how.attempt_timeout_ms = 100;
    assert_int_equal(
        breaker_call(breaker_service(s->b, "llm"), &how, stream, NULL, &sum),
        BREAKER_STOP_NOT_RETRYABLE);
    assert_true(fake_line(s->fake, "ACQUIRE", 0, line));
    assert_string_equal(line, "ACQUIRE llm 1 - 2100");
    assert_int_equal(fake_count(s->fake, "RENEW"), 1);
    assert_true(fake_line(s->fake, "RENEW", 0, line));
    assert_string_equal(line, "RENEW 41 2100");
    /* Octets have reached the user: nobody is asked for a retry. */
    assert_int_equal(fake_count(s->fake, "RETRY"), 0);
    assert_true(fake_wait(s->fake, "REPORTQ llm 41 3 failure", 1));
    assert_true(fake_line(s->fake, "REPORTQ", 0, line));
    assert_non_null(strstr(line, " cut off"));
    assert_null(strchr(line, '+'));
    assert_string_equal(sum.result.text, "cut off");
}

static void
what_is_left_over_goes_back(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm = breaker_service(s->b, "llm");
    struct breaker_result bad = BREAKER_RESULT_INIT;
    struct breaker_step step = BREAKER_STEP_INIT;
    struct breaker_call *call = breaker_call_begin(llm, NULL);

    bad.outcome = BREAKER_TIMEOUT;
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_ATTEMPT);
    assert_int_equal(breaker_call_result(call, &bad), 0);
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_WAIT);
    assert_true(step.wait_ms > 3000 && step.wait_ms <= 3600);
    assert_int_equal(breaker_call_end(&call, NULL), BREAKER_STOP_CANCELLED);
    assert_true(fake_wait(s->fake, "RELEASE 42", 1));
    call = breaker_call_begin(llm, NULL);
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_ATTEMPT);
    breaker_call_cancel(call);
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_DONE);
    assert_int_equal(breaker_call_end(&call, NULL), BREAKER_STOP_CANCELLED);
    assert_true(fake_wait(s->fake, "REPORTQ llm 41 3 cancelled", 1));
}

/* ---- callers that get it wrong, and a caller without a breaker ---- */

static void
fail_once(void *context, const struct breaker_attempt *a,
          struct breaker_result *result)
{
    uint32_t *seen = context;

    assert_null(a->service);
    assert_int_equal(a->timeout_ms, 30000);
    (*seen)++;
    result->outcome = BREAKER_FAILURE;
}

static void
no_service_is_one_attempt(void **state)
{
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    uint32_t seen = 0;

    (void)state;
    assert_int_equal(breaker_call(NULL, NULL, fail_once, &seen, &sum),
                     BREAKER_STOP_UNAVAILABLE);
    assert_int_equal(seen, 1);
    assert_int_equal(sum.result.outcome, BREAKER_FAILURE);
}

static void
wrong_arguments_are_answered(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options unset = {.size = 0};
    struct breaker_step step = BREAKER_STEP_INIT;
    struct breaker_call *none = NULL;

    assert_int_equal(
        breaker_call(breaker_service(s->b, "llm"), NULL, NULL, NULL, NULL),
        BREAKER_ERROR_ARGUMENT);
    assert_int_equal(
        breaker_call(breaker_service(s->b, "llm"), &unset, stream, NULL, NULL),
        BREAKER_ERROR_ARGUMENT);
    assert_non_null(strstr(breaker_error_text(), "options.size"));
    assert_null(breaker_call_begin(breaker_service(s->b, "llm"), &unset));
    assert_int_equal(breaker_call_next(NULL, &step), BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_call_end(&none, NULL), BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_attempt_progress(NULL), BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_call_stats(s->b, NULL), BREAKER_ERROR_ARGUMENT);
    breaker_call_cancel(NULL);
    breaker_cancel_trigger(NULL);
    assert_int_equal(breaker_cancel_fd(NULL), -1);
    assert_string_equal(breaker_stop_name(BREAKER_STOP_BUDGET), "budget");
    assert_string_equal(breaker_stop_name(BREAKER_STOP_NONE), "unknown");
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, up, stage_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_stream_renews_its_lease),
        ROW(what_is_left_over_goes_back),
        ROW(no_service_is_one_attempt),
        ROW(wrong_arguments_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
