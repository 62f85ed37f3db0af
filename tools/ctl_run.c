/* SPDX-License-Identifier: Apache-2.0
 *
 * run: a command as one call of a service. Asks before, reports after, tries
 * again when the fleet's budget grants it. */
#define _GNU_SOURCE
#include "core/policy.h"
#include "core/text.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include "tools/ctl_run_child.h"
#include "tools/ctl_run_status.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* sysexits.h's "try again later": the call was denied. */
#define STATUS_DENIED 75
#define STATUS_SIGNAL 128
/* A command may take longer than any lease: asked for and renewed. */
#define LEASE_MS UINT64_C(60000)
#define RENEW_NS (20 * BK_NS_PER_S)
/* How long to wait for a circuit that does not say when it opens. */
#define UNKNOWN_WAIT_MS UINT64_C(1000)

/* One guarded command. */
struct run {
    struct breaker_service *service;
    const struct ctl *c;
    struct run_statuses statuses;
    struct run_frame frame;
    struct run_end end;           /* of the last attempt */
    struct breaker_permit permit; /* of the one under way */
    struct breaker_token token;
    int64_t wait_until_ns; /* --wait: parked at most until then */
    off_t input;           /* where stdin began; -1: it cannot be rewound */
    uint32_t attempt;
    int told; /* the signal that ended it all; 0: none */
};

static int64_t
now_ns(void)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + (int64_t)t.tv_nsec;
}

static void
say_log(void *context, enum breaker_log_level level, const char *sentence)
{
    (void)context;
    if (level >= BREAKER_LOG_WARNING)
        ctl_say("%s", sentence);
}

/* A long command makes progress as long as it runs. */
static void
renew(void *context)
{
    struct run *r = context;

    if (r->permit.id != 0)
        (void)breaker_renew(&r->permit, LEASE_MS);
}

/* The wait of a denied call, spread over a tenth more, so that parked commands
 * do not come back together. */
static int64_t
wait_of(uint64_t retry_after_ms)
{
    uint64_t ms = retry_after_ms != 0 ? retry_after_ms : UNKNOWN_WAIT_MS;
    int64_t ns = BK_DURATION_MAX_NS;

    if (ms < (uint64_t)(BK_DURATION_MAX_NS / BK_NS_PER_MS))
        ns = (int64_t)ms * BK_NS_PER_MS;
    return ns + (now_ns() ^ getpid()) % (ns / 10 + 1);
}

static void
say_denied(const struct run *r)
{
    char duration[CTL_DURATION_SIZE];

    ctl_duration(duration, r->permit.retry_after_ms);
    ctl_say("%s is denied: %s%s%s", breaker_service_name(r->service),
            breaker_reason_name(r->permit.reason),
            r->permit.retry_after_ms != 0 ? ", again in " : "",
            r->permit.retry_after_ms != 0 ? duration : "");
}

/* Asks, and with --wait parks until the circuit lets it through. False: denied
 * (or told to end). */
static bool
acquire(struct run *r)
{
    struct breaker_ask ask = BREAKER_ASK_INIT;

    ask.token = r->attempt > 1 ? &r->token : NULL;
    ask.ttl_ms = LEASE_MS;
    for (;;) {
        int64_t wait;

        if (breaker_acquire_with(r->service, &ask, &r->permit) ==
            BREAKER_ALLOWED)
            return true;
        wait = wait_of(r->permit.retry_after_ms);
        if (now_ns() + wait > r->wait_until_ns) {
            say_denied(r);
            return false;
        }
        r->told = run_sleep(r->frame.signals, wait);
        if (r->told != 0)
            return false;
    }
}

/* What this attempt says of the service. A command that was interrupted, could
 * not be started or died of a bug of its own says nothing. */
static enum breaker_outcome
judge(const struct run *r)
{
    if (r->end.is_timeout)
        return BREAKER_TIMEOUT;
    if (r->end.told != 0 || r->end.signal != 0 || !r->end.was_started)
        return BREAKER_CANCELLED;
    return r->statuses.outcome[r->end.status];
}

/* Whether another attempt follows; fills in the token. */
static bool
ask_retry(struct run *r, enum breaker_outcome outcome)
{
    uint64_t most = r->c->max_attempts;

    if (outcome == BREAKER_SUCCESS || outcome == BREAKER_CANCELLED ||
        r->end.told != 0 || (most != 0 && r->attempt >= most))
        return false;
    if (r->end.has_written) {
        if (outcome == BREAKER_FAILURE || outcome == BREAKER_TIMEOUT)
            ctl_say("attempt %" PRIu32 " failed (%s, exit status %d) and is "
                    "not retried: it has written output",
                    r->attempt, breaker_outcome_name((int)outcome),
                    r->end.status);
        return false;
    }
    return breaker_retry(r->service, r->attempt, outcome, 0, &r->token) ==
           BREAKER_ALLOWED;
}

static void
report(struct run *r, enum breaker_outcome outcome, bool will_retry,
       int64_t took_ns)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    char words[48];
    struct bk_text text;

    bk_text_init(&text, words, sizeof words);
    bk_text_put(&text,
                r->end.is_timeout ? "timed out, exit status " : "exit status ");
    bk_text_put_u64(&text, (uint64_t)r->end.status);
    details.text = words;
    details.latency_us = took_ns / 1000;
    details.will_retry = will_retry;
    (void)breaker_report_with(&r->permit, outcome, &details);
}

static void
say_retry(const struct run *r, enum breaker_outcome outcome)
{
    char duration[CTL_DURATION_SIZE];

    ctl_duration(duration, r->token.delay_ms);
    ctl_say("attempt %" PRIu32 " of %s failed (%s, exit status %d); the next "
            "in %s",
            r->attempt, breaker_service_name(r->service),
            breaker_outcome_name((int)outcome), r->end.status, duration);
}

/* One attempt with its permit; true when another one is to follow. */
static bool
attempt(struct run *r)
{
    enum breaker_outcome outcome;
    int64_t start = now_ns();
    int64_t took;
    bool goes_on;

    if (r->attempt > 1 && r->input >= 0)
        (void)lseek(STDIN_FILENO, r->input, SEEK_SET);
    run_child(&r->frame, &r->end);
    took = now_ns() - start;
    r->told = r->end.told;
    outcome = judge(r);
    goes_on = ask_retry(r, outcome);
    report(r, outcome, goes_on, took);
    if (!goes_on)
        return false;
    say_retry(r, outcome);
    r->told =
        run_sleep(r->frame.signals, (int64_t)r->token.delay_ms * BK_NS_PER_MS);
    r->attempt++;
    return r->told == 0;
}

/* All attempts; the status for the shell. */
static int
guard(struct run *r)
{
    r->attempt = 1;
    do {
        if (!acquire(r))
            break;
    } while (attempt(r));
    if (r->attempt > 1)
        (void)breaker_token_release(&r->token);
    if (r->told != 0)
        return r->end.told != 0 ? r->end.status : STATUS_SIGNAL + r->told;
    /* The error that was there before the denial is the one to know. */
    if (r->permit.verdict == BREAKER_DENIED && r->attempt == 1)
        return STATUS_DENIED;
    return r->end.status;
}

static struct breaker *
open_handle(const struct ctl *c)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker *b;

    options.dir = c->dir;
    options.worker = "breakerctl run";
    options.log = say_log;
    b = breaker_open(&options);
    if (b == NULL)
        ctl_say("%s", breaker_error_text());
    return b;
}

enum ctl_exit
ctl_run(const struct ctl *c, const char *const *words, size_t count)
{
    struct run r = {.c = c};
    struct breaker *b;
    int status = CTL_FAILED;

    if (ask_check_name(words[0]) != CTL_DONE ||
        !run_statuses_read(&r.statuses, c->retry_on, c->critical_on,
                           c->reject_on))
        return CTL_USAGE;
    r.frame = (struct run_frame){
        .argv = words + 1,
        .argc = count - 1,
        .timeout_ns = c->timeout_ns,
        .counts_output =
            (c->given & CTL_RETRY_OUTPUT) == 0 && c->max_attempts != 1,
        .every_ns = RENEW_NS,
        .tick = renew,
        .context = &r,
    };
    r.wait_until_ns = now_ns() + c->wait_ns;
    r.input = lseek(STDIN_FILENO, 0, SEEK_CUR);
    r.frame.signals = run_signals();
    if (r.frame.signals < 0) {
        ctl_say("cannot wait for signals");
        return CTL_FAILED;
    }
    b = open_handle(c);
    if (b != NULL)
        r.service = breaker_service(b, words[0]);
    if (r.service != NULL)
        status = guard(&r);
    breaker_close(&b);
    (void)close(r.frame.signals);
    return (enum ctl_exit)status;
}
