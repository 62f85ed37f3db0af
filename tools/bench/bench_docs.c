/* SPDX-License-Identifier: Apache-2.0
 *
 * performance.md, from a run. */
#define _GNU_SOURCE
#include "tools/bench/bench_tell.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const struct plot plots[] = {
    {"throughput", "Pipelined decisions a second", "client processes",
     "decisions a second", UNIT_RATE},
    {"latency", "A round trip, one question at a time each", "client processes",
     "until the answer", UNIT_NS},
    {"sharing", "A guarded call, all processes on one service", "processes",
     "processor time a call", UNIT_NS},
    {"services", "With so many services", "services",
     "time each: a decision from memory; a line in the daemon", UNIT_NS},
};
#define PLOT_COUNT (sizeof plots / sizeof plots[0])

static void
put_head(const struct bench *b, const struct tell_where *where, FILE *out)
{
    fprintf(
        out,
        "# Performance\n\n"
        "<!-- Written by breaker-bench --docs; edit tools/bench instead. "
        "-->\n\n"
        "What breakerd costs, beside what one would take instead, measured in "
        "one run of\n"
        "`breaker-bench`: version %s, %s, on %s%s.\n\n"
        "    cmake --preset release && cmake --build --preset release\n"
        "    build/release/tools/bench/breaker-bench --docs docs\n\n",
        where->version, where->date, where->machine,
        b->options.is_quick ? " (in a hurry, `--quick`)" : "");
    fprintf(
        out,
        "Single figures move with the machine and the minute by tens of percent. "
        "So those who\n"
        "are compared take turns in short blocks, and what counts is their ratio, "
        "block by block:\n"
        "the median of %u repeats, with its quartiles behind it. Real daemon, "
        "real processes, the\n"
        "shared library; nothing is faked. Goals were set from prototypes and the "
        "peers' own\n"
        "figures before the code was written, and stay when they are missed. Small "
        "is good\n"
        "unless the goal says \"at least\".\n",
        b->options.repeats);
    if (b->others_pct > TELL_DISTURBED_PCT)
        fprintf(out,
                "\nOthers used %.0f %% of the machine while this was measured, "
                "which disturbs it.\n",
                b->others_pct);
}

static void
put_table(const struct bench *b, const struct bench_row *row, FILE *out)
{
    char value[RESULT_VALUE_SIZE];
    char goal[RESULT_TEXT_SIZE];

    fprintf(out,
            "\n| what | figure | goal | | beside |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < b->results.line_count; i++) {
        const struct line *l = &b->results.lines[i];
        const char *comma =
            l->note[0] != '\0' && (l->ours[0] != '\0' || l->peer[0] != '\0')
                ? "; "
                : "";

        if (strcmp(l->row, row->name) != 0)
            continue;
        fprintf(out, "| %s | %s | %s | %s | %s%s%s%s%s |\n", l->what,
                tell_value(l, value), tell_goal(l, goal),
                result_state_name(l->state), l->ours,
                l->ours[0] != '\0' && l->peer[0] != '\0' ? ", " : "", l->peer,
                comma, l->note);
    }
}

static bool
has_lines(const struct bench *b, const struct bench_row *row)
{
    for (size_t i = 0; i < b->results.line_count; i++) {
        if (strcmp(b->results.lines[i].row, row->name) == 0)
            return true;
    }
    return false;
}

/* Prose in lines of a page's width. */
static void
put_prose(const char *prose, FILE *out)
{
    size_t column = 0;

    while (*prose != '\0') {
        size_t len = strcspn(prose, " ");

        if (column > 0 && column + len + 1 > 90) {
            fputc('\n', out);
            column = 0;
        }
        fprintf(out, "%s%.*s", column > 0 ? " " : "", (int)len, prose);
        column += len + (column > 0);
        prose += len;
        prose += *prose == ' ';
    }
    fputc('\n', out);
}

static void
put_plots(const struct bench *b, FILE *out)
{
    if (b->results.curve_count == 0)
        return;
    for (size_t i = 0; i < PLOT_COUNT; i++)
        fprintf(out, "\n![%s](pictures/performance-%s.svg)\n", plots[i].title,
                plots[i].name);
}

static FILE *
create(struct bench *b, const char *folder, const char *name,
       const char *ending)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s%s%s", b->options.docs, folder, name,
             ending);
    file = fopen(path, "we");
    if (file == NULL)
        fprintf(stderr, "breaker-bench: cannot write %s: %s\n", path,
                strerror(errno));
    return file;
}

static bool
write_plots(struct bench *b)
{
    char folder[512];

    if (b->results.curve_count == 0)
        return true;
    snprintf(folder, sizeof folder, "%s/pictures", b->options.docs);
    mkdir(folder, 0755);
    for (size_t i = 0; i < PLOT_COUNT; i++) {
        FILE *out = create(b, "pictures/performance-", plots[i].name, ".svg");
        bool is_written = out != NULL && plot_write(b, &plots[i], out);

        if (out == NULL || fclose(out) != 0 || !is_written)
            return false;
    }
    return true;
}

bool
tell_docs(struct bench *b)
{
    struct tell_where where;
    FILE *out;

    /* Before the tree has a file that is not its commit's. */
    tell_find_where(&where);
    out = create(b, "", "performance", ".md");
    if (out == NULL)
        return false;
    put_head(b, &where, out);
    for (size_t i = 0; i < bench_row_count; i++) {
        const struct bench_row *row = &bench_rows[i];
        bool is_drawn = row->is_long && b->results.curve_count > 0;

        if (!is_drawn && !has_lines(b, row))
            continue;
        fprintf(out, "\n## %s\n\n", row->title);
        put_prose(row->prose, out);
        if (is_drawn)
            put_plots(b, out);
        if (has_lines(b, row))
            put_table(b, row, out);
    }
    return fclose(out) == 0 && write_plots(b);
}
