/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines written: answers for the daemon, requests for clients. Whatever text
 * comes along, a line stays one line. */
#include "core/bug.h"
#include "core/words.h"
#include <string.h>

static void
put_word(struct bk_text *out, const char *word)
{
    bk_text_put_char(out, ' ');
    bk_text_put(out, word);
}

/* Larger numbers do not exist on the wire. */
static void
put_number(struct bk_text *out, uint64_t value)
{
    bk_text_put_char(out, ' ');
    bk_text_put_u64(out, value < BK_NUMBER_END ? value : BK_NUMBER_END - 1);
}

/* At most `room` octets of free text; a control character, which would be
 * refused or end the line, becomes a space. */
static void
put_free_text(struct bk_text *out, const char *text, size_t room)
{
    bk_text_put_char(out, ' ');
    for (size_t i = 0; i < room && text[i] != '\0'; i++) {
        char c = text[i];
        if (bk_line_has_control(&c, 1))
            c = ' ';
        bk_text_put_char(out, c);
    }
}

void
bk_write_error(struct bk_text *out, enum bk_error code, const char *text)
{
    bk_text_put(out, "ERR");
    put_word(out, bk_error_name(code));
    put_free_text(out, text, BK_LINE_MAX);
}

void
bk_write_allow(struct bk_text *out, const char *service, uint64_t permit,
               uint64_t generation, enum bk_state state)
{
    bk_text_put(out, "ALLOW");
    put_word(out, service);
    put_number(out, permit);
    put_number(out, generation);
    put_word(out, bk_state_name(state));
}

void
bk_write_deny(struct bk_text *out, const char *service, enum bk_deny reason,
              uint64_t retry_after_ms)
{
    bk_text_put(out, "DENY");
    put_word(out, service);
    put_word(out, bk_deny_name(reason));
    put_number(out, retry_after_ms);
}

void
bk_write_grant(struct bk_text *out, const char *service, uint64_t token,
               uint64_t delay_ms)
{
    bk_text_put(out, "GRANT");
    put_word(out, service);
    put_number(out, token);
    put_number(out, delay_ms);
}

void
bk_write_applied(struct bk_text *out, enum bk_applied applied)
{
    bk_text_put(out, "OK");
    put_word(out, bk_applied_name(applied));
}

void
bk_write_pong(struct bk_text *out, uint64_t epoch)
{
    bk_text_put(out, "PONG");
    put_number(out, epoch);
}

void
bk_write_acquire(struct bk_text *out, const char *service, uint64_t attempt,
                 uint64_t token, uint64_t ttl_ms)
{
    bk_text_put(out, "ACQUIRE");
    put_word(out, service);
    if (attempt > 1 || token > 0 || ttl_ms > 0)
        put_number(out, attempt);
    if (token > 0)
        put_number(out, token);
    else if (ttl_ms > 0)
        put_word(out, "-");
    if (ttl_ms > 0)
        put_number(out, ttl_ms);
}

/* The optional words of a report. What is not known at the end is left out. */
static void
put_report_details(struct bk_text *out, int64_t latency_us, uint64_t attempt,
                   bool will_retry, uint64_t retry_after_ms, bool has_text)
{
    bool has_hold = retry_after_ms > 0 || has_text;
    bool has_attempt = attempt > 0 || will_retry || has_hold;
    if (latency_us >= 0)
        put_number(out, (uint64_t)latency_us);
    else if (has_attempt)
        put_word(out, "-");
    if (attempt > 0)
        put_number(out, attempt);
    else if (has_attempt)
        put_word(out, "-");
    if (will_retry)
        bk_text_put_char(out, '+');
    if (has_hold)
        put_number(out, retry_after_ms);
}

void
bk_write_report(struct bk_text *out, bool is_silent, const char *service,
                uint64_t permit, bool is_current, uint64_t generation,
                enum bk_outcome outcome, int64_t latency_us, uint64_t attempt,
                bool will_retry, uint64_t retry_after_ms, const char *text)
{
    size_t start = out->len;
    bk_text_put(out, is_silent ? "REPORTQ" : "REPORT");
    put_word(out, service);
    put_number(out, permit);
    if (is_current)
        put_word(out, "-");
    else
        put_number(out, generation);
    put_word(out, bk_outcome_name(outcome));
    bool has_text = text != NULL && text[0] != '\0';
    put_report_details(out, latency_us, attempt, will_retry, retry_after_ms,
                       has_text);
    if (has_text) {
        size_t used = out->len - start + 1;
        BK_ASSERT(used < BK_LINE_MAX);
        put_free_text(out, text, BK_LINE_MAX - used);
    }
}

void
bk_write_retry(struct bk_text *out, const char *service,
               uint64_t failed_attempt, enum bk_outcome outcome,
               uint64_t retry_after_ms)
{
    bk_text_put(out, "RETRY");
    put_word(out, service);
    put_number(out, failed_attempt);
    put_word(out, bk_outcome_name(outcome));
    if (retry_after_ms > 0)
        put_number(out, retry_after_ms);
}

void
bk_write_release(struct bk_text *out, uint64_t id)
{
    bk_text_put(out, "RELEASE");
    put_number(out, id);
}

void
bk_write_renew(struct bk_text *out, uint64_t permit, uint64_t ttl_ms)
{
    bk_text_put(out, "RENEW");
    put_number(out, permit);
    put_number(out, ttl_ms);
}

void
bk_write_tally(struct bk_text *out, const char *service, bool is_allowed,
               uint64_t count, enum bk_deny reason)
{
    bk_text_put(out, "TALLYQ");
    put_word(out, service);
    put_word(out, is_allowed ? "allowed" : "denied");
    put_number(out, count);
    if (reason != BK_DENY_NONE)
        put_word(out, bk_deny_name(reason));
}
