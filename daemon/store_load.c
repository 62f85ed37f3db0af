/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading everything back. The file may have been edited, restored from an old
 * copy, or written by somebody with a grudge: a row that makes no sense is
 * skipped with a line in the log, and no number is used before it is bounded. */
#include "daemon/log.h"
#include "daemon/store_file.h"
#include "daemon/store_numbers.h"
#include "daemon/store_roll.h"
#include <string.h>

/* The latest instant taken for one: far beyond any life of the machine, and its
 * nanoseconds still fit. */
#define MS_MAX (BK_NEVER / BK_NS_PER_MS / 2)

/* A load under way. */
struct loader {
    struct store_file *file;
    const struct store_reader *reader;
    struct store_meta *meta;
    int64_t wall_ms;
    struct bk_text *error;
    sqlite3_stmt *numbers; /* one row a number of a JSON object */
    uint64_t leaps;        /* of all rows, up to now */
    struct store_names names;
};

/* Text of a column, NULL when it is something else or has a NUL within. */
static const char *
text_at(sqlite3_stmt *st, int column)
{
    const char *text;

    if (sqlite3_column_type(st, column) != SQLITE_TEXT)
        return NULL;
    text = (const char *)sqlite3_column_text(st, column);
    if (text == NULL ||
        strlen(text) != (size_t)sqlite3_column_bytes(st, column))
        return NULL;
    return text;
}

static const char *
name_at(sqlite3_stmt *st, int column)
{
    const char *name = text_at(st, column);

    return name != NULL && bk_name_is_valid(name, strlen(name)) ? name : NULL;
}

/* A whole number of 0 to `most`. */
static bool
number_at(sqlite3_stmt *st, int column, uint64_t most, uint64_t *out)
{
    int64_t value = sqlite3_column_int64(st, column);

    if (sqlite3_column_type(st, column) != SQLITE_INTEGER || value < 0 ||
        (uint64_t)value > most)
        return false;
    *out = (uint64_t)value;
    return true;
}

/* One column of a services row, each checked as it is taken; `is_good` stays
 * false after the first that is not. */
struct row {
    sqlite3_stmt *st;
    bool is_good;
};

static uint64_t
take_number(struct row *r, int column, uint64_t most)
{
    uint64_t value = 0;

    r->is_good = r->is_good && number_at(r->st, column, most, &value);
    return r->is_good ? value : 0;
}

static uint32_t
take_word(struct row *r, int column, int (*parse)(const char *, size_t))
{
    const char *text = text_at(r->st, column);
    int value = text != NULL ? parse(text, strlen(text)) : -1;

    r->is_good = r->is_good && value >= 0;
    return r->is_good ? (uint32_t)value : 0;
}

/* What remains of an instant of the wall clock. Never more than there was when it
 * was saved: a clock set back lengthens nothing. */
static int64_t
left_ns(int64_t until_ms, int64_t saved_ms, int64_t wall_ms)
{
    int64_t since_ms = wall_ms > saved_ms ? wall_ms : saved_ms;

    return until_ms > since_ms ? (until_ms - since_ms) * BK_NS_PER_MS : 0;
}

static int64_t
take_left(struct row *r, const struct loader *l, int column, int64_t saved_ms)
{
    int64_t until_ms = (int64_t)take_number(r, column, (uint64_t)MS_MAX);

    return left_ns(until_ms, saved_ms, l->wall_ms);
}

/* An operator's words, "" for none; cut where ours would have been. */
static void
take_text(struct row *r, int column, char *out, size_t size)
{
    const char *text = text_at(r->st, column);

    if (text == NULL) {
        r->is_good =
            r->is_good && sqlite3_column_type(r->st, column) == SQLITE_NULL;
        text = "";
    }
    bk_copy_text(out, size, text, strlen(text));
}

static void
take_override(struct row *r, const struct loader *l, int64_t saved_ms,
              struct bk_override *out)
{
    if (sqlite3_column_type(r->st, 7) == SQLITE_NULL)
        return;
    out->is_set = 1;
    out->mode = take_word(r, 7, bk_mode_parse);
    r->is_good = r->is_good && out->mode != BK_AUTO;
    if (sqlite3_column_type(r->st, 8) == SQLITE_NULL)
        out->expires_ns = BK_NEVER;
    else
        out->expires_ns = take_left(r, l, 8, saved_ms);
    take_text(r, 9, out->reason, sizeof out->reason);
    take_text(r, 10, out->actor, sizeof out->actor);
}

/* Numbers an older or newer version wrote are not missed; text that is no JSON
 * makes the row a bad one. */
static void
take_numbers(struct row *r, const struct loader *l, int at,
             enum store_column column, struct bk_saved *out)
{
    const char *json = text_at(r->st, at);
    int code = SQLITE_DONE;

    if (json == NULL)
        r->is_good = false;
    if (!r->is_good || store_numbers_take(&l->names, column, json, out))
        return;
    (void)sqlite3_bind_text(l->numbers, 1, json, -1, SQLITE_STATIC);
    while ((code = sqlite3_step(l->numbers)) == SQLITE_ROW) {
        const char *name = text_at(l->numbers, 0);
        uint64_t value;

        if (name != NULL && number_at(l->numbers, 1, BK_NUMBER_END - 1, &value))
            store_numbers_set(&l->names, column, name, value, out);
    }
    r->is_good = code == SQLITE_DONE;
    (void)sqlite3_reset(l->numbers);
}

/* The generation with all leaps there were since the row was written. */
static uint64_t
take_generation(struct row *r, const struct loader *l)
{
    const uint64_t most = BK_NUMBER_END - 1;
    uint64_t generation = take_number(r, 3, most);
    uint64_t leaps = take_number(r, 14, most);
    uint64_t missed = l->leaps > leaps ? l->leaps - leaps : 0;

    if (missed > (most - generation) / BK_GENERATION_LEAP)
        return most;
    return generation + missed * BK_GENERATION_LEAP;
}

/* is_wanted(name): SQLite need not take the other rows apart. */
static void
is_wanted(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct loader *l = sqlite3_user_data(context);
    const struct store_reader *reader = l->reader;
    const char *name = (const char *)sqlite3_value_text(values[0]);

    (void)count;
    sqlite3_result_int(context, name == NULL || reader->wants == NULL ||
                                    reader->wants(reader->context, name));
}

/* A row of services; true when it went to the reader. */
static bool
load_service(struct loader *l, sqlite3_stmt *st)
{
    struct row r = {st, true};
    struct bk_saved saved = {.name = ""};
    const char *name = name_at(st, 0);
    int64_t saved_ms;

    if (name == NULL)
        return false;
    bk_copy_text(saved.name, sizeof saved.name, name, strlen(name));
    saved_ms = (int64_t)take_number(&r, 12, (uint64_t)MS_MAX);
    saved.state = take_word(&r, 1, bk_state_parse);
    saved.cause = take_word(&r, 2, bk_cause_parse);
    saved.generation = take_generation(&r, l);
    saved.failed_rounds = (uint32_t)take_number(&r, 4, UINT32_MAX);
    saved.open_left_ns = take_left(&r, l, 5, saved_ms);
    saved.hold_left_ns = take_left(&r, l, 6, saved_ms);
    if (saved.state != BK_OPEN)
        saved.open_left_ns = 0;
    take_override(&r, l, saved_ms, &saved.override);
    take_numbers(&r, l, 11, STORE_COUNTERS, &saved);
    take_numbers(&r, l, 13, STORE_STATS, &saved);
    if (r.is_good && l->reader->service != NULL)
        l->reader->service(l->reader->context, &saved);
    return r.is_good;
}

static bool
load_setting(struct loader *l, sqlite3_stmt *st)
{
    const char *service = name_at(st, 0);
    const char *key = text_at(st, 1);
    const char *value = text_at(st, 2);

    if (service == NULL || key == NULL || value == NULL ||
        strlen(key) >= STORE_KEY_SIZE || strlen(value) > BK_URL_SIZE)
        return false;
    if (l->reader->setting != NULL)
        l->reader->setting(l->reader->context, service, key, value);
    return true;
}

static bool
load_forgotten(struct loader *l, sqlite3_stmt *st)
{
    const char *name = name_at(st, 0);
    uint64_t generation;

    if (name == NULL || !number_at(st, 1, BK_NUMBER_END - 1, &generation))
        return false;
    if (l->reader->forgotten != NULL)
        l->reader->forgotten(l->reader->context, name, generation);
    return true;
}

static bool
load_number(struct loader *l, sqlite3_stmt *st)
{
    const char *key = text_at(st, 0);
    uint64_t value;

    if (key == NULL || !number_at(st, 1, BK_NUMBER_END - 1, &value))
        return false;
    if (strcmp(key, "epoch") == 0)
        l->meta->epoch = value;
    else if (strcmp(key, "next_id") == 0)
        l->meta->next_id = value;
    else if (strcmp(key, "last_seq") == 0)
        l->meta->last_seq = value;
    else if (strcmp(key, "leaps") == 0)
        l->leaps = value;
    return true;
}

/* History is what was published; its numbers go on from the highest, also when
 * the number itself was not saved in time. */
static bool
load_last_seq(struct loader *l, sqlite3_stmt *st)
{
    uint64_t seq;

    if (!number_at(st, 0, BK_NUMBER_END - 1, &seq))
        return false;
    if (seq > l->meta->last_seq)
        l->meta->last_seq = seq;
    return true;
}

/* A line of history, for the shared memory. */
static bool
load_past(struct loader *l, sqlite3_stmt *st)
{
    struct row r = {st, true};
    struct bk_past line = {
        .seq = take_number(&r, 0, BK_NUMBER_END - 1),
        .wall_ms = (int64_t)take_number(&r, 1, INT64_MAX),
        .from = take_word(&r, 3, bk_state_parse),
        .to = take_word(&r, 4, bk_state_parse),
        .mode = take_word(&r, 5, bk_mode_parse),
        .cause = take_word(&r, 6, bk_cause_parse),
        .generation = take_number(&r, 7, BK_NUMBER_END - 1),
    };

    take_text(&r, 2, line.service, sizeof line.service);
    take_text(&r, 8, line.actor, sizeof line.actor);
    take_text(&r, 9, line.text, sizeof line.text);
    if (!r.is_good || !bk_past_is_sound(&line))
        return false;
    if (l->reader->past != NULL)
        l->reader->past(l->reader->context, &line);
    return true;
}

/* Tables in the order their rows are needed: numbers, then names, their values,
 * and at last the services that use them. The limits keep a swollen file from
 * taking all memory. */
static const struct {
    const char *table;
    const char *sql;
    bool (*row)(struct loader *l, sqlite3_stmt *st);
} loads[] = {
    {"meta", "SELECT key, value FROM meta LIMIT 100", load_number},
    {"history", "SELECT coalesce(max(seq), 0) FROM history", load_last_seq},
    {"history",
     "SELECT * FROM (SELECT seq, at_ms, service, from_state, to_state, mode,"
     " reason, generation, actor, text FROM history"
     " ORDER BY seq DESC LIMIT 256) ORDER BY seq",
     load_past},
    {"forgotten",
     "SELECT name, generation FROM"
     " (SELECT * FROM forgotten ORDER BY seq DESC LIMIT 4096) ORDER BY seq",
     load_forgotten},
    {"settings", "SELECT service, key, value FROM settings LIMIT 1000000",
     load_setting},
    {"services",
     "SELECT name, state, reason, generation, failed_rounds, open_until_ms,"
     " hold_until_ms, override_mode, override_until_ms, override_reason,"
     " override_actor, counters, saved_ms, stats, leaps FROM services"
     " WHERE is_wanted(name) LIMIT 131072",
     load_service},
};
_Static_assert(BK_FORGOTTEN == 4096, "as many as the query above asks for");
_Static_assert(BK_PAST_COUNT == 256, "likewise");
_Static_assert(STORE_NAMES_MAX == 131072, "likewise");

static enum store_trouble
load_table(struct loader *l, size_t which)
{
    sqlite3_stmt *st;
    uint64_t skipped = 0;
    int code;
    enum store_trouble trouble =
        store_prepare(l->file, loads[which].sql, &st, l->error);

    if (trouble != STORE_GOOD)
        return trouble;
    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        if (!loads[which].row(l, st))
            skipped++;
    }
    trouble = store_trouble_of(l->file->db, code);
    if (trouble != STORE_GOOD)
        store_say(l->file->db, code, l->error);
    (void)sqlite3_finalize(st);
    if (skipped > 0)
        log_line(
            LOG_WARNING, "store %s: %llu rows of %s make no sense, skipped",
            l->file->path, (unsigned long long)skipped, loads[which].table);
    return trouble;
}

enum store_trouble
store_file_load(struct store_file *f, int64_t wall_ms,
                const struct store_reader *reader,
                const struct store_roll *roll, struct store_meta *meta,
                struct bk_text *error)
{
    struct loader l = {.file = f,
                       .reader = reader,
                       .meta = meta,
                       .wall_ms = wall_ms,
                       .error = error};
    int code;
    enum store_trouble trouble;

    store_names_init(&l.names);
    code = sqlite3_create_function_v2(f->db, "is_wanted", 1, SQLITE_UTF8, &l,
                                      is_wanted, NULL, NULL, NULL);
    trouble = store_trouble_of(f->db, code);
    if (trouble == STORE_GOOD)
        trouble = store_prepare(f, "SELECT key, value FROM json_each(?1)",
                                &l.numbers, error);
    else
        store_say(f->db, code, error);

    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        if (trouble == STORE_GOOD && (loads[i].row != load_service ||
                                      store_roll_has_wanted(roll, reader)))
            trouble = load_table(&l, i);
    }
    (void)sqlite3_finalize(l.numbers);
    return trouble;
}
