/* SPDX-License-Identifier: Apache-2.0
 *
 * The start of a store: the thread opens the file and reads names ahead while the loop
 * does something else; what the rows hold is read by the loop, which knows what it
 * lacks. */
#include "daemon/store_thread.h"
#include <assert.h>
#include <string.h>

/* Looks twice before it says that a file is damaged: reading may have failed for
 * a moment. Then the file is set aside and a new one opened. */
static enum store_trouble
open_anyhow(struct store_file *f, struct bk_text *why)
{
    enum store_trouble trouble = store_file_open(f, why);

    if (trouble == STORE_BROKEN) {
        bk_text_init(why, why->at, why->cap);
        trouble = store_file_open(f, why);
    }
    if (trouble == STORE_BROKEN && !store_place_may_replace(f->path)) {
        bk_text_put(why, ", and nothing says that it ever was ours: it is left "
                         "alone; name another file with --db");
    } else if (trouble == STORE_BROKEN && store_file_set_aside(f, why->at)) {
        bk_text_init(why, why->at, why->cap);
        if (!store_place_make(f->path, why))
            return STORE_LATER;
        trouble = store_file_open(f, why);
    }
    return trouble;
}

static bool
open_file(struct store_file *f, struct bk_text *error)
{
    char words[192];
    struct bk_text why;

    if (!store_place_make(f->path, error))
        return false;
    bk_text_init(&why, words, sizeof words);
    if (open_anyhow(f, &why) == STORE_GOOD)
        return true;
    bk_text_put(error, "cannot open store ");
    bk_text_put(error, f->path);
    bk_text_put(error, ": ");
    bk_text_put(error, words);
    return false;
}

void
store_start(struct store *s)
{
    struct bk_text error;
    bool is_open;

    bk_text_init(&error, s->refusal, sizeof s->refusal);
    is_open = open_file(&s->file, &error);
    if (is_open)
        store_roll_read(&s->roll, &s->file);
    (void)pthread_mutex_lock(&s->mutex);
    s->start = is_open ? STORE_OPEN : STORE_REFUSED;
    (void)pthread_cond_broadcast(&s->started);
    (void)pthread_mutex_unlock(&s->mutex);
}

bool
store_await_open(struct store *s, struct bk_text *error)
{
    bool is_open;

    (void)pthread_mutex_lock(&s->mutex);
    while (s->start == STORE_OPENING)
        (void)pthread_cond_wait(&s->started, &s->mutex);
    is_open = s->start == STORE_OPEN;
    (void)pthread_mutex_unlock(&s->mutex);
    if (!is_open)
        bk_text_put(error, s->refusal);
    return is_open;
}

/* Rows handed out before the damage was met are good ones; the loop puts them
 * into the new file when it is asked to. */
bool
store_load(struct store *s, int64_t wall_ms, const struct store_reader *reader,
           struct store_meta *meta, struct bk_text *error)
{
    char words[192];
    struct bk_text why;
    enum store_trouble trouble;

    memset(meta, 0, sizeof *meta);
    assert(s->job == 0);
    if (!store_await_open(s, error))
        return false;
    bk_text_init(&why, words, sizeof words);
    trouble = store_file_load(&s->file, wall_ms, reader, &s->roll, meta, &why);
    store_roll_free(&s->roll);
    if (trouble == STORE_GOOD)
        return true;
    if (trouble == STORE_BROKEN && store_file_set_aside(&s->file, words) &&
        open_file(&s->file, error)) {
        (void)pthread_mutex_lock(&s->mutex);
        s->news.wants_rebuild = true;
        store_wake(s->done_fd);
        (void)pthread_mutex_unlock(&s->mutex);
        return true;
    }
    bk_text_put(error, "cannot read store ");
    bk_text_put(error, s->file.path);
    bk_text_put(error, ": ");
    bk_text_put(error, words);
    return false;
}
