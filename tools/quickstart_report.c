/* SPDX-License-Identifier: Apache-2.0
 *
 * quickstart_report: lays the results of quickstart_worker side by side and
 * judges them. The first result is of workers on their own, the others are of
 * workers guarded by breakerd. */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define RUNS_MAX 8
/* Hits during the outage with breakerd, in percent of those without. */
#define HITS_MAX_PCT 5.0

static const char help[] =
    "usage: quickstart_report HISTORY ALONE GUARDED...\n"
    "\n"
    "HISTORY is what `breakerctl history --json` prints, ALONE and GUARDED are\n"
    "results of quickstart_worker: without breakerd, and with it. Exit status 0\n"
    "when each circuit opened, recovered and closed and the upstream met less\n"
    "than 5 % of the hits during its outage, 1 when not, 2 for bad files.\n";

struct report {
    json_t *history; /* rows, oldest first */
    json_t *runs[RUNS_MAX];
    size_t count;
};

static json_int_t
number(const json_t *run, const char *key)
{
    return json_integer_value(json_object_get(run, key));
}

static const char *
word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static json_int_t
outage_hits(const json_t *run)
{
    return number(json_object_get(run, "upstream"), "outage_hits");
}

static double
percent(const struct report *report, size_t run)
{
    const json_int_t alone = outage_hits(report->runs[0]);

    return alone > 0
               ? 100.0 * (double)outage_hits(report->runs[run]) / (double)alone
               : 100.0;
}

static void
print_row(const struct report *report, const char *title, const char *key)
{
    printf("  %-36s", title);
    for (size_t i = 0; i < report->count; i++) {
        printf("%14lld", (long long)number(report->runs[i], key));
    }
    putchar('\n');
}

static void
print_waits(const struct report *report)
{
    printf("  %-36s", "  mean wait until the failure");
    for (size_t i = 0; i < report->count; i++) {
        const json_int_t failed = number(report->runs[i], "failed");
        const json_int_t sum_ms = number(report->runs[i], "failed_wait_ms");
        printf("%12.1f s",
               failed > 0 ? (double)sum_ms / 1000.0 / (double)failed : 0.0);
    }
    putchar('\n');
}

static void
print_hits(const struct report *report)
{
    printf("  %-36s", "hits the upstream counted, outage");
    for (size_t i = 0; i < report->count; i++) {
        printf("%14lld", (long long)outage_hits(report->runs[i]));
    }
    printf("\n  %-36s%14s", "", "100 %");
    for (size_t i = 1; i < report->count; i++) {
        printf("%12.1f %%", percent(report, i));
    }
    printf("\n  %-36s", "hits the upstream counted, in all");
    for (size_t i = 0; i < report->count; i++) {
        printf("%14lld",
               (long long)number(json_object_get(report->runs[i], "upstream"),
                                 "hits"));
    }
    putchar('\n');
}

static void
print_table(const struct report *report)
{
    printf("  %-36s", "");
    for (size_t i = 0; i < report->count; i++) {
        char title[32] = "alone";
        if (i > 0) {
            snprintf(title, sizeof title, "breakerd %s",
                     word(report->runs[i], "mode"));
        }
        printf("%14s", title);
    }
    putchar('\n');
    print_hits(report);
    print_row(report, "calls that users made", "calls");
    print_row(report, "  answered", "ok");
    print_row(report, "  failed in the end", "failed");
    print_waits(report);
    print_row(report, "times a call was denied", "denied");
    print_row(report, "retries granted by the budget", "retries_granted");
    print_row(report, "decisions from shared memory", "by_memory");
    print_row(report, "decisions asked of breakerd", "by_daemon");
    print_row(report, "decisions without breakerd", "by_local");
}

static bool
judge(bool is_good, const char *what, const char *service)
{
    printf("  %-6s %s%s%s\n", is_good ? "ok" : "FAILED", service,
           *service ? ": " : "", what);
    return is_good;
}

/* The circuit of `service` went closed -> open -> half_open -> ... -> closed and
 * stands closed. */
static bool
recovered(const struct report *report, const char *service)
{
    static const char *const path[] = {"open", "half_open", "closed"};
    const char *last = "";
    size_t reached = 0;
    size_t i = 0;
    const json_t *row = NULL;

    json_array_foreach(report->history, i, row)
    {
        if (strcmp(word(row, "service"), service) != 0) {
            continue;
        }
        last = word(row, "to");
        if (reached < 3 && strcmp(last, path[reached]) == 0) {
            reached++;
        }
    }
    return reached == 3 && strcmp(last, "closed") == 0;
}

static bool
judge_run(const struct report *report, size_t run)
{
    const json_t *result = report->runs[run];
    const char *service = word(result, "service");
    bool is_good = true;

    is_good &= judge(recovered(report, service),
                     "the circuit opened, recovered and closed", service);
    is_good &= judge(percent(report, run) < HITS_MAX_PCT,
                     "under 5 % of the hits during the outage", service);
    is_good &=
        judge(number(result, "calls") == number(report->runs[0], "calls"),
              "the same calls at the same times", service);
    /* On a machine too busy for the daemon to answer in time a worker decides by
     * itself, as it should; only that must not be the rule. */
    is_good &=
        judge(2 * (number(result, "by_local") + number(result, "by_nobody")) <=
                  number(result, "by_memory") + number(result, "by_daemon"),
              "breakerd decided most calls", service);
    return is_good;
}

static bool
judge_all(const struct report *report)
{
    bool is_good = judge(outage_hits(report->runs[0]) > 0,
                         "the upstream had its outage", "");

    for (size_t i = 1; i < report->count; i++) {
        is_good &= judge_run(report, i);
    }
    return is_good;
}

static json_t *
load(const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);

    if (json == NULL) {
        fprintf(stderr, "quickstart_report: %s: %s\n", path, error.text);
    }
    return json;
}

static bool
load_all(struct report *report, char **paths, size_t count)
{
    json_t *document = load(paths[0]);

    report->history = json_incref(json_object_get(document, "history"));
    json_decref(document);
    for (size_t i = 1; i < count; i++) {
        report->runs[report->count] = load(paths[i]);
        if (report->runs[report->count] == NULL) {
            return false;
        }
        report->count++;
    }
    if (!json_is_array(report->history)) {
        fprintf(stderr, "quickstart_report: %s holds no history\n", paths[0]);
        return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct report report = {0};
    int status = 2;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (argc < 4 || argc - 2 > RUNS_MAX) {
        fputs(help, stderr);
        return 2;
    }
    if (load_all(&report, argv + 1, (size_t)argc - 1)) {
        print_table(&report);
        putchar('\n');
        status = judge_all(&report) ? 0 : 1;
    }
    json_decref(report.history);
    for (size_t i = 0; i < report.count; i++) {
        json_decref(report.runs[i]);
    }
    return status;
}
