#ifndef PROBER_PACE_H
#define PROBER_PACE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How changes become messages: of one service to one webhook at most one message
 * in ten seconds, the first a second after its change, so that a flap is one
 * message with a count. */
#include "daemon/prober/body.h"

#define PACE_ROWS 512
#define PACE_HOLD_NS BK_NS_PER_S
#define PACE_WINDOW_NS (10 * BK_NS_PER_S)

/* The changes of a service that a webhook has not been told yet. */
struct pace_row {
    bool is_used;
    uint32_t hook;
    struct body_change change; /* count 0: nothing to tell */
    int64_t due_ns;        /* when it may be sent, or the row is free again */
    uint64_t sending;      /* of the count, while a message is out; else 0 */
    enum bk_state sent_to; /* where that message says it went */
    /* The message's attempts, for whoever sends. */
    uint64_t attempt; /* the next one, from 1 */
    uint64_t token;   /* of a retry; 0: none */
    int64_t since_ns; /* its first attempt; 0: none yet */
};

struct pace {
    struct pace_row rows[PACE_ROWS];
};

/* `change` is one change (count 1). False when there is no room. */
bool pace_add(struct pace *p, uint32_t hook, const struct body_change *change,
              int64_t now_ns);
/* A row that is due for a webhook, the longest due first; NULL: none. Rows that
 * have been quiet for long enough are freed on the way. */
struct pace_row *pace_due(struct pace *p, uint32_t hook, int64_t now_ns);
/* A message is out: what is added from now on is for the next one. */
void pace_begin(struct pace_row *row);
/* It has to be sent again at `due_ns`. */
void pace_again(struct pace_row *row, int64_t due_ns);
/* It was sent or given up. */
void pace_end(struct pace_row *row, int64_t now_ns);
/* The webhook is gone; the number of changes it was not told. */
uint64_t pace_drop(struct pace *p, uint32_t hook);
/* The next instant at which a row of the hook is due; BK_NEVER. */
int64_t pace_deadline(const struct pace *p, uint32_t hook);

#endif
