/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a call, and permits given back or kept longer. Outcomes go to whoever
 * is in charge, in the order they were given. */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/home.h"
#include "client/ring_tell.h"
#include "client/stopwatch.h"
#include "client/tally.h"
#include "core/wire.h"
#include <string.h>

#define RETRY_AFTER_MAX_MS (UINT64_C(1) << 40)
#define LATENCY_MAX_US (INT64_C(1) << 50)

/* What an answer to REPORT, RELEASE or RENEW says. */
static int
read_answer(const struct exchange *x)
{
    struct bk_reply reply;

    if (!session_read(x, &reply))
        return client_fail(BREAKER_ERROR_REFUSED,
                           "breakerd's answer cannot be read", "", "");
    if (reply.kind == BK_REPLY_OK && reply.applied == BK_APPLIED)
        return BREAKER_APPLIED;
    if (reply.kind == BK_REPLY_OK && reply.applied == BK_STALE)
        return BREAKER_STALE;
    if (reply.kind == BK_REPLY_OK && reply.applied == BK_UNKNOWN)
        return BREAKER_UNKNOWN;
    return client_fail(BREAKER_ERROR_REFUSED, "breakerd refused: ", x->answer,
                       "");
}

static int
name_applied(enum bk_applied applied)
{
    switch (applied) {
    case BK_APPLIED:
        return BREAKER_APPLIED;
    case BK_STALE:
        return BREAKER_STALE;
    case BK_UNKNOWN:
        break;
    }
    return BREAKER_UNKNOWN;
}

/* ---- outcomes ---- */

static int
report_locally(struct breaker *b, const struct told *item)
{
    enum bk_applied applied;

    if (b->fail == BREAKER_FAIL_OPEN || b->fail == BREAKER_FAIL_CLOSED)
        return BREAKER_DONE; /* no machine runs that could learn from it */
    if (!local_report(b, item, &applied))
        return client_fail(BREAKER_ERROR_UNAVAILABLE,
                           "there is no breakerd, and no local machine", "",
                           "");
    return name_applied(applied);
}

/* The daemon's lease, and it is away: it may find it again when it is back. */
static int
keep(struct breaker *b, const struct told *item)
{
    ring_note_sent(b);
    session_keep(b, item);
    return BREAKER_DONE;
}

/* False: the session does not take it. */
static bool
take_up(struct breaker *b, const struct told *item, int *answer)
{
    enum session_told told;

    ring_note_sent(b);
    told = session_tell(b, item);
    *answer = told == SESSION_QUEUED ? BREAKER_QUEUED : BREAKER_DONE;
    return told != SESSION_SPEECHLESS;
}

static int
confirm(struct breaker *b, const struct told *item, int64_t now_ns)
{
    char line[BK_LINE_MAX + 1];
    char answer[BK_LINE_MAX + 1];
    struct exchange x = {.line = line, .answer = answer, .size = sizeof answer};
    struct bk_text text;

    bk_text_init(&text, line, sizeof line);
    told_write(item, false, &text);
    x.line_len = text.len;
    switch (session_ask(b, &x, now_ns + b->deadline_ns)) {
    case SESSION_ANSWERED:
        return read_answer(&x);
    case SESSION_NOT_SENT:
        return item->id != 0 ? keep(b, item) : report_locally(b, item);
    case SESSION_SENT:
        break;
    }
    ring_note_sent(b);
    return client_fail(BREAKER_ERROR_UNAVAILABLE,
                       "breakerd did not answer in time", "", "");
}

/* `home` is the permit's. */
static int
tell(struct breaker *b, const struct told *item, uint64_t home,
     bool wants_answer)
{
    int64_t now_ns = clock_mono_ns();
    bool is_daemons = client_daemon_in_charge(b, now_ns);
    bool is_local = home_serial(home) != 0;
    /* A permit the local machine gave is settled there while it lasts. */
    bool is_at_home = is_local && home_serial(home) == local_serial(b);
    int answer;

    if (item->id != 0 && is_local != is_at_home)
        return BREAKER_STALE; /* whoever leased it is gone */
    if (is_at_home || (!is_daemons && item->id == 0))
        return report_locally(b, item);
    if (!is_daemons)
        return keep(b, item);
    if (wants_answer)
        return confirm(b, item, now_ns);
    if (ring_tell(b, item))
        return BREAKER_DONE;
    if (take_up(b, item, &answer))
        return answer;
    return item->id != 0 ? keep(b, item) : report_locally(b, item);
}

static void
put_details(struct told *item, const struct breaker_details *details)
{
    size_t len;

    item->latency_us = details->latency_us < LATENCY_MAX_US
                           ? details->latency_us
                           : LATENCY_MAX_US;
    if (item->latency_us < 0)
        item->latency_us = -1;
    item->retry_after_ms = details->retry_after_ms < RETRY_AFTER_MAX_MS
                               ? details->retry_after_ms
                               : RETRY_AFTER_MAX_MS;
    item->will_retry = details->will_retry != 0;
    if (details->text == NULL)
        return;
    len = strnlen(details->text, TOLD_TEXT);
    for (size_t i = 0; i < len; i++) {
        char c = details->text[i];
        bool is_control = (unsigned char)c < ' ' || c == 0x7f;

        item->text[i] = '?';
        if (!is_control)
            item->text[i] = c;
    }
}

static int
report(struct breaker_service *s, struct breaker_permit *permit,
       enum breaker_outcome outcome, const struct breaker_details *details)
{
    static const struct breaker_details nothing = BREAKER_DETAILS_INIT;
    struct told item = {.service = s, .kind = TOLD_REPORT};
    struct breaker *b = s->client;
    uint64_t home;

    if (details == NULL)
        details = &nothing;
    if ((unsigned)outcome > BREAKER_CANCELLED ||
        details->size < sizeof *details)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no such outcome, or details.size is not set", "",
                           "");
    if (!client_is_ready(b))
        return client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    item.outcome = (uint8_t)outcome;
    item.is_current = permit == NULL;
    home = permit == NULL ? home_of_daemon(b) : permit->home;
    if (permit != NULL) {
        item.id = permit->id;
        item.generation = permit->generation;
        item.attempt = permit->attempt;
        permit->is_settled = 1;
        if (item.id != 0 && !home_is_ours(b, home))
            return BREAKER_STALE; /* a parent's lease */
        if (!home_is_ours(b, home))
            home = home_of_daemon(b);
    }
    put_details(&item, details);
    return tell(b, &item, home, (details->flags & BREAKER_CONFIRM) != 0);
}

int
breaker_report_with(struct breaker_permit *permit, enum breaker_outcome outcome,
                    const struct breaker_details *details)
{
    struct entry entry;
    int answer;

    if (permit == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no permit", "", "");
    if (permit->is_settled != 0 || permit->verdict != BREAKER_ALLOWED)
        return BREAKER_STALE;
    if (permit->service == NULL || permit->source == BREAKER_BY_NOBODY)
        return BREAKER_DONE; /* there was no breaker that could learn */
    entry = client_enter();
    answer = report(permit->service, permit, outcome, details);
    client_leave(entry);
    return answer;
}

static __attribute__((noinline)) int
report_latency(struct breaker_permit *permit, enum breaker_outcome outcome,
               int64_t latency_us)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;

    details.latency_us = latency_us;
    return breaker_report_with(permit, outcome, &details);
}

LANE_HOT int
breaker_report(struct breaker_permit *permit, enum breaker_outcome outcome,
               int64_t latency_us)
{
    if (outcome == BREAKER_SUCCESS && permit != NULL &&
        permit->service != NULL && ring_tell_success(permit, latency_us))
        return BREAKER_DONE;
    return report_latency(permit, outcome, latency_us);
}

int
breaker_end(struct breaker_permit *permit, enum breaker_outcome outcome)
{
    return breaker_report(permit, outcome,
                          permit != NULL ? stopwatch_stop(permit->began) : -1);
}

int
breaker_report_service(struct breaker_service *s, enum breaker_outcome outcome,
                       const struct breaker_details *details)
{
    struct entry entry;
    int answer;

    if (s == NULL)
        return BREAKER_DONE;
    entry = client_enter();
    answer = report(s, NULL, outcome, details);
    client_leave(entry);
    return answer;
}

/* ---- giving back ---- */

static int
give_back(struct breaker *b, uint64_t id, uint64_t home)
{
    struct told item = {.kind = TOLD_RELEASE, .id = id};
    enum bk_applied applied;
    int answer;

    if (id == 0 || !client_is_ready(b) || !home_is_ours(b, home))
        return BREAKER_STALE;
    if (home_serial(home) != 0) {
        if (!local_release(b, home_serial(home), id, &applied))
            return BREAKER_STALE;
        return name_applied(applied);
    }
    if (client_daemon_in_charge(b, clock_mono_ns()) && ring_tell(b, &item))
        return BREAKER_DONE;
    return take_up(b, &item, &answer) ? answer : keep(b, &item);
}

int
breaker_release(struct breaker_permit *permit)
{
    struct entry entry;
    int answer;

    if (permit == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no permit", "", "");
    if (permit->is_settled != 0 || permit->service == NULL)
        return BREAKER_STALE;
    permit->is_settled = 1;
    entry = client_enter();
    answer = give_back(permit->service->client, permit->id, permit->home);
    client_leave(entry);
    return answer;
}

int
breaker_token_release(struct breaker_token *token)
{
    struct entry entry;
    int answer;

    if (token == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no token", "", "");
    if (token->is_settled != 0 || token->service == NULL)
        return BREAKER_STALE;
    token->is_settled = 1;
    entry = client_enter();
    answer = give_back(token->service->client, token->id, token->home);
    client_leave(entry);
    return answer;
}

/* ---- keeping longer ---- */

static int
renew(struct breaker_permit *permit, uint64_t ttl_ms)
{
    struct breaker *b = permit->service->client;
    int64_t now_ns = clock_mono_ns();
    enum bk_applied applied;
    char line[64];
    char answer[BK_LINE_MAX + 1];
    struct exchange x = {.line = line, .answer = answer, .size = sizeof answer};
    struct bk_text text;

    if (!client_is_ready(b) || !home_is_ours(b, permit->home))
        return BREAKER_STALE;
    if (home_serial(permit->home) != 0) {
        if (!local_renew(b, home_serial(permit->home), permit->id,
                         (int64_t)ttl_ms * BK_NS_PER_MS, &applied))
            return client_fail(BREAKER_ERROR_UNAVAILABLE,
                               "there is no local machine any more", "", "");
        return name_applied(applied);
    }
    bk_text_init(&text, line, sizeof line);
    bk_write_renew(&text, permit->id, ttl_ms);
    x.line_len = text.len;
    if (!client_daemon_in_charge(b, now_ns) ||
        session_ask(b, &x, now_ns + b->deadline_ns) != SESSION_ANSWERED)
        return client_fail(BREAKER_ERROR_UNAVAILABLE,
                           "breakerd did not answer in time", "", "");
    return read_answer(&x);
}

int
breaker_renew(struct breaker_permit *permit, uint64_t ttl_ms)
{
    struct entry entry;
    int answer;

    if (permit == NULL || ttl_ms == 0)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no permit, or a ttl of 0 ms", "", "");
    if (permit->id == 0 || permit->is_settled != 0 || permit->service == NULL)
        return BREAKER_STALE;
    entry = client_enter();
    answer = renew(permit,
                   ttl_ms < RETRY_AFTER_MAX_MS ? ttl_ms : RETRY_AFTER_MAX_MS);
    client_leave(entry);
    return answer;
}
