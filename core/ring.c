/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ring.h"

static void
put_text(struct bk_ring *ring, uint64_t at, const char *text, size_t len)
{
    _Atomic uint64_t *cell = ring->cells[at & (BK_RING_CELLS - 1)];
    uint64_t words[BK_RING_CELL_WORDS] = {0};

    for (size_t i = 0; i < len && i < BK_RING_TEXT; i++) {
        words[i / 8] |= (uint64_t)(unsigned char)text[i] << 8 * (i % 8);
    }
    for (size_t i = 0; i < BK_RING_CELL_WORDS; i++) {
        bk_ring_set(&cell[i], words[i]);
    }
}

uint64_t
bk_ring_put(struct bk_ring *ring, uint64_t head,
            const struct bk_ring_item *item, const char *text)
{
    _Atomic uint64_t *cell = ring->cells[head & (BK_RING_CELLS - 1)];

    bk_ring_set(&cell[0], item->generation);
    bk_ring_set(&cell[1], item->permit);
    bk_ring_set(&cell[2], (uint64_t)item->latency_us);
    bk_ring_set(&cell[3], item->retry_after_ms);
    bk_ring_set(&cell[4], (uint64_t)item->attempt << 32 | item->slot);
    bk_ring_set(&cell[5], (uint64_t)item->incarnation |
                              (uint64_t)item->kind << 8 |
                              (uint64_t)item->outcome << 16 |
                              (uint64_t)item->text_len << 24 |
                              (uint64_t)item->is_current << 32 |
                              (uint64_t)item->will_retry << 33);
    head++;
    if (item->text_len > 0) {
        put_text(ring, head, text, item->text_len);
        head++;
    }
    atomic_store_explicit(&ring->head, head, memory_order_release);
    return head;
}

static void
read_cell(const struct bk_ring *ring, uint64_t at,
          uint64_t words[BK_RING_CELL_WORDS])
{
    const _Atomic uint64_t *cell = ring->cells[at & (BK_RING_CELLS - 1)];

    for (size_t i = 0; i < BK_RING_CELL_WORDS; i++) {
        words[i] = atomic_load_explicit(&cell[i], memory_order_relaxed);
    }
}

static void
unpack(const uint64_t *words, struct bk_ring_item *item)
{
    *item = (struct bk_ring_item){.generation = words[0],
                                  .permit = words[1],
                                  .latency_us = (int64_t)words[2],
                                  .retry_after_ms = words[3],
                                  .slot = (uint32_t)words[4],
                                  .attempt = (uint32_t)(words[4] >> 32),
                                  .incarnation = (uint8_t)words[5],
                                  .kind = (uint8_t)(words[5] >> 8),
                                  .outcome = (uint8_t)(words[5] >> 16),
                                  .text_len = (uint8_t)(words[5] >> 24),
                                  .is_current = (words[5] >> 32 & 1) != 0,
                                  .will_retry = (words[5] >> 33 & 1) != 0};
}

/* Everything is copied before it is looked at: its writer may be at it still. The
 * bounds are those of the protocol's numbers. */
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
    bool is_text = false;
    uint64_t words[BK_RING_CELL_WORDS];
    struct bk_ring_item item;
    if (head - tail > BK_RING_CELLS) {
        return true; /* a fault, found where it is taken */
    }
    for (; tail != head; tail++) {
        if (is_text) {
            is_text = false;
            continue;
        }
        read_cell(ring, tail, words);
        unpack(words, &item);
        is_text = item.text_len > 0;
        if (bk_ring_is_urgent(item.permit, item.retry_after_ms, item.outcome)) {
            return true;
        }
    }
    return false;
}

enum bk_ring_taken
bk_ring_take(const struct bk_ring *ring, uint64_t head, uint64_t *tail,
             struct bk_ring_item *item, char *text)
{
    uint64_t words[BK_RING_CELL_WORDS];
    uint64_t written = head - *tail;
    text[0] = '\0';
    if (written == 0) {
        return BK_RING_EMPTY;
    }
    if (written > BK_RING_CELLS) {
        return BK_RING_FAULT;
    }
    read_cell(ring, *tail, words);
    unpack(words, item);
    if (!is_sound(item) || (item->text_len > 0 && written < 2)) {
        return BK_RING_FAULT;
    }
    *tail += 1;
    if (item->text_len > 0) {
        read_cell(ring, *tail, words);
        for (size_t i = 0; i < item->text_len; i++) {
            unsigned char c = (unsigned char)(words[i / 8] >> 8 * (i % 8));
            text[i] = '?';
            if (c >= ' ' && c != 0x7f) {
                text[i] = (char)c;
            }
        }
        text[item->text_len] = '\0';
        *tail += 1;
    }
    return BK_RING_ITEM;
}
