#ifndef CLIENT_TALLY_H
#define CLIENT_TALLY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the daemon what was decided from its memory, so that its counters are
 * true: at most once a second, and at close. */
#include "client/client.h"

#define TALLY_NS (1 * BK_NS_PER_S)

/* Sends when it is time; of threads that come at once, one does. */
void tally_when_due(struct breaker *b, int64_t coarse_ns);
void tally_send(struct breaker *b);
/* A child starts from zero: the parent tells its own. */
void tally_forget(struct breaker *b);
/* Decided from memory and not yet told. */
uint64_t tally_pending(struct breaker *b);

static inline bool
tally_is_due(struct world *w, int64_t coarse_ns)
{
    return coarse_ns >=
           atomic_load_explicit(&w->tally_due_ns, memory_order_relaxed);
}

#endif
