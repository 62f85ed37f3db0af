#ifndef BK_SEGMENT_INDEX_H
#define BK_SEGMENT_INDEX_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The name index in the segment: open addressing over `buckets`, each holding
 * slot + 1 or 0. Written here, read by bk_segment_find. */
#include "core/segment.h"

#define BK_NAME_WORDS (BK_NAME_SIZE / sizeof(uint64_t))
/* Gives a slot the name `name` ("": none) and looks after the index. `f` is
 * asked for all names when the index turns out to be damaged. */
void bk_index_put(struct bk_segment *s, const struct bk_fleet *f, uint32_t slot,
                  const char *name);

#endif
