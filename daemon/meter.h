#ifndef METER_H
#define METER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory each subscriber makes libzmq hold. libzmq keeps subscriptions, and
 * collects the frames of a message until the last has come, without limit, so a peer
 * that goes on and on would fill the machine. What libzmq receives is counted on its
 * way in; a peer that goes too far is hung up on. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one connection may have sent, in octets of memory: some 100,000 subscriptions,
 * after which it is hung up on (and reconnects). */
#define METER_ONE_MAX (UINT64_C(128) << 20)
/* All connections together; beyond it those that hold more than an equal share
 * are hung up on. */
#define METER_ALL_MAX (UINT64_C(256) << 20)
/* What libzmq keeps for a frame besides its octets, and for one whose octets do
 * not fit into the frame's own record. */
#define METER_FRAME_COST 64
#define METER_INLINE 33
#define METER_CONTENT_COST 64
/* An octet of a peer older than ZMTP 3 at its worst: two make a frame. */
#define METER_OLD_COST 32

/* Reads frame headers out of a stream of octets (ZMTP 3, RFC 23). */
struct meter_reader {
    uint64_t size; /* of the frame being read, then what is left of it */
    uint8_t phase;
    uint8_t at; /* octets of greeting or size read */
    uint8_t size_octets;
};

/* What `len` more octets of a connection cost in memory. Any content is fine. */
uint64_t meter_read(struct meter_reader *r, const uint8_t *octets, size_t len);

/* A connection begins and ends; called on libzmq's thread, as recv is. */
void meter_begin(int fd);
void meter_end(int fd);
/* Connections hung up on since the start. */
uint64_t meter_cut(void);

#endif
