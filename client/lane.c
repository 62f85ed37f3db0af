/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/lane.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/ring_link.h"
#include "client/stopwatch.h"
#include "client/tally.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What the stopwatch may add to the age of a look. */
#define TICK_US 2000
#define VERDICT_GENERATION UINT64_C(0xfff) /* what a word says of it */

_Static_assert(sizeof(struct lane_entry) <= 64, "a cache line");

_Thread_local struct lane_thread lane_thread __attribute__((
    tls_model("initial-exec"), visibility("hidden"))) = {.serial = LANE_NOBODY};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;
static _Atomic uint64_t last_serial;

uint64_t
lane_serial(void)
{
    return atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) +
           FORK_READY;
}

/* ---- the end of threads and handles ---- */

static void
free_lane(struct lane *lane)
{
    for (size_t i = 0; i < LANE_CHUNKS; i++)
        free(atomic_load_explicit(&lane->chunks[i], memory_order_relaxed));
    free(lane);
}

/* A thread ends: others may have what it held, ring and all. What belonged to a
 * handle that is closed goes. Of a parent's lanes a child has copies, which nobody
 * looks at. */
static void
leave(void *first)
{
    struct lane *lane = first;

    while (lane != NULL) {
        struct lane *next = lane->next_mine;
        int held = LANE_HELD;

        /* Pairs with the acquire in take_free: what it wrote is there. */
        if (!atomic_compare_exchange_strong_explicit(
                &lane->state, &held, LANE_FREE, memory_order_release,
                memory_order_acquire))
            free_lane(lane);
        lane = next;
    }
    lane_thread = (struct lane_thread){.serial = LANE_NOBODY};
}

static void
make_key(void)
{
    has_key = pthread_key_create(&key, leave) == 0;
}

/* This thread's lanes of closed handles. */
static void
sweep(void)
{
    struct lane *first = lane_thread.first;
    struct lane **at = &lane_thread.first;

    while (*at != NULL) {
        struct lane *lane = *at;

        /* Pairs with the release in lanes_fini: it is done with it. */
        if (atomic_load_explicit(&lane->state, memory_order_acquire) !=
            LANE_ORPHAN) {
            at = &lane->next_mine;
            continue;
        }
        *at = lane->next_mine;
        free_lane(lane);
    }
    if (lane_thread.first != first)
        (void)pthread_setspecific(key, lane_thread.first);
}

void
lanes_fini(struct lanes *lanes)
{
    struct lane *lane =
        atomic_load_explicit(&lanes->first, memory_order_acquire);

    while (lane != NULL) {
        struct lane *next = lane->next;
        int held = LANE_HELD;

        ring_unmap(&lane->ring);
        /* Pairs with the release in leave. */
        if (!atomic_compare_exchange_strong_explicit(
                &lane->state, &held, LANE_ORPHAN, memory_order_acq_rel,
                memory_order_acquire))
            free_lane(lane);
        lane = next;
    }
    lane_thread.serial = LANE_NOBODY;
    sweep();
}

/* ---- having one ---- */

static struct lane *
take_free(struct lanes *lanes)
{
    struct lane *lane =
        atomic_load_explicit(&lanes->first, memory_order_acquire);

    for (; lane != NULL; lane = lane->next) {
        int is_free = LANE_FREE;

        if (atomic_compare_exchange_strong_explicit(
                &lane->state, &is_free, LANE_HELD, memory_order_acquire,
                memory_order_relaxed))
            return lane;
    }
    return NULL;
}

static struct lane *
make(struct breaker *b, struct lanes *lanes)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (lane == NULL)
        return NULL;
    lane->serial = fork_page_serial(b->page);
    lane->home = (uint64_t)client_world(b)->life << 32;
    lane->tick_ns = -1;
    lane->next = atomic_load_explicit(&lanes->first, memory_order_relaxed);
    /* Pairs with the acquires of who goes through them all. */
    while (!atomic_compare_exchange_weak_explicit(&lanes->first, &lane->next,
                                                  lane, memory_order_release,
                                                  memory_order_relaxed))
        continue;
    return lane;
}

struct lane *
lane_find(uint64_t serial)
{
    for (struct lane *lane = lane_thread.first; lane != NULL;
         lane = lane->next_mine) {
        if (lane->serial == serial) {
            lane_thread.serial = serial;
            lane_thread.lane = lane;
            return lane;
        }
    }
    return NULL;
}

struct lane *
lane_get(struct breaker *b)
{
    struct lanes *lanes = &client_world(b)->lanes;
    uint64_t serial = fork_page_serial(b->page);
    struct lane *lane = lane_mine(serial);

    if (lane != NULL)
        return lane;
    (void)pthread_once(&once, make_key);
    if (!has_key)
        return NULL; /* its end would not be noticed */
    sweep();
    lane = take_free(lanes);
    if (lane == NULL)
        lane = make(b, lanes);
    if (lane == NULL)
        return NULL;
    lane->next_mine = lane_thread.first;
    lane_thread.first = lane;
    (void)pthread_setspecific(key, lane_thread.first);
    return lane_find(serial);
}

/* ---- what it knows ---- */

static void
forget(struct lane_entry *entry)
{
    entry->until_ns = 0;
    entry->tick_ns = LANE_NO_TICK;
}

/* Another mapping: what was known of places in the old one is void. */
static void
forget_places(struct lane *lane)
{
    for (size_t i = 0; i < LANE_CHUNKS; i++) {
        struct lane_chunk *chunk =
            atomic_load_explicit(&lane->chunks[i], memory_order_relaxed);

        for (size_t k = 0; chunk != NULL && k < LANE_CHUNK; k++) {
            chunk->entries[k].word = NULL;
            forget(&chunk->entries[k]);
        }
    }
}

void
lane_follow(struct lane *lane, struct view *view)
{
    if (view->serial != lane->view_serial) {
        forget_places(lane);
        lane->view = view;
        lane->view_serial = view->serial;
    }
}

bool
lane_look(struct breaker *b, struct lane *lane, int64_t coarse_ns)
{
    struct world *w = client_world(b);
    struct view *view = client_view(b);

    if (view == NULL || !view_is_alive(view, coarse_ns) ||
        client_outage(w) == OUTAGE_GONE || tally_is_due(w, coarse_ns))
        return false;
    lane_follow(lane, view);
    lane->tick_ns = coarse_ns;
    return true;
}

bool
lane_look_at(struct breaker *b, struct lane *lane, uint64_t count)
{
    if (!lane_look(b, lane, clock_coarse_ns()))
        return false;
    lane->tick_count = count;
    lane->tick_span = stopwatch_counts(
        TICK_US, atomic_load_explicit(&stopwatch_rate, memory_order_relaxed));
    return true;
}

bool
lane_renew(const struct lane *lane, struct lane_entry *entry)
{
    if (lane->tick_ns >= entry->until_ns)
        return false;
    entry->tick_ns = lane->tick_ns;
    return true;
}

static struct lane_chunk *
make_chunk(void)
{
    struct lane_chunk *chunk = aligned_alloc(64, sizeof *chunk);

    if (chunk == NULL)
        return NULL;
    memset(chunk, 0, sizeof *chunk);
    for (size_t k = 0; k < LANE_CHUNK; k++)
        forget(&chunk->entries[k]);
    return chunk;
}

static struct lane_entry *
make_entry(struct lane *lane, struct breaker_service *s)
{
    uint32_t at = s->index / LANE_CHUNK;
    uint32_t k = s->index % LANE_CHUNK;
    struct lane_chunk *chunk =
        atomic_load_explicit(&lane->chunks[at], memory_order_relaxed);

    if (chunk == NULL) {
        chunk = make_chunk();
        if (chunk == NULL)
            return NULL;
        /* Pairs with the acquire in lanes_collect. */
        atomic_store_explicit(&lane->chunks[at], chunk, memory_order_release);
    }
    if (chunk->services[k] == NULL)
        chunk->services[k] = s;
    return &chunk->entries[k];
}

struct lane_entry *
lane_place(struct lane *lane, struct breaker_service *s)
{
    struct lane_entry *entry = make_entry(lane, s);
    const struct view *view = lane->view;
    struct bk_record record;
    uint32_t slot;

    if (entry == NULL)
        return NULL;
    if (entry->word != NULL) {
        uint64_t word = atomic_load_explicit(entry->word, memory_order_acquire);

        if (word != 0 &&
            bk_verdict_unpack(word).incarnation == entry->incarnation)
            return entry;
    }
    slot = bk_segment_find(&view->segment, s->name, s->name_len);
    if (slot == BK_NO_SLOT || !bk_segment_read(&view->segment, slot, &record) ||
        strcmp(record.name, s->name) != 0)
        return NULL;
    entry->slot = slot;
    entry->incarnation = (uint8_t)record.incarnation;
    forget(entry);
    entry->word = &view->segment.words[slot];
    return entry;
}

void
lane_learn(struct breaker *b, struct breaker_service *s, uint64_t generation,
           int64_t until_ns)
{
    struct lane *lane = lane_get(b);
    struct lane_entry *entry;
    struct bk_verdict v;

    if (lane == NULL || !lane_look(b, lane, clock_coarse_ns()))
        return;
    entry = lane_place(lane, s);
    if (entry == NULL)
        return;
    entry->go = atomic_load_explicit(entry->word, memory_order_acquire);
    v = bk_verdict_unpack(entry->go);
    entry->generation = generation;
    forget(entry);
    if (v.kind == BK_GO && v.incarnation == entry->incarnation &&
        v.generation == (generation & VERDICT_GENERATION))
        entry->until_ns = until_ns;
}

void
lanes_collect(struct lanes *lanes)
{
    struct lane *lane =
        atomic_load_explicit(&lanes->first, memory_order_acquire);

    for (; lane != NULL; lane = lane->next) {
        for (size_t i = 0; i < LANE_CHUNKS; i++) {
            struct lane_chunk *chunk =
                atomic_load_explicit(&lane->chunks[i], memory_order_acquire);

            for (size_t k = 0; chunk != NULL && k < LANE_CHUNK; k++) {
                struct lane_entry *e = &chunk->entries[k];
                uint64_t told =
                    atomic_load_explicit(&e->told, memory_order_relaxed);
                /* The acquire pairs with the release of who counts: its
                 * service is known. */
                uint64_t allowed =
                    atomic_load_explicit(&e->allowed, memory_order_acquire);

                if (allowed != told &&
                    atomic_compare_exchange_strong_explicit(
                        &e->told, &told, allowed, memory_order_relaxed,
                        memory_order_relaxed))
                    atomic_fetch_add_explicit(&chunk->services[k]->allowed,
                                              allowed - told,
                                              memory_order_relaxed);
            }
        }
    }
}
