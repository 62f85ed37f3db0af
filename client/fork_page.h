#ifndef CLIENT_FORK_PAGE_H
#define CLIENT_FORK_PAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * How a handle notices that its process is a child: a page the kernel gives to a
 * forked child as zeros. One load tells, whatever way the child was made; where
 * the kernel cannot wipe, a pthread_atfork handler does it. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fork_state {
    FORK_CHILD = 0, /* wiped: nothing of the parent's may be used */
    FORK_RENEWING,  /* one thread makes the handle anew */
    FORK_READY
};

struct fork_page {
    _Atomic uint32_t state; /* enum fork_state */
    uint32_t is_listed;     /* the fallback knows it */
    struct fork_page *next; /* of the fallback's list */
};

/* NULL: no memory. `may_wipe` false takes the fallback (for its test). Starts
 * as FORK_CHILD. */
struct fork_page *fork_page_new(bool may_wipe);
void fork_page_free(struct fork_page **page);

/* Pairs with the release that ends a renewal: who sees READY sees all of it. */
static inline bool
fork_page_is_ready(struct fork_page *page)
{
    return atomic_load_explicit(&page->state, memory_order_acquire) ==
           FORK_READY;
}

#endif
