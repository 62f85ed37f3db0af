#ifndef SOCKETS_H
#define SOCKETS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The ZeroMQ sockets: made in one way, every option set before the bind, on
 * listening descriptors of ours. */
#include "daemon/gate.h"

struct sockets {
    void *context;
    void *worker;
    void *operator_;
    void *events;
    int fds[GATE_DOORS];
};

bool sockets_open(struct sockets *s, const struct rundir *dir,
                  struct bk_text *error);
/* Gives what is queued for sending a moment, removes the files. */
void sockets_close(struct sockets *s, const struct rundir *dir);

#endif
