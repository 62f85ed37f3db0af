#ifndef TOTALS_H
#define TOTALS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon's parts have counted, put together for whoever reads metrics. */
#include "daemon/loop.h"

void totals_collect(const struct loop *l, int64_t now_ns,
                    struct bk_totals *out);

#endif
