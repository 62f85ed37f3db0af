/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ring.h"

/* A cell in the writer's or the daemon's own memory. */
struct cell {
    uint64_t words[BK_RING_CELL_WORDS];
};

static void
write_cell(struct bk_ring *ring, uint64_t at, const struct cell *from)
{
    _Atomic uint64_t *cell = ring->cells[at & (BK_RING_CELLS - 1)];

    for (size_t i = 0; i < BK_RING_CELL_WORDS; i++) {
        bk_ring_set(&cell[i], from->words[i]);
    }
}

/* Everything is copied before it is looked at: its writer may be at it still. */
static struct cell
read_cell(const struct bk_ring *ring, uint64_t at)
{
    const _Atomic uint64_t *cell = ring->cells[at & (BK_RING_CELLS - 1)];
    struct cell out;

    for (size_t i = 0; i < BK_RING_CELL_WORDS; i++) {
        out.words[i] = atomic_load_explicit(&cell[i], memory_order_relaxed);
    }
    return out;
}

/* ---- writing ---- */

static uint64_t
put_text(struct bk_ring *ring, uint64_t head, const char *text, size_t len)
{
    for (size_t from = 0; from < len; from += BK_RING_CELL_BYTES) {
        struct cell cell = {.words = {0}};

        for (size_t i = 0; i < BK_RING_CELL_BYTES && from + i < len; i++) {
            cell.words[i / 8] |= (uint64_t)(unsigned char)text[from + i]
                                 << 8 * (i % 8);
        }
        write_cell(ring, head++, &cell);
    }
    return head;
}

uint64_t
bk_ring_put(struct bk_ring *ring, uint64_t head,
            const struct bk_ring_item *item, const char *text)
{
    bool is_wide =
        bk_ring_is_wide(item->generation, item->latency_us, item->attempt);
    bool is_more = bk_ring_is_more(item->permit, item->retry_after_ms);
    struct cell cell = {
        .words = {bk_ring_first_word(item->generation,
                                     is_wide ? 0 : item->latency_us),
                  bk_ring_last_word(item->slot, item->incarnation,
                                    is_wide ? 0 : item->attempt) |
                      (uint64_t)item->outcome << BK_RING_OUTCOME_SHIFT |
                      (uint64_t)item->text_len << BK_RING_TEXT_SHIFT |
                      (item->is_current ? BK_RING_IS_CURRENT : 0) |
                      (item->will_retry ? BK_RING_WILL_RETRY : 0) |
                      (item->is_release ? BK_RING_IS_RELEASE : 0) |
                      (is_wide ? BK_RING_IS_WIDE : 0) |
                      (is_more ? BK_RING_HAS_MORE : 0)}};

    write_cell(ring, head++, &cell);
    if (is_wide) {
        cell =
            (struct cell){.words = {(uint64_t)item->latency_us, item->attempt}};
        write_cell(ring, head++, &cell);
    }
    if (is_more) {
        cell = (struct cell){.words = {item->permit, item->retry_after_ms}};
        write_cell(ring, head++, &cell);
    }
    head = put_text(ring, head, text, item->text_len);
    atomic_store_explicit(&ring->head, head, memory_order_release);
    return head;
}

/* ---- taking ---- */

static uint64_t
last_word(const struct bk_ring *ring, uint64_t at)
{
    return atomic_load_explicit(
        &ring->cells[at & (BK_RING_CELLS - 1)][BK_RING_CELL_WORDS - 1],
        memory_order_relaxed);
}

static bool
has(uint64_t word, uint64_t flag)
{
    return (word & flag) != 0;
}

static uint8_t
octet(uint64_t word, unsigned shift)
{
    return (uint8_t)(word >> shift);
}

static uint64_t
cells_of(uint64_t word)
{
    return bk_ring_cells(has(word, BK_RING_IS_WIDE),
                         has(word, BK_RING_HAS_MORE),
                         octet(word, BK_RING_TEXT_SHIFT));
}

/* Of an item that is not wide and has no more. */
static void
unpack(const struct cell *cell, struct bk_ring_item *item)
{
    uint64_t first = cell->words[0];
    uint64_t last = cell->words[1];
    uint32_t latency = (uint32_t)(first >> BK_RING_LATENCY_SHIFT);

    *item = (struct bk_ring_item){
        .generation = (uint32_t)first,
        .latency_us = latency != UINT32_MAX ? (int64_t)latency : -1,
        .slot = (uint32_t)last & (BK_RING_SLOT_END - 1),
        .attempt = octet(last, BK_RING_ATTEMPT_SHIFT),
        .incarnation = octet(last, BK_RING_INCARNATION_SHIFT),
        .outcome = octet(last, BK_RING_OUTCOME_SHIFT),
        .text_len = octet(last, BK_RING_TEXT_SHIFT),
        .is_release = has(last, BK_RING_IS_RELEASE),
        .is_current = has(last, BK_RING_IS_CURRENT),
        .will_retry = has(last, BK_RING_WILL_RETRY)};
}

/* What a wide item has in full; false: an attempt is no such number. */
static bool
widen(struct bk_ring_item *item, uint64_t generation, const struct cell *next)
{
    item->generation = generation;
    item->latency_us = (int64_t)next->words[0];
    item->attempt = (uint32_t)next->words[1];
    return next->words[1] <= UINT32_MAX;
}

/* The bounds are those of the protocol's numbers. */
static bool
is_sound(const struct bk_ring_item *item)
{
    return item->outcome < BK_OUTCOME_COUNT && item->text_len <= BK_RING_TEXT &&
           item->generation < BK_NUMBER_END && item->permit < BK_NUMBER_END &&
           item->latency_us >= -1 &&
           item->latency_us < (int64_t)BK_NUMBER_END &&
           item->retry_after_ms < BK_NUMBER_END;
}

bool
bk_ring_has_urgent(const struct bk_ring *ring, uint64_t head, uint64_t tail)
{
    uint64_t left = head - tail;
    if (left > BK_RING_CELLS) {
        return true; /* a fault, found where it is taken */
    }
    while (left > 0) {
        uint64_t word = last_word(ring, tail);
        uint64_t cells = cells_of(word);
        if (has(word, BK_RING_HAS_MORE) ||
            bk_ring_is_urgent(0, 0, octet(word, BK_RING_OUTCOME_SHIFT))) {
            return true;
        }
        tail += cells;
        left -= cells < left ? cells : left;
    }
    return false;
}

static void
take_text(const struct bk_ring *ring, uint64_t at, size_t len, char *text)
{
    struct cell cell = {.words = {0}};

    for (size_t i = 0; i < len; i++) {
        size_t k = i % BK_RING_CELL_BYTES;
        unsigned char c;

        if (k == 0) {
            cell = read_cell(ring, at++);
        }
        c = (unsigned char)(cell.words[k / 8] >> 8 * (k % 8));
        text[i] = '?';
        if (c >= ' ' && c != 0x7f) {
            text[i] = (char)c;
        }
    }
    text[len] = '\0';
}

enum bk_ring_taken
bk_ring_take(const struct bk_ring *ring, uint64_t head, uint64_t *tail,
             struct bk_ring_item *item, char *text)
{
    uint64_t written = head - *tail;
    text[0] = '\0';
    if (written == 0) {
        return BK_RING_EMPTY;
    }
    if (written > BK_RING_CELLS) {
        return BK_RING_FAULT;
    }
    uint64_t at = *tail;
    struct cell cell = read_cell(ring, at++);
    uint64_t word = cell.words[1];
    uint64_t cells = cells_of(word);
    if (cells > written || has(word, BK_RING_NO_FLAG)) {
        return BK_RING_FAULT;
    }
    unpack(&cell, item);
    if (has(word, BK_RING_IS_WIDE)) {
        uint64_t generation = cell.words[0];
        cell = read_cell(ring, at++);
        if (!widen(item, generation, &cell)) {
            return BK_RING_FAULT;
        }
    }
    if (has(word, BK_RING_HAS_MORE)) {
        cell = read_cell(ring, at++);
        item->permit = cell.words[0];
        item->retry_after_ms = cell.words[1];
    }
    if (!is_sound(item)) {
        return BK_RING_FAULT;
    }
    take_text(ring, at, item->text_len, text);
    *tail += cells;
    return BK_RING_ITEM;
}
