#ifndef CTL_TOP_COLUMN_H
#define CTL_TOP_COLUMN_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The columns of `top`: what each shows of a row, and which find room. */
#include "tools/ctl_top.h"

#define TOP_CELL_SIZE 32
/* Between two columns. */
#define TOP_GAP 1

struct top_column {
    const char *heading;
    size_t least;       /* columns of the screen it always has */
    unsigned worth;     /* those of the least worth are left out first */
    bool is_to_right;   /* numbers are */
    enum top_sort sort; /* TOP_SORT_COUNT: none sorts by it */
    void (*put)(const struct top_row *row, char cell[TOP_CELL_SIZE]);
};
#define TOP_COLUMN_COUNT 12
extern const struct top_column top_columns[TOP_COLUMN_COUNT];

/* Widths for a page so wide; 0: left out. The first, the name's, gets what the
 * others leave. */
struct top_layout {
    size_t widths[TOP_COLUMN_COUNT];
};
void top_layout(const struct top *t, size_t columns, struct top_layout *out);

#endif
