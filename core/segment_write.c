/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing the segment: the daemon's loop alone does. Nothing here waits for a
 * reader, and a writer killed between any two stores leaves a sound segment. */
#include "core/bug.h"
#include "core/image.h"
#include "core/prefetch.h"
#include "core/segment_blocks.h"
#include "core/segment_index.h"
#include <string.h>

/* `out` is blank. */
static void
record_of(const struct bk_service *service, struct bk_record *out)
{
    if (service == NULL)
        return;
    memcpy(out->name, service->name, strlen(service->name));
    out->incarnation = service->incarnation;
    out->policy = service->policy;
    out->is_used = 1;
    out->is_configured = service->is_configured;
    out->used_ns = service->used_ns;
    out->breaker = service->breaker;
}

/* Overwrites a record with what is pending for it. Both numbers are releases, and so is
 * every word between them: see load_record (segment_read.c). */
static void
carry_out(struct bk_segment *s, uint32_t slot, const struct bk_record *record,
          uint64_t check)
{
    _Atomic uint64_t *sequence = s->records + (size_t)slot * BK_RECORD_WORDS;
    uint64_t odd = atomic_load_explicit(sequence, memory_order_relaxed) | 1;

    atomic_store_explicit(sequence, odd, memory_order_release);
    bk_image_put(sequence + 1, record, BK_RECORD_BYTES, check);
    atomic_store_explicit(sequence, odd + 1, memory_order_release);
    atomic_store_explicit(&s->pending[0], 0, memory_order_release);
}

/* What a writer killed in the middle left. Not yet begun, or over, it needs nothing:
 * the record is whole. */
static __attribute__((noinline)) void
finish_last(struct bk_segment *s, uint64_t name)
{
    struct bk_record record;

    if (name <= s->limits.services &&
        (atomic_load_explicit(&s->records[(size_t)(name - 1) * BK_RECORD_WORDS],
                              memory_order_relaxed) &
         1) != 0 &&
        bk_image_load(s->pending + 1, &record, BK_RECORD_BYTES))
        carry_out(s, (uint32_t)name - 1, &record,
                  bk_image_check(&record, BK_RECORD_BYTES));
    else
        atomic_store_explicit(&s->pending[0], 0, memory_order_release);
}

/* The place of an operator's words that the record in its place names. */
static uint32_t
shown_words(const struct bk_segment *s, uint32_t slot)
{
    const size_t offset = offsetof(struct bk_record, words);
    uint64_t word =
        atomic_load_explicit(&s->records[(size_t)slot * BK_RECORD_WORDS + 1 +
                                         offset / sizeof(uint64_t)],
                             memory_order_relaxed);
    uint32_t halves[2];

    memcpy(halves, &word, sizeof halves);
    return halves[offset / sizeof(uint32_t) % 2];
}

/* The new record lies whole in `pending` before the old one is touched, and until the
 * new one is in its place: killed anywhere, one of the two can be read. */
static bool
store_record(struct bk_segment *s, uint32_t slot,
             const struct bk_service *service)
{
    uint64_t last = atomic_load_explicit(&s->pending[0], memory_order_relaxed);
    struct bk_record record = {.is_used = 0};
    uint64_t check;
    bool is_done = true;

    if (last != 0)
        finish_last(s, last);
    record_of(service, &record);
    if (record.breaker.override.is_set) {
        record.words =
            bk_blocks_put_words(s, slot, shown_words(s, slot), &record);
        is_done = record.words != 0;
    }
    check = bk_image_check(&record, BK_RECORD_BYTES);
    bk_image_put(s->pending + 1, &record, BK_RECORD_BYTES, check);
    atomic_store_explicit(&s->pending[0], (uint64_t)slot + 1,
                          memory_order_release);
    carry_out(s, slot, &record, check);
    return is_done;
}

static bool
store_evidence(struct bk_segment *s, struct bk_fleet *f, uint32_t slot,
               const struct bk_service *service)
{
    static const struct bk_evidence none;
    bool is_done = true;
    uint32_t i;

    while ((i = bk_fleet_next_dirty_evidence(f, slot)) < BK_EVIDENCE_COUNT) {
        const struct bk_evidence *e =
            service->has_evidence ? &service->evidence[i] : &none;

        is_done = bk_blocks_put_evidence(s, slot, i, e) && is_done;
    }
    return is_done;
}

/* A new name is in the record before the index leads to it; a name that goes
 * leaves the index before the record does. Either way a reader that finds the
 * slot by name and reads another name in the record knows to ask again. */
bool
bk_segment_put_service(struct bk_segment *s, struct bk_fleet *f, uint32_t slot)
{
    const struct bk_service *service = bk_fleet_service(f, slot);
    bool is_done;

    BK_ASSERT(slot < s->limits.services);
    if (service == NULL) {
        bk_index_put(s, f, slot, "");
        (void)store_record(s, slot, NULL);
        bk_blocks_free(s, slot);
        return true;
    }
    is_done = store_evidence(s, f, slot, service);
    is_done = bk_blocks_put_stats(s, f, slot, service->stats) && is_done;
    is_done = store_record(s, slot, service) && is_done;
    if (bk_fleet_next_dirty_name(f, slot))
        bk_index_put(s, f, slot, service->name);
    return is_done;
}

void
bk_segment_foresee(const struct bk_segment *s, uint32_t slot)
{
    bk_prefetch_all(s->records + (size_t)slot * BK_RECORD_WORDS,
                    BK_RECORD_WORDS * sizeof(uint64_t));
    bk_prefetch(&s->chains[slot]);
}

/* The store pairs with the acquire load of a worker's gate: who sees this word also
 * sees the record that was put before it. It is more than a release, so that the
 * clock the caller reads next is read when every reader can see the word already:
 * the stamp must not be early. */
bool
bk_segment_put_word(struct bk_segment *s, uint32_t slot, uint64_t word)
{
    BK_ASSERT(slot < s->limits.services);
    if (atomic_load_explicit(&s->words[slot], memory_order_relaxed) == word)
        return false;
    /* An exchange, not a store: it is seen by everybody before the caller reads
     * the clock, so that no stamp is earlier than its word. */
    (void)atomic_exchange_explicit(&s->words[slot], word, memory_order_seq_cst);
    return true;
}

void
bk_segment_put_lease(struct bk_segment *s, const struct bk_fleet *f,
                     uint32_t slot)
{
    static const struct bk_lease none;
    const struct bk_lease *lease = bk_leases_at(bk_fleet_leases(f), slot);

    BK_ASSERT(slot < s->limits.leases);
    if (lease == NULL || lease->kind == BK_LEASE_FREE)
        lease = &none;
    /* Before the lease: whoever adopts looks no further. */
    if (slot >= bk_segment_lease_end(s))
        atomic_store_explicit(&s->header->lease_end, (uint64_t)slot + 1,
                              memory_order_release);
    bk_image_store(s->leases + (size_t)slot * BK_IMAGE_WORDS(struct bk_lease),
                   lease, sizeof *lease);
}

void
bk_segment_put_policies(struct bk_segment *s, const struct bk_fleet *f)
{
    static const struct bk_policy none;
    uint32_t count = bk_fleet_limits(f)->policies;

    uint32_t room = bk_segment_policies(s);

    for (uint32_t i = 0; i < room; i++) {
        const struct bk_policy *policy =
            i < count ? bk_fleet_policy(f, i) : NULL;

        bk_image_update(s->policies +
                            (size_t)i * BK_IMAGE_WORDS(struct bk_policy),
                        policy != NULL ? policy : &none, sizeof none);
    }
}

void
bk_segment_put_totals(struct bk_segment *s, const struct bk_totals *totals)
{
    for (size_t i = 0; i < BK_TOTAL_COUNT; i++) {
        uint64_t word;

        memcpy(&word, (const char *)totals + i * sizeof word, sizeof word);
        atomic_store_explicit(&s->header->totals[i], word,
                              memory_order_relaxed);
    }
}

void
bk_segment_put_past(struct bk_segment *s, const struct bk_past *line)
{
    size_t index = (size_t)(line->seq % BK_PAST_COUNT);

    bk_image_store(s->past + index * BK_IMAGE_WORDS(struct bk_past), line,
                   sizeof *line);
}

/* The count is stored after the routes; a reader that believes a newer or an
 * older one finds blank or whole routes, never half of one. */
void
bk_segment_put_routes(struct bk_segment *s, const struct bk_fleet *f)
{
    static const struct bk_route none;
    uint32_t count;
    const struct bk_route *routes = bk_fleet_routes(f, &count);

    BK_ASSERT(count <= s->limits.routes);
    for (uint32_t i = 0; i < s->limits.routes; i++)
        bk_image_update(s->routes + (size_t)i * BK_IMAGE_WORDS(struct bk_route),
                        i < count ? &routes[i] : &none, sizeof none);
    atomic_store_explicit(&s->header->route_count, count, memory_order_release);
}
