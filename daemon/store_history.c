/* SPDX-License-Identifier: Apache-2.0
 *
 * History as JSON, a row at a time into a buffer that grows. */
#include "core/json.h"
#include "core/past.h"
#include "daemon/store_file.h"
#include <stdlib.h>
#include <string.h>

/* A row's largest size: each of seven texts is bounded, an octet of it takes at most
 * six in JSON. */
#define ROW_SIZE 12288
#define TEXT_OCTETS 256

struct answer {
    char *at;
    size_t len;
    size_t room;
};

static bool
append(struct answer *a, const char *octets, size_t len)
{
    if (a->len + len + 1 > a->room) {
        size_t room = 2 * a->room + len + 4096;
        char *at = realloc(a->at, room);

        if (at == NULL)
            return false;
        a->at = at;
        a->room = room;
    }
    memcpy(a->at + a->len, octets, len);
    a->len += len;
    a->at[a->len] = '\0';
    return true;
}

static void
put_text(struct bk_json *json, const char *key, sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t len = text != NULL ? strlen(text) : 0;

    bk_json_string_n(json, key, text != NULL ? text : "",
                     len < TEXT_OCTETS ? len : TEXT_OCTETS);
}

static void
put_number(struct bk_json *json, const char *key, sqlite3_stmt *st, int column)
{
    int64_t value = sqlite3_column_int64(st, column);

    bk_json_u64(json, key, value > 0 ? (uint64_t)value : 0);
}

static bool
append_row(struct answer *a, sqlite3_stmt *st, bool is_first)
{
    char row[ROW_SIZE];
    char instant[BK_INSTANT_SIZE];
    struct bk_text text;
    struct bk_json json;

    bk_instant_format(sqlite3_column_int64(st, 1), instant);
    bk_text_init(&text, row, sizeof row);
    bk_json_init(&json, &text);
    bk_json_open(&json, NULL, '{');
    put_number(&json, "seq", st, 0);
    bk_json_string(&json, "at", instant);
    put_text(&json, "service", st, 2);
    put_text(&json, "from", st, 3);
    put_text(&json, "to", st, 4);
    put_text(&json, "mode", st, 5);
    put_text(&json, "reason", st, 6);
    put_number(&json, "generation", st, 7);
    put_text(&json, "actor", st, 8);
    put_text(&json, "text", st, 9);
    bk_json_close(&json, '}');
    return (is_first || append(a, ",", 1)) && append(a, row, text.len);
}

/* Rows of `st` between the brackets; a code of SQLite. */
static int
append_rows(struct answer *a, sqlite3_stmt *st)
{
    bool is_first = true;
    int code;

    while ((code = sqlite3_step(st)) == SQLITE_ROW) {
        if (!append_row(a, st, is_first))
            return SQLITE_NOMEM;
        is_first = false;
    }
    return code;
}

static const char all[] =
    "SELECT * FROM (SELECT seq, at_ms, service, from_state, to_state, mode,"
    " reason, generation, actor, text FROM history WHERE seq < ?3"
    " ORDER BY seq DESC LIMIT ?1) ORDER BY seq";
static const char one[] =
    "SELECT * FROM (SELECT seq, at_ms, service, from_state, to_state, mode,"
    " reason, generation, actor, text FROM history"
    " WHERE service = ?2 AND seq < ?3"
    " ORDER BY seq DESC LIMIT ?1) ORDER BY seq";

char *
store_file_history(struct store_file *f, const struct store_ask *ask,
                   size_t *len, struct bk_text *error)
{
    static const char head[] = "{\"history\":[";
    struct answer a = {NULL, 0, 0};
    sqlite3_stmt *st = NULL;
    uint64_t limit =
        ask->limit < STORE_HISTORY_ANSWER ? ask->limit : STORE_HISTORY_ANSWER;
    int code;

    if (store_prepare(f, ask->service[0] == '\0' ? all : one, &st, error) !=
        STORE_GOOD)
        return NULL;
    (void)sqlite3_bind_int64(st, 1, (int64_t)limit);
    if (ask->service[0] != '\0')
        (void)sqlite3_bind_text(st, 2, ask->service, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(
        st, 3, ask->before > 0 ? (int64_t)ask->before : INT64_MAX);
    code =
        append(&a, head, sizeof head - 1) ? append_rows(&a, st) : SQLITE_NOMEM;
    if (code == SQLITE_DONE && !append(&a, "]}", 2))
        code = SQLITE_NOMEM;
    (void)sqlite3_finalize(st);
    if (code != SQLITE_DONE) {
        bk_text_put(error, sqlite3_errstr(code));
        free(a.at);
        return NULL;
    }
    *len = a.len;
    return a.at;
}
