/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's thread: takes what was handed over, writes it, tells. What cannot
 * be written stays in `work`, folded with what comes after it. */
#include "daemon/store_thread.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Nothing happens after this long either, but no wait goes without an end. */
#define IDLE_MS 60000

void
store_wake(int fd)
{
    const uint64_t one = 1;
    ssize_t done;

    /* A counter that is full wakes just as well. */
    do {
        done = write(fd, &one, sizeof one);
    } while (done < 0 && errno == EINTR);
}

void
store_reply_add(struct store *s, const struct store_done *done)
{
    struct store_reply *reply = calloc(1, sizeof *reply);

    if (reply == NULL) {
        log_line(LOG_ERROR, "store: out of memory");
        abort();
    }
    reply->done = *done;
    if (s->news.last != NULL)
        s->news.last->next = reply;
    else
        s->news.first = reply;
    s->news.last = reply;
    s->news.octets += done->json_len;
    store_wake(s->done_fd);
}

/* When the next try is due. A failing file is tried again after a while, or
 * soon when there is something new, which somebody may be waiting for. */
static int64_t
due_ns(const struct store *s)
{
    if (store_box_count(&s->work) == 0)
        return BK_NEVER;
    if (s->retry_ns == 0)
        return 0;
    if (s->has_untried && s->tried_ns + STORE_RETRY_LEAST_NS < s->retry_ns)
        return s->tried_ns + STORE_RETRY_LEAST_NS;
    return s->retry_ns;
}

static void
sleep_until(const struct store *s, int64_t due)
{
    struct pollfd wake = {.fd = s->wake_fd, .events = POLLIN};
    int64_t now = clock_mono_ns();
    int timeout_ms = IDLE_MS;
    uint64_t count;
    ssize_t got;

    if (due <= now)
        timeout_ms = 0;
    else if (due - now < IDLE_MS * BK_NS_PER_MS)
        timeout_ms = (int)bk_ms_up(due - now);
    (void)poll(&wake, 1, timeout_ms);
    got = read(s->wake_fd, &count, sizeof count);
    (void)got; /* an empty counter is the ordinary case */
}

/* The mutex is held for the exchange of two boxes, never while one is laid over
 * the other, so the loop does not wait for it either. */
static bool
take(struct store *s)
{
    bool is_stopping;

    (void)pthread_mutex_lock(&s->mutex);
    store_box_merge(&s->spare, &s->handed);
    is_stopping = s->is_stopping;
    s->may_look = s->wants_check;
    (void)pthread_mutex_unlock(&s->mutex);
    if (store_box_count(&s->spare) > 0)
        s->has_untried = true;
    store_box_merge(&s->work, &s->spare);
    if (store_box_count(&s->work) == 0)
        s->work.last_job = 0; /* questions only */
    return is_stopping;
}

/* The file may not be written to any more, not even to try. */
static void
condemn(struct store *s, const struct bk_text *error)
{
    s->is_damaged = true;
    bk_copy_text(s->damage, sizeof s->damage, error->at, error->len);
}

/* Sets a damaged file aside, unless it is too soon after the last one. */
static bool
put_aside(struct store *s, int64_t now, struct bk_text *error)
{
    if (now < s->aside_ns) {
        bk_text_put(error, s->damage);
        return false;
    }
    s->aside_after_ns =
        s->aside_after_ns == 0 ? STORE_ASIDE_LEAST_NS : 2 * s->aside_after_ns;
    if (s->aside_after_ns > STORE_ASIDE_MOST_NS)
        s->aside_after_ns = STORE_ASIDE_MOST_NS;
    s->aside_ns = now + s->aside_after_ns;
    s->is_damaged = !store_file_set_aside(&s->file, s->damage);
    if (s->is_damaged)
        bk_text_put(error, s->damage);
    return !s->is_damaged;
}

/* A new file where there is none to be trusted. */
static bool
replace_file(struct store *s, int64_t now, struct bk_text *error)
{
    bk_text_init(error, error->at, error->cap);
    if (s->is_damaged && !put_aside(s, now, error))
        return false;
    if (!store_place_make(s->file.path, error))
        return false;
    if (store_file_open(&s->file, error) == STORE_BROKEN)
        condemn(s, error);
    return s->file.db != NULL;
}

static void
tell_answer(struct store *s, const struct store_done *done)
{
    (void)pthread_mutex_lock(&s->mutex);
    store_reply_add(s, done);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* Ends a copy that is being written: with its document, or NULL and why not. */
static void
end_copy(struct store *s, char *json, const char *why)
{
    struct store_done done = {.kind = STORE_ANSWER,
                              .job = s->copy.ask.job,
                              .ticket = s->copy.ask.ticket,
                              .json = json,
                              .json_len = json != NULL ? strlen(json) : 0};

    bk_copy_text(done.text, sizeof done.text, why, strlen(why));
    store_copy_drop(&s->copy);
    tell_answer(s, &done);
}

/* Writes what there is; `*is_new` says that a new file was begun. */
static bool
write_work(struct store *s, int64_t now, bool *is_new, struct bk_text *error)
{
    enum store_trouble trouble;

    *is_new = s->file.db == NULL || s->is_damaged;
    if (*is_new && store_copy_is_running(&s->copy))
        end_copy(s, NULL, "the database had to be replaced meanwhile");
    if (*is_new && !replace_file(s, now, error)) {
        *is_new = false;
        return false;
    }
    trouble = store_file_write(&s->file, &s->work, error);
    if (trouble == STORE_BROKEN)
        condemn(s, error);
    return trouble == STORE_GOOD;
}

static void
tell_saved(struct store *s, int64_t began)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->news.saved_job = s->work.last_job;
    s->stats.commits++;
    s->stats.commit_us += (uint64_t)((clock_mono_ns() - began) / 1000);
    s->stats.dropped_events += s->work.dropped;
    s->stats.queued = 0;
    store_wake(s->done_fd);
    (void)pthread_mutex_unlock(&s->mutex);
    s->work.dropped = 0;
    store_box_written(&s->work);
    s->has_untried = false;
    s->retry_ns = 0;
    s->retry_after_ns = 0;
}

static void
tell_failed(struct store *s, const struct bk_text *error)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->stats.failures++;
    s->stats.dropped_events += s->work.dropped;
    s->stats.queued = store_box_count(&s->work);
    if (s->has_untried) {
        s->news.failed_job = s->work.last_job;
        bk_copy_text(s->news.failed_text, sizeof s->news.failed_text, error->at,
                     error->len);
        store_wake(s->done_fd);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    s->work.dropped = 0;
}

static void
wait_longer(struct store *s, int64_t now)
{
    /* A try that new work brought forward does not count as one of the row. */
    if (s->retry_ns != 0 && now < s->retry_ns)
        return;
    s->retry_after_ns =
        s->retry_after_ns == 0 ? STORE_RETRY_LEAST_NS : 2 * s->retry_after_ns;
    if (s->retry_after_ns > STORE_RETRY_MOST_NS)
        s->retry_after_ns = STORE_RETRY_MOST_NS;
    s->retry_ns = now + s->retry_after_ns;
}

static void
ask_for_rebuild(struct store *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->news.wants_rebuild = true;
    store_wake(s->done_fd);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* What the old file did not take, a new one may take at once. */
static void
try_to_write(struct store *s)
{
    char words[160];
    struct bk_text error;
    int64_t now = clock_mono_ns();
    bool is_new;
    bool is_written;

    bk_text_init(&error, words, sizeof words);
    is_written = write_work(s, now, &is_new, &error);
    if (!is_written && !is_new && s->is_damaged && now >= s->aside_ns)
        is_written = write_work(s, now, &is_new, &error);
    s->tried_ns = now;
    if (is_new)
        ask_for_rebuild(s);
    if (is_written) {
        tell_saved(s, now);
        return;
    }
    tell_failed(s, &error);
    wait_longer(s, now);
    s->has_untried = false;
}

/* A damage that reading everything did not meet: what the file should hold is put
 * again, and goes into a new one when it comes: an empty one would be in its place
 * till then. */
static void
look_through(struct store *s)
{
    char words[160];
    struct bk_text error;

    if (!s->may_look || s->is_looked_through || s->file.db == NULL ||
        s->is_damaged || s->retry_ns != 0)
        return;
    bk_text_init(&error, words, sizeof words);
    s->is_looked_through = true;
    if (store_file_check(&s->file, &error) == STORE_BROKEN) {
        condemn(s, &error);
        ask_for_rebuild(s);
    }
}

static bool
has_room_for_history(struct store *s)
{
    bool has_room;

    (void)pthread_mutex_lock(&s->mutex);
    has_room = s->news.octets < STORE_ANSWER_OCTETS;
    (void)pthread_mutex_unlock(&s->mutex);
    return has_room;
}

static void
begin_copy(struct store *s, const struct store_ask *ask)
{
    struct store_done done = {
        .kind = STORE_ANSWER, .job = ask->job, .ticket = ask->ticket};
    struct bk_text error;

    bk_text_init(&error, done.text, sizeof done.text);
    if (store_copy_is_running(&s->copy))
        bk_text_put(&error, "another backup is being written");
    else if (store_box_count(&s->work) > 0)
        bk_text_put(&error, "the database cannot be written now, so what is "
                            "in it is older than what is in force");
    else if (store_copy_begin(&s->copy, &s->file, ask, &error))
        return;
    tell_answer(s, &done);
}

/* A piece a turn, so that what is to be saved does not wait for the copy. */
static void
go_on_copying(struct store *s)
{
    char words[STORE_WORDS_SIZE];
    struct bk_text error;
    char *json = NULL;

    bk_text_init(&error, words, sizeof words);
    if (store_copy_step(&s->copy, &json, &error))
        end_copy(s, json, words);
}

static void
answer(struct store *s, const struct store_ask *ask)
{
    struct store_done done = {
        .kind = STORE_ANSWER, .job = ask->job, .ticket = ask->ticket};
    struct bk_text error;

    bk_text_init(&error, done.text, sizeof done.text);
    if (s->file.db == NULL) {
        bk_text_put(&error, "the database cannot be opened");
    } else if (ask->path[0] != '\0') {
        begin_copy(s, ask);
        return;
    } else {
        done.json = store_file_history(&s->file, ask, &done.json_len, &error);
    }
    tell_answer(s, &done);
}

static void
end(struct store *s)
{
    size_t lost = store_box_count(&s->work);

    if (lost > 0)
        log_line(LOG_ERROR, "store %s: %zu changes could not be saved",
                 s->file.path, lost);
    store_copy_drop(&s->copy);
    store_file_close(&s->file);
    (void)pthread_mutex_lock(&s->mutex);
    s->has_ended = true;
    store_wake(s->done_fd);
    (void)pthread_mutex_unlock(&s->mutex);
}

void *
store_thread_run(void *store)
{
    struct store *s = store;
    bool is_stopping = false;

    store_start(s);
    while (!is_stopping) {
        struct store_ask ask;

        sleep_until(s, store_copy_is_running(&s->copy) ? 0 : due_ns(s));
        is_stopping = take(s);
        if (due_ns(s) <= clock_mono_ns() ||
            (is_stopping && store_box_count(&s->work) > 0))
            try_to_write(s);
        if (!is_stopping)
            look_through(s);
        while (has_room_for_history(s) && store_box_take_ask(&s->work, &ask))
            answer(s, &ask);
        if (store_copy_is_running(&s->copy))
            go_on_copying(s);
    }
    end(s);
    return NULL;
}
