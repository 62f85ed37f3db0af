/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rundir.h"
#include "daemon/log.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define GROUP_NAME "breakerd"
#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6

static bool
join(char *out, const char *directory, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", directory, name);
    return n > 0 && n < PATH_MAX;
}

static const char *
filled(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* In the order of the documentation; the last resort lies in /tmp, where anybody
 * may have been before us. */
static bool
choose_directory(char *out, const char *dir, bool *is_in_tmp)
{
    const char *runtime = filled("XDG_RUNTIME_DIR");
    *is_in_tmp = false;
    if (dir == NULL) {
        dir = filled("BREAKERD_DIR");
    }
    if (dir == NULL) {
        dir = filled("RUNTIME_DIRECTORY");
    }
    if (dir == NULL && geteuid() == 0) {
        dir = "/run/breakerd";
    }
    if (dir != NULL) {
        int n = snprintf(out, PATH_MAX, "%s", dir);
        return n > 0 && n < PATH_MAX;
    }
    if (runtime != NULL) {
        return join(out, runtime, "breakerd");
    }
    *is_in_tmp = true;
    snprintf(out, PATH_MAX, "/tmp/breakerd-%u", (unsigned)geteuid());
    return true;
}

static bool
choose_database(char *out, const char *db)
{
    const char *state = filled("STATE_DIRECTORY");
    const char *xdg = filled("XDG_STATE_HOME");
    const char *home = filled("HOME");
    if (db != NULL) {
        int n = snprintf(out, PATH_MAX, "%s", db);
        return n > 0 && n < PATH_MAX;
    }
    if (state != NULL) {
        return join(out, state, "breakerd.db");
    }
    if (geteuid() == 0) {
        return join(out, "/var/lib/breakerd", "breakerd.db");
    }
    if (xdg != NULL) {
        return join(out, xdg, "breakerd/breakerd.db");
    }
    return home != NULL && join(out, home, ".local/state/breakerd/breakerd.db");
}

bool
rundir_fail(struct bk_text *error, const char *what, const char *path,
            int number)
{
    char text[PATH_MAX + 200];
    snprintf(text, sizeof(text), "cannot %s %s: %s", what, path,
             strerror(number));
    bk_text_put(error, text);
    return false;
}

static bool
make_directory(const char *path, bool is_in_tmp, struct bk_text *error)
{
    struct stat st;
    mode_t mode = is_in_tmp ? 0700 : 0755;
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) != 0) { /* the umask had its say */
            return rundir_fail(error, "set the mode of", path, errno);
        }
    } else if (errno != EEXIST) {
        return rundir_fail(error, "make the directory", path, errno);
    }
    if (lstat(path, &st) != 0) {
        return rundir_fail(error, "look at", path, errno);
    }
    if (is_in_tmp && (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
                      (st.st_mode & 077) != 0)) {
        bk_text_put(error, path);
        bk_text_put(error, " is not a private directory of this user; remove "
                           "it or name another with --dir");
        return false;
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return rundir_fail(error, "use the directory", path, ENOTDIR);
    }
    return true;
}

static bool
take_lock(struct rundir *r, struct bk_text *error)
{
    char path[PATH_MAX];
    if (!rundir_file(r, "lock", path)) {
        return rundir_fail(error, "use the directory", r->path, ENAMETOOLONG);
    }
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->lock_fd < 0) {
        return rundir_fail(error, "open", path, errno);
    }
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    /* Not ours: what is in the directory stays as it is. */
    close(r->lock_fd);
    r->lock_fd = -1;
    bk_text_put(error, "another breakerd holds ");
    bk_text_put(error, path);
    bk_text_put(error, "; stop it, or give this one a directory of its own "
                       "with --dir");
    return false;
}

static bool
write_pid(const struct rundir *r, struct bk_text *error)
{
    char path[PATH_MAX];
    if (!rundir_file(r, "breakerd.pid", path)) {
        return rundir_fail(error, "use the directory", r->path, ENAMETOOLONG);
    }
    int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        return rundir_fail(error, "write", path, errno);
    }
    int written = dprintf(fd, "%ld\n", (long)getpid());
    int changed = fchmod(fd, 0644);
    close(fd);
    return (written > 0 && changed == 0) ||
           rundir_fail(error, "write", path, errno);
}

static void
find_group(struct rundir *r)
{
    const struct group *group = getgrnam(GROUP_NAME);
    r->has_group = group != NULL;
    r->gid = group != NULL ? group->gr_gid : getegid();
    if (!r->has_group) {
        log_line(LOG_INFO,
                 "no group " GROUP_NAME " on this machine: only this daemon's "
                 "own user can connect");
    } else if (geteuid() != 0 && getegid() != r->gid &&
               getgroups(0, NULL) == 0) {
        r->has_group = false;
        r->gid = getegid();
    }
}

bool
rundir_open(struct rundir *r, const char *dir, const char *db,
            struct bk_text *error)
{
    bool is_in_tmp;
    memset(r, 0, sizeof(*r));
    r->lock_fd = -1;
    if (!choose_directory(r->path, dir, &is_in_tmp)) {
        bk_text_put(error, "the runtime directory's name is too long");
        return false;
    }
    if (!choose_database(r->db_path, db)) {
        bk_text_put(error, "no place for the database: name one with --db");
        return false;
    }
    if (!make_directory(r->path, is_in_tmp, error) || !take_lock(r, error)) {
        return false;
    }
    find_group(r);
    return write_pid(r, error);
}

void
rundir_close(struct rundir *r)
{
    char path[PATH_MAX];
    if (r->lock_fd < 0) {
        return;
    }
    if (rundir_file(r, "breakerd.pid", path)) {
        unlink(path);
    }
    close(r->lock_fd);
    r->lock_fd = -1;
}

bool
rundir_file(const struct rundir *r, const char *name, char *out)
{
    return join(out, r->path, name);
}

bool
rundir_protect(const struct rundir *r, const char *path, mode_t mode,
               struct bk_text *error)
{
    /* Group first: giving a file away may clear bits of its mode. */
    if (chown(path, (uid_t)-1, r->gid) != 0 && r->has_group) {
        log_line(LOG_WARNING,
                 "%s cannot be given to the group " GROUP_NAME
                 " (%s): only this daemon's own user can connect",
                 path, strerror(errno));
    }
    return chmod(path, mode) == 0 ||
           rundir_fail(error, "set the mode of", path, errno);
}

bool
rundir_is_tmpfs(const struct rundir *r)
{
    struct statfs fs;
    return statfs(r->path, &fs) == 0 &&
           (fs.f_type == TMPFS_MAGIC ||
            (unsigned long)fs.f_type == RAMFS_MAGIC);
}
