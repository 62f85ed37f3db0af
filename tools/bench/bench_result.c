/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_result.h"
#include "tools/bench/bench_side.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- writing values ---- */

/* Three digits, whatever the size. */
static const char *
write_scaled(double value, const char *unit, char text[RESULT_TEXT_SIZE])
{
    double size = fabs(value);
    int digits = size < 0.0005 ? 0 : size < 1 ? 3 : size < 10 ? 2 : size < 100;

    snprintf(text, RESULT_TEXT_SIZE, "%.*f%s", digits, value, unit);
    return text;
}

static const char *
write_ns(double ns, char text[RESULT_TEXT_SIZE])
{
    double size = fabs(ns);

    if (size < 1000)
        return write_scaled(ns, " ns", text);
    if (size < 1e6)
        return write_scaled(ns / 1e3, " us", text);
    return size < 1e9 ? write_scaled(ns / 1e6, " ms", text)
                      : write_scaled(ns / 1e9, " s", text);
}

static const char *
write_rate(double rate, char text[RESULT_TEXT_SIZE])
{
    if (rate < 1e3)
        return write_scaled(rate, " /s", text);
    return rate < 1e6 ? write_scaled(rate / 1e3, " k/s", text)
                      : write_scaled(rate / 1e6, " M/s", text);
}

const char *
result_write(double value, enum result_unit unit, char text[RESULT_TEXT_SIZE])
{
    switch (unit) {
    case UNIT_NS:
        return write_ns(value, text);
    case UNIT_RATE:
        return write_rate(value, text);
    case UNIT_RATIO:
        snprintf(text, RESULT_TEXT_SIZE, "%.2f", value);
        return text;
    case UNIT_KIB:
        return value < 10240 ? write_scaled(value, " KiB", text)
                             : write_scaled(value / 1024, " MiB", text);
    case UNIT_OCTETS:
        return write_scaled(value, " octets", text);
    case UNIT_PERCENT:
        return write_scaled(value, " %", text);
    case UNIT_COUNT:
        break;
    }
    return write_scaled(value, "", text);
}

const char *
result_state_name(enum result_state state)
{
    static const char *const names[] = {"", "holds", "missed", "skipped",
                                        "failed"};

    return names[state];
}

/* ---- lines ---- */

static struct line *
add(struct bench *b, const char *what)
{
    static struct line beyond; /* the table is full: written to and forgotten */
    struct results *r = &b->results;
    struct line *l =
        r->line_count < RESULT_LINES_MAX ? &r->lines[r->line_count++] : &beyond;

    memset(l, 0, sizeof *l);
    l->row = b->row;
    snprintf(l->what, sizeof l->what, "%s", what);
    return l;
}

static void
judge(struct line *l, enum result_goal kind, double goal, const char *note)
{
    double value = series_median(&l->value);

    l->kind = kind;
    l->goal = goal;
    if (kind == GOAL_AT_MOST)
        l->state = value <= goal ? RESULT_HOLDS : RESULT_MISSED;
    else if (kind == GOAL_AT_LEAST)
        l->state = value >= goal ? RESULT_HOLDS : RESULT_MISSED;
    if (note != NULL)
        snprintf(l->note, sizeof l->note, "%s", note);
}

const struct series *
result_figure(const struct side *s, enum figure figure)
{
    switch (figure) {
    case FIGURE_CPU:
        return &s->cpu_ns;
    case FIGURE_SERVER:
        return &s->server_ns;
    case FIGURE_LOOP:
        return &s->loop_ns;
    case FIGURE_WALL:
    case FIGURE_RATE:
        break;
    }
    return &s->wall_ns;
}

static void
put_side(char text[RESULT_SIDE_SIZE], const struct side *s, enum figure figure)
{
    char value[RESULT_TEXT_SIZE];
    double ns = series_median(result_figure(s, figure));

    if (figure == FIGURE_RATE)
        result_write(1e9 / ns, UNIT_RATE, value);
    else
        result_write(ns, UNIT_NS, value);
    snprintf(text, RESULT_SIDE_SIZE, "%s %s", s->name, value);
}

void
result_ratio(struct bench *b, const struct claim *claim)
{
    struct line *l = add(b, claim->what);
    const struct series *ours = result_figure(claim->ours, claim->figure);
    const struct series *peer = result_figure(claim->peer, claim->figure);

    l->unit = UNIT_RATIO;
    /* More a second is less time each. */
    l->value = claim->figure == FIGURE_RATE ? series_divide(peer, ours)
                                            : series_divide(ours, peer);
    put_side(l->ours, claim->ours, claim->figure);
    put_side(l->peer, claim->peer, claim->figure);
    judge(l, claim->kind, claim->goal, claim->note);
}

void
result_fact(struct bench *b, const struct fact *fact)
{
    struct line *l = add(b, fact->what);

    l->unit = fact->unit;
    l->value = fact->value;
    if (fact->peer != NULL)
        snprintf(l->peer, sizeof l->peer, "%s", fact->peer);
    judge(l, fact->kind, fact->goal, fact->note);
}

void
result_number(struct bench *b, const char *what, double value,
              enum result_unit unit, enum result_goal kind, double goal,
              const char *note)
{
    struct fact fact = {
        .what = what, .unit = unit, .kind = kind, .goal = goal, .note = note};

    series_add(&fact.value, value);
    result_fact(b, &fact);
}

void
result_skip(struct bench *b, const char *what, const char *why)
{
    struct line *l = add(b, what);

    l->state = RESULT_SKIPPED;
    snprintf(l->note, sizeof l->note, "%s", why);
}

void
result_failure(struct bench *b, const char *why)
{
    struct line *l = add(b, b->row);

    l->state = RESULT_FAILED;
    snprintf(l->note, sizeof l->note, "%s", why);
}

/* ---- curves ---- */

void
result_point(struct bench *b, const char *plot, const char *curve, double x,
             double y)
{
    struct results *r = &b->results;
    struct curve *c = NULL;

    for (size_t i = 0; i < r->curve_count; i++) {
        if (strcmp(r->curves[i].plot, plot) == 0 &&
            strcmp(r->curves[i].name, curve) == 0)
            c = &r->curves[i];
    }
    if (c == NULL && r->curve_count < RESULT_CURVES_MAX) {
        c = &r->curves[r->curve_count++];
        c->plot = plot;
        c->name = curve;
    }
    if (c == NULL || c->count == RESULT_POINTS_MAX)
        return;
    c->x[c->count] = x;
    c->y[c->count++] = y;
}
