/* SPDX-License-Identifier: Apache-2.0
 *
 * How a service stands now, in numbers, and what happens next. */
#define _GNU_SOURCE
#include "core/backoff.h"
#include "tools/ctl_out.h"
#include "tools/ctl_story.h"
#include <stdio.h>
#include <string.h>

/* All reasons with their counts. */
#define STORY_TEXT_SIZE 256

static void
tell_calls(struct story *s)
{
    struct bk_effects fx = view_peek(s->view, s->service);
    enum bk_mode mode = (enum bk_mode)s->service->record.breaker.mode;
    char left[STORY_WORD_SIZE];

    if (fx.is_allowed && mode == BK_BYPASS)
        story_add(s->now, "every call is let through, and outcomes are only "
                          "counted");
    else if (fx.is_allowed && mode == BK_OBSERVE)
        story_add(s->now, "a call is let through; one that would be denied is "
                          "let through too and counted");
    else if (fx.is_allowed)
        story_add(s->now, "a call is let through");
    else if (fx.wait_ns > 0)
        story_add(s->now, "a call is denied (%s) for another %s",
                  bk_deny_name(fx.deny), story_left(left, fx.wait_ns));
    else
        story_add(s->now, "a call is denied (%s)", bk_deny_name(fx.deny));
}

/* What mode observe has let through, since the service is known. */
static void
tell_observed(struct story *s)
{
    struct bk_stats stats;
    char room[STORY_TEXT_SIZE];
    struct bk_text reasons;

    if (s->service->record.breaker.counters.would_deny == 0)
        return;
    bk_segment_read_stats(&s->view->segment, s->service->slot, &stats);
    bk_text_init(&reasons, room, sizeof room);
    for (size_t i = 0; i < BK_DENY_CALLS; i++) {
        if (stats.would_reject[i] == 0)
            continue;
        bk_text_put(&reasons, reasons.len > 0 ? ", " : "");
        bk_text_put(&reasons, bk_deny_name((enum bk_deny)i));
        bk_text_put_char(&reasons, ' ');
        bk_text_put_u64(&reasons, stats.would_reject[i]);
    }
    story_add(
        s->now, "let through by observe and else denied: %llu calls (%s)",
        (unsigned long long)s->service->record.breaker.counters.would_deny,
        room);
}

static void
tell_window(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    const struct bk_policy *p = &s->service->policy;
    struct bk_window_totals t =
        bk_window_totals(&b->window, p, s->view->now_ns);
    char length[STORY_WORD_SIZE];
    char rate[STORY_WORD_SIZE];

    if (p->window_ns == 0)
        snprintf(length, sizeof length, "%u calls", p->window_calls);
    else
        story_duration(length, p->window_ns);
    story_add(s->now,
              "in the window (%s): %u calls, %u failed (%s), %u slow; failures "
              "in a row: %u",
              length, t.calls, t.failures,
              story_percent(rate, t.calls == 0 ? 0
                                               : (uint64_t)t.failures * BK_PPM /
                                                     t.calls),
              t.slow, b->consecutive_failures);
}

static void
tell_permits(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    uint32_t limit = bk_breaker_permit_limit(b, &s->service->policy);
    int64_t left_ns = view_lease_left(s->view, s->service);
    char left[STORY_WORD_SIZE];

    if (limit == 0 || b->state == BK_OPEN)
        return;
    if (left_ns > 0)
        story_add(
            s->now,
            "permits: %u of %u out; the first to end does so in %s unless "
            "its call reports before",
            b->permits_out, limit, story_left(left, left_ns));
    else
        story_add(s->now, "permits: %u of %u out", b->permits_out, limit);
}

static void
tell_overlays(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    const char *requires_name = s->service->policy.requires_name;
    struct view_service other;

    if (b->ramp.step > 0)
        story_add(s->now,
                  "ramp: step %u of %d; %u of %u calls of this step let "
                  "through",
                  b->ramp.step, BK_RAMP_STEPS, b->ramp.admitted,
                  b->ramp.arrivals);
    if (requires_name[0] != '\0' && view_find(s->view, requires_name, &other))
        story_add(s->now, "it requires %s, which is %s", requires_name,
                  bk_state_name((enum bk_state)other.record.breaker.state));
}

static void
tell_budget(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    uint64_t balance =
        bk_budget_balance_ppm(&b->budget, &s->service->policy, s->view->now_ns);
    char tokens[STORY_WORD_SIZE];
    struct bk_text text;

    bk_text_init(&text, tokens, sizeof tokens);
    bk_text_put_ppm(&text, (int64_t)(balance / 100000 * 100000), 1);
    story_add(s->now, "retry budget: %s tokens; %llu granted, %llu denied",
              tokens, (unsigned long long)b->budget.granted,
              (unsigned long long)b->budget.denied);
}

void
story_now(struct story *s)
{
    tell_calls(s);
    tell_observed(s);
    tell_window(s);
    tell_permits(s);
    tell_overlays(s);
    tell_budget(s);
}

/* Something with an instant: the earliest is told as "next". */
static void
note_instant(struct story *s, const char *what, int64_t at_ns)
{
    int64_t left_ns = at_ns - s->view->now_ns;

    if (at_ns == BK_NEVER || left_ns <= 0)
        return;
    json_array_append_new(s->upcoming,
                          json_pack("{s:s, s:I}", "what", what, "in_ms",
                                    (json_int_t)bk_ms_up(left_ns)));
    if (s->next_ns == 0 || left_ns < s->next_ns)
        s->next_ns = left_ns;
}

/* "in 58.8s (at 14:03:12)". */
static const char *
when(char out[2 * STORY_WORD_SIZE], const struct story *s, int64_t at_ns)
{
    int64_t left_ns = at_ns > s->view->now_ns ? at_ns - s->view->now_ns : 0;
    char left[STORY_WORD_SIZE];
    char clock[CTL_CLOCK_SIZE];

    ctl_clock_in(clock, bk_ms_up(left_ns));
    snprintf(out, (size_t)2 * STORY_WORD_SIZE, "in %s (at %s)",
             story_left(left, left_ns), clock);
    return out;
}

static void
tell_override(struct story *s)
{
    const struct bk_override *o = &s->service->record.breaker.override;
    const char *after = o->mode == BK_FORCED_OPEN
                            ? "probes decide then (half_open)"
                            : "its configured mode is in force then";
    char at[2 * STORY_WORD_SIZE];

    if (!o->is_set)
        return;
    if (o->expires_ns == BK_NEVER) {
        story_add(s->next,
                  "the override (%s) stays until breakerctl auto %s or reset "
                  "%s; %s",
                  bk_mode_name((enum bk_mode)o->mode), s->service->record.name,
                  s->service->record.name, after);
        return;
    }
    note_instant(s, "override_end", o->expires_ns);
    story_add(s->next, "the override (%s) ends %s; %s",
              bk_mode_name((enum bk_mode)o->mode), when(at, s, o->expires_ns),
              after);
}

/* How long it opens when the next probe fails. */
static int64_t
next_open_ns(const struct story *s)
{
    const struct bk_policy *p = &s->service->policy;

    return bk_grow(p->recovery_timeout_ns, p->recovery_multiplier_ppm,
                   s->service->record.breaker.failed_rounds + 1,
                   p->max_recovery_timeout_ns);
}

static void
tell_probing(struct story *s, uint32_t successes)
{
    const struct bk_policy *p = &s->service->policy;
    uint32_t missing =
        p->success_threshold > successes ? p->success_threshold - successes : 1;
    char time[STORY_WORD_SIZE];

    story_add(s->next,
              "%u %s%s close it; one failed probe opens it again for %s",
              missing, successes > 0 ? "more " : "",
              missing == 1 ? "successful probe will" : "successful probes will",
              story_left(time, next_open_ns(s)));
}

static void
tell_closed(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    const struct bk_policy *p = &s->service->policy;
    uint32_t left = p->failure_threshold > b->consecutive_failures
                        ? p->failure_threshold - b->consecutive_failures
                        : 0;
    char rate[STORY_WORD_SIZE];
    char slow[STORY_WORD_SIZE];
    char length[STORY_WORD_SIZE];

    if (b->mode == BK_BYPASS)
        return;
    if (left > 0)
        story_add(s->next,
                  left == 1 ? "%u more failure opens it"
                            : "%u more failures in a row open it",
                  left);
    if (p->failure_rate_ppm > 0)
        story_add(s->next,
                  "%s failures in the window open it, from %u calls on",
                  story_percent(rate, p->failure_rate_ppm), p->minimum_calls);
    if (p->slow_call_rate_ppm > 0 && p->slow_call_duration_ns > 0)
        story_add(
            s->next,
            "%s calls slower than %s in the window open it, from %u calls "
            "on",
            story_percent(slow, p->slow_call_rate_ppm),
            story_duration(length, p->slow_call_duration_ns), p->minimum_calls);
}

/* A step lasts its tenth, and until a call of it has succeeded. */
static void
tell_ramp(struct story *s)
{
    const struct bk_ramp *r = &s->service->record.breaker.ramp;
    int64_t end_ns = r->step_since_ns + r->step_length_ns;
    char at[2 * STORY_WORD_SIZE];

    if (r->step == 0)
        return;
    note_instant(s, "ramp_step", end_ns);
    if (end_ns <= s->view->now_ns)
        story_add(s->next,
                  "the ramp goes on as soon as a call of its step succeeds");
    else
        story_add(s->next, "the ramp's step %u of %d ends %s%s", r->step,
                  BK_RAMP_STEPS, when(at, s, end_ns),
                  r->has_success != 0 ? "" : ", once a call of it succeeded");
}

static void
tell_required(struct story *s)
{
    const char *name = s->service->policy.requires_name;
    uint32_t mode = s->service->record.breaker.mode;
    const char *are = mode == BK_OBSERVE ? "would be" : "are";
    struct view_service other;
    int64_t left_ns;
    char at[2 * STORY_WORD_SIZE];

    if (mode == BK_BYPASS || name[0] == '\0' ||
        !view_find(s->view, name, &other) ||
        other.record.breaker.state != BK_OPEN)
        return;
    left_ns = bk_breaker_wait(&other.record.breaker, s->view->now_ns);
    if (left_ns == 0) {
        story_add(s->next,
                  "calls %s denied until %s is let through again; breakerctl "
                  "explain %s tells more",
                  are, name, name);
        return;
    }
    note_instant(s, "requires", s->view->now_ns + left_ns);
    story_add(
        s->next,
        "calls %s denied until %s may be tried, %s; breakerctl explain %s "
        "tells more",
        are, name, when(at, s, s->view->now_ns + left_ns), name);
}

void
story_next(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    uint32_t probes = bk_breaker_permit_limit(b, &s->service->policy);
    char at[2 * STORY_WORD_SIZE];

    tell_override(s);
    if (bk_hold_left(&b->hold, s->view->now_ns) > 0) {
        note_instant(s, "hold_end", b->hold.until_ns);
        story_add(s->next,
                  "the upstream asked everybody to wait: calls go on %s",
                  when(at, s, b->hold.until_ns));
    }
    if (b->mode == BK_FORCED_OPEN)
        return;
    tell_required(s);
    tell_ramp(s);
    if (b->state == BK_OPEN) {
        note_instant(s, "probe", b->open_until_ns);
        story_add(s->next, "%s probing begins: at most %u %s at once",
                  when(at, s, b->open_until_ns), probes,
                  probes == 1 ? "probe" : "probes");
        if (s->service->policy.probe_url[0] != '\0')
            story_add(s->next, "or as soon as probe_url answers well");
        tell_probing(s, 0);
    } else if (b->state == BK_HALF_OPEN) {
        tell_probing(s, b->probe_successes);
    } else {
        tell_closed(s);
    }
}
