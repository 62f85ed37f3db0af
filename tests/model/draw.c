/* SPDX-License-Identifier: Apache-2.0
 *
 * Chance with a purpose: half of all time steps end exactly at, or one nanosecond
 * beside, an instant at which the model says something happens. */
#include "tests/model/draw.h"
#include "core/backoff.h"

#include <string.h>

static uint64_t
below(struct draw *d, uint64_t end)
{
    return bk_random(&d->random) % end;
}

static bool
chance(struct draw *d, uint64_t pct)
{
    return below(d, 100) < pct;
}

static void
draw_routes(struct draw *d, struct step *step)
{
    for (size_t r = 0; r < NAME_ROUTES; r++) {
        uint64_t count = 1 + below(d, 3);
        uint64_t first = below(d, NAME_SERVICES);
        for (size_t i = 0; i < NAME_SERVICES; i++)
            step->members[r][i] =
                i < count ? (uint8_t)((first + i) % NAME_SERVICES) : NAME_COUNT;
    }
}

/* What needs several things to come together is asked for by name. */
static void
draw_theme(struct draw *d, struct stream *stream)
{
    static const char *const themes[][3] = {
        {"ramp", "failure_threshold", NULL},
        {"ramp", "max_concurrent", NULL},
        {"half_open_max_calls", "success_threshold", NULL},
        {"failure_rate", "minimum_calls", NULL},
        {"slow_call_duration", "slow_call_rate", "minimum_calls"},
        {"max_concurrent", "permit_ttl", NULL},
        {"retry_ratio", "retry_min_per_sec", "retry_ttl"},
        {"requires", NULL, NULL}};
    size_t theme = below(d, 2 * sizeof themes / sizeof themes[0]);
    if (theme >= sizeof themes / sizeof themes[0])
        return;
    for (size_t i = 0; i < NAME_SERVICES; i++)
        for (size_t j = 0; j < 3 && themes[theme][j] != NULL; j++)
            spec_force(&stream->specs[i], themes[theme][j], stream->is_exact,
                       &d->random);
}

void
draw_start(struct draw *d, struct stream *stream, uint64_t seed)
{
    static const uint64_t usual[STEP_KIND_COUNT] = {
        [STEP_PASS] = 20,  [STEP_ACQUIRE] = 300, [STEP_REPORT] = 380,
        [STEP_RETRY] = 80, [STEP_RELEASE] = 30,  [STEP_RENEW] = 20,
        [STEP_TALLY] = 5,  [STEP_DIE] = 8,       [STEP_ORDER] = 24,
        [STEP_RESET] = 6,  [STEP_SET] = 24,      [STEP_MAKE] = 4,
        [STEP_ROUTES] = 6, [STEP_FORGET] = 2,    [STEP_LOSE_SEGMENT] = 3,
        [STEP_ADOPT] = 3,  [STEP_HEALTH] = 40};
    static const int64_t paces[] = {1, 40 * BK_NS_PER_US, BK_NS_PER_MS,
                                    50 * BK_NS_PER_MS, BK_NS_PER_S};
    *d = (struct draw){.random = seed};
    stream->seed = seed;
    stream->count = 0;
    stream->is_exact = chance(d, 60);
    stream->capacity = MODEL_SERVICES;
    if (chance(d, 25))
        stream->capacity = 1 + (uint32_t)below(d, MODEL_SERVICES);
    stream->configured = (uint32_t)below(d, 1U << NAME_SERVICES);
    /* Not 0: that is how evidence says that there is none. */
    stream->start_ns =
        chance(d, 50) ? 1 : 1 + (int64_t)below(d, UINT64_C(1) << below(d, 59));
    d->is_calm = chance(d, 50);
    d->services = 1 + (uint32_t)below(d, NAME_SERVICES);
    d->pids = 1 + (uint32_t)below(d, 5);
    d->pace_ns = paces[below(d, sizeof paces / sizeof paces[0])];
    for (size_t i = 0; i < NAME_SERVICES; i++)
        spec_random(&stream->specs[i], stream->is_exact, &d->random);
    draw_theme(d, stream);
    stream->routes =
        (struct step){.kind = STEP_ROUTES, .at_ns = stream->start_ns};
    draw_routes(d, &stream->routes);
    /* Rare commands are left out, usual or frequent, so that both long
     * undisturbed histories and crowded ones come up. */
    for (size_t k = 0; k < STEP_KIND_COUNT; k++) {
        static const uint64_t factors[] = {0, 1, 1, 4};
        uint64_t factor = usual[k] >= 80 ? 2 : factors[below(d, 4)];
        d->weights[k] = usual[k] * factor;
        d->weight_sum += d->weights[k];
    }
}

static enum step_kind
draw_kind(struct draw *d)
{
    uint64_t at = below(d, d->weight_sum);
    size_t kind = 0;
    while (at >= d->weights[kind])
        at -= d->weights[kind++];
    return (enum step_kind)kind;
}

/* An instant of this service at which something happens, or 0. */
static int64_t
find_instant(struct draw *d, const struct model *m,
             const struct model_service *s)
{
    int64_t slice_ns = s->policy.window_ns / 10;
    switch (below(d, 7)) {
    case 0:
        return s->state == BK_OPEN ? s->open_end_ns : 0;
    case 1:
        return s->hold_end_ns;
    case 2:
        return s->has_override && s->override_end_ns != BK_NEVER
                   ? s->override_end_ns
                   : 0;
    case 3:
        return s->ramp.step > 0 ? s->ramp.since_ns + s->ramp.length_ns : 0;
    case 4:
        return slice_ns == 0 ? 0 : (m->now_ns / slice_ns + 1) * slice_ns;
    case 5:
        slice_ns = s->policy.retry_ttl_ns / 10;
        return (m->now_ns / slice_ns + 1) * slice_ns;
    default:
        return m->lease_count == 0
                   ? 0
                   : m->leases[below(d, m->lease_count)].deadline_ns;
    }
}

static int64_t
aim(struct draw *d, const struct model *m)
{
    int64_t at_ns = model_deadline(m);
    const struct model_service *s = &m->services[below(d, MODEL_SERVICES)];
    if (s->is_here && chance(d, 60))
        at_ns = find_instant(d, m, s);
    return at_ns;
}

static int64_t
draw_time(struct draw *d, const struct play *p)
{
    static const int64_t jumps[] = {BK_NS_PER_S, 60 * BK_NS_PER_S,
                                    4000 * BK_NS_PER_S, 90000 * BK_NS_PER_S};
    const struct model *m = p->model;
    /* In a calm stream calls seldom outlive their permits. */
    uint64_t die = below(d, d->is_calm && chance(d, 80) ? 50 : 100);
    if (die < 30)
        return p->now_ns;
    if (die < 55)
        return p->now_ns + (int64_t)below(d, (uint64_t)d->pace_ns * 2);
    if (die < 92) {
        int64_t at_ns = aim(d, m);
        if (at_ns > p->now_ns && at_ns < p->now_ns + 100000 * BK_NS_PER_S)
            return at_ns - 1 + (int64_t)below(d, 3);
    }
    if (die < 98)
        return p->now_ns + (int64_t)below(d, UINT64_C(1) << below(d, 34));
    int64_t jump_ns = jumps[below(d, sizeof jumps / sizeof jumps[0])];
    return p->now_ns + (int64_t)below(d, (uint64_t)jump_ns);
}

static uint8_t
draw_name(struct draw *d, bool may_be_route)
{
    if (chance(d, 1))
        return (uint8_t)below(d, NAME_COUNT);
    if (may_be_route && chance(d, 12))
        return (uint8_t)(NAME_SERVICES + below(d, NAME_ROUTES));
    return (uint8_t)below(d, d->services);
}

/* The service an id belongs to, if it is live, else any. */
static uint8_t
name_of_id(struct draw *d, const struct play *p, uint64_t id)
{
    const struct model_lease *lease = model_lease(p->model, id);
    for (size_t i = 0; lease != NULL && i < NAME_SERVICES; i++)
        if (strcmp(step_name(i), p->model->services[lease->service].name) == 0)
            return (uint8_t)i;
    return draw_name(d, false);
}

/* A step of the recent past that was given something. When `wants_live`, one
 * whose permit or token is still out, if chance finds it. */
static bool
draw_id(struct draw *d, const struct play *p, bool wants_live,
        struct step *step)
{
    uint32_t room = sizeof d->given / sizeof d->given[0];
    uint32_t count = d->given_count < room ? d->given_count : room;
    step->id = ID_NONE;
    if (chance(d, 1)) {
        step->id = ID_UNISSUED;
        step->count = (uint32_t)below(d, 3);
        return false;
    }
    if (count == 0)
        return false;
    step->id = ID_OF_STEP;
    for (uint32_t i = 0; i < 8; i++) {
        step->id_step = d->given[below(d, count)];
        uint64_t id = p->gifts[step->id_step].id;
        if ((model_lease(p->model, id) != NULL) == wants_live)
            return wants_live;
    }
    return false;
}

static enum bk_outcome
draw_outcome(struct draw *d)
{
    static const enum bk_outcome good[] = {BK_SUCCESS, BK_SUCCESS, BK_SUCCESS,
                                           BK_REJECTED};
    static const enum bk_outcome bad[] = {
        BK_FAILURE,  BK_FAILURE,      BK_TIMEOUT,     BK_TIMEOUT,
        BK_CRITICAL, BK_RATE_LIMITED, BK_RATE_LIMITED};
    if (chance(d, 3)) {
        static const uint32_t moods[] = {0, 0, 5, 30, 70, 100};
        d->failure_pct = moods[below(d, d->is_calm ? 4 : 6)];
    }
    if (chance(d, 5))
        return (enum bk_outcome)below(d, BK_OUTCOME_COUNT);
    return chance(d, d->failure_pct) ? bad[below(d, 7)] : good[below(d, 4)];
}

static int64_t
draw_duration(struct draw *d)
{
    static const int64_t usual[] = {
        1,           BK_NS_PER_MS,    BK_NS_PER_MS + 1,  20 * BK_NS_PER_MS,
        BK_NS_PER_S, 7 * BK_NS_PER_S, 4000 * BK_NS_PER_S};
    if (chance(d, 70))
        return usual[below(d, sizeof usual / sizeof usual[0])];
    return 1 + (int64_t)below(d, UINT64_C(1) << below(d, 40));
}

static uint64_t
draw_attempt(struct draw *d)
{
    static const uint64_t attempts[] = {2, 2, 2, 3, 9, BK_NUMBER_END - 1};
    if (chance(d, 75))
        return 1;
    return attempts[below(d, sizeof attempts / sizeof attempts[0])];
}

static int64_t
draw_latency(struct draw *d, const struct play *p, uint8_t name)
{
    if (chance(d, 20))
        return -1;
    int64_t slow_ns =
        name < NAME_SERVICES ? p->policies[name].slow_call_duration_ns : 0;
    if (slow_ns > 0 && chance(d, 60))
        return slow_ns - 1 + (int64_t)below(d, 3);
    return (int64_t)below(d, UINT64_C(1) << below(d, 36));
}

static void
draw_acquire(struct draw *d, const struct play *p, struct step *step)
{
    step->name = draw_name(d, true);
    step->attempt = draw_attempt(d);
    step->ttl_ns = chance(d, 20) ? draw_duration(d) : 0;
    if (step->attempt == 1 && !chance(d, 25))
        return;
    bool is_live = draw_id(d, p, chance(d, 85), step);
    if (is_live && chance(d, 90))
        step->attempt = 2;
    if (is_live && step->name < NAME_SERVICES && chance(d, 80))
        step->name = name_of_id(d, p, p->gifts[step->id_step].id);
}

static void
draw_report(struct draw *d, const struct play *p, struct step *step)
{
    static const enum step_generation usual[] = {GEN_DASH, GEN_NOW, GEN_NOW};
    step->name = draw_name(d, false);
    step->generation = usual[below(d, 3)];
    step->attempt = chance(d, 10) ? 0 : draw_attempt(d);
    step->flag = chance(d, 30);
    step->outcome = draw_outcome(d);
    if (step->outcome == BK_RATE_LIMITED || chance(d, 2))
        step->retry_after_ns = chance(d, 60) ? draw_duration(d) : 0;
    if (chance(d, 65) && draw_id(d, p, chance(d, 90), step)) {
        step->name = name_of_id(d, p, p->gifts[step->id_step].id);
        step->generation = chance(d, 80) ? GEN_OF_STEP : GEN_DASH;
    }
    if (chance(d, 4))
        step->name = draw_name(d, true);
    if (chance(d, 4))
        step->generation = (enum step_generation)below(d, GEN_CHOICES);
    step->latency_ns = draw_latency(d, p, step->name);
}

/* Good and bad come in rows, so that thresholds are met. */
static void
draw_health(struct draw *d, const struct play *p, struct step *step)
{
    step->name = draw_name(d, false);
    if (chance(d, 15))
        d->is_unwell = !d->is_unwell;
    step->outcome = BK_SUCCESS;
    if (d->is_unwell)
        step->outcome = chance(d, 50) ? BK_FAILURE : BK_TIMEOUT;
    step->latency_ns = draw_latency(d, p, step->name);
}

static void
draw_order(struct draw *d, struct step *step)
{
    static const enum bk_mode modes[] = {BK_AUTO, BK_AUTO, BK_FORCED_OPEN,
                                         BK_BYPASS, BK_OBSERVE};
    step->name = draw_name(d, false);
    step->mode = modes[below(d, 5)];
    step->duration_ns =
        step->mode != BK_AUTO && chance(d, 75) ? draw_duration(d) : BK_NEVER;
}

static void
draw_words(struct draw *d, const struct play *p, struct step *step)
{
    switch (step->kind) {
    case STEP_ACQUIRE:
        draw_acquire(d, p, step);
        break;
    case STEP_REPORT:
        draw_report(d, p, step);
        break;
    case STEP_RETRY:
        step->name = draw_name(d, false);
        step->attempt = draw_attempt(d);
        step->outcome = chance(d, 80) ? BK_FAILURE : draw_outcome(d);
        step->retry_after_ns = chance(d, 25) ? draw_duration(d) : 0;
        break;
    case STEP_RELEASE:
    case STEP_RENEW:
        draw_id(d, p, chance(d, 80), step);
        step->ttl_ns = draw_duration(d);
        break;
    case STEP_HEALTH:
        draw_health(d, p, step);
        break;
    case STEP_ORDER:
        draw_order(d, step);
        break;
    case STEP_ROUTES:
        draw_routes(d, step);
        break;
    case STEP_SET:
        spec_random_change(p->is_exact, &d->random, &step->key, &step->value);
        step->name = (uint8_t)below(d, d->services);
        break;
    case STEP_TALLY:
    case STEP_RESET:
    case STEP_MAKE:
    case STEP_FORGET:
        step->name = draw_name(d, false);
        step->flag = chance(d, 40);
        step->count = 1 + (uint32_t)below(d, 1000);
        step->deny = (enum bk_deny)below(d, BK_DENY_COUNT);
        break;
    case STEP_PASS:
    case STEP_DIE:
    case STEP_LOSE_SEGMENT:
    case STEP_ADOPT:
    case STEP_KIND_COUNT:
        break;
    }
}

void
draw_step(struct draw *d, const struct play *p, uint32_t serial,
          struct step *step)
{
    *step = (struct step){.serial = serial, .kind = draw_kind(d)};
    step->at_ns = draw_time(d, p);
    step->late_ns = chance(d, 5) ? (int64_t)below(d, 1000000) : 0;
    step->pid = (uint32_t)below(d, d->pids);
    /* A probe that is out is worth a report more often than not. */
    if (d->is_calm && p->model->lease_count > 0 && chance(d, 35))
        step->kind = STEP_REPORT;
    step->is_lazy = chance(d, 50);
    step->looks_around = chance(d, 40);
    step->latency_ns = -1;
    step->attempt = 1;
    /* Lists of live leases stay short: a crowd is sent home now and then. */
    if (p->model->lease_count > 40 && chance(d, 10))
        step->kind = STEP_DIE;
    draw_words(d, p, step);
    if (step->kind == STEP_ACQUIRE || step->kind == STEP_RETRY)
        d->given[d->given_count++ % (sizeof d->given / sizeof d->given[0])] =
            serial;
}
