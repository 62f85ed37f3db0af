/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ramp.h"

static void
begin_step(struct bk_ramp *r, const struct bk_policy *p, int64_t now_ns,
           uint32_t step)
{
    r->step = step;
    r->step_since_ns = now_ns;
    r->step_length_ns = p->ramp_ns / BK_RAMP_STEPS;
    r->arrivals = 0;
    r->admitted = 0;
    r->has_success = 0;
    r->serial++;
    if (r->serial == 0) {
        r->serial = 1; /* 0 means: no lease */
    }
}

void
bk_ramp_start(struct bk_ramp *r, const struct bk_policy *p, int64_t now_ns)
{
    if (p->ramp_ns > 0) {
        begin_step(r, p, now_ns, 1);
    } else {
        bk_ramp_end(r);
    }
}

void
bk_ramp_end(struct bk_ramp *r)
{
    r->step = 0;
    r->step_since_ns = 0;
    r->step_length_ns = 0;
    r->arrivals = 0;
    r->admitted = 0;
    r->has_success = 0;
}

void
bk_ramp_pass(struct bk_ramp *r)
{
    if (r->step > 0 && r->arrivals < UINT32_MAX) {
        r->arrivals++;
    }
}

bool
bk_ramp_admit(struct bk_ramp *r)
{
    if (r->step == 0) {
        return true;
    }
    bk_ramp_pass(r);
    bool fits = ((uint64_t)r->admitted + 1) * BK_RAMP_STEPS <=
                (uint64_t)r->step * r->arrivals;
    if (r->admitted > 0 && !fits) {
        return false;
    }
    r->admitted++;
    return true;
}

int64_t
bk_ramp_deadline(const struct bk_ramp *r)
{
    if (r->step == 0 || !r->has_success) {
        return BK_NEVER;
    }
    return bk_after(r->step_since_ns, r->step_length_ns);
}

void
bk_ramp_advance(struct bk_ramp *r, const struct bk_policy *p, int64_t now_ns)
{
    if (bk_ramp_deadline(r) > now_ns) {
        return;
    }
    if (r->step == BK_RAMP_STEPS) {
        bk_ramp_end(r);
    } else {
        begin_step(r, p, now_ns, r->step + 1);
    }
}

void
bk_ramp_success(struct bk_ramp *r, const struct bk_policy *p, int64_t now_ns,
                uint32_t serial)
{
    bool is_of_step = serial == 0 ? r->admitted > 0 : serial == r->serial;
    if (r->step == 0 || !is_of_step) {
        return;
    }
    r->has_success = 1;
    bk_ramp_advance(r, p, now_ns);
}

void
bk_ramp_failure(struct bk_ramp *r, const struct bk_policy *p, int64_t now_ns)
{
    if (r->step > 0) {
        begin_step(r, p, now_ns, r->step);
    }
}

int64_t
bk_ramp_left(const struct bk_ramp *r, int64_t now_ns)
{
    if (r->step == 0) {
        return 0;
    }
    int64_t end_ns = bk_after(r->step_since_ns, r->step_length_ns);
    return end_ns > now_ns ? end_ns - now_ns : 0;
}
