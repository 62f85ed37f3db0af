/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks: whose they are, what lies in them, and how they come and go. */
#include "core/segment_blocks.h"
#include "core/bug.h"
#include <string.h>

/* The first word of a block: what, whose (slot + 1; 0: free), next (block + 1). */
#define NEXT_BITS 30
#define OWNER_BITS 25
#define WHAT_SHIFT (NEXT_BITS + OWNER_BITS)
#define NEXT_MASK ((UINT64_C(1) << NEXT_BITS) - 1)
#define OWNER_MASK ((UINT64_C(1) << OWNER_BITS) - 1)
#define VALUE_BITS 53

_Static_assert((BK_NUMBER_END - 1) >> VALUE_BITS == 0, "a count fits");
_Static_assert(BK_STAT_WORDS < UINT64_C(1) << (64 - VALUE_BITS), "a cell");
_Static_assert(BK_BLOCK_KINDS <= UINT64_C(1) << (64 - WHAT_SHIFT), "what");
_Static_assert(BK_WORDS_OFFSET % sizeof(uint64_t) == 0, "whole words");
_Static_assert(BK_WORDS_BYTES == sizeof(struct bk_override) -
                                     offsetof(struct bk_override, reason),
               "an operator's words end the record");

static _Atomic uint64_t *
block_at(const struct bk_segment *s, uint32_t block)
{
    return s->blocks + (size_t)block * BK_BLOCK_WORDS;
}

static uint64_t
pack(size_t what, uint64_t owner, uint64_t next)
{
    return (uint64_t)what << WHAT_SHIFT | owner << NEXT_BITS | next;
}

/* ---- reading ---- */

void
bk_chain_begin(struct bk_chain *c, const struct bk_segment *s, uint32_t slot)
{
    c->segment = s;
    c->owner = (uint64_t)slot + 1;
    c->left = BK_CHAIN_MOST;
    c->next = slot < s->limits.services
                  ? atomic_load_explicit(&s->chains[slot], memory_order_acquire)
                  : 0;
}

/* Goes on to the next block and looks at its first word only. */
static inline bool
enter(struct bk_chain *c, uint64_t *first)
{
    if (c->next == 0 || c->left == 0 || c->next > bk_segment_blocks(c->segment))
        return false;
    c->left--;
    c->at = (uint32_t)(c->next - 1);
    *first =
        atomic_load_explicit(block_at(c->segment, c->at), memory_order_acquire);
    c->what = (size_t)(*first >> WHAT_SHIFT);
    c->next = *first & NEXT_MASK;
    return (*first >> NEXT_BITS & OWNER_MASK) == c->owner &&
           c->what < BK_BLOCK_KINDS;
}

/* A block's first word changes when it changes hands, before anything else in it does,
 * and every store into a block is a release: who read a word of its next life here
 * sees another first word afterwards. */
bool
bk_chain_next(struct bk_chain *c)
{
    uint64_t first;
    _Atomic uint64_t *at;

    if (!enter(c, &first))
        return false;
    at = block_at(c->segment, c->at);
    for (size_t i = 0; i < BK_BLOCK_ROOM; i++)
        c->words[i] = atomic_load_explicit(&at[1 + i], memory_order_acquire);
    return atomic_load_explicit(at, memory_order_relaxed) == first;
}

uint64_t
bk_cell_pack(size_t word, uint64_t value)
{
    return ((uint64_t)word + 1) << VALUE_BITS | (value & (BK_NUMBER_END - 1));
}

bool
bk_cell_unpack(uint64_t cell, size_t *word, uint64_t *value)
{
    *word = (size_t)(cell >> VALUE_BITS) - 1;
    *value = cell & (BK_NUMBER_END - 1);
    return *word < BK_STAT_WORDS;
}

void
bk_segment_read_stats(const struct bk_segment *s, uint32_t slot,
                      struct bk_stats *out)
{
    memset(out, 0, sizeof *out);
    bk_segment_fill_stats(s, slot, out);
}

void
bk_segment_fill_stats(const struct bk_segment *s, uint32_t slot,
                      struct bk_stats *out)
{
    struct bk_chain c;

    bk_chain_begin(&c, s, slot);
    while (bk_chain_next(&c)) {
        for (size_t i = 0; c.what == BK_BLOCK_STATS && i < BK_BLOCK_ROOM; i++) {
            size_t word;
            uint64_t value;

            if (bk_cell_unpack(c.words[i], &word, &value))
                bk_stats_set(out, word, value);
        }
    }
}

/* Puts the parts of `count` images together that begin at `first`, each of `parts`. A
 * bit for each part that was there; the others have no value. */
static uint32_t
collect(const struct bk_segment *s, uint32_t slot, size_t first, size_t count,
        uint64_t *out)
{
    struct bk_chain c;
    uint32_t there = 0;

    bk_chain_begin(&c, s, slot);
    while (bk_chain_next(&c)) {
        if (c.what < first || c.what >= first + count)
            continue;
        there |= UINT32_C(1) << (c.what - first);
        memcpy(out + (c.what - first) * BK_BLOCK_ROOM, c.words, sizeof c.words);
    }
    return there;
}

/* Copies `bytes` out of an image that was put together, if all of its parts were
 * there; false: it is not whole. */
static bool
open_image(const uint64_t *words, uint32_t there, size_t first, size_t parts,
           void *out, size_t bytes)
{
    uint32_t all = ((UINT32_C(1) << parts) - 1) << first;
    const uint64_t *image = words + first * BK_BLOCK_ROOM;

    if ((there & all) != all)
        return false;
    memcpy(out, image, bytes);
    return image[bytes / sizeof(uint64_t)] == bk_image_check(out, bytes);
}

static bool
ends_within(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

/* Is there a block of these? Looked at first: of most services there is none, and what
 * a function keeps of the parts is cleared whenever it is entered. */
static bool
has_any(const struct bk_segment *s, uint32_t slot, size_t first, size_t count)
{
    struct bk_chain c;
    uint64_t word;

    bk_chain_begin(&c, s, slot);
    while (enter(&c, &word)) {
        if (c.what >= first && c.what < first + count)
            return true;
    }
    return false;
}

static void
open_evidence(const struct bk_segment *s, uint32_t slot,
              struct bk_evidence out[BK_EVIDENCE_COUNT])
{
    uint64_t words[BK_EVIDENCE_COUNT * BK_EVIDENCE_PARTS * BK_BLOCK_ROOM];
    uint32_t there = collect(s, slot, BK_BLOCK_EVIDENCE,
                             BK_EVIDENCE_COUNT * BK_EVIDENCE_PARTS, words);

    for (size_t i = 0; i < BK_EVIDENCE_COUNT; i++) {
        struct bk_evidence *e = &out[i];

        if (!open_image(words, there, i * BK_EVIDENCE_PARTS, BK_EVIDENCE_PARTS,
                        e, sizeof *e) ||
            e->at_ns < 0 || e->latency_ns < -1 ||
            e->outcome >= BK_OUTCOME_COUNT ||
            !ends_within(e->worker, sizeof e->worker) ||
            !ends_within(e->text, sizeof e->text))
            memset(e, 0, sizeof *e);
    }
}

bool
bk_segment_read_evidence(const struct bk_segment *s, uint32_t slot,
                         struct bk_evidence out[BK_EVIDENCE_COUNT])
{
    bool is_there = has_any(s, slot, BK_BLOCK_EVIDENCE,
                            BK_EVIDENCE_COUNT * BK_EVIDENCE_PARTS);

    if (is_there)
        open_evidence(s, slot, out);
    else
        memset(out, 0, BK_EVIDENCE_COUNT * sizeof *out);
    return is_there;
}

static bool
open_words(const struct bk_segment *s, uint32_t slot, uint32_t place, char *end)
{
    uint64_t words[BK_WORDS_PARTS * BK_BLOCK_ROOM];
    uint32_t there =
        collect(s, slot, BK_BLOCK_WORDS_OF + (place - 1) * BK_WORDS_PARTS,
                BK_WORDS_PARTS, words);

    return open_image(words, there, 0, BK_WORDS_PARTS, end, BK_WORDS_BYTES);
}

void
bk_blocks_read_words(const struct bk_segment *s, uint32_t slot, uint32_t place,
                     struct bk_record *out)
{
    char *end = (char *)out + BK_WORDS_OFFSET;

    if (place < 1 || place > BK_WORDS_PLACES ||
        !open_words(s, slot, place, end))
        memset(end, 0, BK_WORDS_BYTES);
}

/* ---- taking and giving back ---- */

uint32_t
bk_segment_room(const struct bk_segment *s)
{
    uint32_t end = bk_segment_blocks(s);

    return end > s->block_used ? end - s->block_used : 0;
}

/* A block that nobody has, or BK_NO_SLOT. The writer alone reads what a free one says. */
static uint32_t
find_free(struct bk_segment *s)
{
    uint32_t block = s->block_free;

    if (block != BK_NO_SLOT) {
        uint64_t next =
            atomic_load_explicit(block_at(s, block), memory_order_relaxed) &
            NEXT_MASK;

        s->block_free = next == 0 || next > s->block_used
                            ? BK_NO_SLOT
                            : (uint32_t)(next - 1);
        return block;
    }
    return s->block_used < bk_segment_blocks(s) ? s->block_used++ : BK_NO_SLOT;
}

/* Puts one more block before a service's others: empty when the first can see it. */
static _Atomic uint64_t *
take(struct bk_segment *s, uint32_t slot, size_t what)
{
    uint32_t block = find_free(s);
    _Atomic uint64_t *at;

    if (block == BK_NO_SLOT)
        return NULL;
    at = block_at(s, block);
    for (size_t i = 0; i < BK_BLOCK_ROOM; i++)
        atomic_store_explicit(&at[1 + i], 0, memory_order_release);
    atomic_store_explicit(
        at,
        pack(what, (uint64_t)slot + 1,
             atomic_load_explicit(&s->chains[slot], memory_order_relaxed) &
                 NEXT_MASK),
        memory_order_release);
    atomic_store_explicit(&s->chains[slot], (uint64_t)block + 1,
                          memory_order_release);
    return at;
}

static void
give_back(struct bk_segment *s, uint32_t block)
{
    uint64_t next =
        s->block_free == BK_NO_SLOT ? 0 : s->block_free + UINT64_C(1);

    atomic_store_explicit(block_at(s, block), pack(0, 0, next),
                          memory_order_release);
    s->block_free = block;
}

void
bk_blocks_free(struct bk_segment *s, uint32_t slot)
{
    struct bk_chain c;

    bk_chain_begin(&c, s, slot);
    atomic_store_explicit(&s->chains[slot], 0, memory_order_release);
    while (bk_chain_next(&c))
        give_back(s, c.at);
}

/* ---- counts ---- */

/* Stores the counts that have changed and lie in the block. */
static void
store_cells(struct bk_segment *s, const struct bk_chain *c,
            const struct bk_stats *stats, uint64_t dirty[BK_STAT_MASKS])
{
    _Atomic uint64_t *at = block_at(s, c->at) + 1;

    for (size_t i = 0; i < BK_BLOCK_ROOM; i++) {
        size_t word;
        uint64_t value;

        if (!bk_cell_unpack(c->words[i], &word, &value) ||
            (dirty[word / 64] >> word % 64 & 1) == 0)
            continue;
        dirty[word / 64] &= ~(UINT64_C(1) << word % 64);
        value = bk_stats_word(stats, word);
        atomic_store_explicit(&at[i], bk_cell_pack(word, value),
                              memory_order_release);
    }
}

/* Finds a place for a count that has none. */
static bool
add_cell(struct bk_segment *s, uint32_t slot, uint64_t cell)
{
    struct bk_chain c;
    _Atomic uint64_t *to = NULL;

    bk_chain_begin(&c, s, slot);
    while (to == NULL && bk_chain_next(&c)) {
        for (size_t i = 0; c.what == BK_BLOCK_STATS && i < BK_BLOCK_ROOM; i++) {
            if (c.words[i] == 0)
                to = block_at(s, c.at) + 1 + i;
        }
    }
    if (to == NULL) {
        to = take(s, slot, BK_BLOCK_STATS);
        if (to == NULL)
            return false;
        to++;
    }
    atomic_store_explicit(to, cell, memory_order_release);
    return true;
}

/* Those that have changed, as a bit each. */
static bool
gather(struct bk_fleet *f, uint32_t slot, uint64_t dirty[BK_STAT_MASKS])
{
    size_t word;
    bool is_any = false;

    while ((word = bk_fleet_next_dirty_stat(f, slot)) < BK_STAT_WORDS) {
        dirty[word / 64] |= UINT64_C(1) << word % 64;
        is_any = true;
    }
    return is_any;
}

/* Each count stands for itself: nobody needs two of one moment. One that is 0 has no
 * place unless it had one. */
bool
bk_blocks_put_stats(struct bk_segment *s, struct bk_fleet *f, uint32_t slot,
                    const struct bk_stats *stats)
{
    uint64_t dirty[BK_STAT_MASKS] = {0};
    struct bk_chain c;
    bool is_done = true;

    if (!gather(f, slot, dirty))
        return true;
    bk_chain_begin(&c, s, slot);
    while (bk_chain_next(&c)) {
        if (c.what == BK_BLOCK_STATS)
            store_cells(s, &c, stats, dirty);
    }
    for (size_t i = 0; i < BK_STAT_MASKS; i++) {
        for (uint64_t mask = dirty[i]; mask != 0; mask &= mask - 1) {
            size_t word = i * 64 + (size_t)__builtin_ctzll(mask);
            uint64_t value = bk_stats_word(stats, word);

            if (value != 0)
                is_done =
                    add_cell(s, slot, bk_cell_pack(word, value)) && is_done;
        }
    }
    return is_done;
}

/* ---- images ---- */

/* The blocks of an image's parts, if need be taken. False when one is missing: those
 * that are there hold zeros or the image of before. */
static bool
find_parts(struct bk_segment *s, uint32_t slot, size_t first, size_t parts,
           bool makes, _Atomic uint64_t *out[])
{
    struct bk_chain c;
    bool is_done = true;

    for (size_t i = 0; i < parts; i++)
        out[i] = NULL;
    bk_chain_begin(&c, s, slot);
    while (bk_chain_next(&c)) {
        if (c.what >= first && c.what < first + parts)
            out[c.what - first] = block_at(s, c.at);
    }
    for (size_t i = 0; i < parts; i++) {
        if (out[i] == NULL && makes)
            out[i] = take(s, slot, first + i);
        is_done = is_done && out[i] != NULL;
    }
    return is_done;
}

/* As bk_image_store: the words, then the check. */
static void
store_image(_Atomic uint64_t *const blocks[], const void *from, size_t bytes)
{
    size_t count = bytes / sizeof(uint64_t);

    for (size_t i = 0; i <= count; i++) {
        uint64_t word;

        if (i < count)
            memcpy(&word, (const char *)from + i * sizeof word, sizeof word);
        else
            word = bk_image_check(from, bytes);
        atomic_store_explicit(&blocks[i / BK_BLOCK_ROOM][1 + i % BK_BLOCK_ROOM],
                              word, memory_order_release);
    }
}

bool
bk_blocks_put_evidence(struct bk_segment *s, uint32_t slot, uint32_t place,
                       const struct bk_evidence *e)
{
    static const struct bk_evidence none;
    _Atomic uint64_t *blocks[BK_EVIDENCE_PARTS];
    bool is_empty = memcmp(e, &none, sizeof none) == 0;

    BK_ASSERT(place < BK_EVIDENCE_COUNT);
    if (!find_parts(s, slot, BK_BLOCK_EVIDENCE + place * BK_EVIDENCE_PARTS,
                    BK_EVIDENCE_PARTS, !is_empty, blocks))
        return is_empty;
    store_image(blocks, e, sizeof *e);
    return true;
}

uint32_t
bk_blocks_put_words(struct bk_segment *s, uint32_t slot, uint32_t shown,
                    const struct bk_record *record)
{
    _Atomic uint64_t *blocks[BK_WORDS_PARTS];
    const char *end = (const char *)record + BK_WORDS_OFFSET;
    struct bk_record there;
    uint32_t place = shown == 1 ? 2 : 1;
    bool is_shown = shown >= 1 && shown <= BK_WORDS_PLACES;

    bk_blocks_read_words(s, slot, shown, &there);
    if (is_shown && memcmp((const char *)&there + BK_WORDS_OFFSET, end,
                           BK_WORDS_BYTES) == 0)
        return shown;
    if (!find_parts(s, slot, BK_BLOCK_WORDS_OF + (place - 1) * BK_WORDS_PARTS,
                    BK_WORDS_PARTS, true, blocks))
        return 0;
    store_image(blocks, end, BK_WORDS_BYTES);
    return place;
}

/* ---- after another writer ---- */

/* A chain is believed up to the first block that is not its own, or says what another
 * of it has said; there it is cut. */
static void
trust_chain(struct bk_segment *s, uint32_t slot, uint64_t *met)
{
    struct bk_chain c;
    _Atomic uint64_t *link = &s->chains[slot];
    uint64_t kept = 0; /* what the word says besides the next block */
    uint64_t next;
    uint64_t said = 0;
    uint32_t counts = 0;

    bk_chain_begin(&c, s, slot);
    for (next = c.next; bk_chain_next(&c); next = c.next) {
        bool is_count = c.what == BK_BLOCK_STATS;
        bool is_too_much = is_count ? counts == BK_BLOCKS_FOR(BK_STAT_WORDS)
                                    : (said >> c.what & 1) != 0;

        if (is_too_much || (met[c.at / 64] >> c.at % 64 & 1) != 0)
            break;
        met[c.at / 64] |= UINT64_C(1) << c.at % 64;
        counts += is_count;
        said |= UINT64_C(1) << c.what;
        if (c.at >= s->block_used)
            s->block_used = c.at + 1;
        link = block_at(s, c.at);
        kept = pack(c.what, c.owner, 0);
    }
    if (next != 0)
        atomic_store_explicit(link, kept, memory_order_release);
}

void
bk_segment_sweep(struct bk_segment *s, uint64_t *met)
{
    s->block_used = 0;
    s->block_free = BK_NO_SLOT;
    for (uint32_t slot = 0; slot < s->limits.services; slot++) {
        if (atomic_load_explicit(&s->chains[slot], memory_order_relaxed) != 0)
            trust_chain(s, slot, met);
    }
    for (uint32_t i = s->block_used; i-- > 0;) {
        if ((met[i / 64] >> i % 64 & 1) == 0)
            give_back(s, i);
    }
}
