/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole calls with the real breakerd: attempts fail as scripted, the clock is the
 * machine's. */
#define _GNU_SOURCE
#include "breaker/retry.h"
#include "client_breakerd.h"
#include "unit.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

/* A loaded machine adds to every wait. */
#define SLACK_MS 400

static const char config[] = "[defaults]\n"
                             "base_delay = 20ms\n"
                             "jitter = none\n"
                             "[service patient]\n"
                             "base_delay = 5s\n"
                             "[service poor]\n"
                             "retry_ratio = 0\n"
                             "retry_min_per_sec = 0.1\n"
                             "[service quick]\n"
                             "failure_threshold = 2\n"
                             "recovery_timeout = 300ms\n"
                             "success_threshold = 1\n"
                             "[route chat]\n"
                             "services = gpt-4, gpt-3.5, ollama\n";

static int
up(void **state)
{
    struct stage *s;

    breakerd_pid = 0;
    if (stage_up(state) != 0)
        return -1;
    s = *state;
    breakerd_start(s, config);
    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    return 0;
}

static int
down(void **state)
{
    struct stage *s = *state;

    breaker_close(&s->b);
    breakerd_end(SIGTERM);
    return stage_down(state);
}

/* ---- an upstream that does as it is told ---- */

struct upstream {
    const uint32_t *outcomes; /* of the attempts in turn; then success */
    uint32_t count;
    uint32_t seen;
    uint32_t retry_after_ms;
    int64_t down_until_ns; /* fails before it */
    int64_t at_ns[16];     /* when attempts came */
    char services[256];    /* who was called */
    pid_t kill_at_first;
};

static void
serve(void *context, const struct breaker_attempt *a,
      struct breaker_result *result)
{
    struct upstream *u = context;

    if (u->seen < COUNT_OF(u->at_ns))
        u->at_ns[u->seen] = mono_ns();
    (void)strncat(u->services, breaker_service_name(a->service),
                  sizeof u->services - strlen(u->services) - 1);
    (void)strncat(u->services, " ",
                  sizeof u->services - strlen(u->services) - 1);
    if (u->seen < u->count)
        result->outcome = u->outcomes[u->seen];
    else if (mono_ns() < u->down_until_ns)
        result->outcome = BREAKER_FAILURE;
    if (result->outcome != BREAKER_SUCCESS)
        snprintf(result->text, sizeof result->text, "trouble %u", u->seen);
    if (result->outcome == BREAKER_RATE_LIMITED)
        result->retry_after_ms = u->retry_after_ms;
    result->code = (int32_t)u->seen;
    if (u->kill_at_first != 0) {
        breakerd_end(SIGKILL);
        u->kill_at_first = 0;
    }
    u->seen++;
}

#define SCRIPT(...)                                          \
    {                                                        \
        .outcomes = (const uint32_t[]){__VA_ARGS__},         \
        .count = COUNT_OF(((const uint32_t[]){__VA_ARGS__})) \
    }

static int
make(struct stage *s, const char *name, const struct breaker_call_options *how,
     struct upstream *u, struct breaker_summary *sum)
{
    sum->size = sizeof *sum;
    return breaker_call(breaker_service(s->b, name), how, serve, u, sum);
}

static int64_t
gap_ms(const struct upstream *u, uint32_t n)
{
    return (u->at_ns[n] - u->at_ns[n - 1]) / 1000000;
}

/* ---- one service ---- */

static void
success_retry_and_exhaustion(void **state)
{
    struct stage *s = *state;
    struct upstream fine = {.seen = 0};
    struct upstream slow = SCRIPT(BREAKER_TIMEOUT);
    struct upstream dead =
        SCRIPT(BREAKER_FAILURE, BREAKER_FAILURE, BREAKER_TIMEOUT);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct breaker_call_stats n = BREAKER_CALL_STATS_INIT;

    assert_int_equal(make(s, "llm", NULL, &fine, &sum), BREAKER_STOP_SUCCESS);
    assert_int_equal(sum.attempts, 1);
    assert_int_equal(make(s, "llm", NULL, &slow, &sum), BREAKER_STOP_SUCCESS);
    assert_int_equal(sum.attempts, 2);
    assert_true(gap_ms(&slow, 1) >= 20 && gap_ms(&slow, 1) < 20 + SLACK_MS);
    assert_non_null(strstr(
        s->log, "llm: attempt 1 failed (timeout: trouble 0), attempt 2 in 20"
                " ms"));
    assert_int_equal(make(s, "llm", NULL, &dead, &sum),
                     BREAKER_STOP_MAX_ATTEMPTS);
    assert_int_equal(sum.attempts, 3);
    assert_int_equal(sum.result.outcome, BREAKER_TIMEOUT);
    assert_int_equal(sum.result.code, 2);
    assert_string_equal(sum.result.text, "trouble 2");
    assert_true(gap_ms(&dead, 2) >= 40);
    assert_int_equal(breaker_call_stats(s->b, &n), 0);
    assert_int_equal(n.calls, 3);
    assert_int_equal(n.attempts, 6);
    assert_int_equal(n.retries, 3);
    assert_int_equal(n.retry_delay_ms, 80);
    assert_int_equal(n.by_class[BREAKER_CLASS_TIMEOUT], 2);
    assert_int_equal(n.retries_by_class[BREAKER_CLASS_TIMEOUT], 1);
    assert_int_equal(n.retries_by_class[BREAKER_CLASS_OTHER], 2);
    assert_int_equal(breakerd_number(s, "llm", "\"granted\":"), 3);
}

static void
auth_and_context_length_get_one_attempt(void **state)
{
    struct stage *s = *state;
    struct upstream auth = SCRIPT(BREAKER_CRITICAL);
    struct upstream length = SCRIPT(BREAKER_REJECTED);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;

    assert_int_equal(make(s, "llm", NULL, &auth, &sum),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_int_equal(make(s, "llm", NULL, &length, &sum),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_int_equal(auth.seen + length.seen, 2);
    assert_int_equal(breakerd_number(s, "llm", "\"critical\":"), 1);
    assert_int_equal(breakerd_number(s, "llm", "\"rejected\":"), 1);
    assert_int_equal(breakerd_number(s, "llm", "\"granted\":"), 0);
}

static void
a_rate_limit_is_waited_for_exactly(void **state)
{
    struct stage *s = *state;
    struct upstream u = SCRIPT(BREAKER_RATE_LIMITED);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;

    u.retry_after_ms = 400;
    assert_int_equal(make(s, "llm", NULL, &u, &sum), BREAKER_STOP_SUCCESS);
    printf("asked for 400 ms, came back after %lld ms\n",
           (long long)gap_ms(&u, 1));
    assert_true(gap_ms(&u, 1) >= 400 && gap_ms(&u, 1) < 440 + SLACK_MS);
    assert_int_equal(u.seen, 2);
}

static void
the_budget_ends(void **state)
{
    struct stage *s = *state;
    struct upstream u =
        SCRIPT(BREAKER_FAILURE, BREAKER_FAILURE, BREAKER_FAILURE);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;

    assert_int_equal(make(s, "poor", NULL, &u, &sum), BREAKER_STOP_BUDGET);
    assert_int_equal(u.seen, 2);
    assert_int_equal(sum.result.outcome, BREAKER_FAILURE);
    assert_int_equal(sum.result.code, 1);
    assert_int_equal(breakerd_number(s, "poor", "\"granted\":"), 1);
}

static int
lines_without(const char *log, const char *words)
{
    int count = 0;

    while (*log != '\0') {
        const char *end = strchr(log, '\n');
        const char *found = strstr(log, words);

        count += found == NULL || found > end;
        log = end + 1;
    }
    return count;
}

/* The breaker opens under the calls and closes again: with a deadline nobody
 * notices; without one the call fails at once and says for how long. */
static void
an_open_breaker_is_ridden_out(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct breaker_call_stats n = BREAKER_CALL_STATS_INIT;
    struct upstream u = {.down_until_ns = mono_ns() + MS(500)};
    struct upstream other = {.seen = 0};

    how.deadline_ms = 10000;
    assert_int_equal(make(s, "quick", &how, &u, &sum), BREAKER_STOP_SUCCESS);
    assert_true(breakerd_number(s, "quick", "\"opened\":") >= 1);
    assert_true(sum.elapsed_us >= 500000);
    assert_int_equal(breaker_call_stats(s->b, &n), 0);
    assert_true(n.parked >= 1);
    assert_int_equal(n.parked_now, 0);
    /* What is worth a warning is a failure, not that it is waited for. */
    assert_non_null(strstr(s->log, "asking again in"));
    assert_int_equal(s->warnings, lines_without(s->log, "asking again in"));
    u.down_until_ns = mono_ns() + SECONDS(60);
    (void)make(s, "quick", NULL, &u, &sum);
    assert_int_equal(make(s, "quick", NULL, &other, &sum), BREAKER_STOP_OPEN);
    assert_int_equal(other.seen, 0);
    assert_int_equal(sum.reason, BREAKER_REASON_OPEN);
    assert_true(sum.retry_after_ms > 0 && sum.retry_after_ms <= 300);
}

/* ---- cancelling ---- */

static struct breaker_cancel *cancel;
static _Atomic int64_t cancelled_ns;

static void *
cancel_soon(void *unused)
{
    (void)unused;
    sleep_ms(100);
    cancelled_ns = mono_ns();
    breaker_cancel_trigger(cancel);
    return NULL;
}

static void
on_alarm(int signal_number)
{
    (void)signal_number;
    breaker_cancel_trigger(cancel);
}

static void
cancelled_while_it_sleeps(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct upstream u = SCRIPT(BREAKER_FAILURE);
    pthread_t thread;
    double before;
    int64_t late_ns;

    cancel = breaker_cancel_new();
    assert_non_null(cancel);
    how.cancel = cancel;
    (void)make(s, "patient", NULL, &(struct upstream){.seen = 0}, &sum);
    (void)breaker_ping(s->b, NULL);
    before = breakerd_number(s, "patient", "\"balance\":");
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    assert_int_equal(make(s, "patient", &how, &u, &sum),
                     BREAKER_STOP_CANCELLED);
    late_ns = mono_ns() - cancelled_ns;
    (void)pthread_join(thread, NULL);
    printf("cancelled: back after %lld us\n", (long long)(late_ns / 1000));
    assert_true(late_ns < MS(100));
    assert_true(sum.elapsed_us < 2000000);
    assert_int_equal(sum.result.outcome, BREAKER_FAILURE);
    assert_int_equal(u.seen, 1);
    /* The token came back: what the call deposited is there as well. */
    assert_int_equal(breakerd_number(s, "patient", "\"granted\":"), 1);
    assert_true(breakerd_number(s, "patient", "\"balance\":") > before);
    breaker_cancel_free(&cancel);
}

static void
cancelled_by_a_signal_handler(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct upstream u = SCRIPT(BREAKER_FAILURE);
    struct upstream unseen = {.seen = 0};
    struct sigaction act = {.sa_handler = on_alarm};
    struct sigaction old;
    struct itimerval in = {.it_value = {0, 100000}};

    cancel = breaker_cancel_new();
    assert_non_null(cancel);
    how.cancel = cancel;
    assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &in, NULL), 0);
    assert_int_equal(make(s, "patient", &how, &u, &sum),
                     BREAKER_STOP_CANCELLED);
    assert_true(sum.elapsed_us < 2000000);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
    /* And before an attempt. */
    assert_int_equal(make(s, "patient", &how, &unseen, &sum),
                     BREAKER_STOP_CANCELLED);
    assert_int_equal(unseen.seen, 0);
    breaker_cancel_free(&cancel);
}

/* ---- a chain ---- */

static int
no_answer(void *context, const struct breaker_summary *sum)
{
    *(uint32_t *)context = sum->failure_count;
    return 1;
}

static void
a_route_is_walked(void **state)
{
    struct stage *s = *state;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct upstream u = SCRIPT(
        BREAKER_FAILURE, BREAKER_FAILURE, BREAKER_FAILURE, BREAKER_CRITICAL,
        BREAKER_SUCCESS, BREAKER_REJECTED, BREAKER_REJECTED, BREAKER_REJECTED);
    uint32_t failures = 0;

    assert_int_equal(make(s, "chat", NULL, &u, &sum), BREAKER_STOP_SUCCESS);
    assert_string_equal(u.services, "gpt-4 gpt-4 gpt-4 gpt-3.5 ollama ");
    assert_string_equal(breaker_service_name(sum.service), "ollama");
    assert_int_equal(sum.failure_count, 2);
    assert_int_equal(sum.failures[0].stop, BREAKER_STOP_MAX_ATTEMPTS);
    assert_int_equal(sum.failures[1].result.outcome, BREAKER_CRITICAL);
    assert_non_null(strstr(s->log, "going on with gpt-3.5"));
    u.services[0] = '\0';
    how.answer = no_answer;
    how.context = &failures;
    assert_int_equal(make(s, "chat", &how, &u, &sum),
                     BREAKER_STOP_NOT_RETRYABLE);
    assert_string_equal(u.services, "gpt-4 gpt-3.5 ollama ");
    assert_int_equal(failures, 3);
    assert_int_equal(sum.is_default, 1);
}

/* ---- the daemon is away ---- */

static void
the_daemon_is_killed_under_a_call(void **state)
{
    struct stage *s = *state;
    struct upstream u = SCRIPT(BREAKER_FAILURE, BREAKER_FAILURE);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;

    (void)make(s, "llm", NULL, &(struct upstream){.seen = 0}, &sum);
    u.kill_at_first = breakerd_pid;
    assert_int_equal(make(s, "llm", NULL, &u, &sum), BREAKER_STOP_SUCCESS);
    assert_int_equal(u.seen, 3);
    assert_true(sum.elapsed_us < 5000000);
    assert_non_null(strstr(s->log, "breakerd is away"));
}

static void
the_environment_without_a_daemon(void **state)
{
    struct stage *s = *state;
    struct upstream u =
        SCRIPT(BREAKER_FAILURE, BREAKER_FAILURE, BREAKER_FAILURE);
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;

    breaker_close(&s->b);
    assert_int_equal(setenv("RETRY_MAX_ATTEMPTS", "2", 1), 0);
    assert_int_equal(setenv("RETRY_BASE_DELAY", "0.05", 1), 0);
    stage_open(s, BREAKER_MODE_LOCAL, 0, 0);
    assert_int_equal(make(s, "alone", NULL, &u, &sum),
                     BREAKER_STOP_MAX_ATTEMPTS);
    assert_int_equal(u.seen, 2);
    assert_true(sum.elapsed_us < 500000);
    assert_int_equal(unsetenv("RETRY_MAX_ATTEMPTS"), 0);
    assert_int_equal(unsetenv("RETRY_BASE_DELAY"), 0);
}

/* ---- driven by the caller ---- */

static void
an_event_loop_drives_a_call(void **state)
{
    struct stage *s = *state;
    struct breaker_call *call =
        breaker_call_begin(breaker_service(s->b, "loop"), NULL);
    struct breaker_step step = BREAKER_STEP_INIT;
    struct breaker_result bad = BREAKER_RESULT_INIT;
    struct breaker_result good = BREAKER_RESULT_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    int kind;
    int waits = 0;

    assert_non_null(call);
    assert_int_equal(breaker_call_result(call, &good), BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_ATTEMPT);
    assert_int_equal(step.attempt.timeout_ms, 30000);
    bad.outcome = BREAKER_TIMEOUT;
    assert_int_equal(breaker_call_result(call, &bad), 0);
    while ((kind = breaker_call_next(call, &step)) == BREAKER_STEP_WAIT) {
        assert_true(step.wait_ms >= 1 && step.wait_ms <= 20);
        assert_true(++waits < 100);
        sleep_ms((int64_t)step.wait_ms);
    }
    assert_true(waits >= 1);
    assert_int_equal(kind, BREAKER_STEP_ATTEMPT);
    assert_int_equal(step.attempt.number, 2);
    assert_int_equal(breaker_call_result(call, &good), 0);
    assert_int_equal(breaker_call_next(call, &step), BREAKER_STEP_DONE);
    assert_int_equal(breaker_call_end(&call, &sum), BREAKER_STOP_SUCCESS);
    assert_null(call);
    assert_int_equal(sum.attempts, 2);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(success_retry_and_exhaustion),
        ROW(auth_and_context_length_get_one_attempt),
        ROW(a_rate_limit_is_waited_for_exactly),
        ROW(the_budget_ends),
        ROW(an_open_breaker_is_ridden_out),
        ROW(cancelled_while_it_sleeps),
        ROW(cancelled_by_a_signal_handler),
        ROW(a_route_is_walked),
        ROW(the_daemon_is_killed_under_a_call),
        ROW(the_environment_without_a_daemon),
        ROW(an_event_loop_drives_a_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
