/* SPDX-License-Identifier: Apache-2.0
 *
 * The octets of ZMTP 3.0, both ways and of both sides, torn at every place. */
#include "core/wire.h"
#include "core/zmtp.h"
#include "unit.h"

/* ---- what a peer says, put together ---- */

static uint8_t said[4096];
static size_t said_len;
static enum bk_zmtp_side side; /* ours */

static void
say(const void *octets, size_t len)
{
    assert_true(said_len + len <= sizeof said);
    if (len > 0)
        memcpy(said + said_len, octets, len);
    said_len += len;
}

static void
say_greeting(uint8_t major, const char *mechanism)
{
    uint8_t greeting[BK_ZMTP_GREETING] = {0xff};

    greeting[8] = 1; /* padding may hold anything */
    greeting[9] = 0x7f;
    greeting[10] = major;
    for (size_t i = 0; mechanism[i] != '\0'; i++)
        greeting[12 + i] = (uint8_t)mechanism[i];
    say(greeting, sizeof greeting);
}

static void
say_frame(uint8_t flags, const void *octets, size_t len)
{
    uint8_t head[2] = {flags, (uint8_t)len};

    assert_true(len < 256);
    say(head, 2);
    say(octets, len);
}

static void
say_ready(const char *type)
{
    uint8_t body[64] = "\5READY\13Socket-Type\0\0\0";
    size_t len = 21;

    body[len++] = (uint8_t)strlen(type);
    while (*type != '\0')
        body[len++] = (uint8_t)*type++;
    say_frame(4, body, len);
}

/* Everything said, taken up to the end or a fault: the last item. */
static struct bk_zmtp_item
take_all(enum bk_zmtp_phase *phase, uint32_t *frames)
{
    struct bk_zmtp_item item;
    size_t at = 0;

    *frames = 0;
    for (;;) {
        bk_zmtp_take(side, phase, said + at, said_len - at, &item);
        if (item.kind == BK_ZMTP_INCOMPLETE || item.kind == BK_ZMTP_FAULT ||
            item.kind == BK_ZMTP_REFUSED)
            return item;
        *frames += item.kind == BK_ZMTP_FRAME;
        at += item.used;
    }
}

/* What was said is none, for this reason. */
static void
expect_fault(enum bk_zmtp_phase phase, const char *fault)
{
    uint32_t frames;
    struct bk_zmtp_item item = take_all(&phase, &frames);

    assert_int_equal(item.kind, BK_ZMTP_FAULT);
    assert_string_equal(item.fault, fault);
    said_len = 0;
}

static int
forget(void **state)
{
    (void)state;
    said_len = 0;
    side = BK_ZMTP_DEALER;
    return 0;
}

/* ---- tests ---- */

static void
the_opening_is_as_the_standard_has_it(void **state)
{
    static const uint8_t rest[] = "\4\51\5READY\13Socket-Type\0\0\0\6DEALER"
                                  "\10Identity\0\0\0\0";
    uint8_t opening[BK_ZMTP_OPENING];
    uint8_t want[BK_ZMTP_GREETING] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                      0,    0x7f, 3, 0, 'N', 'U', 'L', 'L'};

    (void)state;
    assert_int_equal(bk_zmtp_put_opening(BK_ZMTP_DEALER, opening),
                     BK_ZMTP_OPENING);
    assert_memory_equal(opening, want, sizeof want);
    assert_int_equal(sizeof rest - 1, BK_ZMTP_OPENING - BK_ZMTP_GREETING);
    assert_memory_equal(opening + BK_ZMTP_GREETING, rest, sizeof rest - 1);
    assert_int_equal(bk_zmtp_put_opening(BK_ZMTP_ROUTER, opening),
                     BK_ZMTP_OPENING);
    assert_memory_equal(opening + BK_ZMTP_GREETING + 24, "ROUTER", 6);
}

static void
a_message_is_envelope_delimiter_and_lines(void **state)
{
    static const uint8_t want[] =
        "\1\10\1\2\3\4\5\6\7\10\1\0\1\4PING\0\7RENEW 1";
    const uint64_t id = UINT64_C(0x0807060504030201);
    char line[300];
    uint8_t out[512];
    size_t len;

    (void)state;
    memset(line, 'x', sizeof line);
    assert_int_equal(
        bk_zmtp_put_message(out, sizeof out, id, "PING\nRENEW 1", 12),
        sizeof want - 1);
    assert_memory_equal(out, want, sizeof want - 1);
    /* Without an id the delimiter comes first. */
    assert_int_equal(bk_zmtp_put_message(out, sizeof out, 0, "PING", 4), 8);
    assert_memory_equal(out, "\1\0\0\4PING", 8);
    /* Over 255 octets the size takes eight. */
    len = bk_zmtp_put_message(out, sizeof out, 0, line, sizeof line);
    assert_int_equal(len, 2 + 9 + 300);
    assert_memory_equal(out + 2, "\2\0\0\0\0\0\0\1\54xx", 11);
    /* Nothing is said by halves. */
    assert_int_equal(bk_zmtp_put_message(out, 310, 0, line, sizeof line), 0);
    assert_int_equal(bk_zmtp_put_message(out, sizeof out, 0, "", 0), 0);
}

/* The handshake and an answer, whatever the pieces they come in. */
static void
every_split_is_understood_alike(void **state)
{
    size_t first_len;

    (void)state;
    say_greeting(3, "NULL");
    say_ready("ROUTER");
    say_frame(1, "12345678", 8);
    say_frame(1, "", 0);
    say_frame(4, "\4PING\0\12context", 14);
    say_frame(0, "ALLOW llm 0 3 closed", 20);
    for (first_len = 0; first_len <= said_len; first_len++) {
        enum bk_zmtp_phase phase = BK_ZMTP_WANTS_GREETING;
        char heard[16] = "";
        size_t limit = first_len;
        size_t at = 0;

        for (size_t n = 0; n < 15;) {
            struct bk_zmtp_item item;

            bk_zmtp_take(side, &phase, said + at, limit - at, &item);
            at += item.used;
            if (item.kind != BK_ZMTP_INCOMPLETE) {
                heard[n++] = "iNRFPef"[item.kind];
            } else if (limit == said_len) {
                break;
            } else {
                assert_true(item.needed > limit - at);
                limit = said_len;
            }
        }
        assert_string_equal(heard, "NRFFPF");
        assert_int_equal(at, said_len);
        assert_int_equal(phase, BK_ZMTP_TRAFFIC);
    }
}

static void
who_does_not_greet_so_is_refused(void **state)
{
    (void)state;
    say("HTTP/1.1 400", 12);
    expect_fault(BK_ZMTP_WANTS_GREETING, "it does not greet as ZeroMQ does");
    say("\xff\0\0\0\0\0\0\0\0\0", 10);
    expect_fault(BK_ZMTP_WANTS_GREETING, "it does not greet as ZeroMQ does");
    /* An old peer waits after its eleventh octet: so many must be enough. */
    say("\xff\0\0\0\0\0\0\0\1\x7f\1", 11);
    expect_fault(BK_ZMTP_WANTS_GREETING, "it speaks a ZMTP older than 3.0");
    say_greeting(3, "CURVE");
    expect_fault(BK_ZMTP_WANTS_GREETING, "its security mechanism is not NULL");
    say_greeting(3, "NULLS");
    expect_fault(BK_ZMTP_WANTS_GREETING, "its security mechanism is not NULL");
}

static void
a_later_version_is_spoken_to(void **state)
{
    enum bk_zmtp_phase phase = BK_ZMTP_WANTS_GREETING;
    uint32_t frames;

    (void)state;
    say_greeting(4, "NULL");
    say_ready("REP");
    assert_int_equal(take_all(&phase, &frames).kind, BK_ZMTP_INCOMPLETE);
    assert_int_equal(phase, BK_ZMTP_TRAFFIC);
}

static void
the_handshake_is_ready_or_nothing(void **state)
{
    (void)state;
    say_ready("PUB");
    expect_fault(BK_ZMTP_WANTS_READY, "its socket is none that answers");
    say_frame(4, "\5READY", 6);
    expect_fault(BK_ZMTP_WANTS_READY, "its socket is none that answers");
    say_frame(4, "\5READY\13Socket-Type\0\0\0\7ROUTER", 28);
    expect_fault(BK_ZMTP_WANTS_READY, "its READY is cut short");
    say_frame(4, "\5READY\13Socket-Type\xff\xff\xff\xff", 22);
    expect_fault(BK_ZMTP_WANTS_READY, "its READY is cut short");
    say_frame(4, "\5READY\x30", 7);
    expect_fault(BK_ZMTP_WANTS_READY, "its READY is cut short");
    say_frame(4, "\5HELLO", 6);
    expect_fault(BK_ZMTP_WANTS_READY,
                 "its handshake begins with another command than READY");
    say_frame(0, "PONG 7", 6);
    expect_fault(BK_ZMTP_WANTS_READY, "it sends messages before its READY");
    say_frame(4, "\7READY", 6);
    expect_fault(BK_ZMTP_WANTS_READY, "a command has no name");
    say_frame(4, "", 0);
    expect_fault(BK_ZMTP_WANTS_READY, "a command has no name");
}

static void
an_error_is_heard_in_its_own_words(void **state)
{
    static const enum bk_zmtp_phase phases[] = {BK_ZMTP_WANTS_READY,
                                                BK_ZMTP_TRAFFIC};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(phases); i++) {
        enum bk_zmtp_phase phase = phases[i];
        uint32_t frames;
        struct bk_zmtp_item item;

        said_len = 0;
        say_frame(4, "\5ERROR\6be off", 13);
        item = take_all(&phase, &frames);
        assert_int_equal(item.kind, BK_ZMTP_REFUSED);
        assert_int_equal(item.len, 6);
        assert_memory_equal(item.data, "be off", 6);
        /* A reason that is cut short is none. */
        said_len = 0;
        phase = phases[i];
        say_frame(4, "\5ERROR\7be off", 13);
        item = take_all(&phase, &frames);
        assert_int_equal(item.kind, BK_ZMTP_REFUSED);
        assert_int_equal(item.len, 0);
    }
}

static void
pings_are_told_and_unknown_commands_are_not(void **state)
{
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    struct bk_zmtp_item item;
    uint32_t frames;
    uint8_t pong[BK_ZMTP_PONG_MAX];

    (void)state;
    say_frame(4, "\4PING\0\12me", 9);
    bk_zmtp_take(side, &phase, said, said_len, &item);
    assert_int_equal(item.kind, BK_ZMTP_PING);
    assert_int_equal(bk_zmtp_put_pong(pong, item.data, item.len), 9);
    assert_memory_equal(pong, "\4\7\4PONGme", 9);
    said_len = 0;
    say_frame(4, "\4PONGme", 7);
    say_frame(4, "\5READY", 6);
    say_frame(4, "\11SUBSCRIBEx", 11);
    say_frame(0, "OK", 2);
    assert_int_equal(take_all(&phase, &frames).kind, BK_ZMTP_INCOMPLETE);
    assert_int_equal(frames, 1);
    said_len = 0;
    say_frame(4, "\4PING\0", 6);
    expect_fault(BK_ZMTP_TRAFFIC, "its PING is malformed");
    say_frame(4, "\4PING\0\12seventeen octets.", 24);
    expect_fault(BK_ZMTP_TRAFFIC, "its PING is malformed");
}

static void
who_asks_is_welcome(void **state)
{
    static const char *const types[] = {"DEALER", "REQ", "ROUTER"};
    static const char *const others[] = {"REP", "SUB", "DEALERS", "DEALE", ""};

    (void)state;
    side = BK_ZMTP_ROUTER;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        enum bk_zmtp_phase phase = BK_ZMTP_WANTS_GREETING;
        uint32_t frames;

        said_len = 0;
        say_greeting(3, "NULL");
        say_ready(types[i]);
        assert_int_equal(take_all(&phase, &frames).kind, BK_ZMTP_INCOMPLETE);
        assert_int_equal(phase, BK_ZMTP_TRAFFIC);
    }
    said_len = 0;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        say_ready(others[i]);
        expect_fault(BK_ZMTP_WANTS_READY, "its socket is none that asks");
    }
}

static void
a_question_is_shorter_than_an_answer(void **state)
{
    static const uint8_t longest[] = {2, 0, 0, 0, 0, 0, 0, 0x20, 0};
    static const uint8_t longer[] = {3, 0, 0, 0, 0, 0, 0, 0x20, 1};
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    struct bk_zmtp_item item;
    uint32_t frames;

    (void)state;
    side = BK_ZMTP_ROUTER;
    say(longest, sizeof longest);
    item = take_all(&phase, &frames);
    assert_int_equal(item.kind, BK_ZMTP_INCOMPLETE);
    assert_int_equal(item.needed, sizeof longest + BK_FRAME_MAX);
    said_len = 0;
    say(longer, sizeof longer);
    expect_fault(BK_ZMTP_TRAFFIC, "a frame is too long");
}

static void
frames_have_limits(void **state)
{
    static const uint8_t longest[] = {2, 0, 0, 0, 0, 0, 0x10, 0, 0};
    static const uint8_t longer[] = {2, 0, 0, 0, 0, 0, 0x10, 0, 1};
    static const uint8_t huge[] = {2,    0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff};
    static const uint8_t command[] = {6, 0, 0, 0, 0, 0, 0, 4, 1};
    static const uint8_t flags[] = {8, 0x10, 0x80, 5, 7};
    enum bk_zmtp_phase phase = BK_ZMTP_TRAFFIC;
    struct bk_zmtp_item item;
    uint32_t frames;

    (void)state;
    say(longest, sizeof longest);
    item = take_all(&phase, &frames);
    assert_int_equal(item.kind, BK_ZMTP_INCOMPLETE);
    assert_int_equal(item.needed, BK_ZMTP_FRAME_HEAD + BK_ZMTP_FRAME_MAX);
    said_len = 0;
    say(longer, sizeof longer);
    expect_fault(BK_ZMTP_TRAFFIC, "a frame is too long");
    say(huge, sizeof huge);
    expect_fault(BK_ZMTP_TRAFFIC, "a frame is too long");
    say(command, sizeof command);
    expect_fault(BK_ZMTP_TRAFFIC, "a frame is too long");
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        say_frame(flags[i], "", 0);
        expect_fault(BK_ZMTP_TRAFFIC, "a frame has unknown flags");
    }
    /* A long size may be small. */
    say("\2\0\0\0\0\0\0\0\2OK", 11);
    assert_int_equal(take_all(&phase, &frames).kind, BK_ZMTP_INCOMPLETE);
    assert_int_equal(frames, 1);
}

int
main(void)
{
#define TEST(test) cmocka_unit_test_setup(test, forget)
    const struct CMUnitTest tests[] = {
        TEST(the_opening_is_as_the_standard_has_it),
        TEST(a_message_is_envelope_delimiter_and_lines),
        TEST(every_split_is_understood_alike),
        TEST(who_does_not_greet_so_is_refused),
        TEST(a_later_version_is_spoken_to),
        TEST(the_handshake_is_ready_or_nothing),
        TEST(an_error_is_heard_in_its_own_words),
        TEST(pings_are_told_and_unknown_commands_are_not),
        TEST(who_asks_is_welcome),
        TEST(a_question_is_shorter_than_an_answer),
        TEST(frames_have_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
