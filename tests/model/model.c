/* SPDX-License-Identifier: Apache-2.0
 *
 * The model's services and what happens to them by itself: every deadline takes
 * effect at its own instant, one after the other. */
#include "tests/model/model.h"
#include "tests/model/machine.h"

#include <assert.h>
#include <string.h>

void
model_init(struct model *m, size_t capacity, model_observer *observer,
           model_policy_source *source, void *context)
{
    for (size_t i = 0; i < MODEL_SERVICES; i++)
        m->services[i].is_here = false;
    m->capacity = capacity;
    m->lease_count = 0;
    m->note_count = 0;
    m->route_count = 0;
    m->forgotten_count = 0;
    m->next_id = 1;
    m->next_run = 0;
    m->now_ns = 0;
    m->observer = observer;
    m->source = source;
    m->context = context;
}

struct model_service *
model_find(struct model *m, const char *name)
{
    for (size_t i = 0; i < MODEL_SERVICES; i++)
        if (m->services[i].is_here && strcmp(m->services[i].name, name) == 0)
            return &m->services[i];
    return NULL;
}

const struct model_route *
model_find_route(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->route_count; i++)
        if (strcmp(m->routes[i].name, name) == 0)
            return &m->routes[i];
    return NULL;
}

enum bk_mode
model_mode(const struct model_service *s)
{
    return s->has_override ? s->override_mode : (enum bk_mode)s->policy.mode;
}

uint32_t
model_index(const struct model *m, const struct model_service *s)
{
    return (uint32_t)(s - m->services);
}

uint32_t
model_permits_out(const struct model *m, uint32_t service)
{
    uint32_t out = 0;
    for (size_t i = 0; i < m->lease_count; i++)
        out += m->leases[i].service == service && !m->leases[i].is_token;
    return out;
}

struct model_lease *
model_lease(struct model *m, uint64_t id)
{
    for (size_t i = 0; i < m->lease_count; i++)
        if (m->leases[i].id == id)
            return &m->leases[i];
    return NULL;
}

int64_t
model_wait(const struct model_service *s, int64_t now_ns)
{
    int64_t end_ns = 0;
    if (model_mode(s) == BK_FORCED_OPEN)
        end_ns = s->override_end_ns;
    else if (s->state == BK_OPEN)
        end_ns = s->open_end_ns;
    if (end_ns == BK_NEVER)
        return 0;
    if (s->hold_end_ns > end_ns)
        end_ns = s->hold_end_ns;
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

/* What is due, in the order of one instant. */
enum due { DUE_OVERRIDE, DUE_OPEN, DUE_RAMP, DUE_LEASE, DUE_NOTHING };

struct deadline {
    int64_t at_ns;
    enum due due;
    size_t index; /* of the service or the lease */
};

/* Takes the earlier one; at one instant the one of lower rank, and of two leases
 * the one that was found first: they stand in the order of their ids. */
static void
take(struct deadline *best, int64_t at_ns, enum due due, size_t index)
{
    if (at_ns > best->at_ns || (at_ns == best->at_ns && due >= best->due))
        return;
    *best = (struct deadline){.at_ns = at_ns, .due = due, .index = index};
}

static struct deadline
find_deadline(const struct model *m)
{
    struct deadline best = {.at_ns = BK_NEVER, .due = DUE_NOTHING};
    for (size_t i = 0; i < MODEL_SERVICES; i++) {
        const struct model_service *s = &m->services[i];
        if (!s->is_here)
            continue;
        if (s->has_override && s->override_end_ns != BK_NEVER)
            take(&best, s->override_end_ns, DUE_OVERRIDE, i);
        if (s->state == BK_OPEN && model_mode(s) != BK_FORCED_OPEN)
            take(&best, s->open_end_ns, DUE_OPEN, i);
        if (s->ramp.step > 0 && s->ramp.has_success)
            take(&best, s->ramp.since_ns + s->ramp.length_ns, DUE_RAMP, i);
    }
    for (size_t i = 0; i < m->lease_count; i++)
        take(&best, m->leases[i].deadline_ns, DUE_LEASE, i);
    return best;
}

int64_t
model_deadline(const struct model *m)
{
    return find_deadline(m).at_ns;
}

/* An unused token gives its withdrawal back; an unreported permit counts as a
 * timeout of unknown latency. */
static void
reclaim(struct model *m, size_t index)
{
    struct model_lease lease = m->leases[index];
    struct model_service *s = &m->services[lease.service];
    machine_remove_lease(m, index);
    if (lease.is_token) {
        ledger_cancel(s, lease.id);
        return;
    }
    s->counters.timeout++;
    machine_witness(s, &(struct bk_evidence){.at_ns = lease.deadline_ns,
                                             .latency_ns = -1,
                                             .pid = lease.pid,
                                             .outcome = BK_TIMEOUT});
    machine_judge(m, s, lease.deadline_ns,
                  &(struct machine_verdict){.is_failure = true,
                                            .is_entered = true,
                                            .is_leased = true});
}

static void
end_override(struct model *m, struct model_service *s)
{
    enum bk_mode before = model_mode(s);
    s->has_override = false;
    machine_mode_changed(m, s, s->override_end_ns, before,
                         BK_CAUSE_OVERRIDE_EXPIRED);
}

static void
carry_out(struct model *m, const struct deadline *d)
{
    struct model_service *s = &m->services[d->index % MODEL_SERVICES];
    switch (d->due) {
    case DUE_OVERRIDE:
        end_override(m, s);
        break;
    case DUE_OPEN:
        machine_change(m, s, d->at_ns, BK_HALF_OPEN, BK_CAUSE_RECOVERY_TIMEOUT);
        break;
    case DUE_RAMP:
        machine_end_step(m, s, d->at_ns);
        break;
    case DUE_LEASE:
        reclaim(m, d->index);
        break;
    case DUE_NOTHING:
        break;
    }
}

void
model_pass(struct model *m, int64_t now_ns)
{
    assert(now_ns >= m->now_ns);
    struct deadline due = find_deadline(m);
    /* Each lease ends once and each end causes at most two changes. */
    for (size_t guard = 0; due.at_ns <= now_ns; guard++) {
        assert(guard < (size_t)8 * (MODEL_LEASES + MODEL_SERVICES));
        carry_out(m, &due);
        due = find_deadline(m);
    }
    for (size_t i = 0; i < MODEL_SERVICES; i++)
        if (m->services[i].is_here && m->services[i].hold_end_ns <= now_ns)
            m->services[i].hold_end_ns = 0;
    m->now_ns = now_ns;
}
