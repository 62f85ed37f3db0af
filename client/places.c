/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/places.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
add(struct places *p, const char *head, const char *tail)
{
    char path[PLACE_SIZE];
    struct bk_text text;

    bk_text_init(&text, path, sizeof path);
    bk_text_put(&text, head);
    bk_text_put(&text, tail);
    if (text.is_cut)
        return false;
    p->tried[p->count] = strdup(path);
    if (p->tried[p->count] == NULL)
        return false;
    p->count++;
    return true;
}

/* A relative one is meant from here, wherever the host goes later. */
static bool
add_given(struct places *p, const char *dir)
{
    char here[PLACE_SIZE];
    char tail[PLACE_SIZE];
    struct bk_text text;

    if (dir[0] == '/' || getcwd(here, sizeof here) == NULL)
        return add(p, dir, "");
    bk_text_init(&text, tail, sizeof tail);
    bk_text_put(&text, "/");
    bk_text_put(&text, dir);
    return !text.is_cut && add(p, here, tail);
}

static bool
add_own(struct places *p)
{
    char tail[24];
    struct bk_text text;

    bk_text_init(&text, tail, sizeof tail);
    bk_text_put_u64(&text, (uint64_t)geteuid());
    p->must_own |= UINT32_C(1) << p->count;
    return add(p, "/tmp/breakerd-", tail);
}

bool
places_init(struct places *p, const char *dir)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    bool is_done;

    memset(p, 0, sizeof *p);
    if (dir == NULL)
        dir = secure_getenv("BREAKERD_DIR");
    if (dir != NULL && dir[0] != '\0') {
        is_done = add_given(p, dir);
    } else {
        /* An XDG path that is not absolute is to be ignored. */
        is_done = (runtime == NULL || runtime[0] != '/' ||
                   add(p, runtime, "/breakerd")) &&
                  add(p, "/run/breakerd", "") && add_own(p);
    }
    if (!is_done)
        places_fini(p);
    return is_done;
}

void
places_fini(struct places *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->tried[i]);
    memset(p, 0, sizeof *p);
}

/* Anybody can make a directory in /tmp under our name; lstat, so that a link to
 * one that we own somewhere else is no way in either. */
static bool
is_ours(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

const char *
places_choose(const struct places *p, struct cause *cause)
{
    struct bk_text text;

    for (uint32_t i = 0; i < p->count; i++) {
        struct stat st;

        if ((p->must_own >> i & 1) != 0 ? is_ours(p->tried[i])
                                        : stat(p->tried[i], &st) == 0)
            return p->tried[i];
    }
    text = cause_set(cause, CAUSE_NO_DIRECTORY);
    bk_text_put(&text, "no runtime directory of breakerd: tried ");
    for (uint32_t i = 0; i < p->count; i++) {
        bk_text_put(&text, i == 0 ? "" : ", ");
        bk_text_put(&text, p->tried[i]);
    }
    return NULL;
}
