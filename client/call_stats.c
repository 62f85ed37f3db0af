/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of whole calls, and the words for how they end. */
#define _GNU_SOURCE
#include "client/client.h"
#include <string.h>

static const char *const stop_names[] = {
    "success",     "not_retryable", "max_attempts", "budget",     "open",
    "max_elapsed", "cancelled",     "off",          "unavailable"};
_Static_assert(sizeof stop_names / sizeof *stop_names ==
                   BREAKER_STOP_UNAVAILABLE + 1,
               "every reason has its word");

const char *
breaker_stop_name(int stop)
{
    return stop >= 0 && stop <= BREAKER_STOP_UNAVAILABLE ? stop_names[stop]
                                                         : "unknown";
}

static uint64_t
load(_Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void
collect(struct call_numbers *n, struct breaker_call_stats *full)
{
    full->calls = load(&n->calls);
    full->attempts = load(&n->attempts);
    full->retries = load(&n->retries);
    full->retry_delay_ms = load(&n->retry_delay_ms);
    full->fallbacks = load(&n->fallbacks);
    full->parked_now = load(&n->parked_now);
    full->parked = load(&n->parked);
    full->parked_refused = load(&n->parked_refused);
    full->cancelled = load(&n->cancelled);
    full->default_answers = load(&n->default_answers);
    for (int i = 0; i < BREAKER_CLASS_COUNT; i++) {
        full->by_class[i] = load(&n->by_class[i]);
        full->retries_by_class[i] = load(&n->retries_by_class[i]);
    }
}

int
breaker_call_stats(struct breaker *b, struct breaker_call_stats *stats)
{
    struct breaker_call_stats full = BREAKER_CALL_STATS_INIT;
    struct entry entry;
    size_t size;

    if (b == NULL || stats == NULL || stats->size < sizeof stats->size)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no handle, or stats.size is not set", "", "");
    entry = client_enter();
    if (client_is_ready(b))
        collect(&client_world(b)->calls, &full);
    size = stats->size < sizeof full ? stats->size : sizeof full;
    full.size = stats->size;
    memcpy(stats, &full, size);
    client_leave(entry);
    return 0;
}
