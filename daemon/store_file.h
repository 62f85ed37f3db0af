#ifndef STORE_FILE_H
#define STORE_FILE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The database file: opened with care, written in one transaction a box, read
 * with suspicion, set aside when it is damaged. One thread at a time. */
#include "daemon/store_box.h"
#include <sqlite3.h>

#define STORE_HISTORY_ROWS 100000
/* Rows one answer may hold. */
#define STORE_HISTORY_ANSWER 10000

/* What became of an attempt, and what to do. */
enum store_trouble {
    STORE_GOOD,
    STORE_LATER, /* full, read-only, locked: the file is sound, try again */
    STORE_BROKEN /* damaged, or the disk lost something: set it aside */
};

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_PUT_SERVICE,
    STORE_DROP_SERVICE,
    STORE_PUT_SETTING,
    STORE_DROP_SETTING,
    STORE_DROP_SETTINGS,
    STORE_PUT_FORGOTTEN,
    STORE_DROP_FORGOTTEN,
    STORE_TRIM_FORGOTTEN,
    STORE_PUT_META,
    STORE_LEAP,
    STORE_PUT_EVENT,
    STORE_TRIM_HISTORY,
    STORE_STATEMENT_COUNT
};

/* All zero with a path is closed. */
struct store_file {
    char *path;
    sqlite3 *db; /* NULL: closed */
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    int wal_pages; /* as the last commit left it */
};

/* Makes directories and the file where they are missing. False and a sentence
 * when that cannot be. */
bool store_place_make(const char *path, struct bk_text *error);
/* Whether a file that is no database may be set aside: it is named or kept like
 * one, not like somebody's own. */
bool store_place_may_replace(const char *path);

/* Opens and migrates. Anything but STORE_GOOD leaves it closed, with the
 * reason in `error`. */
enum store_trouble store_file_open(struct store_file *f, struct bk_text *error);
/* Looks through all of it, which takes as long as it is large. */
enum store_trouble store_file_check(struct store_file *f,
                                    struct bk_text *error);
void store_file_close(struct store_file *f);
/* Closes the file, gives it another name (with -wal and -shm), logs one line with
 * `why`. False when the name could not be changed. */
bool store_file_set_aside(struct store_file *f, const char *why);

/* One transaction, on disk when it returns STORE_GOOD; else nothing was written
 * and `error` has SQLite's words. */
enum store_trouble store_file_write(struct store_file *f,
                                    const struct store_box *box,
                                    struct bk_text *error);
/* Rows of services are passed over when the roll has no name that is wanted. */
struct store_roll;
enum store_trouble store_file_load(struct store_file *f, int64_t wall_ms,
                                   const struct store_reader *reader,
                                   const struct store_roll *roll,
                                   struct store_meta *meta,
                                   struct bk_text *error);
/* {"history":[...]}, newest last, `*len` octets to be freed; NULL and SQLite's
 * words when it cannot be read. */
char *store_file_history(struct store_file *f, const struct store_ask *ask,
                         size_t *len, struct bk_text *error);

/* What a result code of SQLite means for the file. */
enum store_trouble store_trouble_of(sqlite3 *db, int code);
/* Appends SQLite's words, and the system's where it has some. */
void store_say(sqlite3 *db, int code, struct bk_text *error);
/* Prepares `sql`; a NULL statement is never returned with STORE_GOOD. */
enum store_trouble store_prepare(struct store_file *f, const char *sql,
                                 sqlite3_stmt **out, struct bk_text *error);

#endif
