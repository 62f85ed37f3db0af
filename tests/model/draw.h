#ifndef DRAW_H
#define DRAW_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws streams at random: configurations, and step by step what happens next,
 * aimed at the instants and permits that matter in the model's present state. */
#include "tests/model/play.h"

/* Habits of one stream. */
struct draw {
    uint64_t random;
    uint64_t weights[STEP_KIND_COUNT];
    uint64_t weight_sum;
    uint32_t services; /* how many of the names are in use */
    uint32_t pids;
    int64_t pace_ns;      /* ordinary time between two steps */
    bool is_calm;         /* calls end in time and mostly well */
    uint32_t failure_pct; /* of the upstream at present */
    bool is_unwell;       /* health probes fail at present */
    uint32_t given[32]; /* serials of the last steps that may hold something */
    uint32_t given_count;
};

/* The configuration and habits that this seed stands for. */
void draw_start(struct draw *d, struct stream *stream, uint64_t seed);
/* The next step; `p` has played all before it. */
void draw_step(struct draw *d, const struct play *p, uint32_t serial,
               struct step *step);

#endif
