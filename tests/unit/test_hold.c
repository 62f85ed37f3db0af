/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hold.h"
#include "policies.h"
#include "unit.h"

static void
a_hold_lasts_as_long_as_asked(void **state)
{
    struct bk_policy p = policy_with("max_hold=10m");
    struct bk_hold h = {0};
    (void)state;
    assert_int_equal(bk_hold_left(&h, 0), 0);
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(5));
    assert_true(bk_hold_left(&h, SECONDS(1)) == SECONDS(5));
    assert_true(bk_hold_left(&h, SECONDS(6) - 1) == 1);
    assert_true(bk_hold_left(&h, SECONDS(6)) == 0);
    assert_true(bk_hold_left(&h, BK_NEVER) == 0);
    bk_hold_end(&h);
    assert_true(bk_hold_left(&h, 0) == 0);
}

static void
the_latest_end_wins(void **state)
{
    struct bk_policy p = policy_with("");
    struct bk_hold h = {0};
    (void)state;
    bk_hold_extend(&h, &p, 0, SECONDS(5));
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(2));
    assert_true(h.until_ns == SECONDS(5));
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(4));
    assert_true(h.until_ns == SECONDS(5));
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(4) + 1);
    assert_true(h.until_ns == SECONDS(5) + 1);
}

static void
a_hold_is_cut_to_the_maximum(void **state)
{
    struct bk_policy p = policy_with("max_hold=2s");
    struct bk_hold h = {0};
    (void)state;
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(2) - 1);
    assert_true(h.until_ns == SECONDS(3) - 1);
    bk_hold_extend(&h, &p, SECONDS(1), BK_NEVER);
    assert_true(h.until_ns == SECONDS(3));
    p = policy_with("max_hold=0");
    bk_hold_end(&h);
    bk_hold_extend(&h, &p, SECONDS(1), SECONDS(5));
    assert_true(bk_hold_left(&h, SECONDS(1)) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_lasts_as_long_as_asked),
        cmocka_unit_test(the_latest_end_wins),
        cmocka_unit_test(a_hold_is_cut_to_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
