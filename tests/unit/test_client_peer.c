/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's own connection, and at its other end a test that can do anything:
 * greet by octets, fall silent, hang up, take nothing, send rubbish. One thread plays
 * both wherever it can, so that little is left to chance. */
#define _GNU_SOURCE
#include "client_peer.h"
#include "core/zmtp.h"
#include "unit.h"
#include <fcntl.h>
#include <sys/socket.h>

static void
nothing_is_sent_before_the_handshake_is_over(void **state)
{
    struct peer *p = *state;
    uint8_t opening[BK_ZMTP_OPENING];
    uint8_t greeting[BK_ZMTP_GREETING + sizeof PEER_READY - 1];

    serve(p, 8);
    start(p);
    assert_int_equal(settle(p), 0);
    take_up(p);
    hear(p);
    assert_int_equal(p->in_len, bk_zmtp_put_opening(BK_ZMTP_DEALER, opening));
    assert_memory_equal(p->in, opening, sizeof opening);
    expect_trouble(p, "nobody takes up the connection");
    memcpy(greeting, opening, BK_ZMTP_GREETING);
    memcpy(greeting + BK_ZMTP_GREETING, PEER_READY, sizeof PEER_READY - 1);
    for (size_t i = 0; i < sizeof greeting; i++) {
        assert_int_equal(settle(p), 0);
        assert_int_equal(transport_send(&p->transport, 1, "PING", 4),
                         TRANSPORT_FULL);
        say(p, &greeting[i], 1);
    }
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
    assert_int_equal(transport_trouble(&p->transport)->code, CAUSE_NONE);
    assert_int_equal(transport_send(&p->transport, 0, "PING", 4),
                     TRANSPORT_SENT);
    p->in_len = 0;
    hear(p);
    assert_int_equal(p->in_len, 8);
    assert_memory_equal(p->in, "\1\0\0\4PING", 8);
}

static void
answers_come_by_their_number(void **state)
{
    static const char answers[] = "\1\10\7\0\0\0\0\0\0\0\1\0\0\6PONG 9" /* 7 */
                                  "\1\0\1\2OK\0\5ERR x" /* none, two */
                                  "\1\3abc\1\10\10\0\0\0\0\0\0\0\1\0\0\2OK";
    struct peer *p = *state;

    shake_hands(p);
    for (size_t i = 0; i < sizeof answers - 1; i++) {
        say(p, &answers[i], 1);
        (void)settle(p);
    }
    assert_string_equal(p->heard, "7:PONG 9 0:OK 0:ERR x 8:OK ");
}

static void
a_long_answer_is_whole(void **state)
{
    struct peer *p = *state;
    static char answer[BK_ZMTP_FRAME_MAX];
    uint8_t head[] = {1, 0, 2, 0, 0, 0, 0, 0, 0x10, 0, 0};
    size_t at = 0;

    memset(answer, 'x', sizeof answer);
    shake_hands(p);
    for (int round = 0; round < 3; round++) {
        p->heard[0] = '\0';
        say(p, head, sizeof head);
        at = 0;
        for (int i = 0; i < 10000 && at < sizeof answer; i++) {
            ssize_t n = send(p->fd, answer + at, sizeof answer - at,
                             MSG_NOSIGNAL | MSG_DONTWAIT);

            at += n > 0 ? (size_t)n : 0;
            (void)settle(p);
        }
        assert_int_equal(at, sizeof answer);
        assert_string_equal(p->heard,
                            "0:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.. ");
        say(p, "\1\0\0\2OK", 6);
        (void)settle(p);
        assert_non_null(strstr(p->heard, "0:OK"));
    }
}

/* Never seen again: rubbish is a reason to hang up, and one to tell. */
static void
expect_hang_up(struct peer *p, const char *rubbish, size_t len,
               const char *clause)
{
    char nothing;

    say(p, rubbish, len);
    assert_int_equal(settle(p) & TRANSPORT_MAY_SEND, 0);
    hear(p);
    assert_int_equal(recv(p->fd, &nothing, 1, MSG_DONTWAIT), 0);
    expect_trouble(p, clause);
    transport_close(&p->transport);
    end_serving(p);
}

static void
rubbish_ends_the_connection_and_is_told(void **state)
{
    struct peer *p = *state;

    serve(p, 8);
    start(p);
    take_up(p);
    expect_hang_up(p, "SSH-2.0", 7, "it does not greet as ZeroMQ does");
    serve(p, 8);
    start(p);
    take_up(p);
    say(p, "\xff\0\0\0\0\0\0\0\1\x7f", 10);
    expect_hang_up(p, "\1", 1, "older than 3.0");
    shake_hands(p);
    expect_hang_up(p, "\2\0\0\0\0\0\x10\0\1", 9, "a frame is too long");
    shake_hands(p);
    expect_hang_up(p, "\4\11\5ERROR\2x\n", 11,
                   "breakerd refuses the connection");
    shake_hands(p);
    expect_hang_up(p, "\xff", 1, "a frame has unknown flags");
}

static void
a_ping_is_given_its_pong(void **state)
{
    struct peer *p = *state;

    shake_hands(p);
    p->in_len = 0;
    hear(p);
    p->in_len = 0;
    say(p, "\4\12\4PING\0\12abc\0\2OK", 16);
    (void)settle(p);
    hear(p);
    assert_int_equal(p->in_len, 10);
    assert_memory_equal(p->in, "\4\10\4PONGabc", 10);
    /* So many as one reads get one. */
    for (int i = 0; i < 100; i++)
        say(p, "\4\7\4PING\0\12", 9);
    p->in_len = 0;
    (void)settle(p);
    hear(p);
    assert_int_equal(p->in_len, 7);
}

/* A peer that never stops sending takes no more than one read at a time. */
static void
a_flood_is_taken_in_bites(void **state)
{
    struct peer *p = *state;
    static uint8_t flood[131072];
    uint32_t frames;

    for (size_t i = 0; i + 1 < sizeof flood; i += 2)
        flood[i] = 1; /* empty, more to come: a message without an end */
    shake_hands(p);
    say(p, flood, sizeof flood);
    frames = transport_drain(&p->transport, take, p);
    assert_in_range(frames, 1, 8192);
    assert_true((transport_look(&p->transport) & TRANSPORT_MAY_TAKE) != 0);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
}

/* ---- a peer that takes nothing ---- */

/* Everything that was accepted arrives, whole and once. */
static uint32_t
count_messages(struct peer *p, size_t line_len)
{
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    struct bk_zmtp_item item;
    size_t at = 0;
    uint32_t count = 0;

    for (;;) {
        bk_zmtp_take(BK_ZMTP_DEALER, &phase, p->in + at, p->in_len - at, &item);
        if (item.kind == BK_ZMTP_INCOMPLETE)
            break;
        assert_int_equal(item.kind, BK_ZMTP_FRAME);
        at += item.used;
        if (item.has_more)
            continue;
        assert_int_equal(item.len, line_len);
        count++;
    }
    p->in_len -= at;
    memmove(p->in, p->in + at, p->in_len);
    return count;
}

static void
fill_and_empty(struct peer *p, const char *line, size_t len)
{
    uint32_t sent = 0;
    uint32_t arrived = 0;

    for (int round = 0; round < 5; round++) {
        int tries = 0;

        while (tries < 10000 &&
               transport_send(&p->transport, 3, line, len) == TRANSPORT_SENT) {
            sent++;
            tries++;
        }
        assert_in_range(tries, 1, 9999);
        assert_int_equal(settle(p), 0);
        for (int i = 0; i < 1000 && arrived < sent; i++) {
            hear(p);
            arrived += count_messages(p, len);
            (void)settle(p);
        }
        assert_int_equal(arrived, sent);
        assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
    }
    assert_int_equal(p->in_len, 0);
}

static void
a_peer_that_takes_nothing_is_waited_for_by_nobody(void **state)
{
    struct peer *p = *state;
    static char line[20000];
    int small = 0;
    int fd;

    memset(line, 'x', sizeof line);
    serve(p, 8);
    fd = next_descriptor();
    start(p);
    take_up(p);
    greet(p);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
    hear(p);
    p->in_len = 0;
    fill_and_empty(p, line, 30);
    /* With so little room a message goes in pieces. */
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    fill_and_empty(p, line, sizeof line);
}

/* A wait ends when there is room again. */
static void
room_wakes_who_waits(void **state)
{
    struct peer *p = *state;
    int64_t began;

    shake_hands(p);
    while (transport_send(&p->transport, 3, "PING", 4) == TRANSPORT_SENT)
        ;
    began = mono_ns();
    wait_ms(p, 30);
    assert_true(mono_ns() - began >= 30 * BK_NS_PER_MS);
    for (int i = 0; i < 100; i++) {
        p->in_len = 0;
        hear(p);
    }
    wait_ms(p, 60000);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
    assert_true(mono_ns() - began < 30 * BK_NS_PER_S);
}

int
main(void)
{
#define PEER(test) cmocka_unit_test_setup_teardown(test, up, down)
    const struct CMUnitTest tests[] = {
        PEER(nothing_is_sent_before_the_handshake_is_over),
        PEER(answers_come_by_their_number),
        PEER(a_long_answer_is_whole),
        PEER(rubbish_ends_the_connection_and_is_told),
        PEER(a_ping_is_given_its_pong),
        PEER(a_flood_is_taken_in_bites),
        PEER(a_peer_that_takes_nothing_is_waited_for_by_nobody),
        PEER(room_wakes_who_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
