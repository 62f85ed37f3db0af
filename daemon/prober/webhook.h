#ifndef PROBER_WEBHOOK_H
#define PROBER_WEBHOOK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks: each one behind a circuit breaker and a retry budget of its own, the
 * very machine that breakerd runs for its services. */
#include "daemon/prober/fetch.h"
#include "daemon/prober/message.h"

struct webhooks;

struct webhooks *webhooks_open(struct fetch *fetch);
void webhooks_close(struct webhooks **w);
/* MESSAGE_HOOK, MESSAGE_UNHOOK or MESSAGE_EVENT. */
void webhooks_take(struct webhooks *w, const struct message *m, int64_t now_ns);
/* Sends what is due, and tells breakerd what came of it. */
void webhooks_turn(struct webhooks *w, int64_t now_ns);
/* When webhooks_turn has something to do; BK_NEVER. */
int64_t webhooks_deadline(const struct webhooks *w);

#endif
