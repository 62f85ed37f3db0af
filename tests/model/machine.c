/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of state and mode, and the verdicts that cause them. */
#include "tests/model/machine.h"

#include <assert.h>
#include <string.h>

void
machine_remove_lease(struct model *m, size_t index)
{
    assert(index < m->lease_count);
    m->lease_count--;
    memmove(m->leases + index, m->leases + index + 1,
            (m->lease_count - index) * sizeof m->leases[0]);
}

void
machine_void(struct model *m, uint32_t service, bool keeps_tokens)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->lease_count; i++) {
        const struct model_lease *l = &m->leases[i];
        if (l->service != service || (l->is_token && keeps_tokens))
            m->leases[kept++] = *l;
    }
    m->lease_count = kept;
}

static void
end_ramp(struct model_service *s)
{
    s->ramp = (struct model_ramp){0};
}

static void
start_step(struct model *m, struct model_service *s, int64_t at_ns,
           uint32_t step)
{
    s->ramp = (struct model_ramp){.step = step,
                                  .run = ++m->next_run,
                                  .since_ns = at_ns,
                                  .length_ns = s->policy.ramp_ns / 10};
}

void
machine_empty(struct model_service *s)
{
    s->window.count = 0;
    s->consecutive = 0;
    s->unwell = 0;
    s->rounds = 0;
}

void
machine_change(struct model *m, struct model_service *s, int64_t at_ns,
               enum bk_state to, enum bk_cause cause)
{
    enum bk_state from = s->state;
    if (from == BK_OPEN && to != BK_OPEN)
        s->open_ns += at_ns - s->open_since_ns;
    if (from != BK_OPEN && to == BK_OPEN)
        s->open_since_ns = at_ns;
    s->stats.transitions[from * 3 + to]++;
    s->generation++;
    s->changed_ns = at_ns;
    s->cause = cause;
    s->state = to;
    if (to == BK_OPEN && from != BK_OPEN)
        s->counters.opened++;
    if (to == BK_HALF_OPEN && from != BK_HALF_OPEN)
        s->probe_successes = 0;
    if (to != BK_CLOSED)
        end_ramp(s);
    machine_void(m, model_index(m, s), true);
    assert(m->note_count < MODEL_NOTES);
    m->notes[m->note_count++] =
        (struct model_note){.service = model_index(m, s),
                            .change = {.happened = true,
                                       .from = from,
                                       .to = to,
                                       .mode = model_mode(s),
                                       .cause = cause,
                                       .generation = s->generation,
                                       .at_ns = at_ns}};
}

void
machine_open(struct model *m, struct model_service *s, int64_t at_ns,
             enum bk_cause cause)
{
    int64_t low_ns = 0;
    int64_t high_ns = 0;
    ledger_grow(s->policy.recovery_timeout_ns,
                s->policy.recovery_multiplier_ppm, s->rounds,
                s->policy.max_recovery_timeout_ns, &low_ns, &high_ns);
    machine_change(m, s, at_ns, BK_OPEN, cause);
    if (s->policy.recovery_jitter_ppm > 0) {
        /* Shortened by up to this share, which is rounded up here. */
        int64_t jitter = (int64_t)s->policy.recovery_jitter_ppm;
        int64_t share_ns = low_ns / (int64_t)BK_PPM * jitter +
                           low_ns % (int64_t)BK_PPM * jitter / (int64_t)BK_PPM;
        low_ns -= share_ns < low_ns ? share_ns + 1 : low_ns;
    }
    s->open_end_ns = at_ns + high_ns;
    if (low_ns == high_ns)
        return;
    int64_t seen_ns = m->observer(m->context, s->name);
    if (seen_ns >= at_ns + low_ns && seen_ns <= at_ns + high_ns)
        s->open_end_ns = seen_ns;
}

static void
close_after_probes(struct model *m, struct model_service *s, int64_t at_ns)
{
    machine_change(m, s, at_ns, BK_CLOSED, BK_CAUSE_PROBE_SUCCEEDED);
    machine_empty(s);
    if (s->policy.ramp_ns > 0)
        start_step(m, s, at_ns, 1);
}

void
machine_end_step(struct model *m, struct model_service *s, int64_t at_ns)
{
    if (s->ramp.step == 10)
        end_ramp(s);
    else
        start_step(m, s, at_ns, s->ramp.step + 1);
}

static void
judge_ramp(struct model *m, struct model_service *s, int64_t at_ns,
           const struct machine_verdict *v)
{
    if (s->ramp.step == 0)
        return;
    if (v->is_failure) {
        start_step(m, s, at_ns, s->ramp.step);
        return;
    }
    bool is_of_step =
        v->is_leased ? v->ramp_run == s->ramp.run : s->ramp.admitted > 0;
    if (!is_of_step)
        return;
    s->ramp.has_success = true;
    if (at_ns >= s->ramp.since_ns + s->ramp.length_ns)
        machine_end_step(m, s, at_ns);
}

void
machine_witness(struct model_service *s, const struct bk_evidence *evidence)
{
    if (s->evidence_count == BK_EVIDENCE_COUNT) {
        s->evidence_count--;
        memmove(s->evidence, s->evidence + 1,
                s->evidence_count * sizeof s->evidence[0]);
    }
    s->evidence[s->evidence_count++] = *evidence;
}

static enum bk_cause
find_trip(const struct model_service *s, int64_t at_ns)
{
    const struct bk_policy *p = &s->policy;
    if (p->failure_threshold > 0 && s->consecutive >= p->failure_threshold)
        return BK_CAUSE_CONSECUTIVE_FAILURES;
    struct bk_window_totals t = ledger_totals(s, at_ns);
    uint64_t least = p->minimum_calls;
    if (p->window_calls > 0 && least > p->window_calls)
        least = p->window_calls;
    if (t.calls == 0 || t.calls < least)
        return BK_CAUSE_NONE;
    if (p->failure_rate_ppm > 0 &&
        t.failures * BK_PPM >= p->failure_rate_ppm * t.calls)
        return BK_CAUSE_FAILURE_RATE;
    if (p->slow_call_duration_ns > 0 && p->slow_call_rate_ppm > 0 &&
        t.slow * BK_PPM >= p->slow_call_rate_ppm * t.calls)
        return BK_CAUSE_SLOW_RATE;
    return BK_CAUSE_NONE;
}

static void
judge_closed(struct model *m, struct model_service *s, int64_t at_ns,
             const struct machine_verdict *v)
{
    enum bk_cause cause = BK_CAUSE_NONE;
    if (v->is_entered) {
        ledger_add_outcome(s, at_ns, v->is_failure, v->is_slow);
        s->consecutive = v->is_failure ? s->consecutive + 1 : 0;
        s->unwell = v->is_failure ? s->unwell : 0;
        judge_ramp(m, s, at_ns, v);
        cause = find_trip(s, at_ns);
    }
    if (v->is_critical_trip)
        cause = BK_CAUSE_CRITICAL;
    if (cause != BK_CAUSE_NONE)
        machine_open(m, s, at_ns, cause);
}

static void
judge_half_open(struct model *m, struct model_service *s, int64_t at_ns,
                const struct machine_verdict *v)
{
    s->unwell = v->is_failure ? s->unwell : 0;
    if (v->is_failure) {
        s->rounds++;
        machine_open(m, s, at_ns,
                     v->is_critical_trip ? BK_CAUSE_CRITICAL
                                         : BK_CAUSE_PROBE_FAILED);
    } else if (++s->probe_successes >= s->policy.success_threshold) {
        close_after_probes(m, s, at_ns);
    }
}

static void
fall_ill(struct model *m, struct model_service *s, int64_t at_ns,
         const struct bk_health *h)
{
    s->unwell++;
    if (s->state == BK_OPEN)
        return;
    machine_witness(s, &(struct bk_evidence){.at_ns = at_ns,
                                             .latency_ns = h->latency_ns,
                                             .outcome = h->outcome});
    /* Closed, failed probes and failed calls make one row; half open, probes
     * alone do. */
    uint32_t row = s->unwell;
    if (s->state == BK_CLOSED) {
        row = ++s->consecutive;
        if (s->ramp.step > 0)
            start_step(m, s, at_ns, s->ramp.step);
    }
    if (s->policy.failure_threshold > 0 && row >= s->policy.failure_threshold)
        machine_open(m, s, at_ns, BK_CAUSE_CONSECUTIVE_FAILURES);
}

void
machine_hear_health(struct model *m, struct model_service *s, int64_t at_ns,
                    const struct bk_health *h)
{
    if (h->outcome != BK_SUCCESS) {
        fall_ill(m, s, at_ns, h);
        return;
    }
    if (s->state == BK_CLOSED)
        s->consecutive -= s->unwell;
    s->unwell = 0;
    if (s->state == BK_OPEN)
        machine_change(m, s, at_ns, BK_HALF_OPEN, BK_CAUSE_PROBE_SUCCEEDED);
}

void
machine_judge(struct model *m, struct model_service *s, int64_t at_ns,
              const struct machine_verdict *v)
{
    assert(s->state != BK_OPEN);
    if (s->state == BK_HALF_OPEN)
        judge_half_open(m, s, at_ns, v);
    else
        judge_closed(m, s, at_ns, v);
}

void
machine_mode_changed(struct model *m, struct model_service *s, int64_t at_ns,
                     enum bk_mode before, enum bk_cause cause)
{
    enum bk_mode after = model_mode(s);
    if (after == before)
        return;
    enum bk_state to = s->state;
    if (after == BK_FORCED_OPEN)
        to = BK_OPEN;
    else if (after == BK_BYPASS)
        to = BK_CLOSED;
    else if (before == BK_FORCED_OPEN)
        to = BK_HALF_OPEN;
    machine_change(m, s, at_ns, to, cause);
    if (after == BK_BYPASS) {
        machine_empty(s);
        end_ramp(s);
    }
}

static uint64_t
first_generation(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->forgotten_count; i++)
        if (strcmp(m->forgotten[i].name, name) == 0)
            return m->forgotten[i].generation + 1;
    return 0;
}

enum bk_error
machine_refusal(const struct model *m, const char *name)
{
    if (!bk_name_is_valid(name, strlen(name)) ||
        model_find_route(m, name) != NULL)
        return BK_ERR_BAD_SERVICE;
    return BK_ERR_TABLE_FULL;
}

static struct model_service *
find_room(struct model *m)
{
    struct model_service *room = NULL;
    size_t count = 0;
    for (size_t i = 0; i < MODEL_SERVICES; i++) {
        count += m->services[i].is_here;
        if (!m->services[i].is_here && room == NULL)
            room = &m->services[i];
    }
    return count < m->capacity ? room : NULL;
}

struct model_service *
machine_make(struct model *m, int64_t now_ns, const char *name)
{
    struct model_service *s = model_find(m, name);
    if (s == NULL) {
        s = find_room(m);
        if (s == NULL || machine_refusal(m, name) == BK_ERR_BAD_SERVICE)
            return NULL;
        /* The long lists are left as they are: their counts say what is in
         * them. */
        memset(s, 0, offsetof(struct model_service, window));
        s->window.count = 0;
        s->budget.deposit_count = 0;
        s->budget.withdrawal_count = 0;
        s->budget.granted = 0;
        s->budget.denied = 0;
        s->counters = (struct bk_counters){0};
        s->stats = (struct bk_stats){0};
        s->open_ns = 0;
        s->evidence_count = 0;
        s->is_here = true;
        bk_copy_text(s->name, sizeof s->name, name, strlen(name));
        m->source(m->context, name, &s->policy);
        s->generation = first_generation(m, name);
        s->changed_ns = now_ns;
        s->used_ns = now_ns;
    }
    s->touched_ns = now_ns;
    return s;
}
