#ifndef EVENTS_H
#define EVENTS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What has happened, told after it is on disk: transitions to subscribers. */
#include "daemon/store.h"

struct events;

/* `socket` is a bound PUB socket, or NULL (nothing is sent). */
struct events *events_open(void *socket);
/* Somebody else who is told each transition, after the subscribers. */
void events_listen(struct events *e,
                   void (*told)(void *context, const struct bk_past *line),
                   void *context);
void events_close(struct events **e);
/* A line of history that may be told once `job` is saved; subscribers hear of
 * transitions alone. The oldest goes when too many wait. */
void events_put(struct events *e, uint64_t job, const struct bk_past *line,
                bool is_transition);
/* `saved` (may be NULL) is called for each line that is on disk now. */
void events_saved(struct events *e, uint64_t job,
                  void (*saved)(void *context, const struct bk_past *line),
                  void *context);
uint64_t events_dropped(const struct events *e);

#endif
