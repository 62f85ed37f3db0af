/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_history.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_history_filter.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 20
/* Rows of one question when only some of them will do, and how many are asked:
 * together all that the daemon keeps. */
#define PAGE_ROWS 5000
#define PAGES 20

/* No database where this user's would be: the instance may have its own elsewhere.
 * Its newest lines are in its shared memory. */
static enum ctl_exit
from_memory(const struct ctl *c, const struct history_page *page, json_t **out)
{
    char clause[160];
    struct view_service service;
    struct place place;
    struct bk_text why;
    struct view v;
    enum ctl_exit exit = CTL_DONE;
    size_t len;
    char *text;

    bk_text_init(&why, clause, sizeof clause);
    place_find(&place, c->dir);
    if (place.dir == NULL || view_open(&v, &place, &why) != VIEW_OPEN)
        return CTL_UNREACHABLE;
    text = past_document(&v, page, &len);
    *out = json_loadb(text, len, 0, NULL);
    free(text);
    if (*out == NULL)
        exit = CTL_UNREACHABLE;
    else if (page->service != NULL && page->before == 0 &&
             json_array_size(json_object_get(*out, "history")) == 0)
        exit = fetch_service(&v, page->service, &service);
    if (exit != CTL_DONE) {
        json_decref(*out);
        *out = NULL;
    } else if (page->before == 0) {
        ctl_say(
            "breakerd does not answer; read from %s, which holds the newest "
            "%d lines (--db FILE names its database)",
            v.path, BK_PAST_COUNT);
    }
    view_close(&v);
    return exit;
}

/* Nobody answers at the socket: what is in the file, or why that is not to be had
 * either. */
static enum ctl_exit
from_database(const struct ctl *c, const struct history_page *page,
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
    result = history_read(path, page, &why, out);
    if (is_quiet)
        return exits[result];
    if (result == HISTORY_READ) {
        if (page->before == 0)
            ctl_say("breakerd does not answer; read from %s", path);
        return CTL_DONE;
    }
    if (result == HISTORY_ABSENT && c->db == NULL) {
        enum ctl_exit exit = from_memory(c, page, out);

        if (exit != CTL_UNREACHABLE)
            return exit;
        bk_text_put(&why, " (--db FILE names another)");
    }
    snprintf(what, sizeof what,
             "breakerd does not answer, and its database %s cannot help: %s",
             path, clause);
    place_find(&place, c->dir);
    (void)ask_unreachable(&place, what);
    return exits[result];
}

enum ctl_exit
history_fetch(const struct ctl *c, const struct history_page *page,
              bool is_quiet, json_t **out)
{
    char line[BK_NAME_SIZE + 64];
    struct link_reply reply;
    struct bk_text text;
    enum ctl_exit exit;

    *out = NULL;
    bk_text_init(&text, line, sizeof line);
    bk_text_put(&text, "HISTORY ");
    bk_text_put(&text, page->service != NULL ? page->service : "*");
    bk_text_put_char(&text, ' ');
    bk_text_put_u64(&text, page->limit);
    if (page->before > 0) {
        bk_text_put_char(&text, ' ');
        bk_text_put_u64(&text, page->before);
    }
    exit = ask_one(c, ASK_OPERATOR, true, line, &reply);
    /* A guess at the file may hit another instance's: not without a word. */
    if (exit == CTL_UNREACHABLE && is_quiet && c->db == NULL)
        return exit;
    if (exit == CTL_UNREACHABLE)
        return from_database(c, page, is_quiet, out);
    if (exit == CTL_FORBIDDEN && !is_quiet)
        return ask_one(c, ASK_OPERATOR, false, line, &reply); /* says why */
    if (exit != CTL_DONE)
        return exit;
    if (!is_quiet || reply.frames[0][0] == 'O')
        exit = ask_json(&reply, 0, page->service, out);
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
print_table(const json_t *rows, const char *none)
{
    static const char *const headings[] = {"WHEN",  "SERVICE", "CHANGE",
                                           "MODE",  "REASON",  "GENERATION",
                                           "ACTOR", "TEXT",    NULL};
    struct ctl_table table;
    const json_t *row;
    size_t i;

    if (json_array_size(rows) == 0) {
        ctl_say("%s", none);
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

/* The newest of a page that match, before those found so far. Goes from the end of
 * the page to its beginning. */
static void
take_matching(const struct history_filter *f, const json_t *page,
              uint64_t limit, json_t *found)
{
    for (size_t i = json_array_size(page); i-- > 0;) {
        json_t *row = json_array_get(page, i);

        if (json_array_size(found) == limit)
            return;
        if (history_filter_matches(f, row))
            json_array_insert(found, 0, row);
    }
}

/* Whether another page may hold more that match; sets what it is before. */
static bool
turn_page(const struct history_filter *f, const json_t *rows,
          struct history_page *page)
{
    const json_t *oldest = json_array_get(rows, 0);

    if (json_array_size(rows) < page->limit ||
        history_filter_is_past(f, oldest))
        return false;
    page->before = ctl_json_number(oldest, "seq");
    return page->before > 1;
}

/* Page by page until there are enough, or no more, or PAGES were looked at. */
static enum ctl_exit
search(const struct ctl *c, const struct history_filter *f,
       struct history_page *page, uint64_t limit, json_t *found)
{
    for (int i = 0; i < PAGES; i++) {
        enum ctl_exit exit;
        json_t *json;
        bool has_more;

        exit = history_fetch(c, page, false, &json);
        if (exit != CTL_DONE)
            return exit;
        take_matching(f, json_object_get(json, "history"), limit, found);
        has_more = json_array_size(found) < limit &&
                   turn_page(f, json_object_get(json, "history"), page);
        json_decref(json);
        if (!has_more)
            return CTL_DONE;
    }
    return CTL_DONE;
}

enum ctl_exit
ctl_history(const struct ctl *c, const char *const *words, size_t count)
{
    uint64_t limit = c->limit > 0 ? c->limit : LIMIT_DEFAULT;
    struct history_filter filter;
    struct history_page page = {.service = count > 0 ? words[0] : NULL};
    enum ctl_exit exit;
    json_t *found;
    json_t *json;

    if (ask_check_names(words, count) != CTL_DONE ||
        history_filter_init(&filter, c) != CTL_DONE)
        return CTL_USAGE;
    page.limit = filter.is_any ? limit : PAGE_ROWS;
    found = json_array();
    exit = search(c, &filter, &page, limit, found);
    if (exit == CTL_DONE && c->is_json) {
        json = json_pack("{s:O}", "history", found);
        ctl_json_print(json);
        json_decref(json);
    } else if (exit == CTL_DONE) {
        print_table(found, filter.is_any ? "nothing has happened yet"
                                         : "nothing in the history matches");
    }
    json_decref(found);
    return exit;
}
