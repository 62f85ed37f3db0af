#ifndef ROUTER_H
#define ROUTER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The two endpoints: takes messages apart, has each line carried out, sends the
 * answers. What is no message of the protocol is counted and dropped. */
#include "daemon/callers.h"
#include "daemon/commands.h"

struct router;

struct router_stats {
    uint64_t messages;
    uint64_t faulty;  /* dropped whole */
    uint64_t unsent;  /* answers whose peer was gone or did not read */
    uint64_t waiting; /* replies that wait for the disk or a slice */
    uint64_t refused; /* too many waited */
};

struct router *router_open(struct commands *commands, struct callers *callers);
void router_close(struct router **r);
/* Hears callers, about as many as make a millisecond's work. `is_called`:
 * callers_fd() is readable. */
void router_turn(struct router *r, int64_t now_ns, bool is_called);
/* Some of those that had something are still to be heard: nothing may be slept on. */
bool router_has_more(const struct router *r);
/* When there must be a turn though nobody calls; BK_NEVER. */
int64_t router_deadline(const struct router *r);
/* It is dead: carries out what it said before, all that a worker leaves behind. */
void router_bury(struct router *r, int64_t now_ns, uint32_t pid);
/* The dead have not said so much that the living wait: another one may be buried
 * before router_turn. */
bool router_may_bury(const struct router *r);
/* After registry_stored: fills, fails, sends what waited. */
void router_stored(struct router *r, const struct store_done *done);
/* Sends what has become whole. */
void router_flush(struct router *r);
void router_stats(const struct router *r, struct router_stats *out);

#endif
