#ifndef BK_RAMP_H
#define BK_RAMP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The ramp: after closing, the admitted share rises in ten steps, and each step
 * needs a success of its own before the next begins. */
#include "core/policy.h"

#define BK_RAMP_STEPS 10

struct bk_ramp {
    int64_t step_since_ns;
    int64_t step_length_ns; /* kept by a running step when the key changes */
    uint32_t step;          /* 1..10; 0: no ramp runs */
    uint32_t serial;        /* one for each start of a step: a leased call
                               counts only for the run that admitted it */
    uint32_t arrivals;
    uint32_t admitted;
    uint32_t has_success;
    uint32_t reserved;
};

void bk_ramp_start(struct bk_ramp *r, const struct bk_policy *p,
                   int64_t now_ns);
void bk_ramp_end(struct bk_ramp *r);
/* One arrival; returns whether the step's share admits it. */
bool bk_ramp_admit(struct bk_ramp *r);
/* An arrival that is no admission: a call only observe let through. */
void bk_ramp_pass(struct bk_ramp *r);
/* A success of a call; `serial` 0 for one without a lease. */
void bk_ramp_success(struct bk_ramp *r, const struct bk_policy *p,
                     int64_t now_ns, uint32_t serial);
/* A failure starts the step anew. */
void bk_ramp_failure(struct bk_ramp *r, const struct bk_policy *p,
                     int64_t now_ns);
/* The instant the step ends by itself, or BK_NEVER. */
int64_t bk_ramp_deadline(const struct bk_ramp *r);
void bk_ramp_advance(struct bk_ramp *r, const struct bk_policy *p,
                     int64_t now_ns);
/* Time to the end of the step's least length, else 0. */
int64_t bk_ramp_left(const struct bk_ramp *r, int64_t now_ns);

#endif
