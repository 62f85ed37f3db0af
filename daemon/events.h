#ifndef EVENTS_H
#define EVENTS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Transitions told to subscribers, after they are on disk. */
#include "daemon/store.h"

struct events;

/* `socket` is a bound PUB socket, or NULL (nothing is sent). */
struct events *events_open(void *socket);
void events_close(struct events **e);
/* An event that may be told once `job` is saved. The oldest goes when too many
 * wait. */
void events_put(struct events *e, uint64_t job,
                const struct store_event *event);
void events_saved(struct events *e, uint64_t job);
uint64_t events_dropped(const struct events *e);

#endif
