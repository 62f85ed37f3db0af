/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators order, and what is left after the segment was lost. */
#include "tests/model/machine.h"

#include <string.h>

static void
empty_budget(struct model_service *s)
{
    s->budget.deposit_count = 0;
    s->budget.withdrawal_count = 0;
}

enum bk_error
model_order(struct model *m, int64_t now_ns, const struct bk_order *order,
            bool *was_override)
{
    model_pass(m, now_ns);
    if (order->name_len >= BK_NAME_SIZE)
        return BK_ERR_BAD_SERVICE;
    char name[BK_NAME_SIZE];
    bk_copy_text(name, sizeof name, order->name, order->name_len);
    struct model_service *s = model_find(m, name);
    if (s == NULL && order->mode == BK_AUTO)
        return bk_name_is_valid(name, strlen(name)) ? BK_ERR_UNKNOWN_SERVICE
                                                    : BK_ERR_BAD_SERVICE;
    s = machine_make(m, now_ns, name);
    if (s == NULL)
        return machine_refusal(m, name);
    enum bk_mode before = model_mode(s);
    *was_override = s->has_override;
    s->has_override = order->mode != BK_AUTO;
    s->override_mode = order->mode;
    s->override_end_ns =
        order->duration_ns == BK_NEVER ? BK_NEVER : now_ns + order->duration_ns;
    machine_mode_changed(m, s, now_ns, before, BK_CAUSE_OPERATOR);
    return BK_OK;
}

enum bk_error
model_reset(struct model *m, int64_t now_ns, const char *name,
            bool keeps_override, bool *was_override)
{
    model_pass(m, now_ns);
    struct model_service *s = model_find(m, name);
    if (s == NULL)
        return bk_name_is_valid(name, strlen(name)) ? BK_ERR_UNKNOWN_SERVICE
                                                    : BK_ERR_BAD_SERVICE;
    s->touched_ns = now_ns;
    *was_override = s->has_override;
    if (!keeps_override)
        s->has_override = false;
    /* A forced opening that stays in place keeps its state. */
    machine_change(m, s, now_ns,
                   model_mode(s) == BK_FORCED_OPEN ? BK_OPEN : BK_CLOSED,
                   BK_CAUSE_OPERATOR);
    machine_empty(s);
    s->ramp = (struct model_ramp){0};
    s->hold_end_ns = 0;
    s->budget.withdrawal_count = 0;
    return BK_OK;
}

enum bk_error
model_make(struct model *m, int64_t now_ns, const char *name)
{
    model_pass(m, now_ns);
    return machine_make(m, now_ns, name) == NULL ? machine_refusal(m, name)
                                                 : BK_OK;
}

void
model_reconfigure(struct model *m, int64_t now_ns, const char *name)
{
    model_pass(m, now_ns);
    struct model_service *s = model_find(m, name);
    if (s == NULL)
        return;
    s->touched_ns = now_ns;
    enum bk_mode before = model_mode(s);
    struct bk_policy old = s->policy;
    m->source(m->context, name, &s->policy);
    if (s->policy.window_ns != old.window_ns ||
        s->policy.window_calls != old.window_calls)
        s->window.count = 0;
    if (s->policy.retry_ttl_ns != old.retry_ttl_ns)
        empty_budget(s);
    if (s->policy.ramp_ns == 0)
        s->ramp = (struct model_ramp){0};
    machine_mode_changed(m, s, now_ns, before, BK_CAUSE_OPERATOR);
}

enum bk_error
model_forget(struct model *m, int64_t now_ns, const char *name)
{
    model_pass(m, now_ns);
    struct model_service *s = model_find(m, name);
    if (s == NULL)
        return bk_name_is_valid(name, strlen(name)) ? BK_ERR_UNKNOWN_SERVICE
                                                    : BK_ERR_BAD_SERVICE;
    struct model_past *past = m->forgotten;
    while (past < m->forgotten + m->forgotten_count &&
           strcmp(past->name, name) != 0)
        past++;
    if (past == m->forgotten + m->forgotten_count)
        m->forgotten_count++;
    bk_copy_text(past->name, sizeof past->name, name, strlen(name));
    past->generation = s->generation;
    machine_void(m, model_index(m, s), false);
    s->is_here = false;
    return BK_OK;
}

void
model_set_routes(struct model *m, const struct bk_route *routes, size_t count)
{
    m->route_count = count;
    for (size_t i = 0; i < count; i++) {
        struct model_route *r = &m->routes[i];
        bk_copy_text(r->name, sizeof r->name, routes[i].name,
                     strlen(routes[i].name));
        r->count = routes[i].count;
        memcpy(r->members, routes[i].members, sizeof r->members);
    }
}

/* Rule 13: state, remaining open time and hold, n, overrides, configuration and
 * counters come back; half-open comes back open and due. */
static void
restore(struct model_service *s, int64_t now_ns)
{
    if (s->state == BK_OPEN)
        s->open_ns += now_ns - s->open_since_ns;
    s->open_since_ns = now_ns;
    s->generation += BK_GENERATION_LEAP;
    s->changed_ns = now_ns;
    s->touched_ns = now_ns;
    s->consecutive = 0;
    s->unwell = 0;
    s->probe_successes = 0;
    s->ramp = (struct model_ramp){0};
    s->window.count = 0;
    empty_budget(s);
    s->budget.granted = 0;
    s->budget.denied = 0;
    s->evidence_count = 0;
    if (s->state == BK_HALF_OPEN) {
        s->state = BK_OPEN;
        s->cause = BK_CAUSE_RESTORED;
        s->open_end_ns = now_ns;
    }
}

void
model_lose_segment(struct model *m, int64_t now_ns, uint64_t next_id)
{
    model_pass(m, now_ns);
    m->lease_count = 0;
    m->next_id = next_id;
    for (size_t i = 0; i < MODEL_SERVICES; i++)
        if (m->services[i].is_here)
            restore(&m->services[i], now_ns);
}
