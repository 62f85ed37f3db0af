/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies: frames in order, answers that come later, answers the disk refused. */
#include "daemon/reply.h"
#include "unit.h"
#include <stdlib.h>
#include <zmq.h>

struct line {
    void *context;
    void *router;
    void *dealer;
};

static int
open_line(void **state)
{
    struct line *l = calloc(1, sizeof(*l));
    int mandatory = 1;
    assert_non_null(l);
    l->context = zmq_ctx_new();
    l->router = zmq_socket(l->context, ZMQ_ROUTER);
    l->dealer = zmq_socket(l->context, ZMQ_DEALER);
    zmq_setsockopt(l->router, ZMQ_ROUTER_MANDATORY, &mandatory,
                   sizeof(mandatory));
    zmq_setsockopt(l->dealer, ZMQ_ROUTING_ID, "peer", 4);
    assert_int_equal(zmq_bind(l->router, "inproc://reply"), 0);
    assert_int_equal(zmq_connect(l->dealer, "inproc://reply"), 0);
    /* The router knows a peer once it has heard from it. */
    char heard[16];
    assert_int_equal(zmq_send(l->dealer, "x", 1, 0), 1);
    assert_int_equal(zmq_recv(l->router, heard, sizeof(heard), 0), 4);
    assert_int_equal(zmq_recv(l->router, heard, sizeof(heard), 0), 1);
    *state = l;
    return 0;
}

static int
close_line(void **state)
{
    struct line *l = *state;
    zmq_close(l->dealer);
    zmq_close(l->router);
    zmq_ctx_term(l->context);
    free(l);
    return 0;
}

static struct reply *
make_reply(const struct line *l, const char *peer)
{
    struct reply *r = reply_new();
    assert_non_null(r);
    reply_clear(r);
    r->socket = l->router;
    assert_true(reply_add_route(r, peer, strlen(peer)));
    assert_true(reply_add_route(r, "", 0));
    return r;
}

static void
expect_frame(const struct line *l, const char *text, bool has_more)
{
    char frame[512];
    int more = 0;
    size_t size = sizeof(more);
    int n = zmq_recv(l->dealer, frame, sizeof(frame) - 1, 0);
    assert_true(n >= 0);
    frame[n] = '\0';
    assert_string_equal(frame, text);
    zmq_getsockopt(l->dealer, ZMQ_RCVMORE, &more, &size);
    assert_int_equal(more != 0, has_more);
}

static void
test_answers_go_out_in_order(void **state)
{
    const struct line *l = *state;
    struct reply *r = make_reply(l, "peer");
    reply_add(r, "OK one", 6);
    size_t later = reply_add_due(r);
    reply_add(r, "", 0);
    assert_false(reply_is_whole(r, 0));
    char *own = malloc(7);
    assert_non_null(own);
    memcpy(own, "OK two", 7);
    reply_fill(r, later, own, 6);
    assert_true(reply_is_whole(r, 0));
    assert_true(reply_send(r));
    expect_frame(l, "", true);
    expect_frame(l, "OK one", true);
    expect_frame(l, "OK two", true);
    expect_frame(l, "", false);
    reply_free(&r);
    assert_null(r);
}

static void
test_the_disk_is_waited_for(void **state)
{
    struct reply *r = make_reply(*state, "peer");
    reply_add(r, "OK saved", 8);
    r->answers[0].needs_disk = true;
    r->job = 7;
    assert_false(reply_is_whole(r, 6));
    assert_true(reply_is_whole(r, 7));
    reply_free(&r);
}

static void
test_what_the_disk_refused_becomes_an_error(void **state)
{
    const struct line *l = *state;
    struct reply *r = make_reply(l, "peer");
    reply_add(r, "PONG 1", 6);
    reply_add(r, "OK {}", 5);
    r->answers[1].needs_disk = true;
    r->job = 3;
    reply_fail_disk(r, "disk is full");
    assert_true(reply_is_whole(r, 0));
    assert_true(reply_send(r));
    expect_frame(l, "", true);
    expect_frame(l, "PONG 1", true);
    expect_frame(l, "ERR unavailable disk is full", false);
    reply_free(&r);
}

static void
test_a_peer_that_is_gone_is_told_of(void **state)
{
    struct reply *r = make_reply(*state, "nobody");
    reply_add(r, "OK", 2);
    assert_false(reply_send(r));
    reply_free(&r);
}

static void
test_a_reply_is_used_again(void **state)
{
    struct reply *r = make_reply(*state, "peer");
    for (int i = 0; i < 1000; i++) {
        reply_add(r, "0123456789012345678901234567890123456789", 40);
    }
    assert_int_equal(r->count, 1000);
    assert_memory_equal(r->arena + r->answers[999].from, "0123456789", 10);
    reply_clear(r);
    assert_int_equal(r->count, 0);
    assert_int_equal(r->route_count, 0);
    assert_true(reply_is_whole(r, 0));
    reply_free(&r);
}

static void
test_a_route_has_its_limits(void **state)
{
    char frame[REPLY_ROUTE_FIRST + 1] = "";
    struct reply *r = reply_new();
    (void)state;
    assert_non_null(r);
    assert_false(reply_add_route(r, frame, REPLY_ROUTE_FIRST + 1));
    assert_true(reply_add_route(r, frame, REPLY_ROUTE_FIRST));
    assert_false(reply_add_route(r, frame, BK_ENVELOPE_OCTETS + 1));
    for (unsigned i = 1; i < REPLY_ROUTE_MAX; i++) {
        assert_true(reply_add_route(r, frame, BK_ENVELOPE_OCTETS));
    }
    assert_false(reply_add_route(r, frame, 0));
    reply_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers_go_out_in_order, open_line,
                                        close_line),
        cmocka_unit_test_setup_teardown(test_the_disk_is_waited_for, open_line,
                                        close_line),
        cmocka_unit_test_setup_teardown(
            test_what_the_disk_refused_becomes_an_error, open_line, close_line),
        cmocka_unit_test_setup_teardown(test_a_peer_that_is_gone_is_told_of,
                                        open_line, close_line),
        cmocka_unit_test_setup_teardown(test_a_reply_is_used_again, open_line,
                                        close_line),
        cmocka_unit_test(test_a_route_has_its_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
