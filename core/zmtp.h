#ifndef BK_ZMTP_H
#define BK_ZMTP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * ZMTP 3.0 (RFC 23 of the ZeroMQ project) with the mechanism NULL, as a worker's
 * DEALER and the daemon's ROUTER speak it: octets in, octets out. No I/O, no clock,
 * no heap, and no octet of the peer's is believed. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A larger frame is no answer. What is too large for a question is BK_FRAME_MAX. */
#define BK_ZMTP_FRAME_MAX 1048576
/* A larger command is none of ours: READY with what the peer tells of itself. */
#define BK_ZMTP_COMMAND_MAX 1024
#define BK_ZMTP_GREETING 64
/* What either says first: greeting and READY. */
#define BK_ZMTP_OPENING 107
/* What a frame takes more than its content, at most. */
#define BK_ZMTP_FRAME_HEAD 9
#define BK_ZMTP_SHORT_MAX \
    255 /* a longer content has such a head, others one of two */
/* A PONG and the longest context it gives back. */
#define BK_ZMTP_CONTEXT_MAX 16
#define BK_ZMTP_PONG_MAX (2 + 5 + BK_ZMTP_CONTEXT_MAX)
/* Envelope and delimiter of a message. */
#define BK_ZMTP_ENVELOPE (2 + 8 + 2)

/* ---- what the peer says ---- */

enum bk_zmtp_side { BK_ZMTP_DEALER, BK_ZMTP_ROUTER };

enum bk_zmtp_phase {
    BK_ZMTP_WANTS_GREETING,
    BK_ZMTP_WANTS_READY,
    BK_ZMTP_TRAFFIC
};

enum bk_zmtp_kind {
    BK_ZMTP_INCOMPLETE, /* nothing taken; `needed` octets may be enough */
    BK_ZMTP_NOTHING,    /* taken, and nobody's business */
    BK_ZMTP_READY,      /* the handshake is over */
    BK_ZMTP_FRAME,      /* `data`, `len`, `has_more` */
    BK_ZMTP_PING,       /* `data`, `len`: to be given back in a PONG */
    BK_ZMTP_REFUSED,    /* `data`, `len`: the peer's words; it will hang up */
    BK_ZMTP_FAULT       /* `fault`: this is not ZMTP. No way on */
};

struct bk_zmtp_item {
    enum bk_zmtp_kind kind;
    size_t used; /* octets taken */
    size_t needed;
    const uint8_t *data; /* among the octets given */
    size_t len;
    bool has_more;
    const char *fault; /* a clause */
};

/* Takes one item from what has come in and was not taken yet. `side` is ours. */
void bk_zmtp_take(enum bk_zmtp_side side, enum bk_zmtp_phase *phase,
                  const uint8_t *octets, size_t count,
                  struct bk_zmtp_item *item);

/* ---- what we say; each returns the octets written ---- */

size_t bk_zmtp_put_opening(enum bk_zmtp_side side,
                           uint8_t out[BK_ZMTP_OPENING]);
/* The head of a frame of a message. */
size_t bk_zmtp_put_head(uint8_t out[BK_ZMTP_FRAME_HEAD], size_t len,
                        bool has_more);
/* `len` at most BK_ZMTP_CONTEXT_MAX. */
size_t bk_zmtp_put_pong(uint8_t out[BK_ZMTP_PONG_MAX], const uint8_t *context,
                        size_t len);
/* One message: the envelope `id` (0: none), the delimiter, and a frame for each
 * of `lines` (separated by '\n'). 0: there is no room. */
size_t bk_zmtp_put_message(uint8_t *out, size_t size, uint64_t id,
                           const char *lines, size_t len);

#endif
