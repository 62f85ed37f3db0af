/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's own connection as it comes and goes: who notices, who is told why there
 * is none, and what of the host's must not be touched. */
#define _GNU_SOURCE
#include "client_peer.h"
#include "unit.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
