#ifndef ROOM_H
#define ROOM_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A full table: a service made by use, closed, without override and idle for an
 * hour makes room. Which one of several is the core's choice; the model follows
 * it when the rules permit, and objects when they do not. */
#include "tests/model/play.h"

/* After a command to the core, before the model hears of it. */
void room_follow(struct play *p);
/* The core found no room: there must be none. */
void room_check_full(struct play *p);

#endif
