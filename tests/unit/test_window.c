/* SPDX-License-Identifier: Apache-2.0 */
#include "core/window.h"
#include "policies.h"
#include "unit.h"

static void
expect_totals(const struct bk_window *w, const struct bk_policy *p,
              int64_t now_ns, uint32_t calls, uint32_t failures, uint32_t slow)
{
    struct bk_window_totals t = bk_window_totals(w, p, now_ns);
    assert_int_equal(t.calls, calls);
    assert_int_equal(t.failures, failures);
    assert_int_equal(t.slow, slow);
}

static void
an_empty_window_has_no_calls(void **state)
{
    struct bk_policy p = policy_with("window=1s");
    struct bk_window w;
    (void)state;
    bk_window_clear(&w);
    expect_totals(&w, &p, 0, 0, 0, 0);
    expect_totals(&w, &p, SECONDS(100), 0, 0, 0);
    p = policy_with("window=5calls");
    expect_totals(&w, &p, SECONDS(100), 0, 0, 0);
}

static void
a_time_window_is_ten_slices(void **state)
{
    struct bk_policy p = policy_with("window=1s");
    struct bk_window w;
    (void)state;
    bk_window_clear(&w);
    /* Slice 3 is 300 up to 400 ms. */
    bk_window_add(&w, &p, MS(399), true, false);
    bk_window_add(&w, &p, MS(400), false, true);
    expect_totals(&w, &p, MS(400), 2, 1, 1);
    /* Slice 3 is the ninth before slice 12, and gone with slice 13. */
    expect_totals(&w, &p, MS(1300) - 1, 2, 1, 1);
    expect_totals(&w, &p, MS(1300), 1, 0, 1);
    expect_totals(&w, &p, MS(1400) - 1, 1, 0, 1);
    expect_totals(&w, &p, MS(1400), 0, 0, 0);
}

static void
a_slice_that_comes_round_again_starts_empty(void **state)
{
    struct bk_policy p = policy_with("window=1s");
    struct bk_window w;
    (void)state;
    bk_window_clear(&w);
    for (int i = 0; i < 40; i++)
        bk_window_add(&w, &p, MS(100) * i, i % 2 == 0, i % 4 == 0);
    expect_totals(&w, &p, MS(3900), 10, 5, 2);
    bk_window_add(&w, &p, SECONDS(1000), true, true);
    expect_totals(&w, &p, SECONDS(1000), 1, 1, 1);
}

/* The window's meaning, said with a plain list. */
static void
slices_agree_with_a_list(void **state)
{
    enum { CALLS = 500 };
    struct bk_policy p = policy_with("window=77ms");
    int64_t at[CALLS];
    bool is_bad[CALLS];
    struct bk_window w;
    int64_t now_ns = 0;
    uint32_t draw = 12345;
    (void)state;
    bk_window_clear(&w);
    for (int i = 0; i < CALLS; i++) {
        draw = draw * 1664525 + 1013904223;
        now_ns += draw >> 8;
        at[i] = now_ns;
        is_bad[i] = (draw >> 20 & 1) != 0;
        bk_window_add(&w, &p, now_ns, is_bad[i], false);
        uint32_t calls = 0;
        uint32_t failures = 0;
        for (int k = 0; k <= i; k++) {
            int64_t slice = p.window_ns / 10;
            if (at[k] / slice > now_ns / slice - 10) {
                calls++;
                failures += is_bad[k];
            }
        }
        expect_totals(&w, &p, now_ns, calls, failures, 0);
    }
}

static void
a_count_window_is_the_last_calls(void **state)
{
    static const uint32_t sizes[] = {1, 2, 31, 32, 33, 999, 1000};
    (void)state;
    for (size_t n = 0; n < COUNT_OF(sizes); n++) {
        struct bk_policy p = policy_with("window=1calls");
        struct bk_window w;
        bool bad[3000];
        bool slow[3000];
        uint32_t draw = 99;
        p.window_calls = sizes[n];
        bk_window_clear(&w);
        for (uint32_t i = 0; i < 3000; i++) {
            draw = draw * 1664525 + 1013904223;
            bad[i] = (draw >> 16 & 1) != 0;
            slow[i] = (draw >> 17 & 3) == 0;
            bk_window_add(&w, &p, (int64_t)i, bad[i], slow[i]);
            if (i % 97 != 0 && i > 40)
                continue;
            uint32_t first = i + 1 > sizes[n] ? i + 1 - sizes[n] : 0;
            uint32_t failures = 0;
            uint32_t slows = 0;
            for (uint32_t k = first; k <= i; k++) {
                failures += bad[k];
                slows += slow[k];
            }
            expect_totals(&w, &p, (int64_t)i, i + 1 - first, failures, slows);
        }
        /* It does not age. */
        struct bk_window_totals t = bk_window_totals(&w, &p, BK_NEVER);
        assert_int_equal(t.calls, sizes[n]);
    }
}

static void
a_full_slice_counts_no_further(void **state)
{
    struct bk_policy p = policy_with("window=1s");
    struct bk_window w;
    (void)state;
    bk_window_clear(&w);
    bk_window_add(&w, &p, 0, true, true);
    w.u.slices[0].totals.calls = UINT32_MAX - 1;
    bk_window_add(&w, &p, 0, true, true);
    expect_totals(&w, &p, 0, UINT32_MAX, 2, 2);
    bk_window_add(&w, &p, 0, true, true);
    expect_totals(&w, &p, 0, UINT32_MAX, 2, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_window_has_no_calls),
        cmocka_unit_test(a_time_window_is_ten_slices),
        cmocka_unit_test(a_slice_that_comes_round_again_starts_empty),
        cmocka_unit_test(slices_agree_with_a_list),
        cmocka_unit_test(a_count_window_is_the_last_calls),
        cmocka_unit_test(a_full_slice_counts_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
