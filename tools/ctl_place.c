/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_place.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *
environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool
join(char out[PLACE_PATH_SIZE], const char *a, const char *b)
{
    struct bk_text text;

    bk_text_init(&text, out, PLACE_PATH_SIZE);
    bk_text_put(&text, a);
    bk_text_put(&text, b);
    return !text.is_cut;
}

/* Looks at one candidate. Anybody can make a directory in /tmp, so there ours
 * counts alone. */
static void
look(struct place *p, const char *parent, const char *name, const char *origin,
     bool must_be_ours)
{
    struct place_try *try = &p->tries[p->count++];
    struct stat st;

    *try = (struct place_try){.origin = origin};
    if (!join(try->dir, parent, name)) {
        try->trouble = "the path is too long";
        return;
    }
    if (stat(try->dir, &st) != 0) {
        p->is_forbidden = p->is_forbidden || errno == EACCES;
        try->trouble = errno == EACCES ? "permission denied" : "does not exist";
        return;
    }
    try->is_there = true;
    if (!S_ISDIR(st.st_mode))
        try->trouble = "is not a directory";
    else if (must_be_ours && st.st_uid != geteuid())
        try->trouble = "belongs to somebody else";
    else if (p->dir == NULL)
        p->dir = try->dir;
}

void
place_find(struct place *p, const char *option)
{
    const char *dir = environment("BREAKERD_DIR");
    const char *runtime = environment("XDG_RUNTIME_DIR");
    char own[32];
    struct bk_text text;

    *p = (struct place){0};
    if (option != NULL) {
        look(p, option, "", "--dir", false);
        return;
    }
    if (dir != NULL) {
        look(p, dir, "", "$BREAKERD_DIR", false);
        return;
    }
    if (runtime != NULL)
        look(p, runtime, "/breakerd", "$XDG_RUNTIME_DIR", false);
    if (p->dir == NULL)
        look(p, "/run/breakerd", "", "the system's", false);
    if (p->dir == NULL) {
        bk_text_init(&text, own, sizeof own);
        bk_text_put(&text, "/tmp/breakerd-");
        bk_text_put_u64(&text, geteuid());
        look(p, own, "", "this user's", true);
    }
}

bool
place_file(const struct place *p, const char *name, char out[PLACE_PATH_SIZE])
{
    struct bk_text text;

    bk_text_init(&text, out, PLACE_PATH_SIZE);
    bk_text_put(&text, p->dir);
    bk_text_put_char(&text, '/');
    bk_text_put(&text, name);
    return !text.is_cut;
}

void
place_tell(const struct place *p, struct bk_text *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct place_try *try = &p->tries[i];

        if (i > 0)
            bk_text_put(out, "; ");
        bk_text_put(out, try->dir);
        bk_text_put(out, " (");
        bk_text_put(out, try->origin);
        bk_text_put(out, ", ");
        bk_text_put(out, try->trouble != NULL ? try->trouble : "is there");
        bk_text_put_char(out, ')');
    }
}

static void
put_owner(struct bk_text *out, uid_t uid)
{
    const struct passwd *owner = getpwuid(uid);

    if (owner != NULL) {
        bk_text_put(out, owner->pw_name);
    } else {
        bk_text_put(out, "uid ");
        bk_text_put_u64(out, uid);
    }
}

void
place_remedy(const char *path, struct bk_text *out)
{
    const struct group *group = getgrnam(PLACE_GROUP);
    struct stat st = {0};
    bool is_there = stat(path, &st) == 0;

    if (is_there && (st.st_mode & S_IRWXG) == 0) {
        bk_text_put(out, "operators' commands are for ");
        put_owner(out, st.st_uid);
        bk_text_put(out, st.st_uid == 0 ? ": run it with sudo"
                                        : " and root: run it with sudo");
        return;
    }
    if (group == NULL)
        bk_text_put(out, "make the group " PLACE_GROUP
                         " (groupadd --system " PLACE_GROUP
                         "), restart breakerd, and ");
    bk_text_put(out, "join the group " PLACE_GROUP " (usermod -aG " PLACE_GROUP
                     " USER, then log in again)");
    if (is_there) {
        bk_text_put(out, ", or run as ");
        put_owner(out, st.st_uid);
    }
}

bool
place_database(const char *option, char out[PLACE_PATH_SIZE])
{
    const char *state = environment("STATE_DIRECTORY");
    const char *home = environment("HOME");

    if (option != NULL)
        return join(out, option, "");
    if (state != NULL)
        return join(out, state, "/breakerd.db");
    if (geteuid() == 0)
        return join(out, "/var/lib/breakerd", "/breakerd.db");
    state = environment("XDG_STATE_HOME");
    if (state != NULL)
        return join(out, state, "/breakerd/breakerd.db");
    return join(out, home != NULL ? home : "",
                "/.local/state/breakerd/breakerd.db");
}
