/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the segment. Whole is not yet sound: an image may carry a right check
 * and still hold what no daemon writes, so everything that is later used as an
 * index, a string or a divisor is looked at before it leaves this file. */
#include "core/image.h"
#include "core/segment_blocks.h"
#include "core/segment_index.h"
#include <string.h>

static bool
ends_within(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool
is_name(const char *text)
{
    return ends_within(text, BK_NAME_SIZE) &&
           bk_name_is_valid(text, strlen(text));
}

/* A record that is being written, whole. The acquires pair with the releases of
 * store_record (segment_write.c): the slot is named after the image is in place, and no
 * other one before that name is gone. */
static bool
load_pending(const struct bk_segment *s, uint32_t slot, struct bk_record *out)
{
    uint64_t name = (uint64_t)slot + 1;

    return atomic_load_explicit(&s->pending[0], memory_order_acquire) == name &&
           bk_image_load(s->pending + 1, out, BK_RECORD_BYTES) &&
           atomic_load_explicit(&s->pending[0], memory_order_relaxed) == name;
}

/* While the number is even the image is whole, and the writer touches it only after it
 * stored the next number; a reader that saw a word of such a later round therefore
 * sees a later number here, and tries again. While it is odd, for a moment or since
 * the writer died, the record is the one pending. The place of an operator's words is
 * not written to while a record names it, so what is said of the image holds of them. */
static bool
load_record(const struct bk_segment *s, uint32_t slot, struct bk_record *out)
{
    _Atomic uint64_t *sequence = s->records + (size_t)slot * BK_RECORD_WORDS;

    for (int tries = 0; tries < BK_READ_TRIES; tries++) {
        uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);
        bool is_whole = (before & 1) == 0
                            ? bk_image_load(sequence + 1, out, BK_RECORD_BYTES)
                            : load_pending(s, slot, out);

        if (is_whole)
            bk_blocks_read_words(s, slot, out->words, out);
        if (atomic_load_explicit(sequence, memory_order_relaxed) == before &&
            (is_whole || (before & 1) == 0))
            return is_whole;
    }
    return false;
}

bool
bk_segment_read(const struct bk_segment *s, uint32_t slot,
                struct bk_record *out)
{
    return slot < s->limits.services && load_record(s, slot, out) &&
           out->is_used == 1 && out->is_configured <= 1 && is_name(out->name) &&
           out->policy < s->limits.policies && out->used_ns >= 0 &&
           bk_breaker_is_sound(&out->breaker);
}

/* Durations lie first in the struct, and all have the same upper bound. */
static bool
durations_are_sound(const struct bk_policy *p)
{
    const size_t end = offsetof(struct bk_policy, failure_rate_ppm);

    for (size_t at = 0; at < end; at += sizeof(int64_t)) {
        int64_t value;

        memcpy(&value, (const char *)p + at, sizeof value);
        if (value < 0 || value > BK_DURATION_MAX_NS)
            return false;
    }
    return p->retry_ttl_ns >= BK_SLICES &&
           (p->window_calls == 0 ? p->window_ns >= BK_SLICES
                                 : p->window_calls <= BK_WINDOW_CALLS_MAX);
}

static bool
policy_is_sound(const struct bk_policy *p)
{
    return durations_are_sound(p) && p->recovery_jitter_ppm <= BK_PPM &&
           p->half_open_max_calls >= 1 && p->success_threshold >= 1 &&
           p->on_critical <= BK_CRITICAL_IGNORE &&
           p->on_rate_limit <= BK_LIMIT_IGNORE && p->count <= BK_COUNT_CALL &&
           p->jitter <= BK_JITTER_NONE && p->mode < BK_MODE_COUNT &&
           p->mode != BK_FORCED_OPEN &&
           p->retry_ratio_ppm <= BK_RETRY_RATIO_MAX_PPM &&
           p->retry_min_per_sec_ppm <= BK_RETRY_MIN_MAX_PPM &&
           (p->requires_name[0] == '\0' || is_name(p->requires_name)) &&
           ends_within(p->probe_url, sizeof p->probe_url);
}

bool
bk_segment_read_policy(const struct bk_segment *s, uint32_t policy,
                       struct bk_policy *out)
{
    return policy < bk_segment_policies(s) &&
           bk_image_load(s->policies +
                             (size_t)policy * BK_IMAGE_WORDS(struct bk_policy),
                         out, sizeof *out) &&
           policy_is_sound(out);
}

void
bk_segment_read_totals(const struct bk_segment *s, struct bk_totals *out)
{
    for (size_t i = 0; i < BK_TOTAL_COUNT; i++) {
        uint64_t word =
            atomic_load_explicit(&s->header->totals[i], memory_order_relaxed);

        if (word >= BK_NUMBER_END)
            word = 0;
        memcpy((char *)out + i * sizeof word, &word, sizeof word);
    }
}

/* Acquire: pairs with the release in bk_segment_put_lease, which comes before the
 * lease. */
uint32_t
bk_segment_lease_end(const struct bk_segment *s)
{
    uint64_t end =
        atomic_load_explicit(&s->header->lease_end, memory_order_acquire);

    return end < s->limits.leases ? (uint32_t)end : s->limits.leases;
}

bool
bk_segment_read_lease(const struct bk_segment *s, uint32_t slot,
                      struct bk_lease *out)
{
    return slot < s->limits.leases &&
           bk_image_load(s->leases +
                             (size_t)slot * BK_IMAGE_WORDS(struct bk_lease),
                         out, sizeof *out) &&
           out->kind <= BK_LEASE_TOKEN && out->id < BK_NUMBER_END &&
           out->deadline_ns >= 0 && out->slice >= 0 &&
           (out->kind == BK_LEASE_FREE || out->service < s->limits.services);
}

bool
bk_segment_read_route(const struct bk_segment *s, uint32_t index,
                      struct bk_route *out)
{
    if (index >= s->limits.routes ||
        !bk_image_load(s->routes +
                           (size_t)index * BK_IMAGE_WORDS(struct bk_route),
                       out, sizeof *out) ||
        !is_name(out->name) || out->count > BK_ROUTE_MEMBERS)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        if (!is_name(out->members[i]))
            return false;
    }
    return true;
}

bool
bk_segment_read_past(const struct bk_segment *s, uint32_t index,
                     struct bk_past *out)
{
    return index < BK_PAST_COUNT &&
           bk_image_load(s->past + index * BK_IMAGE_WORDS(struct bk_past), out,
                         sizeof *out) &&
           bk_past_is_sound(out) && out->seq % BK_PAST_COUNT == index;
}

void
bk_segment_read_version(const struct bk_segment *s, char out[BK_VERSION_SIZE])
{
    for (size_t i = 0; i < BK_VERSION_SIZE / sizeof(uint64_t); i++) {
        uint64_t word =
            atomic_load_explicit(&s->header->version[i], memory_order_relaxed);

        memcpy(out + i * sizeof word, &word, sizeof word);
    }
    out[BK_VERSION_SIZE - 1] = '\0';
}
