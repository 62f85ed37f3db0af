/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rings_private.h"

void
rings_activate(struct rings *r, uint32_t at, int64_t now_ns)
{
    struct ring *ring = &r->rings[at];
    ring->silent_ns = now_ns;
    ring->is_leaving = false;
    if (ring->active_at == BK_NO_SLOT) {
        ring->active_at = r->active_count;
        r->active[r->active_count++] = at;
    }
    atomic_store_explicit(&ring->map->watch, BK_RING_WATCHED,
                          memory_order_relaxed);
}

void
rings_deactivate(struct rings *r, uint32_t at)
{
    uint32_t place = r->rings[at].active_at;
    if (place != BK_NO_SLOT) {
        r->active[place] = r->active[--r->active_count];
        r->rings[r->active[place]].active_at = place;
        r->rings[at].active_at = BK_NO_SLOT;
    }
}

static void
carry_out(struct rings *r, int64_t now_ns, const struct bk_ring_item *item,
          const struct bk_report *report)
{
    struct registry *registry = r->registry;
    enum bk_applied applied =
        item->is_release
            ? bk_fleet_release(registry->fleet, now_ns, item->permit)
            : bk_fleet_report_at(registry->fleet, now_ns, item->slot,
                                 item->incarnation, report);
    r->stats.items++;
    r->stats.unknown += applied == BK_UNKNOWN;
    registry_note(registry, now_ns, NULL, NULL);
}

/* All but who reports, which is the same for all of a ring. */
static void
fill_in(struct bk_report *report, const struct bk_ring_item *item,
        const char *text)
{
    report->permit = item->permit;
    report->is_current = item->is_current;
    report->generation = item->generation;
    report->outcome = (enum bk_outcome)item->outcome;
    report->latency_ns =
        item->latency_us >= 0 ? item->latency_us * BK_NS_PER_US : -1;
    report->attempt = item->attempt;
    report->will_retry = item->will_retry;
    report->retry_after_ns = bk_ns_of_ms(item->retry_after_ms);
    report->text = item->text_len > 0 ? text : NULL;
    report->text_len = item->text_len;
}

/* At most `most` items up to the ring's head; how many. Nothing more is taken of a ring
 * with a fault. What is filled in each time is made once: clearing it took a tenth of
 * what an item takes. */
static uint32_t
take(struct rings *r, int64_t now_ns, uint32_t at, uint32_t most)
{
    struct ring *ring = &r->rings[at];
    const struct guest *g = &r->guests[ring->guest];
    struct bk_report report = {.caller = {.pid = g->pid, .worker = g->worker}};
    struct bk_ring_item item;
    char text[BK_RING_TEXT + 1];
    for (uint32_t i = 0; i < most; i++) {
        enum bk_ring_taken got =
            bk_ring_take(ring->map, ring->head, &ring->tail, &item, text);
        if (got != BK_RING_ITEM) {
            ring->is_faulty = ring->is_faulty || got == BK_RING_FAULT;
            ring->head = ring->tail;
            return i;
        }
        fill_in(&report, &item, text);
        carry_out(r, now_ns, &item, &report);
    }
    return most;
}

/* Takes from the rings of r->turn, of each up to the head that was read and no more than
 * `most` in all, as near as can be told in the order of writing. What rings the bell is
 * taken within microseconds, what does not may have lain here for BK_RING_LOOK_NS: so
 * first come rings without anything that rings. Of the others an item each in turn, or
 * the successes of one would lie behind the failures of another, which would fake
 * failures in a row. False: enough was done, and there is more. */
bool
rings_take_in_turn(struct rings *r, int64_t now_ns, uint32_t most)
{
    const uint32_t share = most / (r->turn_count > 0 ? r->turn_count : 1);
    uint32_t left = most;
    uint32_t loud = 0;
    for (uint32_t i = 0; i < r->turn_count; i++) {
        struct ring *ring = &r->rings[r->turn[i]];
        if (!bk_ring_has_urgent(ring->map, ring->head, ring->tail)) {
            left -= take(r, now_ns, r->turn[i], share);
        }
        if (ring->head != ring->tail) {
            r->turn[loud++] = r->turn[i];
        }
    }
    while (loud > 0 && left > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < loud; i++) {
            uint32_t at = r->turn[i];
            left -= left > 0 ? take(r, now_ns, at, 1) : 0;
            if (r->rings[at].head != r->rings[at].tail) {
                r->turn[kept++] = at;
            }
        }
        loud = kept;
    }
    return left > 0;
}

/* What was taken is given back, so that the worker may write there again, before
 * what came of it is published: a daemon that dies between the two has lost a few
 * outcomes, and none is ever counted twice. */
void
rings_give(struct ring *ring, int64_t now_ns)
{
    if (ring->tail != ring->given) {
        ring->given = ring->tail;
        ring->silent_ns = now_ns;
        bk_ring_give(ring->map, ring->tail);
    }
}

/* The head is read once: a worker that goes on writing would keep the daemon
 * here. */
void
rings_enlist(struct rings *r, uint32_t at)
{
    r->rings[at].head = bk_ring_head(r->rings[at].map);
    r->turn[r->turn_count++] = at;
}

void
rings_enlist_guest(struct rings *r, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        rings_enlist(r, k);
    }
}

/* The next turn deals with them. */
static void
wake_faulty(struct rings *r, int64_t now_ns, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        if (r->rings[k].is_faulty) {
            rings_activate(r, k, now_ns);
        }
    }
}

void
rings_give_guest(struct rings *r, int64_t now_ns, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        rings_give(&r->rings[k], now_ns);
    }
}

void
rings_take_of(struct rings *r, int64_t now_ns, uint32_t pid)
{
    const uint32_t first = *rings_of_pid(r, pid);
    r->turn_count = 0;
    for (uint32_t at = first; at != BK_NO_SLOT; at = r->guests[at].next) {
        if (r->guests[at].pid == pid) {
            rings_enlist_guest(r, at);
        }
    }
    if (r->turn_count == 0) {
        return;
    }
    rings_take_in_turn(r, now_ns, UINT32_MAX);
    for (uint32_t at = first; at != BK_NO_SLOT; at = r->guests[at].next) {
        if (r->guests[at].pid == pid) {
            rings_give_guest(r, now_ns, at);
            wake_faulty(r, now_ns, at);
        }
    }
}
