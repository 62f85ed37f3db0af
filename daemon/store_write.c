/* SPDX-License-Identifier: Apache-2.0
 *
 * One transaction a box. */
#include "daemon/store_file.h"
#include "daemon/store_numbers.h"
#include <string.h>

#define WAL_PAGES 1000

/* A write under way: after the first failure the rest does nothing. Its words
 * are taken at once, for the next call of SQLite has others. */
struct writer {
    struct store_file *file;
    struct bk_text *error;
    enum store_trouble trouble;
};

static void
check(struct writer *w, int code)
{
    sqlite3 *db = w->file->db;

    if (w->trouble != STORE_GOOD || store_trouble_of(db, code) == STORE_GOOD)
        return;
    w->trouble = store_trouble_of(db, code);
    store_say(db, code, w->error);
}

static sqlite3_stmt *
statement(struct writer *w, enum store_statement which)
{
    return w->file->statements[which];
}

static void
run(struct writer *w, enum store_statement which)
{
    sqlite3_stmt *st = statement(w, which);

    if (w->trouble == STORE_GOOD)
        check(w, sqlite3_step(st));
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
}

/* Texts live as long as the statement runs: SQLite need not copy them. */
static void
bind_text(struct writer *w, enum store_statement which, int at,
          const char *text)
{
    check(w,
          sqlite3_bind_text(statement(w, which), at, text, -1, SQLITE_STATIC));
}

static void
bind_number(struct writer *w, enum store_statement which, int at,
            uint64_t value)
{
    if (value > INT64_MAX)
        value = INT64_MAX;
    check(w, sqlite3_bind_int64(statement(w, which), at, (int64_t)value));
}

/* The wall-clock end of what has `left_ns` to go, rounded up. */
static uint64_t
end_ms(int64_t wall_ms, int64_t left_ns)
{
    return (uint64_t)wall_ms + bk_ms_up(left_ns);
}

/* Columns left unbound are NULL: no override, or one without end. */
static void
bind_override(struct writer *w, const struct bk_override *o, int64_t wall_ms)
{
    const enum store_statement put = STORE_PUT_SERVICE;

    if (!o->is_set)
        return;
    bind_text(w, put, 8, bk_mode_name((enum bk_mode)o->mode));
    if (o->expires_ns != BK_NEVER)
        bind_number(w, put, 9, end_ms(wall_ms, o->expires_ns));
    bind_text(w, put, 10, o->reason);
    bind_text(w, put, 11, o->actor);
}

static void
write_row(struct writer *w, const struct bk_saved *s, int64_t wall_ms)
{
    const enum store_statement put = STORE_PUT_SERVICE;
    char counters[STORE_COUNTERS_SIZE];
    char stats[STORE_STATS_SIZE];
    struct bk_text text;

    bk_text_init(&text, counters, sizeof counters);
    store_numbers_put_counters(s, &text);
    bk_text_init(&text, stats, sizeof stats);
    store_numbers_put_stats(s, &text);
    bind_text(w, put, 1, s->name);
    bind_text(w, put, 2, bk_state_name((enum bk_state)s->state));
    bind_text(w, put, 3, bk_cause_name((enum bk_cause)s->cause));
    bind_number(w, put, 4, s->generation);
    bind_number(w, put, 5, s->failed_rounds);
    bind_number(w, put, 6,
                s->state == BK_OPEN ? end_ms(wall_ms, s->open_left_ns) : 0);
    bind_number(w, put, 7,
                s->hold_left_ns > 0 ? end_ms(wall_ms, s->hold_left_ns) : 0);
    bind_override(w, &s->override, wall_ms);
    bind_text(w, put, 12, counters);
    bind_number(w, put, 13, (uint64_t)wall_ms);
    bind_text(w, put, 14, stats);
    run(w, put);
    /* A name that is back is no longer forgotten. */
    bind_text(w, STORE_DROP_FORGOTTEN, 1, s->name);
    run(w, STORE_DROP_FORGOTTEN);
}

static void
write_forgotten(struct writer *w, const struct store_entry *e)
{
    bind_text(w, STORE_DROP_SERVICE, 1, e->name);
    run(w, STORE_DROP_SERVICE);
    bind_text(w, STORE_DROP_SETTINGS, 1, e->name);
    run(w, STORE_DROP_SETTINGS);
    bind_text(w, STORE_PUT_FORGOTTEN, 1, e->name);
    bind_number(w, STORE_PUT_FORGOTTEN, 2, e->generation);
    run(w, STORE_PUT_FORGOTTEN);
}

static void
write_setting(struct writer *w, const char *service,
              const struct store_setting *s)
{
    enum store_statement which =
        s->is_removed ? STORE_DROP_SETTING : STORE_PUT_SETTING;

    bind_text(w, which, 1, service);
    bind_text(w, which, 2, s->key);
    if (!s->is_removed)
        bind_text(w, which, 3, s->value);
    run(w, which);
}

/* True when a name was forgotten. */
static bool
write_entry(struct writer *w, const struct store_entry *e)
{
    if (e->is_forgotten)
        write_forgotten(w, e);
    if (e->has_row)
        write_row(w, &e->saved, e->wall_ms);
    for (const struct store_setting *s = e->settings; s != NULL; s = s->next)
        write_setting(w, e->name, s);
    return e->is_forgotten;
}

static void
write_number(struct writer *w, const char *key, uint64_t value)
{
    bind_text(w, STORE_PUT_META, 1, key);
    bind_number(w, STORE_PUT_META, 2, value);
    run(w, STORE_PUT_META);
}

static void
write_event(struct writer *w, const struct bk_past *e)
{
    const enum store_statement put = STORE_PUT_EVENT;

    bind_number(w, put, 1, e->seq);
    bind_number(w, put, 2, (uint64_t)e->wall_ms);
    bind_text(w, put, 3, e->service);
    bind_text(w, put, 4, bk_state_name((enum bk_state)e->from));
    bind_text(w, put, 5, bk_state_name((enum bk_state)e->to));
    bind_text(w, put, 6, bk_mode_name((enum bk_mode)e->mode));
    bind_text(w, put, 7, bk_cause_name((enum bk_cause)e->cause));
    bind_number(w, put, 8, e->generation);
    bind_text(w, put, 9, e->actor);
    bind_text(w, put, 10, e->text);
    run(w, put);
}

static void
write_history(struct writer *w, const struct store_box *box)
{
    uint64_t last = 0;

    for (size_t i = 0; i < box->event_count; i++) {
        const struct bk_past *e = store_box_event(box, i);

        write_event(w, e);
        if (e->seq > last)
            last = e->seq;
    }
    if (last > STORE_HISTORY_ROWS) {
        bind_number(w, STORE_TRIM_HISTORY, 1, last - STORE_HISTORY_ROWS);
        run(w, STORE_TRIM_HISTORY);
    }
}

static void
write_box(struct writer *w, const struct store_box *box)
{
    bool has_forgotten = false;

    if (box->has_leap) {
        bind_number(w, STORE_LEAP, 1, BK_NUMBER_END - 1);
        run(w, STORE_LEAP);
    }
    for (size_t i = 0; i < box->entry_count; i++)
        has_forgotten |= write_entry(w, &box->entries[i]);
    if (has_forgotten) {
        bind_number(w, STORE_TRIM_FORGOTTEN, 1, BK_FORGOTTEN);
        run(w, STORE_TRIM_FORGOTTEN);
    }
    write_history(w, box);
    if (box->has_meta) {
        write_number(w, "epoch", box->meta.epoch);
        write_number(w, "next_id", box->meta.next_id);
        write_number(w, "last_seq", box->meta.last_seq);
    }
}

/* The commit is safe in the -wal already. That the write-back to the database
 * failed is not to be passed over for all that: after a failed fsync the kernel
 * forgets what it could not write, and the next write-back would call the old
 * pages good and reuse the -wal. Lack of space just leaves it for later. */
static void
write_back(struct writer *w)
{
    struct store_file *f = w->file;
    int code;

    if (w->trouble != STORE_GOOD || f->wal_pages < WAL_PAGES)
        return;
    code = sqlite3_wal_checkpoint_v2(f->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                     NULL, NULL);
    if (store_trouble_of(f->db, code) == STORE_BROKEN)
        check(w, code);
}

/* A transaction that stays half open cannot be trusted with the next one. */
static void
undo(struct writer *w)
{
    sqlite3_stmt *st = statement(w, STORE_ROLLBACK);

    if (sqlite3_get_autocommit(w->file->db) != 0)
        return;
    if (sqlite3_step(st) != SQLITE_DONE)
        w->trouble = STORE_BROKEN;
    (void)sqlite3_reset(st);
}

enum store_trouble
store_file_write(struct store_file *f, const struct store_box *box,
                 struct bk_text *error)
{
    struct writer w = {.file = f, .error = error, .trouble = STORE_GOOD};

    run(&w, STORE_BEGIN);
    write_box(&w, box);
    run(&w, STORE_COMMIT);
    write_back(&w);
    if (w.trouble != STORE_GOOD)
        undo(&w);
    return w.trouble;
}
