#ifndef BK_WINDOW_H
#define BK_WINDOW_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The rolling window of outcomes: ten slices of time, or the last N calls. */
#include "core/policy.h"

#define BK_SLICES 10

struct bk_window_totals {
    uint32_t calls;
    uint32_t failures;
    uint32_t slow;
};

/* One slice of a time window; `index` is floor(now / slice length). */
struct bk_window_slice {
    int64_t index;
    struct bk_window_totals totals;
    uint32_t reserved;
};

/* A count window keeps two bits a call (failed, slow) in a ring. */
struct bk_window {
    union {
        struct bk_window_slice slices[BK_SLICES];
        uint64_t bits[(2 * BK_WINDOW_CALLS_MAX + 63) / 64];
    } u;
    struct bk_window_totals sums; /* of the count window */
    uint32_t head;                /* count window: next place to write */
};

void bk_window_clear(struct bk_window *w);
void bk_window_add(struct bk_window *w, const struct bk_policy *p,
                   int64_t now_ns, bool is_failure, bool is_slow);
struct bk_window_totals bk_window_totals(const struct bk_window *w,
                                         const struct bk_policy *p,
                                         int64_t now_ns);

#endif
