/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/metrics_axis.h"

const char *
metrics_type_name(enum metrics_type type)
{
    static const char *const names[] = {
        [METRICS_GAUGE] = "gauge",
        [METRICS_COUNTER] = "counter",
        [METRICS_HISTOGRAM] = "histogram",
        [METRICS_SUMMARY] = "summary",
    };
    return names[type];
}

void
metrics_put_label(struct bk_text *out, const char *key, const char *value)
{
    bk_text_put(out, key);
    bk_text_put(out, "=\"");
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if (c == '"' || c == '\\')
            bk_text_put_char(out, '\\');
        if (c < 0x20 || c > 0x7e)
            bk_text_put_char(out, '?');
        else
            bk_text_put_char(out, *value);
    }
    bk_text_put_char(out, '"');
}

/* ---- outcomes ---- */

static void
put_outcome(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "outcome", bk_outcome_name((enum bk_outcome)index));
}

static bool
is_failure(size_t index)
{
    return index != BK_SUCCESS && index != BK_CANCELLED;
}

const struct metrics_axis metrics_outcomes = {"outcome", BK_OUTCOME_COUNT, NULL,
                                              put_outcome, NULL};
const struct metrics_axis metrics_failures = {"outcome", BK_OUTCOME_COUNT,
                                              is_failure, put_outcome, NULL};

uint64_t
metrics_outcome_count(const struct bk_counters *c, size_t outcome)
{
    const uint64_t counts[BK_OUTCOME_COUNT] = {
        [BK_SUCCESS] = c->success,     [BK_FAILURE] = c->failure,
        [BK_TIMEOUT] = c->timeout,     [BK_RATE_LIMITED] = c->rate_limited,
        [BK_REJECTED] = c->rejected,   [BK_CRITICAL] = c->critical,
        [BK_CANCELLED] = c->cancelled,
    };
    return counts[outcome];
}

/* ---- reasons ---- */

static void
put_reason(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "reason", bk_deny_name((enum bk_deny)index));
}

/* Observe needs no token, and is not forced open. */
static bool
is_observed(size_t index)
{
    return index != BK_DENY_NONE && index != BK_DENY_FORCED_OPEN &&
           index != BK_DENY_BUDGET;
}

/* The checks of a retry (rule 10). */
static bool
is_of_retry(size_t index)
{
    return index == BK_DENY_OPEN || index == BK_DENY_RATE_LIMITED ||
           index >= BK_DENY_BUDGET;
}

const struct metrics_axis metrics_call_reasons = {"reason", BK_DENY_CALLS, NULL,
                                                  put_reason, NULL};
const struct metrics_axis metrics_observe_reasons = {
    "reason", BK_DENY_CALLS, is_observed, put_reason, NULL};
const struct metrics_axis metrics_retry_reasons = {
    "reason", BK_DENY_COUNT, is_of_retry, put_reason, NULL};

/* ---- states, modes, the rest ---- */

static void
put_change(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "from",
                      bk_state_name((enum bk_state)(index / BK_STATE_COUNT)));
    bk_text_put_char(out, ',');
    metrics_put_label(out, "to",
                      bk_state_name((enum bk_state)(index % BK_STATE_COUNT)));
}

/* Half open comes after open only. */
static bool
can_change(size_t index)
{
    return index != BK_CLOSED * BK_STATE_COUNT + BK_HALF_OPEN;
}

static void
put_mode(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "mode", bk_mode_name((enum bk_mode)index));
}

static void
put_result(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "result", index == 0 ? "granted" : "denied");
}

static void
put_bucket(struct bk_text *out, size_t index)
{
    char end[24] = "+Inf";
    struct bk_text text;

    if (index < BK_DURATION_BUCKETS - 1) {
        bk_text_init(&text, end, sizeof end);
        bk_text_put_ppm(&text, bk_duration_ends_ms[index] * INT64_C(1000), 0);
    }
    metrics_put_label(out, "le", end);
}

const struct metrics_axis metrics_changes = {"from, to", BK_CHANGES, can_change,
                                             put_change, NULL};
const struct metrics_axis metrics_modes = {"mode", BK_MODE_COUNT, NULL,
                                           put_mode, NULL};
const struct metrics_axis metrics_results = {"result", 2, NULL, put_result,
                                             NULL};
const struct metrics_axis metrics_buckets = {"le", BK_DURATION_BUCKETS, NULL,
                                             put_bucket, NULL};

static void
tell_version(struct bk_text *out, const struct metrics_scene *scene)
{
    metrics_put_label(out, "version", scene->v->version);
}

const struct metrics_axis metrics_version = {"version", 1, NULL, NULL,
                                             tell_version};
