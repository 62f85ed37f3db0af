/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything breakerctl shows goes through here. */
#define _GNU_SOURCE
#include "tools/ctl_out.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct ctl_row {
    enum ctl_paint paint;
    char *cells[CTL_COLUMNS];
};

void
ctl_say(const char *format, ...)
{
    va_list arguments;

    fflush(stdout); /* keeps the order where both go to one place */
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void *
ctl_memory(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes > 0 ? bytes : 1);

    if (memory == NULL) {
        ctl_say("out of memory");
        exit(1);
    }
    return memory;
}

static bool
wants_colour(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no != NULL && no[0] != '\0')
        return false;
    if (term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(STDOUT_FILENO) == 1;
}

static const char *
colour_of(enum ctl_paint paint)
{
    switch (paint) {
    case CTL_GOOD:
        return "\033[32m";
    case CTL_CAUTION:
        return "\033[33m";
    case CTL_BAD:
        return "\033[31m";
    case CTL_FAINT:
        return "\033[2m";
    case CTL_PLAIN:
        break;
    }
    return "";
}

/* Bytes of a control character at `s` (C0, DEL, or C1 in UTF-8), 0 if none. */
static size_t
control_at(const char *s)
{
    unsigned char c = (unsigned char)s[0];

    if (c < ' ' || c == 0x7f)
        return 1;
    if (c == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80)
        return 2;
    return 0;
}

static void
put_clean(const char *text)
{
    while (*text != '\0') {
        size_t control = control_at(text);

        if (control > 0) {
            putchar('?');
            text += control;
        } else {
            putchar(*text++);
        }
    }
}

const char *
ctl_colour(enum ctl_paint paint)
{
    return wants_colour() ? colour_of(paint) : "";
}

void
ctl_print(enum ctl_paint paint, const char *text)
{
    const char *colour = ctl_colour(paint);

    fputs(colour, stdout);
    put_clean(text);
    if (colour[0] != '\0')
        fputs("\033[0m", stdout);
}

enum ctl_paint
ctl_state_paint(const char *state)
{
    if (strcmp(state, bk_state_name(BK_CLOSED)) == 0)
        return CTL_GOOD;
    if (strcmp(state, bk_state_name(BK_HALF_OPEN)) == 0)
        return CTL_CAUTION;
    return CTL_BAD;
}

void
ctl_table_init(struct ctl_table *t, const char *const *headings, size_t painted)
{
    *t = (struct ctl_table){.painted = painted};
    while (t->columns < CTL_COLUMNS && headings[t->columns] != NULL) {
        t->headings[t->columns] = headings[t->columns];
        t->columns++;
    }
}

void
ctl_table_add(struct ctl_table *t, enum ctl_paint paint,
              const char *const *cells)
{
    struct ctl_row *row;

    t->rows = ctl_memory(t->rows, (t->count + 1) * sizeof *t->rows);
    row = &t->rows[t->count++];
    row->paint = paint;
    for (size_t i = 0; i < t->columns; i++) {
        size_t size = strlen(cells[i]) + 1;

        row->cells[i] = ctl_memory(NULL, size);
        memcpy(row->cells[i], cells[i], size);
    }
}

/* Columns a text takes on the screen: characters, not octets. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void
pad(size_t spaces)
{
    while (spaces-- > 0)
        putchar(' ');
}

static void
print_row(const struct ctl_table *t, const size_t *widths,
          const struct ctl_row *row)
{
    size_t columns = t->columns;

    while (row != NULL && columns > 0 && row->cells[columns - 1][0] == '\0')
        columns--;
    for (size_t i = 0; i < columns; i++) {
        const char *cell = row != NULL ? row->cells[i] : t->headings[i];
        enum ctl_paint paint = CTL_PLAIN;

        if (row == NULL)
            paint = CTL_FAINT;
        else if (i == t->painted)
            paint = row->paint;
        ctl_print(paint, cell);
        if (i + 1 < columns)
            pad(widths[i] - width_of(cell) + 2);
    }
    putchar('\n');
}

void
ctl_table_end(struct ctl_table *t)
{
    size_t widths[CTL_COLUMNS] = {0};

    for (size_t i = 0; i < t->columns; i++) {
        widths[i] = width_of(t->headings[i]);
        for (size_t r = 0; r < t->count; r++) {
            size_t width = width_of(t->rows[r].cells[i]);

            if (width > widths[i])
                widths[i] = width;
        }
    }
    print_row(t, widths, NULL);
    for (size_t r = 0; r < t->count; r++) {
        print_row(t, widths, &t->rows[r]);
        for (size_t i = 0; i < t->columns; i++)
            free(t->rows[r].cells[i]);
    }
    free(t->rows);
    t->rows = NULL;
    t->count = 0;
}

static void
put_two(char *out, uint64_t large, const char *large_unit, uint64_t small,
        const char *small_unit)
{
    struct bk_text text;

    bk_text_init(&text, out, CTL_DURATION_SIZE);
    bk_text_put_u64(&text, large);
    bk_text_put(&text, large_unit);
    if (small > 0) {
        bk_text_put_char(&text, ' ');
        bk_text_put_u64(&text, small);
        bk_text_put(&text, small_unit);
    }
}

/* So many units as cover the time: a wait is never shown shorter than it is. */
static uint64_t
round_up(uint64_t ms, uint64_t unit_ms)
{
    return ms / unit_ms + (ms % unit_ms > 0);
}

void
ctl_duration(char out[CTL_DURATION_SIZE], uint64_t ms)
{
    uint64_t tenths = round_up(ms, 100);
    uint64_t s = round_up(ms, 1000);
    uint64_t m = round_up(ms, 60000);
    uint64_t h = round_up(ms, 3600000);

    /* Each limit is for the rounded number: 59.99 s is 1m, not 60s. */
    if (ms < 1000) {
        put_two(out, ms, "ms", 0, "");
    } else if (tenths < 600) {
        struct bk_text text;

        bk_text_init(&text, out, CTL_DURATION_SIZE);
        bk_text_put_ppm(&text, (int64_t)tenths * 100000, 0);
        bk_text_put_char(&text, 's');
    } else if (s < 3600) {
        put_two(out, s / 60, "m", s % 60, "s");
    } else if (m < 1440) {
        put_two(out, m / 60, "h", m % 60, "m");
    } else {
        put_two(out, h / 24, "d", h % 24, "h");
    }
}

void
ctl_clock_in(char out[CTL_CLOCK_SIZE], uint64_t ms)
{
    time_t now = time(NULL);
    time_t then = now + (time_t)((ms + 999) / 1000);
    struct tm today;
    struct tm day;

    out[0] = '\0';
    if (localtime_r(&now, &today) == NULL || localtime_r(&then, &day) == NULL)
        return;
    if (today.tm_yday == day.tm_yday && today.tm_year == day.tm_year)
        strftime(out, CTL_CLOCK_SIZE, "%H:%M:%S", &day);
    else
        strftime(out, CTL_CLOCK_SIZE, "%Y-%m-%d %H:%M:%S", &day);
}
