/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers in the file. The row is found by a hash of the key and believed
 * only when the whole key is the same: two keys with one hash take turns, and
 * neither ever gets the other's answer. */
#include "client/cache.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What is too old is taken out a few at a time, so that no put takes long. */
#define EXPIRE_AT_ONCE 100
#define EVICT_AT_ONCE 200
/* The clock may have been set back by as much without an answer's age becoming
 * unknown. */
#define CLOCK_SLACK_MS 1000
/* What SQLite itself needs for a row, about. */
#define ROW_BYTES 64

struct cache_key
cache_key(const void *data, size_t len)
{
    const unsigned char *octets = data;
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a, 64 bits */
    struct cache_key key = {data, len, 0};

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ octets[i]) * UINT64_C(1099511628211);
    memcpy(&key.hash, &hash, sizeof key.hash);
    return key;
}

/* Runs a statement that answers nothing. */
static int
finish(sqlite3_stmt *s)
{
    int code = sqlite3_step(s);

    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int
remove_row(struct breaker_cache *c, const struct cache_key *key)
{
    sqlite3_stmt *s = c->file.statements[CACHE_REMOVE];

    (void)sqlite3_bind_int64(s, 1, key->hash);
    return finish(s);
}

static int
insert_row(struct breaker_cache *c, const struct cache_key *key,
           const void *data, size_t len, int64_t fresh_ms, int64_t now_ms)
{
    sqlite3_stmt *s = c->file.statements[CACHE_INSERT];
    /* A NULL pointer would be SQL's NULL. */
    const void *octets = len > 0 ? data : "";

    (void)sqlite3_bind_int64(s, 1, key->hash);
    (void)sqlite3_bind_blob64(s, 2, key->data, key->len, SQLITE_STATIC);
    (void)sqlite3_bind_blob64(s, 3, octets, len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 4, now_ms);
    (void)sqlite3_bind_int64(s, 5, fresh_ms);
    (void)sqlite3_bind_int64(s, 6, (int64_t)(key->len + len + ROW_BYTES));
    return finish(s);
}

static int
expire(struct breaker_cache *c, int64_t now_ms)
{
    sqlite3_stmt *s = c->file.statements[CACHE_EXPIRE];

    (void)sqlite3_bind_int64(s, 1, now_ms - (int64_t)c->options.ttl_ms);
    (void)sqlite3_bind_int(s, 2, EXPIRE_AT_ONCE);
    return finish(s);
}

int
cache_rows_totals(struct breaker_cache *c, uint64_t *entries, uint64_t *bytes)
{
    sqlite3_stmt *s = c->file.statements[CACHE_TOTALS];
    int code = sqlite3_step(s);

    if (code == SQLITE_ROW) {
        *entries = (uint64_t)sqlite3_column_int64(s, 0);
        *bytes = (uint64_t)sqlite3_column_int64(s, 1);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT; /* the row was made with the table */
    }
    (void)sqlite3_reset(s);
    return code;
}

/* The oldest go until both limits hold; what is left over goes next time. */
static int
make_room(struct breaker_cache *c)
{
    for (int i = 0; i < EVICT_AT_ONCE; i++) {
        uint64_t entries = 0;
        uint64_t bytes = 0;
        int code = cache_rows_totals(c, &entries, &bytes);

        if (code != SQLITE_OK || (entries <= c->options.max_entries &&
                                  bytes <= c->options.max_bytes))
            return code;
        code = finish(c->file.statements[CACHE_EVICT]);
        if (code != SQLITE_OK)
            return code;
        c->stats.evicted++;
    }
    return SQLITE_OK;
}

int
cache_rows_put(struct breaker_cache *c, const struct cache_key *key,
               const void *data, size_t len, uint64_t fresh_ms, int64_t now_ms)
{
    int64_t fresh =
        fresh_ms < (uint64_t)INT64_MAX ? (int64_t)fresh_ms : INT64_MAX;
    int code = sqlite3_exec(c->file.db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return code;
    code = remove_row(c, key);
    if (code == SQLITE_OK)
        code = insert_row(c, key, data, len, fresh, now_ms);
    if (code == SQLITE_OK)
        code = expire(c, now_ms);
    if (code == SQLITE_OK)
        code = make_room(c);
    if (code == SQLITE_OK)
        code = sqlite3_exec(c->file.db, "COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK)
        (void)sqlite3_exec(c->file.db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

static bool
is_same(sqlite3_stmt *s, const struct cache_key *key)
{
    const void *found = sqlite3_column_blob(s, 0);
    size_t len = (size_t)sqlite3_column_bytes(s, 0);

    return found != NULL && len == key->len &&
           memcmp(found, key->data, len) == 0;
}

/* Whether an answer of this age may be given; fills in age and staleness. An
 * answer from the future has no age that anybody knows. */
static bool
is_good(const struct breaker_cache *c, int64_t stored_ms, int64_t fresh_ms,
        int64_t now_ms, uint64_t max_stale_ms,
        struct breaker_cache_answer *answer)
{
    uint64_t fresh = fresh_ms > 0 ? (uint64_t)fresh_ms : 0;
    uint64_t age = 0;

    if (stored_ms < 0 || stored_ms - now_ms > CLOCK_SLACK_MS)
        return false;
    if (stored_ms < now_ms)
        age = (uint64_t)(now_ms - stored_ms);
    answer->age_ms = age;
    answer->is_stale = age >= fresh;
    if (age > c->options.ttl_ms)
        return false;
    return age < fresh || (max_stale_ms > 0 && age - fresh <= max_stale_ms);
}

static int
copy_data(sqlite3_stmt *s, struct breaker_cache_answer *answer)
{
    const void *data = sqlite3_column_blob(s, 1);
    size_t len = (size_t)sqlite3_column_bytes(s, 1);

    if (data == NULL && len > 0)
        return SQLITE_NOMEM;
    answer->data = malloc(len + 1);
    if (answer->data == NULL)
        return SQLITE_NOMEM;
    if (len > 0)
        memcpy(answer->data, data, len);
    answer->data[len] = '\0';
    answer->len = len;
    return SQLITE_ROW;
}

int
cache_rows_get(struct breaker_cache *c, const struct cache_key *key,
               uint64_t max_stale_ms, int64_t now_ms,
               struct breaker_cache_answer *answer)
{
    sqlite3_stmt *s = c->file.statements[CACHE_FIND];
    int code;

    (void)sqlite3_bind_int64(s, 1, key->hash);
    code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        code = SQLITE_OK;
        if (is_same(s, key) &&
            is_good(c, sqlite3_column_int64(s, 2), sqlite3_column_int64(s, 3),
                    now_ms, max_stale_ms, answer))
            code = copy_data(s, answer);
    } else if (code == SQLITE_DONE) {
        code = SQLITE_OK;
    }
    (void)sqlite3_reset(s);
    return code;
}

int
cache_rows_drop(struct breaker_cache *c, const struct cache_key *key)
{
    sqlite3_stmt *s = c->file.statements[CACHE_FIND];
    bool is_there;
    int code;

    (void)sqlite3_bind_int64(s, 1, key->hash);
    code = sqlite3_step(s);
    is_there = code == SQLITE_ROW && is_same(s, key);
    (void)sqlite3_reset(s);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return code;
    return is_there ? remove_row(c, key) : SQLITE_OK;
}
