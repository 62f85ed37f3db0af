/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"
#include "unit.h"

struct bk_request request;

void
accept_line(const char *line)
{
    const char *why = "?";
    enum bk_error error = bk_request_parse(line, strlen(line), &request, &why);
    if (error != BK_OK)
        print_message("%s: %s\n", line, why);
    assert_int_equal(error, BK_OK);
    assert_null(why);
}

/* The words of the request point into the line: it stays. */
void
accept_joined(const char *start, const char *end)
{
    static char line[BK_LINE_MAX + 1];
    struct bk_text t;
    bk_text_init(&t, line, sizeof(line));
    bk_text_put(&t, start);
    bk_text_put(&t, end);
    assert_false(t.is_cut);
    accept_line(line);
}

void
expect(struct bk_word word, const char *want)
{
    if (want == NULL) {
        assert_null(word.at);
        assert_int_equal(word.len, 0);
        return;
    }
    assert_int_equal(word.len, strlen(want));
    assert_memory_equal(word.at, want, word.len);
}
