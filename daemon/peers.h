#ifndef PEERS_H
#define PEERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end, read once from what libzmq says of it and kept for the
 * messages that follow. */
#include "daemon/commands.h"

struct peers;

struct peers *peers_new(void);
void peers_free(struct peers **p);
/* `address` is libzmq's Peer-Address, "localhost:uid:gid:pid" with the kernel's
 * numbers; NULL or anything else is somebody unseen. Good until the next call. */
const struct peer *peers_find(struct peers *p, const char *address,
                              bool is_operator);

#endif
