/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hold.h"

void
bk_hold_extend(struct bk_hold *h, const struct bk_policy *p, int64_t now_ns,
               int64_t retry_after_ns)
{
    int64_t wait_ns =
        retry_after_ns < p->max_hold_ns ? retry_after_ns : p->max_hold_ns;
    int64_t until_ns = bk_after(now_ns, wait_ns);
    if (until_ns > h->until_ns) {
        h->until_ns = until_ns;
    }
}

void
bk_hold_end(struct bk_hold *h)
{
    h->until_ns = 0;
}

int64_t
bk_hold_left(const struct bk_hold *h, int64_t now_ns)
{
    return h->until_ns > now_ns ? h->until_ns - now_ns : 0;
}
