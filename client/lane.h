#ifndef CLIENT_LANE_H
#define CLIENT_LANE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What one thread keeps of a handle for itself, so that a call from shared memory
 * touches nothing that another thread writes: where the services' words lie and
 * what they said, how many calls it let through, and the ring it reports by. */
#include "client/attach.h"
#include "client/names.h"
#include "core/ring.h"

/* For what is done a million times a second: it has no array that could overflow. */
#if defined(__has_attribute)
#if __has_attribute(no_stack_protector)
#define LANE_HOT __attribute__((no_stack_protector))
#endif
#endif
#ifndef LANE_HOT
#define LANE_HOT
#endif

#define LANE_CHUNK 64 /* services */
#define LANE_CHUNKS (BREAKER_SERVICES_MAX / LANE_CHUNK)
/* Rings of one handle; further threads send what they have to tell. */
#define LANE_RINGS 64

/* No tick of the coarse clock. */
#define LANE_NO_TICK INT64_MIN

/* What the thread knows of a service: one cache line. */
struct lane_entry {
    const _Atomic uint64_t *word; /* NULL: it is not known where it lies */
    uint64_t go;                  /* the word that lets calls through */
    uint64_t generation;          /* the whole of it */
    int64_t tick_ns;  /* of the lane's look for which all of this was good */
    int64_t until_ns; /* that long, on the coarse clock, word and generation
                         belong together */
    /* Written by the thread, read by who tells them: calls let through since
     * ever, and how many of them the daemon knows. */
    _Atomic uint64_t allowed;
    _Atomic uint64_t told;
    uint32_t slot;
    uint8_t incarnation;
};

struct lane_chunk {
    _Alignas(64) struct lane_entry entries[LANE_CHUNK];
    struct breaker_service *services[LANE_CHUNK]; /* NULL: none of them yet */
};

enum lane_state {
    LANE_HELD,  /* a thread's */
    LANE_FREE,  /* its thread has ended: another may take it */
    LANE_ORPHAN /* its handle is closed: the thread frees it */
};

struct lane {
    uint64_t serial; /* of the handle in this process */
    uint64_t home;   /* what permits of the daemon's carry */
    int64_t tick_ns; /* the coarse clock when the mapping was last looked at */
    uint64_t tick_count; /* the stopwatch then */
    uint64_t tick_span;  /* for how many counts that will do */
    struct view *view;
    uint32_t view_serial; /* another view may lie at the same address */
    struct bk_ring *ring; /* NULL: what is told is sent */
    uint64_t head;
    uint64_t look_at; /* when head comes here, how much room is there? */
    uint64_t rang_tail;
    bool has_rung;  /* when the tail was that; it need not be rung again */
    bool has_sent;  /* something was sent instead, and may be on its way */
    bool is_new;    /* handed over, and not seen to be taken up yet */
    uint64_t epoch; /* of the daemon that was given the ring, or refused it */
    uint64_t link_serial;   /* of the connection it went by */
    int64_t again_ns;       /* no ring is offered to the same one before */
    _Atomic int state;      /* enum lane_state */
    struct lane *next;      /* of the process's, newest first */
    struct lane *next_mine; /* of the thread's */
    struct breaker_service *whose[BK_RING_CELLS]; /* what lies in the ring */
    _Atomic(struct lane_chunk *) chunks[LANE_CHUNKS];
};

/* The serial of no handle, and of no page that tells of a fork. */
#define LANE_NOBODY UINT64_MAX

/* A thread's lane of the handle it used last, and all it has. Reached without a call,
 * also in a library that is loaded late: it is small enough for that. */
struct lane_thread {
    uint64_t serial; /* LANE_NOBODY: there is none at hand */
    struct lane *lane;
    struct lane *first;
};
extern _Thread_local struct lane_thread lane_thread
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* What a handle has of them in one process. */
struct lanes {
    _Atomic(struct lane *) first;
    _Atomic uint32_t rings;
};

struct breaker;

/* A number for a handle in this process that no other ever had here. */
uint64_t lane_serial(void);
/* This thread's of a handle that it did not use last, if it has one. */
struct lane *lane_find(uint64_t serial);
/* This thread's, made at need; NULL: no memory. */
struct lane *lane_get(struct breaker *b);
/* Lets go what belongs to the handle; no thread uses it any more. */
void lanes_fini(struct lanes *lanes);
/* Looks at the mapping: true when calls may be decided from it for this tick of the
 * coarse clock, with nothing else that is due. */
bool lane_look(struct breaker *b, struct lane *lane, int64_t coarse_ns);
/* The same by the stopwatch, which reads `count`. */
bool lane_look_at(struct breaker *b, struct lane *lane, uint64_t count);
/* What is known of a service is good for the tick of the lane's last look. */
bool lane_renew(const struct lane *lane, struct lane_entry *entry);
/* The service's entry, made at need, with its place in the lane's mapping; NULL: it
 * does not lie there. */
struct lane_entry *lane_place(struct lane *lane, struct breaker_service *s);
/* The handle's mapping is `view`: places of another are forgotten. */
void lane_follow(struct lane *lane, struct view *view);
/* The gate has let a call through: remembers the word. */
void lane_learn(struct breaker *b, struct breaker_service *s,
                uint64_t generation, int64_t until_ns);
/* Moves what threads counted for themselves to the services' own counters. */
void lanes_collect(struct lanes *lanes);

/* It is lane_thread.lane. `serial` is what the handle's page says, and so in a child its
 * parent's never is. */
static inline bool
lane_is_at_hand(uint64_t serial)
{
    return lane_thread.serial == serial;
}

/* This thread's, if it has one: NULL else. */
static inline struct lane *
lane_mine(uint64_t serial)
{
    return lane_is_at_hand(serial) ? lane_thread.lane : lane_find(serial);
}

static inline struct lane_chunk *
lane_chunk(const struct lane *lane, uint32_t index)
{
    return atomic_load_explicit(&lane->chunks[index / LANE_CHUNK],
                                memory_order_relaxed);
}

/* NULL: nothing was ever known of the service. */
static inline struct lane_entry *
lane_entry(const struct lane *lane, uint32_t index)
{
    struct lane_chunk *chunk = lane_chunk(lane, index);

    return chunk != NULL ? &chunk->entries[index % LANE_CHUNK] : NULL;
}

/* One call more that the thread let through by itself. */
static inline void
lane_count(struct lane_entry *entry)
{
    /* Pairs with the acquire in lanes_collect. */
    atomic_store_explicit(
        &entry->allowed,
        atomic_load_explicit(&entry->allowed, memory_order_relaxed) + 1,
        memory_order_release);
}

#endif
