#ifndef SOCKETS_H
#define SOCKETS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The ZeroMQ sockets: made in one way, every option set before the bind, on
 * listening descriptors of ours. */
#include "daemon/gate.h"
#include "daemon/handed.h"

struct sockets {
    void *context;
    void *worker;
    void *operator_;
    void *events;
    bool is_made[GATE_DOORS]; /* listens at a file that goes with the daemon */
};

/* They lead nowhere yet: what is sent to the events is lost. */
bool sockets_open(struct sockets *s, struct bk_text *error);
/* Listens at the sockets in `handed`, and makes those that are missing. The last step
 * of a start, behind gate_arm: who connects is answered at once. */
bool sockets_listen(struct sockets *s, const struct rundir *dir,
                    struct handed *handed, struct bk_text *error);
/* Readable when `socket` wants to be looked at (ZMQ_FD: see zmq_getsockopt(3)); -1
 * when there is no such thing. */
int sockets_fd(void *socket);
/* Gives what is queued for sending a moment, removes the files it made. */
void sockets_close(struct sockets *s, const struct rundir *dir);

#endif
