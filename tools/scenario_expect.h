#ifndef SCENARIO_EXPECT_H
#define SCENARIO_EXPECT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line of a scenario expects behind its arrow: a word, a reason, and
 * fields of the answer with their values. */
#include "core/text.h"
#include <jansson.h>

/* How far a millisecond field of a real daemon may be off. */
#define SCENARIO_SLACK_MS 25

/* path=value, where a value is text, a number or a range of numbers. */
struct scenario_condition {
    const char *path;
    const char *value; /* as written */
    bool is_range;
    bool is_number; /* both ends are numbers */
    double low;
    double high;
};

struct scenario_expectation {
    const char *word;   /* NULL: any answer but an error */
    const char *reason; /* NULL: any */
    struct scenario_condition *conditions;
    size_t count;
};

/* Adds the words behind an arrow. The strings must outlive the expectation.
 * False with one clause in `error`. */
bool scenario_expect_add(struct scenario_expectation *e, char *const *words,
                         size_t count, struct bk_text *error);
void scenario_expect_free(struct scenario_expectation *e);

/* By how much the milliseconds of a real daemon may be off. All zero: not at
 * all. Waits (retry_after_ms, hold_ms, expires_ms) run down and ages (since_ms,
 * age_ms) run up; other fields stand still and have the slack alone. */
struct scenario_excuse {
    double slack_ms;      /* of every *_ms, both ways */
    double run_ms_min;    /* the line was due so long before the answer, */
    double run_ms_max;    /* at least and at most: so far have they run */
    double wait_began_ms; /* so late a wait may have begun */
    double age_began_ms;  /* and an age */
};

/* Whether a field has the value, all excuses granted. */
bool scenario_condition_holds(const struct scenario_condition *c,
                              const json_t *field,
                              const struct scenario_excuse *excuse);

#endif
