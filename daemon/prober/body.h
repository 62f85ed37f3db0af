#ifndef PROBER_BODY_H
#define PROBER_BODY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a webhook is sent: the changes of one service, folded into one message. */
#include "core/webhook.h"

/* Octets of a body, its NUL included; the longest is far shorter. */
#define BODY_SIZE 4096

struct body_change {
    char service[BK_NAME_SIZE];
    enum bk_state from; /* before the first of them */
    enum bk_state to;   /* what follows is of the last */
    enum bk_mode mode;
    enum bk_cause cause;
    uint64_t seq;
    uint64_t generation;
    uint64_t at_ms;    /* wall clock */
    uint64_t until_ms; /* wall clock; 0: unknown */
    char actor[BK_ACTOR_SIZE];
    char text[BK_REASON_SIZE];
    uint64_t count;
};

/* JSON into `out` (BODY_SIZE); `host` names this machine. */
void body_write(enum bk_webhook_format format, const struct body_change *change,
                const char *host, char *out);
const char *body_content_type(enum bk_webhook_format format);

#endif
