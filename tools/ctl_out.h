#ifndef CTL_OUT_H
#define CTL_OUT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person sees: sentences on stderr, tables on stdout, colour only on a
 * terminal and only beside the word that says the same. */
#include "core/text.h"
#include <stdio.h>

/* A sentence on stderr, the program's name before it. */
__attribute__((format(printf, 1, 2))) void ctl_say(const char *format, ...);

/* Memory or the end of the program: a tool has nothing better to do. */
void *ctl_memory(void *old, size_t bytes);

enum ctl_paint { CTL_PLAIN, CTL_GOOD, CTL_CAUTION, CTL_BAD, CTL_FAINT };

/* Prints `text` in a colour when stdout is a terminal that wants one. Control
 * characters become '?', so that nobody's error text steers the terminal. */
void ctl_print(enum ctl_paint paint, const char *text);
enum ctl_paint ctl_state_paint(const char *state);
/* What switches a colour on; "" when there is to be none. "\033[0m" ends it. */
const char *ctl_colour(enum ctl_paint paint);

#define CTL_COLUMNS 10

/* Rows of text, printed with aligned columns. */
struct ctl_table {
    const char *headings[CTL_COLUMNS];
    size_t columns;
    size_t painted; /* the column that gets the row's paint */
    struct ctl_row *rows;
    size_t count;
};
/* `headings` ends with NULL; the texts are static. */
void ctl_table_init(struct ctl_table *t, const char *const *headings,
                    size_t painted);
/* Copies as many cells as there are columns. */
void ctl_table_add(struct ctl_table *t, enum ctl_paint paint,
                   const char *const *cells);
/* Prints and frees. */
void ctl_table_end(struct ctl_table *t);

/* "640ms", "58.8s", "4m 10s", "2h 5m", "3d 4h", rounded up. */
#define CTL_DURATION_SIZE 32
void ctl_duration(char out[CTL_DURATION_SIZE], uint64_t ms);
/* The wall clock `ms` from now: "14:03:12", with the date when not today. */
#define CTL_CLOCK_SIZE 32
void ctl_clock_in(char out[CTL_CLOCK_SIZE], uint64_t ms);

#endif
