/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's history: events put, trimmed, lost to a full queue, asked for. */
#include "stores.h"
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static void
ask(struct stores *t, const char *service, uint64_t limit)
{
    int before = t->histories;

    (void)store_ask_history(t->store, service, limit, 0, 4711);
    store_flush(t->store);
    for (int i = 0; i < WAIT_MS / 100 && t->histories == before; i++)
        (void)stores_listen(t, 100);
    assert_int_equal(t->histories, before + 1);
    assert_int_equal(t->history.ticket, 4711);
}

static void
history_is_told_newest_last(void **state)
{
    struct stores *t = *state;
    struct bk_past event = stores_event("a", 1);

    stores_must_open(t);
    ask(t, NULL, 10);
    assert_string_equal(t->history.json, "{\"history\":[]}");
    (void)store_put_event(t->store, &event);
    event = stores_event("b", 2);
    event.from = BK_OPEN;
    event.to = BK_CLOSED;
    event.mode = BK_BYPASS;
    event.cause = BK_CAUSE_OPERATOR;
    strcpy(event.actor, "0:0:1");
    strcpy(event.text, "it \"works\"\n\xff");
    (void)store_put_event(t->store, &event);
    /* Asked in the same batch, answered after it. */
    ask(t, NULL, 10);
    assert_string_equal(
        t->history.json,
        "{\"history\":["
        "{\"seq\":1,\"at\":\"2026-11-22T07:12:45.124Z\",\"service\":\"a\","
        "\"from\":\"closed\",\"to\":\"open\",\"mode\":\"auto\","
        "\"reason\":\"consecutive_failures\",\"generation\":1,"
        "\"actor\":\"-\",\"text\":\"\"},"
        "{\"seq\":2,\"at\":\"2026-11-22T07:12:45.125Z\",\"service\":\"b\","
        "\"from\":\"open\",\"to\":\"closed\",\"mode\":\"bypass\","
        "\"reason\":\"operator\",\"generation\":2,"
        "\"actor\":\"0:0:1\",\"text\":\"it \\\"works\\\"\\n\xef\xbf\xbd\"}]}");
    assert_int_equal(strlen(t->history.json), t->history.json_len);
    ask(t, "a", 10);
    assert_non_null(strstr(t->history.json, "\"seq\":1,"));
    assert_null(strstr(t->history.json, "\"seq\":2,"));
    ask(t, NULL, 1);
    assert_null(strstr(t->history.json, "\"seq\":1,"));
    assert_non_null(strstr(t->history.json, "\"seq\":2,"));
    ask(t, "nobody", 10);
    assert_string_equal(t->history.json, "{\"history\":[]}");
    stores_again(t, WALL);
    assert_int_equal(t->meta.last_seq, 2);
}

/* First and last "seq" of the answer, and their number. */
static size_t
span_of(const struct stores *t, long long *first, long long *last)
{
    json_t *root = json_loads(t->history.json, 0, NULL);
    json_t *rows = json_object_get(root, "history");
    size_t count = json_array_size(rows);

    assert_true(json_is_array(rows));
    if (count > 0) {
        *first =
            json_integer_value(json_object_get(json_array_get(rows, 0), "seq"));
        *last = json_integer_value(
            json_object_get(json_array_get(rows, count - 1), "seq"));
    }
    json_decref(root);
    return count;
}

static void
history_is_trimmed(void **state)
{
    struct stores *t = *state;
    const uint64_t end = 100000 + 6000;
    long long first;
    long long last;

    stores_must_open(t);
    for (uint64_t seq = 1; seq <= end; seq++) {
        struct bk_past event = stores_event("a", seq);
        uint64_t job = store_put_event(t->store, &event);

        if (seq % 5000 == 0 || seq == end)
            stores_await(t, job);
    }
    ask(t, "a", 1000000);
    assert_int_equal(span_of(t, &first, &last), 10000);
    assert_int_equal(first, end - 9999);
    assert_int_equal(last, end);
    stores_close(t);
    stores_sql(t, "CREATE TEMP TABLE t (x CHECK (x)); INSERT INTO t"
                  " SELECT count(*) = 100000 AND min(seq) = 6001 FROM history");
}

/* More than fit before the thread ever runs: the oldest make room and are
 * counted. */
static void
too_many_events_are_counted(void **state)
{
    struct stores *t = *state;
    struct store_stats stats;
    long long first;
    long long last;
    uint64_t job = 0;

    stores_must_open(t);
    for (uint64_t seq = 1; seq <= 10007; seq++) {
        struct bk_past event = stores_event("a", seq);

        job = store_put_event(t->store, &event);
    }
    stores_await(t, job);
    store_stats(t->store, &stats);
    assert_int_equal(stats.dropped_events, 7);
    ask(t, NULL, 20000);
    assert_int_equal(span_of(t, &first, &last), 10000);
    assert_int_equal(first, 8);
    assert_int_equal(last, 10007);
}

static void
every_question_is_answered(void **state)
{
    struct stores *t = *state;
    struct store_done done;
    int answered = 0;
    int refused = 0;

    stores_must_open(t);
    for (uint64_t i = 0; i < 3000; i++)
        (void)store_ask_history(t->store, "a", 5, 0, i);
    store_flush(t->store);
    for (int i = 0; i < WAIT_MS / 10 && answered + refused < 3000; i++) {
        while (store_next(t->store, &done)) {
            assert_int_equal(done.kind, STORE_ANSWER);
            if (done.json == NULL) {
                assert_string_equal(done.text, "too many questions at once");
                refused++;
            } else {
                answered++;
            }
            free(done.json);
        }
        usleep(10000);
    }
    assert_int_equal(answered, 1024);
    assert_int_equal(refused, 3000 - 1024);
    /* And afterwards there is room again. */
    ask(t, NULL, 1);
    assert_non_null(t->history.json);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history_is_told_newest_last),
        TEST(history_is_trimmed),
        TEST(too_many_events_are_counted),
        TEST(every_question_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
