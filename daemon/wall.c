/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "daemon/wall.h"
#include <stdio.h>
#include <time.h>

void
wall_format(int64_t wall_ms, char out[WALL_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t = {0};
    char day[WALL_SIZE - 8];
    if (wall_ms < 0 || gmtime_r(&seconds, &t) == NULL ||
        strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &t) == 0) {
        snprintf(out, WALL_SIZE, "1970-01-01T00:00:00.000Z");
        return;
    }
    snprintf(out, WALL_SIZE, "%s.%03dZ", day, (int)(wall_ms % 1000));
}
