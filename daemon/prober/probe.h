#ifndef PROBER_PROBE_H
#define PROBER_PROBE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Health probes: which addresses are asked, and when. Those of many services are
 * spread over their interval; of one service there is never more than one out. */
#include "daemon/prober/fetch.h"
#include "daemon/prober/message.h"

struct probes;

struct probes *probes_open(struct fetch *fetch);
void probes_close(struct probes **p);
/* MESSAGE_PROBE or MESSAGE_UNPROBE. False without memory. */
bool probes_take(struct probes *p, const struct message *m, int64_t now_ns);
/* Starts what is due, as far as there is room. */
void probes_turn(struct probes *p, int64_t now_ns);
/* When probes_turn has something to do; BK_NEVER. */
int64_t probes_deadline(const struct probes *p);
#endif
