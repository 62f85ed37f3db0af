#ifndef SCENARIO_LATE_H
#define SCENARIO_LATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How late a real machine was with the lines of a scenario, and what that
 * excuses: a wait that was looked at late has become shorter, one that began
 * late is longer. */
#include "tools/scenario_answer.h"

/* A real daemon may be this late with what a line expects. */
#define SCENARIO_LATE_NS (20 * BK_NS_PER_MS)

/* All zero before the first line. */
struct scenario_late {
    int64_t asked_ns;    /* the line at hand was not asked before */
    int64_t answered_ns; /* and its answer was there by then */
    int64_t acted_ns;    /* the latest of the lines above that actors had */
    int64_t any_ns;      /* the same with the daemon's */
};

/* The line at hand is asked now, or asked again. */
void scenario_late_ask(struct scenario_late *late, int64_t late_ns);
void scenario_late_answer(struct scenario_late *late, int64_t late_ns);
/* The line at hand is done and becomes one of those above. */
void scenario_late_next(struct scenario_late *late,
                        const struct scenario_step *step);

/* Whether the line at hand was asked when all it expects should have come:
 * SCENARIO_LATE_NS after it was due, and as much later as a line above was, for
 * what that one began comes later too. */
bool scenario_late_is_over(const struct scenario_late *late);

/* What may be off in an answer to the line at hand. */
struct scenario_excuse
scenario_late_excuse(const struct scenario_late *late,
                     const struct scenario_step *step,
                     const struct scenario_answer *answer);

#endif
