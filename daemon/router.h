#ifndef ROUTER_H
#define ROUTER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The two endpoints: takes messages apart, has each line carried out, sends the
 * answers. What is no message of the protocol is counted and dropped. */
#include "daemon/commands.h"

struct router;

enum router_door { ROUTER_WORKERS, ROUTER_OPERATORS, ROUTER_DOORS };

struct router_stats {
    uint64_t messages;
    uint64_t faulty;  /* dropped whole */
    uint64_t unsent;  /* answers whose peer was gone or did not read */
    uint64_t waiting; /* replies that wait for the disk or a slice */
    uint64_t refused; /* too many waited */
};

/* `worker` and `operator_` are bound ROUTER sockets. */
struct router *router_open(struct commands *commands, void *worker,
                           void *operator_);
void router_close(struct router **r);
/* An endpoint's socket wants to be looked at: its ZMQ_FD was readable. That is told
 * once, and a socket that was sent on may have swallowed it, so an endpoint is
 * looked at until it has nothing, and again after each answer. */
void router_look(struct router *r, enum router_door door);
/* Handles at most `most` messages of each endpoint that is to be looked at. */
void router_turn(struct router *r, int64_t now_ns, unsigned most);
/* True while one is: nothing may be slept on. */
bool router_has_more(const struct router *r);
/* After registry_stored: fills, fails, sends what waited. */
void router_stored(struct router *r, const struct store_done *done);
/* Sends what has become whole. */
void router_flush(struct router *r);
void router_stats(const struct router *r, struct router_stats *out);

#endif
