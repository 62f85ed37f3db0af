/* SPDX-License-Identifier: Apache-2.0
 *
 * Many guarded transfers in one loop, and one by itself, which is a loop that
 * ends with it. */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/curl_loop.h"
#include "client/curl_quiet.h"
#include "client/curl_transfer.h"
#include <stdlib.h>
#include <string.h>

/* Perform looks up at least this often, whatever it waits for. */
#define LOOK_UP_MS 1000

struct breaker_curl_multi {
    struct curl_loop loop;
    struct curl_transfer *first;
    size_t count;
};

struct breaker_curl_multi *
breaker_curl_multi_new(void)
{
    int error = errno;
    struct breaker_curl_multi *m = calloc(1, sizeof *m);

    if (m != NULL && !curl_loop_open(&m->loop)) {
        free(m);
        m = NULL;
    }
    errno = error;
    return m;
}

int
breaker_curl_multi_fd(const struct breaker_curl_multi *m)
{
    return m != NULL ? m->loop.epoll : -1;
}

/* ---- the transfers ---- */

static struct curl_transfer **
find(struct breaker_curl_multi *m, const CURL *easy)
{
    struct curl_transfer **at = &m->first;

    while (*at != NULL && (*at)->easy != easy)
        at = &(*at)->next;
    return at;
}

static bool
is_watched(const struct breaker_curl_multi *m,
           const struct breaker_cancel *cancel)
{
    const struct curl_transfer *t = m->first;

    while (t != NULL && t->cancel != cancel)
        t = t->next;
    return t != NULL;
}

static int64_t
due(const struct curl_transfer *t)
{
    bool is_waiting =
        t->stage == CURL_STAGE_WAIT || t->stage == CURL_STAGE_ATTEMPT;

    return is_waiting ? t->due_ns : 0;
}

static void
arm(struct breaker_curl_multi *m)
{
    int64_t due_ns = BK_NEVER;

    for (struct curl_transfer *t = m->first; t != NULL; t = t->next)
        if (due(t) < due_ns)
            due_ns = due(t);
    curl_loop_arm(&m->loop, due_ns);
}

int
breaker_curl_multi_add(struct breaker_curl_multi *m,
                       struct breaker_service *service, CURL *easy,
                       const struct breaker_curl_options *options,
                       breaker_curl_done *done, void *context)
{
    struct curl_transfer *t;
    bool is_bad;

    if (m == NULL || easy == NULL || *find(m, easy) != NULL)
        return BREAKER_ERROR_ARGUMENT;
    if (m->count >= BREAKER_CURL_TRANSFERS_MAX)
        return BREAKER_ERROR_FULL;
    t = curl_transfer_new(m->loop.multi, service, easy, options, &is_bad);
    if (t == NULL)
        return is_bad ? BREAKER_ERROR_ARGUMENT : BREAKER_ERROR_MEMORY;
    if (t->cancel != NULL && !is_watched(m, t->cancel))
        curl_loop_watch(&m->loop, breaker_cancel_fd(t->cancel));
    t->done = done;
    t->context = context;
    t->next = m->first;
    m->first = t;
    m->count++;
    arm(m);
    return 0;
}

int
breaker_curl_multi_cancel(struct breaker_curl_multi *m, CURL *easy)
{
    struct curl_transfer *t = m != NULL ? *find(m, easy) : NULL;

    if (t == NULL)
        return BREAKER_ERROR_ARGUMENT;
    curl_transfer_cancel(t);
    arm(m);
    return 0;
}

/* Takes a transfer out of the set, ends it and, if wanted, tells its user. */
static void
end(struct breaker_curl_multi *m, struct curl_transfer **at, bool tells)
{
    struct breaker_summary summary = BREAKER_SUMMARY_INIT;
    struct curl_transfer *t = *at;
    breaker_curl_done *done = tells ? t->done : NULL;
    void *context = t->context;
    CURL *easy = t->easy;

    *at = t->next;
    m->count--;
    if (t->cancel != NULL && !is_watched(m, t->cancel))
        curl_loop_unwatch(&m->loop, breaker_cancel_fd(t->cancel));
    (void)curl_transfer_end(&t, &summary, tells);
    if (done != NULL)
        done(context, easy, &summary);
}

void
breaker_curl_multi_free(struct breaker_curl_multi **slot)
{
    struct breaker_curl_multi *m = slot != NULL ? *slot : NULL;
    struct curl_quiet quiet;

    if (m == NULL)
        return;
    curl_quiet_enter(&quiet);
    while (m->first != NULL) {
        /* Nobody is told any more, the user's callbacks neither. */
        curl_transfer_cancel(m->first);
        end(m, &m->first, false);
    }
    curl_loop_close(&m->loop);
    free(m);
    *slot = NULL;
    curl_quiet_leave(&quiet);
}

/* ---- a round ---- */

static void
take_messages(struct breaker_curl_multi *m)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(m->loop.multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        struct curl_transfer *t = *find(m, message->easy_handle);

        if (message->msg == CURLMSG_DONE && t != NULL)
            curl_transfer_finished(t, code);
    }
}

/* Whoever is over, one at a time: a callback may change the set. Those it adds
 * come first and are not over, so the bound is the number there was. */
static void
tell(struct breaker_curl_multi *m)
{
    for (size_t bound = m->count; bound > 0; bound--) {
        struct curl_transfer **at = &m->first;

        while (*at != NULL && (*at)->stage != CURL_STAGE_OVER)
            at = &(*at)->next;
        if (*at == NULL)
            return;
        end(m, at, true);
    }
}

int
breaker_curl_multi_run(struct breaker_curl_multi *m, uint32_t timeout_ms)
{
    struct curl_quiet quiet;
    int64_t now_ns;

    if (m == NULL)
        return BREAKER_ERROR_ARGUMENT;
    curl_quiet_enter(&quiet);
    arm(m);
    curl_loop_run(&m->loop, timeout_ms);
    take_messages(m);
    now_ns = clock_mono_ns();
    for (struct curl_transfer *t = m->first; t != NULL; t = t->next)
        curl_transfer_step(t, now_ns);
    tell(m);
    arm(m);
    curl_quiet_leave(&quiet);
    return (int)m->count;
}

/* ---- one by itself ---- */

struct one {
    struct breaker_summary *summary; /* the user's, or NULL */
    int stop;
    bool is_over;
};

static void
on_done(void *context, CURL *easy, const struct breaker_summary *summary)
{
    struct one *one = context;

    (void)easy;
    one->is_over = true;
    one->stop = (int)summary->stop;
    if (one->summary != NULL) {
        size_t size = one->summary->size;

        memcpy(one->summary, summary,
               size < sizeof *summary ? size : sizeof *summary);
        one->summary->size = size;
    }
}

int
breaker_curl_perform(struct breaker_service *service, CURL *easy,
                     const struct breaker_curl_options *options,
                     struct breaker_summary *summary)
{
    struct one one = {.summary = summary};
    struct breaker_curl_multi *own = NULL;
    struct breaker_curl_multi *m = NULL;
    int status;

    if (options != NULL &&
        options->size > offsetof(struct breaker_curl_options, multi))
        m = options->multi;
    if (easy == NULL)
        return BREAKER_ERROR_ARGUMENT;
    if (m == NULL) {
        own = breaker_curl_multi_new();
        m = own;
    }
    if (m == NULL)
        return BREAKER_ERROR_MEMORY;
    status = breaker_curl_multi_add(m, service, easy, options, on_done, &one);
    /* Each wait within it has its own end; the call has one as a whole. */
    while (status == 0 && !one.is_over)
        (void)breaker_curl_multi_run(m, LOOK_UP_MS);
    breaker_curl_multi_free(&own);
    return status != 0 ? status : one.stop;
}
