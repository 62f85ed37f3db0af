/* SPDX-License-Identifier: Apache-2.0
 *
 * The history in the daemon's database, read without changing a thing. While a
 * daemon runs, it holds the file for itself alone. */
#define _GNU_SOURCE
#include "core/past.h"
#include "core/schema.h"
#include "tools/ctl_history.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 250

static const char history_sql[] =
    "SELECT seq, at_ms, service, from_state, to_state, mode, reason,"
    " generation, actor, text FROM history"
    " WHERE (?1 IS NULL OR service = ?1) AND seq < ?3"
    " ORDER BY seq DESC LIMIT ?2";
static const char known_sql[] =
    "SELECT 1 FROM services WHERE name = ?1 UNION ALL"
    " SELECT 1 FROM history WHERE service = ?1 LIMIT 1";

static const char *
text_at(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    return text != NULL ? text : "";
}

static json_t *
read_row(sqlite3_stmt *s)
{
    char at[BK_INSTANT_SIZE];

    bk_instant_format(sqlite3_column_int64(s, 1), at);
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s}",
                     "seq", (json_int_t)sqlite3_column_int64(s, 0), "at", at,
                     "service", text_at(s, 2), "from", text_at(s, 3), "to",
                     text_at(s, 4), "mode", text_at(s, 5), "reason",
                     text_at(s, 6), "generation",
                     (json_int_t)sqlite3_column_int64(s, 7), "actor",
                     text_at(s, 8), "text", text_at(s, 9));
}

static int
read_rows(sqlite3 *db, const struct history_page *page, json_t *rows)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, history_sql, -1, &s, NULL);

    if (rc == SQLITE_OK) {
        sqlite3_bind_text(s, 1, page->service, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)page->limit);
        sqlite3_bind_int64(
            s, 3, page->before > 0 ? (sqlite3_int64)page->before : INT64_MAX);
        while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
            json_t *row = read_row(s);

            if (row != NULL) /* NULL: text that is no UTF-8 */
                json_array_insert_new(rows, 0, row);
        }
    }
    sqlite3_finalize(s);
    return rc;
}

static bool
is_known(sqlite3 *db, const char *service)
{
    sqlite3_stmt *s = NULL;
    bool is_there = false;

    if (sqlite3_prepare_v2(db, known_sql, -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_text(s, 1, service, -1, SQLITE_STATIC);
        is_there = sqlite3_step(s) == SQLITE_ROW;
    }
    sqlite3_finalize(s);
    return is_there;
}

static int
schema_version(sqlite3 *db, int *version)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static enum history_result
explain(sqlite3 *db, int rc, struct bk_text *why)
{
    if (rc == SQLITE_BUSY) {
        bk_text_put(why, "a daemon has it for itself");
        return HISTORY_BUSY;
    }
    bk_text_put(why, sqlite3_errmsg(db));
    return HISTORY_FAILED;
}

static enum history_result
read_open(sqlite3 *db, const struct history_page *page, struct bk_text *why,
          json_t **out)
{
    int version = 0;
    int rc = schema_version(db, &version);
    json_t *rows;

    if (rc != SQLITE_OK)
        return explain(db, rc, why);
    if (version < 1 || version > BK_SCHEMA_VERSION) {
        bk_text_put(why, "its layout is ");
        bk_text_put_i64(why, version);
        bk_text_put(why, ", this breakerctl knows ");
        bk_text_put_i64(why, BK_SCHEMA_VERSION);
        return HISTORY_FAILED;
    }
    if (page->service != NULL && !is_known(db, page->service)) {
        bk_text_put(why, "no such service");
        return HISTORY_NO_SERVICE;
    }
    rows = json_array();
    rc = read_rows(db, page, rows);
    if (rc != SQLITE_DONE) {
        json_decref(rows);
        return explain(db, rc, why);
    }
    *out = json_pack("{s:o}", "history", rows);
    return HISTORY_READ;
}

/* Opens the file to read; NULL with result and clause when that cannot be. */
static sqlite3 *
open_database(const char *path, struct bk_text *why,
              enum history_result *result)
{
    sqlite3 *db = NULL;
    int rc;

    if (access(path, R_OK) != 0) {
        bk_text_put(why, strerror(errno));
        *result = errno == EACCES ? HISTORY_FORBIDDEN : HISTORY_ABSENT;
        return NULL;
    }
    rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (rc != SQLITE_OK) {
        *result = explain(db, rc, why);
        sqlite3_close(db);
        return NULL;
    }
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return db;
}

enum history_result
history_read(const char *path, const struct history_page *page,
             struct bk_text *why, json_t **out)
{
    enum history_result result = HISTORY_FAILED;
    sqlite3 *db = open_database(path, why, &result);

    *out = NULL;
    if (db == NULL)
        return result;
    result = read_open(db, page, why, out);
    sqlite3_close(db);
    return result;
}

enum history_result
history_examine(const char *path, struct bk_text *why)
{
    enum history_result result = HISTORY_FAILED;
    sqlite3 *db = open_database(path, why, &result);
    const struct history_page newest = {.limit = 1};
    sqlite3_stmt *s = NULL;
    json_t *json = NULL;
    int rc;

    if (db == NULL)
        return result;
    result = read_open(db, &newest, why, &json); /* layout and all */
    json_decref(json);
    if (result == HISTORY_READ) {
        rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_step(s);
        if (rc != SQLITE_ROW) {
            result = explain(db, rc, why);
        } else if (strcmp(text_at(s, 0), "ok") != 0) {
            bk_text_put(why, text_at(s, 0));
            result = HISTORY_FAILED;
        }
        sqlite3_finalize(s);
    }
    sqlite3_close(db);
    return result;
}
