/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/gate.h"
#include "client/clock.h"
#include <string.h>

/* The word carries twelve bits of the generation. A handle that slept through
 * 4096 of them must not take the old number for the new one, so what was read is
 * believed for this long only. */
#define GENERATION_KEPT_NS (1 * BK_NS_PER_S)
#define GENERATION_MASK UINT64_C(0xfff)
/* Looks at a word and its record before the daemon is asked instead. */
#define GATE_TRIES 4

#define PLACE_SERIAL_SHIFT 40
#define PLACE_INCARNATION_SHIFT 32
#define PLACE_SLOT_MASK UINT64_C(0xffffffff)

static uint64_t
place_of(const struct view *view, uint32_t incarnation, uint32_t slot)
{
    return (uint64_t)view->serial << PLACE_SERIAL_SHIFT |
           (uint64_t)(incarnation & 0xff) << PLACE_INCARNATION_SHIFT | slot;
}

/* The slow functions stay out of line: a record is a kilobyte of stack, which is
 * not to be cleared on every call. */
#define OUT_OF_LINE __attribute__((noinline, cold))

/* Reads what is published of the service in `slot`; false: it is another's. */
static OUT_OF_LINE bool
read_slot(const struct view *view, struct breaker_service *s, uint32_t slot,
          int64_t coarse_ns, uint32_t *incarnation, uint64_t *generation)
{
    struct bk_record record;

    if (!bk_segment_read(&view->segment, slot, &record) ||
        strcmp(record.name, s->name) != 0)
        return false;
    *incarnation = record.incarnation;
    *generation = record.breaker.generation;
    atomic_store_explicit(&s->generation, *generation, memory_order_relaxed);
    atomic_store_explicit(&s->generation_ns, coarse_ns, memory_order_relaxed);
    return true;
}

/* Where the service lies in this mapping; 0: it is not there. */
static OUT_OF_LINE uint64_t
find(const struct view *view, struct breaker_service *s, int64_t coarse_ns)
{
    uint32_t slot = bk_segment_find(&view->segment, s->name, s->name_len);
    uint32_t incarnation;
    uint64_t generation;
    uint64_t place;

    if (slot == BK_NO_SLOT ||
        !read_slot(view, s, slot, coarse_ns, &incarnation, &generation))
        return 0;
    place = place_of(view, incarnation, slot);
    atomic_store_explicit(&s->place, place, memory_order_relaxed);
    return place;
}

/* The whole generation whose low bits the word carries; false when the record
 * speaks of another one just now. */
static bool
whole_generation(const struct view *view, struct breaker_service *s,
                 uint64_t place, uint16_t low, int64_t coarse_ns, uint64_t *out)
{
    int64_t at_ns =
        atomic_load_explicit(&s->generation_ns, memory_order_relaxed);
    uint32_t incarnation;

    *out = atomic_load_explicit(&s->generation, memory_order_relaxed);
    if ((*out & GENERATION_MASK) == low &&
        coarse_ns - at_ns < GENERATION_KEPT_NS)
        return true;
    return read_slot(view, s, (uint32_t)(place & PLACE_SLOT_MASK), coarse_ns,
                     &incarnation, out) &&
           (*out & GENERATION_MASK) == low;
}

static void
allow(struct breaker_service *s, uint64_t generation,
      struct breaker_permit *permit)
{
    permit->generation = generation;
    permit->verdict = BREAKER_ALLOWED;
    permit->state = BREAKER_CLOSED;
    permit->source = BREAKER_BY_MEMORY;
    atomic_fetch_add_explicit(&s->allowed, 1, memory_order_relaxed);
}

/* False when the denial is over: what is due now only the daemon can say. */
static bool
deny(struct breaker_service *s, const struct bk_verdict *v,
     struct breaker_permit *permit)
{
    if (v->until_ms != BK_VERDICT_FOREVER) {
        int64_t left_ns = (int64_t)v->until_ms * BK_NS_PER_MS - clock_boot_ns();

        if (left_ns <= 0)
            return false;
        permit->retry_after_ms = bk_ms_up(left_ns);
    }
    permit->verdict = BREAKER_DENIED;
    permit->reason = (uint8_t)v->reason;
    permit->state =
        v->reason == BK_DENY_OPEN || v->reason == BK_DENY_FORCED_OPEN
            ? BREAKER_OPEN
            : BREAKER_STATE_UNKNOWN;
    permit->source = BREAKER_BY_MEMORY;
    atomic_fetch_add_explicit(&s->denied[v->reason], 1, memory_order_relaxed);
    return true;
}

bool
gate_denies(struct breaker_service *s, uint64_t word, uint8_t incarnation,
            struct breaker_permit *permit)
{
    struct bk_verdict v = bk_verdict_unpack(word);

    return v.kind == BK_NO && v.incarnation == incarnation &&
           deny(s, &v, permit);
}

enum gate_answer
gate_ask(struct breaker *b, struct breaker_service *s, bool needs_token,
         int64_t coarse_ns, struct breaker_permit *permit)
{
    struct view *view = client_view(b);
    uint64_t place = atomic_load_explicit(&s->place, memory_order_relaxed);

    if (view == NULL || !view_is_alive(view, coarse_ns))
        return GATE_BLIND;
    if (place >> PLACE_SERIAL_SHIFT != view->serial)
        place = find(view, s, coarse_ns);
    for (int tries = 0; place != 0 && tries < GATE_TRIES; tries++) {
        /* Pairs with the release in bk_segment_put_word. */
        struct bk_verdict v = bk_verdict_unpack(
            atomic_load_explicit(&view->segment.words[place & PLACE_SLOT_MASK],
                                 memory_order_acquire));
        uint64_t generation;

        if (v.kind == BK_ASK || (v.kind == BK_GO && needs_token))
            return GATE_ASK;
        if (v.incarnation != (place >> PLACE_INCARNATION_SHIFT & 0xff))
            place = find(view, s, coarse_ns);
        else if (v.kind == BK_NO)
            return deny(s, &v, permit) ? GATE_DENIED : GATE_ASK;
        else if (whole_generation(view, s, place, v.generation, coarse_ns,
                                  &generation)) {
            allow(s, generation, permit);
            return GATE_ALLOWED;
        }
    }
    return GATE_ASK;
}

int64_t
gate_believes_until(struct breaker_service *s)
{
    return atomic_load_explicit(&s->generation_ns, memory_order_relaxed) +
           GENERATION_KEPT_NS;
}
