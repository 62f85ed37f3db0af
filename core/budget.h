#ifndef BK_BUDGET_H
#define BK_BUDGET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The retry budget: retries as a share of calls, over a sliding time of ten
 * slices, in fixed point. Shape after Finagle's RetryBudget (deposits that
 * expire, plus a floor), shared by the whole fleet. One number says which ten
 * slices there are: it is kept for every service, and most of it would be indices. */
#include "core/window.h"

/* Slice `index` is floor(now / slice length), and lies at index % BK_SLICES. */
struct bk_budget {
    int64_t
        newest; /* index of the newest slice; the others are the nine before */
    uint64_t deposits_ppm[BK_SLICES];
    uint64_t granted;
    uint64_t denied;
    uint32_t withdrawals[BK_SLICES];
    uint32_t era; /* grows when withdrawals are forgotten: old tokens then
                     have nothing to give back */
    uint32_t reserved;
};

/* Where a withdrawal was made; kept with the token. */
struct bk_withdrawal {
    int64_t index;
    uint32_t era;
};

void bk_budget_deposit(struct bk_budget *b, const struct bk_policy *p,
                       int64_t now_ns);
/* Takes one token when the balance has one. */
bool bk_budget_withdraw(struct bk_budget *b, const struct bk_policy *p,
                        int64_t now_ns, struct bk_withdrawal *made);
/* Undoes a withdrawal whose slice is still in the window. */
void bk_budget_cancel(struct bk_budget *b, const struct bk_policy *p,
                      int64_t now_ns, struct bk_withdrawal made);
/* Millionths of a token, never negative. */
uint64_t bk_budget_balance_ppm(const struct bk_budget *b,
                               const struct bk_policy *p, int64_t now_ns);
/* False for numbers that no run of the budget produces (a damaged record). */
bool bk_budget_is_sound(const struct bk_budget *b);
void bk_budget_forget_withdrawals(struct bk_budget *b);
/* Deposits and withdrawals both (a changed retry_ttl). */
void bk_budget_clear(struct bk_budget *b);

#endif
