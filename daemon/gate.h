#ifndef GATE_H
#define GATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets and who gets through them. libzmq would bind them with
 * whatever the umask says, steal a path from a live daemon, and abort when
 * accept4 meets a shortage; so the sockets are ours, and this file stands between
 * libzmq and accept4 (and close) with caps, a count by process and a reserve
 * descriptor. Connections of callers.c pass by the same way. */
#include "core/text.h"
#include "daemon/rundir.h"

enum gate_door { GATE_WORKER, GATE_OPERATOR, GATE_EVENTS, GATE_DOORS };

struct gate_stats {
    uint64_t connections; /* open now */
    uint64_t workers;     /* distinct processes at the worker door */
    uint64_t refused;     /* over a cap, since the start */
    uint64_t shortages;   /* accept failed for want of something */
};

/* Makes a listening socket at DIR/name with exactly this mode; -1 and a
 * sentence. The caller owns the descriptor. */
int gate_listen(const struct rundir *r, enum gate_door door, const char *name,
                mode_t mode, struct bk_text *error);
/* A listening socket that somebody else made is this door from now on. */
void gate_adopt(enum gate_door door, int fd);
/* Sets the caps from what descriptors are left: once everything but the doors is
 * open, and before they are, as nobody gets in without. */
void gate_arm(void);
void gate_stats(struct gate_stats *out);

#endif
