/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints docs/metrics.md from the tables of families. A test compares the two, the
 * target docs_metrics writes the file anew. */
#include "tools/metrics_axis.h"
#include <stdio.h>
#include <string.h>

static void
print_start(void)
{
    fputs(
        "# Metrics\n\n"
        "<!-- Printed from the tables in tools/metrics_native.c and "
        "tools/metrics_compat.c;\n     to change it, change them and build the "
        "target docs_metrics. -->\n\n"
        "`breakerctl metrics` prints them in Prometheus' text format. They are "
        "read from the\nshared memory, so asking costs the daemon nothing, and "
        "while it is down the last\nvalues are still there, with `breakerd_up "
        "0`.\n\n"
        "There are two ways to have them scraped. `breakerweb` answers at "
        "`/metrics`:\n\n"
        "    scrape_configs:\n"
        "      - job_name: breakerd\n"
        "        static_configs:\n"
        "          - targets: [\"127.0.0.1:9465\"]\n\n"
        "Without HTTP, node_exporter's textfile collector takes a file (on "
        "Debian from\n`/var/lib/prometheus/node-exporter`). `breakerctl` "
        "writes it under another name\nfirst and then renames it, so that half "
        "a file is never seen; a timer or cron runs:\n\n"
        "```console\n"
        "$ breakerctl metrics --file breakerd.prom\n"
        "$ grep '^breakerd_up ' breakerd.prom\n"
        "breakerd_up 1\n"
        "```\n\n"
        "Rules and alerts are in `deploy/prometheus/rules.yml`, a dashboard in\n"
        "`deploy/grafana/breakerd.json`.\n\n"
        "What is promised: base units (seconds, bytes, shares from 0 to 1), "
        "`_total` behind\neverything that only grows, labels whose values are "
        "all known beforehand, never a\nprocess or a URL, and every series "
        "there from a service's first use, at zero.\nCounters of services "
        "survive a crash of the daemon and, as last saved (at most a\nsecond "
        "old), a reboot; `FORGET` ends them. Counters of the daemon begin "
        "anew with\neach start.\n",
        stdout);
}

static void
print_values(const struct metrics_axis *axis)
{
    bool is_first = true;

    for (size_t i = 0; axis->put != NULL && i < axis->count; i++) {
        char room[80];
        struct bk_text text;

        if (axis->has != NULL && !axis->has(i))
            continue;
        bk_text_init(&text, room, sizeof room);
        axis->put(&text, i);
        printf("%s`%s`", is_first ? "" : ", ", room);
        is_first = false;
    }
    if (is_first)
        printf("`%s`", axis->keys);
}

static void
print_rows(const struct metrics_table *table, bool is_of_service)
{
    puts("| name | type | labels | |\n|---|---|---|---|");
    for (size_t i = 0; i < table->count; i++) {
        const struct metrics_family *f = &table->families[i];

        if ((f->of == METRICS_OF_SERVICE) != is_of_service)
            continue;
        printf("| `%s` | %s | ", f->name, metrics_type_name(f->type));
        if (is_of_service)
            printf("%s", table->service_label);
        if (f->axis != NULL)
            printf("%s%s", is_of_service ? ", " : "", f->axis->keys);
        printf(" | %s |\n", f->help);
    }
}

static void
print_labels(const struct metrics_table *table)
{
    puts("\n| of | values |\n|---|---|");
    for (size_t i = 0; i < table->count; i++) {
        const struct metrics_family *f = &table->families[i];

        if (f->axis == NULL)
            continue;
        printf("| `%s` | ", f->name);
        print_values(f->axis);
        puts(" |");
    }
}

int
main(void)
{
    print_start();
    puts("\n## Of a service\n");
    print_rows(&metrics_native, true);
    puts("\n## Of the daemon\n\nWhat only a living daemon has (processes, "
         "connections, what waits) is left out while\nit is down.\n");
    print_rows(&metrics_native, false);
    puts("\n## Labels\n\nThe label `service` is the service's name. Besides:");
    print_labels(&metrics_native);
    puts("\n## By the names of resilience4j\n\n`breakerctl metrics --compat "
         "resilience4j` (over HTTP `/metrics?compat=resilience4j`)\ngives the "
         "same circuits under the names that dashboards for resilience4j "
         "know:\n");
    print_rows(&metrics_resilience4j, true);
    print_labels(&metrics_resilience4j);
    return ferror(stdout) != 0 || fflush(stdout) != 0;
}
