/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"
#include "policies.h"
#include "unit.h"

static void
random_numbers_repeat_from_a_seed(void **state)
{
    /* The generator's published first outputs for the seed 1234567. */
    static const uint64_t known[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423), UINT64_C(4593380528125082431)};
    uint64_t seed = 1234567;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        assert_true(bk_random(&seed) == known[i]);
}

static void
shares_reach_both_ends(void **state)
{
    uint64_t seed = 1;
    bool seen[4] = {false};
    (void)state;
    assert_true(bk_random_share(&seed, 0) == 0);
    assert_true(bk_random_share(&seed, -5) == 0);
    for (int i = 0; i < 1000; i++) {
        int64_t share = bk_random_share(&seed, 3);
        assert_in_range(share, 0, 3);
        seen[share] = true;
        assert_true(bk_random_share(&seed, BK_NEVER) >= 0);
    }
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        assert_true(seen[i]);
}

static void
scaling_is_exact_and_clamps(void **state)
{
    (void)state;
    assert_true(bk_scale(0, BK_PPM) == 0);
    assert_true(bk_scale(SECONDS(1), 0) == 0);
    assert_true(bk_scale(SECONDS(1), 1500000) == MS(1500));
    assert_true(bk_scale(3, 500000) == 1);
    assert_true(bk_scale(1234567890123, BK_PPM) == 1234567890123);
    assert_true(bk_scale(BK_NEVER, BK_PPM) == BK_NEVER);
    assert_true(bk_scale(BK_NEVER, BK_PPM + 1) == BK_NEVER);
    assert_true(bk_scale(BK_NEVER, 100 * BK_PPM) == BK_NEVER);
    assert_true(bk_scale(1, UINT64_MAX) == INT64_C(18446744073709));
    assert_true(bk_scale(999999, 100 * BK_PPM) == 99999900);
    assert_true(bk_scale(999999, UINT64_MAX) == BK_NEVER);
    assert_true(bk_scale(MS(1000000), UINT64_MAX) == BK_NEVER);
}

static void
growth_stops_at_the_maximum(void **state)
{
    (void)state;
    assert_true(bk_grow(SECONDS(1), 2 * BK_PPM, 0, SECONDS(60)) == SECONDS(1));
    assert_true(bk_grow(SECONDS(1), 2 * BK_PPM, 5, SECONDS(60)) == SECONDS(32));
    assert_true(bk_grow(SECONDS(1), 2 * BK_PPM, 6, SECONDS(60)) == SECONDS(60));
    assert_true(bk_grow(SECONDS(90), 2 * BK_PPM, 0, SECONDS(60)) ==
                SECONDS(60));
    assert_true(bk_grow(SECONDS(1), BK_PPM, UINT32_MAX, SECONDS(60)) ==
                SECONDS(1));
    assert_true(bk_grow(0, 100 * BK_PPM, UINT32_MAX, SECONDS(60)) == 0);
    assert_true(bk_grow(SECONDS(1), 100 * BK_PPM, UINT32_MAX, BK_NEVER) ==
                BK_NEVER);
    assert_true(bk_grow(SECONDS(4), 1500000, 2, SECONDS(60)) == SECONDS(9));
}

static void
the_base_depends_on_the_outcome(void **state)
{
    struct bk_policy p = policy_with("");
    (void)state;
    assert_true(bk_backoff_base(&p, 1, BK_FAILURE) == SECONDS(1));
    assert_true(bk_backoff_base(&p, 0, BK_FAILURE) == SECONDS(1));
    assert_true(bk_backoff_base(&p, 3, BK_TIMEOUT) == SECONDS(4));
    assert_true(bk_backoff_base(&p, UINT32_MAX, BK_FAILURE) == SECONDS(60));
    assert_true(bk_backoff_base(&p, 1, BK_RATE_LIMITED) == SECONDS(10));
    assert_true(bk_backoff_base(&p, 3, BK_RATE_LIMITED) == SECONDS(40));
    assert_true(bk_backoff_base(&p, 9, BK_RATE_LIMITED) == SECONDS(120));
}

/* The least and the greatest of many draws lie near the ends of the range. */
static void
check_jitter(const char *settings, int64_t least_ns, int64_t most_ns)
{
    struct bk_policy p = policy_with(settings);
    uint64_t seed = 7;
    int64_t low_ns = BK_NEVER;
    int64_t high_ns = 0;
    for (int i = 0; i < 2000; i++) {
        int64_t ns = bk_backoff_jitter(&p, SECONDS(10), &seed);
        assert_true(ns >= least_ns && ns <= most_ns);
        low_ns = ns < low_ns ? ns : low_ns;
        high_ns = ns > high_ns ? ns : high_ns;
    }
    assert_true(low_ns <= least_ns + MS(100));
    assert_true(high_ns >= most_ns - MS(100));
}

static void
jitter_comes_after_the_clamp(void **state)
{
    (void)state;
    check_jitter("jitter=full", 0, SECONDS(10));
    check_jitter("jitter=equal", SECONDS(5), SECONDS(10));
    check_jitter("jitter=none", SECONDS(10), SECONDS(10));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_repeat_from_a_seed),
        cmocka_unit_test(shares_reach_both_ends),
        cmocka_unit_test(scaling_is_exact_and_clamps),
        cmocka_unit_test(growth_stops_at_the_maximum),
        cmocka_unit_test(the_base_depends_on_the_outcome),
        cmocka_unit_test(jitter_comes_after_the_clamp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
