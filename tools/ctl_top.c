/* SPDX-License-Identifier: Apache-2.0
 *
 * top: looks, draws, waits for keys. */
#define _GNU_SOURCE
#include "tools/ctl_top.h"
#include "tools/ctl_commands.h"
#include "tools/ctl_top_terminal.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Between two looks, when --interval does not say. */
#define INTERVAL_NS BK_NS_PER_S
#define KEYS_SIZE 256

static int64_t
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

static void
show(struct top *t)
{
    struct top_page page;

    t->now_ns = now_ns();
    terminal_size(&t->lines, &t->columns);
    top_arrange(t);
    top_draw(t, false, &page);
    terminal_show(&page);
    page_fini(&page);
}

/* One turn: a look when it is due, a drawing, and keys. False: that was all. */
static bool
turn(struct top *t, const char *dir, int64_t interval_ns,
     enum terminal_news *news)
{
    char keys[KEYS_SIZE];
    size_t len;
    int64_t due_ns = t->looked_ns + interval_ns;
    enum top_mode mode = t->mode;

    if (!t->has_looked || (!t->is_paused && now_ns() >= due_ns)) {
        top_look(t, dir);
        due_ns = t->looked_ns + interval_ns;
    }
    show(t);
    if (t->is_paused)
        due_ns = now_ns() + BK_NS_PER_S; /* what is shown grows older */
    *news = terminal_wait(due_ns - now_ns(), keys, sizeof keys, &len);
    if (*news == TERMINAL_KEYS)
        top_type(t, keys, len);
    if (t->mode == TOP_EXPLAIN && mode != TOP_EXPLAIN)
        top_look(t, dir);
    return !t->wants_end && *news != TERMINAL_END && *news != TERMINAL_GONE;
}

static enum ctl_exit
live(const struct ctl *c, struct top *t, int64_t interval_ns)
{
    enum terminal_news news = TERMINAL_QUIET;

    if (!terminal_open()) {
        ctl_say("cannot use this terminal: %s; --once prints one look as text",
                strerror(errno));
        return CTL_FAILED;
    }
    while (turn(t, c->dir, interval_ns, &news))
        continue;
    terminal_close();
    terminal_obey();
    return news == TERMINAL_GONE ? CTL_FAILED : CTL_DONE;
}

/* As wide as $COLUMNS says, else as the terminal is. */
static size_t
text_columns(void)
{
    const char *word = getenv("COLUMNS");
    uint64_t columns;
    size_t lines;
    size_t wide;

    terminal_size(&lines, &wide);
    if (word != NULL && bk_read_number(word, strlen(word), &columns) &&
        columns > 0 && columns <= TOP_COLUMNS_MAX)
        wide = (size_t)columns;
    return wide;
}

/* Two looks, so that there are rates; the second is printed. */
static enum ctl_exit
once(const struct ctl *c, struct top *t, int64_t interval_ns)
{
    struct top_page page;

    top_look(t, c->dir);
    if (t->why[0] == '\0') {
        (void)poll(NULL, 0, (int)bk_ms_up(interval_ns));
        top_look(t, c->dir);
    }
    t->columns = text_columns();
    t->now_ns = now_ns();
    top_arrange(t);
    top_draw(t, true, &page);
    for (size_t i = 0; i < page.count; i++)
        puts(page.lines[i].text);
    page_fini(&page);
    if (t->is_forbidden)
        return CTL_FORBIDDEN;
    return t->why[0] == '\0' ? CTL_DONE : CTL_UNREACHABLE;
}

enum ctl_exit
ctl_top(const struct ctl *c, const char *const *words, size_t count)
{
    int64_t interval_ns = c->interval_ns > 0 ? c->interval_ns : INTERVAL_NS;
    const char *term = getenv("TERM");
    bool is_live = (c->given & CTL_ONCE) == 0 && isatty(STDOUT_FILENO) == 1 &&
                   term != NULL && strcmp(term, "dumb") != 0;
    struct top top;
    enum ctl_exit exit;

    (void)words;
    (void)count;
    if (c->is_json) {
        ctl_say("top is for people; programs read breakerctl status --json");
        return CTL_USAGE;
    }
    top_init(&top);
    exit = is_live ? live(c, &top, interval_ns) : once(c, &top, interval_ns);
    top_forget(&top);
    top_fini(&top);
    return exit;
}
