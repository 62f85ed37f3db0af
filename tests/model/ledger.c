/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over lists: nothing is kept that can be counted again. */
#include "tests/model/ledger.h"

#include <assert.h>
#include <string.h>

__extension__ typedef __int128 wide;

/* Ten slices, of the clock and not of the first event: the instant at which the
 * oldest of them begins. */
static int64_t
find_start(int64_t now_ns, int64_t length_ns)
{
    int64_t slice_ns = length_ns / 10;
    return (now_ns / slice_ns - 9) * slice_ns;
}

/* Outcomes that can never be counted again: too old, or too many after them. */
static size_t
outdated(const struct model_service *s, int64_t now_ns)
{
    const struct model_window *w = &s->window;
    if (s->policy.window_calls > 0)
        return w->count > s->policy.window_calls
                   ? w->count - s->policy.window_calls
                   : 0;
    int64_t start_ns = find_start(now_ns, s->policy.window_ns);
    size_t old = 0;
    while (old < w->count && w->list[old].at_ns < start_ns)
        old++;
    return old;
}

void
ledger_add_outcome(struct model_service *s, int64_t now_ns, bool is_failure,
                   bool is_slow)
{
    struct model_window *w = &s->window;
    assert(w->count < MODEL_LIST);
    w->list[w->count++] = (struct model_outcome){
        .at_ns = now_ns, .is_failure = is_failure, .is_slow = is_slow};
    size_t old = outdated(s, now_ns);
    if (old == 0)
        return;
    w->count -= old;
    memmove(w->list, w->list + old, w->count * sizeof w->list[0]);
}

struct bk_window_totals
ledger_totals(const struct model_service *s, int64_t now_ns)
{
    struct bk_window_totals totals = {0};
    for (size_t i = outdated(s, now_ns); i < s->window.count; i++) {
        totals.calls++;
        totals.failures += s->window.list[i].is_failure;
        totals.slow += s->window.list[i].is_slow;
    }
    return totals;
}

void
ledger_deposit(struct model_service *s, int64_t now_ns)
{
    struct model_budget *b = &s->budget;
    int64_t start_ns = find_start(now_ns, s->policy.retry_ttl_ns);
    size_t old = 0;
    while (old < b->deposit_count && b->deposits[old].at_ns < start_ns)
        old++;
    b->deposit_count -= old;
    if (old > 0)
        memmove(b->deposits, b->deposits + old,
                b->deposit_count * sizeof b->deposits[0]);
    assert(b->deposit_count < MODEL_LIST);
    b->deposits[b->deposit_count++] = (struct model_deposit){
        .at_ns = now_ns, .ppm = s->policy.retry_ratio_ppm};
}

void
ledger_withdraw(struct model_service *s, int64_t now_ns, uint64_t token)
{
    struct model_budget *b = &s->budget;
    assert(b->withdrawal_count < MODEL_LIST);
    b->withdrawals[b->withdrawal_count++] =
        (struct model_withdrawal){.at_ns = now_ns, .token = token};
}

void
ledger_cancel(struct model_service *s, uint64_t token)
{
    struct model_budget *b = &s->budget;
    for (size_t i = 0; i < b->withdrawal_count; i++) {
        if (b->withdrawals[i].token != token)
            continue;
        b->withdrawal_count--;
        memmove(b->withdrawals + i, b->withdrawals + i + 1,
                (b->withdrawal_count - i) * sizeof b->withdrawals[0]);
        return;
    }
}

int64_t
ledger_balance(const struct model_service *s, int64_t now_ns)
{
    const struct model_budget *b = &s->budget;
    int64_t ttl_ns = s->policy.retry_ttl_ns;
    wide sum = (wide)s->policy.retry_min_per_sec_ppm * ttl_ns / BK_NS_PER_S;
    int64_t start_ns = find_start(now_ns, ttl_ns);
    for (size_t i = 0; i < b->deposit_count; i++)
        if (b->deposits[i].at_ns >= start_ns)
            sum += (wide)b->deposits[i].ppm;
    for (size_t i = 0; i < b->withdrawal_count; i++)
        if (b->withdrawals[i].at_ns >= start_ns)
            sum -= (wide)BK_PPM;
    assert(sum < INT64_MAX && sum > INT64_MIN);
    return (int64_t)sum;
}

static int64_t
grow(int64_t value_ns, uint64_t multiplier_ppm, uint64_t times, int64_t max_ns,
     wide round)
{
    wide value = value_ns;
    if (multiplier_ppm == BK_PPM)
        times = 0;
    for (uint64_t i = 0; i < times && value > 0 && value < max_ns; i++) {
        value = (value * (wide)multiplier_ppm + round) / (wide)BK_PPM;
    }
    return value < max_ns ? (int64_t)value : max_ns;
}

void
ledger_grow(int64_t value_ns, uint64_t multiplier_ppm, uint64_t times,
            int64_t max_ns, int64_t *low_ns, int64_t *high_ns)
{
    *low_ns = grow(value_ns, multiplier_ppm, times, max_ns, 0);
    *high_ns = grow(value_ns, multiplier_ppm, times, max_ns, (wide)BK_PPM - 1);
}
