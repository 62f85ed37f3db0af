/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_call_play.h"
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 2, 3))) static void
say(struct play *p, const char *format, ...)
{
    size_t used = strlen(p->said);
    va_list list;

    used += (size_t)snprintf(p->said + used, sizeof p->said - used, "%lld ",
                             (long long)(p->now_ns / 1000000));
    va_start(list, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is started */
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
    int end = 0;

    if (sscanf(answer, "deny %31s %n", word, &end) != 1)
        return false;
    assert_int_not_equal(end, 0);
    *reason = (uint8_t)reason_of(word);
    *retry_after_ms = strtoull(answer + end, NULL, 10);
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

    say(p, "retry %s %u %s %llu: %s\n", breaker_service_name(s), failed,
        breaker_outcome_name((int)outcome), (unsigned long long)retry_after_ms,
        answer);
    memset(token, 0, sizeof *token);
    token->service = s;
    token->attempt = failed + 1;
    if (read_denial(answer, &token->reason, &token->retry_after_ms))
        return BREAKER_DENIED;
    assert_int_equal(strncmp(answer, "grant ", 6), 0);
    token->verdict = BREAKER_ALLOWED;
    token->delay_ms = strtoull(answer + 6, NULL, 10);
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

int
play_rebuild(void *context, struct breaker_service *s)
{
    struct play *p = context;

    say(p, "rebuild %s\n", breaker_service_name(s));
    return p->rebuild_refuses > 0 ? (int)p->rebuild_refuses-- : 0;
}

int
play_answer(void *context, const struct breaker_summary *sum)
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
    char *after;
    const char *took;
    int end = 0;

    assert_non_null(line);
    assert_int_equal(sscanf(line, "%31s%n", word, &end), 1);
    result.retry_after_ms = strtoull(line + end, &after, 10);
    took = strstr(after, "took ");
    say(p, "attempt %s %u timeout=%llu\n",
        breaker_service_name(p->call.attempt.service), p->call.attempt.number,
        (unsigned long long)p->call.attempt.timeout_ms);
    if (took != NULL)
        p->now_ns += MS((int64_t)strtoull(took + 5, NULL, 10));
    result.outcome = (uint32_t)breaker_outcome_parse(word);
    result.flags = p->flags;
    assert_true(call_result(&p->call, &result, p->now_ns));
    assert_false(call_result(&p->call, &result, p->now_ns));
}

void
play_begin(struct play *p, struct breaker_service *s,
           const char *const *answers)
{
    p->answers = answers;
    p->said[0] = '\0';
    p->now_ns = 0;
    assert_true(call_begin(&p->call, &table, p, s, &p->how, 0));
}

enum breaker_stop
play(struct play *p, struct breaker_service *s, const char *const *answers,
     const char *const *outcomes)
{
    int64_t wait_ns;

    play_begin(p, s, answers);
    p->outcomes = outcomes;
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

int
play_up(void **state)
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

int
play_down(void **state)
{
    struct play *p = *state;

    breaker_cancel_free(&p->how.cancel);
    breaker_close(&p->b);
    free(p);
    return 0;
}
