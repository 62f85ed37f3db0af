/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's checks of files: who owns them, who may use them, who holds the
 * lock. */
#define _GNU_SOURCE
#include "tools/ctl_doctor.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define GROUP PLACE_GROUP
#define OWNER_SIZE 64
#define GROUPS_MAX 1024
#define MODE_BITS 07777U
/* What systemd gives to DynamicUser= (its UIDS-GIDS document). */
#define DYNAMIC_UID_FIRST 61184U
#define DYNAMIC_UID_LAST 65519U

static void
put_owner(char out[OWNER_SIZE], uid_t uid)
{
    const struct passwd *user = getpwuid(uid);

    if (user != NULL)
        snprintf(out, OWNER_SIZE, "%s", user->pw_name);
    else
        snprintf(out, OWNER_SIZE, "uid %u", uid);
}

void
doctor_directory(struct doctor *d)
{
    const struct place *p = &d->place;
    struct doctor_finding *f = doctor_add(d, "directory", DOCTOR_OK);
    char owner[OWNER_SIZE];
    struct bk_text tried;
    struct stat st;

    if (p->dir == NULL || stat(p->dir, &st) != 0) {
        f->result = DOCTOR_FAIL;
        bk_text_init(&tried, f->text, sizeof f->text);
        bk_text_put(&tried, "there is none; tried: ");
        place_tell(p, &tried);
        doctor_remedy(f,
                      "start breakerd (systemctl start breakerd, or breakerd "
                      "--dir DIR), or name its directory with --dir or "
                      "$BREAKERD_DIR");
        return;
    }
    put_owner(owner, st.st_uid);
    doctor_text(f, "%s (%s), owner %s, mode %04o", p->dir,
                p->tries[p->count - 1].origin, owner, st.st_mode & MODE_BITS);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        f->result = DOCTOR_FAIL;
        doctor_remedy(f, "others may replace files in it: chmod 0755 %s",
                      p->dir);
    } else if (access(p->dir, X_OK) != 0) {
        f->result = DOCTOR_FAIL;
        doctor_remedy(f, "this user may not enter it: chmod 0755 %s", p->dir);
    } else if (st.st_uid >= DYNAMIC_UID_FIRST &&
               st.st_uid <= DYNAMIC_UID_LAST) {
        f->result = DOCTOR_WARN;
        doctor_remedy(f,
                      "its owner is a user that systemd made up (DynamicUser=) "
                      "and may be another after the next start: give breakerd "
                      "a user of its own");
    }
}

/* Another name or mount of /dev/shm, too. */
static bool
is_in_dev_shm(const char *dir)
{
    struct stat st;
    struct stat shm;

    return stat(dir, &st) == 0 && stat("/dev/shm", &shm) == 0 &&
           st.st_dev == shm.st_dev;
}

void
doctor_tmpfs(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "tmpfs", DOCTOR_OK);
    struct statfs fs;

    if (statfs(d->place.dir, &fs) != 0) {
        f->result = DOCTOR_WARN;
        doctor_text(f, "cannot look at the file system: %s", strerror(errno));
        doctor_remedy(f, "keep the directory below /run");
    } else if (is_in_dev_shm(d->place.dir)) {
        f->result = DOCTOR_WARN;
        doctor_text(f, "the directory is in /dev/shm, where logind removes a "
                       "user's files when the user's last session ends "
                       "(RemoveIPC=)");
        doctor_remedy(f, "keep it below /run");
    } else if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) {
        doctor_text(f, "the directory is in memory");
    } else {
        f->result = DOCTOR_WARN;
        doctor_text(f, "the directory is on a disk: writing pages back may "
                       "stall breakerd");
        doctor_remedy(f, "keep it below /run, which is in memory");
    }
}

/* Whether /proc/locks has a flock of this file. */
static bool
is_held(const struct stat *st)
{
    FILE *locks = fopen("/proc/locks", "re");
    char file[64];
    char line[256];
    bool is_found = false;

    if (locks == NULL)
        return false;
    /* "1: FLOCK  ADVISORY  WRITE 4711 00:1a:12345 0 EOF" */
    snprintf(file, sizeof file, " %02x:%02x:%lu ", major(st->st_dev),
             minor(st->st_dev), (unsigned long)st->st_ino);
    while (!is_found && fgets(line, sizeof line, locks) != NULL)
        is_found = strstr(line, "FLOCK") != NULL && strstr(line, file) != NULL;
    fclose(locks);
    return is_found;
}

/* Looks the lock up instead of trying it: a try would keep a breakerd that starts
 * at this moment from getting it. */
void
doctor_lock(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "lock", DOCTOR_OK);
    char path[PLACE_PATH_SIZE];
    struct stat st;

    if (!place_file(&d->place, "lock", path) || stat(path, &st) != 0) {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "there is no lock file: no breakerd has run here");
        doctor_remedy(f, "start breakerd --dir %s", d->place.dir);
    } else if (is_held(&st)) {
        doctor_text(f, "held by a running breakerd");
    } else if (d->seen == VIEW_OPEN && d->view.is_running) {
        f->result = DOCTOR_WARN;
        doctor_text(f, "held by nobody who can be seen from here, though "
                       "breakerd runs");
        doctor_remedy(f, "nothing to do in a container that shares the "
                         "directory; else restart breakerd");
    } else {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "nobody holds it: breakerd is not running");
        doctor_remedy(f, "start breakerd --dir %s", d->place.dir);
    }
}

static const struct {
    const char *name;
    mode_t mode;
    enum doctor_result forbidden; /* when this user may not use it */
    const char *use;
} sockets[] = {
    {"worker.sock", 0660, DOCTOR_FAIL, "workers ask"},
    {"operator.sock", 0600, DOCTOR_WARN, "operators order"},
    {"events.sock", 0660, DOCTOR_WARN, "events are told"},
    {"ring.sock", 0660, DOCTOR_WARN, "workers share their rings"},
};

/* A daemon that hangs still holds its lock; one of another pid namespace can only
 * be seen to beat. */
static bool
is_there(const struct doctor *d)
{
    char path[PLACE_PATH_SIZE];
    struct stat st;

    return (place_file(&d->place, "lock", path) && stat(path, &st) == 0 &&
            is_held(&st)) ||
           (d->seen == VIEW_OPEN && !d->view.is_stopped &&
            d->view.heartbeat_age_ns < BK_HEARTBEAT_STALE_NS);
}

/* The socket and the daemon do not belong together: a socket unit listens for a
 * daemon that is not there, or the file is not the one the daemon listens at. */
static void
remedy_socket(const struct doctor *d, struct doctor_finding *f, bool listens)
{
    f->result = listens ? DOCTOR_WARN : DOCTOR_FAIL;
    if (listens)
        doctor_remedy(f, "somebody listens, and no breakerd runs: a socket "
                         "unit waits for it; systemctl start breakerd.service");
    else if (is_there(d))
        doctor_remedy(f,
                      "nobody listens at it, and breakerd runs: its file was "
                      "removed or replaced; restart breakerd, with its socket "
                      "units if it has them (systemctl restart "
                      "breakerd.socket breakerd-operator.socket)");
    else
        doctor_remedy(f, "nobody listens at it: start breakerd --dir %s",
                      d->place.dir);
}

static void
check_socket(struct doctor *d, size_t i)
{
    struct doctor_finding *f = doctor_add(d, sockets[i].name, DOCTOR_OK);
    char path[PLACE_PATH_SIZE];
    char owner[OWNER_SIZE];
    enum link_state state = LINK_ODD;
    struct bk_text remedy;
    struct stat st;

    if (!place_file(&d->place, sockets[i].name, path) || stat(path, &st) != 0) {
        doctor_text(f, "is missing");
        remedy_socket(d, f, false);
        return;
    }
    put_owner(owner, st.st_uid);
    state = link_probe(path);
    doctor_text(f, "where %s: owner %s, mode %04o", sockets[i].use, owner,
                st.st_mode & MODE_BITS);
    if (state == LINK_FORBIDDEN) {
        f->result = sockets[i].forbidden;
        bk_text_init(&remedy, f->remedy, sizeof f->remedy);
        place_remedy(path, &remedy);
    } else if (state != LINK_LISTENS || !is_there(d)) {
        remedy_socket(d, f, state == LINK_LISTENS);
    } else if ((st.st_mode & 0777) != sockets[i].mode) {
        f->result = DOCTOR_WARN;
        doctor_remedy(f, "its mode should be %04o: restart breakerd",
                      sockets[i].mode);
    }
}

void
doctor_sockets(struct doctor *d)
{
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++)
        check_socket(d, i);
}

static bool
is_member(gid_t gid)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);

    for (int i = 0; i < count; i++) {
        if (groups[i] == gid)
            return true;
    }
    return getegid() == gid;
}

/* A process keeps the groups it began with. */
static bool
will_be_member(gid_t gid)
{
    const struct passwd *user = getpwuid(geteuid());
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;

    if (user == NULL ||
        getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
        return false;
    for (int i = 0; i < count; i++) {
        if (groups[i] == gid)
            return true;
    }
    return false;
}

void
doctor_group(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "group", DOCTOR_OK);
    const struct group *group = getgrnam(GROUP);
    struct stat st;
    bool is_owner = geteuid() == 0 ||
                    (stat(d->place.dir, &st) == 0 && st.st_uid == geteuid());

    if (group == NULL) {
        f->result = is_owner ? DOCTOR_OK : DOCTOR_FAIL;
        doctor_text(f, "there is no group " GROUP ": the owner alone may use "
                       "breakerd");
        if (!is_owner)
            doctor_remedy(f, "groupadd --system " GROUP
                             ", add users to it, restart breakerd");
    } else if (is_owner || is_member(group->gr_gid)) {
        doctor_text(f, "this user is %s",
                    is_owner ? "the owner or root" : "in group " GROUP);
    } else if (will_be_member(group->gr_gid)) {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "this user is in group " GROUP ", but was not when this "
                       "session began");
        doctor_remedy(f, "log in again, or newgrp " GROUP
                         "; start this user's workers anew");
    } else {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "this user is not in group " GROUP);
        doctor_remedy(f, "usermod -aG " GROUP " USER, then log in again");
    }
}
