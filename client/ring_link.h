#ifndef CLIENT_RING_LINK_H
#define CLIENT_RING_LINK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection to ring.sock: one a handle, by which the rings of its threads are
 * handed over, and the bell. Nothing is ever waited for. */
#include "client/attach.h"
#include "core/ring.h"

/* Where the daemon let a process's rings go, the next try. */
#define RING_AGAIN_NS (10 * BK_NS_PER_S)

struct ring_link {
    pthread_mutex_t lock;
    int fd; /* -1: none */
    ino_t inode;
    uint64_t epoch;      /* of the daemon at its other end */
    uint64_t serial;     /* of the connection: rings go with theirs */
    uint64_t cut_serial; /* the last that ended at this end */
    int64_t again_ns;    /* no try before this, on the monotonic clock */
};

enum ring_bell {
    RING_HEARD,
    RING_UNHEARD, /* the kernel had no memory for it: again, with what comes next */
    RING_GONE, /* the daemon has hung up: it takes nothing any more */
    RING_CUT   /* the host has closed our end: the daemon takes what is there */
};

bool ring_link_init(struct ring_link *link);
void ring_link_fini(struct ring_link *link);
/* In a forked child, about its parent's. */
void ring_link_abandon(struct ring_link *link);
/* Makes a ring and hands it to the daemon of `epoch`, whose worker.sock is at `path`,
 * by the connection `serial`. NULL: there is none for us now. A ring that is refused
 * afterwards is seen by the bell. */
struct bk_ring *ring_link_offer(struct ring_link *link, uint64_t epoch,
                                const char *path,
                                const char worker[BK_WORKER_SIZE],
                                uint64_t *serial);
/* For a ring that went by that connection. */
enum ring_bell ring_link_bell(struct ring_link *link, uint64_t serial);
void ring_unmap(struct bk_ring **ring);

#endif
