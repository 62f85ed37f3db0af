/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lease.h"
#include "core/bug.h"
#include <string.h>

struct bk_lease_node {
    struct bk_lease lease;
    /* The pairing heap: first child, next sibling, and what points here (the
     * parent for a first child, else the sibling before). */
    uint32_t child;
    uint32_t next;
    uint32_t prev;
    uint32_t id_next; /* chain of a bucket; of the free list */
    uint32_t holder_next;
    uint32_t holder_prev;
    uint32_t dirty_next;
    uint32_t is_dirty;
};

static uint32_t
bucket_count_for(uint32_t capacity)
{
    uint32_t count = 16;
    while (count < capacity) {
        count *= 2;
    }
    return count;
}

size_t
bk_leases_bytes(uint32_t capacity)
{
    return sizeof(struct bk_lease_node) * capacity +
           2 * sizeof(uint32_t) * bucket_count_for(capacity);
}

/* Touches nothing: nodes and buckets come into use one by one, so that a large table
 * costs no memory and no time before it fills. */
void
bk_leases_init(struct bk_leases *t, void *mem, uint32_t capacity)
{
    uint32_t buckets = bucket_count_for(capacity);
    memset(t, 0, sizeof(*t));
    t->nodes = mem;
    t->buckets = (uint32_t *)(void *)(t->nodes + capacity);
    t->holders = t->buckets + buckets;
    t->bucket_count = buckets;
    t->holder_count = buckets;
    t->capacity = capacity;
    t->dirty_head = BK_NO_SLOT;
    t->free_head = BK_NO_SLOT;
}

void
bk_lease_heap_init(struct bk_lease_heap *h)
{
    h->root = BK_NO_SLOT;
    h->count = 0;
}

/* A bucket holds the first slot's complement, so that zeros are empty ones. */
static uint32_t
first_in(uint32_t bucket)
{
    return ~bucket;
}
_Static_assert((uint32_t)~BK_NO_SLOT == 0, "an empty bucket");

static void
put_first(uint32_t *bucket, uint32_t slot)
{
    *bucket = ~slot;
}

static uint32_t
mix(uint64_t key, uint32_t count)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32) & (count - 1);
}

static void
mark_dirty(struct bk_leases *t, uint32_t slot)
{
    struct bk_lease_node *n = &t->nodes[slot];
    if (!n->is_dirty) {
        n->is_dirty = 1;
        n->dirty_next = t->dirty_head;
        t->dirty_head = slot;
    }
}

uint32_t
bk_leases_next_dirty(struct bk_leases *t)
{
    uint32_t slot = t->dirty_head;
    if (slot != BK_NO_SLOT) {
        t->dirty_head = t->nodes[slot].dirty_next;
        t->nodes[slot].is_dirty = 0;
    }
    return slot;
}

static bool
ends_before(const struct bk_leases *t, uint32_t a, uint32_t b)
{
    const struct bk_lease *x = &t->nodes[a].lease;
    const struct bk_lease *y = &t->nodes[b].lease;
    return x->deadline_ns != y->deadline_ns ? x->deadline_ns < y->deadline_ns
                                            : x->id < y->id;
}

/* Joins two heaps; either may be empty. The later root becomes first child. */
static uint32_t
merge(struct bk_leases *t, uint32_t a, uint32_t b)
{
    if (a == BK_NO_SLOT || b == BK_NO_SLOT) {
        return a == BK_NO_SLOT ? b : a;
    }
    uint32_t top = ends_before(t, a, b) ? a : b;
    uint32_t low = top == a ? b : a;
    uint32_t child = t->nodes[top].child;
    t->nodes[low].next = child;
    t->nodes[low].prev = top;
    if (child != BK_NO_SLOT) {
        t->nodes[child].prev = low;
    }
    t->nodes[top].child = low;
    t->nodes[top].next = BK_NO_SLOT;
    t->nodes[top].prev = BK_NO_SLOT;
    return top;
}

static uint32_t
detach(struct bk_leases *t, uint32_t slot)
{
    uint32_t next = t->nodes[slot].next;
    t->nodes[slot].next = BK_NO_SLOT;
    t->nodes[slot].prev = BK_NO_SLOT;
    return next;
}

/* Joins a list of siblings into one heap: pairs from the left, then the pairs
 * from the right, which keeps removal cheap on average. */
static uint32_t
merge_siblings(struct bk_leases *t, uint32_t first)
{
    uint32_t pairs = BK_NO_SLOT;
    while (first != BK_NO_SLOT) {
        uint32_t a = first;
        uint32_t b = detach(t, a);
        first = b == BK_NO_SLOT ? BK_NO_SLOT : detach(t, b);
        uint32_t pair = merge(t, a, b);
        t->nodes[pair].next = pairs;
        pairs = pair;
    }
    uint32_t root = BK_NO_SLOT;
    while (pairs != BK_NO_SLOT) {
        uint32_t rest = detach(t, pairs);
        root = merge(t, root, pairs);
        pairs = rest;
    }
    return root;
}

static void
heap_insert(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot)
{
    t->nodes[slot].child = BK_NO_SLOT;
    detach(t, slot);
    h->root = merge(t, h->root, slot);
    h->count++;
}

static void
heap_remove(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot)
{
    struct bk_lease_node *n = &t->nodes[slot];
    uint32_t below = merge_siblings(t, n->child);
    if (h->root == slot) {
        h->root = below;
    } else {
        struct bk_lease_node *before = &t->nodes[n->prev];
        if (before->child == slot) {
            before->child = n->next;
        } else {
            before->next = n->next;
        }
        if (n->next != BK_NO_SLOT) {
            t->nodes[n->next].prev = n->prev;
        }
        h->root = merge(t, h->root, below);
    }
    n->child = BK_NO_SLOT;
    detach(t, slot);
    h->count--;
}

static void
holder_add(struct bk_leases *t, uint32_t slot)
{
    struct bk_lease_node *n = &t->nodes[slot];
    uint32_t *bucket = &t->holders[mix(n->lease.holder_pid, t->holder_count)];
    uint32_t first = first_in(*bucket);
    n->holder_prev = BK_NO_SLOT;
    n->holder_next = first;
    if (first != BK_NO_SLOT) {
        t->nodes[first].holder_prev = slot;
    }
    put_first(bucket, slot);
}

static void
holder_remove(struct bk_leases *t, uint32_t slot)
{
    struct bk_lease_node *n = &t->nodes[slot];
    if (n->holder_prev != BK_NO_SLOT) {
        t->nodes[n->holder_prev].holder_next = n->holder_next;
    } else {
        put_first(&t->holders[mix(n->lease.holder_pid, t->holder_count)],
                  n->holder_next);
    }
    if (n->holder_next != BK_NO_SLOT) {
        t->nodes[n->holder_next].holder_prev = n->holder_prev;
    }
}

/* A slot given back earlier, else the first never used. */
static uint32_t
take_slot(struct bk_leases *t)
{
    uint32_t slot = t->free_head;
    if (slot != BK_NO_SLOT) {
        t->free_head = t->nodes[slot].id_next;
    } else if (t->fresh < t->capacity) {
        slot = t->fresh++;
        memset(&t->nodes[slot], 0, sizeof(t->nodes[slot]));
    }
    return slot;
}

static void
fill(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot,
     const struct bk_lease *lease)
{
    struct bk_lease_node *n = &t->nodes[slot];
    uint32_t *bucket = &t->buckets[mix(lease->id, t->bucket_count)];
    n->lease = *lease;
    n->id_next = first_in(*bucket);
    put_first(bucket, slot);
    if (lease->holder_pid != 0) {
        holder_add(t, slot);
    }
    heap_insert(t, h, slot);
    t->used++;
    mark_dirty(t, slot);
}

uint32_t
bk_leases_add(struct bk_leases *t, struct bk_lease_heap *h,
              const struct bk_lease *lease)
{
    BK_ASSERT(lease->kind != BK_LEASE_FREE && lease->id != 0);
    uint32_t slot = take_slot(t);
    if (slot != BK_NO_SLOT) {
        fill(t, h, slot, lease);
    }
    return slot;
}

bool
bk_leases_adopt(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot,
                const struct bk_lease *lease)
{
    if (slot >= t->capacity || slot < t->fresh) {
        return false;
    }
    while (t->fresh <= slot) {
        uint32_t next = t->fresh++;
        memset(&t->nodes[next], 0, sizeof(t->nodes[next]));
        t->nodes[next].id_next = t->free_head;
        t->free_head = next;
    }
    t->free_head = t->nodes[slot].id_next;
    fill(t, h, slot, lease);
    return true;
}

uint32_t
bk_leases_find(const struct bk_leases *t, uint64_t id)
{
    if (t->capacity == 0 || id == 0) {
        return BK_NO_SLOT;
    }
    uint32_t slot = first_in(t->buckets[mix(id, t->bucket_count)]);
    while (slot != BK_NO_SLOT && t->nodes[slot].lease.id != id) {
        slot = t->nodes[slot].id_next;
    }
    return slot;
}

uint32_t
bk_leases_end(const struct bk_leases *t)
{
    return t->fresh;
}

const struct bk_lease *
bk_leases_at(const struct bk_leases *t, uint32_t slot)
{
    static const struct bk_lease none;
    BK_ASSERT(slot < t->capacity);
    return slot < t->fresh ? &t->nodes[slot].lease : &none;
}

static void
bucket_remove(struct bk_leases *t, uint32_t slot)
{
    const struct bk_lease_node *n = &t->nodes[slot];
    uint32_t *bucket = &t->buckets[mix(n->lease.id, t->bucket_count)];
    uint32_t at = first_in(*bucket);
    if (at == slot) {
        put_first(bucket, n->id_next);
        return;
    }
    while (t->nodes[at].id_next != slot) {
        at = t->nodes[at].id_next;
    }
    t->nodes[at].id_next = n->id_next;
}

void
bk_leases_remove(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot)
{
    BK_ASSERT(slot < t->fresh);
    struct bk_lease_node *n = &t->nodes[slot];
    BK_ASSERT(n->lease.kind != BK_LEASE_FREE);
    bucket_remove(t, slot);
    if (n->lease.holder_pid != 0) {
        holder_remove(t, slot);
    }
    heap_remove(t, h, slot);
    memset(&n->lease, 0, sizeof(n->lease));
    n->id_next = t->free_head;
    t->free_head = slot;
    t->used--;
    mark_dirty(t, slot);
}

void
bk_leases_renew(struct bk_leases *t, struct bk_lease_heap *h, uint32_t slot,
                int64_t deadline_ns)
{
    heap_remove(t, h, slot);
    t->nodes[slot].lease.deadline_ns = deadline_ns;
    heap_insert(t, h, slot);
    mark_dirty(t, slot);
}

uint32_t
bk_leases_first(const struct bk_lease_heap *h)
{
    return h->root;
}

uint32_t
bk_leases_of(const struct bk_leases *t, uint32_t pid)
{
    if (t->capacity == 0 || pid == 0) {
        return BK_NO_SLOT;
    }
    uint32_t slot = first_in(t->holders[mix(pid, t->holder_count)]);
    while (slot != BK_NO_SLOT && t->nodes[slot].lease.holder_pid != pid) {
        slot = t->nodes[slot].holder_next;
    }
    return slot;
}
