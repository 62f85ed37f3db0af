/* SPDX-License-Identifier: Apache-2.0 */
#include "core/words.h"
#include "lines.h"
#include "unit.h"

static char room[2048];
static struct bk_text out;

static struct bk_text *
fresh(void)
{
    bk_text_init(&out, room, sizeof(room));
    return &out;
}

static struct bk_reply reply;

static bool
parse_reply(const char *line)
{
    return bk_reply_parse(line, strlen(line), &reply);
}

static void
answers_read_back(void **state)
{
    (void)state;
    bk_write_allow(fresh(), "llm", 7, 3, BK_HALF_OPEN);
    assert_string_equal(room, "ALLOW llm 7 3 half_open");
    assert_true(parse_reply(room));
    assert_int_equal(reply.kind, BK_REPLY_ALLOW);
    expect(reply.service, "llm");
    assert_int_equal(reply.id, 7);
    assert_int_equal(reply.generation, 3);
    assert_int_equal(reply.state, BK_HALF_OPEN);

    bk_write_deny(fresh(), "llm", BK_DENY_OPEN, 58800);
    assert_string_equal(room, "DENY llm open 58800");
    assert_true(parse_reply(room));
    assert_int_equal(reply.kind, BK_REPLY_DENY);
    assert_int_equal(reply.deny, BK_DENY_OPEN);
    assert_int_equal(reply.wait_ms, 58800);

    bk_write_grant(fresh(), "llm", 9, 1200);
    assert_string_equal(room, "GRANT llm 9 1200");
    assert_true(parse_reply(room));
    assert_int_equal(reply.kind, BK_REPLY_GRANT);
    assert_int_equal(reply.id, 9);
    assert_int_equal(reply.wait_ms, 1200);

    bk_write_pong(fresh(), 42);
    assert_string_equal(room, "PONG 42");
    assert_true(parse_reply(room));
    assert_int_equal(reply.kind, BK_REPLY_PONG);
    assert_int_equal(reply.id, 42);

    bk_write_error(fresh(), BK_ERR_TABLE_FULL, "no\nroom");
    assert_string_equal(room, "ERR table_full no room");
    assert_true(parse_reply(room));
    assert_int_equal(reply.kind, BK_REPLY_ERR);
    assert_int_equal(reply.error, BK_ERR_TABLE_FULL);
    expect(reply.text, "no room");
}

static void
applied_and_json_are_told_apart(void **state)
{
    (void)state;
    for (int i = BK_APPLIED; i <= BK_UNKNOWN; i++) {
        bk_write_applied(fresh(), (enum bk_applied)i);
        assert_true(parse_reply(room));
        assert_int_equal(reply.kind, BK_REPLY_OK);
        assert_int_equal(reply.applied, i);
    }
    assert_true(parse_reply("OK {\"schema\":1}"));
    assert_int_equal(reply.applied, -1);
    expect(reply.text, "{\"schema\":1}");
    assert_true(parse_reply("OK"));
    assert_int_equal(reply.applied, -1);
    expect(reply.text, NULL);
    assert_true(parse_reply("ALLOW llm 0 0 closed and more"));
    assert_true(parse_reply("ERR internal"));
    expect(reply.text, NULL);
}

static void
other_lines_are_no_answers(void **state)
{
    static const char *const lines[] = {
        "",
        "ok",
        " OK",
        "OKAY",
        "ALLOW",
        "ALLOW llm",
        "ALLOW llm 1",
        "ALLOW llm 1 2",
        "ALLOW llm 1 2 ajar",
        "ALLOW llm x 2 closed",
        "ALLOW llm 1 x closed",
        "ALLOW * 1 2 closed",
        "ALLOW llm 9007199254740992 2 closed",
        "DENY llm",
        "DENY llm none 5",
        "DENY llm moody 5",
        "DENY llm open",
        "DENY llm open -",
        "DENY  open 5",
        "GRANT llm 5",
        "GRANT llm x 5",
        "PONG",
        "PONG x",
        "ERR",
        "ERR ok fine",
        "ERR odd fine",
        "OK \x1b[2J",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (parse_reply(lines[i]))
            print_message("%s\n", lines[i]);
        assert_false(parse_reply(lines[i]));
    }
}

static void
acquires_leave_out_what_is_usual(void **state)
{
    (void)state;
    bk_write_acquire(fresh(), "llm", 1, 0, 0);
    assert_string_equal(room, "ACQUIRE llm");
    bk_write_acquire(fresh(), "llm", 2, 55, 0);
    assert_string_equal(room, "ACQUIRE llm 2 55");
    bk_write_acquire(fresh(), "llm", 2, 0, 0);
    assert_string_equal(room, "ACQUIRE llm 2");
    bk_write_acquire(fresh(), "llm", 1, 0, 5);
    assert_string_equal(room, "ACQUIRE llm 1 - 5");
    bk_write_acquire(fresh(), "llm", 1, 9, 5);
    assert_string_equal(room, "ACQUIRE llm 1 9 5");
    accept_line(room);
    assert_int_equal(request.id, 9);
    assert_int_equal(request.duration_ms, 5);
}

static void
write_report(int64_t latency_us, uint64_t attempt, bool will_retry,
             uint64_t retry_after_ms, const char *text)
{
    fresh();
    bk_write_report(&out, false, "llm", 0, true, 0, BK_FAILURE, latency_us,
                    attempt, will_retry, retry_after_ms, text);
    accept_line(room);
    assert_int_equal(request.has_latency, latency_us >= 0);
    assert_int_equal(request.attempt, attempt);
    assert_int_equal(request.will_retry, will_retry);
    assert_int_equal(request.duration_ms, retry_after_ms);
}

static void
reports_leave_out_what_is_not_known(void **state)
{
    (void)state;
    write_report(-1, 0, false, 0, NULL);
    assert_string_equal(room, "REPORT llm 0 - failure");
    write_report(12, 0, false, 0, "");
    assert_string_equal(room, "REPORT llm 0 - failure 12");
    write_report(12, 1, false, 0, NULL);
    assert_string_equal(room, "REPORT llm 0 - failure 12 1");
    write_report(-1, 2, true, 0, NULL);
    assert_string_equal(room, "REPORT llm 0 - failure - 2+");
    write_report(-1, 0, true, 0, NULL);
    assert_string_equal(room, "REPORT llm 0 - failure - -+");
    write_report(-1, 0, false, 70, NULL);
    assert_string_equal(room, "REPORT llm 0 - failure - - 70");
    write_report(5, 3, false, 0, "503 busy\r\n");
    assert_string_equal(room, "REPORT llm 0 - failure 5 3 0 503 busy  ");
    fresh();
    bk_write_report(&out, true, "llm", 12, false, 4, BK_SUCCESS, INT64_MAX, 1,
                    false, UINT64_MAX, NULL);
    assert_string_equal(room, "REPORTQ llm 12 4 success 9007199254740991 1 "
                              "9007199254740991");
    accept_line(room);
}

static void
long_texts_are_cut_to_the_line(void **state)
{
    char text[2000];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    /* What stands in the buffer before does not count. */
    fresh();
    bk_text_put(&out, "before");
    bk_write_report(&out, false, "llm", 0, true, 0, BK_FAILURE, 1, 1, false, 0,
                    text);
    assert_int_equal(out.len, 6 + BK_LINE_MAX);
    accept_line(room + 6);
}

static void
other_requests_read_back(void **state)
{
    (void)state;
    bk_write_retry(fresh(), "llm", 2, BK_RATE_LIMITED, 0);
    assert_string_equal(room, "RETRY llm 2 rate_limited");
    bk_write_retry(fresh(), "llm", 2, BK_RATE_LIMITED, 1500);
    assert_string_equal(room, "RETRY llm 2 rate_limited 1500");
    accept_line(room);
    bk_write_release(fresh(), 12);
    assert_string_equal(room, "RELEASE 12");
    accept_line(room);
    bk_write_renew(fresh(), 12, 500);
    assert_string_equal(room, "RENEW 12 500");
    accept_line(room);
    bk_write_tally(fresh(), "llm", true, 3, BK_DENY_NONE);
    assert_string_equal(room, "TALLYQ llm allowed 3");
    accept_line(room);
    bk_write_tally(fresh(), "llm", false, 3, BK_DENY_OPEN);
    assert_string_equal(room, "TALLYQ llm denied 3 open");
    accept_line(room);
}

/* Each octet at each place of lines of each length, beside its worst neighbours. */
static void
control_characters_are_found(void **state)
{
    static const char beside[] = {' ', '~', '\x80', '\xff'};
    char line[20];

    (void)state;
    for (size_t len = 1; len <= sizeof line; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned octet = 0; octet < 256; octet++) {
                bool is_control = octet < 0x20 || octet == 0x7f;

                memset(line, beside[octet % 4], sizeof line);
                line[at] = (char)octet;
                assert_int_equal(bk_line_has_control(line, len), is_control);
                memset(line, beside[(octet + at) % 4], sizeof line);
                line[at] = (char)octet;
                assert_int_equal(bk_line_has_control(line, len), is_control);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_read_back),
        cmocka_unit_test(applied_and_json_are_told_apart),
        cmocka_unit_test(other_lines_are_no_answers),
        cmocka_unit_test(acquires_leave_out_what_is_usual),
        cmocka_unit_test(reports_leave_out_what_is_not_known),
        cmocka_unit_test(long_texts_are_cut_to_the_line),
        cmocka_unit_test(other_requests_read_back),
        cmocka_unit_test(control_characters_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
