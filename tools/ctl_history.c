/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_history.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

#define LIMIT_DEFAULT 20

/* Nobody answers at the socket: what is in the file, or why that is not to be had
 * either. */
static enum ctl_exit
from_database(const struct ctl *c, const char *service, uint64_t limit,
              bool is_quiet, json_t **out)
{
    static const enum ctl_exit exits[] = {
        [HISTORY_READ] = CTL_DONE,
        [HISTORY_ABSENT] = CTL_UNREACHABLE,
        [HISTORY_FORBIDDEN] = CTL_FORBIDDEN,
        [HISTORY_BUSY] = CTL_UNREACHABLE,
        [HISTORY_NO_SERVICE] = CTL_NO_SERVICE,
        [HISTORY_FAILED] = CTL_FAILED,
    };
    char path[PLACE_PATH_SIZE];
    char clause[160];
    char what[PLACE_PATH_SIZE + 256];
    enum history_result result;
    struct place place;
    struct bk_text why;

    if (!place_database(c->db, path))
        return CTL_USAGE;
    bk_text_init(&why, clause, sizeof clause);
    result = history_read(path, service, limit, &why, out);
    if (is_quiet)
        return exits[result];
    if (result == HISTORY_READ) {
        ctl_say("breakerd does not answer; read from %s", path);
        return CTL_DONE;
    }
    snprintf(what, sizeof what,
             "breakerd does not answer, and its database %s cannot help: %s",
             path, clause);
    place_find(&place, c->dir);
    (void)ask_unreachable(&place, what);
    return exits[result];
}

enum ctl_exit
history_fetch(const struct ctl *c, const char *service, uint64_t limit,
              bool is_quiet, json_t **out)
{
    char line[BK_NAME_SIZE + 32];
    struct link_reply reply;
    struct bk_text text;
    enum ctl_exit exit;

    *out = NULL;
    bk_text_init(&text, line, sizeof line);
    bk_text_put(&text, "HISTORY ");
    bk_text_put(&text, service != NULL ? service : "*");
    bk_text_put_char(&text, ' ');
    bk_text_put_u64(&text, limit);
    exit = ask_one(c, ASK_OPERATOR, true, line, &reply);
    /* A guess at the file may hit another instance's: not without a word. */
    if (exit == CTL_UNREACHABLE && is_quiet && c->db == NULL)
        return exit;
    if (exit == CTL_UNREACHABLE)
        return from_database(c, service, limit, is_quiet, out);
    if (exit == CTL_FORBIDDEN && !is_quiet)
        return ask_one(c, ASK_OPERATOR, false, line, &reply); /* says why */
    if (exit != CTL_DONE)
        return exit;
    if (!is_quiet || reply.frames[0][0] == 'O')
        exit = ask_json(&reply, 0, service, out);
    link_reply_free(&reply);
    return exit;
}

/* "2026-01-31T12:00:00.123Z" as "2026-01-31 12:00:00.123Z". */
static void
put_when(char out[40], const json_t *row)
{
    const char *at = ctl_json_word(row, "at", "");
    char *t;

    bk_copy_text(out, 40, at, strlen(at));
    t = strchr(out, 'T');
    if (t != NULL)
        *t = ' ';
}

static void
put_change(char out[64], const json_t *row)
{
    const char *from = ctl_json_word(row, "from", "");
    const char *to = ctl_json_word(row, "to", "");
    struct bk_text text;

    bk_text_init(&text, out, 64);
    bk_text_put(&text, from);
    if (strcmp(from, to) != 0) {
        bk_text_put(&text, " -> ");
        bk_text_put(&text, to);
    }
}

static void
put_generation(char out[24], const json_t *row)
{
    struct bk_text text;

    bk_text_init(&text, out, 24);
    bk_text_put_i64(&text,
                    json_integer_value(json_object_get(row, "generation")));
}

void
history_print_line(const json_t *row)
{
    char when[40];
    char change[64];
    char generation[24];

    put_when(when, row);
    put_change(change, row);
    put_generation(generation, row);
    ctl_print(CTL_FAINT, when);
    printf("  %s  ", ctl_json_word(row, "service", ""));
    ctl_print(ctl_state_paint(ctl_json_word(row, "to", "")), change);
    printf("  %s  mode %s  generation %s", ctl_json_word(row, "reason", ""),
           ctl_json_word(row, "mode", ""), generation);
    if (strcmp(ctl_json_word(row, "actor", ""), "-") != 0)
        printf("  by %s", ctl_json_word(row, "actor", ""));
    putchar('\n');
}

static void
print_table(const json_t *rows)
{
    static const char *const headings[] = {"WHEN",  "SERVICE", "CHANGE",
                                           "MODE",  "REASON",  "GENERATION",
                                           "ACTOR", "TEXT",    NULL};
    struct ctl_table table;
    const json_t *row;
    size_t i;

    if (json_array_size(rows) == 0) {
        ctl_say("nothing has happened yet");
        return;
    }
    ctl_table_init(&table, headings, 2);
    json_array_foreach(rows, i, row)
    {
        char when[40];
        char change[64];
        char generation[24];
        const char *const cells[] = {when,
                                     ctl_json_word(row, "service", ""),
                                     change,
                                     ctl_json_word(row, "mode", ""),
                                     ctl_json_word(row, "reason", ""),
                                     generation,
                                     ctl_json_word(row, "actor", ""),
                                     ctl_json_word(row, "text", "")};

        put_when(when, row);
        put_change(change, row);
        put_generation(generation, row);
        ctl_table_add(&table, ctl_state_paint(ctl_json_word(row, "to", "")),
                      cells);
    }
    ctl_table_end(&table);
}

enum ctl_exit
ctl_history(const struct ctl *c, const char *const *words, size_t count)
{
    uint64_t limit = c->limit > 0 ? c->limit : LIMIT_DEFAULT;
    const char *service = count > 0 ? words[0] : NULL;
    enum ctl_exit exit;
    json_t *json;

    if (ask_check_names(words, count) != CTL_DONE)
        return CTL_USAGE;
    exit = history_fetch(c, service, limit, false, &json);
    if (exit != CTL_DONE)
        return exit;
    if (c->is_json)
        ctl_json_print(json);
    else
        print_table(json_object_get(json, "history"));
    json_decref(json);
    return CTL_DONE;
}
