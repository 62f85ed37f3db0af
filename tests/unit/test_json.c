/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"
#include "unit.h"

#define BAD "\xef\xbf\xbd"

static void
rows_have_commas_where_they_belong(void **state)
{
    char room[400];
    struct bk_text t;
    struct bk_json j;
    (void)state;
    bk_text_init(&t, room, sizeof(room));
    bk_json_init(&j, &t);
    bk_json_open(&j, NULL, '{');
    bk_json_u64(&j, "a", UINT64_MAX);
    bk_json_open(&j, "empty", '[');
    bk_json_close(&j, ']');
    bk_json_open(&j, "list", '[');
    bk_json_bool(&j, NULL, true);
    bk_json_bool(&j, NULL, false);
    bk_json_open(&j, NULL, '{');
    bk_json_close(&j, '}');
    bk_json_null(&j, NULL);
    bk_json_close(&j, ']');
    bk_json_string(&j, "s", "x");
    bk_json_string(&j, "none", NULL);
    bk_json_ppm(&j, "r", 600000, 0);
    bk_json_ppm(&j, "b", 12000000, 1);
    bk_json_raw(&j, "raw", "[1]", 3);
    bk_json_u64(&j, "last", 0);
    bk_json_close(&j, '}');
    assert_string_equal(
        room, "{\"a\":18446744073709551615,\"empty\":[],\"list\":[true,false,"
              "{},null],\"s\":\"x\",\"none\":null,\"r\":0.6,\"b\":12.0,"
              "\"raw\":[1],\"last\":0}");
}

static void
check_string(const char *value, size_t len, const char *want)
{
    char room[256];
    struct bk_text t;
    struct bk_json j;
    bk_text_init(&t, room, sizeof(room));
    bk_json_init(&j, &t);
    bk_json_string_n(&j, NULL, value, len);
    assert_false(t.is_cut);
    assert_int_equal(room[0], '"');
    assert_int_equal(room[t.len - 1], '"');
    room[t.len - 1] = '\0';
    assert_string_equal(room + 1, want);
}

#define EXPECT(value, want) check_string(value, sizeof(value) - 1, want)

static void
controls_and_quotes_are_escaped(void **state)
{
    (void)state;
    EXPECT("", "");
    EXPECT("plain ~text", "plain ~text");
    EXPECT("\"\\/", "\\\"\\\\/");
    EXPECT("\n\r\t", "\\n\\r\\t");
    EXPECT("\0", "\\u0000");
    EXPECT("\x01\x1f\x7f", "\\u0001\\u001f\\u007f");
    EXPECT("a\x1b[2Jb", "a\\u001b[2Jb");
    /* U+0080 to U+009F are controls as well, U+00A0 is not. */
    EXPECT("\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0");
}

static void
bad_utf8_is_replaced(void **state)
{
    (void)state;
    EXPECT("\xff", BAD);
    EXPECT("\x80", BAD);
    EXPECT("a\xc3", "a" BAD);
    EXPECT("\xe2\x82", BAD BAD);
    EXPECT("\xf0\x9f\x98", BAD BAD BAD);
    EXPECT("\xc0\xaf", BAD BAD);         /* overlong / */
    EXPECT("\xe0\x80\xaf", BAD BAD BAD); /* overlong / */
    EXPECT("\xed\xa0\x80", BAD BAD BAD); /* a surrogate */
    EXPECT("\xf4\x90\x80\x80", BAD BAD BAD BAD);
    EXPECT("\xf5\x80\x80\x80", BAD BAD BAD BAD);
    EXPECT("\xc3(", BAD "(");
    EXPECT("\xe2\x82(", BAD BAD "(");
}

/* Whether `s` is one character of `len` octets, by decoding it and asking whether
 * it needed that many: another way than the writer's table of ranges. */
static bool
is_character(const unsigned char *s, size_t len)
{
    static const unsigned lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const unsigned lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if ((s[0] & ~lead_bits[len]) != lead[len])
        return false;
    uint32_t value = s[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return false;
        value = value << 6 | (s[i] & 0x3f);
    }
    return value >= least[len] && value <= 0x10ffff &&
           (value < 0xd800 || value > 0xdfff);
}

/* Sequences that start beyond ASCII are kept as they are exactly when they are
 * one character (or escaped, U+0080..9F). */
static void
check_sequence(const char *s, size_t len)
{
    char room[64];
    struct bk_text t;
    struct bk_json j;
    bk_text_init(&t, room, sizeof(room));
    bk_json_init(&j, &t);
    bk_json_string_n(&j, NULL, s, len);
    bool is_kept = t.len == len + 2 && memcmp(room + 1, s, len) == 0;
    bool is_escaped = len == 2 && memcmp(room, "\"\\u00", 5) == 0;
    bool want = is_character((const unsigned char *)s, len);
    assert_int_equal(is_kept || is_escaped, want);
}

static void
every_sequence_is_kept_or_replaced(void **state)
{
    static const unsigned char ends[] = {0x00, 0x7f, 0x80, 0xa0, 0xbf, 0xc0};
    (void)state;
    for (unsigned first = 0x80; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char s[4] = {(char)first, (char)second, 0, 0};
            check_sequence(s, 2);
            for (size_t i = 0; i < COUNT_OF(ends); i++) {
                s[2] = (char)ends[i];
                check_sequence(s, 3);
                s[3] = (char)ends[COUNT_OF(ends) - 1 - i];
                check_sequence(s, 4);
                s[3] = (char)0x80;
                check_sequence(s, 4);
            }
        }
    }
}

static void
a_full_buffer_says_so(void **state)
{
    char room[8];
    struct bk_text t;
    struct bk_json j;
    (void)state;
    bk_text_init(&t, room, sizeof(room));
    bk_json_init(&j, &t);
    bk_json_string(&j, "key", "a long value");
    assert_true(t.is_cut);
    assert_string_equal(room, "\"key\":\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_commas_where_they_belong),
        cmocka_unit_test(controls_and_quotes_are_escaped),
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(every_sequence_is_kept_or_replaced),
        cmocka_unit_test(a_full_buffer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
