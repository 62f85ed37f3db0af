/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking: services by name, status, configuration, signs of life, numbers. */
#define _GNU_SOURCE
#include "client/bug.h"
#include "client/clock.h"
#include "client/tally.h"
#include "core/wire.h"
#include <stdlib.h>
#include <string.h>

/* The longest JSON answer ever taken. */
#define ANSWER_MAX ((size_t)256 * 1024)

/* ---- names ---- */

struct breaker_service *
breaker_service(struct breaker *b, const char *name)
{
    struct breaker_service *s = NULL;
    enum breaker_error error = BREAKER_ERROR_MEMORY;
    struct entry entry;
    struct world *w;
    size_t len;

    if (b == NULL || name == NULL) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT, "no handle or no name", "",
                          "");
        return NULL;
    }
    len = strnlen(name, BK_NAME_SIZE);
    s = names_find(&b->names, name, len);
    if (s != NULL)
        return s;
    entry = client_enter();
    if (!bk_name_is_valid(name, len)) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "a service's name is 1 to 63 of "
                          "A-Z a-z 0-9 . _ : / @ -, and not - alone",
                          "", "");
    } else if (client_is_ready(b)) {
        w = client_world(b);
        (void)pthread_mutex_lock(&w->names_lock);
        s = names_add(&b->names, b, name, len, &error);
        (void)pthread_mutex_unlock(&w->names_lock);
        if (s == NULL)
            (void)client_fail(error,
                              error == BREAKER_ERROR_FULL
                                  ? "too many services in one handle"
                                  : "out of memory",
                              "", "");
    }
    client_leave(entry);
    return s;
}

const char *
breaker_service_name(const struct breaker_service *s)
{
    return s == NULL ? "" : s->name;
}

/* ---- documents ---- */

static int
give(const char *text, size_t len, char *buffer, size_t size)
{
    if (size > 0)
        (void)bk_copy_text(buffer, size, text, len);
    return (int)len;
}

/* Asks one line and gives out the document behind OK. */
static int
ask_document(struct breaker *b, const struct bk_text *line, char *buffer,
             size_t size)
{
    int64_t now_ns = clock_mono_ns();
    struct exchange x = {
        .line = line->at, .line_len = line->len, .size = ANSWER_MAX};
    struct bk_reply reply;
    int outcome;

    if (!client_daemon_in_charge(b, now_ns))
        return client_fail(BREAKER_ERROR_UNAVAILABLE, "breakerd is away", "",
                           "");
    x.answer = malloc(ANSWER_MAX);
    if (x.answer == NULL)
        return client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    if (session_ask(b, &x, now_ns + b->deadline_ns) != SESSION_ANSWERED)
        outcome = client_fail(BREAKER_ERROR_UNAVAILABLE,
                              "breakerd did not answer in time", "", "");
    else if (x.answer_len >= x.size)
        outcome = client_fail(BREAKER_ERROR_TOO_LONG,
                              "breakerd's answer is too long", "", "");
    else if (!session_read(&x, &reply) || reply.kind != BK_REPLY_OK)
        outcome = client_fail(BREAKER_ERROR_REFUSED,
                              "breakerd refused: ", x.answer, "");
    else
        outcome = give(reply.text.at, reply.text.len, buffer, size);
    free(x.answer);
    return outcome;
}

static int
status_locally(struct breaker *b, struct breaker_service *s, char *buffer,
               size_t size)
{
    struct bk_text text;
    char *json = malloc(ANSWER_MAX);
    int outcome;

    if (json == NULL)
        return client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    bk_text_init(&text, json, ANSWER_MAX);
    if (local_status(b, s, &text) && !text.is_cut)
        outcome = give(json, text.len, buffer, size);
    else
        outcome =
            client_fail(BREAKER_ERROR_UNAVAILABLE,
                        "there is no breakerd, and no local machine", "", "");
    free(json);
    return outcome;
}

int
breaker_status(struct breaker_service *s, char *buffer, size_t size)
{
    char line[BK_LINE_MAX + 1];
    struct bk_text text;
    struct entry entry;
    int outcome;

    if (s == NULL || (buffer == NULL && size > 0))
        return client_fail(BREAKER_ERROR_ARGUMENT, "no service or no buffer",
                           "", "");
    entry = client_enter();
    bk_text_init(&text, line, sizeof line);
    bk_text_put(&text, "STATUS ");
    bk_text_put(&text, s->name);
    outcome = client_is_ready(s->client)
                  ? ask_document(s->client, &text, buffer, size)
                  : client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    if (outcome == BREAKER_ERROR_UNAVAILABLE &&
        s->client->fail == BREAKER_FAIL_LOCAL)
        outcome = status_locally(s->client, s, buffer, size);
    client_leave(entry);
    return outcome;
}

int
breaker_config(struct breaker *b, struct breaker_service *s, char *buffer,
               size_t size)
{
    char line[BK_LINE_MAX + 1];
    struct bk_text text;
    struct entry entry;
    int outcome;

    if (b == NULL || (buffer == NULL && size > 0) ||
        (s != NULL && s->client != b))
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no handle, another's service, or no buffer", "",
                           "");
    entry = client_enter();
    bk_text_init(&text, line, sizeof line);
    bk_text_put(&text, "CONFIG");
    if (s != NULL) {
        bk_text_put(&text, " ");
        bk_text_put(&text, s->name);
    }
    outcome = client_is_ready(b)
                  ? ask_document(b, &text, buffer, size)
                  : client_fail(BREAKER_ERROR_MEMORY, "out of memory", "", "");
    client_leave(entry);
    return outcome;
}

int
breaker_ping(struct breaker *b, uint64_t *epoch)
{
    char answer[128];
    struct exchange x = {
        .line = "PING", .line_len = 4, .answer = answer, .size = sizeof answer};
    struct bk_reply reply;
    struct entry entry;
    int64_t now_ns;
    int outcome = 0;

    if (b == NULL)
        return client_fail(BREAKER_ERROR_ARGUMENT, "no handle", "", "");
    entry = client_enter();
    now_ns = clock_mono_ns();
    if (!client_is_ready(b) || !client_daemon_in_charge(b, now_ns) ||
        session_ask(b, &x, now_ns + b->deadline_ns) != SESSION_ANSWERED ||
        !session_read(&x, &reply) || reply.kind != BK_REPLY_PONG)
        outcome = client_fail(BREAKER_ERROR_UNAVAILABLE,
                              "breakerd does not answer", "", "");
    else if (epoch != NULL)
        *epoch = reply.id;
    client_leave(entry);
    return outcome;
}

/* ---- this handle ---- */

static void
explain(struct breaker *b, struct bk_text *text)
{
    struct view *view = client_view(b);
    bool is_alive = view != NULL && view_is_alive(view, clock_coarse_ns());
    struct cause cause;

    client_why(b, &cause);
    if (client_outage(client_world(b)) == OUTAGE_SILENT && is_alive) {
        bk_text_put(text,
                    "breakerd's memory decides, but it does not answer: ");
        bk_text_put(text, cause.text);
    } else if (is_alive && b->mode == BREAKER_MODE_AUTO) {
        bk_text_put(text, "breakerd's memory decides, and breakerd where it "
                          "must be asked");
    } else if (is_alive) {
        bk_text_put(text, "breakerd is asked before every call: mode zmq");
    } else if (view == NULL && client_outage(client_world(b)) == OUTAGE_NONE &&
               b->mode != BREAKER_MODE_LOCAL) {
        bk_text_put(text, "breakerd is asked before every call: ");
        bk_text_put(text, cause.text);
    } else {
        bk_text_put(text, b->fail == BREAKER_FAIL_OPEN
                              ? "every call is let through: "
                          : b->fail == BREAKER_FAIL_CLOSED
                              ? "every call is denied: "
                              : "this process decides by itself: ");
        bk_text_put(text, cause.text);
    }
}

int
breaker_explain(struct breaker *b, char *buffer, size_t size)
{
    char sentence[LOG_SIZE];
    struct bk_text text;
    struct entry entry;

    if (b == NULL || (buffer == NULL && size > 0))
        return client_fail(BREAKER_ERROR_ARGUMENT, "no handle or no buffer", "",
                           "");
    entry = client_enter();
    bk_text_init(&text, sentence, sizeof sentence);
    if (client_is_ready(b))
        explain(b, &text);
    client_leave(entry);
    return give(sentence, text.len, buffer, size);
}

static uint64_t
load(_Atomic uint64_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

int
breaker_stats(struct breaker *b, struct breaker_stats *stats)
{
    struct breaker_stats full = BREAKER_STATS_INIT;
    struct entry entry;
    struct world *w;
    size_t size;

    if (b == NULL || stats == NULL || stats->size < sizeof stats->size)
        return client_fail(BREAKER_ERROR_ARGUMENT,
                           "no handle, or stats.size is not set", "", "");
    entry = client_enter();
    if (client_is_ready(b)) {
        w = client_world(b);
        full.by_memory = load(&w->numbers.by_memory) + tally_pending(b);
        full.by_daemon = load(&w->numbers.by_daemon);
        full.by_local = load(&w->numbers.by_local);
        full.by_nobody = load(&w->numbers.by_nobody);
        full.outages = load(&w->numbers.outages);
        full.unanswered = load(&w->session.unanswered);
        full.late = load(&w->session.late);
        full.reports_dropped = session_dropped(b);
        full.bugs = bug_count();
    }
    size = stats->size < sizeof full ? stats->size : sizeof full;
    full.size = stats->size;
    memcpy(stats, &full, size);
    client_leave(entry);
    return 0;
}
