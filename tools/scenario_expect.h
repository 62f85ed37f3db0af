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

/* Whether a field has the value; `slack_ms` widens fields named *_ms. */
bool scenario_condition_holds(const struct scenario_condition *c,
                              const json_t *field, double slack_ms);

#endif
