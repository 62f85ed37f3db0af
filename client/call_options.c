/* SPDX-License-Identifier: Apache-2.0
 *
 * How a call is made: its options checked and completed, and what they and the
 * fleet's configuration come to. */
#include "client/call.h"
#include "client/client.h"
#include <string.h>

#define FAST_ATTEMPTS 4
#define FAST_BASE_MS 100
#define MULTIPLIER_MAX_PCT 100000

static int64_t
ns_of(uint64_t ms)
{
    return (int64_t)(ms < CALL_MS_MAX ? ms : CALL_MS_MAX) * BK_NS_PER_MS;
}

static const char *
fault(const struct breaker_call_options *o)
{
    if (o->size < sizeof *o)
        return "options.size is not set: use BREAKER_CALL_OPTIONS_INIT";
    if (o->preset > BREAKER_FAST || o->on_deny > BREAKER_ON_DENY_WAIT ||
        o->jitter > BREAKER_JITTER_NONE)
        return "an option of the call is no value of its enum";
    if (o->service_count > BREAKER_CHAIN_MAX ||
        (o->service_count > 0 && o->services == NULL))
        return "a chain has 1 to 16 services";
    for (size_t i = 0; i < o->service_count; i++) {
        if (o->services[i] == NULL)
            return "a chain has a service that is NULL";
    }
    if (o->multiplier_pct != 0 &&
        (o->multiplier_pct < 100 || o->multiplier_pct > MULTIPLIER_MAX_PCT))
        return "multiplier_pct is not 100 to 100000";
    return NULL;
}

static void
complete(struct breaker_call_options *how)
{
    if (how->preset == BREAKER_FAST) {
        if (how->max_attempts == 0)
            how->max_attempts = FAST_ATTEMPTS;
        if (how->base_delay_ms == 0)
            how->base_delay_ms = FAST_BASE_MS;
        if (how->jitter == BREAKER_JITTER_DEFAULT)
            how->jitter = BREAKER_JITTER_NONE;
    }
    if (how->on_deny == BREAKER_ON_DENY_DEFAULT)
        how->on_deny =
            how->deadline_ms > 0 ? BREAKER_ON_DENY_WAIT : BREAKER_ON_DENY_FAIL;
}

static void
lay_chain(struct breaker_call *c, struct breaker_service *service)
{
    c->member_count = 1;
    c->members[0] = service;
    if (c->how.service_count > 0) {
        c->member_count = (uint32_t)c->how.service_count;
        for (uint32_t i = 0; i < c->member_count; i++)
            c->members[i] = c->how.services[i];
    } else if (service != NULL) {
        uint32_t count = c->door->route(c->world, service, c->members);

        if (count > 0)
            c->member_count = count;
        else
            c->members[0] = service;
    }
}

bool
call_begin(struct breaker_call *c, const struct call_door *door, void *world,
           struct breaker_service *service,
           const struct breaker_call_options *options, int64_t now_ns)
{
    static const struct breaker_call_options standard =
        BREAKER_CALL_OPTIONS_INIT;
    const char *why = options == NULL ? NULL : fault(options);

    if (why != NULL) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT, why, "", "");
        return false;
    }
    memset(c, 0, sizeof *c);
    c->door = door;
    c->world = world;
    c->how = options == NULL ? standard : *options;
    complete(&c->how);
    c->start_ns = now_ns;
    c->now_ns = now_ns;
    c->end_ns = c->how.deadline_ms == 0
                    ? BK_NEVER
                    : bk_after(now_ns, ns_of(c->how.deadline_ms));
    c->sum.size = sizeof c->sum;
    c->sum.stop = BREAKER_STOP_NONE;
    c->sum.result.size = sizeof c->sum.result;
    c->sum.result.outcome = BREAKER_CANCELLED;
    c->last = c->sum.result;
    c->is_told = true;
    lay_chain(c, service);
    c->service = c->members[0];
    c->sum.service = c->service;
    door->policy(world, c->service, &c->policy);
    door->tell(world, c, CALL_EVENT_BEGIN, 0);
    return true;
}

int64_t
call_horizon(const struct breaker_call *c)
{
    int64_t elapsed_ns = c->how.max_elapsed_ms > 0
                             ? ns_of(c->how.max_elapsed_ms)
                             : c->policy.max_elapsed_ns;
    int64_t horizon_ns = bk_after(c->start_ns, elapsed_ns);

    return horizon_ns < c->end_ns ? horizon_ns : c->end_ns;
}

int64_t
call_timeout(const struct breaker_call *c)
{
    int64_t timeout_ns = c->how.attempt_timeout_ms > 0
                             ? ns_of(c->how.attempt_timeout_ms)
                             : c->policy.attempt_timeout_ns;
    int64_t left_ns = c->end_ns == BK_NEVER ? BK_NEVER : c->end_ns - c->now_ns;

    if (timeout_ns > left_ns)
        timeout_ns = left_ns;
    return timeout_ns > BK_NS_PER_MS ? timeout_ns : BK_NS_PER_MS;
}

bool
call_waits(const struct breaker_call *c)
{
    return c->how.on_deny == BREAKER_ON_DENY_WAIT;
}

bool
call_is_cancelled(const struct breaker_call *c)
{
    return breaker_cancel_is_triggered(c->how.cancel) != 0;
}
