#ifndef METER_H
#define METER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How much memory each peer makes libzmq hold. libzmq collects the frames of a
 * message without limit until the last has come, so a peer whose message never
 * ends would fill the machine. What libzmq receives is counted on its way in; a
 * peer that goes too far is hung up on. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one connection may have sent and the loop not yet taken up, in octets of
 * memory. libzmq stops reading a peer that has METER_QUEUE messages waiting; as
 * many of the longest allowed come to less than this. */
#define METER_ONE_MAX (UINT64_C(128) << 20)
#define METER_QUEUE 100
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
    bool is_command;
    bool skips_commands; /* they cost nothing: libzmq acts on them at once */
};

/* What `len` more octets of a connection cost in memory. Any content is fine. */
uint64_t meter_read(struct meter_reader *r, const uint8_t *octets, size_t len);

/* A connection begins and ends; called on libzmq's thread. Of a subscriber
 * nothing is ever taken up, and its commands are subscriptions, which libzmq
 * keeps: it is hung up on after some 100,000 of them (and reconnects). */
void meter_begin(int fd, bool is_subscriber);
void meter_end(int fd);
/* The loop took up a message of this connection. */
void meter_heard(int fd);
/* Connections hung up on since the start. */
uint64_t meter_cut(void);

#endif
