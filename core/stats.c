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

size_t
bk_duration_bucket(int64_t latency_ns)
{
    size_t bucket = 0;

    while (bucket < BK_DURATION_BUCKETS - 1 &&
           latency_ns > bk_duration_ends_ms[bucket] * BK_NS_PER_MS)
        bucket++;
    return bucket;
}

static void
put_place(struct bk_text *out, enum bk_stat_axis axis, size_t place)
{
    switch (axis) {
    case BK_BY_REASON:
        bk_text_put(out, bk_deny_name((enum bk_deny)place));
        break;
    case BK_BY_OUTCOME:
        bk_text_put(out, bk_outcome_name((enum bk_outcome)place));
        break;
    case BK_BY_CHANGE:
        bk_text_put(out,
                    bk_state_name((enum bk_state)(place / BK_STATE_COUNT)));
        bk_text_put_char(out, '.');
        bk_text_put(out,
                    bk_state_name((enum bk_state)(place % BK_STATE_COUNT)));
        break;
    case BK_BY_DURATION:
        if (place < BK_DURATION_BUCKETS - 1)
            bk_text_put_u64(out, bk_duration_ends_ms[place]);
        else
            bk_text_put(out, "longer");
        break;
    }
}

void
bk_stat_key(size_t word, struct bk_text *out)
{
    size_t row = BK_STAT_ROWS - 1;

    BK_ASSERT(word < BK_STAT_WORDS);
    while (bk_stat_rows[row].first > word)
        row--;
    bk_text_put(out, bk_stat_rows[row].name);
    bk_text_put_char(out, '.');
    put_place(out, bk_stat_rows[row].axis, word - bk_stat_rows[row].first);
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
