#ifndef OBSERVE_H
#define OBSERVE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells of calls that only mode observe let through: the first of a service at
 * once, the others together in a line every ten seconds. */
#include "core/fleet.h"

/* Services told of at one time; of more, the metrics tell. */
#define OBSERVE_SERVICES 64
#define OBSERVE_EVERY_NS (10 * BK_NS_PER_S)

struct observe_row {
    uint32_t slot;
    uint32_t incarnation;
    int64_t since_ns; /* of what is not told yet */
    uint64_t told[BK_DENY_CALLS];
};

/* All zero is empty. */
struct observe {
    struct observe_row rows[OBSERVE_SERVICES];
    uint32_t count;
};

/* A call of this service was let through that `reason` would have denied. */
void observe_see(struct observe *o, const struct bk_fleet *fleet,
                 int64_t now_ns, uint32_t slot, enum bk_deny reason);
/* Writes the lines that are due. Once a second will do. */
void observe_tell(struct observe *o, const struct bk_fleet *fleet,
                  int64_t now_ns);

#endif
