#ifndef CLIENT_TRANSPORT_H
#define CLIENT_TRANSPORT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How messages get to the daemon and answers back: one connection, which never
 * blocks and comes back by itself. There are two equals: the library's own ZMTP
 * over a unix socket (transport_zmtp.c), which adds one descriptor to the host and
 * nothing else, and libzmq (transport_libzmq.c). Not thread-safe; the session's
 * lock guards it. */
#include "client/cause.h"
#include <pthread.h>

/* A larger answer closes the connection. */
#define TRANSPORT_FRAME_MAX INT64_C(1048576)
/* Octets of the lines of one message, and how many they are. */
#define TRANSPORT_LINES_MAX 20544
#define TRANSPORT_LINES_COUNT 64

/* One frame of an answer. */
typedef void transport_taker(void *context, uint64_t id, const char *line,
                             size_t len);

enum transport_sent { TRANSPORT_SENT, TRANSPORT_FULL };

/* What can be done without waiting. */
#define TRANSPORT_MAY_TAKE 1U
#define TRANSPORT_MAY_SEND 2U

/* Where a connection is to be, and a seed for spreading tries. */
struct transport_place {
    const char *path; /* of a unix socket; stays where it is */
    uint64_t seed;
};

/* What both must do; `self` is what `open` returned. */
struct transport_kind {
    const char *name;
    /* NULL and the cause: it cannot be tried. A daemon need not be there. */
    void *(*open)(const struct transport_place *place, struct cause *cause);
    void (*close)(void *self);
    void (*abandon)(void *self);
    void (*reach)(void *self, int64_t now_ns);
    void (*hope)(void *self);
    enum transport_sent (*send)(void *self, uint64_t id, const char *lines,
                                size_t len);
    uint32_t (*drain)(void *self, transport_taker *taker, void *context);
    uint32_t (*look)(void *self);
    void (*wait)(void *self, pthread_mutex_t *lock, int64_t left_ns);
    void (*wake)(void *self);
    uint64_t (*serial)(void *self);
    const struct cause *(*trouble)(void *self);
    bool leaves_to_sleeper;
};

extern const struct transport_kind transport_zmtp;
extern const struct transport_kind transport_libzmq;

struct transport {
    const struct transport_kind *kind;
    void *self;
};

static inline bool
transport_open(struct transport *t, const struct transport_kind *kind,
               const struct transport_place *place, struct cause *cause)
{
    t->kind = kind;
    t->self = kind->open(place, cause);
    return t->self != NULL;
}

/* Drops what is queued. Does not wait for the daemon. A child forked in the middle
 * of it finds nothing to abandon. */
static inline void
transport_close(struct transport *t)
{
    void *self = t->self;

    t->self = NULL;
    t->kind->close(self);
}

/* In a forked child, about its parent's: gives up the copies of descriptors that
 * can be closed without touching anything that the parent was in the middle of. */
static inline void
transport_abandon(struct transport *t)
{
    if (t->self != NULL)
        t->kind->abandon(t->self);
}

/* There is something to say: tries to connect if there is no connection and it is
 * time to. */
static inline void
transport_reach(struct transport *t, int64_t now_ns)
{
    t->kind->reach(t->self, now_ns);
}

/* It is time to. */
static inline void
transport_hope(struct transport *t)
{
    t->kind->hope(t->self);
}

/* Sends one message: envelope `id` (0: none), delimiter, and a frame for each of
 * `lines` (separated by '\n'). FULL: nothing was sent; no daemon is connected, or
 * it does not keep up. */
static inline enum transport_sent
transport_send(struct transport *t, uint64_t id, const char *lines, size_t len)
{
    return t->kind->send(t->self, id, lines, len);
}

/* Takes what has arrived; returns the number of frames. */
static inline uint32_t
transport_drain(struct transport *t, transport_taker *taker, void *context)
{
    return t->kind->drain(t->self, taker, context);
}

/* What can be done without waiting. The last thing before transport_wait. */
static inline uint32_t
transport_look(struct transport *t)
{
    return t->kind->look(t->self);
}

/* Sleeps until something can be done, transport_wake or `left_ns` are over, without
 * the lock. One thread at a time. */
static inline void
transport_wait(struct transport *t, pthread_mutex_t *lock, int64_t left_ns)
{
    t->kind->wait(t->self, lock, left_ns);
}

static inline void
transport_wake(struct transport *t)
{
    t->kind->wake(t->self);
}

/* While a thread sleeps in transport_wait nobody else need drain. */
static inline bool
transport_leaves_to_sleeper(const struct transport *t)
{
    return t->kind->leaves_to_sleeper;
}

/* The number of the connection, another after each reconnection that is noticed. */
static inline uint64_t
transport_serial(struct transport *t)
{
    return t->kind->serial(t->self);
}

/* Why there is no connection; code CAUSE_NONE when nobody is there, or nobody
 * knows. */
static inline const struct cause *
transport_trouble(struct transport *t)
{
    return t->kind->trouble(t->self);
}

/* ---- for the two ---- */

/* A message being taken: frames before the delimiter are the envelope (ours is one
 * frame of 8 octets), those after it are answers. Starts as zeros. */
struct transport_message {
    uint64_t id;
    bool is_body;
};

void transport_take_frame(struct transport_message *m, const void *data,
                          size_t len, bool has_more, transport_taker *taker,
                          void *context);
/* Of a descriptor just made: 0 to 2 are the host's, even while it has them closed.
 * Returns it, or one above them; -1 with errno. */
int transport_raise(int fd);

#endif
