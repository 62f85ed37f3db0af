#ifndef METRICS_H
#define METRICS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What Prometheus scrapes: the text format (version 0.0.4) of what lies in the
 * shared memory. It can be read while the daemon is down, and then says so. */
#include "tools/ctl_view.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_dialect {
    METRICS_NATIVE,
    METRICS_RESILIENCE4J, /* names that dashboards for it know */
    METRICS_DIALECTS
};

/* The dialect of that name ("native", "resilience4j"); false: none. */
bool metrics_dialect_parse(const char *name, enum metrics_dialect *out);

/* Everything that `v` shows (NULL: nothing can be read) as text on the heap,
 * `*len` octets, NUL-terminated, for the caller to free. */
char *metrics_text(const struct view *v, enum metrics_dialect dialect,
                   size_t *len);

#endif
