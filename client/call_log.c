/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/call_log.h"
#include "client/clock.h"
#include <string.h>

static void
add(_Atomic uint64_t *number, uint64_t by)
{
    atomic_fetch_add_explicit(number, by, memory_order_relaxed);
}

/* ---- numbers ---- */

static void
count(struct call_numbers *n, const struct breaker_call *c,
      enum call_event event, int64_t delay_ns)
{
    switch (event) {
    case CALL_EVENT_BEGIN:
        add(&n->calls, 1);
        break;
    case CALL_EVENT_ATTEMPT:
        add(&n->attempts, 1);
        add(&n->by_class[c->last.error_class], 1);
        break;
    case CALL_EVENT_RETRY:
        add(&n->retries, 1);
        add(&n->retry_delay_ms, bk_ms_up(delay_ns));
        add(&n->retries_by_class[c->last.error_class], 1);
        break;
    case CALL_EVENT_WAIT:
        break;
    case CALL_EVENT_NEXT:
        add(&n->fallbacks, 1);
        break;
    case CALL_EVENT_OVER:
        if (c->sum.stop == BREAKER_STOP_CANCELLED)
            add(&n->cancelled, 1);
        if (c->sum.is_default != 0)
            add(&n->default_answers, 1);
        break;
    }
}

/* ---- sentences ---- */

static void
put_printable(struct bk_text *text, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char ch = (unsigned char)*s;

        if (ch < ' ' || ch == 0x7f)
            bk_text_put_char(text, '?');
        else
            bk_text_put_char(text, *s);
    }
}

/* "gpt-4: attempt 1 failed (timeout: no answer)", or that it was denied. */
static void
put_trouble(struct bk_text *text, const struct breaker_call *c)
{
    bk_text_put(text, breaker_service_name(c->service));
    if (c->failed == 0) {
        bk_text_put(text, ": denied (");
        bk_text_put(text, breaker_reason_name((int)c->sum.reason));
        bk_text_put(text, ")");
        return;
    }
    bk_text_put(text, ": attempt ");
    bk_text_put_u64(text, c->failed);
    bk_text_put(text, " failed (");
    bk_text_put(text, breaker_outcome_name((int)c->last.outcome));
    if (c->last.text[0] != '\0') {
        bk_text_put(text, ": ");
        put_printable(text, c->last.text);
    }
    bk_text_put(text, ")");
}

/* False: nothing to say. */
static bool
put_sentence(struct bk_text *text, const struct breaker_call *c,
             enum call_event event, int64_t delay_ns)
{
    switch (event) {
    case CALL_EVENT_BEGIN:
    case CALL_EVENT_ATTEMPT:
        return false;
    case CALL_EVENT_RETRY:
        put_trouble(text, c);
        bk_text_put(text, ", attempt ");
        bk_text_put_u64(text, c->failed + 1);
        bk_text_put(text, " in ");
        bk_text_put_u64(text, bk_ms_up(delay_ns));
        bk_text_put(text, " ms");
        return true;
    case CALL_EVENT_WAIT:
        put_trouble(text, c);
        if (c->failed > 0) {
            bk_text_put(text, ", the next is denied (");
            bk_text_put(text, breaker_reason_name((int)c->sum.reason));
            bk_text_put(text, ")");
        }
        bk_text_put(text, ", asking again in ");
        bk_text_put_u64(text, bk_ms_up(delay_ns));
        bk_text_put(text, " ms");
        return true;
    case CALL_EVENT_NEXT:
        put_trouble(text, c);
        bk_text_put(text, ", going on with ");
        bk_text_put(text, breaker_service_name(c->next));
        return true;
    case CALL_EVENT_OVER:
        if (c->sum.is_default == 0)
            return false;
        put_trouble(text, c);
        bk_text_put(text, ", the default answer is given");
        return true;
    }
    return false;
}

/* The handle's own log is not flooded by an outage that every call meets. */
static bool
may_speak(struct call_numbers *n)
{
    int64_t second = clock_coarse_ns() / BK_NS_PER_S;
    int64_t known = atomic_load_explicit(&n->second, memory_order_relaxed);

    if (known != second && atomic_compare_exchange_strong_explicit(
                               &n->second, &known, second, memory_order_relaxed,
                               memory_order_relaxed))
        atomic_store_explicit(&n->sentences, 0, memory_order_relaxed);
    return atomic_fetch_add_explicit(&n->sentences, 1, memory_order_relaxed) <
           CALL_SENTENCES_MAX;
}

void
call_log(struct breaker *b, const struct breaker_call *c, enum call_event event,
         int64_t delay_ns)
{
    struct call_numbers *n = b == NULL ? NULL : &client_world(b)->calls;
    /* A call that waits out an outage asks again many times. */
    enum breaker_log_level level =
        event == CALL_EVENT_WAIT ? BREAKER_LOG_INFO : BREAKER_LOG_WARNING;
    char sentence[LOG_SIZE];
    struct bk_text text;

    if (n != NULL)
        count(n, c, event, delay_ns);
    bk_text_init(&text, sentence, sizeof sentence);
    if (!put_sentence(&text, c, event, delay_ns))
        return;
    if (c->how.log != NULL)
        c->how.log(c->how.log_context, level, sentence);
    else if (n != NULL && may_speak(n))
        log_say(b, level, sentence);
}
