#ifndef CTL_TOP_PAGE_H
#define CTL_TOP_PAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A page: lines of text, of which a piece may have a colour. No line is longer
 * than the page is wide, and none holds what would steer a terminal. */
#include "tools/ctl_out.h"
#include "tools/ctl_place.h"

/* The widest page. */
#define TOP_COLUMNS_MAX 300
/* Its octets: up to four a character. */
#define TOP_LINE_SIZE (4 * TOP_COLUMNS_MAX + 1)

struct top_line {
    char text[TOP_LINE_SIZE];
    size_t len;
    size_t width;       /* columns written */
    size_t painted;     /* where the colour begins */
    size_t painted_end; /* and ends */
    enum ctl_paint paint;
    bool is_marked; /* in reverse */
};

struct top_page {
    struct top_line *lines;
    size_t count;
    size_t room;
    size_t columns;
};

void page_init(struct top_page *p, size_t columns);
void page_fini(struct top_page *p);
/* A new, empty line behind the others. */
struct top_line *page_add(struct top_page *p);
/* Appends to the last line what fits; control characters become '?'. */
void page_put(struct top_page *p, const char *text);
__attribute__((format(printf, 2, 3))) void page_say(struct top_page *p,
                                                    const char *format, ...);
/* The same in a colour; one piece of a line can have one. */
void page_paint(struct top_page *p, enum ctl_paint paint, const char *text);
/* Blanks up to a column, so that what follows begins there. */
void page_pad(struct top_page *p, size_t column);

#endif
