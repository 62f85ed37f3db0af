/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_past.h"
#include <stdlib.h>

static int
compare(const void *a, const void *b)
{
    const struct bk_past *x = a;
    const struct bk_past *y = b;

    return (x->seq > y->seq) - (x->seq < y->seq);
}

size_t
past_read(const struct view *v, struct bk_past out[BK_PAST_COUNT])
{
    size_t count = 0;

    for (uint32_t i = 0; i < BK_PAST_COUNT; i++)
        count += bk_segment_read_past(&v->segment, i, &out[count]);
    qsort(out, count, sizeof *out, compare);
    return count;
}
