/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/callers_private.h"
#include "daemon/log.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Taken from a door at once, shown out at once. */
#define NEWCOMERS 16
#define SHOWN_OUT 64
/* Between two looks for those that do not greet. */
#define LOOK_NS (CALLERS_GREETING_NS / 4)

/* ---- memory ---- */

bool
callers_set_room(struct callers *c, struct callers_memory *s, size_t room)
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

bool
callers_grow(struct callers *c, struct callers_memory *s, size_t wanted)
{
    return wanted <= s->room ||
           callers_set_room(c, s, wanted > 2 * s->room ? wanted : 2 * s->room);
}

/* ---- coming and going ---- */

struct caller *
callers_find(const struct callers *c, uint64_t key)
{
    struct caller *who = c->by_fd[key % CALLERS_FD_MAX];
    return who != NULL && who->key == key ? who : NULL;
}

void
callers_drop(struct callers *c, struct caller *who)
{
    if (c->answered == who) {
        c->answered = NULL;
        c->basket_len = 0;
    }
    c->by_fd[who->fd] = NULL;
    c->count--;
    c->greeting -= who->phase != BK_ZMTP_TRAFFIC;
    callers_set_room(c, &who->in, 0);
    callers_set_room(c, &who->out, 0);
    close(who->fd);
    free(who);
}

void
callers_lose(struct caller *who)
{
    who->is_lost = true;
    (void)shutdown(who->fd, SHUT_RDWR);
}

void
callers_cut_off(struct callers *c, struct caller *who)
{
    log_line(
        LOG_WARNING,
        "process %u is hung up on: what it says or does not read takes too "
        "much memory",
        who->peer.pid);
    c->cut++;
    callers_lose(who);
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

/* READY goes with the greeting: a new connection has room for both. One that is over
 * already may have said something. */
static bool
say_who(struct caller *who)
{
    uint8_t opening[BK_ZMTP_OPENING];
    size_t len = bk_zmtp_put_opening(BK_ZMTP_ROUTER, opening);
    ssize_t given = callers_give(who, opening, len);
    who->is_deaf = given < 0;
    return who->is_deaf || (size_t)given == len;
}

static bool
let_in(struct callers *c, enum callers_door door, int fd)
{
    struct caller *who = fd < CALLERS_FD_MAX ? calloc(1, sizeof(*who)) : NULL;
    if (who == NULL) {
        return false;
    }
    who->key = ++c->serial << CALLERS_FD_BITS | (uint64_t)fd;
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
            callers_drop(c, who);
            left--;
        }
    }
    c->look_ns = left > 0 ? c->now_ns + LOOK_NS : c->now_ns;
}

/* ---- who has something ---- */

/* False: it has said nothing. */
static bool
begin(struct callers *c, struct caller *who)
{
    c->current = who;
    if (callers_hear(c, who)) {
        return true;
    }
    c->current = NULL;
    if (who->is_lost) {
        callers_drop(c, who);
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
        int count = epoll_wait(c->epoll_fd, c->events, CALLERS_EVENTS, 0);
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
        callers_drop(c, who);
        return false;
    }
    if ((events & EPOLLOUT) != 0) {
        callers_go_on(c, who);
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
        struct caller *who = callers_find(c, event->data.u64);
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
            callers_go_on(c, who);
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
            callers_drop(c, who);
        }
    }
    close(c->epoll_fd);
    free(c);
    *callers = NULL;
}
