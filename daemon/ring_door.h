#ifndef RING_DOOR_H
#define RING_DOOR_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker says at ring.sock: here is a ring, or the bell. Whoever may connect
 * may hand over any descriptor, so a ring is mapped only when its memory can never
 * shrink away beneath the daemon. */
#include "core/ring.h"

enum ring_packet {
    RING_NOTHING, /* nothing more has come */
    RING_BELL,
    RING_NEW,
    RING_END,  /* the worker is gone, or hung up */
    RING_FAULT /* nothing of ours says this */
};

struct ring_said {
    struct bk_ring *ring; /* of RING_NEW: mapped; the caller's */
    char worker[BK_WORKER_SIZE];
    uint64_t epoch;    /* of the daemon whose slots it means */
    const char *fault; /* one clause */
};

/* Takes one packet from a connection. Never blocks. */
enum ring_packet ring_door_take(int fd, struct ring_said *said);
void ring_door_unmap(struct bk_ring **ring);

#endif
