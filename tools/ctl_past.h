#ifndef CTL_PAST_H
#define CTL_PAST_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of history that are published: everybody who may read the shared
 * memory may read them, also while the daemon is down. */
#include "tools/ctl_view.h"

/* The newest lines, oldest first; their number. */
size_t past_read(const struct view *v, struct bk_past out[BK_PAST_COUNT]);

#endif
