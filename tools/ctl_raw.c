/* SPDX-License-Identifier: Apache-2.0
 *
 * raw: lines of the protocol as they are, for looking and for learning. */
#include "core/wire.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

/* True for a line that is never answered, by its first word. */
static bool
is_silent(const char *line)
{
    size_t len = strcspn(line, " ");

    for (size_t i = 0; i < BK_CMD_COUNT; i++) {
        if (bk_is(line, len, bk_command_rows[i].name))
            return bk_command_rows[i].is_silent;
    }
    return false;
}

/* A message of silent lines alone has no answer: what shows that it arrived is the
 * answer to a question sent behind it on the same connection. */
static enum link_result
exchange(struct link *l, const char *const *lines, size_t count,
         struct link_reply *reply)
{
    static const char *const ping[] = {"PING"};
    struct link_reply pong;
    enum link_result result;

    for (size_t i = 0; i < count; i++) {
        if (!is_silent(lines[i]))
            return link_ask(l, lines, count, LINK_DEADLINE_MS, reply);
    }
    result = link_tell(l, lines, count, LINK_DEADLINE_MS);
    if (result == LINK_ANSWERED)
        result = link_ask(l, ping, 1, LINK_DEADLINE_MS, &pong);
    if (result == LINK_ANSWERED)
        link_reply_free(&pong);
    return result;
}

static void
print_frames(const struct ctl *c, const struct link_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++) {
        if (c->is_json) {
            json_t *text = json_stringn(reply->frames[i], reply->lengths[i]);

            json_dumpf(text, stdout, JSON_ENCODE_ANY);
            json_decref(text);
        } else {
            fwrite(reply->frames[i], 1, reply->lengths[i], stdout);
        }
        putchar('\n');
    }
}

enum ctl_exit
ctl_raw(const struct ctl *c, const char *const *words, size_t count)
{
    bool is_operator = (c->given & CTL_OPERATOR) != 0;
    char path[PLACE_PATH_SIZE];
    struct link_reply reply = {0};
    struct link *l;
    enum ctl_exit exit = ask_connect(c, is_operator ? ASK_OPERATOR : ASK_WORKER,
                                     false, path, &l);

    if (exit != CTL_DONE)
        return exit;
    exit = ask_result(l, exchange(l, words, count, &reply), false, path);
    if (exit == CTL_DONE)
        print_frames(c, &reply);
    link_reply_free(&reply);
    link_close(&l);
    return exit;
}
