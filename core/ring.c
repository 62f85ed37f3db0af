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
    bool is_more = bk_ring_is_more(item->permit, item->retry_after_ms);
    struct cell cell = {
        .words = {item->generation, (uint64_t)item->latency_us,
                  (uint64_t)item->attempt << 32 | item->slot,
                  (uint64_t)item->incarnation |
                      (uint64_t)item->kind << BK_RING_KIND_SHIFT |
                      (uint64_t)item->outcome << BK_RING_OUTCOME_SHIFT |
                      (uint64_t)item->text_len << BK_RING_TEXT_SHIFT |
                      (item->is_current ? BK_RING_IS_CURRENT : 0) |
                      (item->will_retry ? BK_RING_WILL_RETRY : 0) |
                      (is_more ? BK_RING_HAS_MORE : 0)}};

    write_cell(ring, head++, &cell);
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
has_more(uint64_t word)
{
    return (word & BK_RING_HAS_MORE) != 0;
}

static uint64_t
cells_of(uint64_t word)
{
    return bk_ring_cells(has_more(word), (uint8_t)(word >> BK_RING_TEXT_SHIFT));
}

static void
unpack(const struct cell *cell, struct bk_ring_item *item)
{
    const uint64_t *words = cell->words;

    *item = (struct bk_ring_item){
        .generation = words[0],
        .latency_us = (int64_t)words[1],
        .slot = (uint32_t)words[2],
        .attempt = (uint32_t)(words[2] >> 32),
        .incarnation = (uint8_t)words[3],
        .kind = (uint8_t)(words[3] >> BK_RING_KIND_SHIFT),
        .outcome = (uint8_t)(words[3] >> BK_RING_OUTCOME_SHIFT),
        .text_len = (uint8_t)(words[3] >> BK_RING_TEXT_SHIFT),
        .is_current = (words[3] & BK_RING_IS_CURRENT) != 0,
        .will_retry = (words[3] & BK_RING_WILL_RETRY) != 0};
}

/* The bounds are those of the protocol's numbers. */
static bool
is_sound(const struct bk_ring_item *item)
{
    return item->kind < BK_RING_KIND_COUNT &&
           item->outcome < BK_OUTCOME_COUNT && item->text_len <= BK_RING_TEXT &&
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
        if (has_more(word) ||
            bk_ring_is_urgent(0, 0, (uint8_t)(word >> BK_RING_OUTCOME_SHIFT))) {
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
    struct cell cell = read_cell(ring, *tail);
    uint64_t word = cell.words[BK_RING_CELL_WORDS - 1];
    uint64_t cells = cells_of(word);
    unpack(&cell, item);
    if (cells > written) {
        return BK_RING_FAULT;
    }
    if (has_more(word)) {
        cell = read_cell(ring, *tail + 1);
        item->permit = cell.words[0];
        item->retry_after_ms = cell.words[1];
    }
    if (!is_sound(item)) {
        return BK_RING_FAULT;
    }
    if (item->text_len > 0) {
        take_text(ring, *tail + bk_ring_cells(has_more(word), 0),
                  item->text_len, text);
    }
    *tail += cells;
    return BK_RING_ITEM;
}
