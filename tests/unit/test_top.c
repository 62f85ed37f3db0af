/* SPDX-License-Identifier: Apache-2.0
 *
 * The screen of breakerctl top without a terminal: what it draws at any size, what
 * keys do, and in which order rows come. */
#include "tools/ctl_top.h"
#include "unit.h"
#include <stdio.h>
#include <string.h>

static struct top t;
static struct top_page page;

static void
add(const char *name, enum bk_state state, enum bk_mode mode)
{
    struct top_row *row;

    t.rows = ctl_memory(t.rows, (t.count + 1) * sizeof *t.rows);
    row = &t.rows[t.count++];
    *row = (struct top_row){.state = state,
                            .mode = mode,
                            .since_ns = BK_NS_PER_S,
                            .budget_ppm = 10 * BK_PPM,
                            .failures_in_row_limit = 5};
    bk_copy_text(row->name, sizeof row->name, name, strlen(name));
}

static int
begin(void **state)
{
    (void)state;
    top_init(&t);
    t.is_running = true;
    t.pid = 4711;
    t.epoch = 7;
    t.uptime_ns = 90 * BK_NS_PER_S;
    bk_copy_text(t.version, sizeof t.version, "0.1.0", 5);
    add("claude", BK_CLOSED, BK_AUTO);
    add("gpt-4", BK_OPEN, BK_AUTO);
    add("mistral", BK_HALF_OPEN, BK_AUTO);
    add("ship", BK_OPEN, BK_FORCED_OPEN);
    t.rows[0].calls_mps = 12345;
    t.rows[0].failure_ppm = BK_PPM / 8;
    t.rows[0].failure_limit_ppm = BK_PPM / 2;
    t.rows[1].left_ns = 58 * BK_NS_PER_S;
    t.rows[1].denied_mps = 1500000;
    t.rows[1].failures_in_row = 5;
    t.rows[2].permit_limit = 3;
    t.rows[2].permits = 1;
    t.rows[2].calls_mps = TOP_UNKNOWN;
    t.rows[3].budget_ppm = BK_PPM / 2;
    top_arrange(&t);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    page_fini(&page);
    top_fini(&t);
    return 0;
}

static void
draw(size_t lines, size_t columns)
{
    page_fini(&page);
    t.lines = lines;
    t.columns = columns;
    top_arrange(&t);
    top_draw(&t, false, &page);
}

static void
type(const char *keys)
{
    top_type(&t, keys, strlen(keys));
}

static const char *
line(size_t i)
{
    assert_true(i < page.count);
    return page.lines[i].text;
}

static bool
shows(const char *text)
{
    for (size_t i = 0; i < page.count; i++) {
        if (strstr(page.lines[i].text, text) != NULL)
            return true;
    }
    return false;
}

/* The order of the rows, as one text. */
static const char *
order(void)
{
    static char names[256];
    struct bk_text text;

    bk_text_init(&text, names, sizeof names);
    for (size_t i = 0; i < t.shown_count; i++) {
        bk_text_put(&text, i > 0 ? " " : "");
        bk_text_put(&text, t.rows[t.shown[i]].name);
    }
    return names;
}

static void
every_size_has_its_lines_and_none_is_too_long(void **state)
{
    (void)state;
    for (size_t lines = 1; lines < 60; lines += 3) {
        for (size_t columns = 1; columns < 320; columns += 7) {
            size_t wide = columns < TOP_COLUMNS_MAX ? columns : TOP_COLUMNS_MAX;

            draw(lines, columns);
            assert_int_equal(page.count, lines);
            for (size_t i = 0; i < page.count; i++)
                assert_true(page.lines[i].width <= wide);
        }
    }
}

static void
a_row_tells_all_at_80_columns(void **state)
{
    (void)state;
    draw(24, 80);
    assert_non_null(strstr(line(0), "breakerd is running, version 0.1.0, pid "
                                    "4711, epoch 7, up 1m 30s, 0 workers"));
    assert_non_null(strstr(line(1),
                           "4 services: 2 open, 1 half_open, 1 closed; "
                           "1 not in mode auto"));
    assert_string_equal(line(2), "  SERVICE    STATE       MODE          LEFT "
                                 "CALL/S DENY/S  FAILED ROW OUT BUDGET");
    assert_string_equal(line(3), "> ship       X open      forced_open      - "
                                 "     0      0      0% 0/5   -    0.5");
    assert_string_equal(line(4), "  gpt-4      X open      auto           58s "
                                 "     0   1.5k      0% 5/5   -   10.0");
    assert_string_equal(line(5), "  mistral    / half_open auto             - "
                                 "     -      0      0% 0/5 1/3   10.0");
    assert_string_equal(line(6), "  claude     - closed    auto             - "
                                 "    12      0 13%/50% 0/5   -   10.0");
}

static void
what_does_not_fit_is_left_out_by_worth(void **state)
{
    (void)state;
    draw(24, 200);
    assert_true(shows("REASON") && shows("SINCE") && shows("BUDGET"));
    draw(24, 40);
    assert_string_equal(line(2), "  SERVICE    STATE         LEFT  FAILED");
    add("a-name-that-is-longer-than-its-column", BK_CLOSED, BK_AUTO);
    draw(24, 40);
    assert_true(shows("a-name-tha") && shows("~ "));
    draw(24, 10);
    assert_true(shows("> ship"));
}

static void
a_daemon_that_is_away_is_said_first(void **state)
{
    (void)state;
    t.is_running = false;
    t.now_ns = t.looked_ns;
    t.heartbeat_age_ns = 12 * BK_NS_PER_S;
    draw(24, 80);
    assert_string_equal(line(0), "breakerd IS DOWN: its last heartbeat was 12s "
                                 "ago; this is what it left");
    assert_true(page.lines[0].is_marked);
    t.is_stopped = true;
    draw(24, 80);
    assert_non_null(strstr(line(0), "ended cleanly"));
    bk_copy_text(t.why, sizeof t.why, "its layout is another", 21);
    draw(24, 80);
    assert_non_null(strstr(line(0), "its layout is another"));
}

static void
keys_sort_and_turn_round(void **state)
{
    (void)state;
    assert_string_equal(order(), "ship gpt-4 mistral claude");
    type("n");
    assert_string_equal(order(), "claude gpt-4 mistral ship");
    type("n");
    assert_string_equal(order(), "ship mistral gpt-4 claude");
    type("f");
    assert_string_equal(order(), "claude gpt-4 mistral ship");
    type("d");
    assert_string_equal(order(), "gpt-4 claude mistral ship");
    type("c");
    assert_string_equal(order(), "claude gpt-4 mistral ship");
    type("t");
    assert_string_equal(order(), "gpt-4 claude mistral ship");
    type("b");
    assert_string_equal(order(), "ship claude gpt-4 mistral");
    type("sr");
    assert_string_equal(order(), "claude mistral gpt-4 ship");
}

static void
what_is_closed_and_denied_is_not_lost_among_the_calm(void **state)
{
    (void)state;
    add("anthropic", BK_CLOSED, BK_AUTO);
    add("zz-held", BK_CLOSED, BK_AUTO);
    t.rows[5].is_denied = true;
    add("bypassed", BK_CLOSED, BK_BYPASS);
    draw(24, 80);
    assert_string_equal(order(),
                        "ship gpt-4 mistral zz-held bypassed anthropic claude");
    assert_true(shows("! closed"));
}

static void
the_selection_stays_with_its_service(void **state)
{
    (void)state;
    assert_string_equal(t.selected, "ship");
    type("j\033[B");
    assert_string_equal(t.selected, "mistral");
    type("n");
    assert_string_equal(t.selected, "mistral");
    assert_int_equal(top_selected(&t), 2);
    type("\033[5~");
    assert_string_equal(t.selected, "claude");
    type("kkkGjj");
    assert_string_equal(t.selected, "ship");
    type("\033[1;5D\033[99~\033"); /* nobody knows these */
    assert_string_equal(t.selected, "ship");
}

static void
a_long_list_moves_with_the_selection(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "x%02d", i);
        add(name, BK_CLOSED, BK_AUTO);
    }
    type("n");
    draw(24, 80);
    type("g");
    for (int i = 0; i < 50; i++)
        type("j");
    draw(24, 80);
    assert_true(t.first > 0);
    assert_non_null(strstr(line(page.count - 2), t.selected));
    type("\033[6~");
    draw(10, 80);
    assert_int_equal(page.count, 10);
    assert_true(shows(t.selected));
    type("G");
    draw(24, 80);
    assert_true(shows("> x99"));
}

static void
a_filter_is_typed_kept_and_ended(void **state)
{
    (void)state;
    type("/iXs"); /* whatever case */
    type("\x7f\x7f");
    draw(24, 80);
    assert_true(shows("/i_"));
    assert_string_equal(order(), "ship mistral");
    type("s\r");
    draw(24, 80);
    assert_string_equal(order(), "mistral");
    assert_true(shows("only *is*: 1"));
    type("q");
    assert_true(t.wants_end);
    t.wants_end = false;
    type("\033");
    assert_int_equal(t.shown_count, 4);
    type("/zzz\r");
    draw(24, 80);
    assert_true(shows("no service's name"));
    type("jk\r");
    assert_int_equal(t.mode, TOP_TABLE);
}

static void
other_pages_come_and_go(void **state)
{
    (void)state;
    type("?");
    draw(24, 80);
    assert_true(shows("this help") && shows("Esc goes back"));
    type("?\r");
    assert_int_equal(t.mode, TOP_EXPLAIN);
    t.story.lines = ctl_memory(NULL, sizeof *t.story.lines);
    (void)snprintf(t.story.lines[0], TOP_LINE_SIZE, "why   %s",
                   "a sentence that is much longer than the screen is wide");
    t.story.count = 1;
    draw(24, 30);
    assert_string_equal(line(2), "ship is open (mode forced_open");
    assert_string_equal(line(3), "why   a sentence that is much");
    assert_string_equal(line(4), "      longer than the screen");
    assert_string_equal(line(5), "      is wide");
    type("\033");
    assert_int_equal(t.mode, TOP_TABLE);
    type(" ");
    draw(24, 80);
    assert_true(t.is_paused);
    assert_true(shows("PAUSED"));
}

static void
a_page_holds_nothing_that_steers_a_terminal(void **state)
{
    (void)state;
    page_init(&page, 8);
    page_add(&page);
    page_put(&page, "a\033[1m\xc2\x9b\x7f\xc3\xa4 too long");
    assert_string_equal(page.lines[0].text, "a?[1m??\xc3\xa4");
    assert_int_equal(page.lines[0].width, 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            every_size_has_its_lines_and_none_is_too_long, begin, end),
        cmocka_unit_test_setup_teardown(a_row_tells_all_at_80_columns, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_left_out_by_worth,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_daemon_that_is_away_is_said_first,
                                        begin, end),
        cmocka_unit_test_setup_teardown(keys_sort_and_turn_round, begin, end),
        cmocka_unit_test_setup_teardown(
            what_is_closed_and_denied_is_not_lost_among_the_calm, begin, end),
        cmocka_unit_test_setup_teardown(the_selection_stays_with_its_service,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_long_list_moves_with_the_selection,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_filter_is_typed_kept_and_ended, begin,
                                        end),
        cmocka_unit_test_setup_teardown(other_pages_come_and_go, begin, end),
        cmocka_unit_test_setup_teardown(
            a_page_holds_nothing_that_steers_a_terminal, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
