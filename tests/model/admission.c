/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking: may this call, may this retry be made? */
#include "tests/model/machine.h"

#include <string.h>

struct refusal {
    enum bk_deny reason; /* BK_DENY_NONE: none */
    int64_t wait_ns;     /* 0: unknown */
};

static struct refusal
refuse(enum bk_deny reason, int64_t wait_ns)
{
    return (struct refusal){.reason = reason, .wait_ns = wait_ns};
}

static bool
is_member(const struct model_route *route, const char *name)
{
    for (size_t i = 0; i < route->count; i++)
        if (strcmp(route->members[i], name) == 0)
            return true;
    return false;
}

/* The live token of this ask if it serves `s`: its own service, and the others
 * of every route that has both. */
static struct model_lease *
find_token(struct model *m, const struct model_service *s,
           const struct bk_acquire *ask)
{
    struct model_lease *token = model_lease(m, ask->token);
    if (ask->attempt <= 1 || token == NULL || !token->is_token)
        return NULL;
    const char *owner = m->services[token->service].name;
    if (strcmp(owner, s->name) == 0)
        return token;
    for (size_t i = 0; i < m->route_count; i++)
        if (is_member(&m->routes[i], owner) &&
            is_member(&m->routes[i], s->name))
            return token;
    return NULL;
}

static uint32_t
probe_limit(const struct bk_policy *p)
{
    return p->max_concurrent > 0 && p->max_concurrent < p->half_open_max_calls
               ? p->max_concurrent
               : p->half_open_max_calls;
}

static int64_t
first_lease_end(const struct model *m, uint32_t service)
{
    int64_t first_ns = BK_NEVER;
    for (size_t i = 0; i < m->lease_count; i++)
        if (m->leases[i].service == service && !m->leases[i].is_token &&
            m->leases[i].deadline_ns < first_ns)
            first_ns = m->leases[i].deadline_ns;
    return first_ns;
}

static struct refusal
check_state(const struct model *m, const struct model_service *s,
            int64_t now_ns)
{
    if (s->state == BK_OPEN)
        return refuse(BK_DENY_OPEN, model_wait(s, now_ns));
    uint32_t index = model_index(m, s);
    if (s->state == BK_CLOSED ||
        model_permits_out(m, index) < probe_limit(&s->policy))
        return refuse(BK_DENY_NONE, 0);
    int64_t wait_ns = first_lease_end(m, index) - now_ns;
    return refuse(BK_DENY_HALF_OPEN,
                  wait_ns < BK_NS_PER_S ? wait_ns : BK_NS_PER_S);
}

/* Rule 7; the arrival is in the counts already. */
static struct refusal
check_ramp(const struct model_service *s, int64_t now_ns)
{
    const struct model_ramp *r = &s->ramp;
    if (r->step == 0 || r->admitted == 0 ||
        (r->admitted + 1) * 10 <= r->step * r->arrivals)
        return refuse(BK_DENY_NONE, 0);
    int64_t left_ns = r->since_ns + r->length_ns - now_ns;
    return refuse(BK_DENY_RAMP, left_ns > 0 ? left_ns : 0);
}

/* Rule 8, up to the ramp: the first check that fails is the reason. */
static struct refusal
check_before_ramp(struct model *m, const struct model_service *s,
                  int64_t now_ns, const struct bk_acquire *ask)
{
    enum bk_mode mode = model_mode(s);
    if (mode == BK_FORCED_OPEN)
        return refuse(BK_DENY_FORCED_OPEN, model_wait(s, now_ns));
    if (s->hold_end_ns > now_ns)
        return refuse(BK_DENY_RATE_LIMITED, model_wait(s, now_ns));
    const struct model_service *other = model_find(m, s->policy.requires_name);
    if (other != NULL && other->state == BK_OPEN)
        return refuse(BK_DENY_REQUIRES, model_wait(other, now_ns));
    struct refusal refusal = check_state(m, s, now_ns);
    if (refusal.reason != BK_DENY_NONE)
        return refusal;
    if (ask->attempt > 1 && mode != BK_OBSERVE && !find_token(m, s, ask))
        return refuse(BK_DENY_BUDGET, 0);
    if (s->state == BK_CLOSED && s->policy.max_concurrent > 0 &&
        model_permits_out(m, model_index(m, s)) >= s->policy.max_concurrent)
        return refuse(BK_DENY_CONCURRENCY, 0);
    return refuse(BK_DENY_NONE, 0);
}

static struct refusal
check(struct model *m, struct model_service *s, int64_t now_ns,
      const struct bk_acquire *ask)
{
    enum bk_mode mode = model_mode(s);
    if (mode == BK_BYPASS)
        return refuse(BK_DENY_NONE, 0);
    struct refusal refusal = check_before_ramp(m, s, now_ns, ask);
    bool has_passed = refusal.reason == BK_DENY_NONE;
    /* What only observe lets through arrives as well. */
    if (s->ramp.step == 0 || (!has_passed && mode != BK_OBSERVE))
        return refusal;
    s->ramp.arrivals++;
    if (!has_passed)
        return refusal;
    refusal = check_ramp(s, now_ns);
    if (refusal.reason == BK_DENY_NONE)
        s->ramp.admitted++;
    return refusal;
}

struct model_outlook
model_look(struct model *m, const struct model_service *s, int64_t now_ns)
{
    struct bk_acquire ask = {.attempt = 1};
    enum bk_mode mode = model_mode(s);
    struct model_outlook outlook = {.is_plain = true};
    if (mode == BK_BYPASS)
        return outlook;
    struct refusal refusal = check_before_ramp(m, s, now_ns, &ask);
    outlook.is_plain = refusal.reason == BK_DENY_NONE &&
                       s->state == BK_CLOSED && s->ramp.step == 0 &&
                       s->policy.max_concurrent == 0;
    if (mode == BK_OBSERVE)
        return outlook;
    outlook.reason = refusal.reason;
    outlook.end_ns = refusal.wait_ns > 0 ? now_ns + refusal.wait_ns : BK_NEVER;
    return outlook;
}

static uint64_t
lease_call(struct model *m, const struct model_service *s, int64_t now_ns,
           const struct bk_acquire *ask)
{
    int64_t ttl_ns = s->policy.permit_ttl_ns;
    if (ask->ttl_ns > 0)
        ttl_ns = ask->ttl_ns < s->policy.max_permit_ttl_ns
                     ? ask->ttl_ns
                     : s->policy.max_permit_ttl_ns;
    m->leases[m->lease_count++] =
        (struct model_lease){.id = m->next_id++,
                             .service = model_index(m, s),
                             .pid = ask->caller.pid,
                             .deadline_ns = now_ns + ttl_ns,
                             .ramp_run = s->ramp.run};
    return m->leases[m->lease_count - 1].id;
}

static void
admit(struct model *m, struct model_service *s, int64_t now_ns,
      const struct bk_acquire *ask, enum bk_deny would_deny,
      struct bk_acquired *answer)
{
    s->counters.allowed++;
    s->counters.would_deny += would_deny != BK_DENY_NONE;
    if (would_deny != BK_DENY_NONE)
        s->stats.would_reject[would_deny]++;
    struct model_lease *token = find_token(m, s, ask);
    if (token != NULL)
        machine_remove_lease(m, (size_t)(token - m->leases));
    bool is_leased = would_deny == BK_DENY_NONE && model_mode(s) != BK_BYPASS &&
                     (s->state == BK_HALF_OPEN || s->policy.max_concurrent > 0);
    *answer = (struct bk_acquired){.is_allowed = true,
                                   .name = s->name,
                                   .generation = s->generation,
                                   .state = s->state};
    if (is_leased)
        answer->permit = lease_call(m, s, now_ns, ask);
}

/* Asks the members one by one; the first that admits is chosen. A member for
 * which there is no room is passed over, unless there is no other. */
static enum bk_error
ask_each(struct model *m, int64_t now_ns, const char *const *names,
         size_t count, const struct bk_acquire *ask, struct bk_acquired *answer)
{
    struct model_service *asked[BK_ROUTE_MEMBERS];
    enum bk_deny reasons[BK_ROUTE_MEMBERS];
    size_t asked_count = 0;
    struct refusal best = {0};
    for (size_t i = 0; i < count; i++) {
        struct model_service *s = machine_make(m, now_ns, names[i]);
        if (s == NULL)
            continue;
        s->used_ns = now_ns;
        struct refusal r = check(m, s, now_ns, ask);
        if (r.reason == BK_DENY_NONE || model_mode(s) == BK_OBSERVE) {
            admit(m, s, now_ns, ask, r.reason, answer);
            return BK_OK;
        }
        if (asked_count == 0 ||
            (r.wait_ns > 0 && (best.wait_ns == 0 || r.wait_ns < best.wait_ns)))
            best = r;
        reasons[asked_count] = r.reason;
        asked[asked_count++] = s;
    }
    if (asked_count == 0)
        return machine_refusal(m, names[0]);
    for (size_t i = 0; i < asked_count; i++) {
        asked[i]->counters.denied++;
        asked[i]->stats.rejected[reasons[i]]++;
    }
    *answer = (struct bk_acquired){.deny = best.reason,
                                   .retry_after_ms = bk_ms_up(best.wait_ns)};
    return BK_OK;
}

enum bk_error
model_acquire(struct model *m, int64_t now_ns, const struct bk_acquire *ask,
              struct bk_acquired *answer)
{
    model_pass(m, now_ns);
    if (ask->name_len >= BK_NAME_SIZE)
        return BK_ERR_BAD_SERVICE;
    char name[BK_NAME_SIZE];
    bk_copy_text(name, sizeof name, ask->name, ask->name_len);
    const char *names[BK_ROUTE_MEMBERS] = {name};
    size_t count = 1;
    const struct model_route *route = model_find_route(m, name);
    for (size_t i = 0; route != NULL && i < route->count; i++)
        names[i] = route->members[i];
    if (route != NULL)
        count = route->count;
    enum bk_error error = ask_each(m, now_ns, names, count, ask, answer);
    if (error == BK_OK && !answer->is_allowed)
        answer->name = ask->name;
    return error;
}

/* Before jitter, give or take the rounding of a multiplier with a fraction. */
struct delay {
    int64_t low_ns;
    int64_t high_ns;
};

static struct delay
find_delay(const struct bk_policy *p, const struct bk_retry *ask)
{
    /* The upstream's own wish is taken exactly. */
    struct delay d = {ask->retry_after_ns, ask->retry_after_ns};
    bool is_limited = ask->outcome == BK_RATE_LIMITED;
    if (d.low_ns == 0)
        ledger_grow(is_limited ? p->rate_limit_base_delay_ns : p->base_delay_ns,
                    p->multiplier_ppm, ask->failed_attempt - 1,
                    is_limited ? p->rate_limit_max_delay_ns : p->max_delay_ns,
                    &d.low_ns, &d.high_ns);
    return d;
}

/* Everything jitter may make of it. */
static struct delay
spread(const struct bk_policy *p, const struct bk_retry *ask, struct delay d)
{
    if (ask->retry_after_ns == 0 && p->jitter == BK_JITTER_FULL)
        d.low_ns = 0;
    if (ask->retry_after_ns == 0 && p->jitter == BK_JITTER_EQUAL)
        d.low_ns /= 2;
    return d;
}

static struct refusal
check_machine(const struct model_service *s, int64_t now_ns, int64_t delay_ns)
{
    enum bk_mode mode = model_mode(s);
    if (mode == BK_BYPASS || mode == BK_OBSERVE)
        return refuse(BK_DENY_NONE, 0);
    if (s->hold_end_ns - now_ns > delay_ns)
        return refuse(BK_DENY_RATE_LIMITED, model_wait(s, now_ns));
    int64_t end_ns =
        mode == BK_FORCED_OPEN ? s->override_end_ns : s->open_end_ns;
    if (s->state == BK_OPEN && end_ns - now_ns > delay_ns)
        return refuse(BK_DENY_OPEN, model_wait(s, now_ns));
    return refuse(BK_DENY_NONE, 0);
}

/* Checks 1 to 4 of rule 10. The fourth is about the delay after jitter: where
 * that is a matter of luck, the luck is the one observed. */
static enum bk_deny
check_ask(const struct bk_policy *p, const struct bk_retry *ask,
          struct delay delay, const struct bk_granted *observed)
{
    if (p->retries == 0)
        return BK_DENY_OFF;
    if ((p->retry_on >> (unsigned)ask->outcome & 1) == 0)
        return BK_DENY_NOT_RETRYABLE;
    if (ask->failed_attempt >= (ask->outcome == BK_RATE_LIMITED
                                    ? p->rate_limit_max_attempts
                                    : p->max_attempts))
        return BK_DENY_MAX_ATTEMPTS;
    if (delay.low_ns > p->max_elapsed_ns)
        return BK_DENY_MAX_ELAPSED;
    if (delay.high_ns > p->max_elapsed_ns &&
        observed->deny == BK_DENY_MAX_ELAPSED)
        return BK_DENY_MAX_ELAPSED;
    return BK_DENY_NONE;
}

static struct refusal
check_retry(const struct model_service *s, int64_t now_ns,
            const struct bk_retry *ask, const struct bk_granted *observed)
{
    struct delay d = find_delay(&s->policy, ask);
    enum bk_deny reason =
        check_ask(&s->policy, ask, spread(&s->policy, ask, d), observed);
    if (reason != BK_DENY_NONE)
        return refuse(reason, 0);
    struct refusal refusal = check_machine(s, now_ns, d.low_ns);
    if (refusal.reason != BK_DENY_NONE)
        return refusal;
    if (ledger_balance(s, now_ns) < (int64_t)BK_PPM)
        return refuse(BK_DENY_BUDGET, 0);
    return refuse(BK_DENY_NONE, 0);
}

/* The delay the implementation chose, when the rules permit it. */
static int64_t
believe(const struct bk_policy *p, const struct bk_retry *ask,
        int64_t observed_ns)
{
    struct delay d = spread(p, ask, find_delay(p, ask));
    if (d.high_ns > p->max_elapsed_ns)
        d.high_ns = p->max_elapsed_ns;
    return observed_ns >= d.low_ns && observed_ns <= d.high_ns ? observed_ns
                                                               : d.high_ns;
}

static void
grant(struct model *m, struct model_service *s, int64_t now_ns,
      const struct bk_retry *ask, struct bk_granted *answer)
{
    answer->token = m->next_id++;
    s->budget.granted++;
    ledger_withdraw(s, now_ns, answer->token);
    m->leases[m->lease_count++] = (struct model_lease){
        .id = answer->token,
        .service = model_index(m, s),
        .is_token = true,
        .pid = ask->caller.pid,
        .deadline_ns = now_ns + answer->delay_ns + s->policy.permit_ttl_ns};
}

enum bk_error
model_retry(struct model *m, int64_t now_ns, const struct bk_retry *ask,
            const struct bk_granted *observed, struct bk_granted *answer)
{
    model_pass(m, now_ns);
    if (ask->name_len >= BK_NAME_SIZE)
        return BK_ERR_BAD_SERVICE;
    char name[BK_NAME_SIZE];
    bk_copy_text(name, sizeof name, ask->name, ask->name_len);
    struct model_service *s = machine_make(m, now_ns, name);
    if (s == NULL)
        return machine_refusal(m, name);
    s->used_ns = now_ns;
    struct refusal refusal = check_retry(s, now_ns, ask, observed);
    if (refusal.reason == BK_DENY_BUDGET)
        s->budget.denied++;
    *answer = (struct bk_granted){.is_granted = refusal.reason == BK_DENY_NONE,
                                  .deny = refusal.reason,
                                  .retry_after_ms = bk_ms_up(refusal.wait_ns)};
    if (!answer->is_granted) {
        s->stats.retry_denied[refusal.reason]++;
        return BK_OK;
    }
    answer->delay_ns = believe(&s->policy, ask, observed->delay_ns);
    s->stats.retry_granted[ask->outcome]++;
    s->stats.retry_delay_us[ask->outcome] += (uint64_t)answer->delay_ns / 1000;
    grant(m, s, now_ns, ask, answer);
    return BK_OK;
}
