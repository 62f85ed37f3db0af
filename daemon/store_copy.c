/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite copies its pages; what this connection writes meanwhile gets into the copy
 * too. The new file has a name that nobody asked for until it is on disk: a file of
 * the right name is a whole copy, whatever was killed when. */
#include "daemon/store_copy.h"
#include "core/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pages of one piece: a megabyte, usually. */
#define PAGES 256
/* Room for the document, every octet of the path escaped. */
#define DOCUMENT_SIZE (6 * STORE_PATH_SIZE + 64)

/* "cannot write PATH: why"; always false, so that it can be returned. */
static bool
fail(const struct store_copy *c, const char *why, struct bk_text *error)
{
    bk_text_put(error, "cannot write ");
    bk_text_put(error, c->ask.path);
    bk_text_put(error, ": ");
    bk_text_put(error, why);
    return false;
}

/* An older copy may be replaced. Nothing else: among what is not a database are the
 * instance's lock, its shared memory and the database's own log. */
static bool
is_database(const char *path)
{
    static const char first[] = "SQLite format 3"; /* with its NUL */
    char there[sizeof first];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool is_one = fd >= 0 && read(fd, there, sizeof there) == sizeof there &&
                  memcmp(there, first, sizeof first) == 0;

    if (fd >= 0)
        (void)close(fd);
    return is_one;
}

/* Whether the name may be given to the copy. */
static bool
is_free(const struct store_copy *c, const struct store_file *f,
        struct bk_text *error)
{
    struct stat there;
    struct stat ours;

    if (lstat(c->ask.path, &there) != 0)
        return errno == ENOENT || fail(c, strerror(errno), error);
    if (!c->ask.may_replace)
        return fail(c,
                    "there is a file of this name (--force, in the protocol "
                    "replace, replaces it)",
                    error);
    if (!S_ISREG(there.st_mode))
        return fail(c, "what is there is not a regular file", error);
    if (stat(f->path, &ours) == 0 && ours.st_dev == there.st_dev &&
        ours.st_ino == there.st_ino)
        return fail(c, "that is the database itself", error);
    return is_database(c->ask.path) ||
           fail(c, "what is there is not a database", error);
}

/* The file is for its owner alone, like the database. */
static bool
make_file(struct store_copy *c, struct bk_text *error)
{
    int fd;
    bool is_good;

    (void)snprintf(c->temporary, sizeof c->temporary, "%s.XXXXXX", c->ask.path);
    fd = mkostemp(c->temporary, O_CLOEXEC);
    if (fd < 0) {
        c->temporary[0] = '\0';
        return fail(c, strerror(errno), error);
    }
    is_good = fchmod(fd, 0600) == 0;
    (void)close(fd);
    return is_good || fail(c, strerror(errno), error);
}

/* Nobody needs half a copy: it gets no journal, and is synced once at its end. */
static bool
open_copy(struct store_copy *c, sqlite3 *from, struct bk_text *error)
{
    int code =
        sqlite3_open_v2(c->temporary, &c->to,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_exec(c->to,
                            "PRAGMA journal_mode = OFF;"
                            "PRAGMA synchronous = OFF;",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return fail(c, sqlite3_errstr(code), error);
    c->backup = sqlite3_backup_init(c->to, "main", from, "main");
    return c->backup != NULL || fail(c, sqlite3_errmsg(c->to), error);
}

bool
store_copy_is_running(const struct store_copy *c)
{
    return c->backup != NULL;
}

bool
store_copy_begin(struct store_copy *c, struct store_file *f,
                 const struct store_ask *ask, struct bk_text *error)
{
    c->ask = *ask;
    if (is_free(c, f, error) && make_file(c, error) &&
        open_copy(c, f->db, error))
        return true;
    store_copy_drop(c);
    return false;
}

/* The directory that holds `path`. */
static bool
sync_directory(const char *path)
{
    char directory[STORE_PATH_SIZE];
    size_t len = (size_t)(strrchr(path, '/') - path);
    int fd;
    bool is_good;

    bk_copy_text(directory, sizeof directory, path, len > 0 ? len : 1);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    is_good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return is_good;
}

/* Gives the file its name. Where another came by that name meanwhile, a link does
 * not replace it. */
static bool
name_file(struct store_copy *c)
{
    if (c->ask.may_replace)
        return rename(c->temporary, c->ask.path) == 0;
    return link(c->temporary, c->ask.path) == 0 && unlink(c->temporary) == 0;
}

static bool
put_on_disk(struct store_copy *c, int64_t *bytes)
{
    int fd = open(c->temporary, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool is_good = fd >= 0 && fsync(fd) == 0 && fstat(fd, &st) == 0;

    if (is_good)
        *bytes = st.st_size;
    if (fd >= 0)
        (void)close(fd);
    if (!is_good || !name_file(c))
        return false;
    c->temporary[0] = '\0';
    return sync_directory(c->ask.path);
}

static char *
describe(const struct store_copy *c, int64_t bytes)
{
    char *document = malloc(DOCUMENT_SIZE);
    struct bk_text text;
    struct bk_json json;

    if (document == NULL)
        return NULL;
    bk_text_init(&text, document, DOCUMENT_SIZE);
    bk_json_init(&json, &text);
    bk_json_open(&json, NULL, '{');
    bk_json_string(&json, "path", c->ask.path);
    bk_json_u64(&json, "bytes", (uint64_t)bytes);
    bk_json_close(&json, '}');
    return document;
}

/* All pages are copied. */
static void
finish(struct store_copy *c, char **json, struct bk_text *error)
{
    int64_t bytes = 0;
    int code = sqlite3_backup_finish(c->backup);

    c->backup = NULL;
    if (code == SQLITE_OK)
        code = sqlite3_close(c->to);
    if (code == SQLITE_OK)
        c->to = NULL;
    if (code != SQLITE_OK)
        (void)fail(c, sqlite3_errstr(code), error);
    else if (!put_on_disk(c, &bytes))
        (void)fail(c, strerror(errno), error);
    else if ((*json = describe(c, bytes)) == NULL)
        bk_text_put(error, "out of memory");
}

bool
store_copy_step(struct store_copy *c, char **json, struct bk_text *error)
{
    int code = sqlite3_backup_step(c->backup, PAGES);

    *json = NULL;
    if (code == SQLITE_OK)
        return false;
    if (code == SQLITE_DONE)
        finish(c, json, error);
    else
        (void)fail(c, sqlite3_errstr(code), error);
    return true;
}

void
store_copy_drop(struct store_copy *c)
{
    (void)sqlite3_backup_finish(c->backup);
    (void)sqlite3_close(c->to);
    if (c->temporary[0] != '\0')
        (void)unlink(c->temporary);
    c->backup = NULL;
    c->to = NULL;
    c->temporary[0] = '\0';
}
