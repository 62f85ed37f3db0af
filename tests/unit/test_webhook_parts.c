/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks without a network: what is sent, read back, and how changes become
 * messages, in virtual time. */
#include "daemon/prober/body.h"
#include "daemon/prober/pace.h"
#include "unit.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static struct body_change
a_change(void)
{
    struct body_change c = {.from = BK_CLOSED,
                            .to = BK_OPEN,
                            .mode = BK_AUTO,
                            .cause = BK_CAUSE_FAILURE_RATE,
                            .seq = 17,
                            .generation = 3,
                            .at_ms = 1795321700123,
                            .until_ms = 1795321760001,
                            .count = 1};
    memcpy(c.service, "gpt-4", 6);
    memcpy(c.actor, "-", 2);
    return c;
}

static json_t *
written(enum bk_webhook_format format, const struct body_change *c)
{
    char body[BODY_SIZE];
    json_error_t error;
    body_write(format, c, "host-1", body);
    json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("%s in %s", error.text, body);
    return json;
}

static const char *
word(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static void
the_generic_form_is_a_cloud_event(void **state)
{
    (void)state;
    struct body_change c = a_change();
    json_t *json = written(BK_WEBHOOK_GENERIC, &c);
    assert_string_equal(word(json, "specversion"), "1.0");
    assert_string_equal(word(json, "type"), "io.breakerd.circuit.transition");
    assert_string_equal(word(json, "source"), "//host-1/breakerd");
    assert_string_equal(word(json, "subject"), "gpt-4");
    assert_string_equal(word(json, "id"), "1795321700123-17");
    assert_string_equal(word(json, "time"), "2026-11-22T04:28:20.123Z");
    assert_string_equal(word(json, "datacontenttype"), "application/json");
    const json_t *data = json_object_get(json, "data");
    assert_string_equal(word(data, "from"), "closed");
    assert_string_equal(word(data, "to"), "open");
    assert_string_equal(word(data, "mode"), "auto");
    assert_string_equal(word(data, "reason"), "failure_rate");
    assert_string_equal(word(data, "until"), "2026-11-22T04:29:20.001Z");
    assert_int_equal(json_integer_value(json_object_get(data, "count")), 1);
    assert_int_equal(json_integer_value(json_object_get(data, "seq")), 17);
    json_decref(json);
    c.until_ms = 0;
    json = written(BK_WEBHOOK_GENERIC, &c);
    data = json_object_get(json, "data");
    assert_true(json_is_null(json_object_get(data, "until")));
    json_decref(json);
    assert_string_equal(body_content_type(BK_WEBHOOK_GENERIC),
                        "application/cloudevents+json");
}

static void
discord_calls_nobody(void **state)
{
    (void)state;
    struct body_change c = a_change();
    memcpy(c.service, "@everyone", 10);
    c.cause = BK_CAUSE_OPERATOR;
    c.mode = BK_FORCED_OPEN;
    c.count = 100;
    memcpy(c.text, "@here \"now\"", 12);
    json_t *json = written(BK_WEBHOOK_DISCORD, &c);
    const json_t *parse =
        json_object_get(json_object_get(json, "allowed_mentions"), "parse");
    assert_true(json_is_array(parse));
    assert_int_equal(json_array_size(parse), 0);
    assert_string_equal(word(json, "username"), "breakerd");
    const json_t *embed = json_array_get(json_object_get(json, "embeds"), 0);
    assert_string_equal(word(embed, "title"),
                        "@everyone: closed -> open, mode forced_open");
    assert_string_equal(word(embed, "description"),
                        "an operator ordered it: @here \"now\"");
    assert_string_equal(word(embed, "timestamp"), "2026-11-22T04:28:20.123Z");
    assert_int_equal(json_integer_value(json_object_get(embed, "color")),
                     15158332);
    const json_t *fields = json_object_get(embed, "fields");
    assert_int_equal(json_array_size(fields), 4);
    assert_string_equal(word(json_array_get(fields, 1), "value"),
                        "forced_open");
    assert_string_equal(word(json_array_get(fields, 2), "value"),
                        "<t:1795321761:R>");
    assert_string_equal(word(json_array_get(fields, 3), "value"), "100");
    json_decref(json);
}

static void
a_change_of_mode_alone_says_so(void **state)
{
    (void)state;
    struct body_change c = a_change();
    c.cause = BK_CAUSE_OPERATOR;
    c.to = c.from;
    c.mode = BK_BYPASS;
    json_t *json = written(BK_WEBHOOK_DISCORD, &c);
    const json_t *embed = json_array_get(json_object_get(json, "embeds"), 0);
    assert_string_equal(word(embed, "title"), "gpt-4: closed, mode bypass");
    json_decref(json);
}

static void
slack_gets_no_markup_of_others(void **state)
{
    (void)state;
    struct body_change c = a_change();
    c.cause = BK_CAUSE_OPERATOR;
    c.to = BK_HALF_OPEN;
    c.count = 2;
    memcpy(c.text, "<!channel> a&b", 15);
    json_t *json = written(BK_WEBHOOK_SLACK, &c);
    assert_string_equal(word(json, "text"),
                        "gpt-4: closed -&gt; half_open (an operator ordered "
                        "it: &lt;!channel&gt; a&amp;b)");
    const json_t *blocks = json_object_get(json, "blocks");
    const json_t *header = json_array_get(blocks, 0);
    assert_string_equal(word(header, "type"), "header");
    assert_string_equal(word(json_object_get(header, "text"), "text"),
                        "gpt-4: closed -> half_open");
    const json_t *fields = json_object_get(json_array_get(blocks, 1), "fields");
    assert_int_equal(json_array_size(fields), 4);
    assert_string_equal(
        word(json_array_get(fields, 0), "text"),
        "*reason*\nan operator ordered it: &lt;!channel&gt; a&amp;b");
    assert_string_equal(word(json_array_get(fields, 3), "text"),
                        "*changes*\n2");
    json_decref(json);
}

/* The longest of everything, in octets that need the most room. */
static void
every_body_fits_and_keeps_to_the_limits(void **state)
{
    (void)state;
    struct body_change c = a_change();
    memset(c.service, 'x', sizeof(c.service) - 1);
    memset(c.text, '&', sizeof(c.text) - 1);
    memset(c.actor, '\x01', sizeof(c.actor) - 1);
    c.count = c.seq = c.generation = BK_NUMBER_END - 1;
    c.mode = BK_FORCED_OPEN;
    for (int cause = 0; cause < BK_CAUSE_COUNT; cause++) {
        c.cause = (enum bk_cause)cause;
        for (int f = 0; f < BK_WEBHOOK_FORMAT_COUNT; f++) {
            json_t *json = written((enum bk_webhook_format)f, &c);
            char *text = json_dumps(json, JSON_COMPACT);
            assert_true(strlen(text) < 3000);
            free(text);
            json_decref(json);
        }
    }
    memset(c.text, '\x02', sizeof(c.text) - 1);
    for (int f = 0; f < BK_WEBHOOK_FORMAT_COUNT; f++)
        json_decref(written((enum bk_webhook_format)f, &c));
}

/* ---- pace ---- */

static struct pace pace;

static bool
add(const char *service, enum bk_state from, enum bk_state to, int64_t now_ns)
{
    struct body_change c = a_change();
    memset(c.service, 0, sizeof(c.service));
    memcpy(c.service, service, strlen(service));
    c.from = from;
    c.to = to;
    return pace_add(&pace, 3, &c, now_ns);
}

static void
a_flap_is_one_message(void **state)
{
    (void)state;
    memset(&pace, 0, sizeof(pace));
    for (int i = 0; i < 50; i++) {
        int64_t now_ns = SECONDS(100) + INT64_C(20) * i * BK_NS_PER_MS;
        assert_true(add("llm", BK_CLOSED, BK_OPEN, now_ns));
        assert_true(add("llm", BK_OPEN, BK_CLOSED, now_ns));
        assert_null(pace_due(&pace, 3, now_ns));
    }
    assert_true(pace_deadline(&pace, 3) == SECONDS(101));
    assert_true(pace_deadline(&pace, 2) == BK_NEVER);
    assert_null(pace_due(&pace, 2, SECONDS(101)));
    struct pace_row *row = pace_due(&pace, 3, SECONDS(101));
    assert_non_null(row);
    assert_int_equal(row->change.count, 100);
    assert_int_equal(row->change.from, BK_CLOSED);
    assert_int_equal(row->change.to, BK_CLOSED);
}

static void
the_next_message_of_a_service_comes_ten_seconds_later(void **state)
{
    (void)state;
    memset(&pace, 0, sizeof(pace));
    add("llm", BK_CLOSED, BK_OPEN, 0);
    struct pace_row *row = pace_due(&pace, 3, SECONDS(1));
    pace_begin(row);
    assert_null(pace_due(&pace, 3, SECONDS(1)));
    assert_true(pace_deadline(&pace, 3) == BK_NEVER);
    /* What comes while it is out is for the next one. */
    add("llm", BK_OPEN, BK_HALF_OPEN, SECONDS(1));
    add("llm", BK_HALF_OPEN, BK_CLOSED, SECONDS(1));
    pace_end(row, SECONDS(2));
    assert_null(pace_due(&pace, 3, SECONDS(12) - 1));
    row = pace_due(&pace, 3, SECONDS(12));
    assert_int_equal(row->change.count, 2);
    assert_int_equal(row->change.from, BK_OPEN);
    assert_int_equal(row->change.to, BK_CLOSED);
    pace_begin(row);
    pace_end(row, SECONDS(12));
    /* Within the window one waits for its end, later for a second only. */
    add("llm", BK_CLOSED, BK_OPEN, SECONDS(20));
    assert_true(pace_deadline(&pace, 3) == SECONDS(22));
    row = pace_due(&pace, 3, SECONDS(22));
    pace_begin(row);
    pace_end(row, SECONDS(22));
    add("llm", BK_OPEN, BK_CLOSED, SECONDS(50));
    assert_true(pace_deadline(&pace, 3) == SECONDS(51));
}

static void
a_message_that_failed_takes_along_what_came(void **state)
{
    (void)state;
    memset(&pace, 0, sizeof(pace));
    add("llm", BK_CLOSED, BK_OPEN, 0);
    struct pace_row *row = pace_due(&pace, 3, SECONDS(1));
    row->attempt = 2;
    pace_begin(row);
    add("llm", BK_OPEN, BK_HALF_OPEN, SECONDS(1));
    pace_again(row, SECONDS(4));
    assert_null(pace_due(&pace, 3, SECONDS(4) - 1));
    row = pace_due(&pace, 3, SECONDS(4));
    assert_int_equal(row->attempt, 2);
    assert_int_equal(row->change.count, 2);
    assert_int_equal(row->change.from, BK_CLOSED);
    assert_int_equal(row->change.to, BK_HALF_OPEN);
    assert_int_equal(pace_drop(&pace, 3), 2);
    assert_null(pace_due(&pace, 3, SECONDS(99)));
}

static void
room_is_bounded_and_comes_back(void **state)
{
    (void)state;
    char name[16];
    memset(&pace, 0, sizeof(pace));
    for (int i = 0; i < PACE_ROWS; i++) {
        snprintf(name, sizeof(name), "llm-%d", i);
        assert_true(add(name, BK_CLOSED, BK_OPEN, i));
    }
    assert_false(add("one-more", BK_CLOSED, BK_OPEN, 0));
    assert_true(add("llm-7", BK_OPEN, BK_CLOSED, 0));
    /* The longest due comes first. */
    struct pace_row *row = pace_due(&pace, 3, SECONDS(5));
    assert_string_equal(row->change.service, "llm-0");
    pace_begin(row);
    pace_end(row, SECONDS(5));
    assert_false(add("one-more", BK_CLOSED, BK_OPEN, SECONDS(15) - 1));
    assert_true(add("one-more", BK_CLOSED, BK_OPEN, SECONDS(15)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generic_form_is_a_cloud_event),
        cmocka_unit_test(discord_calls_nobody),
        cmocka_unit_test(a_change_of_mode_alone_says_so),
        cmocka_unit_test(slack_gets_no_markup_of_others),
        cmocka_unit_test(every_body_fits_and_keeps_to_the_limits),
        cmocka_unit_test(a_flap_is_one_message),
        cmocka_unit_test(the_next_message_of_a_service_comes_ten_seconds_later),
        cmocka_unit_test(a_message_that_failed_takes_along_what_came),
        cmocka_unit_test(room_is_bounded_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
