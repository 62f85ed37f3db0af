/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_peer.h"
#include "core/zmtp.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct sockaddr_un
address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    bk_copy_text(address.sun_path, sizeof address.sun_path, path, strlen(path));
    return address;
}

void
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

void
end_serving(struct peer *p)
{
    (void)close(p->listener);
    p->listener = -1;
}

int
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

int
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

bool
open_transport(struct peer *p, struct cause *cause)
{
    struct transport_place place = {.path = p->path, .seed = 1};

    return transport_open(&p->transport, &transport_zmtp, &place, cause);
}

void
start(struct peer *p)
{
    struct cause cause;

    assert_true(open_transport(p, &cause));
}

void
take_up(struct peer *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(p->fd >= 0);
    p->in_len = 0;
}

void
say(struct peer *p, const void *octets, size_t len)
{
    assert_int_equal(send(p->fd, octets, len, MSG_NOSIGNAL), len);
}

void
hear(struct peer *p)
{
    for (;;) {
        ssize_t n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len, 0);

        if (n <= 0)
            return;
        p->in_len += (size_t)n;
    }
}

void
greet(struct peer *p)
{
    uint8_t greeting[BK_ZMTP_OPENING];

    /* Both greet alike. */
    (void)bk_zmtp_put_opening(BK_ZMTP_ROUTER, greeting);
    say(p, greeting, BK_ZMTP_GREETING);
    say(p, PEER_READY, sizeof PEER_READY - 1);
}

void
take(void *context, uint64_t id, const char *line, size_t len)
{
    struct peer *p = context;
    size_t used = strlen(p->heard);

    snprintf(p->heard + used, sizeof p->heard - used, "%llu:%.*s%s ",
             (unsigned long long)id, len < 40 ? (int)len : 40, line,
             len > 40 ? ".." : "");
}

uint32_t
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

void
wait_ms(struct peer *p, int64_t ms)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    (void)pthread_mutex_lock(&lock);
    transport_wait(&p->transport, &lock, ms * BK_NS_PER_MS);
    (void)pthread_mutex_unlock(&lock);
}

void
shake_hands(struct peer *p)
{
    serve(p, 8);
    start(p);
    take_up(p);
    greet(p);
    assert_int_equal(settle(p), TRANSPORT_MAY_SEND);
}

void
expect_trouble(struct peer *p, const char *clause)
{
    const struct cause *trouble = transport_trouble(&p->transport);

    assert_int_not_equal(trouble->code, CAUSE_NONE);
    if (strstr(trouble->text, clause) == NULL)
        fail_msg("trouble is: %s", trouble->text);
    assert_non_null(strstr(trouble->text, p->path));
}

int
next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    (void)close(fd);
    return fd;
}
