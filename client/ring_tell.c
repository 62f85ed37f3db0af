/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/ring_tell.h"
#include "client/clock.h"
#include <string.h>

/* A ring this full is told of, though its outcomes could wait. */
#define HALF (BK_RING_CELLS / 2)
/* Beyond it, this many are written before the next look at how much room there
 * is. */
#define STEP 16
/* Longer ones are cut the long way. */
#define LATENCY_MAX_US (INT64_C(1) << 50)

/* ---- rings that come and go ---- */

static void
unpack(const struct lane *lane, uint64_t at, const struct bk_ring_item *item,
       const char *text, struct told *out)
{
    *out = (struct told){.service = lane->whose[at & (BK_RING_CELLS - 1)],
                         .id = item->permit,
                         .generation = item->generation,
                         .latency_us = item->latency_us,
                         .retry_after_ms = item->retry_after_ms,
                         .attempt = item->attempt,
                         .kind = item->kind == BK_RING_RELEASE ? TOLD_RELEASE
                                                               : TOLD_REPORT,
                         .outcome = item->outcome,
                         .is_current = item->is_current,
                         .will_retry = item->will_retry};
    memcpy(out->text, text, item->text_len);
}

/* The daemon that was to read it is gone, or has let it go: what it has not taken is
 * queued for the next. */
static void
give_up(struct breaker *b, struct lane *lane)
{
    uint64_t tail;
    struct bk_ring_item item;
    char text[BK_RING_TEXT + 1];

    if (lane->ring == NULL)
        return;
    tail = lane->head + bk_ring_room(lane->ring, lane->head) - BK_RING_CELLS;
    for (;;) {
        uint64_t at = tail;
        struct told told;

        if (bk_ring_take(lane->ring, lane->head, &tail, &item, text) !=
            BK_RING_ITEM)
            break;
        unpack(lane, at, &item, text, &told);
        session_keep(b, &told);
    }
    ring_unmap(&lane->ring);
    atomic_fetch_sub_explicit(&client_world(b)->lanes.rings, 1,
                              memory_order_relaxed);
}

/* What this thread has sent to the same daemon may still be on its way, and would be
 * overtaken: it is seen to arrive first, if anybody may wait for that. */
static bool
is_in_order(struct breaker *b, const struct lane *lane, uint64_t epoch)
{
    if (lane->epoch != epoch || !lane->has_sent)
        return true;
    if (b->tells_later)
        return false;
    session_flush(b, clock_mono_ns() + b->deadline_ns);
    return true;
}

static bool
offer(struct breaker *b, struct lane *lane, uint64_t epoch)
{
    struct world *w = client_world(b);
    char path[ENDPOINT_SIZE];
    struct cause ignored;

    if (!is_in_order(b, lane, epoch))
        return false;
    lane->epoch = epoch;
    lane->has_sent = false;
    lane->again_ns = clock_mono_ns() + RING_AGAIN_NS;
    if (!attach_socket(b, path, &ignored))
        return false;
    if (atomic_fetch_add_explicit(&w->lanes.rings, 1, memory_order_relaxed) <
        LANE_RINGS)
        lane->ring = ring_link_offer(&w->ring_link, epoch, path, b->worker);
    if (lane->ring == NULL) {
        atomic_fetch_sub_explicit(&w->lanes.rings, 1, memory_order_relaxed);
        return false;
    }
    lane->head = 0;
    lane->look_at = HALF;
    lane->has_rung = false;
    return true;
}

/* The ring of the daemon that lives now. */
static bool
has_ring(struct breaker *b, struct lane *lane)
{
    uint64_t epoch = atomic_load_explicit(&lane->view->segment.header->epoch,
                                          memory_order_relaxed);

    if (lane->ring != NULL && lane->epoch == epoch)
        return true;
    give_up(b, lane);
    if (lane->epoch == epoch && clock_mono_ns() < lane->again_ns)
        return false;
    return offer(b, lane, epoch);
}

/* ---- the bell ---- */

/* Written items come before the look at the tail: with the daemon's fence between
 * giving back and looking at the head, one of the two sees the other. */
static bool
ring_the_bell(struct breaker *b, struct lane *lane)
{
    struct world *w = client_world(b);
    uint64_t tail;

    atomic_thread_fence(memory_order_seq_cst);
    tail = atomic_load_explicit(&lane->ring->tail, memory_order_relaxed);
    if (lane->has_rung && lane->rang_tail == tail)
        return true; /* and was not heard yet: this will be taken with it */
    lane->has_rung = true;
    lane->rang_tail = tail;
    if (ring_link_bell(&w->ring_link, lane->epoch))
        return true;
    give_up(b, lane);
    return false;
}

static __attribute__((noinline)) void
wake_daemon(struct breaker *b, struct lane *lane)
{
    struct entry entry = client_enter();

    (void)ring_the_bell(b, lane);
    client_leave(entry);
}

/* Half full or more: is there room for `cells`, and has the daemon been told? */
static __attribute__((noinline)) bool
look_for_room(struct breaker *b, struct lane *lane, uint64_t cells)
{
    uint64_t room = bk_ring_room(lane->ring, lane->head);
    uint64_t used = BK_RING_CELLS - room;

    if (used < HALF) {
        lane->look_at = lane->head + HALF - used;
        return true;
    }
    lane->look_at = lane->head + STEP;
    if (room < STEP + cells)
        lane->look_at = lane->head;
    wake_daemon(b, lane);
    return lane->ring != NULL && room >= cells;
}

static inline bool
has_room(struct breaker *b, struct lane *lane, uint64_t cells)
{
    return lane->head < lane->look_at || look_for_room(b, lane, cells);
}

/* ---- telling ---- */

static inline bool
sleeps(const struct lane *lane)
{
    return atomic_load_explicit(&lane->ring->watch, memory_order_relaxed) ==
           BK_RING_ASLEEP;
}

/* Whoever waits for a probe's verdict, a place or a token waits for it, too. */
static bool
is_urgent(const struct told *item)
{
    return item->id != 0 || item->retry_after_ms != 0 ||
           (item->outcome != BK_SUCCESS && item->outcome != BK_REJECTED &&
            item->outcome != BK_CANCELLED);
}

LANE_HOT bool
ring_tell_success(struct breaker_permit *permit, int64_t latency_us)
{
    struct breaker_service *s = permit->service;
    struct breaker *b = s->client;
    const struct lane_entry *entry;
    struct view *view;
    struct lane *lane;

    if (permit->is_settled != 0 || permit->verdict != BREAKER_ALLOWED ||
        permit->id != 0 || latency_us > LATENCY_MAX_US ||
        !fork_page_is_ready(b->page))
        return false;
    lane = lane_mine(b->serial);
    if (lane == NULL || lane->ring == NULL || lane->home != permit->home)
        return false;
    view = client_view(b);
    entry = lane_entry(lane, s->index);
    if (view != lane->view || entry == NULL || entry->word == NULL ||
        client_outage(client_world(b)) != OUTAGE_NONE ||
        atomic_load_explicit(&view->segment.header->epoch,
                             memory_order_relaxed) != lane->epoch ||
        !has_room(b, lane, 1))
        return false;
    permit->is_settled = 1;
    lane->whose[lane->head & (BK_RING_CELLS - 1)] = s;
    lane->head =
        bk_ring_put_success(lane->ring, lane->head, permit->generation,
                            latency_us >= 0 ? latency_us : -1, entry->slot,
                            entry->incarnation, permit->attempt);
    if (sleeps(lane))
        wake_daemon(b, lane);
    return true;
}

bool
ring_tell(struct breaker *b, const struct told *item)
{
    struct lane *lane = b->has_rings ? lane_get(b) : NULL;
    struct view *view = client_view(b);
    const struct lane_entry *entry = NULL;
    size_t text_len = strlen(item->text);
    struct bk_ring_item out = {
        .generation = item->generation,
        .permit = item->id,
        .latency_us = item->latency_us,
        .retry_after_ms = item->retry_after_ms,
        .attempt = item->attempt,
        .kind = item->kind == TOLD_RELEASE ? BK_RING_RELEASE : BK_RING_REPORT,
        .outcome = item->outcome,
        .text_len = (uint8_t)text_len,
        .is_current = item->is_current,
        .will_retry = item->will_retry};

    if (lane == NULL || view == NULL)
        return false;
    lane_follow(lane, view);
    if (has_ring(b, lane)) {
        if (item->kind == TOLD_REPORT)
            entry = lane_place(lane, item->service);
        if (entry != NULL) {
            out.slot = entry->slot;
            out.incarnation = entry->incarnation;
        }
        if ((entry != NULL || item->kind == TOLD_RELEASE) &&
            has_room(b, lane, text_len > 0 ? 2 : 1)) {
            lane->whose[lane->head & (BK_RING_CELLS - 1)] = item->service;
            lane->head = bk_ring_put(lane->ring, lane->head, &out, item->text);
            if (is_urgent(item) || sleeps(lane))
                (void)ring_the_bell(b, lane);
            return true;
        }
    }
    lane->has_sent = true;
    return false;
}

void
ring_rescue(struct breaker *b)
{
    struct lane *lane = atomic_load_explicit(&client_world(b)->lanes.first,
                                             memory_order_acquire);

    for (; lane != NULL; lane = lane->next) {
        if (lane->ring != NULL &&
            bk_ring_room(lane->ring, lane->head) < BK_RING_CELLS &&
            !ring_link_bell(&client_world(b)->ring_link, lane->epoch))
            give_up(b, lane);
    }
}
