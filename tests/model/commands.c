/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers say about calls, permits and tokens. */
#include "tests/model/machine.h"

#include <string.h>

static const char *
as_name(char copy[BK_NAME_SIZE], const char *text, size_t len)
{
    /* A name too long to fit is invalid; so is what is left of it here. */
    copy[0] = '\0';
    if (len < BK_NAME_SIZE)
        bk_copy_text(copy, BK_NAME_SIZE, text, len);
    return copy;
}

/* A report of permit 0 makes the service it names, unless it speaks of a
 * generation that an unseen service cannot have. */
static enum bk_error
find_reported(struct model *m, int64_t now_ns, const struct bk_report *r,
              struct model_service **s)
{
    char copy[BK_NAME_SIZE];
    const char *name = as_name(copy, r->name, r->name_len);
    if (!bk_name_is_valid(name, strlen(name)) ||
        model_find_route(m, name) != NULL)
        return BK_ERR_BAD_SERVICE;
    *s = model_find(m, name);
    bool may_make = r->permit == 0 && (r->is_current || r->generation == 0);
    if (*s == NULL && may_make)
        if ((*s = machine_make(m, now_ns, name)) == NULL)
            return BK_ERR_TABLE_FULL;
    return BK_OK;
}

static void
count_outcome(struct bk_counters *c, enum bk_outcome outcome)
{
    switch (outcome) {
    case BK_SUCCESS:
        c->success++;
        break;
    case BK_FAILURE:
        c->failure++;
        break;
    case BK_TIMEOUT:
        c->timeout++;
        break;
    case BK_RATE_LIMITED:
        c->rate_limited++;
        break;
    case BK_REJECTED:
        c->rejected++;
        break;
    case BK_CRITICAL:
        c->critical++;
        break;
    case BK_CANCELLED:
        c->cancelled++;
        break;
    case BK_OUTCOME_COUNT:
        break;
    }
}

/* docs/metrics.md lists these. */
static void
count_duration(struct bk_stats *s, const struct bk_report *r)
{
    static const double seconds[] = {.005, .025, .1, .25, .5, 1,
                                     2.5,  5,    10, 20,  30, 60};
    size_t fits = 0;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        fits += (double)r->latency_ns / 1e9 <= seconds[i];
    s->duration[sizeof seconds / sizeof seconds[0] - fits]++;
    s->duration_us[r->outcome] += (uint64_t)r->latency_ns / 1000;
}

enum worth { NO_VERDICT, GOOD, BAD };

static bool
starts_hold(const struct model_service *s, const struct bk_report *r)
{
    return r->outcome == BK_RATE_LIMITED && r->retry_after_ns > 0 &&
           s->policy.on_rate_limit == BK_LIMIT_HOLD;
}

/* Rule 2, and rule 6 for what is rate limited. */
static enum worth
weigh(const struct model_service *s, const struct bk_report *r)
{
    switch (r->outcome) {
    case BK_SUCCESS:
    case BK_REJECTED:
        return GOOD;
    case BK_FAILURE:
    case BK_TIMEOUT:
        return BAD;
    case BK_CRITICAL:
        return s->policy.on_critical == BK_CRITICAL_IGNORE ? NO_VERDICT : BAD;
    case BK_RATE_LIMITED:
        return s->policy.on_rate_limit == BK_LIMIT_IGNORE || starts_hold(s, r)
                   ? NO_VERDICT
                   : BAD;
    case BK_CANCELLED:
    case BK_OUTCOME_COUNT:
        break;
    }
    return NO_VERDICT;
}

static bool
is_slow(const struct bk_policy *p, int64_t latency_ns)
{
    return p->slow_call_duration_ns > 0 &&
           latency_ns > p->slow_call_duration_ns;
}

static void
judge(struct model *m, struct model_service *s, int64_t now_ns,
      const struct bk_report *r, const struct model_lease *lease)
{
    enum worth worth = weigh(s, r);
    if (worth == NO_VERDICT)
        return;
    bool is_of_call = s->policy.count == BK_COUNT_CALL && r->will_retry;
    struct machine_verdict v = {.is_failure = worth == BAD,
                                .is_slow = is_slow(&s->policy, r->latency_ns),
                                .is_critical_trip =
                                    r->outcome == BK_CRITICAL &&
                                    s->policy.on_critical == BK_CRITICAL_TRIP,
                                .is_entered = !is_of_call,
                                .is_leased = lease->id != 0,
                                .ramp_run = lease->ramp_run};
    if (v.is_failure &&
        (v.is_entered || v.is_critical_trip || s->state == BK_HALF_OPEN))
        machine_witness(s, &(struct bk_evidence){.at_ns = now_ns,
                                                 .latency_ns = r->latency_ns,
                                                 .pid = r->caller.pid,
                                                 .outcome = r->outcome});
    machine_judge(m, s, now_ns, &v);
}

/* Takes the report's live permit out of the table; its id is 0 when there is
 * none that belongs to this service and generation. */
static struct model_lease
settle(struct model *m, const struct model_service *s,
       const struct bk_report *r)
{
    struct model_lease none = {0};
    struct model_lease *lease = model_lease(m, r->permit);
    if (lease == NULL || lease->is_token ||
        lease->service != model_index(m, s) ||
        (!r->is_current && r->generation != s->generation))
        return none;
    struct model_lease live = *lease;
    machine_remove_lease(m, (size_t)(lease - m->leases));
    return live;
}

static bool
is_stale(const struct model_service *s, const struct bk_report *r,
         const struct model_lease *lease)
{
    if (s->state == BK_OPEN)
        return true;
    if (!r->is_current && r->generation != s->generation)
        return true;
    return lease->id == 0 && (r->permit != 0 || s->state == BK_HALF_OPEN);
}

static enum bk_applied
hear(struct model *m, struct model_service *s, int64_t now_ns,
     const struct bk_report *r)
{
    if (r->attempt <= 1 && r->outcome != BK_CANCELLED)
        ledger_deposit(s, now_ns);
    if (starts_hold(s, r) && model_mode(s) != BK_BYPASS) {
        int64_t wait_ns = r->retry_after_ns < s->policy.max_hold_ns
                              ? r->retry_after_ns
                              : s->policy.max_hold_ns;
        if (wait_ns > 0 && now_ns + wait_ns > s->hold_end_ns)
            s->hold_end_ns = now_ns + wait_ns;
    }
    struct model_lease lease = settle(m, s, r);
    if (is_stale(s, r, &lease)) {
        s->counters.stale++;
        return BK_STALE;
    }
    count_outcome(&s->counters, r->outcome);
    if (r->latency_ns >= 0 && r->outcome != BK_CANCELLED)
        count_duration(&s->stats, r);
    if (model_mode(s) != BK_BYPASS)
        judge(m, s, now_ns, r, &lease);
    return BK_APPLIED;
}

enum bk_error
model_report(struct model *m, int64_t now_ns, const struct bk_report *report,
             enum bk_applied *answer)
{
    model_pass(m, now_ns);
    struct model_service *s = NULL;
    enum bk_error error = find_reported(m, now_ns, report, &s);
    if (error != BK_OK)
        return error;
    *answer = BK_UNKNOWN;
    if (s != NULL)
        s->touched_ns = now_ns;
    if (s == NULL || report->permit >= m->next_id ||
        (!report->is_current && report->generation > s->generation))
        return BK_OK;
    s->used_ns = now_ns;
    *answer = hear(m, s, now_ns, report);
    return BK_OK;
}

enum bk_applied
model_release(struct model *m, int64_t now_ns, uint64_t id)
{
    model_pass(m, now_ns);
    struct model_lease *lease = model_lease(m, id);
    if (lease == NULL)
        return BK_STALE;
    struct model_service *s = &m->services[lease->service];
    s->touched_ns = now_ns;
    if (lease->is_token)
        ledger_cancel(s, id);
    else
        s->counters.cancelled++;
    machine_remove_lease(m, (size_t)(lease - m->leases));
    return BK_APPLIED;
}

enum bk_applied
model_renew(struct model *m, int64_t now_ns, uint64_t id, int64_t ttl_ns)
{
    model_pass(m, now_ns);
    struct model_lease *lease = model_lease(m, id);
    if (lease == NULL || lease->is_token)
        return BK_STALE;
    struct model_service *s = &m->services[lease->service];
    int64_t most_ns = s->policy.max_permit_ttl_ns;
    s->touched_ns = now_ns;
    lease->deadline_ns = now_ns + (ttl_ns < most_ns ? ttl_ns : most_ns);
    return BK_APPLIED;
}

enum bk_error
model_tally(struct model *m, int64_t now_ns, const char *name, bool is_allowed,
            uint64_t count, enum bk_deny reason)
{
    model_pass(m, now_ns);
    struct model_service *s = model_find(m, name);
    if (s == NULL)
        return BK_ERR_UNKNOWN_SERVICE;
    s->touched_ns = now_ns;
    if (is_allowed)
        s->counters.allowed += count;
    else
        s->counters.denied += count;
    /* Reasons that only retries have are none of a call's. */
    if (!is_allowed)
        s->stats.rejected[reason > BK_DENY_BUDGET ? 0 : reason] += count;
    return BK_OK;
}

void
model_process_died(struct model *m, int64_t now_ns, uint32_t pid)
{
    model_pass(m, now_ns);
    for (size_t i = m->lease_count; i > 0; i--) {
        struct model_lease lease = m->leases[i - 1];
        if (lease.pid != pid || pid == 0)
            continue;
        if (lease.is_token)
            ledger_cancel(&m->services[lease.service], lease.id);
        machine_remove_lease(m, i - 1);
    }
}

enum bk_error
model_health(struct model *m, int64_t now_ns, const struct bk_health *health)
{
    model_pass(m, now_ns);
    struct model_service *s = model_find(m, health->name);
    if (s == NULL)
        return BK_ERR_UNKNOWN_SERVICE;
    s->touched_ns = now_ns;
    s->stats.probes[health->outcome]++;
    if (model_mode(s) != BK_BYPASS && model_mode(s) != BK_FORCED_OPEN)
        machine_hear_health(m, s, now_ns, health);
    return BK_OK;
}
