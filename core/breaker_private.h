#ifndef BK_BREAKER_PRIVATE_H
#define BK_BREAKER_PRIVATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the state machine, shared by breaker.c (states, modes, calls),
 * breaker_judge.c (outcomes), breaker_health.c (health probes) and nobody else. */
#include "core/breaker.h"

/* The step's inputs and output, together. */
struct bk_step {
    struct bk_breaker *b;
    const struct bk_policy *p;
    const struct bk_event *ev;
    struct bk_effects *fx;
};

/* The one place where state and mode change: the generation grows, permits that
 * are out are void from here on. */
void bk_breaker_enter(struct bk_step *s, enum bk_state to, enum bk_mode mode,
                      enum bk_cause cause);
/* What closing, reset and bypass leave behind them. */
void bk_breaker_empty(struct bk_breaker *b);
void bk_breaker_open(struct bk_step *s, enum bk_cause cause);
void bk_breaker_close(struct bk_step *s);

void bk_breaker_report(struct bk_step *s);
void bk_breaker_reclaim(struct bk_step *s);
void bk_breaker_health(struct bk_step *s);

#endif
