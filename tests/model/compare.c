/* SPDX-License-Identifier: Apache-2.0
 *
 * Every visible part of a service, as the core has it and as the model has it. */
#include "tests/model/ledger.h"
#include "tests/model/mirror.h"
#include "tests/model/room.h"

#include <inttypes.h>
#include <string.h>

void
play_fault(struct play *p, const char *where, const char *what, uint64_t core,
           uint64_t model)
{
    if (p->has_fault)
        return;
    p->has_fault = true;
    snprintf(p->fault, sizeof p->fault,
             "%s: %s: core %" PRIu64 ", model %" PRIu64, where, what, core,
             model);
}

static void
expect(struct play *p, const char *where, const char *what, uint64_t core,
       uint64_t model)
{
    if (core != model)
        play_fault(p, where, what, core, model);
}

static void
expect_word(struct play *p, const char *where, const char *what,
            const char *core, const char *model)
{
    if (p->has_fault || strcmp(core, model) == 0)
        return;
    p->has_fault = true;
    snprintf(p->fault, sizeof p->fault, "%s: %s: core %s, model %s", where,
             what, core, model);
}

static void
compare_note(struct play *p, const char *name, const struct bk_change *core,
             const struct bk_change *model)
{
    expect_word(p, name, "note's cause", bk_cause_name(core->cause),
                bk_cause_name(model->cause));
    expect_word(p, name, "note's from", bk_state_name(core->from),
                bk_state_name(model->from));
    expect_word(p, name, "note's to", bk_state_name(core->to),
                bk_state_name(model->to));
    expect_word(p, name, "note's mode", bk_mode_name(core->mode),
                bk_mode_name(model->mode));
    expect(p, name, "note's generation", core->generation, model->generation);
    expect(p, name, "note's instant", (uint64_t)core->at_ns,
           (uint64_t)model->at_ns);
}

/* The model's first note of this service, taken out of its list. */
static bool
take_model_note(struct model *m, const char *name, struct bk_change *out)
{
    for (size_t i = 0; i < m->note_count; i++) {
        const struct model_note *n = &m->notes[i];
        if (strcmp(m->services[n->service].name, name) != 0)
            continue;
        *out = n->change;
        m->note_count--;
        memmove(m->notes + i, m->notes + i + 1,
                (m->note_count - i) * sizeof m->notes[0]);
        return true;
    }
    return false;
}

static void
match_note(struct play *p, const struct bk_note *note)
{
    const struct bk_service *s = bk_fleet_service(p->fleet, note->service);
    const char *name = s == NULL ? note->name : s->name;
    p->seen.causes[note->change.cause]++;
    struct bk_change change;
    if (take_model_note(p->model, name, &change))
        compare_note(p, name, &note->change, &change);
    else
        expect_word(p, name, "a note", bk_cause_name(note->change.cause),
                    "none");
}

void
play_take_notes(struct play *p)
{
    room_follow(p);
    for (size_t i = 0; i < p->note_count; i++)
        match_note(p, &p->notes[i]);
    p->note_count = 0;
}

static void
compare_counters(struct play *p, const char *name, const struct bk_counters *c,
                 const struct bk_counters *m)
{
#define COMPARE_COUNTER(field, help) \
    expect(p, name, "counters." #field, c->field, m->field);
    BK_COUNTERS(COMPARE_COUNTER)
#undef COMPARE_COUNTER
}

static void
compare_stats(struct play *p, const char *name, const struct bk_stats *s,
              const struct bk_stats *m)
{
    for (size_t i = 0; i < BK_STAT_ROWS; i++)
        for (size_t k = 0; k < bk_stat_rows[i].words; k++)
            expect(p, name, bk_stat_rows[i].name,
                   bk_stats_word(s, bk_stat_rows[i].first + k),
                   bk_stats_word(m, bk_stat_rows[i].first + k));
}

static void
compare_times(struct play *p, const struct bk_breaker *b,
              const struct model_service *m)
{
    const char *name = m->name;
    if (m->state == BK_OPEN && model_mode(m) != BK_FORCED_OPEN)
        expect(p, name, "end of the open time", (uint64_t)b->open_until_ns,
               (uint64_t)m->open_end_ns);
    expect(p, name, "hold left", (uint64_t)bk_hold_left(&b->hold, p->now_ns),
           (uint64_t)(m->hold_end_ns > 0 ? m->hold_end_ns - p->now_ns : 0));
    int64_t open_ns = m->open_ns;
    if (m->state == BK_OPEN)
        open_ns += p->now_ns - m->open_since_ns;
    expect(p, name, "time open", (uint64_t)bk_breaker_open_time(b, p->now_ns),
           (uint64_t)open_ns);
    expect(p, name, "since", (uint64_t)b->changed_ns, (uint64_t)m->changed_ns);
    expect(p, name, "is overridden", b->override.is_set, m->has_override);
    if (m->has_override) {
        expect(p, name, "override's mode", b->override.mode, m->override_mode);
        expect(p, name, "override's end", (uint64_t)b->override.expires_ns,
               (uint64_t)m->override_end_ns);
    }
    if (model_mode(m) == BK_AUTO || model_mode(m) == BK_FORCED_OPEN)
        expect(p, name, "wait", (uint64_t)bk_breaker_wait(b, p->now_ns),
               (uint64_t)model_wait(m, p->now_ns));
}

static void
compare_ramp(struct play *p, const char *name, const struct bk_ramp *r,
             const struct model_ramp *m)
{
    expect(p, name, "ramp step", r->step, m->step);
    if (m->step == 0)
        return;
    expect(p, name, "ramp arrivals", r->arrivals, m->arrivals);
    expect(p, name, "ramp admitted", r->admitted, m->admitted);
    expect(p, name, "ramp step's start", (uint64_t)r->step_since_ns,
           (uint64_t)m->since_ns);
    expect(p, name, "ramp success", r->has_success != 0, m->has_success);
    p->seen.ramp_steps[m->step]++;
}

static void
compare_sums(struct play *p, const struct bk_breaker *b,
             const struct model_service *m)
{
    struct bk_window_totals core =
        bk_window_totals(&b->window, &m->policy, p->now_ns);
    struct bk_window_totals totals = ledger_totals(m, p->now_ns);
    expect(p, m->name, "window.calls", core.calls, totals.calls);
    expect(p, m->name, "window.failures", core.failures, totals.failures);
    expect(p, m->name, "window.slow", core.slow, totals.slow);
    int64_t balance = ledger_balance(m, p->now_ns);
    expect(p, m->name, "budget's balance",
           bk_budget_balance_ppm(&b->budget, &m->policy, p->now_ns),
           (uint64_t)(balance > 0 ? balance : 0));
    expect(p, m->name, "budget granted", b->budget.granted, m->budget.granted);
    expect(p, m->name, "budget denied", b->budget.denied, m->budget.denied);
}

static void
compare_breaker(struct play *p, const struct bk_breaker *b,
                const struct model_service *m)
{
    const char *name = m->name;
    expect_word(p, name, "state", bk_state_name((enum bk_state)b->state),
                bk_state_name(m->state));
    expect_word(p, name, "mode", bk_mode_name((enum bk_mode)b->mode),
                bk_mode_name(model_mode(m)));
    expect(p, name, "generation", b->generation, m->generation);
    expect_word(p, name, "reason", bk_cause_name((enum bk_cause)b->cause),
                bk_cause_name(m->cause));
    expect(p, name, "consecutive failures", b->consecutive_failures,
           m->consecutive);
    expect(p, name, "failed health probes", b->health_failures, m->unwell);
    expect(p, name, "failed rounds", b->failed_rounds, m->rounds);
    if (m->state == BK_HALF_OPEN)
        expect(p, name, "probe successes", b->probe_successes,
               m->probe_successes);
    expect(p, name, "permits out", b->permits_out,
           model_permits_out(p->model, model_index(p->model, m)));
    compare_times(p, b, m);
    compare_ramp(p, name, &b->ramp, &m->ramp);
    compare_sums(p, b, m);
    compare_counters(p, name, &b->counters, &m->counters);
    p->seen.modes[model_mode(m)]++;
}

/* The core keeps a ring; the oldest stands where the next will. */
static void
compare_evidence(struct play *p, const struct bk_service *s,
                 const struct model_service *m)
{
    for (size_t i = 0; i < BK_EVIDENCE_COUNT; i++) {
        const struct bk_evidence *core =
            &s->evidence[(s->evidence_next + i) % BK_EVIDENCE_COUNT];
        size_t missing = BK_EVIDENCE_COUNT - m->evidence_count;
        struct bk_evidence none = {0};
        const struct bk_evidence *model =
            i < missing ? &none : &m->evidence[i - missing];
        expect(p, m->name, "evidence's instant", (uint64_t)core->at_ns,
               (uint64_t)model->at_ns);
        if (i < missing)
            continue;
        expect(p, m->name, "evidence's outcome", core->outcome, model->outcome);
        expect(p, m->name, "evidence's latency", (uint64_t)core->latency_ns,
               (uint64_t)model->latency_ns);
        expect(p, m->name, "evidence's process", core->pid, model->pid);
    }
}

void
play_compare(struct play *p, const char *name)
{
    uint32_t slot = bk_fleet_find(p->fleet, name, strlen(name));
    const struct model_service *m = model_find(p->model, name);
    expect(p, name, "is known", slot != BK_NO_SLOT, m != NULL);
    if (m == NULL || p->has_fault)
        return;
    const struct bk_service *s = bk_fleet_service(p->fleet, slot);
    const struct bk_policy *policy = bk_fleet_policy(p->fleet, s->policy);
    if (memcmp(policy, &m->policy, sizeof *policy) != 0)
        play_fault(p, name, "policy differs", 1, 0);
    compare_breaker(p, &s->breaker, m);
    compare_evidence(p, s, m);
    compare_stats(p, m->name, s->stats, &m->stats);
    /* What another service bars is known once that one has heard of the time. */
    if (p->is_settled || m->policy.requires_name[0] == '\0')
        mirror_compare_word(p, slot, m);
    for (size_t i = 0; i < p->model->note_count; i++)
        if (p->model->notes[i].service == model_index(p->model, m))
            expect_word(p, name, "a note", "none",
                        bk_cause_name(p->model->notes[i].change.cause));
}

/* The core may wake up early, never late, and never for what is over. */
static void
compare_deadline(struct play *p)
{
    int64_t core_ns = bk_fleet_deadline(p->fleet);
    int64_t model_ns = model_deadline(p->model);
    if (core_ns > model_ns || core_ns <= p->now_ns)
        play_fault(p, "fleet", "deadline", (uint64_t)core_ns,
                   (uint64_t)model_ns);
}

void
play_compare_all(struct play *p)
{
    for (size_t i = 0; i < NAME_SERVICES; i++)
        play_compare(p, step_name(i));
    expect(p, "fleet", "notes left", 0, p->model->note_count);
    expect(p, "fleet", "leases and tokens", bk_fleet_leases(p->fleet)->used,
           p->model->lease_count);
    expect(p, "fleet", "next id", bk_fleet_next_id(p->fleet),
           p->model->next_id);
    compare_deadline(p);
}
