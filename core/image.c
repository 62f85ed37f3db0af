/* SPDX-License-Identifier: Apache-2.0 */
#include "core/image.h"
#include "core/bug.h"
#include <string.h>

#define ODD UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t
mix(uint64_t lane, uint64_t word)
{
    uint64_t h = (lane ^ word) * ODD;

    return h ^ (h >> 29);
}

static inline uint64_t
word_of(const void *from, size_t i)
{
    uint64_t word;

    memcpy(&word, (const char *)from + i * sizeof word, sizeof word);
    return word;
}

/* Four independent sums, so that the processor need not wait for one multiplication
 * before it starts the next. Zeros give zero: blank memory is a whole image. */
struct sums {
    uint64_t lanes[4];
};

static inline void
add_four(struct sums *s, const void *from, size_t i)
{
    s->lanes[0] = mix(s->lanes[0], word_of(from, i));
    s->lanes[1] = mix(s->lanes[1], word_of(from, i + 1));
    s->lanes[2] = mix(s->lanes[2], word_of(from, i + 2));
    s->lanes[3] = mix(s->lanes[3], word_of(from, i + 3));
}

/* With the last words, fewer than four, from `i` on. */
static inline uint64_t
finish(struct sums *s, const void *from, size_t i, size_t count)
{
    uint64_t h = 0;

    if (i < count)
        s->lanes[0] = mix(s->lanes[0], word_of(from, i));
    if (i + 1 < count)
        s->lanes[1] = mix(s->lanes[1], word_of(from, i + 1));
    if (i + 2 < count)
        s->lanes[2] = mix(s->lanes[2], word_of(from, i + 2));
    for (size_t k = 0; k < 4; k++) {
        h = (h ^ s->lanes[k]) * ODD;
        h ^= h >> 32;
    }
    return h;
}

uint64_t
bk_image_check(const void *from, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    struct sums s = {{0}};
    size_t i = 0;

    for (; i + 4 <= count; i += 4)
        add_four(&s, from, i);
    return finish(&s, from, i, count);
}

/* Every store is a release, pairing with the acquire loads of bk_image_load:
 * a reader that sees any word of this round also sees all the writer stored
 * before the round, such as the sequence number of the round before. */
void
bk_image_put(_Atomic uint64_t *at, const void *from, size_t bytes,
             uint64_t check)
{
    size_t count = bytes / sizeof(uint64_t);

    BK_ASSERT(bytes % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&at[i], word_of(from, i), memory_order_release);
    atomic_store_explicit(&at[count], check, memory_order_release);
}

void
bk_image_store(_Atomic uint64_t *at, const void *from, size_t bytes)
{
    bk_image_put(at, from, bytes, bk_image_check(from, bytes));
}

/* Relaxed loads: only the writer itself looks at what it wrote. The check is
 * compared as well, or an image torn by a dead writer could stay torn. */
void
bk_image_update(_Atomic uint64_t *at, const void *from, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    bool is_same = atomic_load_explicit(&at[count], memory_order_relaxed) ==
                   bk_image_check(from, bytes);

    for (size_t i = 0; i < count && is_same; i++)
        is_same = atomic_load_explicit(&at[i], memory_order_relaxed) ==
                  word_of(from, i);
    if (!is_same)
        bk_image_store(at, from, bytes);
}

static inline uint64_t
load_word(_Atomic uint64_t *at, void *out, size_t i)
{
    uint64_t word = atomic_load_explicit(&at[i], memory_order_acquire);

    memcpy((char *)out + i * sizeof word, &word, sizeof word);
    return word;
}

/* Summed as they are loaded, not read back from `out`. */
static inline void
load_four(struct sums *s, _Atomic uint64_t *at, void *out, size_t i)
{
    s->lanes[0] = mix(s->lanes[0], load_word(at, out, i));
    s->lanes[1] = mix(s->lanes[1], load_word(at, out, i + 1));
    s->lanes[2] = mix(s->lanes[2], load_word(at, out, i + 2));
    s->lanes[3] = mix(s->lanes[3], load_word(at, out, i + 3));
}

/* Acquire loads, pairing with the release stores of bk_image_store; what the
 * caller loads afterwards cannot move before them. */
bool
bk_image_load(_Atomic uint64_t *at, void *out, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);
    struct sums s = {{0}};
    size_t i = 0;

    BK_ASSERT(bytes % sizeof(uint64_t) == 0);
    for (; i + 4 <= count; i += 4)
        load_four(&s, at, out, i);
    for (size_t k = i; k < count; k++)
        (void)load_word(at, out, k);
    return atomic_load_explicit(&at[count], memory_order_acquire) ==
           finish(&s, out, i, count);
}
