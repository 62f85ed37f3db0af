/* SPDX-License-Identifier: Apache-2.0
 *
 * keygen: a pair of CURVE keys. The secret one is in its file alone, which only
 * its owner may read from the start; a file that is there stays. */
#define _GNU_SOURCE
#include "tools/ctl_commands.h"
#include "tools/ctl_json.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

/* A key in Z85, and its NUL. */
#define KEY_SIZE 41

static char *
joined(const char *path, const char *tail)
{
    size_t size = strlen(path) + strlen(tail) + 1;
    char *out = ctl_memory(NULL, size);

    (void)snprintf(out, size, "%s%s", path, tail);
    return out;
}

static bool
refuse_existing(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0 && errno == ENOENT)
        return true;
    ctl_say("%s is there already and may be somebody's key; name another file, "
            "or replace it with --force",
            path);
    return false;
}

/* The key and a line end in a new file of this name, made under another one: what
 * is at `path` is always whole. */
static bool
write_key(const char *path, const char *key, mode_t mode, bool is_forced)
{
    char *fresh = joined(path, ".XXXXXX");
    int fd = mkostemp(fresh, O_CLOEXEC); /* O_EXCL, mode 0600 */
    bool is_whole = fd >= 0 && fchmod(fd, mode) == 0 &&
                    dprintf(fd, "%s\n", key) == KEY_SIZE && fsync(fd) == 0;

    /* link, unlike rename, replaces nothing. */
    if (is_whole)
        is_whole = (is_forced ? rename(fresh, path) : link(fresh, path)) == 0;
    if (!is_whole)
        ctl_say("cannot write %s: %s", path, strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(fresh);
    }
    free(fresh);
    return is_whole;
}

static void
tell(const struct ctl *c, const char *path, const char *public_key)
{
    if (c->is_json) {
        json_t *json =
            json_pack("{s:s, s:s}", "file", path, "public_key", public_key);

        ctl_json_print(json);
        json_decref(json);
    } else {
        puts(public_key);
    }
}

enum ctl_exit
ctl_keygen(const struct ctl *c, const char *const *words, size_t count)
{
    bool is_forced = (c->given & (unsigned)CTL_FORCE) != 0;
    char *public_path = joined(words[0], ".pub");
    char public_key[KEY_SIZE];
    char secret_key[KEY_SIZE];
    bool is_done = false;

    (void)count;
    if (zmq_curve_keypair(public_key, secret_key) != 0)
        ctl_say("this libzmq has no CURVE: %s", zmq_strerror(zmq_errno()));
    else if (is_forced ||
             (refuse_existing(words[0]) && refuse_existing(public_path)))
        is_done =
            write_key(words[0], secret_key, S_IRUSR | S_IWUSR, is_forced) &&
            write_key(public_path, public_key,
                      S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH, is_forced);
    explicit_bzero(secret_key, sizeof secret_key);
    if (is_done)
        tell(c, words[0], public_key);
    free(public_path);
    return is_done ? CTL_DONE : CTL_FAILED;
}
