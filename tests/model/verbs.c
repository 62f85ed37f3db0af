/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/verbs.h"
#include "tests/model/room.h"

#include <inttypes.h>
#include <string.h>

/* The instant the core is told. An earlier one than the latest it has seen must
 * make no difference. */
static int64_t
told(const struct play *p, const struct step *step)
{
    bool may_lag = !step->is_lazy && step->late_ns < p->now_ns;
    return may_lag ? p->now_ns - step->late_ns : p->now_ns;
}

static uint64_t
find_id(const struct play *p, const struct step *step)
{
    if (step->id == ID_OF_STEP)
        return p->gifts[step->id_step].id;
    return step->id == ID_UNISSUED ? p->model->next_id + step->count : 0;
}

static bool
agree_on_error(struct play *p, const char *where, enum bk_error core,
               enum bk_error model)
{
    p->seen.errors[core]++;
    if (p->log != NULL && core != BK_OK)
        fprintf(p->log, " -> %s", bk_error_name(core));
    if (core != model)
        play_fault(p, where, "error", core, model);
    if (core == BK_ERR_TABLE_FULL)
        room_check_full(p);
    return core == BK_OK && core == model;
}

static void
agree(struct play *p, const char *where, const char *what, uint64_t core,
      uint64_t model)
{
    if (core != model)
        play_fault(p, where, what, core, model);
}

static void
agree_on_word(struct play *p, const char *what, const char *core,
              const char *model)
{
    if (p->log != NULL)
        fprintf(p->log, " -> %s", core);
    if (strcmp(core, model) == 0 || p->has_fault)
        return;
    p->has_fault = true;
    snprintf(p->fault, sizeof p->fault, "answer: %s: core %s, model %s", what,
             core, model);
}

static const char *
acquire(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    struct bk_acquire ask = {.name = name,
                             .name_len = strlen(name),
                             .attempt = step->attempt,
                             .token = find_id(p, step),
                             .ttl_ns = step->ttl_ns,
                             .caller = {.pid = step->pid}};
    struct bk_acquired core = {0};
    struct bk_acquired model = {0};
    enum bk_error error =
        bk_fleet_acquire(p->fleet, told(p, step), &ask, &core);
    room_follow(p);
    if (!agree_on_error(p, name, error,
                        model_acquire(p->model, p->now_ns, &ask, &model)))
        return NULL;
    agree_on_word(p, "denied for", bk_deny_name(core.deny),
                  bk_deny_name(model.deny));
    agree(p, name, "is allowed", core.is_allowed, model.is_allowed);
    agree_on_word(p, "names", core.name, model.name);
    p->seen.denies[core.deny]++;
    const struct model_route *route = model_find_route(p->model, name);
    if (!core.is_allowed) {
        agree(p, name, "retry_after_ms", core.retry_after_ms,
              model.retry_after_ms);
        return route != NULL ? route->members[0] : name;
    }
    agree(p, name, "permit", core.permit, model.permit);
    agree(p, name, "generation", core.generation, model.generation);
    agree(p, name, "state", core.state, model.state);
    p->gifts[step->serial] = (struct play_gift){core.permit, core.generation};
    return core.name;
}

static void
speak_of_generation(const struct play *p, const struct step *step,
                    struct bk_report *r)
{
    const struct model_service *s = model_find(p->model, r->name);
    uint64_t now = s == NULL ? 0 : s->generation;
    switch (step->generation) {
    case GEN_DASH:
        r->is_current = true;
        break;
    case GEN_OF_STEP:
        r->generation = p->gifts[step->id_step].generation;
        break;
    case GEN_NOW:
        r->generation = now;
        break;
    case GEN_BEFORE:
        r->generation = now > 0 ? now - 1 : 0;
        break;
    case GEN_NEXT:
        r->generation = now + 1;
        break;
    case GEN_ZERO:
    case GEN_CHOICES:
        break;
    }
}

static const char *
report(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    struct bk_report r = {.name = name,
                          .name_len = strlen(name),
                          .permit = find_id(p, step),
                          .outcome = step->outcome,
                          .latency_ns = step->latency_ns,
                          .attempt = step->attempt,
                          .will_retry = step->flag,
                          .retry_after_ns = step->retry_after_ns,
                          .caller = {.pid = step->pid}};
    speak_of_generation(p, step, &r);
    enum bk_applied core = BK_UNKNOWN;
    enum bk_applied model = BK_UNKNOWN;
    enum bk_error error = bk_fleet_report(p->fleet, told(p, step), &r, &core);
    room_follow(p);
    if (!agree_on_error(p, name, error,
                        model_report(p->model, p->now_ns, &r, &model)))
        return NULL;
    agree_on_word(p, "report is", bk_applied_name(core),
                  bk_applied_name(model));
    p->seen.applied[core]++;
    return core == BK_UNKNOWN ? NULL : name;
}

static const char *
retry(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    struct bk_retry ask = {.name = name,
                           .name_len = strlen(name),
                           .failed_attempt = step->attempt,
                           .outcome = step->outcome,
                           .retry_after_ns = step->retry_after_ns,
                           .caller = {.pid = step->pid}};
    struct bk_granted core = {0};
    struct bk_granted model = {0};
    enum bk_error error = bk_fleet_retry(p->fleet, told(p, step), &ask, &core);
    room_follow(p);
    if (!agree_on_error(p, name, error,
                        model_retry(p->model, p->now_ns, &ask, &core, &model)))
        return NULL;
    agree_on_word(p, "retry denied for", bk_deny_name(core.deny),
                  bk_deny_name(model.deny));
    p->seen.retry_denies[core.deny]++;
    agree(p, name, "is granted", core.is_granted, model.is_granted);
    agree(p, name, "retry_after_ms", core.retry_after_ms, model.retry_after_ms);
    agree(p, name, "token", core.token, model.token);
    if (core.is_granted)
        agree(p, name, "delay", (uint64_t)core.delay_ns,
              (uint64_t)model.delay_ns);
    p->gifts[step->serial] = (struct play_gift){core.token, 0};
    return name;
}

static const char *
give_back(struct play *p, const struct step *step)
{
    uint64_t id = find_id(p, step);
    const struct model_lease *lease = model_lease(p->model, id);
    const char *name =
        lease == NULL ? NULL : p->model->services[lease->service].name;
    bool renews = step->kind == STEP_RENEW;
    enum bk_applied core =
        renews ? bk_fleet_renew(p->fleet, told(p, step), id, step->ttl_ns)
               : bk_fleet_release(p->fleet, told(p, step), id);
    enum bk_applied model =
        renews ? model_renew(p->model, p->now_ns, id, step->ttl_ns)
               : model_release(p->model, p->now_ns, id);
    agree_on_word(p, step_name(step->name), bk_applied_name(core),
                  bk_applied_name(model));
    return name;
}

static const char *
tally(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    enum bk_error core =
        bk_fleet_tally(p->fleet, told(p, step), name, strlen(name), step->flag,
                       step->count, step->deny);
    enum bk_error model = model_tally(p->model, p->now_ns, name, step->flag,
                                      step->count, step->deny);
    return agree_on_error(p, name, core, model) ? name : NULL;
}

static const char *
health(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    struct bk_health h = {.name = name,
                          .name_len = strlen(name),
                          .outcome = step->outcome,
                          .latency_ns = step->latency_ns};
    enum bk_error core = bk_fleet_health(p->fleet, told(p, step), &h);
    enum bk_error model = model_health(p->model, p->now_ns, &h);
    return agree_on_error(p, name, core, model) ? name : NULL;
}

static const char *
die(struct play *p, const struct step *step)
{
    bool is_done = false;
    model_process_died(p->model, p->now_ns, step->pid);
    for (size_t turn = 0; turn < MODEL_LEASES && !is_done; turn++) {
        is_done = bk_fleet_process_died(p->fleet, told(p, step), step->pid);
        play_take_notes(p);
    }
    if (!is_done)
        play_fault(p, "fleet", "a process does not end", 1, 0);
    return NULL;
}

static const char *
order(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    struct bk_order o = {.name = name,
                         .name_len = strlen(name),
                         .mode = step->mode,
                         .duration_ns = step->duration_ns,
                         .actor = "0:0:1"};
    bool core = false;
    bool model = false;
    uint32_t slot = BK_NO_SLOT;
    enum bk_error error =
        bk_fleet_order(p->fleet, told(p, step), &o, &slot, &core);
    room_follow(p);
    if (!agree_on_error(p, name, error,
                        model_order(p->model, p->now_ns, &o, &model)))
        return NULL;
    agree(p, name, "order's slot", slot,
          bk_fleet_find(p->fleet, name, strlen(name)));
    if (step->mode == BK_AUTO)
        agree(p, name, "was overridden", core, model);
    return name;
}

static const char *
reset(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    bool core = false;
    bool model = false;
    enum bk_error error = bk_fleet_reset(p->fleet, told(p, step), name,
                                         strlen(name), step->flag, &core);
    if (!agree_on_error(
            p, name, error,
            model_reset(p->model, p->now_ns, name, step->flag, &model)))
        return NULL;
    agree(p, name, "was overridden", core, model);
    return name;
}

/* A key of the configuration changes; the fleet is told when it knows the
 * service. */
static const char *
set(struct play *p, const struct step *step)
{
    if (step->name >= NAME_SERVICES)
        return NULL;
    const char *name = step_name(step->name);
    p->specs[step->name].value[step->key] = step->value;
    spec_policy(&p->specs[step->name], &p->policies[step->name]);
    uint32_t slot = bk_fleet_find(p->fleet, name, strlen(name));
    if (slot == BK_NO_SLOT)
        return NULL;
    enum bk_error error = bk_fleet_reconfigure(p->fleet, told(p, step), slot);
    model_reconfigure(p->model, p->now_ns, name);
    return agree_on_error(p, name, error, BK_OK) ? name : NULL;
}

static const char *
make(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    uint32_t slot = BK_NO_SLOT;
    bool is_new = model_find(p->model, name) == NULL;
    enum bk_error error =
        bk_fleet_make(p->fleet, told(p, step), name, strlen(name), &slot);
    room_follow(p);
    if (!agree_on_error(p, name, error, model_make(p->model, p->now_ns, name)))
        return NULL;
    agree(p, name, "slot", slot, bk_fleet_find(p->fleet, name, strlen(name)));
    return is_new ? name : NULL;
}

static const char *
set_routes(struct play *p, const struct step *step)
{
    struct bk_route routes[NAME_ROUTES] = {0};
    uint32_t count = 0;
    for (size_t r = 0; r < NAME_ROUTES; r++) {
        const char *name = step_name(NAME_SERVICES + r);
        struct bk_route *route = &routes[count];
        bk_copy_text(route->name, sizeof route->name, name, strlen(name));
        for (size_t i = 0;
             i < NAME_SERVICES && step->members[r][i] < NAME_COUNT; i++) {
            const char *member = step_name(step->members[r][i]);
            bk_copy_text(route->members[route->count++], BK_NAME_SIZE, member,
                         strlen(member));
        }
        count += route->count > 0;
    }
    if (!bk_fleet_set_routes(p->fleet, routes, count))
        play_fault(p, "routes", "are refused", 1, 0);
    model_set_routes(p->model, routes, count);
    return NULL;
}

static const char *
forget(struct play *p, const struct step *step)
{
    const char *name = step_name(step->name);
    /* The core is given no time here, so it must have heard of it before. */
    play_advance(p);
    enum bk_error core = bk_fleet_forget(p->fleet, name, strlen(name));
    enum bk_error model = model_forget(p->model, p->now_ns, name);
    if (!agree_on_error(p, name, core, model))
        return NULL;
    return name;
}

const char *
verb_carry_out(struct play *p, const struct step *step)
{
    switch (step->kind) {
    case STEP_ACQUIRE:
        return acquire(p, step);
    case STEP_REPORT:
        return report(p, step);
    case STEP_RETRY:
        return retry(p, step);
    case STEP_RELEASE:
    case STEP_RENEW:
        return give_back(p, step);
    case STEP_TALLY:
        return tally(p, step);
    case STEP_HEALTH:
        return health(p, step);
    case STEP_DIE:
        return die(p, step);
    case STEP_ORDER:
        return order(p, step);
    case STEP_RESET:
        return reset(p, step);
    case STEP_SET:
        return set(p, step);
    case STEP_MAKE:
        return make(p, step);
    case STEP_ROUTES:
        return set_routes(p, step);
    case STEP_FORGET:
        return forget(p, step);
    case STEP_LOSE_SEGMENT:
        survive_loss(p);
        break;
    case STEP_ADOPT:
        survive_crash(p);
        break;
    case STEP_PASS:
    case STEP_KIND_COUNT:
        break;
    }
    return NULL;
}
