#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A unix socket as a guest makes and closes one: it never blocks, is gone after
 * exec, takes no standard descriptor, and its trouble is told in words. */
#include "client/cause.h"
#include <sys/types.h>

/* `type`: SOCK_STREAM or SOCK_SEQPACKET. -1 and the cause: the host has none to give. The inode tells it from others. */
int dial_socket(int type, ino_t *inode, struct cause *cause);
/* Connects at once or not at all. False with CAUSE_NONE when nobody is there, with the
 * cause when something is in the way. */
bool dial_connect(int fd, const char *path, struct cause *cause);
/* It still is what dial_socket made: a host may have closed all descriptors behind our
 * back (a daemon that starts does) and opened its own in their place. */
bool dial_is_ours(int fd, ino_t inode);
/* Closes it if it still is what dial_socket made; -1 is none. */
void dial_close(int fd, ino_t inode);

#endif
