/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rows are shown, in which order, and which of them is selected. */
#define _GNU_SOURCE
#include "tools/ctl_top.h"
#include <stdlib.h>
#include <string.h>

/* Lines that are no rows: two of the header, the headings, and the last. */
#define OTHER_LINES 4

void
top_init(struct top *t)
{
    *t = (struct top){.sort = TOP_BY_STATE, .lines = 24, .columns = 80};
}

void
top_fini(struct top *t)
{
    free(t->rows);
    free(t->counts);
    free(t->shown);
    free(t->story.lines);
    *t = (struct top){0};
}

static int
by_number(uint64_t a, uint64_t b)
{
    return a < b ? 1 : a > b ? -1 : 0; /* the largest first */
}

/* The worst first: beside its state what denies calls all the same, an override. */
static uint64_t
badness(const struct top_row *r)
{
    static const uint64_t weights[BK_STATE_COUNT] = {
        [BK_OPEN] = 8, [BK_HALF_OPEN] = 4, [BK_CLOSED] = 0};

    return weights[r->state] + (r->is_denied ? 2 : 0) +
           (r->mode != BK_AUTO ? 1 : 0);
}

static uint64_t
known(uint64_t rate)
{
    return rate == TOP_UNKNOWN ? 0 : rate;
}

/* What ends by itself next comes first, what does not comes last. */
static uint64_t
nearness(const struct top_row *r)
{
    return r->left_ns > 0 ? UINT64_MAX - (uint64_t)r->left_ns : 0;
}

static int
compare_by(enum top_sort sort, const struct top_row *a, const struct top_row *b)
{
    switch (sort) {
    case TOP_BY_STATE:
        return by_number(badness(a), badness(b));
    case TOP_BY_FAILURES:
        return by_number(a->failure_ppm, b->failure_ppm);
    case TOP_BY_DENIED:
        return by_number(known(a->denied_mps), known(b->denied_mps));
    case TOP_BY_CALLS:
        return by_number(known(a->calls_mps), known(b->calls_mps));
    case TOP_BY_LEFT:
        return by_number(nearness(a), nearness(b));
    case TOP_BY_BUDGET:
        return by_number(b->budget_ppm, a->budget_ppm); /* the poorest */
    case TOP_BY_NAME:
    case TOP_SORT_COUNT:
        break;
    }
    return 0;
}

static int
compare(const void *a, const void *b, void *top)
{
    const struct top *t = top;
    const struct top_row *x = &t->rows[*(const size_t *)a];
    const struct top_row *y = &t->rows[*(const size_t *)b];
    int order = compare_by(t->sort, x, y);

    if (order == 0)
        order = strcmp(x->name, y->name);
    return t->is_reversed ? -order : order;
}

size_t
top_room(const struct top *t)
{
    return t->lines > OTHER_LINES ? t->lines - OTHER_LINES : 1;
}

size_t
top_selected(const struct top *t)
{
    size_t i = 0;

    while (i < t->shown_count &&
           strcmp(t->rows[t->shown[i]].name, t->selected) != 0)
        i++;
    return i;
}

/* The selection follows its service; when that is gone the first row has it. */
static void
keep_selection(struct top *t)
{
    size_t room = top_room(t);
    size_t at = top_selected(t);

    if (t->shown_count == 0)
        return;
    if (at == t->shown_count) {
        at = 0;
        memcpy(t->selected, t->rows[t->shown[0]].name, BK_NAME_SIZE);
    }
    if (at < t->first)
        t->first = at;
    if (at >= t->first + room)
        t->first = at - room + 1;
    if (t->first + room > t->shown_count)
        t->first = t->shown_count > room ? t->shown_count - room : 0;
}

void
top_arrange(struct top *t)
{
    t->shown = ctl_memory(t->shown, t->count * sizeof *t->shown);
    t->shown_count = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (strcasestr(t->rows[i].name, t->filter) != NULL)
            t->shown[t->shown_count++] = i;
    }
    qsort_r(t->shown, t->shown_count, sizeof *t->shown, compare, t);
    keep_selection(t);
}
