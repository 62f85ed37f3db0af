/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ring.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

static struct bk_ring ring;

static void
clear(void)
{
    memset(&ring, 0, sizeof(ring));
}

static struct bk_ring_item
some_item(uint64_t number)
{
    return (struct bk_ring_item){.generation = number,
                                 .permit = number % 7,
                                 .latency_us = (int64_t)(number % 1000) - 1,
                                 .retry_after_ms = number % 13,
                                 .slot = (uint32_t)number % 4096,
                                 .attempt = (uint32_t)number % 5,
                                 .incarnation = (uint8_t)number,
                                 .outcome =
                                     (uint8_t)(number % BK_OUTCOME_COUNT),
                                 .is_release = number % 11 == 0,
                                 .is_current = number % 2 == 0,
                                 .will_retry = number % 3 == 0};
}

static void
assert_same(const struct bk_ring_item *a, const struct bk_ring_item *b)
{
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->permit, b->permit);
    assert_int_equal(a->latency_us, b->latency_us);
    assert_int_equal(a->retry_after_ms, b->retry_after_ms);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->text_len, b->text_len);
    assert_int_equal(a->is_release, b->is_release);
    assert_int_equal(a->is_current, b->is_current);
    assert_int_equal(a->will_retry, b->will_retry);
}

static enum bk_ring_taken
take(uint64_t *tail, struct bk_ring_item *item, char *text)
{
    return bk_ring_take(&ring, bk_ring_head(&ring), tail, item, text);
}

/* Many times around, with texts of every length between. */
static void
what_is_written_is_taken_in_order(void **state)
{
    (void)state;
    char text[BK_RING_TEXT + 1];
    char words[BK_RING_TEXT + 1];
    uint64_t head = 0;
    uint64_t tail = 0;
    memset(words, 'x', sizeof(words));
    clear();
    for (uint64_t number = 0; number < 20000; number += 3) {
        for (uint64_t k = 0; k < 3; k++) {
            struct bk_ring_item item = some_item(number + k);
            item.text_len = (uint8_t)((number + k) % (BK_RING_TEXT + 1));
            head = bk_ring_put(&ring, head, &item, words);
        }
        for (uint64_t k = 0; k < 3; k++) {
            struct bk_ring_item want = some_item(number + k);
            struct bk_ring_item got;
            want.text_len = (uint8_t)((number + k) % (BK_RING_TEXT + 1));
            assert_int_equal(take(&tail, &got, text), BK_RING_ITEM);
            assert_same(&got, &want);
            assert_int_equal(strlen(text), want.text_len);
            assert_memory_equal(text, words, want.text_len);
        }
        bk_ring_give(&ring, tail);
        assert_int_equal(bk_ring_room(&ring, head), BK_RING_CELLS);
    }
}

/* Written at the end of the ring, so that it goes on at the start. */
static void
assert_comes_back(struct bk_ring_item want, uint64_t cells)
{
    static const char words[] = "0123456789abcdef0123456789ABCDEF"
                                "0123456789abcdef0123456789ABCDEF";
    const uint64_t start = BK_RING_CELLS - 1;
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item got;
    uint64_t tail = start;
    clear();
    assert_int_equal(bk_ring_put(&ring, start, &want, words), start + cells);
    assert_int_equal(take(&tail, &got, text), BK_RING_ITEM);
    assert_same(&got, &want);
    assert_int_equal(tail, start + cells);
    assert_int_equal(strlen(text), want.text_len);
    assert_memory_equal(text, words, want.text_len);
    assert_int_equal(
        bk_ring_cells(
            bk_ring_is_wide(want.generation, want.latency_us, want.attempt),
            bk_ring_is_more(want.permit, want.retry_after_ms), want.text_len),
        cells);
}

static void
what_does_not_fit_one_cell_takes_another(void **state)
{
    (void)state;
    const uint64_t most = BK_NUMBER_END - 1;
    const int64_t u32 = UINT32_MAX;
    struct bk_ring_item item = {.slot = BK_RING_SLOT_END - 1,
                                .incarnation = UINT8_MAX,
                                .outcome = BK_OUTCOME_COUNT - 1};
    const int64_t latencies[][2] = {
        {-1, 1},      {0, 1},       {u32 - 1, 1},     {u32, 2},
        {u32 + 1, 2}, {2 * u32, 2}, {2 * u32 + 1, 2}, {(int64_t)most, 2}};
    const uint64_t generations[][2] = {
        {UINT32_MAX, 1}, {UINT64_C(1) << 32, 2}, {most, 2}};
    const uint32_t attempts[][2] = {{UINT8_MAX, 1}, {256, 2}, {UINT32_MAX, 2}};
    for (size_t i = 0; i < sizeof(latencies) / sizeof(latencies[0]); i++) {
        item.latency_us = latencies[i][0];
        assert_comes_back(item, (uint64_t)latencies[i][1]);
    }
    item.latency_us = -1;
    for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
        item.generation = generations[i][0];
        assert_comes_back(item, generations[i][1]);
    }
    item.generation = UINT32_MAX;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        item.attempt = attempts[i][0];
        assert_comes_back(item, attempts[i][1]);
    }
}

static void
an_item_is_as_long_as_what_it_says(void **state)
{
    (void)state;
    const uint64_t texts[][2] = {{0, 0},  {1, 1},  {16, 1}, {17, 2},
                                 {32, 2}, {33, 3}, {63, 4}, {64, 4}};
    struct bk_ring_item item = {.latency_us = -1, .will_retry = true};
    struct bk_ring_item wide = {.generation = UINT64_C(1) << 40,
                                .permit = 5,
                                .latency_us = INT64_C(1) << 50,
                                .attempt = 1U << 31,
                                .is_current = true};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        item.text_len = wide.text_len = (uint8_t)texts[i][0];
        item.permit = 0;
        assert_comes_back(item, 1 + texts[i][1]);
        item.permit = BK_NUMBER_END - 1;
        assert_comes_back(item, 2 + texts[i][1]);
        assert_comes_back(wide, 3 + texts[i][1]);
    }
    assert_comes_back(wide, BK_RING_ITEM_CELLS);
    item = (struct bk_ring_item){.permit = 1, .is_release = true};
    assert_comes_back(item, 2);
}

static void
a_success_is_an_item_like_another(void **state)
{
    (void)state;
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item got;
    uint64_t tail = 0;
    const struct bk_ring_item wants[] = {{.generation = 9,
                                          .latency_us = -1,
                                          .slot = 3,
                                          .attempt = 1,
                                          .incarnation = 200},
                                         {.generation = UINT32_MAX,
                                          .latency_us = (int64_t)UINT32_MAX - 1,
                                          .slot = BK_RING_SLOT_END - 1,
                                          .attempt = UINT8_MAX,
                                          .incarnation = UINT8_MAX},
                                         {.latency_us = 0}};
    clear();
    for (uint64_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        const struct bk_ring_item *want = &wants[i];
        assert_false(
            bk_ring_is_wide(want->generation, want->latency_us, want->attempt));
        assert_int_equal(bk_ring_put_success(&ring, i, want->generation,
                                             want->latency_us, want->slot,
                                             want->incarnation, want->attempt),
                         i + 1);
        assert_int_equal(take(&tail, &got, text), BK_RING_ITEM);
        assert_same(&got, want);
        assert_int_equal(take(&tail, &got, text), BK_RING_EMPTY);
    }
}

static void
room_is_what_was_given_back(void **state)
{
    (void)state;
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item = some_item(0);
    uint64_t head = 0;
    uint64_t tail = 0;
    clear();
    for (uint64_t left = BK_RING_CELLS; left > 0; left--) {
        assert_int_equal(bk_ring_room(&ring, head), left);
        head = bk_ring_put(&ring, head, &item, "");
    }
    assert_int_equal(bk_ring_room(&ring, head), 0);
    assert_int_equal(take(&tail, &item, text), BK_RING_ITEM);
    assert_int_equal(bk_ring_room(&ring, head), 0);
    bk_ring_give(&ring, tail);
    assert_int_equal(bk_ring_room(&ring, head), 1);
}

static void
control_characters_of_a_text_are_not_told(void **state)
{
    (void)state;
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item = some_item(1);
    uint64_t tail = 0;
    item.text_len = 6;
    clear();
    bk_ring_put(&ring, 0, &item, "a\nb\x7f\xc3\xa4");
    assert_int_equal(take(&tail, &item, text), BK_RING_ITEM);
    assert_string_equal(text, "a?b?\xc3\xa4");
}

/* One word of a wide item with more changed as no worker of ours would. */
static void
assert_fault(size_t word, uint64_t value)
{
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item = {.generation = UINT64_C(1) << 32, .permit = 1};
    uint64_t tail = 0;
    clear();
    assert_int_equal(bk_ring_put(&ring, 0, &item, ""), 3);
    atomic_store(
        &ring.cells[word / BK_RING_CELL_WORDS][word % BK_RING_CELL_WORDS],
        value);
    assert_int_equal(take(&tail, &item, text), BK_RING_FAULT);
    assert_int_equal(tail, 0);
}

static void
what_is_out_of_bounds_is_a_fault(void **state)
{
    (void)state;
    assert_fault(0, BK_NUMBER_END);
    assert_fault(0, UINT64_MAX);
    assert_fault(1, (uint64_t)BK_OUTCOME_COUNT << BK_RING_OUTCOME_SHIFT);
    assert_fault(1, UINT64_C(255) << BK_RING_OUTCOME_SHIFT);
    for (unsigned i = 61; i < 64; i++) {
        assert_fault(1, UINT64_C(1) << i);
    }
    assert_fault(2, BK_NUMBER_END); /* the latency */
    assert_fault(2, UINT64_MAX - 1);
    assert_fault(2, UINT64_C(1) << 63);
    assert_fault(3, UINT64_C(1) << 32); /* the attempt */
    assert_fault(3, UINT64_MAX);
    assert_fault(4, BK_NUMBER_END); /* the permit */
    assert_fault(5, UINT64_MAX);    /* Retry-After */
}

/* The item that some worker says begins at the last cell written, with cells behind it
 * that are not. */
static void
assert_unwritten(uint64_t word, uint64_t written, enum bk_ring_taken taken)
{
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item;
    uint64_t tail = 0;
    clear();
    atomic_store(&ring.cells[0][1], word);
    atomic_store(&ring.head, written);
    assert_int_equal(take(&tail, &item, text), taken);
    assert_int_equal(tail, taken == BK_RING_ITEM ? written : 0);
}

static void
cells_that_are_not_written_are_a_fault(void **state)
{
    (void)state;
    const uint64_t text = UINT64_C(1) << BK_RING_TEXT_SHIFT;
    assert_unwritten(0, 1, BK_RING_ITEM);
    const uint64_t both = BK_RING_HAS_MORE | BK_RING_IS_WIDE;
    assert_unwritten(BK_RING_HAS_MORE, 1, BK_RING_FAULT);
    assert_unwritten(BK_RING_HAS_MORE, 2, BK_RING_ITEM);
    assert_unwritten(BK_RING_IS_WIDE, 1, BK_RING_FAULT);
    assert_unwritten(BK_RING_IS_WIDE, 2, BK_RING_ITEM);
    assert_unwritten(both, 2, BK_RING_FAULT);
    assert_unwritten(both, 3, BK_RING_ITEM);
    assert_unwritten(text, 1, BK_RING_FAULT);
    assert_unwritten(16 * text, 2, BK_RING_ITEM);
    assert_unwritten(17 * text, 2, BK_RING_FAULT);
    assert_unwritten(17 * text, 3, BK_RING_ITEM);
    assert_unwritten(both | 64 * text, 6, BK_RING_FAULT);
    assert_unwritten(both | 64 * text, 7, BK_RING_ITEM);
    assert_unwritten(65 * text, BK_RING_CELLS, BK_RING_FAULT);
    assert_unwritten(255 * text, BK_RING_CELLS, BK_RING_FAULT);
}

static void
a_head_beyond_the_ring_is_a_fault(void **state)
{
    (void)state;
    const uint64_t heads[] = {BK_RING_CELLS + 1, UINT64_MAX, UINT64_C(1) << 63};
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        uint64_t tail = 0;
        clear();
        atomic_store(&ring.head, heads[i]);
        assert_int_equal(take(&tail, &item, text), BK_RING_FAULT);
    }
}

static void
what_rings_the_bell_is_seen_behind_what_does_not(void **state)
{
    (void)state;
    struct bk_ring_item calm = {.outcome = BK_SUCCESS};
    struct bk_ring_item loud = {.outcome = BK_FAILURE};
    struct bk_ring_item text = {.outcome = BK_REJECTED, .text_len = 64};
    char words[BK_RING_TEXT + 1];
    uint64_t head = BK_RING_CELLS - 2;
    uint64_t tail = head;
    memset(words, '\xff', sizeof(words));
    clear();
    assert_false(bk_ring_has_urgent(&ring, head, tail));
    head = bk_ring_put(&ring, head, &calm, "");
    head = bk_ring_put(&ring, head, &text, words);
    calm.outcome = BK_CANCELLED;
    head = bk_ring_put(&ring, head, &calm, "");
    /* Words of a second cell that would be urgent ones. */
    calm.attempt = UINT32_MAX;
    calm.latency_us = INT64_MAX;
    head = bk_ring_put(&ring, head, &calm, "");
    assert_int_equal(head - tail, 1 + 5 + 1 + 2);
    calm.attempt = 1;
    calm.latency_us = -1;
    assert_false(bk_ring_has_urgent(&ring, head, tail));
    assert_true(
        bk_ring_has_urgent(&ring, bk_ring_put(&ring, head, &loud, ""), tail));
    calm.permit = 1;
    assert_true(
        bk_ring_has_urgent(&ring, bk_ring_put(&ring, head, &calm, ""), tail));
    calm = (struct bk_ring_item){.outcome = BK_SUCCESS, .retry_after_ms = 1};
    assert_true(
        bk_ring_has_urgent(&ring, bk_ring_put(&ring, head, &calm, ""), tail));
    assert_true(bk_ring_has_urgent(&ring, tail + BK_RING_CELLS + 1, tail));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(what_is_written_is_taken_in_order),
        cmocka_unit_test(what_does_not_fit_one_cell_takes_another),
        cmocka_unit_test(an_item_is_as_long_as_what_it_says),
        cmocka_unit_test(a_success_is_an_item_like_another),
        cmocka_unit_test(room_is_what_was_given_back),
        cmocka_unit_test(control_characters_of_a_text_are_not_told),
        cmocka_unit_test(what_is_out_of_bounds_is_a_fault),
        cmocka_unit_test(cells_that_are_not_written_are_a_fault),
        cmocka_unit_test(a_head_beyond_the_ring_is_a_fault),
        cmocka_unit_test(what_rings_the_bell_is_seen_behind_what_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
