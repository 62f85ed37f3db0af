/* SPDX-License-Identifier: Apache-2.0
 *
 * May a failed attempt be followed by another? */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/home.h"
#include "client/tally.h"
#include "core/wire.h"
#include <string.h>

#define RETRY_AFTER_MAX_MS (UINT64_C(1) << 40)

/* False: it did not decide. */
static bool
ask_daemon(struct breaker *b, struct breaker_service *s, uint32_t failed,
           enum breaker_outcome outcome, uint64_t retry_after_ms,
           struct breaker_token *token)
{
    int64_t now_ns = clock_mono_ns();
    char line[BK_LINE_MAX + 1];
    char answer[BK_LINE_MAX + 1];
    struct exchange x = {.line = line, .answer = answer, .size = sizeof answer};
    struct bk_text text;
    struct bk_reply reply;

    if (!client_daemon_in_charge(b, now_ns))
        return false;
    bk_text_init(&text, line, sizeof line);
    bk_write_retry(&text, s->name, failed, (enum bk_outcome)outcome,
                   retry_after_ms);
    x.line_len = text.len;
    if (session_ask(b, &x, now_ns + b->deadline_ns) != SESSION_ANSWERED) {
        client_lost(b);
        return false;
    }
    client_found(b);
    if (!session_read(&x, &reply) ||
        (reply.kind != BK_REPLY_GRANT && reply.kind != BK_REPLY_DENY))
        return false;
    token->source = BREAKER_BY_DAEMON;
    if (reply.kind == BK_REPLY_GRANT) {
        token->verdict = BREAKER_ALLOWED;
        token->id = reply.id;
        token->delay_ms = reply.wait_ms;
    } else {
        token->reason = (uint8_t)reply.deny;
        token->retry_after_ms = reply.wait_ms;
    }
    return true;
}

/* Calls may fail open; retries that nobody pays for may not. So the local machine
 * and its share of the budget decide here, whatever becomes of calls. */
static void
decide_alone(struct breaker *b, struct breaker_service *s, uint32_t failed,
             enum breaker_outcome outcome, uint64_t retry_after_ms,
             struct breaker_token *token)
{
    struct bk_retry how = {.failed_attempt = failed,
                           .outcome = (enum bk_outcome)outcome,
                           .retry_after_ns =
                               (int64_t)retry_after_ms * BK_NS_PER_MS};

    if (b->fail != BREAKER_FAIL_CLOSED && local_retry(b, s, &how, token))
        return;
    token->reason = BREAKER_REASON_UNAVAILABLE;
    token->source = BREAKER_BY_NOBODY;
}

enum breaker_verdict
breaker_retry(struct breaker_service *s, uint32_t failed_attempt,
              enum breaker_outcome outcome, uint64_t retry_after_ms,
              struct breaker_token *token)
{
    struct breaker *b;
    struct entry entry;

    if (token == NULL)
        return BREAKER_DENIED;
    memset(token, 0, sizeof *token);
    token->service = s;
    token->attempt = failed_attempt + 1;
    token->verdict = BREAKER_DENIED;
    token->reason = BREAKER_REASON_UNAVAILABLE;
    if (s == NULL || failed_attempt == 0 || failed_attempt == UINT32_MAX ||
        (unsigned)outcome > BREAKER_CANCELLED) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "no service, attempt 0 or no such outcome", "", "");
        return BREAKER_DENIED;
    }
    if (retry_after_ms > RETRY_AFTER_MAX_MS)
        retry_after_ms = RETRY_AFTER_MAX_MS;
    b = s->client;
    entry = client_enter();
    if (client_is_ready(b)) {
        token->reason = BREAKER_REASON_NONE;
        token->home = home_of_daemon(b);
        if (!ask_daemon(b, s, failed_attempt, outcome, retry_after_ms, token))
            decide_alone(b, s, failed_attempt, outcome, retry_after_ms, token);
        tally_when_due(b, clock_coarse_ns());
    }
    client_leave(entry);
    return (enum breaker_verdict)token->verdict;
}
