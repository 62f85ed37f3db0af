/* SPDX-License-Identifier: Apache-2.0
 *
 * backup: the daemon has its database for itself alone, so it writes the copy. Only
 * while it is down is it done here, under the instance's lock, so that no daemon
 * starts meanwhile. */
#define _GNU_SOURCE
#include "tools/ctl_backup.h"
#include "core/wire.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A copy that takes longer is told about, and looked after this often. */
#define PATIENCE_MS 3000
/* The end of all patience: a disk that is slower than that is no disk. */
#define DEADLINE_MS (30 * 60 * 1000)
#define PATH_MOST (BK_LINE_MAX - 16)

/* The path as the daemon, which runs elsewhere, can use it. */
static bool
put_path(struct bk_text *out, const char *word)
{
    char here[PLACE_PATH_SIZE];

    if (word[0] != '/') {
        if (getcwd(here, sizeof here) == NULL)
            return false;
        bk_text_put(out, here);
        bk_text_put_char(out, '/');
    }
    bk_text_put(out, word);
    for (size_t i = 0; i < out->len; i++) {
        if ((unsigned char)out->at[i] < ' ' || out->at[i] == 0x7f)
            return false;
    }
    return !out->is_cut;
}

static void
tell(const struct ctl *c, const char *path, uint64_t bytes)
{
    if (c->is_json) {
        json_t *json =
            json_pack("{s:s, s:I}", "path", path, "bytes", (json_int_t)bytes);

        ctl_json_print(json);
        json_decref(json);
        return;
    }
    ctl_print(CTL_PLAIN, path);
    printf(" is a copy of the database, %llu octets\n",
           (unsigned long long)bytes);
}

/* Waits as long as the daemon is there. */
static enum link_result
ask_patiently(struct link *l, const char *socket, const char *line,
              struct link_reply *reply)
{
    enum link_result result = link_ask(l, &line, 1, PATIENCE_MS, reply);

    if (result == LINK_LATE)
        ctl_say("breakerd is writing the copy; this may take a while");
    for (int waited_ms = PATIENCE_MS;
         result == LINK_LATE && waited_ms < DEADLINE_MS &&
         link_probe(socket) == LINK_LISTENS;
         waited_ms += PATIENCE_MS)
        result = link_go_on(l, PATIENCE_MS, reply);
    return result;
}

static enum ctl_exit
by_daemon(const struct ctl *c, const char *path, const char *socket,
          struct link *l)
{
    char line[BK_LINE_MAX + 1];
    struct link_reply reply = {0};
    enum link_result result;
    enum ctl_exit exit;
    json_t *json;

    snprintf(line, sizeof line, "BACKUP %s %s",
             (c->given & CTL_FORCE) != 0 ? "replace" : "new", path);
    result = ask_patiently(l, socket, line, &reply);
    if (result == LINK_LATE) {
        ctl_say("breakerd at %s has not answered; there is no copy yet",
                socket);
        return CTL_UNREACHABLE;
    }
    exit = ask_result(l, result, false, socket);
    if (exit == CTL_DONE)
        exit = ask_json(&reply, 0, NULL, &json);
    link_reply_free(&reply);
    if (exit != CTL_DONE)
        return exit;
    tell(c, path, ctl_json_number(json, "bytes"));
    json_decref(json);
    return CTL_DONE;
}

/* Keeps daemons of this instance from starting; -1 (and CTL_DONE) where none has
 * ever run, else the descriptor that holds the lock. */
static enum ctl_exit
lock_instance(const struct ctl *c, int *fd)
{
    struct place place;
    char path[PLACE_PATH_SIZE];

    *fd = -1;
    place_find(&place, c->dir);
    if (place.dir == NULL || !place_file(&place, "lock", path))
        return CTL_DONE;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT)
        return CTL_DONE;
    if (*fd < 0)
        return ask_forbidden("open", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return CTL_DONE;
    (void)close(*fd);
    *fd = -1;
    ctl_say("a breakerd holds %s but does not answer; see breakerctl doctor",
            path);
    return CTL_UNREACHABLE;
}

static enum ctl_exit
by_ourselves(const struct ctl *c, const char *path)
{
    char database[PLACE_PATH_SIZE];
    uint64_t bytes;
    int lock;
    enum ctl_exit exit = lock_instance(c, &lock);

    if (exit != CTL_DONE)
        return exit;
    if (!place_database(c->db, database)) {
        ctl_say("the path of the database is too long");
        exit = CTL_USAGE;
    } else {
        ctl_say("breakerd does not answer; copying %s", database);
        exit = backup_file(database, path, (c->given & CTL_FORCE) != 0, &bytes);
    }
    if (exit == CTL_DONE)
        tell(c, path, bytes);
    if (lock >= 0)
        (void)close(lock);
    return exit;
}

enum ctl_exit
ctl_backup(const struct ctl *c, const char *const *words, size_t count)
{
    char socket[PLACE_PATH_SIZE];
    char path[PATH_MOST];
    struct bk_text text;
    struct link *l;
    enum ctl_exit exit;

    (void)count;
    bk_text_init(&text, path, sizeof path);
    if (words[0][0] == '\0' || !put_path(&text, words[0])) {
        ctl_say("\"%s\" is no path for a backup: it is at most %d octets from "
                "the root on, without control characters",
                words[0], PATH_MOST - 1);
        return CTL_USAGE;
    }
    exit = ask_connect(c, ASK_OPERATOR, true, socket, &l);
    if (exit == CTL_UNREACHABLE)
        return by_ourselves(c, path);
    if (exit == CTL_FORBIDDEN)
        return ask_forbidden("use", socket);
    if (exit != CTL_DONE) {
        ctl_say("cannot open a connection to %s: %s", socket, strerror(errno));
        return exit;
    }
    exit = by_daemon(c, path, socket, l);
    link_close(&l);
    return exit;
}
