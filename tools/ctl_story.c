/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a service is in its state: one sentence for each cause of a change. */
#define _GNU_SOURCE
#include "tools/ctl_story.h"
#include "tools/ctl_json.h"
#include "tools/ctl_out.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_SIZE 640

void
story_add(json_t *to, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    json_array_append_new(to, json_string(sentence));
}

const char *
story_duration(char out[STORY_WORD_SIZE], int64_t ns)
{
    struct bk_text text;

    bk_text_init(&text, out, STORY_WORD_SIZE);
    bk_text_put_duration(&text, ns);
    return out;
}

const char *
story_left(char out[STORY_WORD_SIZE], int64_t ns)
{
    ctl_duration(out, bk_ms_up(ns));
    return out;
}

const char *
story_percent(char out[STORY_WORD_SIZE], uint64_t ppm)
{
    struct bk_text text;

    bk_text_init(&text, out, STORY_WORD_SIZE);
    bk_text_put_ppm(&text, (int64_t)(ppm / 1000) * 100000, 0);
    bk_text_put_char(&text, '%');
    return out;
}

/* "window of 60s" or "last 100 calls". */
static const char *
window_name(char out[STORY_WORD_SIZE], const struct bk_policy *p)
{
    char length[STORY_WORD_SIZE];

    if (p->window_ns == 0)
        snprintf(out, STORY_WORD_SIZE, "last %u calls", p->window_calls);
    else
        snprintf(out, STORY_WORD_SIZE, "last %.20s",
                 story_duration(length, p->window_ns));
    return out;
}

static uint64_t
share_ppm(uint32_t part, uint32_t whole)
{
    return whole == 0 ? 0 : (uint64_t)part * BK_PPM / whole;
}

/* The window as it was when the breaker changed: nothing enters it while open. */
static struct bk_window_totals
totals_then(const struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;

    return bk_window_totals(&b->window, &s->service->policy, b->changed_ns);
}

static void
number(struct story *s, const char *key, uint64_t value)
{
    json_object_set_new(s->numbers, key, json_integer((json_int_t)value));
}

static void
share(struct story *s, const char *key, uint64_t ppm)
{
    json_object_set_new(s->numbers, key, json_real((double)ppm / BK_PPM));
}

static void
tell_none(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;

    if (b->mode == BK_AUTO)
        story_add(s->why, "nothing has tripped it since it was first seen");
    else
        story_add(s->why, "its configuration says mode = %s",
                  bk_mode_name((enum bk_mode)b->mode));
}

static void
tell_consecutive(struct story *s)
{
    uint32_t unwell = s->service->record.breaker.health_failures;

    s->rule = "failure_threshold";
    number(s, "consecutive_failures",
           s->service->record.breaker.consecutive_failures);
    number(s, "failure_threshold", s->service->policy.failure_threshold);
    if (unwell > 0) {
        story_add(s->why,
                  "calls and health probes (probe_url) failed in a row, the "
                  "last %u probes among them; failure_threshold is %u",
                  unwell, s->service->policy.failure_threshold);
        return;
    }
    story_add(s->why,
              "%u calls in a row failed, counted over all workers; "
              "failure_threshold is %u",
              s->service->record.breaker.consecutive_failures,
              s->service->policy.failure_threshold);
}

static void
tell_failure_rate(struct story *s)
{
    const struct bk_policy *p = &s->service->policy;
    struct bk_window_totals t = totals_then(s);
    char window[STORY_WORD_SIZE];
    char rate[STORY_WORD_SIZE];
    char limit[STORY_WORD_SIZE];

    s->rule = "failure_rate";
    number(s, "calls", t.calls);
    number(s, "failures", t.failures);
    share(s, "rate", share_ppm(t.failures, t.calls));
    share(s, "failure_rate", p->failure_rate_ppm);
    number(s, "minimum_calls", p->minimum_calls);
    story_add(
        s->why,
        "%u of %u calls in the %s failed (%s); failure_rate is %s from %u "
        "calls on",
        t.failures, t.calls, window_name(window, p),
        story_percent(rate, share_ppm(t.failures, t.calls)),
        story_percent(limit, p->failure_rate_ppm), p->minimum_calls);
}

static void
tell_slow_rate(struct story *s)
{
    const struct bk_policy *p = &s->service->policy;
    struct bk_window_totals t = totals_then(s);
    char window[STORY_WORD_SIZE];
    char slow[STORY_WORD_SIZE];
    char rate[STORY_WORD_SIZE];
    char limit[STORY_WORD_SIZE];

    s->rule = "slow_call_rate";
    number(s, "calls", t.calls);
    number(s, "slow", t.slow);
    share(s, "rate", share_ppm(t.slow, t.calls));
    share(s, "slow_call_rate", p->slow_call_rate_ppm);
    number(s, "slow_call_duration_ms", bk_ms_up(p->slow_call_duration_ns));
    number(s, "minimum_calls", p->minimum_calls);
    story_add(s->why,
              "%u of %u calls in the %s took longer than %s (%s); "
              "slow_call_rate is %s from %u calls on",
              t.slow, t.calls, window_name(window, p),
              story_duration(slow, p->slow_call_duration_ns),
              story_percent(rate, share_ppm(t.slow, t.calls)),
              story_percent(limit, p->slow_call_rate_ppm), p->minimum_calls);
}

static void
tell_critical(struct story *s)
{
    s->rule = "on_critical";
    story_add(s->why, "a call was reported critical (credentials or account), "
                      "and on_critical is trip");
}

static void
tell_probe_failed(struct story *s)
{
    uint32_t rounds = s->service->record.breaker.failed_rounds;

    s->rule = "success_threshold";
    number(s, "failed_rounds", rounds);
    story_add(s->why, "a probe failed; %u %s of probing failed in a row",
              rounds, rounds == 1 ? "round" : "rounds");
}

static void
tell_probe_succeeded(struct story *s)
{
    if (s->service->record.breaker.state != BK_CLOSED) {
        s->rule = "probe_url";
        story_add(s->why, "probe_url answered well, so calls may try");
        return;
    }
    s->rule = "success_threshold";
    number(s, "success_threshold", s->service->policy.success_threshold);
    story_add(s->why, "enough probes succeeded; success_threshold is %u",
              s->service->policy.success_threshold);
}

static void
tell_recovery(struct story *s)
{
    char time[STORY_WORD_SIZE];

    s->rule = "recovery_timeout";
    number(s, "recovery_timeout_ms",
           bk_ms_up(s->service->policy.recovery_timeout_ns));
    story_add(s->why,
              "its open time was over (recovery_timeout is %s), so probes may "
              "try",
              story_duration(time, s->service->policy.recovery_timeout_ns));
}

static void
tell_operator(struct story *s)
{
    const struct bk_override *o = &s->service->record.breaker.override;
    const char *actor = o->actor;
    const char *reason = o->reason;

    if (!o->is_set && s->row != NULL) {
        actor = ctl_json_word(s->row, "actor", "");
        reason = ctl_json_word(s->row, "text", "");
    } else if (!o->is_set) {
        actor = "";
        reason = "";
    }
    story_add(s->why, "an operator ordered it%s%s%s%s",
              actor[0] != '\0' ? " (uid:gid:pid " : "", actor,
              actor[0] != '\0' ? ")" : "", o->is_set ? ", by override" : "");
    if (reason[0] != '\0')
        story_add(s->why, "the reason given: %s", reason);
}

static void
tell_expired(struct story *s)
{
    story_add(s->why, "an operator's override came to its end");
}

static void
tell_restored(struct story *s)
{
    story_add(s->why,
              "breakerd started without its shared memory (a reboot, or "
              "the file was lost) and took this state from its database");
}

void
story_why(struct story *s)
{
    static void (*const tellers[BK_CAUSE_COUNT])(struct story *) = {
        [BK_CAUSE_NONE] = tell_none,
        [BK_CAUSE_CONSECUTIVE_FAILURES] = tell_consecutive,
        [BK_CAUSE_FAILURE_RATE] = tell_failure_rate,
        [BK_CAUSE_SLOW_RATE] = tell_slow_rate,
        [BK_CAUSE_CRITICAL] = tell_critical,
        [BK_CAUSE_PROBE_FAILED] = tell_probe_failed,
        [BK_CAUSE_PROBE_SUCCEEDED] = tell_probe_succeeded,
        [BK_CAUSE_RECOVERY_TIMEOUT] = tell_recovery,
        [BK_CAUSE_OPERATOR] = tell_operator,
        [BK_CAUSE_OVERRIDE_EXPIRED] = tell_expired,
        [BK_CAUSE_RESTORED] = tell_restored,
    };

    tellers[s->service->record.breaker.cause](s);
}

void
story_tell(struct story *s, const struct view *view,
           const struct view_service *service, const json_t *row)
{
    *s = (struct story){.view = view,
                        .service = service,
                        .row = row,
                        .why = json_array(),
                        .now = json_array(),
                        .next = json_array(),
                        .seen = json_array(),
                        .advice = json_array(),
                        .numbers = json_object(),
                        .upcoming = json_array(),
                        .workers = json_array(),
                        .errors = json_array(),
                        .commands = json_array()};
    story_why(s);
    story_now(s);
    story_next(s);
    story_seen(s);
    story_advice(s);
}

void
story_fini(struct story *s)
{
    json_t *parts[] = {s->why,    s->now,     s->next,     s->seen,
                       s->advice, s->numbers, s->upcoming, s->workers,
                       s->errors, s->commands};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        json_decref(parts[i]);
    *s = (struct story){0};
}
