/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/clock.h"
#include <time.h>

static int64_t
read_ns(clockid_t which)
{
    struct timespec t = {0};
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
clock_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

int64_t
clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}
