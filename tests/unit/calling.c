/* SPDX-License-Identifier: Apache-2.0 */
#include "calling.h"
#include "core/zmtp.h"
#include "scratch.h"
#include "unit.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un
address_of(const struct calling *l)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", l->path);
    return address;
}

int
calling_connect(const struct calling *l)
{
    struct sockaddr_un address = address_of(l);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

void
calling_say(int fd, const void *octets, size_t len)
{
    assert_int_equal(send(fd, octets, len, MSG_NOSIGNAL), len);
}

void
calling_greet(struct calling *l, int fd, const char *type)
{
    uint8_t said[256];
    size_t len = strlen(type);
    assert_int_equal(bk_zmtp_put_opening(BK_ZMTP_DEALER, said),
                     BK_ZMTP_OPENING);
    calling_say(fd, said, BK_ZMTP_GREETING);
    said[0] = 4;
    said[1] = (uint8_t)(22 + len);
    memcpy(said + 2, "\5READY\13Socket-Type\0\0", 21);
    said[23] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        said[24 + i] = (uint8_t)type[i];
    }
    calling_say(fd, said, 24 + len);
    calling_hear(l, NULL, NULL);
    assert_int_equal(recv(fd, said, sizeof(said), 0), BK_ZMTP_OPENING);
}

void
calling_hear(struct calling *l,
             void (*taken)(void *context, const struct callers_message *m),
             void *context)
{
    do {
        callers_look(l->callers, l->now_ns);
        bool has_come = callers_has_more(l->callers);
        while (callers_next(l->callers) != NULL) {
            struct callers_message m;
            l->key = callers_current(l->callers);
            while (callers_take(l->callers, &m)) {
                if (taken != NULL) {
                    taken(context, &m);
                }
            }
            callers_done(l->callers);
        }
        if (!has_come) {
            return;
        }
    } while (true);
}

void
calling_expect(const struct calling *l, const char *octets, size_t len)
{
    size_t at = 0;
    char piece[4096];
    for (int tries = 0; at < len && tries < 1000; tries++) {
        size_t most = len - at < sizeof(piece) ? len - at : sizeof(piece);
        ssize_t n = recv(l->fd, piece, most, 0);
        callers_look(l->callers, l->now_ns); /* there is room again */
        assert_null(callers_next(l->callers));
        if (n > 0) {
            assert_memory_equal(piece, octets + at, (size_t)n);
            at += (size_t)n;
        }
    }
    assert_int_equal(at, len);
    assert_int_equal(recv(l->fd, piece, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

bool
calling_is_over(int fd)
{
    char piece[4096];
    ssize_t n = 1;
    for (int tries = 0; n > 0 && tries < 10000; tries++) {
        n = recv(fd, piece, sizeof(piece), 0);
    }
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

int
calling_open(void **state)
{
    struct calling *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    scratch_make(l->directory, sizeof(l->directory));
    snprintf(l->path, sizeof(l->path), "%s/worker.sock", l->directory);
    struct sockaddr_un address = address_of(l);
    int door = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(door, (struct sockaddr *)&address, sizeof(address)),
                     0);
    assert_int_equal(listen(door, 100), 0);
    l->callers = callers_open();
    assert_non_null(l->callers);
    assert_true(callers_listen(l->callers, CALLERS_WORKERS, door));
    l->fd = calling_connect(l);
    calling_greet(l, l->fd, "DEALER");
    *state = l;
    return 0;
}

int
calling_close(void **state)
{
    struct calling *l = *state;
    callers_close(&l->callers, 1);
    assert_null(l->callers);
    close(l->fd);
    scratch_remove(l->directory);
    free(l);
    return 0;
}
