/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_ask.h"
#include "core/wire.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TELL_SIZE 2048

static const char *const socket_names[] = {
    [ASK_WORKER] = "worker.sock",
    [ASK_OPERATOR] = "operator.sock",
    [ASK_EVENTS] = "events.sock",
};

void
ask_add(struct ask_lines *l, const char *command, const char *a, const char *b,
        const char *c)
{
    const char *const words[] = {a, b, c};
    size_t size = strlen(command) + 1;
    struct bk_text text;
    char *line;

    for (size_t i = 0; i < 3 && words[i] != NULL; i++)
        size += strlen(words[i]) + 1;
    line = ctl_memory(NULL, size);
    bk_text_init(&text, line, size);
    bk_text_put(&text, command);
    for (size_t i = 0; i < 3 && words[i] != NULL; i++) {
        bk_text_put_char(&text, ' ');
        bk_text_put(&text, words[i]);
    }
    l->lines = ctl_memory(l->lines, (l->count + 1) * sizeof *l->lines);
    l->lines[l->count++] = line;
}

void
ask_free(struct ask_lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->lines[i]);
    free(l->lines);
    *l = (struct ask_lines){0};
}

enum ctl_exit
ask_unreachable(const struct place *p, const char *what)
{
    char tried[TELL_SIZE];
    struct bk_text text;

    bk_text_init(&text, tried, sizeof tried);
    place_tell(p, &text);
    ctl_say("%s; tried: %s", what, tried);
    return p->dir == NULL && p->is_forbidden ? CTL_FORBIDDEN : CTL_UNREACHABLE;
}

enum ctl_exit
ask_forbidden(const char *what, const char *path)
{
    char remedy[TELL_SIZE];
    struct bk_text text;

    bk_text_init(&text, remedy, sizeof remedy);
    place_remedy(path, &text);
    ctl_say("not permitted to %s %s: %s", what, path, remedy);
    return CTL_FORBIDDEN;
}

/* Finds the socket and sees that somebody listens. */
enum ctl_exit
ask_find(const struct ctl *c, enum ask_endpoint endpoint, bool is_quiet,
         char path[PLACE_PATH_SIZE])
{
    struct place place;
    enum link_state state = LINK_ABSENT;
    char what[PLACE_PATH_SIZE + 64];
    struct bk_text text;

    place_find(&place, c->dir);
    if (place.dir != NULL && place_file(&place, socket_names[endpoint], path))
        state = link_probe(path);
    if (state == LINK_LISTENS)
        return CTL_DONE;
    if (state == LINK_FORBIDDEN)
        return is_quiet ? CTL_FORBIDDEN : ask_forbidden("use", path);
    if (is_quiet)
        return CTL_UNREACHABLE;
    bk_text_init(&text, what, sizeof what);
    if (place.dir == NULL) {
        bk_text_put(&text, "no breakerd is running");
    } else {
        bk_text_put(&text, "breakerd does not answer at ");
        bk_text_put(&text, path);
        bk_text_put(&text, state == LINK_ABSENT ? " (no such socket)"
                           : state == LINK_DEAF
                               ? " (nobody listens)"
                               : " (not a usable socket path)");
    }
    return ask_unreachable(&place, what);
}

enum ctl_exit
ask_result(const struct link *l, enum link_result result, bool is_quiet,
           const char *path)
{
    if (result == LINK_ANSWERED)
        return CTL_DONE;
    if (!is_quiet && result == LINK_LATE)
        ctl_say("breakerd at %s did not answer within %d s; what was asked may "
                "still take effect",
                path, LINK_DEADLINE_MS / 1000);
    else if (!is_quiet)
        ctl_say("cannot talk to %s: %s", path, link_error(l));
    return CTL_UNREACHABLE;
}

enum ctl_exit
ask_connect(const struct ctl *c, enum ask_endpoint endpoint, bool is_quiet,
            char path[PLACE_PATH_SIZE], struct link **out)
{
    enum ctl_exit exit = ask_find(c, endpoint, is_quiet, path);

    *out = NULL;
    if (exit != CTL_DONE)
        return exit;
    *out = link_open(path);
    if (*out != NULL)
        return CTL_DONE;
    if (!is_quiet)
        ctl_say("cannot open a connection to %s: %s", path, strerror(errno));
    return CTL_FAILED;
}

/* Moves the frames of one reply behind those collected so far. */
static void
append(struct link_reply *all, struct link_reply *part)
{
    size_t total = all->count + part->count;

    all->frames = ctl_memory(all->frames, total * sizeof *all->frames);
    all->lengths = ctl_memory(all->lengths, total * sizeof *all->lengths);
    for (size_t i = 0; i < part->count; i++) {
        all->frames[all->count] = part->frames[i];
        all->lengths[all->count++] = part->lengths[i];
    }
    free(part->frames);
    free(part->lengths);
    *part = (struct link_reply){0};
}

static enum ctl_exit
ask(const struct ctl *c, enum ask_endpoint endpoint, bool is_quiet,
    const char *const *lines, size_t count, struct link_reply *reply)
{
    char path[PLACE_PATH_SIZE];
    struct link *l;
    enum ctl_exit exit = ask_connect(c, endpoint, is_quiet, path, &l);

    *reply = (struct link_reply){0};
    for (size_t at = 0; at < count && exit == CTL_DONE; at += BK_LINES_MAX) {
        size_t some = count - at < BK_LINES_MAX ? count - at : BK_LINES_MAX;
        struct link_reply part = {0};

        exit = ask_result(
            l, link_ask(l, lines + at, some, LINK_DEADLINE_MS, &part), is_quiet,
            path);
        if (exit == CTL_DONE && part.count != some) {
            if (!is_quiet)
                ctl_say("breakerd answered %zu lines of %zu", part.count, some);
            exit = CTL_FAILED;
        }
        append(reply, &part);
    }
    link_close(&l);
    if (exit != CTL_DONE)
        link_reply_free(reply);
    return exit;
}

enum ctl_exit
ask_all(const struct ctl *c, enum ask_endpoint endpoint,
        const struct ask_lines *l, struct link_reply *reply)
{
    const char **lines = ctl_memory(NULL, l->count * sizeof *lines);
    enum ctl_exit exit;

    for (size_t i = 0; i < l->count; i++)
        lines[i] = l->lines[i];
    exit = ask(c, endpoint, false, lines, l->count, reply);
    free(lines);
    return exit;
}

enum ctl_exit
ask_one(const struct ctl *c, enum ask_endpoint endpoint, bool is_quiet,
        const char *line, struct link_reply *reply)
{
    const char *const lines[] = {line};

    return ask(c, endpoint, is_quiet, lines, 1, reply);
}

static enum ctl_exit
exit_of(int error)
{
    switch (error) {
    case BK_ERR_UNKNOWN_SERVICE:
        return CTL_NO_SERVICE;
    case BK_ERR_FORBIDDEN:
        return CTL_FORBIDDEN;
    default:
        return CTL_FAILED;
    }
}

enum ctl_exit
ask_json(const struct link_reply *reply, size_t at, const char *about,
         json_t **out)
{
    const char *frame = reply->frames[at];
    size_t len = reply->lengths[at];
    struct bk_reply answer;
    json_error_t error;

    *out = NULL;
    if (!bk_reply_parse(frame, len, &answer)) {
        ctl_say("breakerd's answer is not of this protocol: %.*s",
                (int)(len < 80 ? len : 80), frame);
        return CTL_FAILED;
    }
    if (answer.kind == BK_REPLY_ERR) {
        ctl_say("%s%s%.*s", about != NULL ? about : "",
                about != NULL ? ": " : "", (int)answer.text.len,
                answer.text.at);
        return exit_of(answer.error);
    }
    if (answer.kind == BK_REPLY_OK && answer.text.at != NULL)
        *out = json_loadb(answer.text.at, answer.text.len, 0, &error);
    if (*out == NULL) {
        ctl_say("breakerd's answer holds no JSON: %.*s",
                (int)(len < 80 ? len : 80), frame);
        return CTL_FAILED;
    }
    return CTL_DONE;
}

enum ctl_exit
ask_check_name(const char *name)
{
    if (bk_name_is_valid(name, strlen(name)))
        return CTL_DONE;
    ctl_say("\"%s\" is no service's name: 1 to 63 of A-Z a-z 0-9 . _ : / @ -",
            name);
    return CTL_USAGE;
}

enum ctl_exit
ask_check_names(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ask_check_name(names[i]) != CTL_DONE)
            return CTL_USAGE;
    }
    return CTL_DONE;
}
