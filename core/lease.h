#ifndef BK_LEASE_H
#define BK_LEASE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease table: permits and retry tokens that are out, each with an id used
 * once, a holder and a deadline. Found by id; first to end per service; all of a
 * holder. Memory is the caller's, the size fixed at start. */
#include "core/budget.h"

#define BK_NO_SLOT UINT32_MAX

enum bk_lease_kind { BK_LEASE_FREE, BK_LEASE_PERMIT, BK_LEASE_TOKEN };

/* What is published and adopted. */
struct bk_lease {
    uint64_t id;
    uint64_t generation; /* permit: of the service at its birth */
    int64_t deadline_ns;
    int64_t slice;        /* token: where its withdrawal was made */
    uint32_t era;         /* token: of the budget */
    uint32_t service;     /* slot in the fleet */
    uint32_t holder_pid;  /* 0: unseen, not watched */
    uint32_t ramp_serial; /* permit: the ramp step that admitted it */
    uint32_t kind;        /* enum bk_lease_kind */
    uint32_t reserved;
};

struct bk_lease_node; /* private: a lease and its links */

struct bk_leases {
    struct bk_lease_node *nodes;
    uint32_t *buckets;     /* by id; BK_NO_SLOT is empty */
    uint32_t *holders;     /* by pid: heads of the holders' lists */
    uint32_t bucket_count; /* a power of two */
    uint32_t holder_count; /* a power of two */
    uint32_t capacity;
    uint32_t used;
    uint32_t fresh; /* slots from here on were never used */
    uint32_t free_head;
    uint32_t dirty_head; /* slots changed since the last bk_leases_next_dirty */
};

/* One service's leases of one kind: a pairing heap, earliest end first, then
 * lowest id (Fredman, Sedgewick, Sleator, Tarjan 1986). */
struct bk_lease_heap {
    uint32_t root;
    uint32_t count;
};

size_t bk_leases_bytes(uint32_t capacity);
/* `mem` has bk_leases_bytes(capacity) octets of zeros, aligned for uint64_t. */
void bk_leases_init(struct bk_leases *t, void *mem, uint32_t capacity);
void bk_lease_heap_init(struct bk_lease_heap *h);

/* Adds a lease (its `id`, `kind`, ... filled in); BK_NO_SLOT when full. */
uint32_t bk_leases_add(struct bk_leases *t, struct bk_lease_heap *h,
                       const struct bk_lease *lease);
/* Puts a lease back into the slot it had; slots must come in ascending order,
 * before any bk_leases_add. False when that slot cannot be had. */
bool bk_leases_adopt(struct bk_leases *t, struct bk_lease_heap *h,
                     uint32_t slot, const struct bk_lease *lease);
/* The slot of a live lease with this id, or BK_NO_SLOT. */
uint32_t bk_leases_find(const struct bk_leases *t, uint64_t id);
/* Slots from here on were never used. */
uint32_t bk_leases_end(const struct bk_leases *t);
const struct bk_lease *bk_leases_at(const struct bk_leases *t, uint32_t slot);
void bk_leases_remove(struct bk_leases *t, struct bk_lease_heap *h,
                      uint32_t slot);
void bk_leases_renew(struct bk_leases *t, struct bk_lease_heap *h,
                     uint32_t slot, int64_t deadline_ns);
/* The lease that ends first, or BK_NO_SLOT. */
uint32_t bk_leases_first(const struct bk_lease_heap *h);
/* Any lease of this process, or BK_NO_SLOT. */
uint32_t bk_leases_of(const struct bk_leases *t, uint32_t pid);
/* A slot whose content changed since last asked about (each once), or
 * BK_NO_SLOT; a freed slot reads kind BK_LEASE_FREE. */
uint32_t bk_leases_next_dirty(struct bk_leases *t);

#endif
