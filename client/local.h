#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The local machine: while there is no daemon the very same core decides in this
 * process's memory, each service started from its last published state and
 * policy, with this worker's share of the retry reserve. */
#include "client/told.h"
#include "core/fleet.h"
#include <pthread.h>

/* Services, leases and tokens one worker has at once during an outage. Beyond
 * them nobody decides: the call is let through. */
#define LOCAL_SERVICES 512
#define LOCAL_LEASES 2048

struct local {
    pthread_mutex_t lock;
    struct bk_fleet *fleet; /* NULL until the first question of an outage */
    uint32_t serial;        /* of the outage; names it in permits */
    bool is_broken;         /* a promise was broken: never used again */
};

struct breaker;

bool local_init(struct local *l);
void local_fini(struct local *l);
/* The daemon is back: the next outage starts from what it published last. */
void local_end(struct breaker *b);

/* Each returns false when the local machine cannot answer: no memory, no room,
 * or it is broken. */
bool local_acquire(struct breaker *b, struct breaker_service *s,
                   const struct bk_acquire *ask, struct breaker_permit *permit);
bool local_retry(struct breaker *b, struct breaker_service *s,
                 const struct bk_retry *ask, struct breaker_token *token);
bool local_report(struct breaker *b, const struct told *item,
                  enum bk_applied *answer);
/* `serial` is the outage that issued the id; of another one it is stale. */
bool local_release(struct breaker *b, uint32_t serial, uint64_t id,
                   enum bk_applied *answer);
bool local_renew(struct breaker *b, uint32_t serial, uint64_t id,
                 int64_t ttl_ns, enum bk_applied *answer);
/* Appends the status JSON of one service. */
bool local_status(struct breaker *b, struct breaker_service *s,
                  struct bk_text *out);
/* The outage now served, 0: none. */
uint32_t local_serial(struct breaker *b);

#endif
