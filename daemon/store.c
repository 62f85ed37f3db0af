/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's side of the store: no call here touches the file, and the mutex is only
 * ever held for moments. */
#include "daemon/store.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/store_thread.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ":memory:" and the like are names to SQLite; to us they are files. */
static char *
path_of(const char *path)
{
    size_t len = strlen(path);
    char *copy = calloc(1, len + 3);

    if (copy == NULL)
        return NULL;
    (void)snprintf(copy, len + 3, "%s%s", path[0] != '/' ? "./" : "", path);
    return copy;
}

/* The thread leaves all signals to the loop. */
static bool
start_thread(struct store *s)
{
    sigset_t every;
    sigset_t old;

    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &old);
    s->has_thread = pthread_create(&s->thread, NULL, store_thread_run, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return s->has_thread;
}

static void
free_store(struct store *s)
{
    struct store_reply *reply = s->news.first;

    while (reply != NULL) {
        struct store_reply *next = reply->next;

        free(reply->done.json);
        free(reply);
        reply = next;
    }
    store_box_free(&s->incoming);
    store_box_free(&s->handed);
    store_box_free(&s->work);
    store_box_free(&s->spare);
    store_roll_free(&s->roll);
    store_file_close(&s->file);
    free(s->file.path);
    if (s->wake_fd >= 0)
        (void)close(s->wake_fd);
    if (s->done_fd >= 0)
        (void)close(s->done_fd);
    (void)pthread_cond_destroy(&s->started);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

struct store *
store_open(const char *path, struct bk_text *error)
{
    struct store *s = calloc(1, sizeof *s);

    if (s == NULL) {
        bk_text_put(error, "store: out of memory");
        return NULL;
    }
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->started, NULL);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->file.path = path_of(path);
    if (s->wake_fd < 0 || s->done_fd < 0 || s->file.path == NULL) {
        bk_text_put(error, "store: ");
        bk_text_put(error, strerror(errno));
    } else if (start_thread(s)) {
        return s;
    } else {
        bk_text_put(error, "store: cannot start its thread");
    }
    free_store(s);
    return NULL;
}

void
store_check(struct store *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->wants_check = true;
    (void)pthread_mutex_unlock(&s->mutex);
    store_wake(s->wake_fd);
}

static bool
has_ended(struct store *s)
{
    bool is_over;

    (void)pthread_mutex_lock(&s->mutex);
    is_over = s->has_ended;
    (void)pthread_mutex_unlock(&s->mutex);
    return is_over;
}

/* Waits for the thread's end; false when the deadline came first. */
static bool
await_end(struct store *s, int64_t deadline_ms)
{
    int64_t end_ns = clock_mono_ns() + deadline_ms * BK_NS_PER_MS;

    while (!has_ended(s)) {
        struct pollfd done = {.fd = s->done_fd, .events = POLLIN};
        int64_t left_ns = end_ns - clock_mono_ns();
        uint64_t count;
        ssize_t got;

        if (left_ns <= 0)
            return false;
        if (left_ns > BK_NS_PER_S)
            left_ns = BK_NS_PER_S;
        (void)poll(&done, 1, (int)bk_ms_up(left_ns));
        got = read(s->done_fd, &count, sizeof count);
        (void)got; /* other news than the end is no matter any more */
    }
    return true;
}

void
store_close(struct store **s, int64_t deadline_ms)
{
    struct store *old = *s;

    if (old == NULL)
        return;
    *s = NULL;
    store_flush(old);
    (void)pthread_mutex_lock(&old->mutex);
    old->is_stopping = true;
    (void)pthread_mutex_unlock(&old->mutex);
    store_wake(old->wake_fd);
    if (await_end(old, deadline_ms)) {
        (void)pthread_join(old->thread, NULL);
        free_store(old);
        return;
    }
    /* A disk that does not answer holds the thread, and the thread its memory;
     * the process is about to end with both. */
    log_line(LOG_ERROR, "store %s: the disk does not answer, leaving it",
             old->file.path);
    (void)pthread_detach(old->thread);
}

static uint64_t
next_job(struct store *s)
{
    s->incoming.last_job = ++s->job;
    return s->job;
}

uint64_t
store_put_event(struct store *s, const struct bk_past *event)
{
    store_box_put_event(&s->incoming, event);
    return next_job(s);
}

uint64_t
store_put_service(struct store *s, const struct bk_saved *saved,
                  int64_t wall_ms)
{
    store_box_put_service(&s->incoming, saved, wall_ms);
    return next_job(s);
}

uint64_t
store_put_setting(struct store *s, const char *service, const char *key,
                  const char *value)
{
    store_box_put_setting(&s->incoming, service, key, value);
    return next_job(s);
}

uint64_t
store_put_forgotten(struct store *s, const char *name, uint64_t generation)
{
    store_box_put_forgotten(&s->incoming, name, generation);
    return next_job(s);
}

uint64_t
store_put_leap(struct store *s)
{
    store_box_put_leap(&s->incoming);
    return next_job(s);
}

uint64_t
store_put_meta(struct store *s, const struct store_meta *meta)
{
    store_box_put_meta(&s->incoming, meta);
    return next_job(s);
}

/* Questions are bounded over all boxes, so each has an answer. */
static uint64_t
put_ask(struct store *s, struct store_ask *ask)
{
    static const char refusal[] = "too many questions at once";

    ask->job = next_job(s);
    s->asks_out++;
    if (s->asks_out > STORE_ASKS_MAX || !store_box_put_ask(&s->incoming, ask)) {
        struct store_done done = {
            .kind = STORE_ANSWER, .job = ask->job, .ticket = ask->ticket};

        bk_copy_text(done.text, sizeof done.text, refusal, sizeof refusal - 1);
        (void)pthread_mutex_lock(&s->mutex);
        store_reply_add(s, &done);
        (void)pthread_mutex_unlock(&s->mutex);
    }
    return ask->job;
}

uint64_t
store_ask_history(struct store *s, const char *service, uint64_t limit,
                  uint64_t before, uint64_t ticket)
{
    struct store_ask ask = {.limit = limit, .before = before, .ticket = ticket};

    if (service != NULL)
        bk_copy_text(ask.service, sizeof ask.service, service, strlen(service));
    return put_ask(s, &ask);
}

uint64_t
store_ask_copy(struct store *s, const char *path, bool may_replace,
               uint64_t ticket)
{
    struct store_ask ask = {.may_replace = may_replace, .ticket = ticket};

    bk_copy_text(ask.path, sizeof ask.path, path, strlen(path));
    return put_ask(s, &ask);
}

void
store_flush(struct store *s)
{
    if (s->incoming.last_job == 0)
        return;
    (void)pthread_mutex_lock(&s->mutex);
    store_box_merge(&s->handed, &s->incoming);
    (void)pthread_mutex_unlock(&s->mutex);
    store_wake(s->wake_fd);
}

int
store_fd(const struct store *s)
{
    return s->done_fd;
}

/* In the order of the jobs; a failure that a later success made good is not told
 * any more. */
static void
take_saved(struct store_news *n, struct store_done *out)
{
    out->kind = STORE_SAVED;
    out->job = n->saved_job;
    if (n->failed_job <= n->saved_job)
        n->failed_job = 0;
    n->saved_job = 0;
}

static void
take_failed(struct store_news *n, struct store_done *out)
{
    out->kind = STORE_FAILED;
    out->job = n->failed_job;
    memcpy(out->text, n->failed_text, sizeof out->text);
    n->failed_job = 0;
}

static void
take_reply(struct store_news *n, struct store_done *out)
{
    struct store_reply *reply = n->first;

    *out = reply->done;
    n->octets -= out->json_len;
    n->first = reply->next;
    if (n->first == NULL)
        n->last = NULL;
    free(reply);
}

static bool
take_news(struct store_news *n, struct store_done *out)
{
    memset(out, 0, sizeof *out);
    if (n->wants_rebuild) {
        n->wants_rebuild = false;
        out->kind = STORE_REBUILD;
    } else if (n->saved_job != 0) {
        take_saved(n, out);
    } else if (n->failed_job != 0) {
        take_failed(n, out);
    } else if (n->first != NULL) {
        take_reply(n, out);
    } else {
        return false;
    }
    return true;
}

bool
store_next(struct store *s, struct store_done *out)
{
    bool has_news;

    (void)pthread_mutex_lock(&s->mutex);
    has_news = take_news(&s->news, out);
    if (!has_news) {
        /* Under the mutex: news that come now wake the loop anew. */
        uint64_t count;
        ssize_t got = read(s->done_fd, &count, sizeof count);

        (void)got;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    if (has_news && out->kind == STORE_ANSWER) {
        s->asks_out--;
        /* There is room for another answer, should the thread wait for it. */
        if (s->asks_out > 0)
            store_wake(s->wake_fd);
    }
    return has_news;
}

void
store_stats(struct store *s, struct store_stats *out)
{
    (void)pthread_mutex_lock(&s->mutex);
    *out = s->stats;
    out->queued += store_box_count(&s->handed);
    (void)pthread_mutex_unlock(&s->mutex);
}
