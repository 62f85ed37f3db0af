/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/ring_tell.h"
#include "client/clock.h"
#include <string.h>
#include <time.h>

/* A ring this full is told of, though its outcomes could wait. */
#define HALF (BK_RING_CELLS / 2)
/* Beyond it, this many are written before the next look at how much room there
 * is. */
#define STEP 16
/* So long, and looking so often, is waited for the daemon to take up a ring or to let it
 * go, where nobody has set a deadline. */
#define TAKE_UP_NS (20 * BK_NS_PER_MS)
#define TAKE_UP_LOOK_NS (20 * BK_NS_PER_US)

_Static_assert(BK_SEGMENT_LIMIT_MAX - 1 < BK_RING_SLOT_END, "a slot fits");

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
                         .kind = item->is_release ? TOLD_RELEASE : TOLD_REPORT,
                         .outcome = item->outcome,
                         .is_current = item->is_current,
                         .will_retry = item->will_retry};
    memcpy(out->text, text, item->text_len);
}

static void
look_again_soon(void)
{
    struct timespec pause = {.tv_nsec = TAKE_UP_LOOK_NS};

    (void)nanosleep(&pause, NULL);
}

/* Lines are on their way by another road: the ring waits for them, see is_in_order. */
static void
note_sent(struct lane *lane)
{
    lane->has_sent = true;
    lane->look_at = 0;
}

/* The daemon that was to read it is gone, or has let it go: what it has not taken is
 * sent, to the next if need be. */
static void
send_rest(struct breaker *b, struct lane *lane)
{
    uint64_t tail =
        lane->head + bk_ring_room(lane->ring, lane->head) - BK_RING_CELLS;
    struct bk_ring_item item;
    char text[BK_RING_TEXT + 1];

    for (;;) {
        uint64_t at = tail;
        struct told told;

        if (bk_ring_take(lane->ring, lane->head, &tail, &item, text) !=
            BK_RING_ITEM)
            break;
        unpack(lane, at, &item, text, &told);
        if (session_tell(b, &told) == SESSION_SPEECHLESS)
            session_keep(b, &told);
        note_sent(lane);
    }
}

static bool
is_let_go(const struct lane *lane)
{
    /* Pairs with the release in the daemon's drop_ring. */
    return atomic_load_explicit(&lane->ring->watch, memory_order_acquire) ==
           BK_RING_LET_GO;
}

/* A connection that ended at our end: the daemon takes what there is, but when? One
 * that is stopped does so when it goes on. */
static bool
has_been_let_go(const struct breaker *b, const struct lane *lane)
{
    int64_t end_ns = clock_mono_ns() + TAKE_UP_NS;

    while (!b->tells_later && !is_let_go(lane) && clock_mono_ns() < end_ns)
        look_again_soon();
    return is_let_go(lane);
}

static void
give_up(struct breaker *b, struct lane *lane, enum ring_bell why)
{
    if (lane->ring == NULL)
        return;
    if (why != RING_CUT || has_been_let_go(b, lane))
        send_rest(b, lane);
    ring_unmap(&lane->ring);
    atomic_fetch_sub_explicit(&client_world(b)->lanes.rings, 1,
                              memory_order_relaxed);
}

/* What this thread has sent may still be on its way, and would be overtaken: it is seen
 * to arrive first. A handle that tells later never waits for that. */
static bool
is_in_order(struct breaker *b, struct lane *lane)
{
    if (!lane->has_sent)
        return true;
    if (b->tells_later ? session_has_arrived(b)
                       : session_flush(b, clock_mono_ns() + b->deadline_ns))
        lane->has_sent = false;
    return !lane->has_sent;
}

static bool
offer(struct breaker *b, struct lane *lane, uint64_t epoch)
{
    struct world *w = client_world(b);
    char path[ENDPOINT_SIZE];
    struct cause ignored;

    if (!attach_socket(b, path, &ignored)) {
        /* A child that was just forked has not looked yet. */
        attach_probe(b, clock_mono_ns(), false);
        if (!attach_socket(b, path, &ignored))
            return false;
    }
    lane->epoch = epoch;
    lane->again_ns = clock_mono_ns() + RING_AGAIN_NS;
    if (atomic_fetch_add_explicit(&w->lanes.rings, 1, memory_order_relaxed) <
        LANE_RINGS)
        lane->ring = ring_link_offer(&w->ring_link, epoch, path, b->worker,
                                     &lane->link_serial);
    if (lane->ring == NULL) {
        atomic_fetch_sub_explicit(&w->lanes.rings, 1, memory_order_relaxed);
        return false;
    }
    lane->head = 0;
    lane->look_at = 0;
    lane->has_rung = false;
    lane->is_new = true;
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
    give_up(b, lane, RING_GONE);
    if (lane->epoch == epoch && clock_mono_ns() < lane->again_ns)
        return false;
    return offer(b, lane, epoch);
}

/* ---- the bell ---- */

/* Written items come before the look at the tail: with the daemon's fence between
 * giving back and looking at the head, one of the two sees the other. What has been
 * taken already needs no bell: it would be one that finds nothing, and the tail would
 * not tell that it was heard. */
static void
ring_the_bell(struct breaker *b, struct lane *lane)
{
    enum ring_bell bell;
    uint64_t tail;

    atomic_thread_fence(memory_order_seq_cst);
    tail = atomic_load_explicit(&lane->ring->tail, memory_order_relaxed);
    if (tail == lane->head ||
        (lane->has_rung && lane->rang_tail == tail && !is_let_go(lane)))
        return; /* the last was not heard yet: this will be taken with it */
    bell = ring_link_bell(&client_world(b)->ring_link, lane->link_serial);
    lane->has_rung = bell == RING_HEARD;
    lane->rang_tail = tail;
    if (bell == RING_GONE || bell == RING_CUT)
        give_up(b, lane, bell);
}

static __attribute__((noinline)) void
wake_daemon(struct breaker *b, struct lane *lane)
{
    struct entry entry = client_enter();

    ring_the_bell(b, lane);
    client_leave(entry);
}

/* Half full or more: is there room for `cells`, and has the daemon been told? */
static __attribute__((noinline)) bool
look_for_room(struct breaker *b, struct lane *lane, uint64_t cells)
{
    uint64_t room = bk_ring_room(lane->ring, lane->head);
    uint64_t used = BK_RING_CELLS - room;

    if (lane->has_sent)
        return false; /* the long way sees to the order */
    if (used < HALF) {
        lane->look_at = lane->head + HALF - used;
        return true;
    }
    lane->look_at = lane->head + STEP;
    if (room < STEP + BK_RING_ITEM_CELLS)
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

/* Looked at behind the head, or a daemon that falls asleep between the two would leave
 * it lying. A thread that is stopped between them looks when it goes on; so only the
 * compiler has to be told. */
static inline bool
sleeps(const struct lane *lane)
{
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&lane->ring->watch, memory_order_relaxed) !=
           BK_RING_WATCHED;
}

static __attribute__((noinline)) bool
wake_for_success(struct breaker *b, struct lane *lane)
{
    wake_daemon(b, lane);
    return true;
}

/* There is room. */
static inline __attribute__((always_inline)) bool
write_success(struct breaker_permit *permit, int64_t latency_us,
              struct lane *lane, const struct lane_entry *entry)
{
    struct breaker_service *s = permit->service;

    permit->is_settled = 1;
    lane->whose[lane->head & (BK_RING_CELLS - 1)] = s;
    lane->head = bk_ring_put_success(lane->ring, lane->head, permit->generation,
                                     latency_us, entry->slot,
                                     entry->incarnation, permit->attempt);
    if (sleeps(lane))
        return wake_for_success(s->client, lane);
    return true;
}

static __attribute__((noinline)) bool
write_if_room(struct breaker_permit *permit, int64_t latency_us,
              struct lane *lane, const struct lane_entry *entry)
{
    return look_for_room(permit->service->client, lane, 1) &&
           write_success(permit, latency_us, lane, entry);
}

/* Nothing here calls anything and goes on, so that nothing has to be kept for later. */
static inline __attribute__((always_inline)) bool
tell_success_in(struct breaker_permit *permit, int64_t latency_us,
                struct lane *lane)
{
    struct breaker_service *s = permit->service;
    struct breaker *b = s->client;
    struct view *view = client_view(b);
    const struct lane_entry *entry = lane_entry(lane, s->index);

    latency_us = latency_us >= 0 ? latency_us : -1;
    if (permit->is_settled != 0 || permit->verdict != BREAKER_ALLOWED ||
        permit->source == BREAKER_BY_NOBODY || permit->id != 0 ||
        bk_ring_is_wide(permit->generation, latency_us, permit->attempt) ||
        lane->ring == NULL || lane->home != permit->home || view == NULL ||
        view->serial != lane->view_serial || entry == NULL ||
        entry->word == NULL ||
        bk_verdict_incarnation(atomic_load_explicit(
            entry->word, memory_order_relaxed)) != entry->incarnation ||
        client_outage(client_world(b)) != OUTAGE_NONE ||
        atomic_load_explicit(&view->segment.header->epoch,
                             memory_order_relaxed) != lane->epoch)
        return false;
    return lane->head < lane->look_at
               ? write_success(permit, latency_us, lane, entry)
               : write_if_room(permit, latency_us, lane, entry);
}

static __attribute__((noinline)) bool
find_and_tell(struct breaker_permit *permit, int64_t latency_us,
              uint64_t serial)
{
    struct lane *lane = lane_find(serial);

    return lane != NULL && tell_success_in(permit, latency_us, lane);
}

LANE_HOT bool
ring_tell_success(struct breaker_permit *permit, int64_t latency_us)
{
    uint64_t serial = fork_page_serial(permit->service->client->page);

    return lane_is_at_hand(serial)
               ? tell_success_in(permit, latency_us, lane_thread.lane)
               : find_and_tell(permit, latency_us, serial);
}

bool
ring_tell(struct breaker *b, const struct told *item)
{
    struct lane *lane = b->has_rings ? lane_get(b) : NULL;
    struct view *view = client_view(b);
    const struct lane_entry *entry = NULL;
    size_t text_len = strlen(item->text);
    struct bk_ring_item out = {.generation = item->generation,
                               .permit = item->id,
                               .latency_us = item->latency_us,
                               .retry_after_ms = item->retry_after_ms,
                               .attempt = item->attempt,
                               .outcome = item->outcome,
                               .text_len = (uint8_t)text_len,
                               .is_release = item->kind == TOLD_RELEASE,
                               .is_current = item->is_current,
                               .will_retry = item->will_retry};
    uint64_t cells = bk_ring_cells(
        bk_ring_is_wide(out.generation, out.latency_us, out.attempt),
        bk_ring_is_more(out.permit, out.retry_after_ms), out.text_len);

    if (lane == NULL || view == NULL)
        return false;
    lane_follow(lane, view);
    if (has_ring(b, lane) && is_in_order(b, lane)) {
        if (item->kind == TOLD_REPORT)
            entry = lane_place(lane, item->service);
        if (entry != NULL) {
            out.slot = entry->slot;
            out.incarnation = entry->incarnation;
        }
        if ((entry != NULL || item->kind == TOLD_RELEASE) &&
            has_room(b, lane, cells)) {
            lane->whose[lane->head & (BK_RING_CELLS - 1)] = item->service;
            lane->head = bk_ring_put(lane->ring, lane->head, &out, item->text);
            if (bk_ring_is_urgent(item->id, item->retry_after_ms,
                                  item->outcome) ||
                sleeps(lane))
                ring_the_bell(b, lane);
            return true;
        }
    }
    if (!b->tells_later)
        ring_await(b, clock_mono_ns() + TAKE_UP_NS);
    note_sent(lane);
    return false;
}

void
ring_await(struct breaker *b, int64_t end_ns)
{
    struct lane *lane = lane_mine(fork_page_serial(b->page));

    if (lane == NULL || !lane->is_new || lane->head == 0)
        return; /* nothing in it that could be overtaken */
    lane->is_new = false;
    if (lane->ring == NULL)
        return;
    while (sleeps(lane) && !is_let_go(lane) && clock_mono_ns() < end_ns &&
           bk_ring_room(lane->ring, lane->head) + lane->head == BK_RING_CELLS)
        look_again_soon();
    if (is_let_go(lane))
        give_up(b, lane, RING_GONE); /* what lies in it is sent first */
}

void
ring_note_sent(struct breaker *b)
{
    struct lane *lane = lane_mine(fork_page_serial(b->page));

    if (lane != NULL)
        note_sent(lane);
}

void
ring_rescue(struct breaker *b)
{
    struct lane *lane = atomic_load_explicit(&client_world(b)->lanes.first,
                                             memory_order_acquire);
    struct view *view = client_view(b);
    uint64_t epoch = view == NULL
                         ? 0
                         : atomic_load_explicit(&view->segment.header->epoch,
                                                memory_order_relaxed);

    for (; lane != NULL; lane = lane->next) {
        if (lane->ring != NULL &&
            bk_ring_room(lane->ring, lane->head) < BK_RING_CELLS) {
            enum ring_bell bell =
                ring_link_bell(&client_world(b)->ring_link, lane->link_serial);

            if (bell == RING_GONE || (epoch != 0 && epoch != lane->epoch))
                give_up(b, lane, RING_GONE);
        }
    }
}
