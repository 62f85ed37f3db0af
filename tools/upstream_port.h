#ifndef UPSTREAM_PORT_H
#define UPSTREAM_PORT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A port of 127.0.0.1 that can stop listening and start again without losing
 * its number to somebody else. */
#include "core/text.h"

struct upstream_port {
    int claim_fd;  /* bound, never listening: keeps the number ours */
    int listen_fd; /* -1 while connections are refused */
    uint16_t number;
};
#define UPSTREAM_PORT_NONE ((struct upstream_port){-1, -1, 0})

/* Claims `number` (0: any) and listens. False: `error` has one sentence. */
bool upstream_port_open(struct upstream_port *port, uint16_t number,
                        struct bk_text *error);
/* From now on connections are refused, those not accepted yet are reset. */
void upstream_port_refuse(struct upstream_port *port);
/* Listens again (nothing to do when it does). */
bool upstream_port_listen(struct upstream_port *port, struct bk_text *error);
void upstream_port_close(struct upstream_port *port);

#endif
