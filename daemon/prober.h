#ifndef PROBER_H
#define PROBER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * breakerd's side of the prober: what it is to ask and whom it is to tell, kept
 * here and told anew to each prober that is started. */
#include "daemon/prober/message.h"
#include "daemon/store.h"

struct prober;

struct prober_stats {
    uint64_t webhooks_sent;
    uint64_t webhooks_failed;  /* given up */
    uint64_t webhooks_dropped; /* for want of room */
    uint64_t starts;
};

/* The outcome of a health probe: service, outcome, latency, text. */
typedef void prober_result(void *context, int64_t now_ns,
                           const struct bk_health *health);

/* `places`: slots of the fleet. NULL without memory. */
struct prober *prober_open(uint32_t places, prober_result *result,
                           void *context);
/* The process ends as well. */
void prober_close(struct prober **p);

/* A slot of the fleet may say another thing now. Cheap where it does not. */
void prober_look(struct prober *p, const struct bk_fleet *fleet, uint32_t slot);
/* All webhooks, as they are from now on; at most BK_WEBHOOKS_MAX. */
void prober_set_hooks(struct prober *p, const struct bk_webhook *hooks,
                      uint32_t count);
/* A change that is on disk. `until_ms`: wall clock, 0 when unknown. */
void prober_tell(struct prober *p, const struct bk_past *event,
                 uint64_t until_ms);

/* Takes what the prober says and tells it what is new; starts it when there is
 * something to do, and ends it when there is not. Never waits. */
void prober_turn(struct prober *p, const struct bk_fleet *fleet,
                 int64_t now_ns);
/* To be watched: -1 for nothing; for writing, too, when it wants that. */
int prober_fd(const struct prober *p);
bool prober_wants_to_write(const struct prober *p);
/* When prober_turn is due without anything from there. */
int64_t prober_deadline(const struct prober *p);
void prober_stats(const struct prober *p, struct prober_stats *out);

#endif
