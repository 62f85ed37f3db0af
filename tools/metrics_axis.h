#ifndef METRICS_AXIS_H
#define METRICS_AXIS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels and their values, all of them known beforehand: a series is there from
 * the start, at zero. */
#include "tools/metrics_family.h"

/* One value of a row: an expression of scene, subject s and index i. */
#define METRICS_VALUE(name, expression)                            \
    static int64_t name(const struct metrics_scene *scene,         \
                        const struct metrics_subject *s, size_t i) \
    {                                                              \
        (void)scene;                                               \
        (void)s;                                                   \
        (void)i;                                                   \
        return (int64_t)(expression);                              \
    }

/* key="value"; quotes and backslashes of the value with a backslash before them,
 * and what is no printable ASCII as a question mark. */
void metrics_put_label(struct bk_text *out, const char *key, const char *value);

extern const struct metrics_axis metrics_outcomes;
extern const struct metrics_axis
    metrics_failures; /* those a retry can follow */
extern const struct metrics_axis metrics_call_reasons;
extern const struct metrics_axis metrics_observe_reasons;
extern const struct metrics_axis metrics_retry_reasons;
extern const struct metrics_axis metrics_changes;
extern const struct metrics_axis metrics_modes;
extern const struct metrics_axis metrics_results; /* granted, denied */
extern const struct metrics_axis metrics_buckets; /* of durations */
extern const struct metrics_axis metrics_version;
/* What a call's end counts as in the counters of the status. */
uint64_t metrics_outcome_count(const struct bk_counters *c, size_t outcome);

#endif
