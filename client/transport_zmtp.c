/* SPDX-License-Identifier: Apache-2.0
 *
 * The library's own connection: ZMTP over one unix socket that never blocks. No
 * thread reads or writes behind the caller's back, so whatever is to happen happens
 * in a call: who sends writes to the kernel, who sleeps reads. */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/dial.h"
#include "client/transport.h"
#include "core/backoff.h"
#include "core/zmtp.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Between two tries to connect, and up to half more. Where nobody listens that stays:
 * a refusal costs some system calls, and a daemon that starts again is found within
 * milliseconds. After a connection that failed otherwise it is twice as long each
 * time. Tries are made by calls only. */
#define AGAIN_NS (3 * BK_NS_PER_MS)
#define AGAIN_MAX_NS (200 * BK_NS_PER_MS)
/* A daemon that is stopped accepts without a word and greets when it goes on. Who
 * has not greeted after this never will. */
#define HANDSHAKE_NS (10 * BK_NS_PER_S)
/* Who waits for a connection looks this often whether another made one. */
#define GLANCE_NS (20 * BK_NS_PER_MS)
/* Room for what comes in. It grows to the longest frame and back. */
#define ROOM 8192
#define MESSAGE_MAX                           \
    (BK_ZMTP_ENVELOPE + TRANSPORT_LINES_MAX + \
     TRANSPORT_LINES_COUNT * BK_ZMTP_FRAME_HEAD)

/* What waits here while the kernel takes nothing: whole messages, and the rest of
 * one that it took in part. */
#define OUT_ROOM 65536

_Static_assert(OUT_ROOM >= 2 * MESSAGE_MAX, "one fits behind another");
_Static_assert(TRANSPORT_FRAME_MAX == BK_ZMTP_FRAME_MAX, "one limit");
_Static_assert(ROOM >= BK_ZMTP_COMMAND_MAX + BK_ZMTP_FRAME_HEAD,
               "commands fit");

struct own {
    struct transport_place place;
    int fd;      /* -1: not connected */
    ino_t inode; /* of its socket */
    uint64_t serial;
    enum bk_zmtp_phase phase;
    bool is_lost;        /* shut down, but somebody sleeps on it */
    bool is_watched;     /* somebody does */
    bool may_take;       /* the last read took all it had room for */
    bool may_pong;       /* it has not been answered with one */
    int64_t again_ns;    /* no try before this */
    int64_t interval_ns; /* between the last try and the next */
    int64_t greet_by_ns; /* the handshake's end */
    uint64_t random;
    struct cause trouble;
    struct transport_message message;
    uint8_t *in;
    size_t in_room;
    size_t in_len;
    size_t out_at; /* from here on the kernel has not taken it */
    size_t out_len;
    uint8_t out[OUT_ROOM];
};

/* ---- losing a connection ---- */

/* A child forked in the middle of it leaks a descriptor, but closes none twice. */
static void
drop(struct own *o)
{
    int fd = o->fd;

    o->fd = -1;
    o->is_lost = false;
    dial_close(fd, o->inode);
}

/* Who sleeps on the descriptor wakes up and drops it; closed under him, it might
 * be another file's by then. */
static void
lose(struct own *o, int64_t now_ns)
{
    if (o->is_watched && !o->is_lost) {
        (void)shutdown(o->fd, SHUT_RDWR);
        o->is_lost = true;
    } else if (!o->is_watched) {
        drop(o);
    }
    o->phase = BK_ZMTP_WANTS_GREETING;
    o->message = (struct transport_message){0};
    o->in_len = 0;
    o->out_len = 0;
    o->out_at = 0;
    o->may_take = false;
    o->again_ns = now_ns + o->interval_ns +
                  bk_random_share(&o->random, o->interval_ns / 2);
    o->interval_ns =
        2 * o->interval_ns < AGAIN_MAX_NS ? 2 * o->interval_ns : AGAIN_MAX_NS;
}

static struct bk_text
blame(struct own *o, enum cause_code code, const char *what)
{
    struct bk_text text = cause_set(&o->trouble, code);

    bk_text_put(&text, what);
    bk_text_put(&text, o->place.path);
    return text;
}

static void
lose_for(struct own *o, const char *what, const char *why, size_t len)
{
    struct bk_text text = blame(o, CAUSE_TRANSPORT, what);

    bk_text_put(&text, ": ");
    for (size_t i = 0; i < len; i++) {
        bool is_graphic = why[i] >= ' ' && why[i] < 0x7f;

        bk_text_put_n(&text, is_graphic ? &why[i] : "?", 1);
    }
    lose(o, clock_mono_ns());
}

static bool
is_connected(const struct own *o)
{
    return o->fd >= 0 && !o->is_lost;
}

/* ---- connecting ---- */

/* A new connection has room for it. READY goes with the greeting: the daemon's side
 * of the handshake is over even if this process falls silent now. */
static bool
say_who(int fd)
{
    uint8_t opening[BK_ZMTP_OPENING];
    size_t len = bk_zmtp_put_opening(BK_ZMTP_DEALER, opening);

    return send(fd, opening, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* False when the host has no socket to give; the daemon need not be there. */
static bool
try_to_connect(struct own *o, int64_t now_ns)
{
    bool has_socket;
    bool is_there;

    o->trouble.code = CAUSE_NONE;
    o->fd = dial_socket(SOCK_STREAM, &o->inode, &o->trouble);
    has_socket = o->fd >= 0;
    is_there = has_socket && dial_connect(o->fd, o->place.path, &o->trouble);
    if (has_socket && !is_there && o->trouble.code == CAUSE_NONE)
        o->interval_ns = AGAIN_NS;
    if (!is_there || !say_who(o->fd)) {
        lose(o, now_ns);
        return has_socket;
    }
    o->serial++;
    o->greet_by_ns = now_ns + HANDSHAKE_NS;
    return true;
}

static void
reach(void *self, int64_t now_ns)
{
    struct own *o = self;

    if (is_connected(o) && o->phase != BK_ZMTP_TRAFFIC &&
        now_ns >= o->greet_by_ns)
        lose_for(o, "nobody greets at ", "it is silent", 12);
    if (o->fd < 0 && now_ns >= o->again_ns)
        (void)try_to_connect(o, now_ns);
}

static void
hope(void *self)
{
    struct own *o = self;

    o->again_ns = 0;
    o->interval_ns = AGAIN_NS;
}

/* ---- sending ---- */

/* Gives the kernel what waits here, as much as it takes at one go: many messages at
 * once when it was busy. */
static void
flush(struct own *o)
{
    while (o->out_at < o->out_len) {
        ssize_t n = send(o->fd, o->out + o->out_at, o->out_len - o->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            o->out_at += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            return;
        } else if (errno != EINTR) {
            lose(o, clock_mono_ns());
            return;
        }
    }
    o->out_at = 0;
    o->out_len = 0;
}

static bool
is_talking(const struct own *o)
{
    return is_connected(o) && o->phase == BK_ZMTP_TRAFFIC;
}

/* Whether there is room for a message, whatever its length. */
static bool
may_send(struct own *o)
{
    if (is_talking(o) && o->out_len > 0)
        flush(o);
    if (o->out_at > 0) {
        o->out_len -= o->out_at;
        memmove(o->out, o->out + o->out_at, o->out_len);
        o->out_at = 0;
    }
    return is_talking(o) && sizeof o->out - o->out_len >= MESSAGE_MAX;
}

/* What the connection broke on was not sent; what waited before it is lost with it, as
 * it would be in the kernel. */
static enum transport_sent
send_message(void *self, uint64_t id, const char *lines, size_t len)
{
    struct own *o = self;
    size_t more;

    if (!may_send(o))
        return TRANSPORT_FULL;
    more = bk_zmtp_put_message(o->out + o->out_len, sizeof o->out - o->out_len,
                               id, lines, len);
    o->out_len += more;
    flush(o);
    return more > 0 && is_talking(o) ? TRANSPORT_SENT : TRANSPORT_FULL;
}

/* A peer that asks for signs of life gets one a read, where there is room for it. */
static void
give_pong(struct own *o, const uint8_t *context, size_t len)
{
    if (!o->may_pong || !may_send(o))
        return;
    o->may_pong = false;
    o->out_len += bk_zmtp_put_pong(o->out + o->out_len, context, len);
    flush(o);
}

/* ---- taking ---- */

static void
take_item(struct own *o, const struct bk_zmtp_item *item,
          transport_taker *taker, void *context)
{
    switch (item->kind) {
    case BK_ZMTP_READY:
        o->interval_ns = AGAIN_NS;
        o->trouble.code = CAUSE_NONE;
        break;
    case BK_ZMTP_FRAME:
        transport_take_frame(&o->message, item->data, item->len, item->has_more,
                             taker, context);
        break;
    case BK_ZMTP_PING:
        give_pong(o, item->data, item->len);
        break;
    case BK_ZMTP_REFUSED:
        lose_for(o, "breakerd refuses the connection at ",
                 (const char *)item->data, item->len);
        break;
    case BK_ZMTP_FAULT:
        lose_for(o, "no breakerd serves ", item->fault, strlen(item->fault));
        break;
    case BK_ZMTP_INCOMPLETE:
    case BK_ZMTP_NOTHING:
        break;
    }
}

/* Room for the whole of what has come in part. */
static bool
make_room(struct own *o, size_t wanted)
{
    uint8_t *in;

    if (wanted < ROOM)
        wanted = ROOM;
    if (wanted == o->in_room)
        return true;
    in = realloc(o->in, wanted);
    if (in == NULL)
        return wanted < o->in_room;
    o->in = in;
    o->in_room = wanted;
    return true;
}

/* Hands out what is whole, and sees to room for the rest. */
static uint32_t
take_items(struct own *o, transport_taker *taker, void *context)
{
    struct bk_zmtp_item item = {.kind = BK_ZMTP_NOTHING};
    size_t at = 0;
    uint32_t frames = 0;

    while (is_connected(o)) {
        bk_zmtp_take(BK_ZMTP_DEALER, &o->phase, o->in + at, o->in_len - at,
                     &item);
        if (item.kind == BK_ZMTP_INCOMPLETE)
            break;
        at += item.used;
        frames += item.kind == BK_ZMTP_FRAME;
        take_item(o, &item, taker, context);
    }
    if (!is_connected(o))
        return frames;
    o->in_len -= at;
    memmove(o->in, o->in + at, o->in_len);
    if (!make_room(o, item.needed))
        lose_for(o, "no memory for an answer from ", "out of memory", 13);
    return frames;
}

/* The end of a connection that never began: the daemon has as many as it takes. */
static void
end(struct own *o)
{
    if (o->phase == BK_ZMTP_TRAFFIC)
        lose(o, clock_mono_ns());
    else
        lose_for(o, "breakerd hung up at ",
                 "perhaps it has too many connections", 35);
}

/* One read, so that a flood is left to be gone on with by who knows his deadline. */
static uint32_t
drain(void *self, transport_taker *taker, void *context)
{
    struct own *o = self;
    size_t room = o->in_room - o->in_len;
    ssize_t n;

    o->may_take = false;
    if (!is_connected(o))
        return 0;
    do
        n = recv(o->fd, o->in + o->in_len, room, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        o->in_len += (size_t)n;
        o->may_take = (size_t)n == room;
        o->may_pong = true;
        return take_items(o, taker, context);
    }
    if (n == 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM))
        end(o);
    return 0;
}

static uint32_t
look(void *self)
{
    struct own *o = self;

    return (o->may_take ? TRANSPORT_MAY_TAKE : 0) |
           (may_send(o) ? TRANSPORT_MAY_SEND : 0);
}

/* ---- waiting ---- */

/* Until there is something to read, room to write to when there was none, or the time
 * for another try to connect. */
static void
sleep_on(void *self, pthread_mutex_t *lock, int64_t left_ns)
{
    struct own *o = self;
    struct pollfd on = {.fd = o->fd, .events = POLLIN};
    struct timespec left;

    if (o->out_len > 0)
        on.events |= POLLOUT;
    if (o->fd < 0) {
        int64_t until_ns = o->again_ns - clock_mono_ns();

        until_ns = until_ns < GLANCE_NS ? until_ns : GLANCE_NS;
        left_ns = until_ns < left_ns ? until_ns : left_ns;
    }
    left = clock_spec(left_ns > 0 ? left_ns : 0);
    o->is_watched = true;
    (void)pthread_mutex_unlock(lock);
    (void)ppoll(&on, 1, &left, NULL);
    (void)pthread_mutex_lock(lock);
    o->is_watched = false;
    if (o->is_lost)
        drop(o);
    reach(o, clock_mono_ns());
}

/* Who sleeps is the one who reads, so there is nothing to tell him. */
static void
wake(void *self)
{
    (void)self;
}

/* ---- opening and closing ---- */

static void
shut(void *self)
{
    struct own *o = self;

    drop(o);
    free(o->in);
    free(o);
}

static void *
open_up(const struct transport_place *place, struct cause *cause)
{
    struct own *o = calloc(1, sizeof *o);
    struct bk_text text;

    if (o != NULL)
        o->in = malloc(ROOM);
    if (o == NULL || o->in == NULL) {
        free(o);
        text = cause_set(cause, CAUSE_TRANSPORT);
        bk_text_put(&text, "out of memory");
        return NULL;
    }
    o->place = *place;
    o->fd = -1;
    o->in_room = ROOM;
    o->interval_ns = AGAIN_NS;
    o->random = place->seed;
    if (try_to_connect(o, clock_mono_ns()))
        return o;
    *cause = o->trouble;
    shut(o);
    return NULL;
}

/* The parent's connection ends with the parent, whatever becomes of the child. */
static void
abandon(void *self)
{
    struct own *o = self;

    dial_close(o->fd, o->inode);
}

static uint64_t
serial(void *self)
{
    struct own *o = self;

    return o->serial;
}

static const struct cause *
trouble(void *self)
{
    struct own *o = self;

    if (is_connected(o) && o->phase != BK_ZMTP_TRAFFIC)
        (void)blame(o, CAUSE_CONNECTING, "nobody takes up the connection to ");
    return &o->trouble;
}

const struct transport_kind transport_zmtp = {
    .name = "zmtp",
    .open = open_up,
    .close = shut,
    .abandon = abandon,
    .reach = reach,
    .hope = hope,
    .send = send_message,
    .drain = drain,
    .look = look,
    .wait = sleep_on,
    .wake = wake,
    .serial = serial,
    .trouble = trouble,
    .leaves_to_sleeper = true,
};
