#ifndef PROBER_LINK_H
#define PROBER_LINK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober's end of the socket to breakerd. */
#include "daemon/prober/message.h"

/* The descriptor breakerd leaves for the prober. */
#define LINK_FD 3

enum link_got { LINK_MESSAGE, LINK_NOTHING, LINK_ENDED };

/* LINK_ENDED when breakerd is gone or speaks another language. */
enum link_got link_receive(struct message *out);
/* False when breakerd does not read: the message is lost. */
bool link_send(const struct message *m);

#endif
