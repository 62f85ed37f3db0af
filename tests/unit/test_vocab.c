/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vocab.h"
#include "unit.h"

/* Every value has a word of its own that reads back as the value. */
static void
check_words(const char *(*name)(int), int (*parse)(const char *, size_t),
            int count)
{
    for (int i = 0; i < count; i++) {
        const char *word = name(i);
        assert_true(strlen(word) > 0);
        assert_int_equal(parse(word, strlen(word)), i);
        /* Not a part of it, nor more than it. */
        assert_int_equal(parse(word, strlen(word) - 1), -1);
        char longer[64] = {0};
        for (size_t k = 0; word[k] != '\0'; k++)
            longer[k] = word[k];
        assert_int_equal(parse(longer, strlen(word) + 1), -1);
    }
    assert_int_equal(parse("", 0), -1);
    assert_int_equal(parse("nonsense", 8), -1);
    assert_int_equal(parse("CLOSED", 6), -1);
}

#define NAMER(what)                                     \
    static const char *what##_name(int value)           \
    {                                                   \
        return bk_##what##_name((enum bk_##what)value); \
    }
NAMER(state)
NAMER(mode)
NAMER(outcome)
NAMER(deny)
NAMER(cause)
NAMER(error)

static void
words_read_back(void **state)
{
    (void)state;
    check_words(state_name, bk_state_parse, BK_STATE_COUNT);
    check_words(mode_name, bk_mode_parse, BK_MODE_COUNT);
    check_words(outcome_name, bk_outcome_parse, BK_OUTCOME_COUNT);
    check_words(deny_name, bk_deny_parse, BK_DENY_COUNT);
    check_words(cause_name, bk_cause_parse, BK_CAUSE_COUNT);
    check_words(error_name, bk_error_parse, BK_ERROR_COUNT);
}

static void
words_are_the_protocol(void **state)
{
    (void)state;
    assert_string_equal(bk_state_name(BK_HALF_OPEN), "half_open");
    assert_string_equal(bk_mode_name(BK_FORCED_OPEN), "forced_open");
    assert_string_equal(bk_outcome_name(BK_RATE_LIMITED), "rate_limited");
    assert_string_equal(bk_deny_name(BK_DENY_NOT_RETRYABLE), "not_retryable");
    assert_string_equal(bk_cause_name(BK_CAUSE_PROBE_SUCCEEDED),
                        "probe_succeeded");
    assert_string_equal(bk_error_name(BK_ERR_TABLE_FULL), "table_full");
    assert_string_equal(bk_applied_name(BK_APPLIED), "applied");
    assert_string_equal(bk_applied_name(BK_STALE), "stale");
    assert_string_equal(bk_applied_name(BK_UNKNOWN), "unknown");
}

/* The same set, spelt out. */
static bool
may_be_in_name(int octet)
{
    return octet != 0 &&
           strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                  "0123456789._:/@-",
                  octet) != NULL;
}

static void
names_take_their_octets_and_no_others(void **state)
{
    (void)state;
    for (int octet = 0; octet < 256; octet++) {
        char name[3] = {'a', (char)octet, 'b'};
        assert_int_equal(bk_name_is_valid(name, 3), may_be_in_name(octet));
        bool alone = may_be_in_name(octet) && octet != '-';
        assert_int_equal(bk_name_is_valid(name + 1, 1), alone);
    }
}

static void
names_have_1_to_63_octets(void **state)
{
    char name[BK_NAME_SIZE + 1];
    (void)state;
    memset(name, 'x', sizeof(name));
    assert_false(bk_name_is_valid(name, 0));
    assert_true(bk_name_is_valid(name, 1));
    assert_true(bk_name_is_valid(name, BK_NAME_SIZE - 1));
    assert_false(bk_name_is_valid(name, BK_NAME_SIZE));
    assert_false(bk_name_is_valid(name, BK_NAME_SIZE + 1));
    assert_false(bk_name_is_valid("-", 1));
    assert_true(bk_name_is_valid("--", 2));
    assert_false(bk_name_is_valid("*", 1));
}

static void
times_clamp_to_never(void **state)
{
    (void)state;
    assert_true(bk_after(0, 0) == 0);
    assert_true(bk_after(1, 2) == 3);
    assert_true(bk_after(BK_NEVER, 0) == BK_NEVER);
    assert_true(bk_after(BK_NEVER - 1, 1) == BK_NEVER);
    assert_true(bk_after(BK_NEVER - 1, 2) == BK_NEVER);
    assert_true(bk_after(BK_NEVER, BK_NEVER) == BK_NEVER);
    assert_true(bk_after(0, BK_NEVER) == BK_NEVER);
}

static void
milliseconds_are_rounded_up(void **state)
{
    (void)state;
    assert_true(bk_ns_of_ms(0) == 0);
    assert_true(bk_ns_of_ms(7) == 7 * BK_NS_PER_MS);
    assert_true(bk_ns_of_ms(UINT64_C(9223372036854)) ==
                INT64_C(9223372036854000000));
    assert_true(bk_ns_of_ms(UINT64_C(9223372036855)) == BK_NEVER);
    assert_true(bk_ns_of_ms(UINT64_MAX) == BK_NEVER);
    assert_int_equal(bk_ms_up(INT64_MIN), 0);
    assert_int_equal(bk_ms_up(-1), 0);
    assert_int_equal(bk_ms_up(0), 0);
    assert_int_equal(bk_ms_up(1), 1);
    assert_int_equal(bk_ms_up(999999), 1);
    assert_int_equal(bk_ms_up(1000000), 1);
    assert_int_equal(bk_ms_up(1000001), 2);
    assert_int_equal(bk_ms_up(INT64_MAX), UINT64_C(9223372036855));
}

static void
counters_have_rows_in_field_order(void **state)
{
    (void)state;
    assert_int_equal(BK_COUNTER_COUNT, 12);
    for (size_t i = 0; i < BK_COUNTER_COUNT; i++) {
        assert_int_equal(bk_counter_rows[i].offset, i * sizeof(uint64_t));
        assert_true(strlen(bk_counter_rows[i].help) > 0);
    }
    assert_string_equal(bk_counter_rows[0].name, "allowed");
    assert_string_equal(bk_counter_rows[11].name, "opened");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_read_back),
        cmocka_unit_test(words_are_the_protocol),
        cmocka_unit_test(names_take_their_octets_and_no_others),
        cmocka_unit_test(names_have_1_to_63_octets),
        cmocka_unit_test(times_clamp_to_never),
        cmocka_unit_test(milliseconds_are_rounded_up),
        cmocka_unit_test(counters_have_rows_in_field_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
