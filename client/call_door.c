/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of a call, as the library is one. The world is the handle, NULL when
 * there is none: then every call is let through and nothing is retried. */
#define _GNU_SOURCE
#include "client/call.h"
#include "client/call_log.h"
#include "client/clock.h"
#include "client/route.h"

static enum breaker_verdict
acquire(void *world, struct breaker_service *service,
        struct breaker_token *token, uint64_t ttl_ms,
        struct breaker_permit *permit)
{
    struct breaker_ask ask = BREAKER_ASK_INIT;

    (void)world;
    ask.token = token;
    ask.ttl_ms = ttl_ms;
    return breaker_acquire_with(service, &ask, permit);
}

static enum breaker_verdict
retry(void *world, struct breaker_service *service, uint32_t failed,
      enum breaker_outcome outcome, uint64_t retry_after_ms,
      struct breaker_token *token)
{
    (void)world;
    return breaker_retry(service, failed, outcome, retry_after_ms, token);
}

static void
report(void *world, struct breaker_permit *permit, enum breaker_outcome outcome,
       const struct breaker_details *details)
{
    (void)world;
    (void)breaker_report_with(permit, outcome, details);
}

static void
release(void *world, struct breaker_permit *permit)
{
    (void)world;
    (void)breaker_release(permit);
}

static void
give_back(void *world, struct breaker_token *token)
{
    (void)world;
    (void)breaker_token_release(token);
}

static void
policy(void *world, struct breaker_service *service, struct bk_policy *out)
{
    struct entry entry = client_enter();

    if (world == NULL || service == NULL)
        bk_policy_defaults(out);
    else
        route_policy(world, service, out);
    client_leave(entry);
}

static uint32_t
route(void *world, struct breaker_service *service,
      struct breaker_service *members[BREAKER_CHAIN_MAX])
{
    struct entry entry = client_enter();
    uint32_t count = route_members(world, service, members);

    client_leave(entry);
    return count;
}

static int64_t
share(void *world, int64_t span_ns)
{
    return world == NULL || !client_is_ready(world)
               ? span_ns / 2
               : client_jitter(client_world(world), span_ns);
}

/* ---- those that wait ---- */

static bool
park(void *world)
{
    struct call_numbers *n;
    uint64_t now;

    if (world == NULL || !client_is_ready(world))
        return true;
    n = &client_world(world)->calls;
    now = atomic_load_explicit(&n->parked_now, memory_order_relaxed);
    do {
        if (now >= BREAKER_PARKED_MAX) {
            atomic_fetch_add_explicit(&n->parked_refused, 1,
                                      memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &n->parked_now, &now, now + 1, memory_order_relaxed,
        memory_order_relaxed));
    atomic_fetch_add_explicit(&n->parked, 1, memory_order_relaxed);
    return true;
}

/* A child that ends a call of its parent's has nothing to count down. */
static void
unpark(void *world)
{
    struct call_numbers *n;
    uint64_t now;

    if (world == NULL || !client_is_ready(world))
        return;
    n = &client_world(world)->calls;
    now = atomic_load_explicit(&n->parked_now, memory_order_relaxed);
    while (now > 0 && !atomic_compare_exchange_weak_explicit(
                          &n->parked_now, &now, now - 1, memory_order_relaxed,
                          memory_order_relaxed))
        ;
}

static void
tell(void *world, const struct breaker_call *call, enum call_event event,
     int64_t delay_ns)
{
    struct entry entry = client_enter();

    if (world == NULL || client_is_ready(world))
        call_log(world, call, event, delay_ns);
    client_leave(entry);
}

const struct call_door call_library = {.acquire = acquire,
                                       .retry = retry,
                                       .report = report,
                                       .release = release,
                                       .give_back = give_back,
                                       .policy = policy,
                                       .route = route,
                                       .share = share,
                                       .park = park,
                                       .unpark = unpark,
                                       .tell = tell};
