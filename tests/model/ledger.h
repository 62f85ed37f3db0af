#ifndef LEDGER_H
#define LEDGER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over the lists of the model: the window's outcomes, the budget's deposits
 * and withdrawals, and powers of a multiplier. */
#include "tests/model/model.h"

void ledger_add_outcome(struct model_service *s, int64_t now_ns,
                        bool is_failure, bool is_slow);
struct bk_window_totals ledger_totals(const struct model_service *s,
                                      int64_t now_ns);

void ledger_deposit(struct model_service *s, int64_t now_ns);
void ledger_withdraw(struct model_service *s, int64_t now_ns, uint64_t token);
/* The token was not used: its withdrawal never happened. */
void ledger_cancel(struct model_service *s, uint64_t token);
/* Millionths of a token; may be below 0. */
int64_t ledger_balance(const struct model_service *s, int64_t now_ns);

/* value x multiplier^times, at most `max_ns`. A multiplier with a fraction
 * leaves the last nanoseconds to taste: `*low_ns` rounds down at every step,
 * `*high_ns` up. */
void ledger_grow(int64_t value_ns, uint64_t multiplier_ppm, uint64_t times,
                 int64_t max_ns, int64_t *low_ns, int64_t *high_ns);

#endif
