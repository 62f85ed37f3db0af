#ifndef SOCKETS_H
#define SOCKETS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the daemon listens for lines and is listened to for events: descriptors of
 * ours, or handed over. libzmq serves events.sock, with every option set before the
 * bind; callers.c the others. */
#include "daemon/callers.h"
#include "daemon/gate.h"
#include "daemon/handed.h"

struct sockets {
    void *context;
    void *events;
    bool is_made[GATE_DOORS]; /* listens at a file that goes with the daemon */
};

/* It leads nowhere yet: what is sent to the events is lost. */
bool sockets_open(struct sockets *s, struct bk_text *error);
/* Listens at the sockets in `handed`, and makes those that are missing. The last step
 * of a start, behind gate_arm: who connects is answered at once. */
bool sockets_listen(struct sockets *s, struct callers *callers,
                    const struct rundir *dir, struct handed *handed,
                    struct bk_text *error);
/* Gives events that are queued a moment, removes the files it made. */
void sockets_close(struct sockets *s, const struct rundir *dir);

#endif
