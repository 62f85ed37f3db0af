/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's side of breakerd as a user would write it. */
#include "tools/quickstart_guard.h"

#include <stdio.h>

/* Asked again after this long when the breaker knows no better. */
#define WAIT_UNKNOWN_NS (100 * BK_NS_PER_MS)
/* A probe takes as long as a call does; what the breaker tells is when it would
 * be given up. */
#define WAIT_PROBE_NS (100 * BK_NS_PER_MS)

static uint32_t
mode_of(enum quickstart_mode mode)
{
    if (mode == QUICKSTART_ZMQ) {
        return BREAKER_MODE_ZMQ;
    }
    return mode == QUICKSTART_LOCAL ? BREAKER_MODE_LOCAL : BREAKER_MODE_AUTO;
}

bool
quickstart_guard_open(struct quickstart_guard *guard,
                      const struct quickstart_options *options,
                      struct quickstart_tally *tally)
{
    struct breaker_options how = BREAKER_OPTIONS_INIT;

    *guard = (struct quickstart_guard){.options = options, .tally = tally};
    if (options->mode == QUICKSTART_NONE) {
        return true;
    }
    how.dir = options->dir;
    how.mode = mode_of(options->mode);
    guard->breaker = breaker_open(&how);
    guard->service = breaker_service(guard->breaker, options->service);
    if (guard->service == NULL) {
        fprintf(stderr, "quickstart_worker: %s\n", breaker_error_text());
        breaker_close(&guard->breaker);
        return false;
    }
    return true;
}

void
quickstart_guard_close(struct quickstart_guard *guard)
{
    struct breaker_stats stats = BREAKER_STATS_INIT;

    if (guard->breaker == NULL) {
        return;
    }
    if (breaker_stats(guard->breaker, &stats) == 0) {
        quickstart_count(&guard->tally->by_memory, stats.by_memory);
        quickstart_count(&guard->tally->by_daemon, stats.by_daemon);
        quickstart_count(&guard->tally->by_local, stats.by_local);
        quickstart_count(&guard->tally->by_nobody, stats.by_nobody);
    }
    breaker_close(&guard->breaker);
}

bool
quickstart_guard_ask(struct quickstart_guard *guard,
                     struct quickstart_right *right, int64_t *wait_ns)
{
    struct breaker_ask ask = BREAKER_ASK_INIT;

    if (guard->breaker == NULL) {
        return true;
    }
    ask.token = right->has_token ? &right->token : NULL;
    if (breaker_acquire_with(guard->service, &ask, &right->permit) ==
        BREAKER_ALLOWED) {
        right->has_token = false;
        return true;
    }
    quickstart_count(&guard->tally->denied, 1);
    *wait_ns = right->permit.retry_after_ms > 0
                   ? (int64_t)right->permit.retry_after_ms * BK_NS_PER_MS
                   : WAIT_UNKNOWN_NS;
    if (right->permit.reason == BREAKER_REASON_HALF_OPEN &&
        *wait_ns > WAIT_PROBE_NS) {
        *wait_ns = WAIT_PROBE_NS;
    }
    return false;
}

static bool
is_worth_a_retry(enum breaker_outcome outcome)
{
    return outcome == BREAKER_FAILURE || outcome == BREAKER_TIMEOUT ||
           outcome == BREAKER_RATE_LIMITED;
}

/* Without breakerd: fixed delays, doubling, as so many programs have them. */
static bool
retry_alone(const struct quickstart_options *options, uint32_t attempt,
            enum breaker_outcome outcome, int64_t *delay_ns)
{
    *delay_ns = options->base_delay_ns << (attempt - 1);
    return is_worth_a_retry(outcome) && attempt < options->attempts;
}

bool
quickstart_guard_tell(struct quickstart_guard *guard,
                      struct quickstart_right *right, uint32_t attempt,
                      enum breaker_outcome outcome, int64_t latency_us,
                      uint64_t retry_after_ms, int64_t *delay_ns)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;

    if (guard->breaker == NULL) {
        return retry_alone(guard->options, attempt, outcome, delay_ns);
    }
    if (is_worth_a_retry(outcome) && attempt < guard->options->attempts) {
        right->has_token =
            breaker_retry(guard->service, attempt, outcome, retry_after_ms,
                          &right->token) == BREAKER_ALLOWED;
        quickstart_count(right->has_token ? &guard->tally->retries_granted
                                          : &guard->tally->retries_denied,
                         1);
    }
    details.latency_us = latency_us;
    details.retry_after_ms = retry_after_ms;
    details.will_retry = right->has_token;
    details.text =
        outcome == BREAKER_SUCCESS ? NULL : breaker_outcome_name((int)outcome);
    (void)breaker_report_with(&right->permit, outcome, &details);
    *delay_ns = (int64_t)right->token.delay_ms * BK_NS_PER_MS;
    return right->has_token;
}

void
quickstart_guard_drop(struct quickstart_guard *guard,
                      struct quickstart_right *right)
{
    if (guard->breaker != NULL && right->has_token) {
        (void)breaker_token_release(&right->token);
        right->has_token = false;
    }
}
