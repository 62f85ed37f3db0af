#ifndef CLIENT_TRANSPORT_H
#define CLIENT_TRANSPORT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * libzmq, hidden: one context and one DEALER socket that never block. A context is
 * made only where libzmq cannot abort for want of descriptors or threads: both
 * are proven first. Not thread-safe; the session's lock guards it. */
#include "client/cause.h"

/* Free descriptors proven before libzmq is started (it takes 6 for one socket,
 * and opens more when it reconnects). */
#define TRANSPORT_DESCRIPTORS 16
#define TRANSPORT_THREADS 2
/* Messages queued while the daemon is slow. */
#define TRANSPORT_QUEUE 1024
/* A larger answer closes the connection. */
#define TRANSPORT_FRAME_MAX INT64_C(1048576)
/* Messages taken at one go. */
#define TRANSPORT_DRAIN_MAX 1024
#define TRANSPORT_RECONNECT_MS 5
#define TRANSPORT_RECONNECT_MAX_MS 1000

struct transport {
    void *context;
    void *socket;
    int fd; /* readable: something may have happened; edge-triggered, so look
               until there is nothing left before waiting on it */
};

/* One frame of an answer. */
typedef void transport_taker(void *context, uint64_t id, const char *line,
                             size_t len);

enum transport_sent { TRANSPORT_SENT, TRANSPORT_FULL };

/* Connects to the unix socket at `path`; false and the cause. Signals are blocked
 * for libzmq's threads. */
bool transport_open(struct transport *t, const char *path, struct cause *cause);
/* Tries to connect now, whenever libzmq meant to. Only while not connected. */
void transport_reconnect(struct transport *t, const char *path);
/* Drops what is queued. Does not wait for the daemon. */
void transport_close(struct transport *t);
/* Sends one message: envelope `id` (0: none), delimiter, and a frame for each of
 * `lines` (separated by '\n'). FULL: nothing was sent; no daemon is connected, or
 * it does not keep up. */
enum transport_sent transport_send(struct transport *t, uint64_t id,
                                   const char *lines, size_t len);
/* Takes what has arrived; returns the number of messages. */
uint32_t transport_drain(struct transport *t, transport_taker *taker,
                         void *context);
/* What can be done without waiting. Looking may use up the edge of `fd`, so it is
 * the last thing before waiting on it. */
#define TRANSPORT_MAY_TAKE 1u
#define TRANSPORT_MAY_SEND 2u
uint32_t transport_look(struct transport *t);

#endif
