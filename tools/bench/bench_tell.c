/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_tell.h"
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Columns of the table for people. */
#define WHAT_WIDTH 58
#define VALUE_WIDTH 27

/* ---- where it was ---- */

static void
find_processor(char *text, size_t size)
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];

    snprintf(text, size, "an unknown processor");
    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        const char *colon = strstr(line, ": ");

        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(text, size, "%s", colon + 2);
        break;
    }
    if (info != NULL)
        fclose(info);
}

/* The commit, when this is run from a tree that has one. */
static void
find_commit(char *text, size_t size)
{
    static const char command[] =
        "git -C '" BENCH_SOURCE "' describe --always --dirty 2>/dev/null";
    char line[48] = "";
    /* Of names of our own. NOLINTNEXTLINE(cert-env33-c) */
    FILE *git = popen(command, "re");

    if (git != NULL) {
        if (fgets(line, sizeof line, git) != NULL)
            line[strcspn(line, "\n")] = '\0';
        pclose(git);
    }
    snprintf(text, size, "%s%s%s", BREAKERD_VERSION,
             line[0] != '\0' ? ", commit " : "", line);
}

void
tell_find_where(struct tell_where *where)
{
    struct utsname kernel;
    char processor[96];
    time_t now = time(NULL);
    struct tm utc;

    uname(&kernel);
    find_processor(processor, sizeof processor);
    snprintf(where->machine, sizeof where->machine, "%ld x %s, Linux %.32s",
             sysconf(_SC_NPROCESSORS_ONLN), processor, kernel.release);
    gmtime_r(&now, &utc);
    strftime(where->date, sizeof where->date, "%Y-%m-%d %H:%M UTC", &utc);
    find_commit(where->version, sizeof where->version);
}

/* ---- for people ---- */

const char *
tell_value(const struct line *l, char text[RESULT_VALUE_SIZE])
{
    char median[RESULT_TEXT_SIZE];
    char low[RESULT_TEXT_SIZE];
    char high[RESULT_TEXT_SIZE];

    text[0] = '\0';
    if (l->value.count == 0)
        return text;
    result_write(series_median(&l->value), l->unit, median);
    if (l->value.count == 1) {
        snprintf(text, RESULT_VALUE_SIZE, "%s", median);
        return text;
    }
    result_write(series_share(&l->value, 0.25), l->unit, low);
    result_write(series_share(&l->value, 0.75), l->unit, high);
    snprintf(text, RESULT_VALUE_SIZE, "%.36s (%.36s to %.36s)", median, low,
             high);
    return text;
}

const char *
tell_goal(const struct line *l, char text[RESULT_TEXT_SIZE])
{
    char value[RESULT_TEXT_SIZE];

    text[0] = '\0';
    if (l->kind != GOAL_NONE)
        snprintf(text, RESULT_TEXT_SIZE, "%s %.30s",
                 l->kind == GOAL_AT_MOST ? "<=" : ">=",
                 result_write(l->goal, l->unit, value));
    return text;
}

void
tell_row(const struct bench *b, const struct bench_row *row, FILE *out)
{
    char value[RESULT_VALUE_SIZE];
    char goal[RESULT_TEXT_SIZE];

    fprintf(out, "\n%s (%s)\n", row->title, row->name);
    for (size_t i = 0; i < b->results.line_count; i++) {
        const struct line *l = &b->results.lines[i];

        if (strcmp(l->row, row->name) != 0)
            continue;
        fprintf(out, "  %-*s  %-*s  %-11s %s\n", WHAT_WIDTH, l->what,
                VALUE_WIDTH, tell_value(l, value), tell_goal(l, goal),
                result_state_name(l->state));
        if (l->ours[0] != '\0' || l->peer[0] != '\0')
            fprintf(out, "      %s%s%s\n", l->ours,
                    l->ours[0] != '\0' && l->peer[0] != '\0' ? ", " : "",
                    l->peer);
        if (l->note[0] != '\0')
            fprintf(out, "      %s\n", l->note);
    }
}

static size_t
count_state(const struct bench *b, enum result_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < b->results.line_count; i++)
        count += b->results.lines[i].state == state;
    return count;
}

void
tell_sum(const struct bench *b, FILE *out)
{
    fprintf(out, "\n%zu hold, %zu missed, %zu skipped, %zu failed\n",
            count_state(b, RESULT_HOLDS), count_state(b, RESULT_MISSED),
            count_state(b, RESULT_SKIPPED), count_state(b, RESULT_FAILED));
    if (b->others_pct > TELL_DISTURBED_PCT)
        fprintf(out,
                "others used %.0f %% of this machine meanwhile: figures and "
                "ratios are disturbed\n",
                b->others_pct);
}
