/* SPDX-License-Identifier: Apache-2.0 */
#include "core/image.h"
#include "core/bug.h"
#include <string.h>

/* Independent sums, so that the processor need not wait for one multiplication
 * before it starts the next. */
#define LANES 4
#define ODD UINT64_C(0x9e3779b97f4a7c15)

static void
mix(uint64_t lanes[LANES], size_t i, uint64_t word)
{
    uint64_t h = (lanes[i % LANES] ^ word) * ODD;

    lanes[i % LANES] = h ^ (h >> 29);
}

/* Zeros give zero: blank memory is a whole image. */
static uint64_t
finish(const uint64_t lanes[LANES])
{
    uint64_t h = 0;

    for (size_t i = 0; i < LANES; i++) {
        h = (h ^ lanes[i]) * ODD;
        h ^= h >> 32;
    }
    return h;
}

static uint64_t
word_of(const void *from, size_t i)
{
    uint64_t word;

    memcpy(&word, (const char *)from + i * sizeof word, sizeof word);
    return word;
}

/* Every store is a release, pairing with the acquire loads of bk_image_load:
 * a reader that sees any word of this round also sees all the writer stored
 * before the round, such as the sequence number of the round before. */
void
bk_image_store(_Atomic uint64_t *at, const void *from, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    uint64_t lanes[LANES] = {0};

    BK_ASSERT(bytes % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = word_of(from, i);

        mix(lanes, i, word);
        atomic_store_explicit(&at[i], word, memory_order_release);
    }
    atomic_store_explicit(&at[count], finish(lanes), memory_order_release);
}

/* Relaxed loads: only the writer itself looks at what it wrote. The check is
 * compared as well, or an image torn by a dead writer could stay torn. */
void
bk_image_update(_Atomic uint64_t *at, const void *from, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    uint64_t lanes[LANES] = {0};
    bool is_same = true;

    for (size_t i = 0; i < count && is_same; i++) {
        uint64_t word = word_of(from, i);

        mix(lanes, i, word);
        is_same = atomic_load_explicit(&at[i], memory_order_relaxed) == word;
    }
    if (!is_same ||
        atomic_load_explicit(&at[count], memory_order_relaxed) != finish(lanes))
        bk_image_store(at, from, bytes);
}

/* Acquire loads, pairing with the release stores of bk_image_store; what the
 * caller loads afterwards cannot move before them. */
bool
bk_image_load(_Atomic uint64_t *at, void *out, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    uint64_t lanes[LANES] = {0};

    BK_ASSERT(bytes % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = atomic_load_explicit(&at[i], memory_order_acquire);

        mix(lanes, i, word);
        memcpy((char *)out + i * sizeof word, &word, sizeof word);
    }
    return atomic_load_explicit(&at[count], memory_order_acquire) ==
           finish(lanes);
}
