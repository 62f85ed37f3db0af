/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout: where everything lies, computed from the limits alone, and the
 * checks of a mapping before anything in it is believed. */
#include "core/segment.h"
#include "core/bug.h"
#include "core/image.h"
#include "core/segment_blocks.h"
#include <string.h>

/* Grows when the meaning of a published field changes but no size does. */
#define LAYOUT_VERSION 3
#define PAGE UINT64_C(4096)
#define CACHE_LINE UINT64_C(64)

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics need no lock");
_Static_assert(sizeof(struct bk_segment_header) <= PAGE, "header: one page");

/* Words are copied, so every shared struct is whole words. The offsets hold on
 * 32 and 64 bits alike: a 32-bit worker reads a 64-bit daemon's segment. */
#define WHOLE_WORDS(type) \
    _Static_assert(sizeof(type) % sizeof(uint64_t) == 0, #type ": whole words")
WHOLE_WORDS(struct bk_record);
WHOLE_WORDS(struct bk_breaker);
WHOLE_WORDS(struct bk_policy);
WHOLE_WORDS(struct bk_lease);
WHOLE_WORDS(struct bk_evidence);
WHOLE_WORDS(struct bk_stats);
WHOLE_WORDS(struct bk_totals);
WHOLE_WORDS(struct bk_route);
WHOLE_WORDS(struct bk_past);
_Static_assert(BK_BLOCKS_MOST ==
                   BK_BLOCKS_FOR(BK_STAT_WORDS) + BK_BLOCK_KINDS - 1,
               "blocks of a service");
_Static_assert(sizeof(struct bk_lease) == 56, "lease");
_Static_assert(sizeof(struct bk_evidence) == 96, "evidence");
_Static_assert(sizeof(struct bk_route) == 1096, "route");
_Static_assert(sizeof(struct bk_past) == 240, "past");
_Static_assert(sizeof(struct bk_policy) == 576, "policy");
_Static_assert(sizeof(struct bk_window) == 272, "window");
_Static_assert(sizeof(struct bk_budget) == 152, "budget");
_Static_assert(sizeof(struct bk_ramp) == 40, "ramp");
_Static_assert(sizeof(struct bk_override) == 152, "override");
_Static_assert(sizeof(struct bk_counters) == 8 * BK_COUNTER_COUNT, "counters");
_Static_assert(sizeof(struct bk_breaker) == 72 + 40 + 152 + 272 + 96 + 152,
               "breaker");
_Static_assert(offsetof(struct bk_record, breaker) == 96, "record");
_Static_assert(offsetof(struct bk_segment_header, words_at) == 48, "header");
_Static_assert(offsetof(struct bk_segment_header, phase) == 192, "header");

static uint32_t
buckets_for(uint32_t services)
{
    uint32_t count = 2;

    while (count < 2 * services)
        count *= 2;
    return count;
}

/* As many as all services together can need. */
static uint64_t
block_count_for(const struct bk_limits *limits)
{
    return (uint64_t)limits->services * BK_BLOCKS_MOST;
}

/* Takes `count` things of `words` words at *end; returns where they start. */
static uint64_t
place(uint64_t *end, uint64_t count, uint64_t words)
{
    uint64_t at = (*end + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

    *end = at + count * words * sizeof(uint64_t);
    return at;
}

/* The same of what has memory only as far as it is in use. */
static uint64_t
place_on_page(uint64_t *end, uint64_t count, uint64_t words)
{
    *end = (*end + PAGE - 1) / PAGE * PAGE;
    return place(end, count, words);
}

/* Fills in every field of `h` that follows from its limits. */
static void
lay_out(struct bk_segment_header *h)
{
    const struct bk_limits *limits = &h->limits;
    uint64_t end = PAGE;

    h->bucket_count = buckets_for(limits->services);
    h->words_at = place(&end, limits->services, 1);
    h->stamps_at = place(&end, limits->services, 1);
    h->buckets_at = place(&end, h->bucket_count, 1);
    h->names_at = place(&end, limits->services, BK_NAME_SIZE / 8);
    h->records_at = place(&end, limits->services, BK_RECORD_WORDS);
    h->chains_at = place(&end, limits->services, 1);
    h->leases_at = place(&end, limits->leases, BK_IMAGE_WORDS(struct bk_lease));
    h->routes_at = place(&end, limits->routes, BK_IMAGE_WORDS(struct bk_route));
    h->past_at = place(&end, BK_PAST_COUNT, BK_IMAGE_WORDS(struct bk_past));
    h->pending_at = place(&end, 1, BK_RECORD_WORDS);
    h->policies_at =
        place_on_page(&end, limits->policies, BK_IMAGE_WORDS(struct bk_policy));
    h->blocks_at = place_on_page(&end, block_count_for(limits), BK_BLOCK_WORDS);
    h->total_bytes = (end + PAGE - 1) / PAGE * PAGE;
}

static bool
limits_are_sound(const struct bk_limits *limits)
{
    return limits->services >= 1 && limits->services <= BK_SEGMENT_LIMIT_MAX &&
           limits->leases <= BK_SEGMENT_LIMIT_MAX &&
           limits->policies <= BK_SEGMENT_LIMIT_MAX &&
           limits->routes <= BK_SEGMENT_LIMIT_MAX;
}

size_t
bk_segment_bytes(const struct bk_limits *limits)
{
    struct bk_segment_header h = {.limits = *limits};

    BK_ASSERT(limits_are_sound(limits));
    lay_out(&h);
    BK_ASSERT(h.total_bytes <= SIZE_MAX);
    return (size_t)h.total_bytes;
}

size_t
bk_segment_fixed_bytes(const struct bk_limits *limits)
{
    struct bk_segment_header h = {.limits = *limits};

    BK_ASSERT(limits_are_sound(limits));
    lay_out(&h);
    return (size_t)h.policies_at;
}

/* Sizes, offsets and counts that both sides compiled in. */
static const uint64_t facts[] = {
    LAYOUT_VERSION,
    sizeof(struct bk_segment_header),
    offsetof(struct bk_segment_header, limits),
    offsetof(struct bk_segment_header, words_at),
    offsetof(struct bk_segment_header, routes_at),
    offsetof(struct bk_segment_header, pending_at),
    offsetof(struct bk_segment_header, boot_id),
    offsetof(struct bk_segment_header, phase),
    offsetof(struct bk_segment_header, heartbeat_boot_ns),
    offsetof(struct bk_segment_header, next_id),
    offsetof(struct bk_segment_header, lease_end),
    offsetof(struct bk_segment_header, version),
    offsetof(struct bk_segment_header, totals),
    sizeof(struct bk_record),
    offsetof(struct bk_record, incarnation),
    offsetof(struct bk_record, used_ns),
    offsetof(struct bk_record, breaker),
    sizeof(struct bk_breaker),
    offsetof(struct bk_breaker, state),
    offsetof(struct bk_breaker, ramp),
    offsetof(struct bk_breaker, budget),
    offsetof(struct bk_breaker, window),
    offsetof(struct bk_breaker, override),
    offsetof(struct bk_breaker, counters),
    sizeof(struct bk_ramp),
    sizeof(struct bk_budget),
    sizeof(struct bk_window),
    sizeof(struct bk_override),
    sizeof(struct bk_policy),
    offsetof(struct bk_policy, failure_rate_ppm),
    offsetof(struct bk_policy, failure_threshold),
    offsetof(struct bk_policy, mode),
    offsetof(struct bk_policy, requires_name),
    sizeof(struct bk_lease),
    offsetof(struct bk_lease, era),
    offsetof(struct bk_lease, kind),
    sizeof(struct bk_evidence),
    offsetof(struct bk_evidence, worker),
    offsetof(struct bk_evidence, text),
    sizeof(struct bk_route),
    sizeof(struct bk_past),
    offsetof(struct bk_past, from),
    offsetof(struct bk_past, service),
    offsetof(struct bk_past, text),
    BK_PAST_COUNT,
    BK_RECORD_BYTES,
    BK_BLOCK_WORDS,
    BK_BLOCKS_MOST,
    BK_BLOCK_KINDS,
    offsetof(struct bk_segment_header, policy_end),
    offsetof(struct bk_segment_header, block_end),
    sizeof(struct bk_stats),
    offsetof(struct bk_stats, transitions),
    offsetof(struct bk_stats, duration),
    BK_TOTAL_COUNT,
    BK_NAME_SIZE,
    BK_EVIDENCE_COUNT,
    BK_ROUTE_MEMBERS,
    BK_SLICES,
    BK_WINDOW_CALLS_MAX,
    BK_COUNTER_COUNT,
    BK_STATE_COUNT,
    BK_MODE_COUNT,
    BK_OUTCOME_COUNT,
    BK_DENY_COUNT,
    BK_CAUSE_COUNT,
};

uint64_t
bk_segment_fingerprint(void)
{
    uint64_t h = 0;

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        h = (h ^ facts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

void
bk_segment_format(void *base, const struct bk_limits *limits,
                  const char *boot_id, uint64_t time_namespace)
{
    struct bk_segment_header *h = base;

    BK_ASSERT(limits_are_sound(limits));
    h->magic = BK_SEGMENT_MAGIC;
    h->fingerprint = bk_segment_fingerprint();
    h->limits = *limits;
    lay_out(h);
    bk_copy_text(h->boot_id, sizeof h->boot_id, boot_id, strlen(boot_id));
    h->time_namespace = time_namespace;
    atomic_store(&h->policy_end, limits->policies);
    atomic_store(&h->block_end, block_count_for(limits));
}

/* Where the words of an array start. */
static void *
at_offset(void *base, uint64_t offset)
{
    return (char *)base + (size_t)offset;
}

static const char *
check_header(const struct bk_segment_header *h, size_t bytes,
             struct bk_segment_header *want)
{
    if (h->magic != BK_SEGMENT_MAGIC)
        return "is not a breakerd segment";
    if (h->fingerprint != bk_segment_fingerprint())
        return "was laid out by another version of breakerd";
    want->limits = h->limits;
    if (!limits_are_sound(&want->limits))
        return "has limits out of bounds";
    lay_out(want);
    if (want->total_bytes > bytes)
        return "is shorter than its header says";
    if (h->bucket_count != want->bucket_count ||
        h->total_bytes != want->total_bytes || h->words_at != want->words_at ||
        h->stamps_at != want->stamps_at || h->buckets_at != want->buckets_at ||
        h->names_at != want->names_at || h->records_at != want->records_at ||
        h->chains_at != want->chains_at || h->blocks_at != want->blocks_at ||
        h->policies_at != want->policies_at ||
        h->leases_at != want->leases_at || h->routes_at != want->routes_at ||
        h->past_at != want->past_at || h->pending_at != want->pending_at)
        return "has a damaged header";
    return NULL;
}

/* Offsets are computed anew from the limits, never taken from the map, so a map
 * that changes afterwards cannot lead a reader astray. The acquire of `phase`
 * pairs with the daemon's release of RUNNING: the plain fields lie before. */
const char *
bk_segment_attach(struct bk_segment *s, void *base, size_t bytes)
{
    struct bk_segment_header *h = base;
    struct bk_segment_header want = {.magic = 0};
    const char *why;

    memset(s, 0, sizeof *s);
    if (bytes < sizeof *h || (uintptr_t)base % sizeof(uint64_t) != 0)
        return "is too small";
    (void)atomic_load_explicit(&h->phase, memory_order_acquire);
    why = check_header(h, bytes, &want);
    if (why != NULL)
        return why;
    s->header = h;
    s->words = at_offset(base, want.words_at);
    s->stamps = at_offset(base, want.stamps_at);
    s->buckets = at_offset(base, want.buckets_at);
    s->names = at_offset(base, want.names_at);
    s->records = at_offset(base, want.records_at);
    s->chains = at_offset(base, want.chains_at);
    s->blocks = at_offset(base, want.blocks_at);
    s->policies = at_offset(base, want.policies_at);
    s->leases = at_offset(base, want.leases_at);
    s->routes = at_offset(base, want.routes_at);
    s->past = at_offset(base, want.past_at);
    s->pending = at_offset(base, want.pending_at);
    s->limits = want.limits;
    s->bucket_count = want.bucket_count;
    s->block_count = (uint32_t)block_count_for(&want.limits);
    s->block_free = BK_NO_SLOT;
    return NULL;
}

/* ---- what has memory ---- */

/* Acquire: pairs with the release below, which comes after the memory. */
static uint32_t
count_of(const _Atomic uint64_t *end, uint32_t most)
{
    uint64_t count = atomic_load_explicit(end, memory_order_acquire);

    return count < most ? (uint32_t)count : most;
}

uint32_t
bk_segment_blocks(const struct bk_segment *s)
{
    return count_of(&s->header->block_end, s->block_count);
}

uint32_t
bk_segment_policies(const struct bk_segment *s)
{
    return count_of(&s->header->policy_end, s->limits.policies);
}

void
bk_segment_set_blocks(struct bk_segment *s, uint32_t count)
{
    atomic_store_explicit(&s->header->block_end, count, memory_order_release);
}

void
bk_segment_set_policies(struct bk_segment *s, uint32_t count)
{
    atomic_store_explicit(&s->header->policy_end, count, memory_order_release);
}
