#ifndef CLIENT_TALK_H
#define CLIENT_TALK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon that gives the usual answers: each call gets a leased permit of its own. */
#include "client_stage.h"

/* It is there; permits are numbered from 1. */
void talk_begin(struct stage *s);
/* It is there again, and goes on with its numbers. */
void talk_go_on(struct stage *s);
/* It is there, and a worker that asks over the socket. */
struct stage *with_daemon(void **state, uint32_t deadline_ms);

#endif
