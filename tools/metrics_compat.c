/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of resilience4j (as Micrometer exports them), so that dashboards made
 * for it show our circuits. Where it counts what we do not, the nearest number
 * stands in, and the help says so. */
#include "tools/metrics_axis.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define BREAKER (&s->service.record.breaker)

enum r4j_state {
    R4J_CLOSED,
    R4J_OPEN,
    R4J_HALF_OPEN,
    R4J_FORCED_OPEN,
    R4J_DISABLED,
    R4J_METRICS_ONLY,
    R4J_STATES
};

static enum r4j_state
state_of(const struct bk_breaker *b)
{
    static const enum r4j_state states[BK_STATE_COUNT] = {
        [BK_CLOSED] = R4J_CLOSED,
        [BK_OPEN] = R4J_OPEN,
        [BK_HALF_OPEN] = R4J_HALF_OPEN,
    };
    switch ((enum bk_mode)b->mode) {
    case BK_FORCED_OPEN:
        return R4J_FORCED_OPEN;
    case BK_BYPASS:
        return R4J_DISABLED;
    case BK_OBSERVE:
        return R4J_METRICS_ONLY;
    case BK_AUTO:
    case BK_MODE_COUNT:
        break;
    }
    return states[b->state];
}

static void
put_state(struct bk_text *out, size_t index)
{
    static const char *const names[R4J_STATES] = {
        [R4J_CLOSED] = "closed",       [R4J_OPEN] = "open",
        [R4J_HALF_OPEN] = "half_open", [R4J_FORCED_OPEN] = "forced_open",
        [R4J_DISABLED] = "disabled",   [R4J_METRICS_ONLY] = "metrics_only",
    };
    metrics_put_label(out, "state", names[index]);
}

enum r4j_kind { R4J_SUCCESSFUL, R4J_FAILED, R4J_IGNORED, R4J_KINDS };

static enum r4j_kind
kind_of(enum bk_outcome outcome)
{
    switch (outcome) {
    case BK_SUCCESS:
    case BK_REJECTED:
        return R4J_SUCCESSFUL;
    case BK_FAILURE:
    case BK_TIMEOUT:
    case BK_CRITICAL:
        return R4J_FAILED;
    case BK_RATE_LIMITED:
    case BK_CANCELLED:
    case BK_OUTCOME_COUNT:
        break;
    }
    return R4J_IGNORED;
}

static void
put_kind(struct bk_text *out, size_t index)
{
    static const char *const names[R4J_KINDS] = {
        [R4J_SUCCESSFUL] = "successful",
        [R4J_FAILED] = "failed",
        [R4J_IGNORED] = "ignored",
    };
    metrics_put_label(out, "kind", names[index]);
}

static void
put_not_permitted(struct bk_text *out, size_t index)
{
    (void)index;
    metrics_put_label(out, "kind", "not_permitted");
}

static const struct metrics_axis states = {"state", R4J_STATES, NULL, put_state,
                                           NULL};
static const struct metrics_axis kinds = {"kind", R4J_KINDS, NULL, put_kind,
                                          NULL};
/* The window knows no others. */
static const struct metrics_axis verdicts = {"kind", R4J_IGNORED, NULL,
                                             put_kind, NULL};
static const struct metrics_axis not_permitted = {"kind", 1, NULL,
                                                  put_not_permitted, NULL};

/* In percent, and -1 while there are too few calls to tell. */
static int64_t
rate(const struct metrics_subject *s, uint32_t part)
{
    const struct bk_policy *p = &s->service.policy;
    uint32_t least = p->minimum_calls;

    if (p->window_calls > 0 && least > p->window_calls)
        least = p->window_calls;
    if (s->window.calls == 0 || s->window.calls < least)
        return -(int64_t)BK_PPM;
    return (int64_t)(part * BK_PPM * 100 / s->window.calls);
}

static uint64_t
calls_of(const struct metrics_subject *s, size_t kind)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BK_OUTCOME_COUNT; i++) {
        if (kind_of((enum bk_outcome)i) == kind)
            sum += metrics_outcome_count(&BREAKER->counters, i);
    }
    return sum;
}

static uint64_t
time_of(const struct metrics_subject *s, size_t kind)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BK_OUTCOME_COUNT; i++) {
        if (kind_of((enum bk_outcome)i) == kind)
            sum += s->stats.duration_us[i];
    }
    return sum;
}

METRICS_VALUE(is_state, state_of(BREAKER) == i)
METRICS_VALUE(failure_rate, rate(s, s->window.failures))
METRICS_VALUE(slow_rate, rate(s, s->window.slow))
METRICS_VALUE(calls, calls_of(s, i))
METRICS_VALUE(calls_time, time_of(s, i))
METRICS_VALUE(buffered, i == R4J_FAILED ? s->window.failures
                                        : s->window.calls - s->window.failures)
METRICS_VALUE(slow, i == R4J_FAILED ? 0 : s->window.slow)
METRICS_VALUE(denied, BREAKER->counters.denied)

#define NAME(rest) "resilience4j_circuitbreaker_" rest
#define SERVICE METRICS_OF_SERVICE

static const struct metrics_family families[] = {
    {NAME("state"), METRICS_GAUGE, SERVICE, false, &states, is_state, NULL,
     "1 for the state; bypass is disabled, observe is metrics_only."},
    {NAME("failure_rate"), METRICS_GAUGE, SERVICE, true, NULL, failure_rate,
     NULL,
     "Percent of the window's calls that failed; -1 while they are too few."},
    {NAME("slow_call_rate"), METRICS_GAUGE, SERVICE, true, NULL, slow_rate,
     NULL,
     "Percent of the window's calls that were slow; -1 while they are too few."},
    {NAME("calls_seconds"), METRICS_SUMMARY, SERVICE, true, &kinds, calls,
     calls_time,
     "Calls and how long they took; rate_limited and cancelled are ignored."},
    {NAME("not_permitted_calls_total"), METRICS_COUNTER, SERVICE, false,
     &not_permitted, denied, NULL, "Calls denied, for whatever reason."},
    {NAME("buffered_calls"), METRICS_GAUGE, SERVICE, false, &verdicts, buffered,
     NULL, "Calls in the window."},
    {NAME("slow_calls"), METRICS_GAUGE, SERVICE, false, &verdicts, slow, NULL,
     "Slow calls in the window, failed ones among them: all stand under successful."},
};

const struct metrics_table metrics_resilience4j = {
    "resilience4j", "name", families, COUNT_OF(families)};
