/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_json.h"
#include <stdio.h>

const char *
ctl_json_word(const json_t *row, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text != NULL ? text : otherwise;
}

uint64_t
ctl_json_number(const json_t *row, const char *key)
{
    double value = json_number_value(json_object_get(row, key));

    return value > 0 ? (uint64_t)value : 0;
}

void
ctl_json_print(const json_t *json)
{
    /* Twelve digits: all that the daemon gives, and 0.1 stays 0.1. */
    json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    putchar('\n');
}
