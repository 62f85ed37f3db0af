/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_evidence.h"
#include "tools/ctl_json.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

static void
put_ms(char out[CTL_DURATION_SIZE], const json_t *value)
{
    if (json_is_number(value))
        ctl_duration(out, (uint64_t)json_number_value(value));
    else
        bk_copy_text(out, CTL_DURATION_SIZE, "-", 1);
}

void
evidence_print(const json_t *evidence, bool has_gap)
{
    static const char *const headings[] = {
        "AGO", "OUTCOME", "LATENCY", "WORKER", "PID", "TEXT", NULL};
    struct ctl_table table;
    const json_t *row;
    size_t i;

    if (json_array_size(evidence) == 0)
        return;
    if (has_gap)
        putchar('\n');
    ctl_table_init(&table, headings, 1);
    json_array_foreach(evidence, i, row)
    {
        char age[CTL_DURATION_SIZE];
        char latency[CTL_DURATION_SIZE];
        char pid[24];
        const char *const cells[] = {age,     ctl_json_word(row, "outcome", ""),
                                     latency, ctl_json_word(row, "worker", ""),
                                     pid,     ctl_json_word(row, "text", "")};
        struct bk_text text;

        put_ms(age, json_object_get(row, "age_ms"));
        put_ms(latency, json_object_get(row, "latency_ms"));
        bk_text_init(&text, pid, sizeof pid);
        bk_text_put_i64(&text, json_integer_value(json_object_get(row, "pid")));
        ctl_table_add(&table, CTL_BAD, cells);
    }
    ctl_table_end(&table);
}
