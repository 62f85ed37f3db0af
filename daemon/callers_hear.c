/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/callers_private.h"
#include "daemon/log.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A piece is shorter of one whose messages are short, as each is work for which others
 * wait, and shortest while some do. */
#define DRAUGHT ((size_t)8 * 1024)
#define SIP ((size_t)2 * 1024)
#define SHORT_MESSAGE 128

/* Reads a piece behind what it said already. A short beginning is taken along into
 * the piece; behind a long one memory of its own grows. */
bool
callers_hear(struct callers *c, struct caller *who)
{
    uint8_t *to = c->piece;
    size_t room = CALLERS_PIECE;
    if (who->in_len > CALLERS_PIECE / 2) {
        if (!callers_grow(c, &who->in, who->in_len + CALLERS_PIECE)) {
            callers_cut_off(c, who);
            return false;
        }
        to = who->in.octets;
        room = who->in.room;
    } else if (who->in_len > 0) {
        memcpy(to, who->in.octets, who->in_len);
    }
    size_t most = who->is_lengthy      ? CALLERS_PIECE
                  : c->event_count > 1 ? SIP
                                       : DRAUGHT;
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
        callers_lose(who);
    }
    return false;
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
        callers_lose(who);
        return false;
    case BK_ZMTP_REFUSED:
        callers_lose(who);
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
        callers_cut_off(c, who);
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
        if (!callers_grow(c, &who->in, left)) {
            return false;
        }
        memcpy(who->in.octets, from, left);
    }
    who->in_len = left;
    return left * 4 >= who->in.room || callers_set_room(c, &who->in, left);
}

void
callers_done(struct callers *c)
{
    struct caller *who = c->current;
    if (c->taken > 0 || c->said_len >= SIP) { /* not of its greeting */
        who->is_lengthy = c->taken <= c->said_len / SHORT_MESSAGE;
    }
    if (!who->is_lost && !keep_beginning(c, who)) {
        callers_cut_off(c, who);
    }
    c->current = NULL;
    if (who->is_lost) {
        callers_drop(c, who);
    }
}
