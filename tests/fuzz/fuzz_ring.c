/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring somebody has written into. The first four octets say where the tail is and how
 * far from it the head, the rest lies in the cells from the tail on, again and again
 * until the ring is full. Whatever is taken is within bounds, and comes back when it is
 * written by a worker of ours. */
#include "core/ring.h"
#include "target.h"
#include <string.h>

enum { HEAD_OCTETS = 4, WORDS = BK_RING_CELLS * BK_RING_CELL_WORDS };

static struct bk_ring ring;
static struct bk_ring second;

static void
fill(uint64_t tail, const uint8_t *octets, size_t count)
{
    size_t next = 0;

    for (uint64_t i = 0; i < WORDS; i++) {
        uint64_t at = (i + tail * BK_RING_CELL_WORDS) % WORDS;
        uint64_t word = 0;

        for (unsigned k = 0; k < 8 && count > 0; k++) {
            word |= (uint64_t)octets[next] << 8 * k;
            next = next + 1 < count ? next + 1 : 0;
        }
        bk_ring_set(
            &ring.cells[at / BK_RING_CELL_WORDS][at % BK_RING_CELL_WORDS],
            word);
    }
}

static void
check_bounds(const struct bk_ring_item *item, const char *text)
{
    PROMISE(item->generation < BK_NUMBER_END && item->permit < BK_NUMBER_END);
    PROMISE(item->latency_us >= -1 &&
            item->latency_us < (int64_t)BK_NUMBER_END);
    PROMISE(item->retry_after_ms < BK_NUMBER_END);
    PROMISE(item->slot < BK_RING_SLOT_END && item->outcome < BK_OUTCOME_COUNT);
    PROMISE(item->text_len <= BK_RING_TEXT && strlen(text) == item->text_len);
    for (size_t i = 0; i < item->text_len; i++)
        PROMISE((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static bool
are_same(const struct bk_ring_item *a, const struct bk_ring_item *b)
{
    return a->generation == b->generation && a->permit == b->permit &&
           a->latency_us == b->latency_us &&
           a->retry_after_ms == b->retry_after_ms && a->slot == b->slot &&
           a->attempt == b->attempt && a->incarnation == b->incarnation &&
           a->outcome == b->outcome && a->text_len == b->text_len &&
           a->is_release == b->is_release && a->is_current == b->is_current &&
           a->will_retry == b->will_retry;
}

/* It took `cells`, of which some may not have been needed. */
static void
check_again(const struct bk_ring_item *item, const char *text, uint64_t tail,
            uint64_t cells)
{
    uint64_t head = bk_ring_put(&second, tail, item, text);
    struct bk_ring_item again;
    char words[BK_RING_TEXT + 1];

    PROMISE(head - tail <= cells);
    PROMISE(bk_ring_take(&second, head, &tail, &again, words) == BK_RING_ITEM);
    PROMISE(tail == head && are_same(item, &again) && strcmp(text, words) == 0);
}

static bool
is_urgent(const struct bk_ring_item *item)
{
    return bk_ring_is_urgent(item->permit, item->retry_after_ms, item->outcome);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_ring_item item;
    char text[BK_RING_TEXT + 1];
    enum bk_ring_taken taken;
    bool has_urgent;
    uint64_t tail;
    uint64_t head;

    if (size < HEAD_OCTETS)
        return 0;
    /* Below zero as well: both go round. */
    tail = (uint64_t)(int16_t)(data[0] | data[1] << 8);
    head = tail + (uint64_t)(int16_t)(data[2] | data[3] << 8);
    fill(tail, data + HEAD_OCTETS, size - HEAD_OCTETS);
    has_urgent = bk_ring_has_urgent(&ring, head, tail);
    for (;;) {
        uint64_t from = tail;

        taken = bk_ring_take(&ring, head, &tail, &item, text);
        if (taken != BK_RING_ITEM)
            break;
        PROMISE(tail != from && tail - from <= BK_RING_ITEM_CELLS);
        PROMISE(head - tail < head - from && head - from <= BK_RING_CELLS);
        PROMISE(has_urgent || !is_urgent(&item));
        check_bounds(&item, text);
        check_again(&item, text, from, tail - from);
    }
    PROMISE((taken == BK_RING_EMPTY) == (head == tail));
    PROMISE(has_urgent || head - tail <= BK_RING_CELLS);
    return 0;
}
