#ifndef BK_RING_H
#define BK_RING_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of outcomes in memory that one thread of a worker and the daemon share:
 * the thread writes cells and moves the head, the daemon takes them and moves the
 * tail (Lamport 1977). docs/rings.md draws it. To the daemon all of it is what a
 * stranger may have written; to the worker nothing in it decides anything. */
#include "core/fleet.h"
#include "core/prefetch.h"
#include <stdatomic.h>

#define BK_RING_CELLS 512 /* a power of two */
/* A quarter of a cache line: what most outcomes need. The line comes back from the
 * core that has read it, which costs more than all that is written. */
#define BK_RING_CELL_WORDS 2
#define BK_RING_CELL_BYTES ((size_t)BK_RING_CELL_WORDS * 8)
/* Octets of an error text, in cells of its own. */
#define BK_RING_TEXT ((size_t)64)
/* Cells of the longest item. */
#define BK_RING_ITEM_CELLS (3 + BK_RING_TEXT / BK_RING_CELL_BYTES)
/* Cells in a cache line. */
#define BK_RING_LINE (64 / BK_RING_CELL_BYTES)
/* Cells from the one that is written to the one whose line is called for meanwhile. */
#define BK_RING_AHEAD 16
/* What is shared, in whole pages, wherever a page has 4096 octets. */
#define BK_RING_BYTES ((size_t)12288)
/* "BRKRING3"; another when the meaning of a ring changes. */
#define BK_RING_MAGIC UINT64_C(0x33474e49524b5242)
/* The daemon looks at a ring this often while outcomes come. */
#define BK_RING_LOOK_NS (10 * BK_NS_PER_MS)

/* What the daemon does about a ring by itself. */
enum bk_ring_watch {
    BK_RING_ASLEEP, /* nothing: the bell is to be rung for whatever is written */
    BK_RING_WATCHED, /* it looks every BK_RING_LOOK_NS; the bell is for what
                        must not wait that long */
    BK_RING_LET_GO   /* it never will again, and the tail stays where it is */
};

/* As it lies in memory: who writes a line is its owner. */
struct bk_ring {
    _Alignas(64) _Atomic uint64_t head; /* the worker: cells ever written */
    _Alignas(64) _Atomic uint64_t tail; /* the daemon: cells ever taken */
    _Atomic uint64_t watch;             /* the daemon: enum bk_ring_watch */
    _Alignas(64) _Atomic uint64_t cells[BK_RING_CELLS][BK_RING_CELL_WORDS];
};
_Static_assert(sizeof(struct bk_ring) <= BK_RING_BYTES, "it fits");

/* What a worker says when it hands over a ring, in one packet. Whatever else is one
 * octet long is the bell. */
struct bk_ring_hello {
    uint64_t magic;
    uint64_t fingerprint; /* of the segment whose slots are meant */
    /* As that segment has it: a worker may still look at one that was lost, whose
     * slots are others' now. */
    uint64_t epoch;
    char worker[BK_WORKER_SIZE];
};

/* One outcome, or a permit or token given back (then only `permit` counts). */
struct bk_ring_item {
    uint64_t generation;
    uint64_t permit;    /* 0: none */
    int64_t latency_us; /* -1: unknown */
    uint64_t retry_after_ms;
    uint32_t slot;       /* of the service, in the segment */
    uint32_t attempt;    /* 0: unknown */
    uint8_t incarnation; /* of that slot, the low bits */
    uint8_t outcome;     /* enum bk_outcome */
    uint8_t text_len;    /* octets in the cells that follow; 0: there is none */
    bool is_release;
    bool is_current; /* no generation: the current one */
    bool will_retry;
};

/* An item begins with a cell of two words. The first has the generation, and above it
 * the latency (all ones: unknown); of a wide item the generation alone. In the last one
 * the slot is lowest. */
#define BK_RING_LATENCY_SHIFT 32
#define BK_RING_SLOT_END (1U << 24)
#define BK_RING_INCARNATION_SHIFT 24
#define BK_RING_ATTEMPT_SHIFT 32 /* of an item that is not wide */
#define BK_RING_OUTCOME_SHIFT 40
#define BK_RING_TEXT_SHIFT 48
#define BK_RING_IS_CURRENT (UINT64_C(1) << 56)
#define BK_RING_WILL_RETRY (UINT64_C(1) << 57)
#define BK_RING_IS_RELEASE (UINT64_C(1) << 58)
/* The next cell has latency and attempt, which are too great for the first, or the
 * generation leaves them no room. */
#define BK_RING_IS_WIDE (UINT64_C(1) << 59)
/* Then comes one with permit and retry_after_ms; else both are 0. */
#define BK_RING_HAS_MORE (UINT64_C(1) << 60)
#define BK_RING_NO_FLAG (UINT64_C(7) << 61)

/* An item needs the cell for these three. */
static inline bool
bk_ring_is_wide(uint64_t generation, int64_t latency_us, uint32_t attempt)
{
    return generation > UINT32_MAX || (uint64_t)latency_us + 1 > UINT32_MAX ||
           attempt > UINT8_MAX;
}

/* An item needs the cell for these two. */
static inline bool
bk_ring_is_more(uint64_t permit, uint64_t retry_after_ms)
{
    return permit != 0 || retry_after_ms != 0;
}

/* Cells of an item. */
static inline uint64_t
bk_ring_cells(bool is_wide, bool has_more, uint8_t text_len)
{
    return 1U + is_wide + has_more +
           (text_len + BK_RING_CELL_BYTES - 1) / BK_RING_CELL_BYTES;
}

/* The bell is rung for it: somebody may wait for a probe's verdict, for a place or a
 * token, or for the circuit to open. */
static inline bool
bk_ring_is_urgent(uint64_t permit, uint64_t retry_after_ms, uint8_t outcome)
{
    return bk_ring_is_more(permit, retry_after_ms) ||
           (outcome != BK_SUCCESS && outcome != BK_REJECTED &&
            outcome != BK_CANCELLED);
}

/* ---- the worker's side; one thread ---- */

/* Cells that are free, when `head` is next to be written. */
static inline uint64_t
bk_ring_room(const struct bk_ring *ring, uint64_t head)
{
    /* Pairs with the release of bk_ring_give: what the daemon has read may be
     * written over. */
    return BK_RING_CELLS -
           (head - atomic_load_explicit(&ring->tail, memory_order_acquire));
}

static inline void
bk_ring_set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The two words of an item that is not wide: `latency_us` is -1 or more. */
static inline uint64_t
bk_ring_first_word(uint64_t generation, int64_t latency_us)
{
    return generation | (uint64_t)latency_us << BK_RING_LATENCY_SHIFT;
}

/* A success's; others have more in it. */
_Static_assert(BK_SUCCESS == 0, "there is nothing to set");
static inline uint64_t
bk_ring_last_word(uint32_t slot, uint8_t incarnation, uint32_t attempt)
{
    return slot | (uint64_t)incarnation << BK_RING_INCARNATION_SHIFT |
           (uint64_t)attempt << BK_RING_ATTEMPT_SHIFT;
}

/* Writes a success that is not wide at `head` (there must be room for one cell) and
 * returns the new head, which is seen by the daemon from now on. The words are written
 * one by one: to fill in an item first would cost as much again. */
static inline __attribute__((always_inline)) uint64_t
bk_ring_put_success(struct bk_ring *ring, uint64_t head, uint64_t generation,
                    int64_t latency_us, uint32_t slot, uint8_t incarnation,
                    uint32_t attempt)
{
    _Atomic uint64_t *cell = ring->cells[head & (BK_RING_CELLS - 1)];

    if (head % BK_RING_LINE == 0) {
        bk_prefetch(ring->cells[(head + BK_RING_AHEAD) & (BK_RING_CELLS - 1)]);
    }
    bk_ring_set(&cell[0], bk_ring_first_word(generation, latency_us));
    bk_ring_set(&cell[1], bk_ring_last_word(slot, incarnation, attempt));
    /* Pairs with the acquire of bk_ring_head, as in bk_ring_put. */
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return head + 1;
}

/* The same of any item, for whose cells there must be room. */
uint64_t bk_ring_put(struct bk_ring *ring, uint64_t head,
                     const struct bk_ring_item *item, const char *text);

/* ---- the daemon's side ---- */

enum bk_ring_taken {
    BK_RING_EMPTY,
    BK_RING_ITEM,
    BK_RING_FAULT /* no worker of ours writes this: let the ring go */
};

/* Cells written, to be read up to; never trusted further than one ring. */
static inline uint64_t
bk_ring_head(const struct bk_ring *ring)
{
    /* Pairs with the release in bk_ring_put: those cells are written. */
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

/* The next item at `*tail`, which moves on. `text` has BK_RING_TEXT + 1 octets and
 * is ended. What is out of bounds is a fault; what no fleet knows is not looked for
 * here. */
enum bk_ring_taken bk_ring_take(const struct bk_ring *ring, uint64_t head,
                                uint64_t *tail, struct bk_ring_item *item,
                                char *text);
/* Among the cells that are written is one for which a worker of ours has rung the
 * bell. What it says is looked at when it is taken. */
bool bk_ring_has_urgent(const struct bk_ring *ring, uint64_t head,
                        uint64_t tail);
/* Gives back the room of all that was taken. */
static inline void
bk_ring_give(struct bk_ring *ring, uint64_t tail)
{
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

#endif
