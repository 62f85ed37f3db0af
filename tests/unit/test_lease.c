/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lease.h"
#include "unit.h"
#include <stdlib.h>

static struct bk_leases table;
static struct bk_lease_heap heap;
static void *memory;

static void
begin(uint32_t capacity)
{
    free(memory);
    memory = calloc(1, bk_leases_bytes(capacity));
    assert_non_null(memory);
    bk_leases_init(&table, memory, capacity);
    bk_lease_heap_init(&heap);
}

static int
end(void **state)
{
    (void)state;
    free(memory);
    memory = NULL;
    return 0;
}

static uint32_t
add(uint64_t id, int64_t deadline_ns, uint32_t pid)
{
    struct bk_lease lease = {.id = id,
                             .deadline_ns = deadline_ns,
                             .holder_pid = pid,
                             .kind = BK_LEASE_PERMIT};
    return bk_leases_add(&table, &heap, &lease);
}

static uint64_t
first_id(void)
{
    uint32_t slot = bk_leases_first(&heap);
    return slot == BK_NO_SLOT ? 0 : bk_leases_at(&table, slot)->id;
}

static void
an_empty_table_has_nothing(void **state)
{
    (void)state;
    begin(0);
    assert_int_equal(bk_leases_find(&table, 1), BK_NO_SLOT);
    assert_int_equal(bk_leases_of(&table, 1), BK_NO_SLOT);
    assert_int_equal(bk_leases_first(&heap), BK_NO_SLOT);
    assert_int_equal(bk_leases_next_dirty(&table), BK_NO_SLOT);
    assert_int_equal(add(1, 1, 1), BK_NO_SLOT);
    begin(4);
    assert_int_equal(bk_leases_find(&table, 0), BK_NO_SLOT);
    assert_int_equal(bk_leases_of(&table, 0), BK_NO_SLOT);
    assert_int_equal(bk_leases_find(&table, 7), BK_NO_SLOT);
}

static void
a_full_table_refuses(void **state)
{
    (void)state;
    begin(2);
    assert_int_not_equal(add(1, 10, 0), BK_NO_SLOT);
    uint32_t slot = add(2, 10, 0);
    assert_int_not_equal(slot, BK_NO_SLOT);
    assert_int_equal(add(3, 10, 0), BK_NO_SLOT);
    assert_int_equal(table.used, 2);
    bk_leases_remove(&table, &heap, slot);
    assert_int_equal(bk_leases_find(&table, 2), BK_NO_SLOT);
    assert_int_equal(bk_leases_at(&table, slot)->kind, BK_LEASE_FREE);
    assert_int_equal(add(3, 10, 0), slot);
    assert_int_equal(heap.count, 2);
}

static void
the_first_to_end_comes_first(void **state)
{
    (void)state;
    begin(8);
    add(5, 30, 0);
    add(4, 20, 0);
    add(6, 20, 0);
    add(7, 40, 0);
    assert_int_equal(first_id(), 4);
    bk_leases_remove(&table, &heap, bk_leases_find(&table, 4));
    assert_int_equal(first_id(), 6);
    bk_leases_renew(&table, &heap, bk_leases_find(&table, 6), 35);
    assert_int_equal(first_id(), 5);
    bk_leases_renew(&table, &heap, bk_leases_find(&table, 7), 1);
    assert_int_equal(first_id(), 7);
    assert_int_equal(bk_leases_at(&table, bk_leases_first(&heap))->deadline_ns,
                     1);
}

static void
leases_of_a_process_are_found(void **state)
{
    (void)state;
    begin(8);
    add(1, 10, 100);
    add(2, 10, 200);
    add(3, 10, 100);
    add(4, 10, 0);
    int found = 0;
    uint32_t slot;
    while ((slot = bk_leases_of(&table, 100)) != BK_NO_SLOT) {
        assert_int_equal(bk_leases_at(&table, slot)->holder_pid, 100);
        bk_leases_remove(&table, &heap, slot);
        found++;
    }
    assert_int_equal(found, 2);
    assert_int_equal(heap.count, 2);
    assert_int_not_equal(bk_leases_of(&table, 200), BK_NO_SLOT);
    assert_int_equal(bk_leases_of(&table, 300), BK_NO_SLOT);
}

static void
changed_slots_come_once(void **state)
{
    (void)state;
    begin(4);
    uint32_t a = add(1, 10, 0);
    uint32_t b = add(2, 10, 0);
    bk_leases_renew(&table, &heap, a, 20);
    uint32_t one = bk_leases_next_dirty(&table);
    uint32_t two = bk_leases_next_dirty(&table);
    assert_true((one == a && two == b) || (one == b && two == a));
    assert_int_equal(bk_leases_next_dirty(&table), BK_NO_SLOT);
    bk_leases_remove(&table, &heap, b);
    assert_int_equal(bk_leases_next_dirty(&table), b);
    assert_int_equal(bk_leases_at(&table, b)->kind, BK_LEASE_FREE);
    assert_int_equal(bk_leases_next_dirty(&table), BK_NO_SLOT);
}

static bool
adopt(uint32_t slot, uint64_t id)
{
    struct bk_lease lease = {
        .id = id, .deadline_ns = 10, .kind = BK_LEASE_TOKEN};
    return bk_leases_adopt(&table, &heap, slot, &lease);
}

static void
adopted_leases_keep_their_slots(void **state)
{
    (void)state;
    begin(4);
    assert_true(adopt(1, 11));
    assert_true(adopt(3, 13));
    assert_false(adopt(3, 14));
    assert_false(adopt(2, 14));
    assert_false(adopt(4, 14));
    assert_int_equal(bk_leases_find(&table, 11), 1);
    assert_int_equal(bk_leases_find(&table, 13), 3);
    assert_int_equal(table.used, 2);
    /* The two between are free to use, and no more. */
    uint32_t a = add(20, 10, 0);
    uint32_t b = add(21, 10, 0);
    assert_true((a == 0 && b == 2) || (a == 2 && b == 0));
    assert_int_equal(add(22, 10, 0), BK_NO_SLOT);
}

/* ---- the same table as a plain array ---- */

enum { CAPACITY = 200, STEPS = 60000 };

static struct bk_lease plain[CAPACITY];
static uint32_t plain_count;
static uint32_t draw_state = 2463534242U;

static uint32_t
draw(uint32_t end_of_range)
{
    draw_state ^= draw_state << 13;
    draw_state ^= draw_state >> 17;
    draw_state ^= draw_state << 5;
    return draw_state % end_of_range;
}

static const struct bk_lease *
plain_first(void)
{
    const struct bk_lease *first = NULL;
    for (uint32_t i = 0; i < plain_count; i++) {
        const struct bk_lease *l = &plain[i];
        if (first == NULL || l->deadline_ns < first->deadline_ns ||
            (l->deadline_ns == first->deadline_ns && l->id < first->id))
            first = l;
    }
    return first;
}

static uint32_t
plain_of(uint32_t pid)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plain_count; i++)
        count += plain[i].holder_pid == pid;
    return count;
}

static void
change_both(uint64_t next_id)
{
    uint32_t what = draw(10);
    if (what < 5 || plain_count == 0) {
        struct bk_lease l = {.id = next_id,
                             .deadline_ns = draw(50),
                             .holder_pid = draw(6),
                             .kind = BK_LEASE_PERMIT};
        uint32_t slot = bk_leases_add(&table, &heap, &l);
        assert_int_equal(slot == BK_NO_SLOT, plain_count == CAPACITY);
        if (slot != BK_NO_SLOT)
            plain[plain_count++] = l;
        return;
    }
    uint32_t i = draw(plain_count);
    uint32_t slot = bk_leases_find(&table, plain[i].id);
    assert_memory_equal(bk_leases_at(&table, slot), &plain[i],
                        sizeof(plain[i]));
    if (what < 7) {
        plain[i].deadline_ns = draw(50);
        bk_leases_renew(&table, &heap, slot, plain[i].deadline_ns);
    } else {
        bk_leases_remove(&table, &heap, slot);
        assert_int_equal(bk_leases_find(&table, plain[i].id), BK_NO_SLOT);
        plain[i] = plain[--plain_count];
    }
}

static void
it_agrees_with_a_plain_array(void **state)
{
    (void)state;
    begin(CAPACITY);
    plain_count = 0;
    for (uint64_t step = 1; step <= STEPS; step++) {
        change_both(step);
        const struct bk_lease *first = plain_first();
        assert_int_equal(heap.count, plain_count);
        assert_int_equal(table.used, plain_count);
        assert_int_equal(first_id(), first != NULL ? first->id : 0);
        uint32_t pid = draw(5) + 1;
        assert_int_equal(bk_leases_of(&table, pid) != BK_NO_SLOT,
                         plain_of(pid) > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_has_nothing),
        cmocka_unit_test(a_full_table_refuses),
        cmocka_unit_test(the_first_to_end_comes_first),
        cmocka_unit_test(leases_of_a_process_are_found),
        cmocka_unit_test(changed_slots_come_once),
        cmocka_unit_test(adopted_leases_keep_their_slots),
        cmocka_unit_test(it_agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
