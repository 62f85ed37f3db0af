/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies: frames in order, answers that come later, answers the disk refused. */
#include "calling.h"
#include "daemon/reply.h"
#include "unit.h"
#include <stdlib.h>

static struct reply *
make_reply(const struct calling *l)
{
    struct reply *r = reply_new();
    assert_non_null(r);
    reply_clear(r);
    r->caller = l->key;
    assert_true(reply_add_route(r, "id", 2));
    assert_true(reply_add_route(r, "", 0));
    return r;
}

static void
expect_answer(const struct calling *l, const struct reply *r,
              const char *octets, size_t len)
{
    assert_true(reply_say(r, l->callers));
    callers_flush(l->callers);
    calling_expect(l, octets, len);
}

static void
test_answers_go_out_in_order(void **state)
{
    static const char want[] = "\1\2id\1\0\1\6OK one\1\6OK two\0\0";
    const struct calling *l = *state;
    struct reply *r = make_reply(l);
    reply_add(r, "OK one", 6);
    size_t later = reply_add_due(r);
    reply_add(r, "", 0);
    assert_false(reply_is_whole(r, 0));
    char *own = malloc(7);
    assert_non_null(own);
    memcpy(own, "OK two", 7);
    reply_fill(r, later, own, 6);
    assert_true(reply_is_whole(r, 0));
    expect_answer(l, r, want, sizeof(want) - 1);
    reply_free(&r);
    assert_null(r);
}

static void
test_a_long_answer_is_whole(void **state)
{
    static char want[6 + 9 + 100000] = "\1\2id\1\0\2\0\0\0\0\0\1\x86\xa0";
    const struct calling *l = *state;
    struct reply *r = make_reply(l);
    char *own = malloc(100000);
    assert_non_null(own);
    memset(own, 'x', 100000);
    memset(want + 15, 'x', 100000);
    reply_fill(r, reply_add_due(r), own, 100000);
    expect_answer(l, r, want, sizeof(want));
    reply_free(&r);
}

static void
test_the_disk_is_waited_for(void **state)
{
    struct reply *r = make_reply(*state);
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
    static const char want[] =
        "\1\2id\1\0\1\6PONG 1\0\34ERR unavailable disk is full";
    const struct calling *l = *state;
    struct reply *r = make_reply(l);
    reply_add(r, "PONG 1", 6);
    reply_add(r, "OK {}", 5);
    r->answers[1].needs_disk = true;
    r->job = 3;
    reply_fail_disk(r, "disk is full");
    assert_true(reply_is_whole(r, 0));
    expect_answer(l, r, want, sizeof(want) - 1);
    reply_free(&r);
}

static void
test_a_caller_that_is_gone_is_told_of(void **state)
{
    const struct calling *l = *state;
    struct reply *r = make_reply(l);
    r->caller += UINT64_C(1) << 20; /* another one at this descriptor */
    reply_add(r, "OK", 2);
    assert_false(reply_say(r, l->callers));
    r->caller = l->key;
    assert_true(reply_say(r, l->callers));
    reply_free(&r);
}

static void
test_a_reply_is_used_again(void **state)
{
    struct reply *r = make_reply(*state);
    for (int i = 0; i < 1000; i++) {
        reply_add(r, "0123456789012345678901234567890123456789", 40);
    }
    assert_int_equal(r->count, 1000);
    assert_memory_equal(r->arena + r->answers[999].from, "0123456789", 10);
    reply_clear(r);
    assert_int_equal(r->count, 0);
    assert_int_equal(r->route_count, 0);
    assert_int_equal(r->route_len, 0);
    assert_true(reply_is_whole(r, 0));
    reply_free(&r);
}

static void
test_a_route_has_its_limits(void **state)
{
    char frame[BK_ENVELOPE_OCTETS + 1] = "";
    struct reply *r = reply_new();
    (void)state;
    assert_non_null(r);
    assert_false(reply_add_route(r, frame, BK_ENVELOPE_OCTETS + 1));
    for (unsigned i = 0; i < BK_ENVELOPE_MAX; i++) {
        assert_true(reply_add_route(r, frame, BK_ENVELOPE_OCTETS));
    }
    assert_true(reply_add_route(r, "", 0));
    assert_false(reply_add_route(r, "", 0));
    reply_free(&r);
}

int
main(void)
{
#define CALLED(test) \
    cmocka_unit_test_setup_teardown(test, calling_open, calling_close)
    const struct CMUnitTest tests[] = {
        CALLED(test_answers_go_out_in_order),
        CALLED(test_a_long_answer_is_whole),
        CALLED(test_the_disk_is_waited_for),
        CALLED(test_what_the_disk_refused_becomes_an_error),
        CALLED(test_a_caller_that_is_gone_is_told_of),
        CALLED(test_a_reply_is_used_again),
        cmocka_unit_test(test_a_route_has_its_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
