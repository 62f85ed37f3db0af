/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache's file: opened, checked to be ours, set aside when damaged. */
#define _GNU_SOURCE
#include "client/cache.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* "BRKC"; PRAGMA application_id. */
#define APPLICATION "1112689475"
#define LAYOUT "1"

/* Nothing here must survive a power cut: after one the file is at worst damaged,
 * and then set aside. So no commit waits for the disk. The totals are kept by
 * triggers, so that no put has to count. */
static const char setup[] = "PRAGMA trusted_schema = OFF;"
                            "PRAGMA cell_size_check = ON;"
                            "PRAGMA mmap_size = 0;"
                            "PRAGMA temp_store = MEMORY;"
                            "PRAGMA journal_mode = WAL;"
                            "PRAGMA synchronous = OFF;"
                            "PRAGMA journal_size_limit = 4194304;";
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "PRAGMA application_id = " APPLICATION ";"
    "PRAGMA user_version = " LAYOUT ";"
    "CREATE TABLE IF NOT EXISTS answers ("
    " hash INTEGER PRIMARY KEY, key BLOB NOT NULL, data BLOB NOT NULL,"
    " stored_ms INTEGER NOT NULL, fresh_ms INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS by_age ON answers (stored_ms);"
    "CREATE TABLE IF NOT EXISTS totals ("
    " id INTEGER PRIMARY KEY CHECK (id = 1), entries INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO totals VALUES (1, 0, 0);"
    "CREATE TRIGGER IF NOT EXISTS came AFTER INSERT ON answers BEGIN"
    " UPDATE totals SET entries = entries + 1, bytes = bytes + new.bytes;"
    "END;"
    "CREATE TRIGGER IF NOT EXISTS went AFTER DELETE ON answers BEGIN"
    " UPDATE totals SET entries = entries - 1, bytes = bytes - old.bytes;"
    "END;"
    "COMMIT;";

static const char *const statement_texts[CACHE_STATEMENT_COUNT] = {
    [CACHE_FIND] =
        "SELECT key, data, stored_ms, fresh_ms FROM answers WHERE hash = ?1",
    [CACHE_REMOVE] = "DELETE FROM answers WHERE hash = ?1",
    [CACHE_INSERT] = "INSERT INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [CACHE_EXPIRE] =
        "DELETE FROM answers WHERE hash IN (SELECT hash FROM answers"
        " WHERE stored_ms < ?1 ORDER BY stored_ms LIMIT ?2)",
    [CACHE_TOTALS] = "SELECT entries, bytes FROM totals",
    [CACHE_EVICT] = "DELETE FROM answers WHERE hash IN (SELECT hash FROM"
                    " answers ORDER BY stored_ms LIMIT 1)",
};

void
cache_file_close(struct cache_file *f)
{
    for (size_t i = 0; i < CACHE_STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(f->statements[i]);
    (void)sqlite3_close(f->db);
    *f = (struct cache_file){0};
}

static int
count_tables(void *context, int columns, char **values, char **names)
{
    long *number = context;

    (void)columns;
    (void)names;
    *number = values[0] != NULL ? strtol(values[0], NULL, 10) : 0;
    return 0;
}

static int
ask_number(sqlite3 *db, const char *question, long *out)
{
    *out = 0;
    return sqlite3_exec(db, question, count_tables, out, NULL);
}

/* Whether the file is a cache of this layout or has nothing in it. SQLITE_AUTH:
 * it is somebody else's and left alone. */
static int
check_ours(sqlite3 *db, bool *is_empty)
{
    long application;
    long layout;
    long tables;
    int code = ask_number(db, "PRAGMA application_id", &application);

    if (code == SQLITE_OK)
        code = ask_number(db, "PRAGMA user_version", &layout);
    if (code == SQLITE_OK)
        code = ask_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code != SQLITE_OK)
        return code;
    *is_empty = tables == 0 && application == 0;
    if (!*is_empty && (application != strtol(APPLICATION, NULL, 10) ||
                       layout != strtol(LAYOUT, NULL, 10)))
        return SQLITE_AUTH;
    return SQLITE_OK;
}

static int
prepare(struct cache_file *f)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < CACHE_STATEMENT_COUNT && code == SQLITE_OK; i++)
        code = sqlite3_prepare_v3(f->db, statement_texts[i], -1,
                                  SQLITE_PREPARE_PERSISTENT, &f->statements[i],
                                  NULL);
    return code;
}

/* A new file is its owner's alone; one that is there keeps its mode. */
static void
make_private(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                  S_IRUSR | S_IWUSR);

    if (fd >= 0)
        (void)close(fd);
}

static int
open_file(struct breaker_cache *c)
{
    struct cache_file *f = &c->file;
    bool is_empty = false;
    struct stat about;
    int code;

    make_private(c->path);
    code = sqlite3_open_v2(c->path, &f->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK && stat(c->path, &about) == 0) {
        f->device = about.st_dev;
        f->inode = about.st_ino;
    }
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(f->db, (int)c->options.deadline_ms);
    if (code == SQLITE_OK)
        code = check_ours(f->db, &is_empty);
    if (code == SQLITE_OK)
        code = sqlite3_exec(f->db, setup, NULL, NULL, NULL);
    if (code == SQLITE_OK && is_empty)
        code = sqlite3_exec(f->db, schema, NULL, NULL, NULL);
    return code == SQLITE_OK ? prepare(f) : code;
}

static bool
is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

/* PATH and what belongs beside it. False without memory. */
static bool
rename_all(const char *path)
{
    size_t room = strlen(path) + sizeof ".damaged";
    char *name = malloc(room);

    if (name == NULL)
        return false;
    (void)snprintf(name, room, "%s.damaged", path);
    (void)rename(path, name);
    (void)snprintf(name, room, "%s-wal", path);
    (void)unlink(name);
    (void)snprintf(name, room, "%s-shm", path);
    (void)unlink(name);
    free(name);
    return true;
}

/* Several processes find the same damage: the first one moves the file, under a
 * lock of the directory, and the others see that it is another one by then. */
static bool
set_aside(struct breaker_cache *c, dev_t device, ino_t inode)
{
    char *copy = strdup(c->path);
    char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
    bool is_done = false;
    struct stat about;
    int lock;

    if (copy == NULL)
        return false;
    if (slash != NULL)
        slash[slash == copy ? 1 : 0] = '\0';
    lock = open(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (lock < 0)
        return false;
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        if (stat(c->path, &about) == 0 && about.st_dev == device &&
            about.st_ino == inode) {
            is_done = rename_all(c->path);
            c->stats.set_aside += is_done;
        } else {
            is_done = true;
        }
    }
    (void)close(lock);
    return is_done;
}

static const char *
reason_of(int code)
{
    if (code == SQLITE_AUTH)
        return "it is not a cache of this version";
    return sqlite3_errstr(code);
}

bool
cache_file_failed(struct breaker_cache *c, int code, int64_t now_ns)
{
    dev_t device = c->file.device;
    ino_t inode = c->file.inode;

    c->stats.failed++;
    /* Somebody else holds it for longer than we wait: that passes. */
    if (c->file.statements[0] != NULL &&
        ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED ||
         (code & 0xff) == SQLITE_NOMEM))
        return false;
    cache_file_close(&c->file);
    if (is_damage(code) && set_aside(c, device, inode)) {
        cache_warn(c,
                   "was damaged; a new one is begun, the old one is kept "
                   "with .damaged behind its name",
                   NULL);
        return true;
    }
    c->retry_ns = now_ns + CACHE_RETRY_NS;
    cache_warn(c, "cannot be used, nothing is kept: ", reason_of(code));
    return false;
}

bool
cache_file_ready(struct breaker_cache *c, int64_t now_ns)
{
    /* A damaged file gets one replacement. */
    for (int tries = 0; tries < 2; tries++) {
        int code;

        if (c->file.db != NULL)
            return true;
        if (now_ns < c->retry_ns)
            return false;
        code = open_file(c);
        if (code == SQLITE_OK) {
            c->has_warned = c->has_warned && tries > 0;
            return true;
        }
        if (!cache_file_failed(c, code, now_ns))
            return false;
    }
    return false;
}
