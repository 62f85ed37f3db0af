#ifndef SCENARIO_PLAY_H
#define SCENARIO_PLAY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Playing a scenario on a stage: each line at its time, each answer compared. */
#include "tools/scenario_stage.h"

struct scenario_result {
    bool is_passed;
    unsigned line;    /* where it failed; 0: not at a line */
    unsigned skipped; /* denials too near a change to be judged */
    char words[SCENARIO_WORDS_SIZE];
};

void scenario_play(const struct scenario *s, struct scenario_stage *stage,
                   struct scenario_result *result);

#endif
