/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_top_page.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
page_init(struct top_page *p, size_t columns)
{
    *p = (struct top_page){
        .columns = columns < TOP_COLUMNS_MAX ? columns : TOP_COLUMNS_MAX};
}

void
page_fini(struct top_page *p)
{
    free(p->lines);
    *p = (struct top_page){0};
}

struct top_line *
page_add(struct top_page *p)
{
    if (p->count == p->room) {
        p->room = p->room == 0 ? 32 : 2 * p->room;
        p->lines = ctl_memory(p->lines, p->room * sizeof *p->lines);
    }
    p->lines[p->count] = (struct top_line){.paint = CTL_PLAIN};
    return &p->lines[p->count++];
}

/* Octets of the character at `s`, which never runs over the end of the text. */
static size_t
octets_at(const char *s)
{
    size_t len = 1;

    while (len < 4 && ((unsigned char)s[len] & 0xc0) == 0x80)
        len++;
    return len;
}

static bool
is_control(const char *s)
{
    unsigned char c = (unsigned char)s[0];

    return c < ' ' || c == 0x7f ||
           (c == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80);
}

void
page_put(struct top_page *p, const char *text)
{
    struct top_line *line = &p->lines[p->count - 1];

    while (*text != '\0' && line->width < p->columns) {
        size_t octets = octets_at(text);

        if (is_control(text)) {
            line->text[line->len++] = '?';
        } else {
            memcpy(line->text + line->len, text, octets);
            line->len += octets;
        }
        line->width++;
        text += octets;
    }
    line->text[line->len] = '\0';
}

void
page_say(struct top_page *p, const char *format, ...)
{
    char text[TOP_LINE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    page_put(p, text);
}

void
page_paint(struct top_page *p, enum ctl_paint paint, const char *text)
{
    struct top_line *line = &p->lines[p->count - 1];

    line->paint = paint;
    line->painted = line->len;
    page_put(p, text);
    line->painted_end = line->len;
}

void
page_pad(struct top_page *p, size_t column)
{
    while (p->lines[p->count - 1].width < column &&
           p->lines[p->count - 1].width < p->columns)
        page_put(p, " ");
}
