#ifndef RUNDIR_H
#define RUNDIR_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime directory of one instance: which it is, whose it is, the lock that
 * keeps a second daemon out, and the modes of what lies in it. */
#include "core/text.h"
#include <limits.h>
#include <sys/types.h>

struct rundir {
    char path[PATH_MAX];
    char db_path[PATH_MAX];
    int lock_fd;
    gid_t gid;
    bool has_group; /* the group breakerd exists */
};

/* Finds directory and database (`dir`, `db`: as given, or NULL), makes what is
 * missing, takes the lock, writes the pid file. False and one sentence. */
bool rundir_open(struct rundir *r, const char *dir, const char *db,
                 struct bk_text *error);
/* Removes the pid file, gives the lock back. */
void rundir_close(struct rundir *r);
/* "DIR/name" in a buffer of PATH_MAX; false when too long. */
bool rundir_file(const struct rundir *r, const char *name, char *out);
/* Group and mode of something of ours; false and a sentence. */
bool rundir_protect(const struct rundir *r, const char *path, mode_t mode,
                    struct bk_text *error);
/* Writes "cannot WHAT PATH: what errno `number` means"; false, so that it can be
 * returned. */
bool rundir_fail(struct bk_text *error, const char *what, const char *path,
                 int number);
bool rundir_is_tmpfs(const struct rundir *r);

#endif
