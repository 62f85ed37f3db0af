/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ini.h"
#include "unit.h"

static struct bk_ini_line
read_line(const char *text)
{
    return bk_ini_read(text, strlen(text));
}

static void
expect_word(struct bk_word word, const char *want)
{
    if (want == NULL) {
        assert_null(word.at);
        return;
    }
    assert_int_equal(word.len, strlen(want));
    assert_memory_equal(word.at, want, word.len);
}

static void
expect_section(const char *text, const char *section, const char *name)
{
    struct bk_ini_line line = read_line(text);
    assert_int_equal(line.kind, BK_INI_SECTION);
    expect_word(line.section, section);
    expect_word(line.name, name);
}

static void
expect_pair(const char *text, const char *key, const char *value)
{
    struct bk_ini_line line = read_line(text);
    assert_int_equal(line.kind, BK_INI_PAIR);
    expect_word(line.key, key);
    expect_word(line.value, value);
}

static void
expect_bad(const char *text, const char *why)
{
    struct bk_ini_line line = read_line(text);
    assert_int_equal(line.kind, BK_INI_BAD);
    assert_string_equal(line.why, why);
}

static void
blank_lines_and_comments_say_nothing(void **state)
{
    (void)state;
    assert_int_equal(bk_ini_read("", 0).kind, BK_INI_BLANK);
    assert_int_equal(read_line("\n").kind, BK_INI_BLANK);
    assert_int_equal(read_line("\r\n").kind, BK_INI_BLANK);
    assert_int_equal(read_line(" \t ").kind, BK_INI_BLANK);
    assert_int_equal(read_line("# a = b").kind, BK_INI_BLANK);
    assert_int_equal(read_line("  ; [x").kind, BK_INI_BLANK);
    assert_int_equal(read_line("#\x01").kind, BK_INI_BLANK);
}

static void
sections_have_a_kind_and_a_name(void **state)
{
    (void)state;
    expect_section("[defaults]", "defaults", NULL);
    expect_section("[service gpt-4]", "service", "gpt-4");
    expect_section("  [ service \t gpt-4 ] \r\n", "service", "gpt-4");
}

static void
bad_sections_are_told(void **state)
{
    (void)state;
    expect_bad("[defaults", "a section's line ends with ]");
    expect_bad("[", "a section's line ends with ]");
    expect_bad("[defaults] x", "a section's line ends with ]");
    expect_bad("[]", "a section needs a name");
    expect_bad("[  ]", "a section needs a name");
    expect_bad("[[a]", "a section has one pair of brackets");
    expect_bad("[a]]", "a section has one pair of brackets");
    expect_bad("[service a b]", "a section has a kind and at most one name");
}

static void
pairs_are_trimmed(void **state)
{
    (void)state;
    expect_pair("a=b", "a", "b");
    expect_pair(" a = b c \r\n", "a", "b c");
    expect_pair("a\t=\tb", "a", "b");
    expect_pair("a=", "a", "");
    expect_pair("a = ", "a", "");
    expect_pair("a = b = c", "a", "b = c");
    /* A comment has a line of its own. */
    expect_pair("a = b # c ; d", "a", "b # c ; d");
    expect_pair("a = \xc3\xa4", "a", "\xc3\xa4");
    expect_pair("a b = c", "a b", "c");
}

static void
bad_lines_are_told(void **state)
{
    (void)state;
    expect_bad("window", "expected [section], key = value or a comment");
    expect_bad("= 5", "a key is missing before =");
    expect_bad(" \t= 5", "a key is missing before =");
    expect_bad("a = \x1b[2J", "the line holds a control character");
    expect_bad("a = \x7f", "the line holds a control character");
    expect_bad("a = b\rc", "the line holds a control character");
    struct bk_ini_line line = bk_ini_read("a = b\0c", 7);
    assert_int_equal(line.kind, BK_INI_BAD);
}

static void
long_lines_are_whole(void **state)
{
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof(text));
    text[500] = '=';
    struct bk_ini_line line = bk_ini_read(text, sizeof(text));
    assert_int_equal(line.kind, BK_INI_PAIR);
    assert_int_equal(line.key.len, 500);
    assert_int_equal(line.value.len, 499);
    text[0] = '[';
    text[500] = ' ';
    text[999] = ']';
    line = bk_ini_read(text, sizeof(text));
    assert_int_equal(line.kind, BK_INI_SECTION);
    assert_int_equal(line.section.len, 499);
    assert_int_equal(line.name.len, 498);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blank_lines_and_comments_say_nothing),
        cmocka_unit_test(sections_have_a_kind_and_a_name),
        cmocka_unit_test(bad_sections_are_told),
        cmocka_unit_test(pairs_are_trimmed),
        cmocka_unit_test(bad_lines_are_told),
        cmocka_unit_test(long_lines_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
