/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: told after the job that saves them, in order, as documented. */
#include "daemon/events.h"
#include "unit.h"
#include <stdlib.h>
#include <zmq.h>

struct radio {
    void *context;
    void *publisher;
    void *subscriber;
    struct events *events;
};

static int
open_radio(void **state)
{
    struct radio *r = calloc(1, sizeof(*r));
    int patience_ms = 200;
    assert_non_null(r);
    r->context = zmq_ctx_new();
    r->publisher = zmq_socket(r->context, ZMQ_XPUB);
    r->subscriber = zmq_socket(r->context, ZMQ_SUB);
    zmq_setsockopt(r->subscriber, ZMQ_SUBSCRIBE, "", 0);
    zmq_setsockopt(r->subscriber, ZMQ_RCVTIMEO, &patience_ms,
                   sizeof(patience_ms));
    assert_int_equal(zmq_bind(r->publisher, "inproc://events"), 0);
    assert_int_equal(zmq_connect(r->subscriber, "inproc://events"), 0);
    char subscription[8]; /* has arrived once it can be read here */
    assert_int_equal(
        zmq_recv(r->publisher, subscription, sizeof(subscription), 0), 1);
    r->events = events_open(r->publisher);
    assert_non_null(r->events);
    *state = r;
    return 0;
}

static int
close_radio(void **state)
{
    struct radio *r = *state;
    events_close(&r->events);
    zmq_close(r->subscriber);
    zmq_close(r->publisher);
    zmq_ctx_term(r->context);
    free(r);
    return 0;
}

static struct bk_past
make_event(uint64_t seq)
{
    struct bk_past e = {.seq = seq,
                        .wall_ms = 1700000000123,
                        .from = BK_CLOSED,
                        .to = BK_OPEN,
                        .mode = BK_AUTO,
                        .cause = BK_CAUSE_FAILURE_RATE,
                        .generation = 4};
    memcpy(e.service, "gpt-4", 6);
    memcpy(e.actor, "-", 2);
    return e;
}

static int
receive(struct radio *r, char *text, size_t size)
{
    int n = zmq_recv(r->subscriber, text, size - 1, 0);
    if (n >= 0) {
        text[n] = '\0';
    }
    return n;
}

static void
test_nothing_is_told_before_it_is_saved(void **state)
{
    struct radio *r = *state;
    char text[1024];
    struct bk_past first = make_event(1);
    struct bk_past second = make_event(2);
    events_put(r->events, 10, &first, true);
    events_put(r->events, 11, &second, true);
    events_saved(r->events, 9, NULL, NULL);
    assert_int_equal(receive(r, text, sizeof(text)), -1);
    events_saved(r->events, 10, NULL, NULL);
    assert_int_equal(receive(r, text, sizeof(text)), 13);
    assert_string_equal(text, "breaker.gpt-4");
    receive(r, text, sizeof(text));
    assert_string_equal(
        text, "{\"seq\":1,\"service\":\"gpt-4\",\"from\":\"closed\",\"to\":"
              "\"open\",\"mode\":\"auto\",\"reason\":\"failure_rate\","
              "\"generation\":4,\"actor\":\"-\",\"at\":"
              "\"2023-11-14T22:13:20.123Z\"}");
    assert_int_equal(receive(r, text, sizeof(text)), -1);
    events_saved(r->events, 11, NULL, NULL);
    assert_int_equal(receive(r, text, sizeof(text)), 13);
}

static void
note_saved(void *context, const struct bk_past *line)
{
    uint64_t *sum = context;
    *sum = *sum * 10 + line->seq;
}

static void
test_every_line_is_handed_on_and_transitions_are_told(void **state)
{
    struct radio *r = *state;
    char text[1024];
    uint64_t saved = 0;
    for (uint64_t seq = 1; seq <= 3; seq++) {
        struct bk_past e = make_event(seq);
        events_put(r->events, seq, &e, seq != 2);
    }
    events_saved(r->events, 2, note_saved, &saved);
    assert_int_equal(saved, 12);
    events_saved(r->events, 3, note_saved, &saved);
    assert_int_equal(saved, 123);
    receive(r, text, sizeof(text));
    receive(r, text, sizeof(text));
    assert_int_equal(strncmp(text, "{\"seq\":1,", 9), 0);
    receive(r, text, sizeof(text));
    receive(r, text, sizeof(text));
    assert_int_equal(strncmp(text, "{\"seq\":3,", 9), 0);
    assert_int_equal(receive(r, text, sizeof(text)), -1);
}

static void
test_the_oldest_goes_when_too_many_wait(void **state)
{
    struct radio *r = *state;
    for (uint64_t seq = 1; seq <= 10005; seq++) {
        struct bk_past e = make_event(seq);
        events_put(r->events, seq, &e, true);
    }
    assert_int_equal(events_dropped(r->events), 5);
    char text[1024];
    events_saved(r->events, 6, NULL, NULL);
    receive(r, text, sizeof(text));
    receive(r, text, sizeof(text));
    assert_int_equal(strncmp(text, "{\"seq\":6,", 9), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_told_before_it_is_saved,
                                        open_radio, close_radio),
        cmocka_unit_test_setup_teardown(
            test_every_line_is_handed_on_and_transitions_are_told, open_radio,
            close_radio),
        cmocka_unit_test_setup_teardown(test_the_oldest_goes_when_too_many_wait,
                                        open_radio, close_radio)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
