/* SPDX-License-Identifier: Apache-2.0 */
#include "core/window.h"
#include "core/bug.h"
#include <string.h>

void
bk_window_clear(struct bk_window *w)
{
    memset(w, 0, sizeof(*w));
}

static int64_t
slice_index(const struct bk_policy *p, int64_t now_ns)
{
    int64_t length = p->window_ns / BK_SLICES;
    return now_ns / (length > 0 ? length : 1);
}

static void
count(struct bk_window_totals *t, bool is_failure, bool is_slow)
{
    if (t->calls == UINT32_MAX) {
        return; /* full: the rate stays what it is */
    }
    t->calls++;
    t->failures += is_failure;
    t->slow += is_slow;
}

/* Puts two bits at the ring's head and takes what was there out of the sums. */
static void
add_call(struct bk_window *w, uint32_t size, bool is_failure, bool is_slow)
{
    BK_ASSERT(size <= BK_WINDOW_CALLS_MAX && w->head < size);
    uint64_t *word = &w->u.bits[w->head / 32];
    unsigned shift = 2 * (w->head % 32);

    if (w->sums.calls == size) {
        w->sums.calls--;
        w->sums.failures -= (uint32_t)((*word >> shift) & 1);
        w->sums.slow -= (uint32_t)((*word >> shift >> 1) & 1);
    }
    *word &= ~(UINT64_C(3) << shift);
    *word |= ((uint64_t)is_failure | (uint64_t)is_slow << 1) << shift;
    count(&w->sums, is_failure, is_slow);
    w->head = (w->head + 1) % size;
}

void
bk_window_add(struct bk_window *w, const struct bk_policy *p, int64_t now_ns,
              bool is_failure, bool is_slow)
{
    if (p->window_ns == 0) {
        add_call(w, p->window_calls, is_failure, is_slow);
        return;
    }
    int64_t index = slice_index(p, now_ns);
    struct bk_window_slice *slice = &w->u.slices[index % BK_SLICES];
    if (slice->index != index) {
        memset(slice, 0, sizeof(*slice));
        slice->index = index;
    }
    count(&slice->totals, is_failure, is_slow);
}

struct bk_window_totals
bk_window_totals(const struct bk_window *w, const struct bk_policy *p,
                 int64_t now_ns)
{
    if (p->window_ns == 0) {
        return w->sums;
    }
    struct bk_window_totals sum = {0};
    int64_t index = slice_index(p, now_ns);
    for (int i = 0; i < BK_SLICES; i++) {
        const struct bk_window_slice *slice = &w->u.slices[i];
        if (slice->index > index - BK_SLICES && slice->index <= index) {
            sum.calls += slice->totals.calls;
            sum.failures += slice->totals.failures;
            sum.slow += slice->totals.slow;
        }
    }
    return sum;
}
