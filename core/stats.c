/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stats.h"
#include "core/bug.h"
#include <string.h>

/* From a lookup on the same host to the longest answer of a language model. */
const uint32_t bk_duration_ends_ms[BK_DURATION_BUCKETS - 1] = {
    5, 25, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, 30000, 60000};

const struct bk_stat_row bk_stat_rows[BK_STAT_ROWS] = {
#define ROW(field, words, axis, help)                                          \
    {#field, offsetof(struct bk_stats, field) / sizeof(uint64_t), words, axis, \
     help},
    BK_STATS(ROW)
#undef ROW
};

void
bk_count(uint64_t *counter, uint64_t more)
{
    uint64_t room = BK_NUMBER_END - 1 - *counter;

    *counter += more < room ? more : room;
}

void
bk_stats_duration(struct bk_stats *s, enum bk_outcome outcome,
                  int64_t latency_ns)
{
    size_t bucket = 0;

    BK_ASSERT(latency_ns >= 0);
    while (bucket < BK_DURATION_BUCKETS - 1 &&
           latency_ns > bk_duration_ends_ms[bucket] * BK_NS_PER_MS)
        bucket++;
    bk_count(&s->duration[bucket], 1);
    bk_count(&s->duration_us[outcome], (uint64_t)(latency_ns / BK_NS_PER_US));
}

uint64_t
bk_stats_word(const struct bk_stats *s, size_t word)
{
    uint64_t value;

    memcpy(&value, (const char *)s + word * sizeof value, sizeof value);
    return value;
}

void
bk_stats_set(struct bk_stats *s, size_t word, uint64_t value)
{
    memcpy((char *)s + word * sizeof value, &value, sizeof value);
}
