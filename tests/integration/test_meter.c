/* SPDX-License-Identifier: Apache-2.0
 *
 * The meter's reading of frames: right costs, the same however the octets are
 * cut into pieces, and hanging up on who goes too far. */
#include "core/wire.h"
#include "daemon/meter.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING 64

static size_t
greet(uint8_t *to)
{
    memset(to, 0, GREETING);
    to[0] = 0xff;
    to[9] = 0x7f;
    to[10] = 3;
    memcpy(to + 12, "NULL", sizeof("NULL"));
    return GREETING;
}

/* A frame's header and `size` octets. */
static size_t
put_frame(uint8_t *to, uint8_t flags, size_t size)
{
    size_t at = 0;
    if (size > 255) {
        to[at++] = (uint8_t)(flags | 2);
        for (int shift = 56; shift >= 0; shift -= 8)
            to[at++] = (uint8_t)((uint64_t)size >> shift);
    } else {
        to[at++] = flags;
        to[at++] = (uint8_t)size;
    }
    memset(to + at, 0xff, size);
    return at + size;
}

static uint64_t
cost_of(size_t size)
{
    uint64_t content = size > METER_INLINE ? METER_CONTENT_COST : 0;
    return METER_FRAME_COST + content + size;
}

static void
frames_cost_what_they_hold(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 33, 34, 255, 256, 8192};
    static uint8_t octets[32 * 1024];
    size_t len = greet(octets);
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        len += put_frame(octets + len, (uint8_t)(i % 2), sizes[i]);
        expected += cost_of(sizes[i]);
    }
    struct meter_reader whole = {0};
    assert_int_equal(meter_read(&whole, octets, len), expected);
    for (size_t piece = 1; piece < 300; piece += 7) {
        struct meter_reader r = {0};
        uint64_t cost = 0;
        for (size_t at = 0; at < len; at += piece)
            cost += meter_read(&r, octets + at,
                               piece < len - at ? piece : len - at);
        assert_int_equal(cost, expected);
    }
}

static void
a_command_costs_as_a_frame_does(void **state)
{
    (void)state;
    uint8_t octets[GREETING + 64];
    size_t len = greet(octets);
    len += put_frame(octets + len, 4, 20);
    struct meter_reader subscriber = {0};
    assert_int_equal(meter_read(&subscriber, octets, len), cost_of(20));
}

static void
a_frame_that_is_refused_costs_its_record(void **state)
{
    (void)state;
    uint8_t octets[GREETING + 9];
    size_t len = greet(octets);
    octets[len++] = 2;
    memset(octets + len, 0xff, 8);
    struct meter_reader r = {0};
    assert_int_equal(meter_read(&r, octets, len + 8),
                     METER_FRAME_COST + METER_CONTENT_COST);
}

static void
older_peers_are_taken_at_their_worst(void **state)
{
    (void)state;
    uint8_t unversioned[10] = {1, 0};
    uint8_t second[GREETING];
    struct meter_reader r = {0};
    assert_int_equal(meter_read(&r, unversioned, 10), 9 * METER_OLD_COST);
    greet(second);
    second[10] = 1;
    struct meter_reader s = {0};
    assert_int_equal(meter_read(&s, second, 20), 9 * METER_OLD_COST);
}

/* Sends and receives; whether it arrived. */
static bool
pass(const int fds[2], uint8_t *octets, size_t len)
{
    assert_int_equal(write(fds[1], octets, len), len);
    return recv(fds[0], octets, len, MSG_WAITALL) == (ssize_t)len;
}

static void
who_goes_too_far_reads_as_gone(void **state)
{
    (void)state;
    int fds[2];
    uint8_t octets[8300];
    uint64_t before = meter_cut();
    uint64_t most = METER_ONE_MAX / cost_of(BK_FRAME_MAX);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    meter_begin(fds[0]);
    size_t len = greet(octets);
    assert_true(pass(fds, octets, len));
    len = put_frame(octets, 1, BK_FRAME_MAX);
    for (uint64_t sent = 0; sent < most; sent++)
        assert_true(pass(fds, octets, len));
    assert_false(pass(fds, octets, len));
    assert_int_equal(meter_cut(), before + 1);
    meter_end(fds[0]);
    /* The next one at this descriptor begins anew. */
    meter_begin(fds[0]);
    len = greet(octets);
    assert_true(pass(fds, octets, len));
    meter_end(fds[0]);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cost_what_they_hold),
        cmocka_unit_test(a_command_costs_as_a_frame_does),
        cmocka_unit_test(a_frame_that_is_refused_costs_its_record),
        cmocka_unit_test(older_peers_are_taken_at_their_worst),
        cmocka_unit_test(who_goes_too_far_reads_as_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
