/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_clock.h"
#include "core/vocab.h"
#include <time.h>

int64_t
web_clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}
