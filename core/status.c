/* SPDX-License-Identifier: Apache-2.0
 *
 * Field names and their order are a promise to whoever reads the JSON. */
#include "core/status.h"
#include "core/bug.h"
#include <string.h>

void
bk_status_begin(struct bk_json *j, const struct bk_status_daemon *daemon)
{
    /* Whole milliseconds: more would be noise. */
    int64_t uptime_ms = daemon->uptime_ns / BK_NS_PER_MS;
    bk_json_open(j, NULL, '{');
    bk_json_u64(j, "schema", 1);
    bk_json_open(j, "daemon", '{');
    bk_json_bool(j, "running", daemon->is_running);
    bk_json_u64(j, "pid", daemon->pid);
    bk_json_string(j, "version", daemon->version);
    bk_json_u64(j, "epoch", daemon->epoch);
    bk_json_ppm(j, "uptime_s", uptime_ms * 1000, 1);
    bk_json_u64(j, "services", daemon->services);
    bk_json_u64(j, "workers", daemon->workers);
    bk_json_close(j, '}');
    bk_json_open(j, "services", '[');
}

void
bk_status_end(struct bk_json *j)
{
    bk_json_close(j, ']');
    bk_json_close(j, '}');
}

/* A text field of fixed size, ended by a NUL unless it is full. */
static void
put_field(struct bk_json *j, const char *key, const char *field, size_t size)
{
    const char *end = memchr(field, '\0', size);
    bk_json_string_n(j, key, field, end != NULL ? (size_t)(end - field) : size);
}

/* Millionths, rounded to the nearest. */
static int64_t
share_ppm(uint32_t part, uint32_t whole)
{
    if (whole == 0)
        return 0;
    return (int64_t)((part * BK_PPM + whole / 2) / whole);
}

static void
put_window(struct bk_json *j, const struct bk_status_service *s)
{
    struct bk_window_totals totals =
        bk_window_totals(&s->breaker->window, s->policy, s->now_ns);
    bk_json_open(j, "window", '{');
    bk_json_u64(j, "calls", totals.calls);
    bk_json_u64(j, "failures", totals.failures);
    bk_json_u64(j, "slow", totals.slow);
    bk_json_ppm(j, "failure_rate", share_ppm(totals.failures, totals.calls), 0);
    bk_json_ppm(j, "slow_rate", share_ppm(totals.slow, totals.calls), 0);
    bk_json_close(j, '}');
}

static void
put_permits(struct bk_json *j, const struct bk_status_service *s)
{
    bk_json_open(j, "permits", '{');
    bk_json_u64(j, "in_use", s->breaker->permits_out);
    bk_json_u64(j, "limit", bk_breaker_permit_limit(s->breaker, s->policy));
    bk_json_close(j, '}');
}

static void
put_override(struct bk_json *j, const struct bk_status_service *s)
{
    const struct bk_override *o = &s->breaker->override;
    if (!o->is_set) {
        bk_json_null(j, "override");
        return;
    }
    bk_json_open(j, "override", '{');
    bk_json_string(j, "mode", bk_mode_name((enum bk_mode)o->mode));
    put_field(j, "reason", o->reason, sizeof(o->reason));
    put_field(j, "actor", o->actor, sizeof(o->actor));
    if (o->expires_ns == BK_NEVER)
        bk_json_null(j, "expires_ms");
    else
        bk_json_u64(j, "expires_ms", bk_ms_up(o->expires_ns - s->now_ns));
    bk_json_close(j, '}');
}

static void
put_budget(struct bk_json *j, const struct bk_status_service *s)
{
    const struct bk_budget *b = &s->breaker->budget;
    uint64_t balance = bk_budget_balance_ppm(b, s->policy, s->now_ns);
    bk_json_open(j, "retry_budget", '{');
    bk_json_ppm(j, "balance", (int64_t)balance, 1);
    bk_json_u64(j, "granted", b->granted);
    bk_json_u64(j, "denied", b->denied);
    bk_json_close(j, '}');
}

static void
put_counters(struct bk_json *j, const struct bk_counters *counters)
{
    bk_json_open(j, "counters", '{');
    for (size_t i = 0; i < BK_COUNTER_COUNT; i++) {
        uint64_t value;
        memcpy(&value, (const char *)counters + bk_counter_rows[i].offset,
               sizeof(value));
        bk_json_u64(j, bk_counter_rows[i].name, value);
    }
    bk_json_close(j, '}');
}

static void
put_outcome(struct bk_json *j, const struct bk_evidence *e, int64_t now_ns)
{
    bk_json_open(j, NULL, '{');
    put_field(j, "worker", e->worker, sizeof(e->worker));
    bk_json_u64(j, "pid", e->pid);
    bk_json_string(j, "outcome", bk_outcome_name((enum bk_outcome)e->outcome));
    if (e->latency_ns < 0)
        bk_json_null(j, "latency_ms");
    else
        bk_json_u64(j, "latency_ms", bk_ms_up(e->latency_ns));
    bk_json_u64(j, "age_ms", bk_ms_up(now_ns - e->at_ns));
    put_field(j, "text", e->text, sizeof(e->text));
    bk_json_close(j, '}');
}

/* The newest one not yet shown, at one instant the one later in the ring;
 * BK_EVIDENCE_COUNT when all are. A torn entry leaves a hole, so the ring's order
 * alone will not do. */
static uint32_t
find_newest(const struct bk_evidence *e, uint32_t next, const bool *is_shown)
{
    uint32_t newest = BK_EVIDENCE_COUNT;
    for (uint32_t n = 1; n <= BK_EVIDENCE_COUNT; n++) {
        uint32_t at = (next + BK_EVIDENCE_COUNT - n) % BK_EVIDENCE_COUNT;
        bool is_there =
            e[at].outcome != BK_SUCCESS && e[at].outcome < BK_OUTCOME_COUNT;
        if (is_there && !is_shown[at] &&
            (newest == BK_EVIDENCE_COUNT || e[at].at_ns > e[newest].at_ns))
            newest = at;
    }
    return newest;
}

/* Newest first. */
static void
put_evidence(struct bk_json *j, const struct bk_status_service *s)
{
    bool is_shown[BK_EVIDENCE_COUNT] = {false};
    uint32_t next = bk_evidence_next(s->evidence);
    uint32_t at;
    bk_json_open(j, "evidence", '[');
    while ((at = find_newest(s->evidence, next, is_shown)) <
           BK_EVIDENCE_COUNT) {
        is_shown[at] = true;
        put_outcome(j, &s->evidence[at], s->now_ns);
    }
    bk_json_close(j, ']');
}

void
bk_status_row(struct bk_json *j, const struct bk_status_service *s)
{
    const struct bk_breaker *b = s->breaker;
    int64_t hold_ns = bk_hold_left(&b->hold, s->now_ns);
    bool is_waiting = b->state == BK_OPEN || hold_ns > 0;
    int64_t wait_ns = is_waiting ? bk_breaker_wait(b, s->now_ns) : 0;
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "name", s->name);
    bk_json_string(j, "state", bk_state_name((enum bk_state)b->state));
    bk_json_string(j, "mode", bk_mode_name((enum bk_mode)b->mode));
    bk_json_string(j, "reason", bk_cause_name((enum bk_cause)b->cause));
    bk_json_u64(j, "generation", b->generation);
    bk_json_u64(j, "since_ms", bk_ms_up(s->now_ns - b->changed_ns));
    bk_json_u64(j, "retry_after_ms", bk_ms_up(wait_ns));
    bk_json_u64(j, "hold_ms", bk_ms_up(hold_ns));
    bk_json_u64(j, "consecutive_failures", b->consecutive_failures);
    bk_json_u64(j, "failed_rounds", b->failed_rounds);
    bk_json_u64(j, "ramp_step", b->ramp.step);
    put_window(j, s);
    put_permits(j, s);
    put_override(j, s);
    put_budget(j, s);
    put_counters(j, &b->counters);
    if (s->evidence != NULL)
        put_evidence(j, s);
    bk_json_close(j, '}');
}
