#ifndef HANDED_H
#define HANDED_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets that the service manager made and hands over ($LISTEN_FDS,
 * sd_listen_fds(3)). They outlive the daemon, so nobody is refused while it is
 * started anew. */
#include <stddef.h>

#define HANDED_MAX 16

struct handed {
    int fds[HANDED_MAX];
    size_t count;
};

/* Reads the variables and removes them; while there is one thread. */
void handed_open(struct handed *h);
/* The descriptor that listens at `directory`/`name`, the caller's from now on;
 * -1 when there is none. A name given by the manager counts for nothing: a wrong
 * one would serve operators where workers ask. */
int handed_take(struct handed *h, const char *directory, const char *name);
/* Closes what nobody took, and says so. */
void handed_close(struct handed *h);

#endif
