/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite writes the copy under a name that nobody asked for; it gets the right one
 * when it is on disk. */
#define _GNU_SOURCE
#include "tools/ctl_backup.h"
#include "tools/ctl_history.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ctl_exit
cannot(const char *to, const char *why)
{
    ctl_say("cannot write %s: %s", to, why);
    return CTL_FAILED;
}

/* An older copy may be replaced, and nothing that is not a database: the instance's
 * lock and the database's own log are files too. */
static bool
is_database(const char *path)
{
    static const char first[] = "SQLite format 3"; /* with its NUL */
    FILE *f = fopen(path, "re");
    char there[sizeof first] = "";
    bool is_one = f != NULL && fread(there, sizeof there, 1, f) == 1 &&
                  memcmp(there, first, sizeof first) == 0;

    if (f != NULL)
        (void)fclose(f);
    return is_one;
}

/* What is there already is somebody's; the database itself is ours. */
static enum ctl_exit
check_target(const char *from, const char *to, bool may_replace)
{
    struct stat source;
    struct stat target;

    if (lstat(to, &target) != 0)
        return errno == ENOENT ? CTL_DONE : cannot(to, strerror(errno));
    if (!may_replace)
        return cannot(to, "there is a file of this name (--force replaces it)");
    if (!S_ISREG(target.st_mode))
        return cannot(to, "what is there is not a regular file");
    if (stat(from, &source) == 0 && source.st_dev == target.st_dev &&
        source.st_ino == target.st_ino)
        return cannot(to, "that is the database itself");
    return is_database(to) ? CTL_DONE
                           : cannot(to, "what is there is not a database");
}

/* A file that is sound and of breakerd's layout. */
static enum ctl_exit
check_source(const char *from)
{
    char clause[256];
    struct bk_text why;
    enum history_result result;

    bk_text_init(&why, clause, sizeof clause);
    result = history_examine(from, &why);
    if (result == HISTORY_READ)
        return CTL_DONE;
    ctl_say("cannot copy %s: %s", from, clause);
    if (result == HISTORY_FORBIDDEN)
        return CTL_FORBIDDEN;
    return result == HISTORY_BUSY ? CTL_UNREACHABLE : CTL_FAILED;
}

static enum ctl_exit
fill(const char *from, const char *temporary, const char *to)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    enum ctl_exit exit = CTL_DONE;
    int code = sqlite3_open_v2(from, &db, SQLITE_OPEN_READONLY, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &s, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(s, 1, temporary, -1, SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_step(s);
    if (code != SQLITE_DONE)
        exit =
            cannot(to, db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return exit;
}

static bool
sync_path(const char *path, int flags, struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    bool is_good = fd >= 0 && fsync(fd) == 0 && fstat(fd, st) == 0;

    if (fd >= 0)
        (void)close(fd);
    return is_good;
}

/* On disk, named, and the name on disk. */
static enum ctl_exit
settle(const char *temporary, const char *to, bool may_replace, uint64_t *bytes)
{
    char copy[PATH_MAX];
    struct stat st;
    bool is_named;

    if (!sync_path(temporary, 0, &st))
        return cannot(to, strerror(errno));
    *bytes = (uint64_t)st.st_size;
    is_named = may_replace ? rename(temporary, to) == 0
                           : link(temporary, to) == 0 && unlink(temporary) == 0;
    snprintf(copy, sizeof copy, "%s", to);
    if (!is_named || !sync_path(dirname(copy), O_DIRECTORY, &st))
        return cannot(to, strerror(errno));
    return CTL_DONE;
}

enum ctl_exit
backup_file(const char *from, const char *to, bool may_replace, uint64_t *bytes)
{
    char temporary[PATH_MAX];
    enum ctl_exit exit = check_source(from);
    int fd;

    if (exit == CTL_DONE)
        exit = check_target(from, to, may_replace);
    if (exit != CTL_DONE)
        return exit;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", to);
    fd = mkostemp(temporary, O_CLOEXEC); /* for its owner alone */
    if (fd < 0)
        return cannot(to, strerror(errno));
    (void)close(fd);
    exit = fill(from, temporary, to);
    if (exit == CTL_DONE)
        exit = settle(temporary, to, may_replace, bytes);
    if (exit != CTL_DONE)
        (void)unlink(temporary);
    return exit;
}
