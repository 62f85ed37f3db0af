/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine of a call in virtual time, against a table of answers. What it asks
 * and tells is written down as a story, and the story is compared. */
#define _GNU_SOURCE
#include "client/call.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

#define LINES_MAX 48

/* Answers in the order they are asked for: "allow [id]", "deny REASON MS",
 * "grant MS"; outcomes of attempts: "OUTCOME [RETRY_AFTER_MS] [took MS]". */
struct play {
    struct breaker *b;
    struct breaker_service *a;
    struct breaker_service *z;
    struct breaker_service *chain[2];
    const char *const *answers;
    const char *const *outcomes;
    struct breaker_call_options how;
    struct bk_policy policy;
    int64_t now_ns;
    int64_t share_ns; /* -1: the whole span */
    uint32_t parked;
    uint32_t parked_max;
    uint32_t flags; /* of results */
    uint32_t rebuild_refuses;
    const char *cancel_at; /* when the story has this in it */
    struct breaker_call call;
    char said[4096];
};

__attribute__((format(printf, 2, 3))) static void
say(struct play *p, const char *format, ...)
{
    size_t used = strlen(p->said);
    va_list list;

    used += (size_t)snprintf(p->said + used, sizeof p->said - used, "%lld ",
                             (long long)(p->now_ns / 1000000));
    va_start(list, format);
    vsnprintf(p->said + used, sizeof p->said - used, format, list);
    va_end(list);
}

static const char *
next_answer(struct play *p)
{
    assert_non_null(*p->answers);
    return *p->answers++;
}

static int
reason_of(const char *word)
{
    for (int i = 0; i <= BREAKER_REASON_UNAVAILABLE; i++) {
        if (strcmp(breaker_reason_name(i), word) == 0)
            return i;
    }
    fail_msg("%s is no reason", word);
    return 0;
}

static bool
read_denial(const char *answer, uint8_t *reason, uint64_t *retry_after_ms)
{
    char word[32];
    unsigned long long ms;

    if (sscanf(answer, "deny %31s %llu", word, &ms) != 2)
        return false;
    *reason = (uint8_t)reason_of(word);
    *retry_after_ms = ms;
    return true;
}

static enum breaker_verdict
acquire(void *world, struct breaker_service *s, struct breaker_token *token,
        uint64_t ttl_ms, struct breaker_permit *permit)
{
    struct play *p = world;
    const char *answer = next_answer(p);
    char name[64];

    say(p, "acquire %s %u ttl=%llu: %s\n", breaker_service_name(s),
        token == NULL ? 1U : token->attempt, (unsigned long long)ttl_ms,
        answer);
    memset(permit, 0, sizeof *permit);
    permit->service = s;
    permit->source = BREAKER_BY_DAEMON;
    if (read_denial(answer, &permit->reason, &permit->retry_after_ms))
        return BREAKER_DENIED;
    permit->verdict = BREAKER_ALLOWED;
    if (sscanf(answer, "allow %63s", name) == 1)
        permit->service = breaker_service(p->b, name);
    return BREAKER_ALLOWED;
}

static enum breaker_verdict
retry(void *world, struct breaker_service *s, uint32_t failed,
      enum breaker_outcome outcome, uint64_t retry_after_ms,
      struct breaker_token *token)
{
    struct play *p = world;
    const char *answer = next_answer(p);
    unsigned long long ms;

    say(p, "retry %s %u %s %llu: %s\n", breaker_service_name(s), failed,
        breaker_outcome_name((int)outcome), (unsigned long long)retry_after_ms,
        answer);
    memset(token, 0, sizeof *token);
    token->service = s;
    token->attempt = failed + 1;
    if (read_denial(answer, &token->reason, &token->retry_after_ms))
        return BREAKER_DENIED;
    assert_int_equal(sscanf(answer, "grant %llu", &ms), 1);
    token->verdict = BREAKER_ALLOWED;
    token->delay_ms = ms;
    return BREAKER_ALLOWED;
}

static void
report(void *world, struct breaker_permit *permit, enum breaker_outcome outcome,
       const struct breaker_details *d)
{
    say(world, "report %s %s%s %lld us %llu\n",
        breaker_service_name(permit->service),
        breaker_outcome_name((int)outcome), d->will_retry != 0 ? "+" : "",
        (long long)d->latency_us, (unsigned long long)d->retry_after_ms);
}

static void
release(void *world, struct breaker_permit *permit)
{
    say(world, "release %s\n", breaker_service_name(permit->service));
}

static void
give_back(void *world, struct breaker_token *token)
{
    say(world, "give back %s\n", breaker_service_name(token->service));
}

static void
policy(void *world, struct breaker_service *s, struct bk_policy *out)
{
    struct play *p = world;

    (void)s;
    *out = p->policy;
}

static uint32_t
route(void *world, struct breaker_service *s,
      struct breaker_service *members[BREAKER_CHAIN_MAX])
{
    struct play *p = world;

    if (strcmp(breaker_service_name(s), "route") != 0)
        return 0;
    members[0] = p->a;
    members[1] = p->z;
    return 2;
}

static int64_t
share(void *world, int64_t span_ns)
{
    struct play *p = world;

    return p->share_ns < 0 ? span_ns : p->share_ns;
}

static bool
park(void *world)
{
    struct play *p = world;

    if (p->parked == p->parked_max)
        return false;
    p->parked++;
    return true;
}

static void
unpark(void *world)
{
    struct play *p = world;

    p->parked--;
}

static void
tell(void *world, const struct breaker_call *call, enum call_event event,
     int64_t delay_ns)
{
    (void)call;
    (void)delay_ns;
    if (event == CALL_EVENT_NEXT)
        say(world, "next %s\n", breaker_service_name(call->next));
}

static const struct call_door table = {acquire,   retry,  report, release,
                                       give_back, policy, route,  share,
                                       park,      unpark, tell};

/* ---- playing ---- */

static int
rebuild(void *context, struct breaker_service *s)
{
    struct play *p = context;

    say(p, "rebuild %s\n", breaker_service_name(s));
    return p->rebuild_refuses > 0 ? (int)p->rebuild_refuses-- : 0;
}

static int
answer(void *context, const struct breaker_summary *sum)
{
    say(context, "default answer after %u\n", sum->failure_count);
    return 1;
}

static void
make_attempt(struct play *p)
{
    struct breaker_result result = BREAKER_RESULT_INIT;
    const char *line = *p->outcomes++;
    char word[32];
    unsigned long long after = 0;
    unsigned long long took = 0;

    assert_non_null(line);
    assert_true(sscanf(line, "%31s %llu took %llu", word, &after, &took) >= 1);
    say(p, "attempt %s %u timeout=%llu\n",
        breaker_service_name(p->call.attempt.service), p->call.attempt.number,
        (unsigned long long)p->call.attempt.timeout_ms);
    p->now_ns += MS((int64_t)took);
    result.outcome = (uint32_t)breaker_outcome_parse(word);
    result.retry_after_ms = after;
    result.flags = p->flags;
    assert_true(call_result(&p->call, &result, p->now_ns));
    assert_false(call_result(&p->call, &result, p->now_ns));
}

/* Plays the call to its end; the story is in p->said. */
static enum breaker_stop
play(struct play *p, struct breaker_service *s, const char *const *answers,
     const char *const *outcomes)
{
    int64_t wait_ns;

    p->answers = answers;
    p->outcomes = outcomes;
    p->said[0] = '\0';
    p->now_ns = 0;
    assert_true(call_begin(&p->call, &table, p, s, &p->how, 0));
    for (int steps = 0; steps < 200; steps++) {
        switch (call_next(&p->call, p->now_ns, &wait_ns)) {
        case BREAKER_STEP_ATTEMPT:
            make_attempt(p);
            break;
        case BREAKER_STEP_WAIT:
            if (p->cancel_at != NULL && strstr(p->said, p->cancel_at) != NULL)
                breaker_cancel_trigger(p->how.cancel);
            else
                p->now_ns += wait_ns;
            break;
        case BREAKER_STEP_DONE:
            assert_null(*p->answers);
            assert_null(*p->outcomes);
            assert_int_equal(p->parked, 0);
            assert_false(p->call.has_token);
            return (enum breaker_stop)p->call.sum.stop;
        }
    }
    fail_msg("the call has no end: %s", p->said);
    return BREAKER_STOP_NONE;
}

#define ARRAY(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
static const char *const nothing[] = {NULL};

static int
up(void **state)
{
    static const struct breaker_call_options standard =
        BREAKER_CALL_OPTIONS_INIT;
    struct breaker_options o = BREAKER_OPTIONS_INIT;
    struct play *p = calloc(1, sizeof *p);

    assert_non_null(p);
    o.mode = BREAKER_MODE_LOCAL;
    p->b = breaker_open(&o);
    assert_non_null(p->b);
    p->a = breaker_service(p->b, "a");
    p->z = breaker_service(p->b, "z");
    p->chain[0] = p->a;
    p->chain[1] = p->z;
    p->how = standard;
    p->parked_max = 4;
    bk_policy_defaults(&p->policy);
    *state = p;
    return 0;
}

static int
down(void **state)
{
    struct play *p = *state;

    breaker_cancel_free(&p->how.cancel);
    breaker_close(&p->b);
    free(p);
    return 0;
}

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
    p->how.answer = answer;
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
    assert_int_equal(
        play(p, p->a,
             ARRAY("allow", "grant 1", "allow", "grant 1", "allow",
                   "deny max_attempts 0", "deny open 5000", "grant 1", "allow",
                   "deny max_attempts 0", "grant 1"),
             ARRAY("failure", "failure", "failure", "timeout")),
        BREAKER_STOP_MAX_ATTEMPTS);
    assert_non_null(strstr(p->said,
                           "2 retry a 3 failure 0: deny max_attempts 0\n"
                           "2 report a failure 0 us 0\n"
                           "2 retry a 2 failure 0: deny open 5000\n"
                           "5002 retry a 2 failure 0: grant 1\n"
                           "5003 acquire a 4 ttl=32000: allow\n"
                           "5003 attempt a 4 timeout=30000\n"
                           "5003 retry a 4 timeout 0: deny max_attempts 0\n"
                           "5003 report a timeout 0 us 0\n"
                           "5003 retry a 2 timeout 0: grant 1\n"
                           "5003 give back a\n"));
    assert_int_equal(p->call.sum.attempts, 4);
    assert_int_equal(p->call.sum.reason, BREAKER_REASON_MAX_ATTEMPTS);
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

    p->answers = ARRAY("allow");
    assert_true(call_begin(&p->call, &table, p, p->a, &p->how, 0));
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
    assert_false(call_begin(&p->call, &table, p, p->a, &bad, 0));
    assert_non_null(strstr(breaker_error_text(), "BREAKER_CALL_OPTIONS_INIT"));
    bad = p->how;
    bad.preset = 3;
    assert_false(call_begin(&p->call, &table, p, p->a, &bad, 0));
    bad = p->how;
    bad.service_count = 17;
    assert_false(call_begin(&p->call, &table, p, p->a, &bad, 0));
    bad = p->how;
    bad.multiplier_pct = 50;
    assert_false(call_begin(&p->call, &table, p, p->a, &bad, 0));
}

/* ---- a chain ---- */

static void
the_next_is_taken_when_one_denies_or_fails(void **state)
{
    struct play *p = *state;

    p->how.rebuild = rebuild;
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
    p->how.answer = answer;
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
    p->how.answer = answer;
    p->how.rebuild = rebuild;
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

#define ROW(test) cmocka_unit_test_setup_teardown(test, up, down)

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
        ROW(a_lost_token_is_replaced_once),
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
