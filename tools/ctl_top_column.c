/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_top_column.h"
#include <stdio.h>
#include <string.h>

/* Before the first column: the sign of the selected row. */
#define MARGIN 2
/* A name may be cut to this before a column of little worth is left out. */
#define NAME_LEAST 10

static void
put_name(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    (void)row;
    cell[0] = '\0'; /* drawn as it is: it may be longer than a cell */
}

/* A sign beside the word, for whoever sees no colour. */
static void
put_state(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    static const char signs[BK_STATE_COUNT] = {
        [BK_CLOSED] = '-', [BK_OPEN] = 'X', [BK_HALF_OPEN] = '/'};

    bool is_shut = row->state == BK_CLOSED && row->is_denied;

    snprintf(cell, TOP_CELL_SIZE, "%c %s", is_shut ? '!' : signs[row->state],
             bk_state_name(row->state));
}

static void
put_mode(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    snprintf(cell, TOP_CELL_SIZE, "%s", bk_mode_name(row->mode));
}

static void
put_left(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    char left[CTL_DURATION_SIZE];

    if (row->left_ns > 0)
        ctl_duration(left, bk_ms_up(row->left_ns));
    snprintf(cell, TOP_CELL_SIZE, "%.12s", row->left_ns > 0 ? left : "-");
}

static void
put_since(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    char since[CTL_DURATION_SIZE];

    ctl_duration(since, bk_ms_up(row->since_ns));
    snprintf(cell, TOP_CELL_SIZE, "%.12s", since);
}

/* "0.4", "12", "3.4k", "1.2M": three digits are all anybody reads. */
static void
put_rate(uint64_t mps, char cell[TOP_CELL_SIZE])
{
    double rate = (double)mps / 1000;

    if (mps == TOP_UNKNOWN)
        snprintf(cell, TOP_CELL_SIZE, "-");
    else if (mps == 0)
        snprintf(cell, TOP_CELL_SIZE, "0");
    else if (rate < 9.95)
        snprintf(cell, TOP_CELL_SIZE, "%.1f", rate);
    else if (rate < 999.5)
        snprintf(cell, TOP_CELL_SIZE, "%.0f", rate);
    else if (rate < 999.5e3)
        snprintf(cell, TOP_CELL_SIZE, "%.*fk", rate < 99.95e3 ? 1 : 0,
                 rate / 1e3);
    else
        snprintf(cell, TOP_CELL_SIZE, "%.*fM", rate < 99.95e6 ? 1 : 0,
                 rate / 1e6);
}

static void
put_calls(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    put_rate(row->calls_mps, cell);
}

static void
put_denied(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    put_rate(row->denied_mps, cell);
}

/* The rate in the window, and the one it opens at. */
static void
put_failed(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    unsigned rate = (unsigned)((row->failure_ppm + 5000) / 10000);
    unsigned limit = (unsigned)((row->failure_limit_ppm + 5000) / 10000);

    if (row->failure_limit_ppm > 0)
        snprintf(cell, TOP_CELL_SIZE, "%u%%/%u%%", rate, limit);
    else
        snprintf(cell, TOP_CELL_SIZE, "%u%%", rate);
}

static void
put_in_row(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    if (row->failures_in_row_limit > 0)
        snprintf(cell, TOP_CELL_SIZE, "%u/%u", row->failures_in_row,
                 row->failures_in_row_limit);
    else
        snprintf(cell, TOP_CELL_SIZE, "%u", row->failures_in_row);
}

static void
put_permits(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    if (row->permit_limit > 0)
        snprintf(cell, TOP_CELL_SIZE, "%u/%u", row->permits, row->permit_limit);
    else
        snprintf(cell, TOP_CELL_SIZE, "-");
}

static void
put_budget(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    struct bk_text text;

    bk_text_init(&text, cell, TOP_CELL_SIZE);
    bk_text_put_ppm(&text, (int64_t)(row->budget_ppm / 100000 * 100000), 1);
}

static void
put_cause(const struct top_row *row, char cell[TOP_CELL_SIZE])
{
    snprintf(cell, TOP_CELL_SIZE, "%s", bk_cause_name(row->cause));
}

const struct top_column top_columns[TOP_COLUMN_COUNT] = {
    {"SERVICE", NAME_LEAST, 99, false, TOP_BY_NAME, put_name},
    {"STATE", 8, 98, false, TOP_BY_STATE, put_state},
    {"MODE", 4, 90, false, TOP_SORT_COUNT, put_mode},
    {"LEFT", 6, 95, true, TOP_BY_LEFT, put_left},
    {"CALL/S", 6, 85, true, TOP_BY_CALLS, put_calls},
    {"DENY/S", 6, 80, true, TOP_BY_DENIED, put_denied},
    {"FAILED", 6, 96, true, TOP_BY_FAILURES, put_failed},
    {"ROW", 3, 70, true, TOP_SORT_COUNT, put_in_row},
    {"OUT", 3, 65, true, TOP_SORT_COUNT, put_permits},
    {"BUDGET", 6, 75, true, TOP_BY_BUDGET, put_budget},
    {"SINCE", 6, 40, true, TOP_SORT_COUNT, put_since},
    {"REASON", 20, 30, false, TOP_SORT_COUNT, put_cause},
};

/* What the column takes when it shows everything there is. */
static size_t
natural_width(const struct top *t, size_t column)
{
    const struct top_column *c = &top_columns[column];
    size_t width =
        strlen(c->heading) > c->least ? strlen(c->heading) : c->least;

    for (size_t i = 0; i < t->shown_count; i++) {
        const struct top_row *row = &t->rows[t->shown[i]];
        char cell[TOP_CELL_SIZE];
        size_t len;

        c->put(row, cell);
        len = column == 0 ? strlen(row->name) : strlen(cell);
        if (len > width)
            width = len;
    }
    return width;
}

/* Columns of the screen the layout takes, the name's at its least. */
static size_t
taken(const struct top_layout *l)
{
    size_t sum = MARGIN + NAME_LEAST;

    for (size_t i = 1; i < TOP_COLUMN_COUNT; i++)
        sum += l->widths[i] > 0 ? l->widths[i] + TOP_GAP : 0;
    return sum;
}

/* The column that is missed least of those that are left; 0: the name's alone. */
static size_t
least_worth(const struct top_layout *l)
{
    size_t found = 0;

    for (size_t i = 1; i < TOP_COLUMN_COUNT; i++) {
        if (l->widths[i] > 0 &&
            (found == 0 || top_columns[i].worth < top_columns[found].worth))
            found = i;
    }
    return found;
}

void
top_layout(const struct top *t, size_t columns, struct top_layout *out)
{
    size_t rest;

    for (size_t i = 0; i < TOP_COLUMN_COUNT; i++)
        out->widths[i] = natural_width(t, i);
    while (taken(out) > columns && least_worth(out) != 0)
        out->widths[least_worth(out)] = 0;
    rest = columns > taken(out) ? columns - taken(out) : 0;
    if (out->widths[0] > NAME_LEAST + rest)
        out->widths[0] = NAME_LEAST + rest;
}
