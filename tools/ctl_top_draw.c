/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws what `top` knows: lines of text for a screen of any size. */
#define _GNU_SOURCE
#include "tools/ctl_top_column.h"
#include <stdio.h>
#include <string.h>

static const char *
age(char out[CTL_DURATION_SIZE], int64_t ns)
{
    ctl_duration(out, bk_ms_up(ns > 0 ? ns : 0));
    return out;
}

/* What is shown is as old as the look, and the daemon's heartbeat before it. */
static int64_t
age_ns(const struct top *t)
{
    int64_t look_ns = t->now_ns - t->looked_ns;

    return t->heartbeat_age_ns == BK_NEVER ? look_ns
                                           : look_ns + t->heartbeat_age_ns;
}

static void
draw_daemon(const struct top *t, struct top_page *p)
{
    char text[CTL_DURATION_SIZE];
    struct top_line *line = page_add(p);

    if (t->is_running) {
        page_paint(p, CTL_GOOD, "breakerd is running");
        page_say(p, ", version %s, pid %llu, epoch %llu, up %s, %llu %s",
                 t->version, (unsigned long long)t->pid,
                 (unsigned long long)t->epoch, age(text, t->uptime_ns),
                 (unsigned long long)t->workers,
                 t->workers == 1 ? "worker" : "workers");
        return;
    }
    line->is_marked = true;
    page_paint(p, CTL_BAD,
               t->is_forbidden ? "breakerd CANNOT BE SEEN"
                               : "breakerd IS DOWN");
    if (t->why[0] != '\0')
        page_say(p, ": %s %s", t->path, t->why);
    else if (t->is_stopped)
        page_put(p, ": it ended cleanly; this is what it left");
    else
        page_say(p, ": its last heartbeat was %s ago; this is what it left",
                 age(text, age_ns(t)));
}

/* How many services are in each state, and how old all this is. */
static void
draw_totals(const struct top *t, struct top_page *p)
{
    size_t states[BK_STATE_COUNT] = {0};
    size_t overridden = 0;
    char text[CTL_DURATION_SIZE];
    char right[64];

    for (size_t i = 0; i < t->count; i++) {
        states[t->rows[i].state]++;
        overridden += t->rows[i].mode != BK_AUTO;
    }
    page_add(p);
    page_say(p, "%zu %s: ", t->count, t->count == 1 ? "service" : "services");
    page_say(p, "%zu open, %zu half_open, %zu closed", states[BK_OPEN],
             states[BK_HALF_OPEN], states[BK_CLOSED]);
    if (overridden > 0)
        page_say(p, "; %zu not in mode auto", overridden);
    snprintf(right, sizeof right, "%s%s old", t->is_paused ? "PAUSED, " : "",
             age(text, age_ns(t)));
    if (p->lines[p->count - 1].width + strlen(right) + 2 <= p->columns)
        page_pad(p, p->columns - strlen(right));
    else
        page_put(p, ", ");
    page_put(p, right);
}

/* One cell in its column; a ~ at its end tells of a name cut short. */
static void
draw_cell(struct top_page *p, const char *text, size_t at, size_t width,
          bool is_to_right)
{
    char cut[BK_NAME_SIZE + 1];
    size_t len = strlen(text);

    if (len > width) {
        snprintf(cut, sizeof cut, "%.*s~", (int)(width - 1), text);
        text = cut;
        len = width;
    }
    page_pad(p, at + (is_to_right ? width - len : 0));
    page_put(p, text);
}

static void
draw_headings(const struct top_layout *l, struct top_page *p)
{
    size_t at = 2;

    page_add(p)->paint = CTL_FAINT;
    for (size_t i = 0; i < TOP_COLUMN_COUNT; i++) {
        const struct top_column *c = &top_columns[i];

        if (l->widths[i] == 0)
            continue;
        draw_cell(p, c->heading, at, l->widths[i], c->is_to_right);
        at += l->widths[i] + TOP_GAP;
    }
    p->lines[p->count - 1].painted_end = p->lines[p->count - 1].len;
}

static void
draw_row(const struct top_row *row, const struct top_layout *l,
         bool is_selected, struct top_page *p)
{
    struct top_line *line = page_add(p);
    size_t at = 2;

    line->is_marked = is_selected;
    page_put(p, is_selected ? ">" : " ");
    for (size_t i = 0; i < TOP_COLUMN_COUNT; i++) {
        const struct top_column *c = &top_columns[i];
        char cell[TOP_CELL_SIZE];

        if (l->widths[i] == 0)
            continue;
        c->put(row, cell);
        page_pad(p, at);
        if (c->sort == TOP_BY_STATE)
            page_paint(p, ctl_state_paint(bk_state_name(row->state)), cell);
        else
            draw_cell(p, i == 0 ? row->name : cell, at, l->widths[i],
                      c->is_to_right);
        at += l->widths[i] + TOP_GAP;
    }
    page_pad(p, is_selected ? at - TOP_GAP : 0);
}

static void
draw_table(const struct top *t, bool is_text, struct top_page *p)
{
    struct top_layout layout;
    size_t first = is_text ? 0 : t->first;
    size_t end = is_text ? t->shown_count : first + top_room(t);

    top_layout(t, p->columns, &layout);
    draw_headings(&layout, p);
    for (size_t i = first; i < end && i < t->shown_count; i++) {
        const struct top_row *row = &t->rows[t->shown[i]];

        draw_row(row, &layout, !is_text && strcmp(row->name, t->selected) == 0,
                 p);
    }
    if (t->shown_count == 0) {
        page_add(p);
        page_put(p, t->count == 0 ? "  no service has been used yet"
                                  : "  no service's name has that in it");
    }
}

/* Columns of one word, which may hold more octets. */
static size_t
width_of(const char *word, size_t octets)
{
    size_t width = 0;

    for (size_t i = 0; i < octets; i++)
        width += ((unsigned char)word[i] & 0xc0) != 0x80;
    return width;
}

/* A sentence, broken between words; what is broken off is set in. */
static void
draw_wrapped(const char *text, size_t indent, struct top_page *p)
{
    page_add(p);
    while (*text != '\0') {
        size_t blanks = strspn(text, " ");
        size_t len = strcspn(text + blanks, " ");
        struct top_line *line = &p->lines[p->count - 1];
        char word[TOP_LINE_SIZE];

        snprintf(word, sizeof word, "%.*s", (int)(blanks + len), text);
        if (line->width > indent &&
            line->width + blanks + width_of(text + blanks, len) > p->columns) {
            page_add(p);
            page_pad(p, indent);
            page_put(p, word + blanks);
        } else {
            page_put(p, word);
        }
        text += blanks + len;
    }
}

static void
draw_story(const struct top *t, struct top_page *p)
{
    size_t at = top_selected(t);

    page_add(p);
    if (at < t->shown_count) {
        const struct top_row *row = &t->rows[t->shown[at]];
        char since[CTL_DURATION_SIZE];

        page_say(p, "%s is ", row->name);
        page_paint(p, ctl_state_paint(bk_state_name(row->state)),
                   bk_state_name(row->state));
        page_say(p, " (mode %s) for %s", bk_mode_name(row->mode),
                 age(since, row->since_ns));
    }
    for (size_t i = t->scroll < t->story.count ? t->scroll : 0;
         i < t->story.count; i++)
        draw_wrapped(t->story.lines[i], 6, p);
}

static void
draw_help(struct top_page *p)
{
    static const char *const lines[] = {
        "",
        "  arrows j k     select a service; PgUp PgDn, Home End (g G): further",
        "  Enter          explain it; Esc comes back",
        "  s n            sort by state (the worst first), by name",
        "  f d c          by failures, denied calls, calls a second",
        "  t b            by time left, by retry budget (the poorest first)",
        "  r              turn the order round; the same key again does too",
        "  /              show only names with these letters; Esc ends it",
        "  space          stop and go on",
        "  ? q            this help; the end",
        "",
        "  ! closed  but calls are denied: a hold, or what it requires is open",
        "  LEFT    until an override, a hold or the open time ends",
        "  FAILED  share of the window's calls that failed / where it opens",
        "  ROW     failures in a row / where it opens",
        "  OUT     permits out / at most",
        "  BUDGET  retries that may be granted now",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        page_add(p);
        page_put(p, lines[i]);
    }
}

static void
draw_foot(const struct top *t, struct top_page *p)
{
    static const char *const sorts[TOP_SORT_COUNT] = {
        [TOP_BY_NAME] = "name",         [TOP_BY_STATE] = "state",
        [TOP_BY_FAILURES] = "failures", [TOP_BY_DENIED] = "denied",
        [TOP_BY_CALLS] = "calls",       [TOP_BY_LEFT] = "time left",
        [TOP_BY_BUDGET] = "budget"};

    page_add(p);
    if (t->is_typing) {
        page_say(p, "/%s_", t->filter);
        page_put(p, "   Enter keeps it, Esc ends it");
        return;
    }
    if (t->mode != TOP_TABLE) {
        page_put(p, "Esc goes back   q ends");
        return;
    }
    page_say(p, "by %s%s", sorts[t->sort], t->is_reversed ? ", reversed" : "");
    if (t->filter[0] != '\0')
        page_say(p, ", only *%s*: %zu", t->filter, t->shown_count);
    page_put(p, "   ? help   / filter   Enter explains   q ends");
}

void
top_draw(const struct top *t, bool is_text, struct top_page *p)
{
    page_init(p, t->columns);
    draw_daemon(t, p);
    draw_totals(t, p);
    if (t->mode == TOP_EXPLAIN)
        draw_story(t, p);
    else if (t->mode == TOP_HELP)
        draw_help(p);
    else
        draw_table(t, is_text, p);
    if (is_text)
        return;
    while (p->count + 1 < t->lines)
        page_add(p);
    p->count = t->lines > 0 ? t->lines - 1 : 0;
    draw_foot(t, p);
}
