/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ramp.h"
#include "policies.h"
#include "unit.h"

static struct bk_policy p;
static struct bk_ramp ramp;

static void
begin(const char *settings, int64_t now_ns)
{
    p = policy_with(settings);
    memset(&ramp, 0, sizeof(ramp));
    bk_ramp_start(&ramp, &p, now_ns);
}

static void
without_a_ramp_all_are_admitted(void **state)
{
    (void)state;
    begin("ramp=0", 0);
    assert_int_equal(ramp.step, 0);
    for (int i = 0; i < 100; i++)
        assert_true(bk_ramp_admit(&ramp));
    bk_ramp_pass(&ramp);
    bk_ramp_success(&ramp, &p, 0, 0);
    bk_ramp_failure(&ramp, &p, 0);
    bk_ramp_advance(&ramp, &p, SECONDS(5));
    assert_int_equal(ramp.step, 0);
    assert_true(bk_ramp_deadline(&ramp) == BK_NEVER);
    assert_true(bk_ramp_left(&ramp, 0) == 0);
}

/* The share of each step, over a hundred arrivals, first one first. */
static void
step_k_admits_k_tenths(void **state)
{
    (void)state;
    begin("ramp=10s", 0);
    for (uint32_t step = 1; step <= BK_RAMP_STEPS; step++) {
        assert_int_equal(ramp.step, step);
        int admitted = 0;
        for (int i = 1; i <= 100; i++) {
            /* By the rule itself: the first, or (admitted+1)*10 <= k*i. */
            bool want = admitted == 0 || (admitted + 1) * 10 <= (int)step * i;
            assert_int_equal(bk_ramp_admit(&ramp), want);
            admitted += want;
        }
        assert_int_equal(admitted, step * 10);
        bk_ramp_success(&ramp, &p, SECONDS(step), 0);
    }
    assert_int_equal(ramp.step, 0);
}

static void
a_step_needs_its_time_and_a_success(void **state)
{
    (void)state;
    begin("ramp=10s", SECONDS(5));
    assert_true(bk_ramp_deadline(&ramp) == BK_NEVER);
    bk_ramp_advance(&ramp, &p, SECONDS(60));
    assert_int_equal(ramp.step, 1);
    /* A success of a call that no step admitted is none of this step's. */
    bk_ramp_success(&ramp, &p, SECONDS(60), 0);
    assert_int_equal(ramp.step, 1);
    assert_true(bk_ramp_admit(&ramp));
    bk_ramp_success(&ramp, &p, SECONDS(60), 0);
    assert_int_equal(ramp.step, 2);
    assert_true(ramp.step_since_ns == SECONDS(60));

    assert_true(bk_ramp_admit(&ramp));
    assert_true(bk_ramp_left(&ramp, SECONDS(60)) == SECONDS(1));
    bk_ramp_success(&ramp, &p, SECONDS(60), 0);
    assert_int_equal(ramp.step, 2);
    assert_true(bk_ramp_deadline(&ramp) == SECONDS(61));
    bk_ramp_advance(&ramp, &p, SECONDS(61) - 1);
    assert_int_equal(ramp.step, 2);
    assert_true(bk_ramp_left(&ramp, SECONDS(61) - 1) == 1);
    assert_true(bk_ramp_left(&ramp, SECONDS(61)) == 0);
    bk_ramp_advance(&ramp, &p, SECONDS(61));
    assert_int_equal(ramp.step, 3);
}

static void
a_failure_starts_the_step_anew(void **state)
{
    (void)state;
    begin("ramp=10s", 0);
    assert_true(bk_ramp_admit(&ramp));
    assert_false(bk_ramp_admit(&ramp));
    bk_ramp_success(&ramp, &p, MS(500), 0);
    bk_ramp_failure(&ramp, &p, MS(900));
    assert_int_equal(ramp.step, 1);
    assert_int_equal(ramp.arrivals, 0);
    assert_true(ramp.step_since_ns == MS(900));
    assert_true(bk_ramp_deadline(&ramp) == BK_NEVER);
    assert_true(bk_ramp_admit(&ramp));
}

static void
a_leased_call_counts_for_the_run_that_admitted_it(void **state)
{
    (void)state;
    begin("ramp=10s", 0);
    uint32_t first = ramp.serial;
    assert_true(first != 0);
    assert_true(bk_ramp_admit(&ramp));
    bk_ramp_failure(&ramp, &p, 0);
    assert_true(bk_ramp_admit(&ramp));
    bk_ramp_success(&ramp, &p, SECONDS(1), first);
    assert_int_equal(ramp.step, 1);
    bk_ramp_success(&ramp, &p, SECONDS(1), ramp.serial);
    assert_int_equal(ramp.step, 2);
    /* 0 stands for "no lease", so no run has that number. */
    ramp.serial = UINT32_MAX;
    bk_ramp_failure(&ramp, &p, SECONDS(2));
    assert_int_equal(ramp.serial, 1);
}

static void
calls_that_are_only_let_through_arrive(void **state)
{
    (void)state;
    begin("ramp=10s", 0);
    assert_true(bk_ramp_admit(&ramp));
    for (int i = 0; i < 18; i++)
        bk_ramp_pass(&ramp);
    assert_true(bk_ramp_admit(&ramp));
    assert_int_equal(ramp.arrivals, 20);
    assert_int_equal(ramp.admitted, 2);
    ramp.arrivals = UINT32_MAX;
    bk_ramp_pass(&ramp);
    assert_int_equal(ramp.arrivals, UINT32_MAX);
}

static void
a_running_step_keeps_its_length(void **state)
{
    (void)state;
    begin("ramp=10s", 0);
    p = policy_with("ramp=100s");
    assert_true(bk_ramp_admit(&ramp));
    bk_ramp_success(&ramp, &p, SECONDS(1), 0);
    assert_int_equal(ramp.step, 2);
    assert_true(bk_ramp_left(&ramp, SECONDS(1)) == SECONDS(10));
    bk_ramp_end(&ramp);
    assert_int_equal(ramp.step, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_ramp_all_are_admitted),
        cmocka_unit_test(step_k_admits_k_tenths),
        cmocka_unit_test(a_step_needs_its_time_and_a_success),
        cmocka_unit_test(a_failure_starts_the_step_anew),
        cmocka_unit_test(a_leased_call_counts_for_the_run_that_admitted_it),
        cmocka_unit_test(calls_that_are_only_let_through_arrive),
        cmocka_unit_test(a_running_step_keeps_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
