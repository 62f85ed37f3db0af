#ifndef PUBLISH_H
#define PUBLISH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment's file: made, adopted from an earlier daemon, kept in step with the
 * fleet. The only writer of shared memory. */
#include "core/segment.h"
#include "daemon/rundir.h"

/* How long counts may be behind what the daemon knows, at the worst. */
#define PUBLISH_LATE_NS (100 * BK_NS_PER_MS)

struct publish;

/* What an earlier daemon's segment held, if it can be believed. */
struct publish_found {
    bool is_adopted;   /* services and leases are in the fleet */
    uint64_t epoch;    /* of the daemon that wrote it */
    uint64_t last_seq; /* of the lines of history in it */
    uint32_t services;
    uint32_t leases;
};

/* Opens DIR/breakerd.shm: takes over what is sound and of this boot (into the
 * empty `fleet`), else makes a new file. Never fails: without room in the
 * directory the state lives in private memory and workers ask over the socket
 * (one logged line). NULL only without memory. */
struct publish *publish_open(const struct rundir *r, struct bk_fleet *fleet,
                             int64_t now_ns, struct publish_found *found);
/* Everything is in place: readers may come. */
void publish_run(struct publish *p, uint64_t epoch, int64_t now_ns);
/* Takes up what changed since the last call: leases, policies, and verdicts with the
 * records they belong to are published at once. A record whose verdict stays (counts
 * that went up) may wait: see publish_rest. `changed` (may be NULL) is called for each
 * service. */
void publish_sync(struct publish *p, struct bk_fleet *fleet,
                  void (*changed)(void *context, uint32_t slot), void *context);
/* Publishes the records that wait: all of them, whenever nothing else is to be done
 * and doing so takes at most a twentieth of the time, so under load up to
 * PUBLISH_LATE_NS later; now if `is_promised`. */
void publish_rest(struct publish *p, struct bk_fleet *fleet, bool is_promised);
/* When the records that wait are due; BK_NEVER: none does. */
int64_t publish_deadline(const struct publish *p);
/* Shows a line of history, in place of the oldest; one that is no newer than what
 * is in its place is left out. `publish` is a struct publish (a callback's type). */
void publish_line(void *publish, const struct bk_past *line);
void publish_routes(struct publish *p, const struct bk_fleet *fleet);
/* What is counted of the daemon. */
void publish_totals(struct publish *p, const struct bk_totals *totals);
void publish_beat(struct publish *p, int64_t boot_ns, uint64_t workers);
/* Says that the daemon ended on purpose; the file stays. */
void publish_close(struct publish **p);

#endif
