/* SPDX-License-Identifier: Apache-2.0 */
#include "core/verdict.h"
#include "unit.h"

static void
check_round_trip(struct bk_verdict v)
{
    struct bk_verdict back = bk_verdict_unpack(bk_verdict_pack(&v));
    assert_int_equal(back.kind, v.kind);
    assert_int_equal(back.reason, v.reason);
    assert_int_equal(back.incarnation, v.incarnation);
    assert_int_equal(back.generation, v.generation);
    assert_int_equal(back.until_ms, v.until_ms);
}

static void
a_verdict_reads_back(void **state)
{
    (void)state;
    check_round_trip((struct bk_verdict){.kind = BK_ASK});
    check_round_trip((struct bk_verdict){
        .kind = BK_GO, .incarnation = 255, .generation = 4095});
    for (int reason = 1; reason < BK_DENY_COUNT; reason++)
        check_round_trip((struct bk_verdict){.kind = BK_NO,
                                             .reason = (enum bk_deny)reason,
                                             .incarnation = 1,
                                             .generation = 2,
                                             .until_ms = 3});
    check_round_trip((struct bk_verdict){.kind = BK_NO,
                                         .reason = BK_DENY_OFF,
                                         .incarnation = 255,
                                         .generation = 4095,
                                         .until_ms = BK_VERDICT_FOREVER});
}

static void
fields_lie_where_the_drawing_says(void **state)
{
    struct bk_verdict v = {.kind = BK_NO,
                           .reason = BK_DENY_OPEN,
                           .incarnation = 0xab,
                           .generation = 0xcde,
                           .until_ms = 0x123456789};
    (void)state;
    assert_true(bk_verdict_pack(&v) ==
                (UINT64_C(2) << 62 | UINT64_C(1) << 58 | UINT64_C(0xab) << 50 |
                 UINT64_C(0xcde) << 38 | UINT64_C(0x123456789)));
    v = (struct bk_verdict){.kind = BK_ASK};
    assert_true(bk_verdict_pack(&v) == 0);
}

static void
fields_do_not_spill_over(void **state)
{
    struct bk_verdict v = {
        .kind = BK_GO, .generation = 0xffff, .until_ms = UINT64_MAX};
    (void)state;
    struct bk_verdict back = bk_verdict_unpack(bk_verdict_pack(&v));
    assert_int_equal(back.kind, BK_GO);
    assert_int_equal(back.generation, 0xfff);
    assert_int_equal(back.incarnation, 0);
    assert_int_equal(back.until_ms, BK_VERDICT_FOREVER);
}

static void
words_nobody_writes_mean_ask(void **state)
{
    (void)state;
    assert_int_equal(bk_verdict_unpack(0).kind, BK_ASK);
    assert_int_equal(bk_verdict_unpack(UINT64_MAX).kind, BK_ASK);
    assert_int_equal(bk_verdict_unpack(UINT64_C(3) << 62).kind, BK_ASK);
    /* A denial without a reason, and with reasons that do not exist. */
    assert_int_equal(bk_verdict_unpack(UINT64_C(2) << 62).kind, BK_ASK);
    for (uint64_t reason = BK_DENY_COUNT; reason < 16; reason++) {
        struct bk_verdict v =
            bk_verdict_unpack(UINT64_C(2) << 62 | reason << 58);
        assert_int_equal(v.kind, BK_ASK);
        assert_int_equal(v.reason, BK_DENY_NONE);
    }
}

static void
ends_are_milliseconds_rounded_down(void **state)
{
    (void)state;
    assert_int_equal(bk_verdict_until(-1), 0);
    assert_int_equal(bk_verdict_until(0), 0);
    assert_int_equal(bk_verdict_until(999999), 0);
    assert_int_equal(bk_verdict_until(1000000), 1);
    assert_int_equal(bk_verdict_until(1999999), 1);
    assert_int_equal(bk_verdict_until(BK_NEVER), BK_VERDICT_FOREVER);
    assert_int_equal(bk_verdict_until(BK_NEVER - 1), BK_VERDICT_FOREVER);
    int64_t last_ns = (int64_t)(BK_VERDICT_FOREVER - 1) * BK_NS_PER_MS;
    assert_int_equal(bk_verdict_until(last_ns), BK_VERDICT_FOREVER - 1);
    assert_int_equal(bk_verdict_until(last_ns + BK_NS_PER_MS),
                     BK_VERDICT_FOREVER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verdict_reads_back),
        cmocka_unit_test(fields_lie_where_the_drawing_says),
        cmocka_unit_test(fields_do_not_spill_over),
        cmocka_unit_test(words_nobody_writes_mean_ask),
        cmocka_unit_test(ends_are_milliseconds_rounded_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
