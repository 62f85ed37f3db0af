#ifndef CTL_RUN_STATUS_H
#define CTL_RUN_STATUS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command's exit status says of the service it called. */
#include "breaker/breaker.h"
#include <stdbool.h>

#define RUN_STATUS_COUNT 256

/* The outcome of each exit status. */
struct run_statuses {
    enum breaker_outcome outcome[RUN_STATUS_COUNT];
};

/* The table from three lists such as "69,75,100-110"; NULL: not given. Without
 * `retry_on` a status that nothing else explains is a failure, with it only
 * those listed are. A bad list is told on stderr: false. */
bool run_statuses_read(struct run_statuses *s, const char *retry_on,
                       const char *critical_on, const char *reject_on);

#endif
