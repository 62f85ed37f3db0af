#ifndef PEER_H
#define PEER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a connection: what the kernel says, and the name it
 * gave itself, for display. */
#include "core/fleet.h"

struct peer {
    uint32_t uid;
    uint32_t gid;
    uint32_t pid; /* 0: unseen */
    bool is_operator;
    char actor[BK_ACTOR_SIZE];
    char worker[BK_WORKER_SIZE]; /* as HELLO said */
};

#endif
