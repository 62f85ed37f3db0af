/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's own connection, and at its other end a test that can do anything:
 * greet by octets, fall silent, hang up, take nothing, send rubbish. One thread plays
 * both wherever it can, so that little is left to chance. */
#define _GNU_SOURCE
#include "client/transport.h"
#include "client_stage.h"
#include "core/zmtp.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    struct stage *stage;
    char path[128];
    int listener;
    int fd; /* of the connection taken up */
    struct transport transport;
    uint8_t in[65536];
    size_t in_len;
    char heard[4096]; /* lines and answers, each behind its id */
};

static struct sockaddr_un
address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    bk_copy_text(address.sun_path, sizeof address.sun_path, path, strlen(path));
    return address;
}

static void
serve(struct peer *p, int backlog)
{
    struct sockaddr_un address = address_of(p->path);

    (void)unlink(p->path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->listener >= 0);
    assert_int_equal(
        bind(p->listener, (const struct sockaddr *)&address, sizeof address),
        0);
    assert_int_equal(listen(p->listener, backlog), 0);
}

static void
end_serving(struct peer *p)
{
    (void)close(p->listener);
    p->listener = -1;
}

static int
up(void **state)
{
    void *stage = NULL;
    struct peer *p;

    if (stage_up(&stage) != 0)
        return -1;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return -1;
    p->stage = stage;
    p->listener = -1;
    p->fd = -1;
    stage_path(p->stage, "worker.sock", p->path);
    *state = p;
    return 0;
}

static int
down(void **state)
{
    struct peer *p = *state;
    void *stage = p->stage;

    if (p->transport.self != NULL)
        transport_close(&p->transport);
    if (p->fd >= 0)
        (void)close(p->fd);
    if (p->listener >= 0)
        (void)close(p->listener);
    free(p);
    return stage_down(&stage);
}

static bool
open_transport(struct peer *p, struct cause *cause)
{
    struct transport_place place = {.path = p->path, .seed = 1};

    return transport_open(&p->transport, &transport_zmtp, &place, cause);
}

static void
start(struct peer *p)
{
    struct cause cause;

    assert_true(open_transport(p, &cause));
}

/* ---- the peer's side ---- */

static void
take_up(struct peer *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(p->fd >= 0);
    p->in_len = 0;
}

static void
say(struct peer *p, const void *octets, size_t len)
{
    assert_int_equal(send(p->fd, octets, len, MSG_NOSIGNAL), len);
}

/* What the worker has sent, as far as it is there. */
static void
hear(struct peer *p)
{
    for (;;) {
        ssize_t n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len, 0);

        if (n <= 0)
            return;
        p->in_len += (size_t)n;
    }
}

static const uint8_t ready[] = "\4\34\5READY\13Socket-Type\0\0\0\6ROUTER";

static void
greet(struct peer *p)
{
    uint8_t greeting[BK_ZMTP_OPENING];

    /* Both greet alike. */
    (void)bk_zmtp_put_opening(BK_ZMTP_ROUTER, greeting);
    say(p, greeting, BK_ZMTP_GREETING);
    say(p, ready, sizeof ready - 1);
}

/* ---- the worker's side ---- */

static void
take(void *context, uint64_t id, const char *line, size_t len)
{
    struct peer *p = context;
    size_t used = strlen(p->heard);

    snprintf(p->heard + used, sizeof p->heard - used, "%llu:%.*s%s ",
             (unsigned long long)id, len < 40 ? (int)len : 40, line,
             len > 40 ? ".." : "");
}

/* As a session does it. */
static uint32_t
settle(struct peer *p)
{
    uint32_t can;

    for (int i = 0; i < 1000; i++) {
        (void)transport_drain(&p->transport, take, p);
        can = transport_look(&p->transport);
        if ((can & TRANSPORT_MAY_TAKE) == 0)
            return can;
    }
    return can;
}

static void
wait_ms(struct peer *p, int64_t ms)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    (void)pthread_mutex_lock(&lock);
    transport_wait(&p->transport, &lock, ms * BK_NS_PER_MS);
    (void)pthread_mutex_unlock(&lock);
}

static void
shake_hands(struct peer *p)
{
    serve(p, 8);
    start(p);
    take_up(p);
    greet(p);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
}

static void
expect_trouble(struct peer *p, const char *clause)
{
    const struct cause *trouble = transport_trouble(&p->transport);

    assert_int_not_equal(trouble->code, CAUSE_NONE);
    if (strstr(trouble->text, clause) == NULL)
        fail_msg("trouble is: %s", trouble->text);
    assert_non_null(strstr(trouble->text, p->path));
}

/* ---- tests ---- */

static void
nothing_is_sent_before_the_handshake_is_over(void **state)
{
    struct peer *p = *state;
    uint8_t opening[BK_ZMTP_OPENING];
    uint8_t greeting[BK_ZMTP_GREETING + sizeof ready - 1];

    serve(p, 8);
    start(p);
    assert_int_equal(settle(p), 0);
    take_up(p);
    hear(p);
    assert_int_equal(p->in_len, bk_zmtp_put_opening(BK_ZMTP_DEALER, opening));
    assert_memory_equal(p->in, opening, sizeof opening);
    expect_trouble(p, "nobody takes up the connection");
    memcpy(greeting, opening, BK_ZMTP_GREETING);
    memcpy(greeting + BK_ZMTP_GREETING, ready, sizeof ready - 1);
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

/* The lowest free descriptor is the next one made. */
static int
next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    (void)close(fd);
    return fd;
}

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

/* ---- coming and going ---- */

static void
a_peer_that_hangs_up_is_found_again(void **state)
{
    struct peer *p = *state;
    uint64_t serial;

    shake_hands(p);
    serial = transport_serial(&p->transport);
    for (int round = 0; round < 3; round++) {
        bool is_noticed_by_sending = round % 2 == 0;

        (void)close(p->fd);
        p->fd = -1;
        if (is_noticed_by_sending)
            assert_int_equal(transport_send(&p->transport, 0, "PING", 4),
                             TRANSPORT_FULL);
        assert_int_equal(settle(p), 0);
        /* Nobody is there for a while, then somebody in a file of his own. */
        end_serving(p);
        wait_ms(p, 30);
        serve(p, 8);
        transport_hope(&p->transport);
        transport_reach(&p->transport, mono_ns());
        take_up(p);
        greet(p);
        assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
        assert_true(transport_serial(&p->transport) > serial);
        serial = transport_serial(&p->transport);
    }
}

/* ---- two threads ---- */

struct sleeper {
    struct peer *peer;
    pthread_mutex_t lock;
    _Atomic bool is_asleep;
};

static void *
sleep_long(void *context)
{
    struct sleeper *s = context;

    (void)pthread_mutex_lock(&s->lock);
    s->is_asleep = true;
    transport_wait(&s->peer->transport, &s->lock, 60000 * BK_NS_PER_MS);
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Whoever notices it: the one that sleeps, or one that has something to say. */
static void
a_peer_that_hangs_up_wakes_who_waits(void **state)
{
    struct peer *p = *state;
    struct sleeper s = {.peer = p, .lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t began = mono_ns();
    pthread_t thread;

    shake_hands(p);
    for (int round = 0; round < 20; round++) {
        s.is_asleep = false;
        assert_int_equal(pthread_create(&thread, NULL, sleep_long, &s), 0);
        while (!s.is_asleep)
            sleep_ms(1);
        (void)pthread_mutex_lock(&s.lock);
        (void)close(p->fd);
        p->fd = -1;
        if (round % 2 == 0)
            assert_int_equal(transport_send(&p->transport, 0, "PING", 4),
                             TRANSPORT_FULL);
        (void)pthread_mutex_unlock(&s.lock);
        assert_int_equal(pthread_join(thread, NULL), 0);
        (void)settle(p);
        transport_hope(&p->transport);
        transport_reach(&p->transport, mono_ns());
        take_up(p);
        greet(p);
        assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
    }
    assert_true(mono_ns() - began < 50 * BK_NS_PER_S);
}

/* A message that was cut in the middle goes nowhere, and not with the next. */
static void
half_a_message_ends_with_its_connection(void **state)
{
    struct peer *p = *state;

    shake_hands(p);
    say(p, "\1\10\7\0\0\0\0\0\0\0\1\0\0\6PON", 17);
    (void)settle(p);
    (void)close(p->fd);
    p->fd = -1;
    (void)settle(p);
    transport_hope(&p->transport);
    transport_reach(&p->transport, mono_ns());
    take_up(p);
    greet(p);
    say(p, "\1\0\0\2OK", 6);
    (void)settle(p);
    assert_string_equal(p->heard, "0:OK ");
}

static void
nobody_is_looked_for_every_few_milliseconds(void **state)
{
    struct peer *p = *state;
    int64_t began = mono_ns();
    int waits = 0;

    serve(p, 8);
    end_serving(p);
    start(p);
    assert_int_equal(transport_trouble(&p->transport)->code, CAUSE_NONE);
    while (mono_ns() - began < 300 * BK_NS_PER_MS) {
        wait_ms(p, 300);
        waits++;
    }
    /* Every 3 to 4.5 ms, the first at once. */
    assert_in_range(waits, 2, 102);
    serve(p, 8);
    for (int i = 0; i < 100 && transport_serial(&p->transport) == 0; i++)
        wait_ms(p, 300);
    take_up(p);
    greet(p);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
}

static void
a_peer_with_too_many_connections_hangs_up_at_once(void **state)
{
    struct peer *p = *state;

    serve(p, 8);
    start(p);
    take_up(p);
    hear(p);
    (void)close(p->fd);
    p->fd = -1;
    (void)settle(p);
    expect_trouble(p, "too many connections");
}

static void
a_full_backlog_is_told_and_not_waited_for(void **state)
{
    struct peer *p = *state;
    struct sockaddr_un address = address_of(p->path);
    int others[4];

    serve(p, 0);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        others[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(others[i], (const struct sockaddr *)&address,
                      sizeof address);
    }
    start(p);
    expect_trouble(p, "as many as may wait");
    assert_int_equal(settle(p), 0);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        (void)close(others[i]);
}

static void
no_permission_is_told(void **state)
{
    struct peer *p = *state;
    pid_t child;
    int status = -1;

    if (geteuid() != 0)
        skip();
    serve(p, 8);
    assert_int_equal(chmod(p->stage->dir, 0755), 0);
    assert_int_equal(chmod(p->path, 0600), 0);
    child = stage_fork();
    if (child == 0) {
        struct cause cause;

        if (setresuid(65534, 65534, 65534) != 0 || !open_transport(p, &cause))
            _exit(1);
        _exit(strstr(transport_trouble(&p->transport)->text,
                     "permission denied") != NULL
                  ? 0
                  : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A host that closes every descriptor and opens its own loses none of them. */
static void
descriptors_of_the_host_are_not_closed(void **state)
{
    struct peer *p = *state;
    int ends[2];
    int fd;

    serve(p, 8);
    fd = next_descriptor();
    start(p);
    (void)close(fd);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ends[0], fd);
    (void)settle(p);
    transport_close(&p->transport);
    assert_true(fcntl(ends[0], F_GETFD) >= 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
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
        PEER(a_peer_that_hangs_up_is_found_again),
        PEER(a_peer_that_hangs_up_wakes_who_waits),
        PEER(half_a_message_ends_with_its_connection),
        PEER(nobody_is_looked_for_every_few_milliseconds),
        PEER(a_peer_with_too_many_connections_hangs_up_at_once),
        PEER(a_full_backlog_is_told_and_not_waited_for),
        PEER(no_permission_is_told),
        PEER(descriptors_of_the_host_are_not_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
