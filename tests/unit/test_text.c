/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"
#include "unit.h"

static void
text_that_does_not_fit_is_cut_and_told(void **state)
{
    char room[4];
    struct bk_text t;
    (void)state;
    bk_text_init(&t, room, sizeof(room));
    assert_string_equal(room, "");
    bk_text_put(&t, "ab");
    bk_text_put_n(&t, "c", 1);
    assert_string_equal(room, "abc");
    assert_false(t.is_cut);
    bk_text_put_n(&t, "xyz", 0);
    assert_false(t.is_cut);
    bk_text_put_char(&t, 'd');
    assert_true(t.is_cut);
    assert_int_equal(t.len, 3);
    assert_string_equal(room, "abc");

    bk_text_init(&t, room, sizeof(room));
    assert_false(t.is_cut);
    bk_text_put(&t, "wxyz");
    assert_true(t.is_cut);
    assert_string_equal(room, "wxy");

    bk_text_init(&t, room, 1);
    bk_text_put(&t, "a");
    assert_true(t.is_cut);
    assert_string_equal(room, "");
}

static void
expect_number(uint64_t value, const char *want)
{
    char room[64];
    struct bk_text t;
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_u64(&t, value);
    assert_string_equal(room, want);
}

static void
expect_signed(int64_t value, const char *want)
{
    char room[64];
    struct bk_text t;
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_i64(&t, value);
    assert_string_equal(room, want);
}

static void
numbers_are_decimal(void **state)
{
    (void)state;
    expect_number(0, "0");
    expect_number(9, "9");
    expect_number(10, "10");
    expect_number(UINT64_MAX, "18446744073709551615");
    expect_signed(0, "0");
    expect_signed(-1, "-1");
    expect_signed(INT64_MAX, "9223372036854775807");
    expect_signed(INT64_MIN, "-9223372036854775808");
}

static void
expect_ppm(int64_t value, int min_digits, const char *want)
{
    char room[64];
    struct bk_text t;
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_ppm(&t, value, min_digits);
    assert_string_equal(room, want);
}

static void
millionths_drop_trailing_zeros(void **state)
{
    (void)state;
    expect_ppm(0, 0, "0");
    expect_ppm(0, 1, "0.0");
    expect_ppm(0, 6, "0.000000");
    expect_ppm(1, 0, "0.000001");
    expect_ppm(600000, 0, "0.6");
    expect_ppm(600000, 3, "0.600");
    expect_ppm(999999, 0, "0.999999");
    expect_ppm(1000000, 0, "1");
    expect_ppm(12000000, 1, "12.0");
    expect_ppm(-2500000, 0, "-2.5");
    expect_ppm(INT64_MIN, 0, "-9223372036854.775808");
}

static const struct {
    int64_t ns;
    const char *text;
} durations[] = {
    {0, "0"},
    {1, "0.001us"},
    {500, "0.5us"},
    {999, "0.999us"},
    {1000, "1us"},
    {1500, "1.5us"},
    {10000, "10us"},
    {250 * INT64_C(1000000), "250ms"},
    {1500 * INT64_C(1000000), "1500ms"},
    {5 * INT64_C(1000000000), "5s"},
    {60 * INT64_C(1000000000), "60s"},
    {120 * INT64_C(1000000000), "120s"},
    {599 * INT64_C(1000000000), "599s"},
    {600 * INT64_C(1000000000), "10m"},
    {601 * INT64_C(1000000000), "601s"},
    {3600 * INT64_C(1000000000), "1h"},
    {5400 * INT64_C(1000000000), "90m"},
    {INT64_C(720) * 3600 * INT64_C(1000000000), "720h"},
};

static void
durations_print_and_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(durations); i++) {
        char room[64];
        struct bk_text t;
        int64_t ns = -1;
        bk_text_init(&t, room, sizeof(room));
        bk_text_put_duration(&t, durations[i].ns);
        assert_string_equal(room, durations[i].text);
        assert_true(bk_read_duration(room, t.len, &ns));
        assert_true(ns == durations[i].ns);
    }
}

static void
odd_durations_print_too(void **state)
{
    char room[64];
    struct bk_text t;
    (void)state;
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_duration(&t, -MS(250));
    assert_string_equal(room, "-250ms");
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_duration(&t, BK_NEVER);
    assert_string_equal(room, "9223372036854775.807us");
    bk_text_init(&t, room, sizeof(room));
    bk_text_put_duration(&t, INT64_MIN);
    assert_string_equal(room, "-9223372036854775.808us");
}

static void
expect_read_number(const char *s, bool is_one, uint64_t want)
{
    uint64_t value = 77;
    assert_int_equal(bk_read_number(s, strlen(s), &value), is_one);
    assert_int_equal(value, is_one ? want : 77);
}

static void
numbers_are_read_below_2_to_53(void **state)
{
    (void)state;
    expect_read_number("0", true, 0);
    expect_read_number("1", true, 1);
    expect_read_number("007", true, 7);
    expect_read_number("9007199254740991", true, BK_NUMBER_END - 1);
    expect_read_number("9007199254740992", false, 0);
    expect_read_number("90071992547409910", false, 0);
    expect_read_number("18446744073709551617", false, 0);
    expect_read_number("99999999999999999999999999999999", false, 0);
    expect_read_number("", false, 0);
    expect_read_number("-1", false, 0);
    expect_read_number("+1", false, 0);
    expect_read_number(" 1", false, 0);
    expect_read_number("1 ", false, 0);
    expect_read_number("1.0", false, 0);
    expect_read_number("0x10", false, 0);
    expect_read_number("1e3", false, 0);
    expect_read_number("/", false, 0);
    expect_read_number(":", false, 0);
}

static void
expect_read_ppm(const char *s, bool percent, bool is_one, uint64_t want)
{
    uint64_t value = 77;
    assert_int_equal(bk_read_ppm(s, strlen(s), percent, &value), is_one);
    assert_int_equal(value, is_one ? want : 77);
}

static void
fractions_are_read_to_six_digits(void **state)
{
    (void)state;
    expect_read_ppm("0", false, true, 0);
    expect_read_ppm("0.000001", false, true, 1);
    expect_read_ppm("0.0000001", false, false, 0);
    expect_read_ppm("1.5", false, true, 1500000);
    expect_read_ppm("0.75", false, true, 750000);
    expect_read_ppm("9007199254739.999999", false, true,
                    UINT64_C(9007199254739999999));
    expect_read_ppm("9007199254740", false, false, 0);
    expect_read_ppm(".5", false, false, 0);
    expect_read_ppm("5.", false, false, 0);
    expect_read_ppm("1.2.3", false, false, 0);
    expect_read_ppm("1.x", false, false, 0);
    expect_read_ppm("", false, false, 0);
    expect_read_ppm(".", false, false, 0);
    expect_read_ppm("-1", false, false, 0);
    expect_read_ppm("inf", false, false, 0);
    expect_read_ppm("nan", false, false, 0);
}

static void
percents_are_hundredths(void **state)
{
    (void)state;
    expect_read_ppm("20%", true, true, 200000);
    expect_read_ppm("0%", true, true, 0);
    expect_read_ppm("100%", true, true, 1000000);
    expect_read_ppm("12.3456%", true, true, 123456);
    expect_read_ppm("12.34567%", true, false, 0);
    expect_read_ppm("0.5", true, true, 500000);
    expect_read_ppm("20%", false, false, 0);
    expect_read_ppm("%", true, false, 0);
    expect_read_ppm("20%%", true, false, 0);
    expect_read_ppm("20 %", true, false, 0);
    expect_read_ppm("", true, false, 0);
}

static void
expect_duration(const char *s, bool is_one, int64_t want)
{
    int64_t value = 77;
    assert_int_equal(bk_read_duration(s, strlen(s), &value), is_one);
    assert_true(value == (is_one ? want : 77));
}

static void
durations_need_a_unit(void **state)
{
    (void)state;
    expect_duration("250ms", true, MS(250));
    expect_duration("2m", true, SECONDS(120));
    expect_duration("1h", true, SECONDS(3600));
    expect_duration("10us", true, 10000);
    expect_duration("1.5s", true, MS(1500));
    expect_duration("0.25h", true, SECONDS(900));
    expect_duration("0", true, 0);
    expect_duration("0.0", true, 0);
    expect_duration("0s", true, 0);
    expect_duration("5", false, 0);
    expect_duration("5 s", false, 0);
    expect_duration("5S", false, 0);
    expect_duration("5sec", false, 0);
    expect_duration("5d", false, 0);
    expect_duration("5ns", false, 0);
    expect_duration("s", false, 0);
    expect_duration("", false, 0);
    expect_duration("-5s", false, 0);
    expect_duration("5s5", false, 0);
    expect_duration("1.s", false, 0);
}

static void
durations_end_before_never(void **state)
{
    (void)state;
    expect_duration("2562047h", true, SECONDS(2562047) * 3600);
    expect_duration("2562048h", false, 0);
    expect_duration("9000000000000h", false, 0);
    /* Less than a nanosecond is no duration that can be kept. */
    expect_duration("0.001us", true, 1);
    expect_duration("0.0001us", false, 0);
    expect_duration("0.000001s", true, 1000);
}

static void
expect_seconds(const char *s, bool is_one, int64_t want)
{
    int64_t value = 77;
    assert_int_equal(bk_read_seconds(s, strlen(s), &value), is_one);
    assert_true(value == (is_one ? want : 77));
}

static void
seconds_have_no_unit(void **state)
{
    (void)state;
    expect_seconds("60", true, SECONDS(60));
    expect_seconds("0.5", true, MS(500));
    expect_seconds("0.000001", true, 1000);
    expect_seconds("0", true, 0);
    expect_seconds("9223372036", true, SECONDS(9223372036));
    expect_seconds("9223372036.854775", true, SECONDS(9223372036) + 854775000);
    expect_seconds("9223372037", false, 0);
    expect_seconds("60s", false, 0);
    expect_seconds("", false, 0);
    expect_seconds("-1", false, 0);
}

static void
words_are_compared_whole(void **state)
{
    (void)state;
    assert_true(bk_is("abc", 3, "abc"));
    assert_true(bk_is("abcd", 3, "abc"));
    assert_false(bk_is("abc", 2, "abc"));
    assert_false(bk_is("abc", 3, "ab"));
    assert_false(bk_is("abc", 3, "abd"));
    assert_false(bk_is("Abc", 3, "abc"));
    assert_true(bk_is("", 0, ""));
    assert_false(bk_is("", 0, "a"));
    /* A NUL within is an octet like any other, and in no word. */
    assert_false(bk_is("ab\0", 3, "ab"));
    assert_false(bk_is("\0", 1, ""));
}

static void
distances_count_edits(void **state)
{
    char far[42];
    (void)state;
    assert_int_equal(bk_edit_distance("", 0, ""), 0);
    assert_int_equal(bk_edit_distance("", 0, "abc"), 3);
    assert_int_equal(bk_edit_distance("abc", 3, ""), 3);
    assert_int_equal(bk_edit_distance("abc", 3, "abc"), 0);
    assert_int_equal(bk_edit_distance("abd", 3, "abc"), 1);
    assert_int_equal(bk_edit_distance("ab", 2, "abc"), 1);
    assert_int_equal(bk_edit_distance("abcd", 4, "abc"), 1);
    assert_int_equal(bk_edit_distance("acb", 3, "abc"), 1);
    assert_int_equal(bk_edit_distance("ba", 2, "ab"), 1);
    assert_int_equal(bk_edit_distance("kitten", 6, "sitting"), 3);
    assert_int_equal(
        bk_edit_distance("failure_treshold", 16, "failure_threshold"), 1);
    memset(far, 'x', sizeof(far));
    far[41] = '\0';
    assert_int_equal(bk_edit_distance(far, 40, "x"), 39);
    assert_true(bk_edit_distance(far, 41, "x") > 1000);
    assert_true(bk_edit_distance("x", 1, far) > 1000);
}

static void
copies_end_with_a_nul(void **state)
{
    char room[4] = "zzz";
    (void)state;
    assert_int_equal(bk_copy_text(room, sizeof(room), "ab", 2), 2);
    assert_string_equal(room, "ab");
    assert_int_equal(bk_copy_text(room, sizeof(room), "abc", 3), 3);
    assert_string_equal(room, "abc");
    assert_int_equal(bk_copy_text(room, sizeof(room), "abcd", 4), 3);
    assert_string_equal(room, "abc");
    assert_int_equal(bk_copy_text(room, sizeof(room), NULL, 0), 0);
    assert_string_equal(room, "");
    assert_int_equal(bk_copy_text(room, 1, "abc", 3), 0);
    assert_string_equal(room, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_does_not_fit_is_cut_and_told),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(millionths_drop_trailing_zeros),
        cmocka_unit_test(durations_print_and_read_back),
        cmocka_unit_test(odd_durations_print_too),
        cmocka_unit_test(numbers_are_read_below_2_to_53),
        cmocka_unit_test(fractions_are_read_to_six_digits),
        cmocka_unit_test(percents_are_hundredths),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(durations_end_before_never),
        cmocka_unit_test(seconds_have_no_unit),
        cmocka_unit_test(words_are_compared_whole),
        cmocka_unit_test(distances_count_edits),
        cmocka_unit_test(copies_end_with_a_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
