#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the system calls of a child between its marks. A mark is a getpriority of
 * nobody's. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum trace_mark {
    TRACE_COUNT = 0x62656e00, /* count from here */
    TRACE_REST = 0x62656e01,  /* to here */
    TRACE_END = 0x62656e02    /* nothing more to come */
};

/* Begins to trace the child's first thread; false: it is not allowed here. */
bool trace_begin(pid_t pid);
/* Lets it run until the end mark, and go. False: it did not come there in time. */
bool trace_until_end(pid_t pid, int64_t deadline_ms, uint64_t *calls);

#endif
