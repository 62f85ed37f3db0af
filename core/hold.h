#ifndef BK_HOLD_H
#define BK_HOLD_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The hold: how long an upstream asked everybody to wait. An overlay over the
 * state, never a trip; several fold, the latest end wins. */
#include "core/policy.h"

struct bk_hold {
    int64_t until_ns; /* 0: none */
};

void bk_hold_extend(struct bk_hold *h, const struct bk_policy *p,
                    int64_t now_ns, int64_t retry_after_ns);
void bk_hold_end(struct bk_hold *h);
/* Time left, 0 when not held. */
int64_t bk_hold_left(const struct bk_hold *h, int64_t now_ns);

#endif
