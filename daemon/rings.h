#ifndef RINGS_H
#define RINGS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes that workers of this host write into memory they share with the daemon,
 * one ring a thread, instead of sending them (docs/rings.md). What comes by ring is
 * taken before any line the same process sent later, and rings are read in turn, an
 * item each, so that no worker's successes stay behind another's failures. */
#include "daemon/registry.h"
#include "daemon/watch.h"

struct rings;

struct rings_stats {
    uint64_t rings;   /* now */
    uint64_t refused; /* not taken, or let go for a fault */
    uint64_t items;   /* taken */
    uint64_t unknown; /* of those, about what is not there */
};

/* Listens at ring.sock. NULL and a sentence. `most` connections at once. */
struct rings *rings_open(struct registry *registry, struct watch *watch,
                         const struct rundir *dir, uint32_t most,
                         struct bk_text *error);
/* Takes what is left first. */
void rings_close(struct rings **r, const struct rundir *dir, int64_t now_ns);
/* Readable when a bell rang, a ring came or a worker hung up. */
int rings_fd(const struct rings *r);
/* A turn: who has come, who is gone, what was written. `rang`: rings_fd is
 * readable. */
void rings_turn(struct rings *r, int64_t now_ns, bool rang);
/* The last turn left something that waits already. */
bool rings_has_more(const struct rings *r);
/* When rings must be looked at though no bell rings; BK_NEVER: not at all. */
int64_t rings_deadline(const struct rings *r);
/* All that this process has written by now: before a line of its own is carried
 * out, and when it has died. */
void rings_take_of(struct rings *r, int64_t now_ns, uint32_t pid);
/* So much was taken since the turn began that the next one should. */
bool rings_took_much(const struct rings *r);
/* It is dead: takes what it left, and lets its rings go. */
void rings_bury(struct rings *r, int64_t now_ns, uint32_t pid);
void rings_stats(const struct rings *r, struct rings_stats *out);

#endif
