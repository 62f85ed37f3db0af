/* SPDX-License-Identifier: Apache-2.0
 *
 * The document for programs. */
#define _GNU_SOURCE
#include "core/json.h"
#include "tools/bench/bench_tell.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_SIZE ((size_t)1 << 20)

static const char *const units[] = {"ns",  "per_second", "ratio",  "count",
                                    "KiB", "octets",     "percent"};

static void
put_number(struct bk_json *j, const char *key, double value)
{
    char text[40];
    int len = snprintf(text, sizeof text, "%.6g", isfinite(value) ? value : 0);

    bk_json_raw(j, key, text, (size_t)len);
}

static void
put_line(struct bk_json *j, const struct line *l)
{
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "row", l->row);
    bk_json_string(j, "what", l->what);
    bk_json_string(j, "state",
                   l->state == RESULT_TOLD ? "told"
                                           : result_state_name(l->state));
    bk_json_string(j, "unit", units[l->unit]);
    if (l->value.count > 0) {
        put_number(j, "median", series_median(&l->value));
        put_number(j, "low", series_share(&l->value, 0.25));
        put_number(j, "high", series_share(&l->value, 0.75));
    }
    bk_json_open(j, "values", '[');
    for (size_t i = 0; i < l->value.count; i++)
        put_number(j, NULL, l->value.at[i]);
    bk_json_close(j, ']');
    if (l->kind != GOAL_NONE) {
        bk_json_string(j, "goal",
                       l->kind == GOAL_AT_MOST ? "at_most" : "at_least");
        put_number(j, "goal_value", l->goal);
    }
    bk_json_string(j, "ours", l->ours);
    bk_json_string(j, "peer", l->peer);
    bk_json_string(j, "note", l->note);
    bk_json_close(j, '}');
}

static void
put_curve(struct bk_json *j, const struct curve *c)
{
    bk_json_open(j, NULL, '{');
    bk_json_string(j, "plot", c->plot);
    bk_json_string(j, "name", c->name);
    bk_json_open(j, "points", '[');
    for (size_t i = 0; i < c->count; i++) {
        bk_json_open(j, NULL, '[');
        put_number(j, NULL, c->x[i]);
        put_number(j, NULL, c->y[i]);
        bk_json_close(j, ']');
    }
    bk_json_close(j, ']');
    bk_json_close(j, '}');
}

bool
tell_json(const struct bench *b, FILE *out)
{
    char *document = malloc(DOCUMENT_SIZE);
    struct tell_where where;
    struct bk_text text;
    struct bk_json j;
    bool is_whole;

    if (document == NULL)
        return false;
    tell_find_where(&where);
    bk_text_init(&text, document, DOCUMENT_SIZE);
    bk_json_init(&j, &text);
    bk_json_open(&j, NULL, '{');
    bk_json_u64(&j, "schema", 1);
    bk_json_string(&j, "version", where.version);
    bk_json_string(&j, "machine", where.machine);
    bk_json_string(&j, "date", where.date);
    bk_json_u64(&j, "repeats", b->options.repeats);
    bk_json_bool(&j, "quick", b->options.is_quick);
    put_number(&j, "others_percent", b->others_pct);
    bk_json_open(&j, "lines", '[');
    for (size_t i = 0; i < b->results.line_count; i++)
        put_line(&j, &b->results.lines[i]);
    bk_json_close(&j, ']');
    bk_json_open(&j, "curves", '[');
    for (size_t i = 0; i < b->results.curve_count; i++)
        put_curve(&j, &b->results.curves[i]);
    bk_json_close(&j, ']');
    bk_json_close(&j, '}');
    is_whole = !text.is_cut && fprintf(out, "%s\n", document) > 0;
    free(document);
    return is_whole;
}
