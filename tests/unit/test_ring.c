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
                                 .kind = BK_RING_REPORT,
                                 .outcome =
                                     (uint8_t)(number % BK_OUTCOME_COUNT),
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
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->text_len, b->text_len);
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

static void
a_success_is_an_item_like_another(void **state)
{
    (void)state;
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item got;
    uint64_t tail = 0;
    const struct bk_ring_item want = {.generation = 9,
                                      .latency_us = -1,
                                      .slot = 3,
                                      .attempt = 1,
                                      .incarnation = 200};
    clear();
    assert_int_equal(bk_ring_put_success(&ring, 0, 9, -1, 3, 200, 1), 1);
    assert_int_equal(take(&tail, &got, text), BK_RING_ITEM);
    assert_same(&got, &want);
    assert_int_equal(take(&tail, &got, text), BK_RING_EMPTY);
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

/* One word of a cell changed as no worker of ours would. */
static void
assert_fault(size_t word, uint64_t value)
{
    char text[BK_RING_TEXT + 1];
    struct bk_ring_item item = some_item(1);
    uint64_t tail = 0;
    clear();
    bk_ring_put(&ring, 0, &item, "");
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
    assert_fault(1, BK_NUMBER_END);
    assert_fault(1, UINT64_MAX - 1);
    assert_fault(3, (uint64_t)BK_RING_KIND_COUNT << BK_RING_KIND_SHIFT);
    assert_fault(3, (uint64_t)BK_OUTCOME_COUNT << BK_RING_OUTCOME_SHIFT);
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
    atomic_store(&ring.cells[0][3], word);
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
    assert_unwritten(BK_RING_HAS_MORE, 1, BK_RING_FAULT);
    assert_unwritten(BK_RING_HAS_MORE, 2, BK_RING_ITEM);
    assert_unwritten(text, 1, BK_RING_FAULT);
    assert_unwritten(32 * text, 2, BK_RING_ITEM);
    assert_unwritten(33 * text, 2, BK_RING_FAULT);
    assert_unwritten(33 * text, 3, BK_RING_ITEM);
    assert_unwritten(BK_RING_HAS_MORE | 64 * text, 3, BK_RING_FAULT);
    assert_unwritten(BK_RING_HAS_MORE | 64 * text, 4, BK_RING_ITEM);
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
