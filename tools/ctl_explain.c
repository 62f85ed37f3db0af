/* SPDX-License-Identifier: Apache-2.0
 *
 * explain: puts the story of a service together and tells it. */
#include "tools/ctl_commands.h"
#include "tools/ctl_document.h"
#include "tools/ctl_evidence.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_history.h"
#include "tools/ctl_out.h"
#include "tools/ctl_story.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How far back an operator's order is looked for. */
#define HISTORY_LINES 200

/* The operator's line of the history that led to this generation: the first of
 * it, what comes after (SET, say) moved nothing. NULL when it cannot be had. The
 * caller owns `*document`. */
static const json_t *
find_order(const struct ctl *c, const struct view_service *s, json_t **document)
{
    const struct history_page page = {.service = s->record.name,
                                      .limit = HISTORY_LINES};
    const json_t *rows;

    *document = NULL;
    if (s->record.breaker.cause != BK_CAUSE_OPERATOR)
        return NULL;
    if (history_fetch(c, &page, true, document) != CTL_DONE)
        return NULL;
    rows = json_object_get(*document, "history");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        json_int_t generation =
            json_integer_value(json_object_get(row, "generation"));

        if ((uint64_t)generation == s->record.breaker.generation)
            return row;
    }
    return NULL;
}

static void
print_part(const char *title, const json_t *sentences)
{
    const json_t *sentence;
    size_t i;

    json_array_foreach(sentences, i, sentence)
    {
        printf("%-5s ", i == 0 ? title : "");
        ctl_print(CTL_PLAIN, json_string_value(sentence));
        putchar('\n');
    }
}

static void
print_words(const struct story *s, const json_t *service)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    const char *state = bk_state_name((enum bk_state)b->state);
    char since[CTL_DURATION_SIZE];

    ctl_duration(since, bk_ms_up(s->view->now_ns - b->changed_ns));
    printf("%s is ", s->service->record.name);
    ctl_print(ctl_state_paint(state), state);
    printf(" (mode %s) for %s, generation %llu\n",
           bk_mode_name((enum bk_mode)b->mode), since,
           (unsigned long long)b->generation);
    print_part("why", s->why);
    print_part("now", s->now);
    print_part("next", s->next);
    print_part("seen", s->seen);
    print_part("do", s->advice);
    evidence_print(json_object_get(service, "evidence"), true);
}

static void
print_json(const struct story *s, const json_t *document, json_t *service)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    json_t *json = json_pack(
        "{s:i, s:O, s:s, s:s, s:s, s:s, s:s?, s:I, s:O, s:O, s:O, s:O?}",
        "schema", 1, "daemon", json_object_get(document, "daemon"), "service",
        s->service->record.name, "state",
        bk_state_name((enum bk_state)b->state), "mode",
        bk_mode_name((enum bk_mode)b->mode), "reason",
        bk_cause_name((enum bk_cause)b->cause), "rule", s->rule, "generation",
        (json_int_t)b->generation, "why", s->why, "now", s->now, "next",
        s->next, "evidence", json_object_get(service, "evidence"));

    json_object_set_new(json, "next_ms",
                        s->next_ns > 0
                            ? json_integer((json_int_t)bk_ms_up(s->next_ns))
                            : json_null());
    json_object_set(json, "numbers", s->numbers);
    json_object_set(json, "upcoming", s->upcoming);
    json_object_set(json, "workers", s->workers);
    json_object_set(json, "errors", s->errors);
    json_object_set(json, "commands", s->commands);
    json_object_del(service, "evidence");
    json_object_set(json, "status", service);
    ctl_json_print(json);
    json_decref(json);
}

static char *
write_status(const struct view *v, const struct view_service *s)
{
    struct document *d = document_begin(v);

    document_service(d, v, s, true);
    return document_end(d);
}

static void
tell(const struct ctl *c, const struct view *v, const struct view_service *s)
{
    char *text = write_status(v, s);
    json_t *document = json_loads(text, 0, NULL);
    json_t *service = json_array_get(json_object_get(document, "services"), 0);
    json_t *history;
    const json_t *row = find_order(c, s, &history);
    struct story story;

    story_tell(&story, v, s, row);
    if (c->is_json)
        print_json(&story, document, service);
    else
        print_words(&story, service);
    story_fini(&story);
    json_decref(history);
    json_decref(document);
    free(text);
}

enum ctl_exit
ctl_explain(const struct ctl *c, const char *const *words, size_t count)
{
    struct view v;
    struct view_service s;
    enum ctl_exit exit;

    (void)count;
    if (ask_check_name(words[0]) != CTL_DONE)
        return CTL_USAGE;
    exit = fetch_view(c, &v);
    if (exit != CTL_DONE)
        return exit;
    exit = fetch_service(&v, words[0], &s);
    if (exit == CTL_DONE)
        tell(c, &v, &s);
    view_close(&v);
    return exit;
}
