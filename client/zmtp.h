#ifndef CLIENT_ZMTP_H
#define CLIENT_ZMTP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * ZMTP 3.0 (RFC 23 of the ZeroMQ project) with the mechanism NULL, as a DEALER
 * speaks it: octets in, octets out. No I/O, no clock, no heap, and no octet of the
 * peer's is believed. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A larger frame is no answer. */
#define ZMTP_FRAME_MAX 1048576
/* A larger command is none of ours: READY with what the peer tells of itself. */
#define ZMTP_COMMAND_MAX 1024
#define ZMTP_GREETING 64
/* What a DEALER says first: greeting and READY. */
#define ZMTP_OPENING 107
/* What a frame takes more than its content, at most. */
#define ZMTP_FRAME_HEAD 9
/* A PONG and the longest context it gives back. */
#define ZMTP_CONTEXT_MAX 16
#define ZMTP_PONG_MAX (2 + 5 + ZMTP_CONTEXT_MAX)
/* Envelope and delimiter of a message. */
#define ZMTP_ENVELOPE (2 + 8 + 2)

/* ---- what the peer says ---- */

enum zmtp_phase { ZMTP_WANTS_GREETING, ZMTP_WANTS_READY, ZMTP_TRAFFIC };

enum zmtp_kind {
    ZMTP_INCOMPLETE, /* nothing taken; `needed` octets may be enough */
    ZMTP_NOTHING,    /* taken, and nobody's business */
    ZMTP_READY,      /* the handshake is over */
    ZMTP_FRAME,      /* `data`, `len`, `has_more` */
    ZMTP_PING,       /* `data`, `len`: to be given back in a PONG */
    ZMTP_REFUSED,    /* `data`, `len`: the peer's words; it will hang up */
    ZMTP_FAULT       /* `fault`: this is not ZMTP. No way on */
};

struct zmtp_item {
    enum zmtp_kind kind;
    size_t used; /* octets taken */
    size_t needed;
    const uint8_t *data; /* among the octets given */
    size_t len;
    bool has_more;
    const char *fault; /* a clause */
};

/* Takes one item from what has come in and was not taken yet. */
void zmtp_take(enum zmtp_phase *phase, const uint8_t *octets, size_t count,
               struct zmtp_item *item);

/* ---- what we say; each returns the octets written ---- */

size_t zmtp_put_opening(uint8_t out[ZMTP_OPENING]);
/* `len` at most ZMTP_CONTEXT_MAX. */
size_t zmtp_put_pong(uint8_t out[ZMTP_PONG_MAX], const uint8_t *context,
                     size_t len);
/* One message: the envelope `id` (0: none), the delimiter, and a frame for each
 * of `lines` (separated by '\n'). 0: there is no room. */
size_t zmtp_put_message(uint8_t *out, size_t size, uint64_t id,
                        const char *lines, size_t len);

#endif
