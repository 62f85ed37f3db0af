/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"
#include "unit.h"

static void
refuse(const char *line, enum bk_error want)
{
    const char *why = NULL;
    enum bk_error error = bk_request_parse(line, strlen(line), &request, &why);
    if (error != want)
        print_message("%s\n", line);
    assert_int_equal(error, want);
    assert_non_null(why);
    assert_true(strlen(why) > 0);
}

static void
refuse_request(const char *line)
{
    refuse(line, BK_ERR_BAD_REQUEST);
}

static void
every_command_has_a_row(void **state)
{
    (void)state;
    for (int i = 0; i < BK_CMD_COUNT; i++) {
        const struct bk_command_row *row = &bk_command_rows[i];
        const char *why;
        assert_true(strlen(row->name) > 0);
        assert_non_null(row->words);
        bk_request_parse(row->name, strlen(row->name), &request, &why);
        assert_int_equal(request.command, i);
        assert_int_equal(row->is_operators, i >= BK_CMD_RESET);
        assert_int_equal(row->is_silent,
                         i == BK_CMD_REPORTQ || i == BK_CMD_TALLYQ);
    }
}

static void
lines_are_bounded_and_plain(void **state)
{
    char line[BK_LINE_MAX + 2];
    const char *why;
    (void)state;
    refuse_request("");
    refuse_request(" PING");
    refuse_request("PING\n");
    refuse_request("PING \x7f");
    refuse_request("RESET a \x1b[2J");
    assert_int_equal(bk_request_parse("PING\0", 5, &request, &why),
                     BK_ERR_BAD_REQUEST);
    memset(line, 'x', sizeof(line));
    struct bk_text head;
    bk_text_init(&head, line, sizeof(line));
    bk_text_put(&head, "PING ");
    line[head.len] = 'x';
    assert_int_equal(bk_request_parse(line, BK_LINE_MAX, &request, &why),
                     BK_OK);
    assert_int_equal(bk_request_parse(line, BK_LINE_MAX + 1, &request, &why),
                     BK_ERR_BAD_REQUEST);
    refuse("ping", BK_ERR_UNKNOWN_COMMAND);
    refuse("PINGS", BK_ERR_UNKNOWN_COMMAND);
    refuse("PIN", BK_ERR_UNKNOWN_COMMAND);
    assert_int_equal(request.command, BK_CMD_COUNT);
}

static void
one_space_stands_between_words(void **state)
{
    (void)state;
    refuse_request("ACQUIRE  a");
    refuse_request("ACQUIRE ");
    refuse_request("ACQUIRE a ");
    refuse_request("ACQUIRE a 1  2");
    refuse_request("REPORT a 0  - success");
    refuse_request("STATUS ");
}

static void
extra_words_are_ignored(void **state)
{
    (void)state;
    accept_line("PING now and then");
    accept_line("ACQUIRE a 1 0 5 new words");
    assert_int_equal(request.duration_ms, 5);
    accept_line("RETRY a 1 failure 0 new");
    accept_line("RELEASE 7 new");
    accept_line("RENEW 7 8 new");
    accept_line("STATUS a new");
    accept_line("UNSET a window new");
    accept_line("RELOAD new");
    accept_line("HISTORY a 3 7 new");
    accept_line("FORGET a new");
    accept_line("HELLO 1 - - new");
    accept_line("TALLYQ a denied 3 open new");
    accept_line("PING ");
}

static void
service_names_are_checked(void **state)
{
    char line[100] = "ACQUIRE ";
    (void)state;
    refuse("ACQUIRE -", BK_ERR_BAD_SERVICE);
    refuse("ACQUIRE *", BK_ERR_BAD_SERVICE);
    refuse("ACQUIRE a,b", BK_ERR_BAD_SERVICE);
    refuse("ACQUIRE \xc3\xa4", BK_ERR_BAD_SERVICE);
    refuse("STATUS *", BK_ERR_BAD_SERVICE);
    refuse("FORGET *", BK_ERR_BAD_SERVICE);
    refuse("TRIP * 5", BK_ERR_BAD_SERVICE);
    refuse("RESET **", BK_ERR_BAD_SERVICE);
    /* The service is looked at first. */
    refuse("ACQUIRE a,b x", BK_ERR_BAD_SERVICE);
    memset(line + 8, 'x', 63);
    accept_line(line);
    memset(line + 8, 'x', 64);
    refuse(line, BK_ERR_BAD_SERVICE);
}

static void
hello_names_a_worker(void **state)
{
    (void)state;
    accept_line("HELLO 1 bot-3 4711");
    assert_int_equal(request.protocol, 1);
    expect(request.key, "bot-3");
    assert_int_equal(request.count, 4711);
    accept_line("HELLO 1 - -");
    expect(request.key, NULL);
    assert_int_equal(request.count, 0);
    accept_line("HELLO 1 1234567890123456789012345678901 1");
    refuse_request("HELLO 1 12345678901234567890123456789012 1");
    refuse_request("HELLO 1 b\xc3\xb6t 1");
    refuse_request("HELLO 0 bot 1");
    refuse_request("HELLO 2 bot 1");
    refuse_request("HELLO - bot 1");
    refuse_request("HELLO 1 bot x");
    refuse_request("HELLO 1 bot");
    refuse_request("HELLO 1");
    refuse_request("HELLO");
}

static void
acquire_has_defaults(void **state)
{
    (void)state;
    accept_line("ACQUIRE gpt-4");
    assert_int_equal(request.command, BK_CMD_ACQUIRE);
    expect(request.service, "gpt-4");
    assert_int_equal(request.attempt, 1);
    assert_int_equal(request.id, 0);
    assert_int_equal(request.duration_ms, 0);
    accept_line("ACQUIRE gpt-4 2 55 100");
    assert_int_equal(request.attempt, 2);
    assert_int_equal(request.id, 55);
    assert_int_equal(request.duration_ms, 100);
    accept_line("ACQUIRE gpt-4 - - -");
    assert_int_equal(request.attempt, 1);
    assert_int_equal(request.id, 0);
    assert_int_equal(request.duration_ms, 0);
    refuse_request("ACQUIRE");
    refuse_request("ACQUIRE gpt-4 0");
    refuse_request("ACQUIRE gpt-4 x");
    refuse_request("ACQUIRE gpt-4 1+");
    refuse_request("ACQUIRE gpt-4 1 x");
    refuse_request("ACQUIRE gpt-4 1 - 0");
    refuse_request("ACQUIRE gpt-4 1 - 9007199254740992");
    accept_line("ACQUIRE gpt-4 9007199254740991 9007199254740991 1");
}

static void
check_reports(const char *command, enum bk_command want)
{
    accept_joined(command, " llm 12 3 timeout 2500 2+ 1500 gateway said 504");
    assert_int_equal(request.command, want);
    expect(request.service, "llm");
    assert_int_equal(request.id, 12);
    assert_false(request.is_current);
    assert_int_equal(request.generation, 3);
    assert_int_equal(request.outcome, BK_TIMEOUT);
    assert_true(request.has_latency);
    assert_int_equal(request.latency_us, 2500);
    assert_int_equal(request.attempt, 2);
    assert_true(request.will_retry);
    assert_int_equal(request.duration_ms, 1500);
    expect(request.text, "gateway said 504");

    accept_joined(command, " llm 0 - success");
    assert_true(request.is_current);
    assert_int_equal(request.generation, 0);
    assert_false(request.has_latency);
    assert_int_equal(request.attempt, 0);
    assert_false(request.will_retry);
    assert_int_equal(request.duration_ms, 0);
    expect(request.text, NULL);
}

static void
reports_are_read_whole(void **state)
{
    (void)state;
    check_reports("REPORT", BK_CMD_REPORT);
    check_reports("REPORTQ", BK_CMD_REPORTQ);
    accept_line("REPORT llm 0 0 failure - - - a b  c ");
    assert_false(request.has_latency);
    assert_int_equal(request.attempt, 0);
    expect(request.text, "a b  c ");
    accept_line("REPORT llm 0 0 failure 0 1 0");
    assert_true(request.has_latency);
    assert_int_equal(request.attempt, 1);
    expect(request.text, NULL);
    accept_line("REPORT llm 0 0 failure 0 -+");
    assert_int_equal(request.attempt, 0);
    assert_true(request.will_retry);
    /* Nothing behind the last space is no text. */
    accept_line("REPORT llm 0 0 failure 0 1 0 ");
    expect(request.text, NULL);
    for (int i = 0; i < BK_OUTCOME_COUNT; i++) {
        accept_joined("REPORT llm 0 0 ", bk_outcome_name((enum bk_outcome)i));
        assert_int_equal(request.outcome, i);
    }
}

static void
faulty_reports_are_refused(void **state)
{
    (void)state;
    refuse_request("REPORT");
    refuse_request("REPORT llm");
    refuse_request("REPORT llm 0");
    refuse_request("REPORT llm 0 -");
    refuse_request("REPORT llm - - success");
    refuse_request("REPORT llm x - success");
    refuse_request("REPORT llm 0 x success");
    refuse_request("REPORT llm 0 9007199254740992 success");
    refuse_request("REPORT llm 0 - good");
    refuse_request("REPORT llm 0 - Success");
    refuse_request("REPORT llm 0 - success x");
    refuse_request("REPORT llm 0 - success -1");
    refuse_request("REPORT llm 0 - success 1 0");
    refuse_request("REPORT llm 0 - success 1 0+");
    refuse_request("REPORT llm 0 - success 1 +");
    refuse_request("REPORT llm 0 - success 1 1++");
    refuse_request("REPORT llm 0 - success 1 1 x");
    refuse("REPORTQ * 0 - success", BK_ERR_BAD_SERVICE);
}

static void
tallies_are_of_two_kinds(void **state)
{
    (void)state;
    accept_line("TALLYQ llm allowed 17");
    assert_true(request.is_allowed);
    assert_int_equal(request.count, 17);
    expect(request.value, NULL);
    accept_line("TALLYQ llm denied 3 rate_limited");
    assert_false(request.is_allowed);
    assert_int_equal(request.count, 3);
    expect(request.value, "rate_limited");
    refuse_request("TALLYQ llm");
    refuse_request("TALLYQ llm both 1");
    refuse_request("TALLYQ llm allowed");
    refuse_request("TALLYQ llm allowed x");
    refuse_request("TALLYQ llm allowed -");
}

static void
retries_name_the_attempt_that_failed(void **state)
{
    (void)state;
    accept_line("RETRY llm 2 rate_limited 1500");
    assert_int_equal(request.attempt, 2);
    assert_int_equal(request.outcome, BK_RATE_LIMITED);
    assert_int_equal(request.duration_ms, 1500);
    accept_line("RETRY llm 1 failure");
    assert_int_equal(request.duration_ms, 0);
    accept_line("RETRY llm 1 failure 0");
    accept_line("RETRY llm 1 failure -");
    refuse_request("RETRY llm 0 failure");
    refuse_request("RETRY llm - failure");
    refuse_request("RETRY llm 1");
    refuse_request("RETRY llm 1 bad");
    refuse_request("RETRY llm 1 failure x");
}

static void
permits_are_given_back_and_renewed(void **state)
{
    (void)state;
    accept_line("RELEASE 17");
    assert_int_equal(request.id, 17);
    accept_line("RELEASE 0");
    refuse_request("RELEASE");
    refuse_request("RELEASE -");
    refuse_request("RELEASE llm");
    accept_line("RENEW 17 2000");
    assert_int_equal(request.id, 17);
    assert_int_equal(request.duration_ms, 2000);
    refuse_request("RENEW 17");
    refuse_request("RENEW 17 0");
    refuse_request("RENEW 17 -");
    refuse_request("RENEW - 5");
}

static void
status_and_config_may_be_of_all(void **state)
{
    (void)state;
    accept_line("STATUS");
    assert_true(request.is_all);
    accept_line("STATUS llm");
    assert_false(request.is_all);
    expect(request.service, "llm");
    accept_line("CONFIG");
    assert_true(request.is_all);
    accept_line("CONFIG llm");
    assert_false(request.is_all);
}

static void
reset_auto_and_history_take_a_star(void **state)
{
    (void)state;
    accept_line("RESET *");
    assert_true(request.is_all);
    expect(request.service, "*");
    expect(request.text, NULL);
    accept_line("RESET * after the outage");
    assert_true(request.is_all);
    expect(request.text, "after the outage");
    accept_line("RESET llm by hand");
    assert_false(request.is_all);
    expect(request.text, "by hand");
    accept_line("AUTO *");
    assert_true(request.is_all);
    accept_line("AUTO llm");
    accept_line("HISTORY *");
    assert_true(request.is_all);
    assert_int_equal(request.count, 20);
    accept_line("HISTORY llm 5");
    assert_int_equal(request.count, 5);
    assert_int_equal(request.id, 0);
    accept_line("HISTORY llm 5 41");
    assert_int_equal(request.id, 41);
    refuse_request("HISTORY");
    refuse_request("HISTORY llm x");
    refuse_request("HISTORY llm 5 x");
    refuse_request("RESET");
    refuse_request("AUTO");
}

static void
a_backup_has_a_path_from_the_root(void **state)
{
    (void)state;
    accept_line("BACKUP new /var/backups/a b.db");
    expect(request.text, "/var/backups/a b.db");
    assert_false(request.is_allowed);
    accept_line("BACKUP replace /a");
    assert_true(request.is_allowed);
    refuse_request("BACKUP");
    refuse_request("BACKUP new");
    refuse_request("BACKUP new a.db");
    refuse_request("BACKUP /a");
}

static void
overrides_have_an_end_or_none(void **state)
{
    static const char *const commands[] = {"TRIP", "BYPASS", "OBSERVE"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        accept_joined(commands[i], " llm 60000 deploying 2.1");
        assert_int_equal(request.command, BK_CMD_TRIP + (int)i);
        assert_true(request.has_duration);
        assert_int_equal(request.duration_ms, 60000);
        expect(request.text, "deploying 2.1");
        accept_joined(commands[i], " llm -");
        assert_false(request.has_duration);
        expect(request.text, NULL);
    }
    refuse_request("TRIP llm");
    refuse_request("TRIP llm 0");
    refuse_request("TRIP llm soon");
    refuse_request("TRIP");
}

static void
set_takes_one_word(void **state)
{
    (void)state;
    accept_line("SET llm retry_on failure,timeout from now on");
    expect(request.service, "llm");
    expect(request.key, "retry_on");
    expect(request.value, "failure,timeout");
    refuse_request("SET llm retry_on");
    refuse_request("SET llm retry_on ");
    refuse_request("SET llm");
    accept_line("UNSET llm retry_on");
    expect(request.key, "retry_on");
    refuse_request("UNSET llm");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_row),
        cmocka_unit_test(lines_are_bounded_and_plain),
        cmocka_unit_test(one_space_stands_between_words),
        cmocka_unit_test(extra_words_are_ignored),
        cmocka_unit_test(service_names_are_checked),
        cmocka_unit_test(hello_names_a_worker),
        cmocka_unit_test(acquire_has_defaults),
        cmocka_unit_test(reports_are_read_whole),
        cmocka_unit_test(faulty_reports_are_refused),
        cmocka_unit_test(tallies_are_of_two_kinds),
        cmocka_unit_test(retries_name_the_attempt_that_failed),
        cmocka_unit_test(permits_are_given_back_and_renewed),
        cmocka_unit_test(status_and_config_may_be_of_all),
        cmocka_unit_test(reset_auto_and_history_take_a_star),
        cmocka_unit_test(a_backup_has_a_path_from_the_root),
        cmocka_unit_test(overrides_have_an_end_or_none),
        cmocka_unit_test(set_takes_one_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
