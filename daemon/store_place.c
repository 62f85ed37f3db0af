/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the database lies: its directories, its file, and what it is called when
 * it is no longer the one. */
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/store_file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Files set aside within one second. */
#define NAMES_TRIED 10

/* "cannot WHAT PATH: why"; always false, so that it can be returned. */
static bool
cannot(struct bk_text *error, const char *what, const char *path)
{
    bk_text_put(error, "cannot ");
    bk_text_put(error, what);
    bk_text_put(error, " ");
    bk_text_put(error, path);
    bk_text_put(error, ": ");
    bk_text_put(error, strerror(errno));
    return false;
}

/* Makes each missing directory on the way; `path` is cut and mended meanwhile. */
static bool
make_directories(char *path, struct bk_text *error)
{
    for (char *at = path; (at = strchr(at + 1, '/')) != NULL;) {
        bool is_made;

        *at = '\0';
        is_made = mkdir(path, 0700) == 0;
        if (!is_made && errno != EEXIST)
            return cannot(error, "make directory", path);
        /* Whatever the umask took away, the owner needs all three. */
        if (is_made && chmod(path, 0700) != 0)
            return cannot(error, "make directory", path);
        *at = '/';
    }
    return true;
}

/* Who owns the directory can put another file in place of ours. */
static void
warn_of_directory(char *path)
{
    char *end = strrchr(path, '/');
    struct stat st;
    bool is_known;

    *end = '\0';
    is_known = stat(end == path ? "/" : path, &st) == 0;
    if (is_known && st.st_uid != geteuid() && st.st_uid != 0)
        log_line(LOG_WARNING, "the directory of %s/%s belongs to user %u", path,
                 end + 1, (unsigned)st.st_uid);
    if (is_known && (st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
        log_line(LOG_WARNING, "anybody may write to the directory of %s/%s",
                 path, end + 1);
    *end = '/';
}

/* The file is made here, empty, for its mode: SQLite asks the umask, and gives
 * the -wal file the mode of the database. Before SQLite opens it, because
 * closing any descriptor of a file drops the process's locks on it. */
static bool
make_file(const char *path, struct bk_text *error)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0) {
        bool is_good = fchmod(fd, 0600) == 0;

        (void)close(fd);
        return is_good || cannot(error, "open store", path);
    }
    if (errno != EEXIST || stat(path, &st) != 0)
        return cannot(error, "open store", path);
    if (!S_ISREG(st.st_mode)) {
        bk_text_put(error, "cannot open store ");
        bk_text_put(error, path);
        bk_text_put(error, ": not a regular file");
        return false;
    }
    if (st.st_uid != geteuid())
        log_line(LOG_WARNING, "%s belongs to user %u", path,
                 (unsigned)st.st_uid);
    return true;
}

bool
store_place_make(const char *path, struct bk_text *error)
{
    char copy[PATH_MAX];

    if (bk_copy_text(copy, sizeof copy, path, strlen(path)) != strlen(path)) {
        bk_text_put(error, "the store's path is too long");
        return false;
    }
    if (!make_directories(copy, error))
        return false;
    warn_of_directory(copy);
    return make_file(path, error);
}

static bool
ends_like_a_database(const char *path)
{
    static const char *const ends[] = {".db", ".sqlite", ".sqlite3"};
    size_t len = strlen(path);

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);

        if (len > end && strcmp(path + len - end, ends[i]) == 0)
            return true;
    }
    return false;
}

bool
store_place_may_replace(const char *path)
{
    struct stat st;

    if (ends_like_a_database(path))
        return true;
    /* Ours is nobody else's to read; somebody's text file usually is. */
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_uid == geteuid() && (st.st_mode & 077) == 0;
}

/* "FILE.corrupt-20261122T071245", or with a number behind when that is taken. */
static bool
name_aside(const char *path, char *name, size_t size)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    char stamp[32];

    if (gmtime_r(&now, &tm) == NULL)
        return false;
    (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    for (int i = 0; i < NAMES_TRIED; i++) {
        int len =
            i == 0 ? snprintf(name, size, "%s.corrupt-%s", path, stamp)
                   : snprintf(name, size, "%s.corrupt-%s-%d", path, stamp, i);

        if (len < 0 || (size_t)len >= size)
            return false;
        if (access(name, F_OK) != 0)
            return true;
    }
    return false;
}

/* The -wal goes with its database: the sqlite3 tool can then still save what is
 * in both. A -shm is of an older time; ours has none. */
static bool
rename_all(const char *path, const char *name)
{
    static const char *const ends[] = {"-wal", "-shm"};

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char from[PATH_MAX];
        char to[PATH_MAX];

        (void)snprintf(from, sizeof from, "%s%s", path, ends[i]);
        (void)snprintf(to, sizeof to, "%s%s", name, ends[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return false;
    }
    return rename(path, name) == 0 || errno == ENOENT;
}

bool
store_file_set_aside(struct store_file *f, const char *why)
{
    char name[PATH_MAX - 8];

    if (f->db != NULL) {
        /* What the -wal holds stays there: nothing is written to a damaged
         * file any more. */
        (void)sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                                NULL);
        store_file_close(f);
    }
    if (!name_aside(f->path, name, sizeof name) || !rename_all(f->path, name)) {
        log_line(LOG_ERROR,
                 "store %s is damaged (%s) and cannot be renamed: %s", f->path,
                 why, strerror(errno));
        return false;
    }
    log_line(LOG_ERROR,
             "store %s is damaged (%s): set aside as %s, a new one begins",
             f->path, why, name);
    return true;
}
