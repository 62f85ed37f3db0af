#ifndef BENCH_TELL_H
#define BENCH_TELL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a run, for people, for programs, as a document with plots. */
#include "tools/bench/bench_rows.h"
#include <stdio.h>

/* More than this of the machine used by others is worth a word. */
#define TELL_DISTURBED_PCT 3

/* Which machine, when, what. */
struct tell_where {
    char machine[160];
    char date[32];
    char version[64];
};
void tell_find_where(struct tell_where *where);

/* The lines of one row. */
void tell_row(const struct bench *b, const struct bench_row *row, FILE *out);
void tell_sum(const struct bench *b, FILE *out);
/* "0.52 (0.50 to 0.55)": median and quartiles. */
const char *tell_value(const struct line *l, char text[RESULT_VALUE_SIZE]);
/* "<= 0.65", or "". */
const char *tell_goal(const struct line *l, char text[RESULT_TEXT_SIZE]);

bool tell_json(const struct bench *b, FILE *out);
/* performance.md and its plots in this folder. */
bool tell_docs(struct bench *b);

struct plot {
    const char *name; /* of the file, and of the curves */
    const char *title;
    const char *x_label;
    const char *y_label;
    enum result_unit unit;
};
bool plot_write(const struct bench *b, const struct plot *plot, FILE *out);

#endif
