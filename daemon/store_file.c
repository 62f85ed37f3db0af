/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_file.h"
#include "core/schema.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Marks a database as ours, "BRKD"; PRAGMA application_id. */
#define APPLICATION 1112689476
/* Another process that looks at the file is given this long to end. */
#define BUSY_MS 1000

extern const char store_schema[]; /* schema.sql */

/* EXCLUSIVE comes before anything touches the file: then the WAL's index lives
 * in our memory, there is no -shm file, and no reader can keep the WAL from being
 * written back. Write-back is ours (see store_file_write), not automatic, because
 * SQLite ignores its errors. */
static const char setup[] = "PRAGMA trusted_schema = OFF;"
                            "PRAGMA cell_size_check = ON;"
                            "PRAGMA mmap_size = 0;"
                            "PRAGMA temp_store = MEMORY;"
                            "PRAGMA locking_mode = EXCLUSIVE;"
                            "PRAGMA journal_mode = WAL;"
                            "PRAGMA synchronous = FULL;"
                            "PRAGMA wal_autocheckpoint = 0;"
                            "PRAGMA journal_size_limit = 4194304;";

/* A number that somebody else wrote, and no reader takes for one, is none here. */
#define LEAPS                                                        \
    "SELECT value FROM meta WHERE key = 'leaps' AND typeof(value) =" \
    " 'integer' AND value BETWEEN 0 AND 9007199254740991"
_Static_assert(BK_NUMBER_END - 1 == 9007199254740991, "the largest number");

static const char *const statement_texts[STORE_STATEMENT_COUNT] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_PUT_SERVICE] =
        "REPLACE INTO services (name, state, reason, generation, failed_rounds,"
        " open_until_ms, hold_until_ms, override_mode, override_until_ms,"
        " override_reason, override_actor, counters, saved_ms, stats, leaps)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
        " coalesce((" LEAPS "), 0))",
    [STORE_DROP_SERVICE] = "DELETE FROM services WHERE name = ?1",
    [STORE_PUT_SETTING] =
        "REPLACE INTO settings (service, key, value) VALUES (?1, ?2, ?3)",
    [STORE_DROP_SETTING] =
        "DELETE FROM settings WHERE service = ?1 AND key = ?2",
    [STORE_DROP_SETTINGS] = "DELETE FROM settings WHERE service = ?1",
    [STORE_PUT_FORGOTTEN] =
        "REPLACE INTO forgotten (name, generation) VALUES (?1, ?2)",
    [STORE_DROP_FORGOTTEN] = "DELETE FROM forgotten WHERE name = ?1",
    [STORE_TRIM_FORGOTTEN] =
        "DELETE FROM forgotten WHERE seq NOT IN"
        " (SELECT seq FROM forgotten ORDER BY seq DESC LIMIT ?1)",
    [STORE_LEAP] = "REPLACE INTO meta (key, value)"
                   " VALUES ('leaps', min(coalesce((" LEAPS "), 0) + 1, ?1))",
    [STORE_PUT_META] = "REPLACE INTO meta (key, value) VALUES (?1, ?2)",
    [STORE_PUT_EVENT] =
        "REPLACE INTO history (seq, at_ms, service, from_state, to_state,"
        " mode, reason, generation, actor, text)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [STORE_TRIM_HISTORY] = "DELETE FROM history WHERE seq <= ?1",
};

/* What the system last said of this file, 0 when nothing. */
static int
errno_of(sqlite3_file *file)
{
    int why = 0;

    if (file != NULL && file->pMethods != NULL)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &why);
    return why;
}

/* What the system said when SQLite calls something an I/O error. */
static int
system_error(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    sqlite3_file *wal = NULL;
    int why;

    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    why = errno_of(wal);
    return why != 0 ? why : errno_of(file);
}

/* Out of space has several spellings below SQLite, which calls some of them an
 * I/O error. Nothing is damaged by them. */
static bool
is_lack_of_room(sqlite3 *db)
{
    int why = system_error(db);

    return why == ENOSPC || why == EDQUOT || why == EFBIG;
}

/* What only means that now is a bad time, and what means that the file is not to
 * be trusted any more. */
enum store_trouble
store_trouble_of(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STORE_GOOD;
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
        return STORE_LATER;
    case SQLITE_IOERR:
        return code == SQLITE_IOERR_NOMEM || (db != NULL && is_lack_of_room(db))
                   ? STORE_LATER
                   : STORE_BROKEN;
    default:
        return STORE_BROKEN;
    }
}

void
store_say(sqlite3 *db, int code, struct bk_text *error)
{
    int why = 0;

    bk_text_put(error, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    if (db != NULL && (code & 0xff) == SQLITE_IOERR)
        why = system_error(db);
    if (why != 0) {
        bk_text_put(error, ": ");
        bk_text_put(error, strerror(why));
    }
}

static enum store_trouble
fail(struct store_file *f, int code, struct bk_text *error)
{
    store_say(f->db, code, error);
    return store_trouble_of(f->db, code);
}

enum store_trouble
store_prepare(struct store_file *f, const char *sql, sqlite3_stmt **out,
              struct bk_text *error)
{
    int code = sqlite3_prepare_v3(f->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  out, NULL);

    return code == SQLITE_OK ? STORE_GOOD : fail(f, code, error);
}

static enum store_trouble
run(struct store_file *f, const char *sql, struct bk_text *error)
{
    int code = sqlite3_exec(f->db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? STORE_GOOD : fail(f, code, error);
}

/* The first column of the first row of `sql`, as text and as a number. */
static enum store_trouble
ask(struct store_file *f, const char *sql, char *text, size_t size,
    int64_t *number, struct bk_text *error)
{
    sqlite3_stmt *st;
    enum store_trouble trouble = store_prepare(f, sql, &st, error);

    text[0] = '\0';
    *number = 0;
    if (trouble != STORE_GOOD)
        return trouble;
    if (sqlite3_step(st) == SQLITE_ROW) {
        const unsigned char *got = sqlite3_column_text(st, 0);

        if (got != NULL)
            bk_copy_text(text, size, (const char *)got,
                         strlen((const char *)got));
        *number = sqlite3_column_int64(st, 0);
    } else {
        trouble = fail(f, sqlite3_errcode(f->db), error);
        if (trouble == STORE_GOOD)
            trouble = STORE_BROKEN;
    }
    (void)sqlite3_finalize(st);
    return trouble;
}

static enum store_trouble
check_journal(struct store_file *f, struct bk_text *error)
{
    char text[256];
    int64_t number;
    enum store_trouble trouble =
        ask(f, "PRAGMA journal_mode", text, sizeof text, &number, error);

    if (trouble == STORE_GOOD && strcmp(text, "wal") != 0) {
        bk_text_put(error, "its directory cannot hold a write-ahead log");
        return STORE_LATER;
    }
    return trouble;
}

enum store_trouble
store_file_check(struct store_file *f, struct bk_text *error)
{
    char text[256];
    int64_t number;
    enum store_trouble trouble =
        ask(f, "PRAGMA quick_check(1)", text, sizeof text, &number, error);

    if (trouble == STORE_GOOD && strcmp(text, "ok") != 0) {
        /* The first line only says which database of ours. */
        const char *line = strchr(text, '\n');

        bk_text_put(error, line != NULL ? line + 1 : text);
        return STORE_BROKEN;
    }
    return trouble;
}

/* What each version of the tables adds to the one before, from version 2 on. */
static const char *const additions[BK_SCHEMA_VERSION - 1] = {
    "ALTER TABLE services ADD COLUMN stats TEXT NOT NULL DEFAULT '{}';",
    "ALTER TABLE services ADD COLUMN leaps INTEGER NOT NULL DEFAULT 0;",
};

/* Tables and version in one transaction: a file that has one has both. From an
 * older version only what came since is added. */
static enum store_trouble
bring_up(struct store_file *f, int64_t version, struct bk_text *error)
{
    char mark[128];
    enum store_trouble trouble = run(f, "BEGIN IMMEDIATE", error);

    (void)snprintf(mark, sizeof mark,
                   "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                   APPLICATION, BK_SCHEMA_VERSION);
    if (trouble == STORE_GOOD && version == 0)
        trouble = run(f, store_schema, error);
    for (int64_t v = version; v > 0 && v < BK_SCHEMA_VERSION; v++) {
        if (trouble == STORE_GOOD)
            trouble = run(f, additions[v - 1], error);
    }
    if (trouble == STORE_GOOD)
        trouble = run(f, mark, error);
    if (trouble == STORE_GOOD)
        trouble = run(f, "COMMIT", error);
    return trouble;
}

static enum store_trouble
prepare_all(struct store_file *f, struct bk_text *error)
{
    enum store_trouble trouble = STORE_GOOD;

    for (int i = 0; i < STORE_STATEMENT_COUNT && trouble == STORE_GOOD; i++)
        trouble =
            store_prepare(f, statement_texts[i], &f->statements[i], error);
    return trouble;
}

/* A database that is nobody's yet gets our tables; one of ours must have them; a
 * stranger's, or one of a later version, is left alone. */
static enum store_trouble
migrate(struct store_file *f, struct bk_text *error)
{
    char text[32];
    int64_t version;
    int64_t application;
    int64_t tables;
    enum store_trouble trouble =
        ask(f, "PRAGMA user_version", text, sizeof text, &version, error);

    if (trouble == STORE_GOOD)
        trouble = ask(f, "PRAGMA application_id", text, sizeof text,
                      &application, error);
    if (trouble == STORE_GOOD)
        trouble = ask(f, "SELECT count(*) FROM sqlite_schema", text,
                      sizeof text, &tables, error);
    if (trouble != STORE_GOOD)
        return trouble;
    if (version > BK_SCHEMA_VERSION) {
        bk_text_put(error, "it was written by a newer breakerd (its tables are"
                           " of version ");
        bk_text_put_i64(error, version);
        bk_text_put(error, ", this one knows ");
        bk_text_put_i64(error, BK_SCHEMA_VERSION);
        bk_text_put_char(error, ')');
        return STORE_LATER;
    }
    if ((version == 0 && tables == 0) ||
        (version > 0 && version < BK_SCHEMA_VERSION &&
         application == APPLICATION)) {
        trouble = bring_up(f, version, error);
        return trouble == STORE_GOOD ? prepare_all(f, error) : trouble;
    }
    trouble =
        version == BK_SCHEMA_VERSION ? prepare_all(f, error) : STORE_BROKEN;
    if (trouble == STORE_BROKEN && application != APPLICATION) {
        bk_text_init(error, error->at, error->cap);
        bk_text_put(error, "it is a database, but none of breakerd's");
        return STORE_LATER;
    }
    return trouble;
}

/* Nothing in the file may run anything: no views, no triggers, no extensions,
 * no changes of the schema behind SQLite's back. */
static void
confine(sqlite3 *db)
{
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    /* Until it has proved sound, closing it leaves the -wal as it was found. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1000000);
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_extended_result_codes(db, 1);
}

static int
note_wal(void *context, sqlite3 *db, const char *name, int pages)
{
    struct store_file *f = context;

    (void)db;
    (void)name;
    f->wal_pages = pages;
    return SQLITE_OK;
}

enum store_trouble
store_file_open(struct store_file *f, struct bk_text *error)
{
    enum store_trouble trouble;
    int code = sqlite3_open_v2(
        f->path, &f->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK) {
        trouble = fail(f, code, error);
        store_file_close(f);
        return trouble;
    }
    confine(f->db);
    trouble = run(f, setup, error);
    if (trouble == STORE_GOOD)
        trouble = check_journal(f, error);
    if (trouble == STORE_GOOD)
        trouble = migrate(f, error);
    if (trouble != STORE_GOOD) {
        store_file_close(f);
        return trouble;
    }
    (void)sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    f->wal_pages = 0;
    (void)sqlite3_wal_hook(f->db, note_wal, f);
    return STORE_GOOD;
}

void
store_file_close(struct store_file *f)
{
    for (int i = 0; i < STORE_STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(f->statements[i]);
        f->statements[i] = NULL;
    }
    (void)sqlite3_close(f->db);
    f->db = NULL;
}
