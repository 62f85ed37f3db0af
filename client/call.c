/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole calls, as users have them: the machine with a clock, a sleep and the
 * library behind it. */
#define _GNU_SOURCE
#include "client/call.h"
#include "client/cancel.h"
#include "client/client.h"
#include "client/clock.h"
#include <stdlib.h>
#include <string.h>

static struct breaker *
handle_of(struct breaker_service *service,
          const struct breaker_call_options *options)
{
    if (options != NULL && options->size >= sizeof *options &&
        options->service_count > 0 && options->services != NULL)
        service = options->services[0];
    return service == NULL ? NULL : service->client;
}

static void
fill_step(const struct breaker_call *c, enum breaker_step_kind kind,
          int64_t wait_ns, struct breaker_step *step)
{
    struct breaker_step full = BREAKER_STEP_INIT;
    size_t size = step->size;

    full.kind = (uint32_t)kind;
    full.wait_ms = bk_ms_up(wait_ns);
    if (kind == BREAKER_STEP_ATTEMPT)
        full.attempt = c->attempt;
    memcpy(step, &full, size < sizeof full ? size : sizeof full);
    step->size = size;
}

static void
give_summary(const struct breaker_call *c, struct breaker_summary *summary)
{
    size_t size;

    if (summary == NULL)
        return;
    size = summary->size;
    memcpy(summary, &c->sum, size < sizeof c->sum ? size : sizeof c->sum);
    summary->size = size;
}

/* ---- driven by the caller ---- */

struct breaker_call *
breaker_call_begin(struct breaker_service *service,
                   const struct breaker_call_options *options)
{
    struct entry entry = client_enter();
    struct breaker_call *c = malloc(sizeof *c);

    if (c == NULL)
        (void)client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    client_leave(entry);
    if (c != NULL && !call_begin(c, &call_library, handle_of(service, options),
                                 service, options, clock_mono_ns())) {
        free(c);
        c = NULL;
    }
    return c;
}

int
breaker_call_next(struct breaker_call *c, struct breaker_step *step)
{
    enum breaker_step_kind kind;
    int64_t wait_ns;

    if (c == NULL || step == NULL || step->size < sizeof step->size)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no call, or step.size is not set", "", "");
    kind = call_next(c, clock_mono_ns(), &wait_ns);
    fill_step(c, kind, wait_ns, step);
    return (int)kind;
}

int
breaker_call_result(struct breaker_call *c, const struct breaker_result *result)
{
    if (c == NULL || result == NULL || result->size < sizeof *result)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no call, or result.size is not set", "", "");
    if (!call_result(c, result, clock_mono_ns()))
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no attempt of this call is being made", "", "");
    return 0;
}

void
breaker_call_cancel(struct breaker_call *c)
{
    if (c != NULL)
        call_cancel(c, clock_mono_ns());
}

int
breaker_call_end(struct breaker_call **c, struct breaker_summary *summary)
{
    int stop;

    if (c == NULL || *c == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no call", "", "");
    call_cancel(*c, clock_mono_ns());
    give_summary(*c, summary);
    stop = (int)(*c)->sum.stop;
    free(*c);
    *c = NULL;
    return stop;
}

int
breaker_attempt_progress(const struct breaker_attempt *attempt)
{
    struct breaker_call *c = attempt == NULL ? NULL : attempt->call;
    int64_t now_ns = clock_mono_ns();
    int answer;

    if (c == NULL || c->phase != CALL_OUT)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no attempt of this call is being made", "", "");
    if (c->permit.id == 0 ||
        now_ns - c->lease_ns < (int64_t)c->ttl_ms * BK_NS_PER_MS / 2)
        return 0;
    c->lease_ns = now_ns;
    answer = breaker_renew(&c->permit, c->ttl_ms);
    return answer == BREAKER_APPLIED ? 0 : answer;
}

/* ---- the whole of it ---- */

int
breaker_call(struct breaker_service *service,
             const struct breaker_call_options *options,
             breaker_attempt_fn *attempt, void *context,
             struct breaker_summary *summary)
{
    struct breaker_call c;
    enum breaker_step_kind kind;
    int64_t wait_ns;

    if (attempt == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no attempt function", "",
                           "");
    if (!call_begin(&c, &call_library, handle_of(service, options), service,
                    options, clock_mono_ns()))
        return BREAKER_ERROR_ARGUMENT;
    while ((kind = call_next(&c, clock_mono_ns(), &wait_ns)) !=
           BREAKER_STEP_DONE) {
        struct breaker_result result = BREAKER_RESULT_INIT;

        if (kind == BREAKER_STEP_WAIT) {
            cancel_sleep(c.how.cancel, wait_ns);
            continue;
        }
        attempt(context, &c.attempt, &result);
        (void)call_result(&c, &result, clock_mono_ns());
    }
    give_summary(&c, summary);
    return (int)c.sum.stop;
}
