#ifndef WATCH_H
#define WATCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that hold leases, watched by pidfd: their death gives back what they
 * held at once. One epoll descriptor stands for all of them. */
#include <stdbool.h>
#include <stdint.h>

struct watch;

/* At most `capacity` processes; others rely on the ends of their leases. */
struct watch *watch_open(uint32_t capacity);
void watch_close(struct watch **w);
/* Watches a process (once). False when it is dead already; true also when it
 * cannot be watched for want of room or of kernel support. */
bool watch_add(struct watch *w, uint32_t pid);
/* Readable when somebody died. */
int watch_fd(const struct watch *w);
/* A process that died since the last call, 0 for none. */
uint32_t watch_next_dead(struct watch *w);

#endif
