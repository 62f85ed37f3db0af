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

/* The place of a slice, which is one of the ten from here on. Those between the
 * newest and it are empty. Clocks read by several processes may differ by less than
 * ten slices; one further back is of a damaged record. */
static size_t
current(struct bk_budget *b, int64_t index)
{
    if (index > b->newest || index <= b->newest - BK_SLICES) {
        int64_t gap = index > b->newest ? index - b->newest : BK_SLICES;
        for (int64_t i = 0; i < gap && i < BK_SLICES; i++) {
            size_t at = (size_t)((index - i + BK_SLICES) % BK_SLICES);
            b->deposits_ppm[at] = 0;
            b->withdrawals[at] = 0;
        }
        b->newest = index;
    }
    return (size_t)(index % BK_SLICES);
}

void
bk_budget_deposit(struct bk_budget *b, const struct bk_policy *p,
                  int64_t now_ns)
{
    uint64_t *deposits_ppm =
        &b->deposits_ppm[current(b, slice_index(p, now_ns))];
    *deposits_ppm += p->retry_ratio_ppm;
    if (*deposits_ppm > SLICE_MAX_PPM) {
        *deposits_ppm = SLICE_MAX_PPM;
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
    for (int64_t i = b->newest; i > b->newest - BK_SLICES && i >= 0; i--) {
        if (i > index - BK_SLICES && i <= index) {
            balance += (int64_t)b->deposits_ppm[i % BK_SLICES];
            balance -= (int64_t)(b->withdrawals[i % BK_SLICES] * BK_PPM);
        }
    }
    return balance > 0 ? (uint64_t)balance : 0;
}

bool
bk_budget_withdraw(struct bk_budget *b, const struct bk_policy *p,
                   int64_t now_ns, struct bk_withdrawal *made)
{
    int64_t index = slice_index(p, now_ns);
    uint32_t *withdrawals = &b->withdrawals[current(b, index)];
    if (bk_budget_balance_ppm(b, p, now_ns) < BK_PPM ||
        *withdrawals == UINT32_MAX) { /* as many as can be counted */
        b->denied++;
        return false;
    }
    ++*withdrawals;
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
    uint32_t *withdrawals = &b->withdrawals[made.index % BK_SLICES];
    if (made.era == b->era && made.index <= b->newest &&
        made.index > b->newest - BK_SLICES && made.index > index - BK_SLICES &&
        *withdrawals > 0) {
        --*withdrawals;
    }
}

bool
bk_budget_is_sound(const struct bk_budget *b)
{
    for (int i = 0; i < BK_SLICES; i++) {
        if (b->deposits_ppm[i] > SLICE_MAX_PPM) {
            return false;
        }
    }
    return b->newest >= 0;
}

void
bk_budget_forget_withdrawals(struct bk_budget *b)
{
    memset(b->withdrawals, 0, sizeof(b->withdrawals));
    b->era++;
}

void
bk_budget_clear(struct bk_budget *b)
{
    b->newest = 0;
    memset(b->deposits_ppm, 0, sizeof(b->deposits_ppm));
    memset(b->withdrawals, 0, sizeof(b->withdrawals));
    b->era++;
}
