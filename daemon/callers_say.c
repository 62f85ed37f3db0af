/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/callers_private.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

ssize_t
callers_give(struct caller *who, const uint8_t *octets, size_t len)
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
    callers_set_room(c, &who->out, 0);
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
    if (!callers_grow(c, &who->out, who->out_len + len)) {
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
    ssize_t given = who->out_len > 0 ? 0 : callers_give(who, octets, len);
    if (given < 0) {
        deafen(c, who);
    } else if ((size_t)given < len &&
               !keep_unsaid(c, who, octets + given, len - (size_t)given)) {
        callers_cut_off(c, who);
    }
}

void
callers_go_on(struct callers *c, struct caller *who)
{
    ssize_t given = callers_give(who, who->out.octets + who->out_at,
                                 who->out_len - who->out_at);
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
    struct caller *who = callers_find(c, caller);
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
    if (len > CALLERS_BASKET - c->basket_len) {
        callers_flush(c);
    }
    if (!takes_answers(c->answered) || len == 0) {
        return;
    }
    if (len > CALLERS_BASKET) {
        say(c, c->answered, octets, len);
    } else {
        memcpy(c->basket + c->basket_len, octets, len);
        c->basket_len += len;
    }
}
