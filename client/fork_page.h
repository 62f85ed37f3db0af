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

#define FORK_CHILD UINT64_C(0) /* wiped: nothing of the parent's may be used */
#define FORK_RENEWING UINT64_C(1) /* one thread makes the handle anew */
#define FORK_READY UINT64_C(2)    /* from here on: ready */

struct fork_page {
    _Atomic uint64_t
        serial; /* of the handle in this process, when it is ready */
    struct fork_page *next; /* of the fallback's list */
    bool is_listed;         /* the fallback knows it */
};

/* NULL: no memory. `may_wipe` false takes the fallback (for its test). Starts
 * as FORK_CHILD. */
struct fork_page *fork_page_new(bool may_wipe);
void fork_page_free(struct fork_page **page);

/* Pairs with the release that ends a renewal: who sees it ready sees all of it. */
static inline uint64_t
fork_page_serial(const struct fork_page *page)
{
    return atomic_load_explicit(&page->serial, memory_order_acquire);
}

static inline bool
fork_page_is_ready(const struct fork_page *page)
{
    return fork_page_serial(page) >= FORK_READY;
}

#endif
