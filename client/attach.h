#ifndef CLIENT_ATTACH_H
#define CLIENT_ATTACH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the instance and mapping its shared memory: which directory, is the
 * file to be trusted, is it of this boot and this time namespace. A mapping once
 * published to other threads is never taken from under them: when another takes
 * its place it is overlaid with zeros, which read as "ask the daemon". */
#include "client/places.h"
#include "core/segment.h"
#include <pthread.h>
#include <sys/types.h>

/* Between two looks at the directory: this long, and up to a quarter more. */
#define ATTACH_PROBE_NS (100 * BK_NS_PER_MS)
/* Replaced mappings kept, and how long before one may be given up: a reader
 * holds a mapping for well under a microsecond. */
#define ATTACH_GRAVES 16
#define ATTACH_GRAVE_NS (60 * BK_NS_PER_S)
/* The longest path a unix socket has, with its NUL. */
#define ENDPOINT_SIZE 108

/* A segment mapped read-only into this process. */
struct view {
    struct bk_segment segment;
    void *base;
    size_t bytes;
    dev_t device;
    ino_t inode;
    uint32_t serial; /* 1..2^24-1, another for each mapping */
    int64_t retired_ns;
};

struct attach {
    pthread_mutex_t lock;
    _Atomic int64_t due_ns; /* no look before this, on the monotonic clock */
    struct cause cause;     /* why the last look gave no mapping */
    char socket[ENDPOINT_SIZE]; /* path of worker.sock; "": none */
    struct cause socket_cause;
    struct view *graves[ATTACH_GRAVES];
    uint32_t grave_count;
};

struct breaker;

bool attach_init(struct attach *a);
void attach_fini(struct attach *a);
/* Looks at the directory when it is time (or `is_urgent`) and nobody else does;
 * publishes another mapping in b->view when there is one. */
void attach_probe(struct breaker *b, int64_t now_ns, bool is_urgent);
/* Where to connect; false and the cause when there is no such place. */
bool attach_socket(struct breaker *b, char path[ENDPOINT_SIZE],
                   struct cause *cause);
void attach_cause(struct breaker *b, struct cause *out);
void view_free(struct view **view);

/* A daemon serves this segment: running, and its heart beat less than a second ago
 * (or will within the next one: coarse clocks lag). Unsigned, since a foreign
 * writer's beat may be any number. */
static inline bool
view_is_alive(const struct view *view, int64_t coarse_ns)
{
    const struct bk_segment_header *h = view->segment.header;
    uint64_t beat_ns = (uint64_t)atomic_load_explicit(&h->heartbeat_mono_ns,
                                                      memory_order_relaxed);

    /* The phase pairs with the daemon's release: what it laid out is there. */
    return atomic_load_explicit(&h->phase, memory_order_acquire) ==
               BK_SEGMENT_RUNNING &&
           (uint64_t)coarse_ns + BK_HEARTBEAT_STALE_NS - beat_ns <
               2 * (uint64_t)BK_HEARTBEAT_STALE_NS;
}

#endif
