/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_live.h"
#include "core/backoff.h"
#include "tools/ctl_document.h"
#include "tools/ctl_out.h"
#include <stdlib.h>
#include <string.h>

/* ---- one service ---- */

static uint64_t
ms_or_zero(int64_t ns)
{
    return ns > 0 ? bk_ms_up(ns) : 0;
}

/* The limits that the numbers run up against. */
static void
put_rules(struct bk_json *j, const struct bk_breaker *b,
          const struct bk_policy *p)
{
    bk_json_open(j, "rules", '{');
    bk_json_u64(j, "failure_threshold", p->failure_threshold);
    bk_json_ppm(j, "failure_rate", (int64_t)p->failure_rate_ppm, 0);
    bk_json_ppm(j, "slow_call_rate", (int64_t)p->slow_call_rate_ppm, 0);
    bk_json_u64(j, "slow_call_duration_ms",
                ms_or_zero(p->slow_call_duration_ns));
    bk_json_u64(j, "minimum_calls", p->minimum_calls);
    bk_json_u64(j, "window_ms", ms_or_zero(p->window_ns));
    bk_json_u64(j, "window_calls", p->window_calls);
    bk_json_u64(j, "success_threshold", p->success_threshold);
    bk_json_u64(j, "half_open_max_calls", p->half_open_max_calls);
    bk_json_u64(j, "max_concurrent", p->max_concurrent);
    bk_json_u64(
        j, "next_open_ms",
        ms_or_zero(bk_grow(p->recovery_timeout_ns, p->recovery_multiplier_ppm,
                           b->failed_rounds + 1, p->max_recovery_timeout_ns)));
    bk_json_string(j, "requires", p->requires_name);
    bk_json_close(j, '}');
}

/* Calls and failures of a time window's slices, oldest first; a window of calls
 * has none. */
static void
put_slices(struct bk_json *j, const struct bk_breaker *b,
           const struct bk_policy *p, int64_t now_ns)
{
    int64_t length_ns = p->window_ns / BK_SLICES;
    int64_t now = length_ns > 0 ? now_ns / length_ns : 0;

    bk_json_open(j, "slices", '[');
    for (int64_t i = now - BK_SLICES + 1; length_ns > 0 && i <= now; i++) {
        static const struct bk_window_totals none;
        const struct bk_window_slice *slice =
            i >= 0 ? &b->window.u.slices[i % BK_SLICES] : NULL;
        const struct bk_window_totals *t =
            slice != NULL && slice->index == i ? &slice->totals : &none;

        bk_json_open(j, NULL, '[');
        bk_json_u64(j, NULL, t->calls);
        bk_json_u64(j, NULL, t->failures);
        bk_json_close(j, ']');
    }
    bk_json_close(j, ']');
}

/* What the balance would be had nobody taken a token: the gauge's full scale. */
static uint64_t
budget_size_ppm(const struct bk_breaker *b, const struct bk_policy *p,
                int64_t now_ns)
{
    struct bk_budget untouched = b->budget;

    bk_budget_forget_withdrawals(&untouched);
    return bk_budget_balance_ppm(&untouched, p, now_ns);
}

static void
put_service(struct bk_json *j, const struct view *v,
            const struct view_service *s)
{
    const struct bk_breaker *b = &s->record.breaker;
    const struct bk_status_service row = {.name = s->record.name,
                                          .breaker = b,
                                          .policy = &s->policy,
                                          .now_ns = v->now_ns};

    bk_json_open(j, NULL, '[');
    bk_status_row(j, &row);
    bk_json_open(j, NULL, '{');
    put_rules(j, b, &s->policy);
    put_slices(j, b, &s->policy, v->now_ns);
    bk_json_u64(j, "probe_successes", b->probe_successes);
    bk_json_ppm(j, "budget_size",
                (int64_t)budget_size_ppm(b, &s->policy, v->now_ns), 1);
    bk_json_close(j, '}');
    bk_json_close(j, ']');
}

/* ---- the document ---- */

static struct document *
begin(const struct view *v)
{
    struct document *d = document_new();
    struct bk_status_daemon daemon = {.version = ""};

    if (v != NULL)
        view_daemon(v, &daemon);
    bk_status_begin(&d->json, &daemon);
    document_take(d);
    return d;
}

static char *
end(struct document *d, struct web_view *w, bool is_full, size_t *len)
{
    char sentence[WEB_TROUBLE_SIZE];
    const struct view *v = web_view_now(w);
    struct bk_text text;

    bk_text_init(&text, sentence, sizeof sentence);
    bk_json_bool(&d->json, "full", is_full);
    if (web_view_is_ready(w, &text))
        bk_json_null(&d->json, "trouble");
    else
        bk_json_string(&d->json, "trouble", sentence);
    if (v != NULL && v->heartbeat_age_ns != BK_NEVER)
        bk_json_u64(&d->json, "heartbeat_age_ms",
                    ms_or_zero(v->heartbeat_age_ns));
    else
        bk_json_null(&d->json, "heartbeat_age_ms");
    bk_json_close(&d->json, '}');
    return document_text(d, len);
}

char *
web_live_all(struct web_view *w, size_t *len)
{
    const struct view *v = web_view_now(w);
    struct document *d = begin(v);
    uint32_t slots = v != NULL ? v->segment.limits.services : 0;
    struct view_service service;

    for (uint32_t slot = 0; slot < slots; slot++) {
        if (view_read(v, slot, &service)) {
            put_service(&d->json, v, &service);
            document_take(d);
        }
    }
    bk_json_close(&d->json, ']');
    return end(d, w, v != NULL, len);
}

/* ---- changes ---- */

static uint64_t
mix(uint64_t hash, const void *at, size_t bytes)
{
    for (size_t i = 0; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, (const char *)at + i, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Of all that a row shows except the mere passing of time; but windows and budget
 * forget slice by slice. Never 0. */
static uint64_t
hash_of(const struct view_service *s, int64_t now_ns)
{
    int64_t length_ns = s->policy.window_ns / BK_SLICES;
    struct bk_window_totals totals =
        bk_window_totals(&s->record.breaker.window, &s->policy, now_ns);
    uint64_t slice =
        totals.calls > 0 && length_ns > 0 ? (uint64_t)(now_ns / length_ns) : 0;
    uint64_t balance =
        bk_budget_balance_ppm(&s->record.breaker.budget, &s->policy, now_ns);
    uint64_t hash = mix(1, &s->record, sizeof s->record);

    hash = mix(hash, &s->policy, sizeof s->policy);
    hash = mix(hash, &balance, sizeof balance);
    return mix(hash, &slice, sizeof slice) | 1;
}

static void
fit(struct web_live *l, uint32_t slots)
{
    if (l->slots == slots)
        return;
    web_live_free(l);
    l->seen = ctl_memory(NULL, slots * sizeof *l->seen);
    l->names = ctl_memory(NULL, slots * sizeof *l->names);
    memset(l->seen, 0, slots * sizeof *l->seen);
    memset(l->names, 0, slots * sizeof *l->names);
    l->slots = slots;
}

/* Rows of services that changed; whether there were any. */
static bool
put_changed(struct web_live *l, const struct view *v, struct document *d)
{
    bool has_news = false;

    for (uint32_t slot = 0; slot < l->slots; slot++) {
        struct view_service service;
        uint64_t hash =
            view_read(v, slot, &service) ? hash_of(&service, v->now_ns) : 0;

        if (hash != l->seen[slot] && hash != 0) {
            put_service(&d->json, v, &service);
            document_take(d);
            /* Else it is not missed when it is gone before the names are looked
             * at. */
            if (l->names[slot][0] == '\0')
                memcpy(l->names[slot], service.record.name, BK_NAME_SIZE);
        }
        has_news = has_news || hash != l->seen[slot];
        l->seen[slot] = hash;
    }
    return has_news;
}

/* Names that were told and are not in use any more. */
static void
put_gone(struct web_live *l, const struct view *v, struct document *d)
{
    bk_json_open(&d->json, "gone", '[');
    for (uint32_t slot = 0; slot < l->slots; slot++) {
        char *told = l->names[slot];
        char name[BK_NAME_SIZE] = "";

        (void)bk_segment_name(&v->segment, slot, name);
        if (strcmp(told, name) == 0)
            continue;
        if (told[0] != '\0' &&
            bk_segment_find(&v->segment, told, strlen(told)) == BK_NO_SLOT) {
            bk_json_string(&d->json, NULL, told);
            document_take(d);
        }
        bk_copy_text(told, BK_NAME_SIZE, name, strlen(name));
    }
    bk_json_close(&d->json, ']');
}

char *
web_live_changes(struct web_live *l, struct web_view *w, size_t *len,
                 bool *has_news)
{
    const struct view *v = web_view_now(w);
    struct document *d = begin(v);

    *has_news = false;
    if (v != NULL) {
        fit(l, v->segment.limits.services);
        *has_news = put_changed(l, v, d);
    }
    bk_json_close(&d->json, ']');
    if (v != NULL)
        put_gone(l, v, d);
    return end(d, w, false, len);
}

void
web_live_free(struct web_live *l)
{
    free(l->seen);
    free(l->names);
    *l = (struct web_live){0};
}
