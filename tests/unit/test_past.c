/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "core/past.h"
#include "unit.h"
#include <stdlib.h>
#include <time.h>

static void
assert_instant(int64_t wall_ms, const char *text)
{
    char out[BK_INSTANT_SIZE];
    bk_instant_format(wall_ms, out);
    assert_string_equal(out, text);
}

static void
instants_are_told_for_people(void **state)
{
    (void)state;
    assert_instant(0, "1970-01-01T00:00:00.000Z");
    assert_instant(1700000000123, "2023-11-14T22:13:20.123Z");
    assert_instant(951782399999, "2000-02-28T23:59:59.999Z");
    assert_instant(951782400000, "2000-02-29T00:00:00.000Z");
    assert_instant(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void
no_clocks_instant_is_the_beginning(void **state)
{
    (void)state;
    assert_instant(-1, "1970-01-01T00:00:00.000Z");
    assert_instant(INT64_MIN, "1970-01-01T00:00:00.000Z");
    assert_instant(253402300800000, "1970-01-01T00:00:00.000Z");
    assert_instant(INT64_MAX, "1970-01-01T00:00:00.000Z");
}

/* Every day of five centuries, as the C library has it. */
static void
days_are_as_the_library_counts_them(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 183000; day++) {
        time_t seconds = (time_t)(day * 86400 + 3661);
        struct tm tm;
        char text[BK_INSTANT_SIZE];
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.007Z", &tm) >
                    0);
        assert_instant((int64_t)seconds * 1000 + 7, text);
    }
}

static void
a_line_is_told_as_json(void **state)
{
    const struct bk_past line = {.seq = 41,
                                 .wall_ms = 1700000000123,
                                 .generation = 7,
                                 .from = BK_CLOSED,
                                 .to = BK_OPEN,
                                 .mode = BK_FORCED_OPEN,
                                 .cause = BK_CAUSE_OPERATOR,
                                 .service = "gpt-4",
                                 .actor = "0:0:4711",
                                 .text = "\"<b>\""};
    char room[1024];
    struct bk_text text;
    struct bk_json json;
    (void)state;
    bk_text_init(&text, room, sizeof room);
    bk_json_init(&json, &text);
    bk_past_row(&json, &line);
    assert_string_equal(
        room, "{\"seq\":41,\"at\":\"2023-11-14T22:13:20.123Z\",\"service\":"
              "\"gpt-4\",\"from\":\"closed\",\"to\":\"open\",\"mode\":"
              "\"forced_open\",\"reason\":\"operator\",\"generation\":7,"
              "\"actor\":\"0:0:4711\",\"text\":\"\\\"<b>\\\"\"}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_told_for_people),
        cmocka_unit_test(no_clocks_instant_is_the_beginning),
        cmocka_unit_test(days_are_as_the_library_counts_them),
        cmocka_unit_test(a_line_is_told_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
