/* SPDX-License-Identifier: Apache-2.0 */
#include "core/budget.h"
#include <string.h>

/* More than this in one slice counts as this, so that ten slices and the reserve
 * stay within 64 bits. */
#define SLICE_MAX_PPM (UINT64_C(1) << 59)

static int64_t
slice_index(const struct bk_policy *p, int64_t now_ns)
{
    int64_t length = p->retry_ttl_ns / BK_SLICES;
    return now_ns / (length > 0 ? length : 1);
}

static struct bk_budget_slice *
current(struct bk_budget *b, int64_t index)
{
    struct bk_budget_slice *slice = &b->slices[index % BK_SLICES];
    if (slice->index != index) {
        memset(slice, 0, sizeof(*slice));
        slice->index = index;
    }
    return slice;
}

void
bk_budget_deposit(struct bk_budget *b, const struct bk_policy *p,
                  int64_t now_ns)
{
    struct bk_budget_slice *slice = current(b, slice_index(p, now_ns));
    slice->deposits_ppm += p->retry_ratio_ppm;
    if (slice->deposits_ppm > SLICE_MAX_PPM) {
        slice->deposits_ppm = SLICE_MAX_PPM;
    }
}

/* retry_min_per_sec x retry_ttl. Whole seconds and the rest apart, so that the
 * product stays within 64 bits for every value within the key's bounds. */
static int64_t
reserve_ppm(const struct bk_policy *p)
{
    uint64_t seconds = (uint64_t)(p->retry_ttl_ns / BK_NS_PER_S);
    uint64_t rest_us = (uint64_t)(p->retry_ttl_ns % BK_NS_PER_S / BK_NS_PER_US);
    return (int64_t)(p->retry_min_per_sec_ppm * seconds +
                     p->retry_min_per_sec_ppm * rest_us / BK_PPM);
}

uint64_t
bk_budget_balance_ppm(const struct bk_budget *b, const struct bk_policy *p,
                      int64_t now_ns)
{
    int64_t index = slice_index(p, now_ns);
    int64_t balance = reserve_ppm(p);
    for (int i = 0; i < BK_SLICES; i++) {
        const struct bk_budget_slice *slice = &b->slices[i];
        if (slice->index > index - BK_SLICES && slice->index <= index) {
            balance += (int64_t)slice->deposits_ppm;
            balance -= (int64_t)(slice->withdrawals * BK_PPM);
        }
    }
    return balance > 0 ? (uint64_t)balance : 0;
}

bool
bk_budget_withdraw(struct bk_budget *b, const struct bk_policy *p,
                   int64_t now_ns, struct bk_withdrawal *made)
{
    if (bk_budget_balance_ppm(b, p, now_ns) < BK_PPM) {
        b->denied++;
        return false;
    }
    int64_t index = slice_index(p, now_ns);
    current(b, index)->withdrawals++;
    b->granted++;
    made->index = index;
    made->era = b->era;
    return true;
}

void
bk_budget_cancel(struct bk_budget *b, const struct bk_policy *p, int64_t now_ns,
                 struct bk_withdrawal made)
{
    int64_t index = slice_index(p, now_ns);
    if (made.index < 0) {
        return;
    }
    struct bk_budget_slice *slice = &b->slices[made.index % BK_SLICES];
    if (made.era == b->era && slice->index == made.index &&
        made.index > index - BK_SLICES && slice->withdrawals > 0) {
        slice->withdrawals--;
    }
}

bool
bk_budget_is_sound(const struct bk_budget *b)
{
    for (int i = 0; i < BK_SLICES; i++) {
        if (b->slices[i].deposits_ppm > SLICE_MAX_PPM ||
            b->slices[i].withdrawals > SLICE_MAX_PPM / BK_PPM) {
            return false;
        }
    }
    return true;
}

void
bk_budget_forget_withdrawals(struct bk_budget *b)
{
    for (int i = 0; i < BK_SLICES; i++) {
        b->slices[i].withdrawals = 0;
    }
    b->era++;
}

void
bk_budget_clear(struct bk_budget *b)
{
    memset(b->slices, 0, sizeof(b->slices));
    b->era++;
}
