/* SPDX-License-Identifier: Apache-2.0
 *
 * One step at a time, first the core and then the model. */
#include "tests/model/play.h"
#include "tests/model/mirror.h"
#include "tests/model/verbs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct bk_limits limits = {.services = NAME_SERVICES,
                                        .leases = MODEL_LEASES,
                                        .policies = NAME_SERVICES + 4,
                                        .routes = NAME_ROUTES};

static bool
find_policy(void *context, const char *name, struct bk_policy *out)
{
    const struct play *p = context;
    for (size_t i = 0; i < NAME_SERVICES; i++) {
        if (strcmp(step_name(i), name) != 0)
            continue;
        *out = p->policies[i];
        return (p->configured >> i & 1) != 0;
    }
    bk_policy_defaults(out);
    return false;
}

static void
find_model_policy(void *context, const char *name, struct bk_policy *out)
{
    find_policy(context, name, out);
}

static int64_t
see_open_end(void *context, const char *name)
{
    const struct play *p = context;
    uint32_t slot = bk_fleet_find(p->fleet, name, strlen(name));
    return slot == BK_NO_SLOT
               ? 0
               : bk_fleet_service(p->fleet, slot)->breaker.open_until_ns;
}

bool
play_open(struct play *p)
{
    *p = (struct play){0};
    p->model = malloc(sizeof *p->model);
    for (size_t i = 0; i < 2; i++)
        p->memory[i] = malloc(bk_fleet_bytes(&limits));
    bool has_segment = mirror_open(p, &limits);
    if (has_segment && p->model != NULL && p->memory[0] != NULL &&
        p->memory[1] != NULL)
        return true;
    play_close(p);
    return false;
}

void
play_close(struct play *p)
{
    free(p->model);
    free(p->memory[0]);
    free(p->memory[1]);
    mirror_close(p);
    p->model = NULL;
    p->memory[0] = NULL;
    p->memory[1] = NULL;
}

static void
print_specs(const struct play *p)
{
    static const struct spec plain;
    for (size_t i = 0; i < NAME_SERVICES; i++) {
        if (memcmp(&p->specs[i], &plain, sizeof plain) == 0)
            continue;
        fprintf(p->log, "service %s", step_name(i));
        for (size_t k = 0; k < SPEC_KEYS; k++)
            if (p->specs[i].value[k] > 0)
                fprintf(p->log, " %s=%s", spec_key(k),
                        spec_text(k, p->specs[i].value[k]));
        fputc('\n', p->log);
    }
}

void
play_start(struct play *p, const struct stream *stream)
{
    memcpy(p->specs, stream->specs, sizeof p->specs);
    for (size_t i = 0; i < NAME_SERVICES; i++)
        spec_policy(&p->specs[i], &p->policies[i]);
    memset(p->gifts, 0, sizeof p->gifts);
    p->limits.services = stream->capacity;
    p->configured = stream->configured;
    p->note_count = 0;
    p->full_ns = stream->start_ns;
    p->has_fault = false;
    p->is_exact = stream->is_exact;
    p->now_ns = stream->start_ns;
    p->in_use = 0;
    memset(p->memory[0], 0, bk_fleet_bytes(&limits));
    p->fleet =
        bk_fleet_init(p->memory[0], &p->limits, find_policy, p, stream->seed);
    mirror_format(p);
    model_init(p->model, stream->capacity, see_open_end, find_model_policy, p);
    model_pass(p->model, p->now_ns);
    play_advance(p);
    if (p->log != NULL)
        print_specs(p);
    play_step(p, &stream->routes);
}

struct bk_fleet *
play_successor(struct play *p)
{
    p->in_use = 1 - p->in_use;
    memset(p->memory[p->in_use], 0, bk_fleet_bytes(&limits));
    return bk_fleet_init(p->memory[p->in_use], &p->limits, find_policy, p,
                         (uint64_t)p->now_ns + 1);
}

void
play_advance(struct play *p)
{
    /* Each turn takes what the outbox holds, so a few are enough. */
    bool is_done = false;
    for (size_t turn = 0; turn < MODEL_NOTES && !is_done; turn++) {
        is_done = bk_fleet_advance(p->fleet, p->now_ns);
        play_take_notes(p);
    }
    mirror_sync(p);
    p->is_settled = true;
    if (!is_done)
        play_fault(p, "fleet", "time does not pass", 1, 0);
}

/* Lets time pass on both sides; where chance plays a part, from one instant at
 * which something happens to the next. */
static void
pass_time(struct play *p, const struct step *step)
{
    while (!p->is_exact && !p->has_fault) {
        int64_t due_ns = model_deadline(p->model);
        if (due_ns > step->at_ns)
            break;
        p->now_ns = due_ns;
        bk_fleet_advance(p->fleet, due_ns);
        model_pass(p->model, due_ns);
        play_advance(p);
        play_compare_all(p);
    }
    p->is_settled = p->is_settled && p->now_ns == step->at_ns;
    p->now_ns = step->at_ns;
    model_pass(p->model, step->at_ns);
    if (!p->is_exact || !step->is_lazy)
        play_advance(p);
}

static void
print_fault(const struct play *p)
{
    if (p->log != NULL && p->has_fault)
        fprintf(p->log, "\n    !! %s", p->fault);
    if (p->log != NULL)
        fputc('\n', p->log);
}

bool
play_step(struct play *p, const struct step *step)
{
    if (p->log != NULL)
        step_print(step, p->log);
    p->seen.kinds[step->kind]++;
    pass_time(p, step);
    const char *touched = NULL;
    if (!p->has_fault)
        touched = verb_carry_out(p, step);
    if (!p->has_fault)
        play_take_notes(p);
    mirror_sync(p);
    if (!p->has_fault && touched != NULL)
        play_compare(p, touched);
    if (!p->has_fault && step->looks_around) {
        play_advance(p);
        play_compare_all(p);
    }
    print_fault(p);
    return !p->has_fault;
}
