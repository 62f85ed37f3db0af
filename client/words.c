/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for values, and the last failure of each thread. The public enums say
 * again what the core's vocabulary says, for users; here they are held equal. */
#include "breaker/breaker.h"
#include "client/client.h"
#include "core/vocab.h"
#include <string.h>

#define SAME(public_value, core_value) \
    _Static_assert((int)(public_value) == (int)(core_value), #public_value)
SAME(BREAKER_SUCCESS, BK_SUCCESS);
SAME(BREAKER_FAILURE, BK_FAILURE);
SAME(BREAKER_TIMEOUT, BK_TIMEOUT);
SAME(BREAKER_RATE_LIMITED, BK_RATE_LIMITED);
SAME(BREAKER_REJECTED, BK_REJECTED);
SAME(BREAKER_CRITICAL, BK_CRITICAL);
SAME(BREAKER_CANCELLED, BK_CANCELLED);
SAME(BREAKER_CLOSED, BK_CLOSED);
SAME(BREAKER_OPEN, BK_OPEN);
SAME(BREAKER_HALF_OPEN, BK_HALF_OPEN);
SAME(BREAKER_REASON_NONE, BK_DENY_NONE);
SAME(BREAKER_REASON_OPEN, BK_DENY_OPEN);
SAME(BREAKER_REASON_HALF_OPEN, BK_DENY_HALF_OPEN);
SAME(BREAKER_REASON_FORCED_OPEN, BK_DENY_FORCED_OPEN);
SAME(BREAKER_REASON_RATE_LIMITED, BK_DENY_RATE_LIMITED);
SAME(BREAKER_REASON_RAMP, BK_DENY_RAMP);
SAME(BREAKER_REASON_CONCURRENCY, BK_DENY_CONCURRENCY);
SAME(BREAKER_REASON_REQUIRES, BK_DENY_REQUIRES);
SAME(BREAKER_REASON_BUDGET, BK_DENY_BUDGET);
SAME(BREAKER_REASON_MAX_ATTEMPTS, BK_DENY_MAX_ATTEMPTS);
SAME(BREAKER_REASON_NOT_RETRYABLE, BK_DENY_NOT_RETRYABLE);
SAME(BREAKER_REASON_MAX_ELAPSED, BK_DENY_MAX_ELAPSED);
SAME(BREAKER_REASON_OFF, BK_DENY_OFF);
_Static_assert(BK_DENY_COUNT == BREAKER_REASON_OFF + 1, "every reason is told");
_Static_assert(BK_OUTCOME_COUNT == BREAKER_CANCELLED + 1,
               "every outcome is told");

/* The ABI: callers own these. */
_Static_assert(sizeof(struct breaker_permit) == 64 + sizeof(void *),
               "a permit keeps its size");
_Static_assert(sizeof(struct breaker_token) == 56 + sizeof(void *),
               "a token keeps its size");

/* One for each thread, so that a sentence is still there when it is read. */
static _Thread_local char error_text[320];

int
client_fail(enum breaker_error code, const char *a, const char *b,
            const char *c)
{
    struct bk_text text;

    bk_text_init(&text, error_text, sizeof error_text);
    bk_text_put(&text, a);
    bk_text_put(&text, b);
    bk_text_put(&text, c);
    return (int)code;
}

const char *
breaker_error_text(void)
{
    return error_text;
}

const char *
breaker_outcome_name(int outcome)
{
    if (outcome < 0 || outcome >= BK_OUTCOME_COUNT)
        return "unknown";
    return bk_outcome_name((enum bk_outcome)outcome);
}

const char *
breaker_state_name(int state)
{
    if (state < 0 || state >= BK_STATE_COUNT)
        return "unknown";
    return bk_state_name((enum bk_state)state);
}

const char *
breaker_reason_name(int reason)
{
    if (reason == BREAKER_REASON_NONE)
        return "none";
    if (reason == BREAKER_REASON_UNAVAILABLE)
        return "unavailable";
    if (reason < 0 || reason >= BK_DENY_COUNT)
        return "unknown";
    return bk_deny_name((enum bk_deny)reason);
}

const char *
breaker_source_name(int source)
{
    static const char *const names[] = {"nobody", "memory", "daemon", "local"};

    if (source < 0 || source > BREAKER_BY_LOCAL)
        return "unknown";
    return names[source];
}

int
breaker_outcome_parse(const char *word)
{
    return word == NULL ? -1 : bk_outcome_parse(word, strlen(word));
}

const char *
breaker_version(void)
{
    return BREAKER_VERSION;
}
