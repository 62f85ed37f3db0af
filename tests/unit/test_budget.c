/* SPDX-License-Identifier: Apache-2.0 */
#include "core/budget.h"
#include "policies.h"
#include "unit.h"

static struct bk_budget budget;
static struct bk_policy p;

static void
begin(const char *settings)
{
    memset(&budget, 0, sizeof(budget));
    p = policy_with(settings);
}

static uint64_t
balance(int64_t now_ns)
{
    return bk_budget_balance_ppm(&budget, &p, now_ns);
}

static bool
withdraw(int64_t now_ns)
{
    struct bk_withdrawal made;
    return bk_budget_withdraw(&budget, &p, now_ns, &made);
}

static void
the_reserve_is_there_from_the_start(void **state)
{
    (void)state;
    begin("");
    assert_int_equal(balance(0), 10 * BK_PPM);
    assert_int_equal(balance(SECONDS(5000)), 10 * BK_PPM);
    begin("retry_min_per_sec=0");
    assert_int_equal(balance(0), 0);
    begin("retry_min_per_sec=0.5 retry_ttl=250ms");
    assert_int_equal(balance(0), 125000);
    begin("retry_min_per_sec=1000000 retry_ttl=720h");
    assert_int_equal(balance(0), UINT64_C(2592000) * 1000000 * BK_PPM);
}

static void
deposits_are_exact(void **state)
{
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=0.75");
    for (int i = 0; i < 4; i++)
        bk_budget_deposit(&budget, &p, 0);
    assert_int_equal(balance(0), 3 * BK_PPM);
    assert_true(withdraw(0));
    assert_true(withdraw(0));
    assert_true(withdraw(0));
    assert_false(withdraw(0));
    assert_int_equal(budget.granted, 3);
    assert_int_equal(budget.denied, 1);
    assert_int_equal(balance(0), 0);
}

static void
a_millionth_short_is_short(void **state)
{
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=0.999999");
    bk_budget_deposit(&budget, &p, 0);
    assert_false(withdraw(0));
    bk_budget_deposit(&budget, &p, 0);
    assert_true(withdraw(0));
    assert_int_equal(balance(0), 999998);
}

static void
slices_leave_after_the_time_to_live(void **state)
{
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=1 retry_ttl=10s");
    bk_budget_deposit(&budget, &p, MS(500));
    bk_budget_deposit(&budget, &p, MS(1500));
    assert_int_equal(balance(SECONDS(9) + MS(999)), 2 * BK_PPM);
    assert_int_equal(balance(SECONDS(10)), BK_PPM);
    assert_true(withdraw(SECONDS(10)));
    /* The deposit leaves first: what is left is a debt, shown as nothing. */
    assert_int_equal(balance(SECONDS(11)), 0);
    bk_budget_deposit(&budget, &p, SECONDS(11));
    assert_int_equal(balance(SECONDS(11)), 0);
    assert_int_equal(balance(SECONDS(20)), BK_PPM);
    assert_int_equal(balance(SECONDS(21)), 0);
}

static void
a_withdrawal_is_undone_where_it_was_made(void **state)
{
    struct bk_withdrawal made;
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=1 retry_ttl=10s");
    bk_budget_deposit(&budget, &p, SECONDS(3));
    assert_true(bk_budget_withdraw(&budget, &p, SECONDS(3), &made));
    assert_int_equal(balance(SECONDS(5)), 0);
    bk_budget_cancel(&budget, &p, SECONDS(5), made);
    assert_int_equal(balance(SECONDS(5)), BK_PPM);
    /* Twice changes nothing. */
    bk_budget_cancel(&budget, &p, SECONDS(5), made);
    assert_int_equal(balance(SECONDS(5)), BK_PPM);
}

static void
a_withdrawal_that_left_is_not_undone(void **state)
{
    struct bk_withdrawal made;
    struct bk_withdrawal other;
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=5 retry_ttl=10s");
    bk_budget_deposit(&budget, &p, SECONDS(3));
    assert_true(bk_budget_withdraw(&budget, &p, SECONDS(3), &made));
    bk_budget_deposit(&budget, &p, SECONDS(12));
    assert_true(bk_budget_withdraw(&budget, &p, SECONDS(12), &other));
    /* Nobody has used its slice since: it left all the same. */
    bk_budget_cancel(&budget, &p, SECONDS(13), made);
    assert_int_equal(balance(SECONDS(13)), 4 * BK_PPM);
    /* Its slice is another second's now. */
    bk_budget_deposit(&budget, &p, SECONDS(13));
    assert_true(bk_budget_withdraw(&budget, &p, SECONDS(13), &other));
    bk_budget_cancel(&budget, &p, SECONDS(13), made);
    assert_int_equal(balance(SECONDS(13)), 8 * BK_PPM);
    made.index = -1;
    bk_budget_cancel(&budget, &p, SECONDS(13), made);
    assert_int_equal(balance(SECONDS(13)), 8 * BK_PPM);
}

static void
forgotten_withdrawals_are_not_undone_again(void **state)
{
    struct bk_withdrawal made;
    struct bk_withdrawal later;
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=1");
    bk_budget_deposit(&budget, &p, 0);
    bk_budget_deposit(&budget, &p, 0);
    assert_true(bk_budget_withdraw(&budget, &p, 0, &made));
    bk_budget_forget_withdrawals(&budget);
    assert_int_equal(balance(0), 2 * BK_PPM);
    assert_true(bk_budget_withdraw(&budget, &p, 0, &later));
    bk_budget_cancel(&budget, &p, 0, made);
    assert_int_equal(balance(0), BK_PPM);
    bk_budget_cancel(&budget, &p, 0, later);
    assert_int_equal(balance(0), 2 * BK_PPM);
    bk_budget_clear(&budget);
    assert_int_equal(balance(0), 0);
    assert_int_equal(budget.granted, 2);
}

static void
a_deposit_keeps_its_ratio(void **state)
{
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=0.25");
    bk_budget_deposit(&budget, &p, 0);
    p = policy_with("retry_min_per_sec=0 retry_ratio=0.5");
    bk_budget_deposit(&budget, &p, 0);
    assert_int_equal(balance(0), 750000);
}

static void
a_slice_holds_no_more_than_its_share(void **state)
{
    (void)state;
    begin("retry_min_per_sec=1000000 retry_ttl=720h retry_ratio=100");
    for (int i = 0; i < BK_SLICES; i++) {
        int64_t now_ns = p.retry_ttl_ns / BK_SLICES * i;
        bk_budget_deposit(&budget, &p, now_ns);
        budget.deposits_ppm[i] = (UINT64_C(1) << 59) - 1;
        assert_true(bk_budget_is_sound(&budget));
        bk_budget_deposit(&budget, &p, now_ns);
        bk_budget_deposit(&budget, &p, now_ns);
        assert_true(budget.deposits_ppm[i] == UINT64_C(1) << 59);
        assert_true(bk_budget_is_sound(&budget));
        assert_true(balance(now_ns) > UINT64_C(1) << 59);
    }
    budget.deposits_ppm[3]++;
    assert_false(bk_budget_is_sound(&budget));
}

/* As many as can be counted, however much is left. */
static void
a_slice_counts_its_withdrawals(void **state)
{
    struct bk_withdrawal made;
    (void)state;
    begin("retry_min_per_sec=1000000 retry_ttl=720h");
    assert_true(bk_budget_withdraw(&budget, &p, 0, &made));
    budget.withdrawals[0] = UINT32_MAX - 1;
    assert_true(bk_budget_withdraw(&budget, &p, 0, &made));
    assert_true(balance(0) > BK_PPM);
    assert_false(bk_budget_withdraw(&budget, &p, 0, &made));
    assert_int_equal(budget.denied, 1);
    bk_budget_cancel(&budget, &p, 0, made);
    assert_true(bk_budget_withdraw(&budget, &p, 0, &made));
    assert_true(
        bk_budget_withdraw(&budget, &p, p.retry_ttl_ns / BK_SLICES, &made));
}

/* A worker reads a coarser clock than the daemon whose budget it goes on with. */
static void
a_clock_a_little_behind_finds_its_slice(void **state)
{
    int64_t slice_ns;
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=1");
    slice_ns = p.retry_ttl_ns / BK_SLICES;
    bk_budget_deposit(&budget, &p, 30 * slice_ns);
    bk_budget_deposit(&budget, &p, 29 * slice_ns);
    assert_int_equal(balance(29 * slice_ns), BK_PPM);
    assert_int_equal(balance(30 * slice_ns), 2 * BK_PPM);
    assert_int_equal(balance(39 * slice_ns), BK_PPM);
    /* Further back than all slices: what lies ahead of it is none of its own. */
    bk_budget_deposit(&budget, &p, 20 * slice_ns);
    assert_int_equal(balance(20 * slice_ns), BK_PPM);
    assert_int_equal(balance(29 * slice_ns), BK_PPM);
    assert_int_equal(balance(30 * slice_ns), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reserve_is_there_from_the_start),
        cmocka_unit_test(deposits_are_exact),
        cmocka_unit_test(a_millionth_short_is_short),
        cmocka_unit_test(a_slice_counts_its_withdrawals),
        cmocka_unit_test(a_clock_a_little_behind_finds_its_slice),
        cmocka_unit_test(slices_leave_after_the_time_to_live),
        cmocka_unit_test(a_withdrawal_is_undone_where_it_was_made),
        cmocka_unit_test(a_withdrawal_that_left_is_not_undone),
        cmocka_unit_test(forgotten_withdrawals_are_not_undone_again),
        cmocka_unit_test(a_deposit_keeps_its_ratio),
        cmocka_unit_test(a_slice_holds_no_more_than_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
