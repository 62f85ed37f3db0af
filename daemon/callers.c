/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/callers.h"
#include "core/zmtp.h"
#include "daemon/log.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors above this are never connections (gate.c hands out none), so that a
 * caller's name is its descriptor and its place among all there ever were. */
#define FD_MAX 16384
#define FD_BITS 14
/* Callers found at once, taken from a door at once, shown out at once. */
#define EVENTS 64
#define NEWCOMERS 16
#define SHOWN_OUT 64
/* A piece: what is read of one before it is another's turn. It is less of one whose
 * messages are short, as each is work for which others wait, and least while some do. */
#define PIECE ((size_t)32 * 1024)
#define DRAUGHT ((size_t)8 * 1024)
#define SIP ((size_t)2 * 1024)
#define SHORT_MESSAGE 128
/* Answers are collected before the kernel gets them. */
#define BASKET ((size_t)32 * 1024)
/* Between two looks for those that do not greet. */
#define LOOK_NS (CALLERS_GREETING_NS / 4)

_Static_assert(1 << FD_BITS == FD_MAX, "a descriptor in so many bits");
_Static_assert(CALLERS_UNREAD_MAX < CALLERS_KEPT_MAX, "one has room");

/* Memory that grows and goes. */
struct store {
    uint8_t *octets;
    size_t room;
};

struct caller {
    uint64_t key; /* the number among all, and the descriptor */
    int fd;
    struct peer peer;
    enum bk_zmtp_phase phase;
    bool is_lost;     /* to be dropped */
    bool is_deaf;     /* takes no answers any more; may have said more */
    bool is_skipping; /* in a message that has too many frames */
    bool may_pong;    /* nothing of the piece was answered with one */
    bool is_waiting;  /* watched for room to write */
    bool is_lengthy;  /* its messages are not short, as far as is known */
    int64_t since_ns;
    size_t skipped;  /* octets of that message */
    struct store in; /* the beginning of a message */
    size_t in_len;
    struct store out; /* what the kernel has not taken */
    size_t out_at;
    size_t out_len;
};

struct callers {
    int epoll_fd;
    int doors[CALLERS_DOORS];
    struct caller *by_fd[FD_MAX];
    int fd_end; /* above each descriptor of a caller, ever */
    uint64_t serial;
    uint64_t count;
    uint64_t greeting; /* callers that have not greeted */
    int64_t look_ns;
    int64_t now_ns;
    size_t kept;
    uint64_t cut;
    struct epoll_event events[EVENTS];
    int event_at;
    int event_count;
    /* What the caller in hand has said, and how much of it was taken. */
    struct caller *current;
    const uint8_t *said;
    size_t said_len;
    size_t said_at;
    size_t taken; /* messages of it */
    struct callers_frame frames[CALLERS_FRAMES];
    struct caller *answered; /* whom the basket is for */
    size_t basket_len;
    uint8_t basket[BASKET];
    uint8_t piece[PIECE];
};

/* ---- memory ---- */

/* False: there is none, or this caller would have more than its share. What was in it
 * stays, up to the new room. */
static bool
set_room(struct callers *c, struct store *s, size_t room)
{
    size_t others = c->kept - s->room;
    if (room > s->room && others + room > CALLERS_KEPT_MAX &&
        room > CALLERS_KEPT_MAX / (c->count + 1)) {
        return false;
    }
    if (room == 0) {
        free(s->octets);
        s->octets = NULL;
    } else {
        uint8_t *octets = realloc(s->octets, room);
        if (octets == NULL) {
            return false;
        }
        s->octets = octets;
    }
    s->room = room;
    c->kept = others + room;
    return true;
}

static bool
grow_to(struct callers *c, struct store *s, size_t wanted)
{
    return wanted <= s->room ||
           set_room(c, s, wanted > 2 * s->room ? wanted : 2 * s->room);
}

/* ---- coming and going ---- */

static struct caller *
find(const struct callers *c, uint64_t key)
{
    struct caller *who = c->by_fd[key % FD_MAX];
    return who != NULL && who->key == key ? who : NULL;
}

static void
drop(struct callers *c, struct caller *who)
{
    if (c->answered == who) {
        c->answered = NULL;
        c->basket_len = 0;
    }
    c->by_fd[who->fd] = NULL;
    c->count--;
    c->greeting -= who->phase != BK_ZMTP_TRAFFIC;
    set_room(c, &who->in, 0);
    set_room(c, &who->out, 0);
    close(who->fd);
    free(who);
}

/* It may be in hand, or about to be answered: it is dropped when it is found again, as
 * one whose other end has hung up. */
static void
lose(struct caller *who)
{
    who->is_lost = true;
    (void)shutdown(who->fd, SHUT_RDWR);
}

static void
cut(struct callers *c, struct caller *who)
{
    log_line(
        LOG_WARNING,
        "process %u is hung up on: what it says or does not read takes too "
        "much memory",
        who->peer.pid);
    c->cut++;
    lose(who);
}

static void
identify(int fd, bool is_operator, struct peer *peer)
{
    struct ucred who = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
    socklen_t size = sizeof(who);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    peer->uid = who.uid;
    peer->gid = who.gid;
    peer->pid = who.pid > 0 ? (uint32_t)who.pid : 0;
    peer->is_operator = is_operator;
    snprintf(peer->actor, sizeof(peer->actor), "%u:%u:%u", peer->uid, peer->gid,
             peer->pid);
}

/* What the kernel takes of it now; -1: the other end takes nothing any more. */
static ssize_t
give(struct caller *who, const uint8_t *octets, size_t len)
{
    size_t given = 0;
    while (given < len) {
        ssize_t n = send(who->fd, octets + given, len - given,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            given += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            break;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)given;
}

/* READY goes with the greeting: a new connection has room for both. One that is over
 * already may have said something. */
static bool
say_who(struct caller *who)
{
    uint8_t opening[BK_ZMTP_OPENING];
    size_t len = bk_zmtp_put_opening(BK_ZMTP_ROUTER, opening);
    ssize_t given = give(who, opening, len);
    who->is_deaf = given < 0;
    return who->is_deaf || (size_t)given == len;
}

static bool
let_in(struct callers *c, enum callers_door door, int fd)
{
    struct caller *who = fd < FD_MAX ? calloc(1, sizeof(*who)) : NULL;
    if (who == NULL) {
        return false;
    }
    who->key = ++c->serial << FD_BITS | (uint64_t)fd;
    who->fd = fd;
    who->since_ns = c->now_ns;
    identify(fd, door == CALLERS_OPERATORS, &who->peer);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = who->key};
    if (!say_who(who) ||
        epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(who);
        return false;
    }
    c->by_fd[fd] = who;
    c->fd_end = fd < c->fd_end ? c->fd_end : fd + 1;
    c->count++;
    if (c->greeting++ == 0) {
        c->look_ns = c->now_ns + LOOK_NS;
    }
    return true;
}

static void
open_door(struct callers *c, enum callers_door door)
{
    for (int i = 0; i < NEWCOMERS; i++) {
        int fd =
            accept4(c->doors[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        if (!let_in(c, door, fd)) {
            close(fd);
        }
    }
}

/* When there are many it is due again at once. */
static void
show_out_the_silent(struct callers *c)
{
    int left = SHOWN_OUT;
    for (int fd = 0; fd < c->fd_end && left > 0; fd++) {
        struct caller *who = c->by_fd[fd];
        if (who != NULL && who->phase != BK_ZMTP_TRAFFIC &&
            c->now_ns - who->since_ns >= CALLERS_GREETING_NS) {
            drop(c, who);
            left--;
        }
    }
    c->look_ns = left > 0 ? c->now_ns + LOOK_NS : c->now_ns;
}

/* ---- saying ---- */

static void
watch(struct callers *c, struct caller *who, bool for_room)
{
    struct epoll_event event = {.events =
                                    for_room ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.u64 = who->key};
    if (who->is_waiting != for_room &&
        epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, who->fd, &event) == 0) {
        who->is_waiting = for_room;
    }
}

static void
forget_unsaid(struct callers *c, struct caller *who)
{
    who->out_at = 0;
    who->out_len = 0;
    set_room(c, &who->out, 0);
    watch(c, who, false);
}

/* It has hung up, or does not listen. What it said before is heard to its end. */
static void
deafen(struct callers *c, struct caller *who)
{
    who->is_deaf = true;
    forget_unsaid(c, who);
}

static bool
takes_answers(const struct caller *who)
{
    return who != NULL && !who->is_lost && !who->is_deaf;
}

/* What is left waits here, behind what waits already. */
static bool
keep_unsaid(struct callers *c, struct caller *who, const uint8_t *octets,
            size_t len)
{
    if (who->out_at > 0) {
        who->out_len -= who->out_at;
        memmove(who->out.octets, who->out.octets + who->out_at, who->out_len);
        who->out_at = 0;
    }
    if (!grow_to(c, &who->out, who->out_len + len)) {
        return false;
    }
    memcpy(who->out.octets + who->out_len, octets, len);
    who->out_len += len;
    watch(c, who, true);
    return true;
}

static void
say(struct callers *c, struct caller *who, const uint8_t *octets, size_t len)
{
    ssize_t given = who->out_len > 0 ? 0 : give(who, octets, len);
    if (given < 0) {
        deafen(c, who);
    } else if ((size_t)given < len &&
               !keep_unsaid(c, who, octets + given, len - (size_t)given)) {
        cut(c, who);
    }
}

/* There is room again. */
static void
go_on_saying(struct callers *c, struct caller *who)
{
    ssize_t given =
        give(who, who->out.octets + who->out_at, who->out_len - who->out_at);
    if (given < 0) {
        deafen(c, who);
        return;
    }
    who->out_at += (size_t)given;
    if (who->out_at == who->out_len) {
        forget_unsaid(c, who);
    }
}

void
callers_flush(struct callers *c)
{
    struct caller *who = c->answered;
    size_t len = c->basket_len;
    c->basket_len = 0;
    if (takes_answers(who) && len > 0) {
        say(c, who, c->basket, len);
    }
}

bool
callers_answer(struct callers *c, uint64_t caller)
{
    struct caller *who = find(c, caller);
    if (who != c->answered) {
        callers_flush(c);
        c->answered = who;
    }
    return takes_answers(who) &&
           who->out_len - who->out_at <= CALLERS_UNREAD_MAX;
}

void
callers_put(struct callers *c, const void *octets, size_t len)
{
    if (len > BASKET - c->basket_len) {
        callers_flush(c);
    }
    if (!takes_answers(c->answered) || len == 0) {
        return;
    }
    if (len > BASKET) {
        say(c, c->answered, octets, len);
    } else {
        memcpy(c->basket + c->basket_len, octets, len);
        c->basket_len += len;
    }
}

/* ---- hearing ---- */

/* Reads a piece behind what it said already. A short beginning is taken along into
 * the piece; behind a long one memory of its own grows. False: nothing has come. */
static bool
hear(struct callers *c, struct caller *who)
{
    uint8_t *to = c->piece;
    size_t room = PIECE;
    if (who->in_len > PIECE / 2) {
        if (!grow_to(c, &who->in, who->in_len + PIECE)) {
            cut(c, who);
            return false;
        }
        to = who->in.octets;
        room = who->in.room;
    } else if (who->in_len > 0) {
        memcpy(to, who->in.octets, who->in_len);
    }
    size_t most = who->is_lengthy ? PIECE : c->event_count > 1 ? SIP : DRAUGHT;
    room -= who->in_len;
    room = room < most ? room : most;
    ssize_t n = recv(who->fd, to + who->in_len, room, MSG_DONTWAIT);
    if (n > 0) {
        c->said = to;
        c->said_len = who->in_len + (size_t)n;
        c->said_at = 0;
        c->taken = 0;
        who->may_pong = true;
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOBUFS &&
                   errno != ENOMEM)) {
        lose(who);
    }
    return false;
}

/* False: it has said nothing. */
static bool
begin(struct callers *c, struct caller *who)
{
    c->current = who;
    if (hear(c, who)) {
        return true;
    }
    c->current = NULL;
    if (who->is_lost) {
        drop(c, who);
    }
    return false;
}

void
callers_look(struct callers *c, int64_t now_ns)
{
    c->now_ns = now_ns;
    if (c->greeting > 0 && now_ns >= c->look_ns) {
        show_out_the_silent(c);
    }
    if (!callers_has_more(c)) {
        int count = epoll_wait(c->epoll_fd, c->events, EVENTS, 0);
        c->event_at = 0;
        c->event_count = count > 0 ? count : 0;
    }
}

bool
callers_has_more(const struct callers *c)
{
    return c->event_at < c->event_count;
}

int64_t
callers_deadline(const struct callers *c)
{
    return c->greeting > 0 ? c->look_ns : BK_NEVER;
}

/* Says what waits, if there is room. False: there is nothing to hear, or it is gone. */
static bool
may_go_on(struct callers *c, struct caller *who, uint32_t events)
{
    if (who->is_lost) {
        drop(c, who);
        return false;
    }
    if ((events & EPOLLOUT) != 0) {
        go_on_saying(c, who);
    }
    return (events & ~(uint32_t)EPOLLOUT) != 0;
}

struct peer *
callers_next(struct callers *c)
{
    while (callers_has_more(c)) {
        const struct epoll_event *event = &c->events[c->event_at++];
        if (event->data.u64 < CALLERS_DOORS) {
            open_door(c, (enum callers_door)event->data.u64);
            continue;
        }
        struct caller *who = find(c, event->data.u64);
        if (who != NULL && may_go_on(c, who, event->events) && begin(c, who)) {
            return &who->peer;
        }
    }
    return NULL;
}

struct peer *
callers_next_of(struct callers *c, uint32_t pid)
{
    for (int fd = 0; fd < c->fd_end; fd++) {
        struct caller *who = c->by_fd[fd];
        if (who != NULL && who->peer.pid == pid && begin(c, who)) {
            return &who->peer;
        }
    }
    return NULL;
}

/* Who asks for signs of life gets one a piece. */
static void
give_pong(struct callers *c, struct caller *who,
          const struct bk_zmtp_item *ping)
{
    uint8_t pong[BK_ZMTP_PONG_MAX];
    if (who->may_pong && callers_answer(c, who->key)) {
        who->may_pong = false;
        callers_put(c, pong, bk_zmtp_put_pong(pong, ping->data, ping->len));
        callers_flush(c);
    }
}

/* What is no frame. False: no way on. */
static bool
take_other(struct callers *c, struct caller *who,
           const struct bk_zmtp_item *item, bool is_new)
{
    switch (item->kind) {
    case BK_ZMTP_READY:
        c->greeting--;
        return true;
    case BK_ZMTP_PING:
        if (is_new) {
            give_pong(c, who, item);
        }
        return true;
    case BK_ZMTP_FAULT:
        log_line(LOG_WARNING, "process %u is hung up on: %s", who->peer.pid,
                 item->fault);
        lose(who);
        return false;
    case BK_ZMTP_REFUSED:
        lose(who);
        return false;
    case BK_ZMTP_INCOMPLETE:
    case BK_ZMTP_NOTHING:
    case BK_ZMTP_FRAME:
        break;
    }
    return true;
}

/* The rest of a message that has too many frames is let go as it comes. */
static void
skip_to(struct callers *c, struct caller *who, size_t at)
{
    who->is_skipping = true;
    who->skipped += at - c->said_at;
    c->said_at = at;
    if (who->skipped > CALLERS_ENDLESS) {
        cut(c, who);
    }
}

bool
callers_take(struct callers *c, struct callers_message *message)
{
    struct caller *who = c->current;
    unsigned count = who->is_skipping ? CALLERS_FRAMES + 1 : 0;
    size_t at = c->said_at;
    while (!who->is_lost) {
        struct bk_zmtp_item item;
        bk_zmtp_take(BK_ZMTP_ROUTER, &who->phase, c->said + at,
                     c->said_len - at, &item);
        at += item.used;
        if (item.kind == BK_ZMTP_INCOMPLETE) {
            if (count > CALLERS_FRAMES) {
                skip_to(c, who, at);
            }
            return false;
        }
        if (item.kind == BK_ZMTP_FRAME) {
            if (count < CALLERS_FRAMES) {
                c->frames[count] =
                    (struct callers_frame){(const char *)item.data, item.len};
            }
            count += count <= CALLERS_FRAMES;
        } else if (!take_other(c, who, &item, at > who->in_len)) {
            return false;
        }
        bool is_whole = item.kind == BK_ZMTP_FRAME && !item.has_more;
        c->said_at = is_whole || count == 0 ? at : c->said_at;
        if (is_whole) {
            c->taken++;
            who->is_skipping = false;
            who->skipped = 0;
            *message = (struct callers_message){c->frames, count};
            return true;
        }
    }
    return false;
}

/* Memory that a long message needed goes with it. */
static bool
keep_beginning(struct callers *c, struct caller *who)
{
    size_t left = c->said_len - c->said_at;
    const uint8_t *from = c->said + c->said_at;
    if (left > 0 && c->said == who->in.octets) {
        memmove(who->in.octets, from, left);
    } else if (left > 0) {
        if (!grow_to(c, &who->in, left)) {
            return false;
        }
        memcpy(who->in.octets, from, left);
    }
    who->in_len = left;
    return left * 4 >= who->in.room || set_room(c, &who->in, left);
}

void
callers_done(struct callers *c)
{
    struct caller *who = c->current;
    if (c->taken > 0 || c->said_len >= SIP) { /* not of its greeting */
        who->is_lengthy = c->taken <= c->said_len / SHORT_MESSAGE;
    }
    if (!who->is_lost && !keep_beginning(c, who)) {
        cut(c, who);
    }
    c->current = NULL;
    if (who->is_lost) {
        drop(c, who);
    }
}

uint64_t
callers_current(const struct callers *c)
{
    return c->current->key;
}

uint64_t
callers_cut(const struct callers *c)
{
    return c->cut;
}

int
callers_fd(const struct callers *c)
{
    return c->epoll_fd;
}

/* ---- opening and closing ---- */

bool
callers_listen(struct callers *c, enum callers_door door, int listening_fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = door};
    c->doors[door] = listening_fd;
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, listening_fd, &event) == 0;
}

struct callers *
callers_open(void)
{
    struct callers *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    for (int door = 0; door < CALLERS_DOORS; door++) {
        c->doors[door] = -1;
    }
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0) {
        free(c);
        return NULL;
    }
    return c;
}

/* Says the rest to each, as far as it reads. True: somebody has not got all. */
static bool
go_on_with_all(struct callers *c)
{
    bool is_left = false;
    for (int fd = 0; fd < c->fd_end; fd++) {
        struct caller *who = c->by_fd[fd];
        if (who != NULL && who->out_len > 0) {
            go_on_saying(c, who);
            is_left = is_left || who->out_len > 0;
        }
    }
    return is_left;
}

void
callers_close(struct callers **callers, int linger_ms)
{
    struct callers *c = *callers;
    if (c == NULL) {
        return;
    }
    callers_flush(c);
    for (int door = 0; door < CALLERS_DOORS; door++) {
        if (c->doors[door] >= 0) {
            close(c->doors[door]);
        }
    }
    for (int ms = 0; go_on_with_all(c) && ms < linger_ms; ms++) {
        poll(NULL, 0, 1);
    }
    for (int fd = 0; fd < c->fd_end; fd++) {
        struct caller *who = c->by_fd[fd];
        if (who != NULL) {
            drop(c, who);
        }
    }
    close(c->epoll_fd);
    free(c);
    *callers = NULL;
}
