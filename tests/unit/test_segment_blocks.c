/* SPDX-License-Identifier: Apache-2.0
 *
 * What is seldom said of a service: blocks that come when there is something to say,
 * go with the service, and are found again by the next writer. */
#include "core/segment_blocks.h"
#include "fleets.h"
#include "maps.h"
#include "unit.h"

static uint32_t
slot_of(const char *name)
{
    return bk_segment_find(&segment, name, strlen(name));
}

static uint32_t
blocks_of(const char *name)
{
    struct bk_chain c;
    uint32_t count = 0;

    bk_chain_begin(&c, &segment, slot_of(name));
    while (bk_chain_next(&c))
        count++;
    return count;
}

static void
trip(const char *name, const char *reason, int64_t now_ns)
{
    struct bk_order trip = {.name = name,
                            .name_len = strlen(name),
                            .mode = BK_FORCED_OPEN,
                            .duration_ns = BK_NEVER,
                            .reason = reason,
                            .reason_len = strlen(reason),
                            .actor = "0:0:7"};
    uint32_t slot;
    bool was_override;

    assert_int_equal(bk_fleet_order(fleet, now_ns, &trip, &slot, &was_override),
                     BK_OK);
}

static void
expect_reason(const char *name, const char *reason)
{
    struct bk_record record;

    assert_true(bk_segment_read(&segment, slot_of(name), &record));
    assert_string_equal(record.breaker.override.reason, reason);
}

static void
expect_same(const char *name)
{
    struct bk_stats stats;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_record record;

    bk_segment_read_stats(&segment, slot_of(name), &stats);
    bk_segment_read_evidence(&segment, slot_of(name), evidence);
    assert_memory_equal(&stats, service(name)->stats, sizeof(stats));
    assert_memory_equal(evidence, service(name)->evidence, sizeof(evidence));
    assert_true(bk_segment_read(&segment, slot_of(name), &record));
    assert_memory_equal(&record.breaker, &service(name)->breaker,
                        sizeof(record.breaker));
}

/* All that can be said of a service. */
static void
say_everything(const char *name)
{
    uint32_t slot = bk_fleet_find(fleet, name, strlen(name));

    for (int i = 0; i < BK_EVIDENCE_COUNT; i++)
        report(name, BK_FAILURE, i);
    trip(name, "first", 10);
    publish();
    trip(name, "second", 11);
    publish();
    struct bk_stats *stats = service(name)->stats;
    for (size_t i = 0; i < BK_STAT_WORDS; i++)
        bk_stats_set(stats, i, i + 1);
    bk_fleet_touch(fleet, slot);
    publish();
}

static void
a_block_comes_when_there_is_something_to_say(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "failure_threshold=0");
    map();
    acquire("llm", 0);
    publish();
    assert_int_equal(blocks_of("llm"), 0);
    bk_fleet_tally(fleet, 1, "llm", 3, false, 7, BK_DENY_OPEN);
    publish();
    assert_int_equal(blocks_of("llm"), 1);
    report("llm", BK_FAILURE, 2);
    publish();
    assert_int_equal(blocks_of("llm"), 1 + BK_EVIDENCE_PARTS);
    expect_same("llm");
    /* No more than it can need, all said. */
    say_everything("llm");
    expect_same("llm");
    assert_int_equal(blocks_of("llm"), BK_BLOCKS_MOST);
    say_everything("llm");
    assert_int_equal(blocks_of("llm"), BK_BLOCKS_MOST);
}

static void
blocks_go_with_their_service(void **state)
{
    (void)state;
    begin_fleet(2, 4, 4, 0);
    map();
    for (int i = 0; i < 20; i++) {
        acquire("llm", i);
        acquire("bot", i);
        say_everything("llm");
        say_everything("bot");
        expect_same("llm");
        expect_same("bot");
        uint32_t slot = slot_of("llm");
        bk_fleet_forget(fleet, "llm", 3);
        publish();
        assert_true(atomic_load(&segment.chains[slot]) == 0);
        expect_same("bot");
        bk_fleet_forget(fleet, "bot", 3);
        publish();
    }
    assert_true(segment.block_used <= 2 * BK_BLOCKS_MOST);
}

/* A slot that changes hands between two publications. */
static void
another_name_inherits_nothing(void **state)
{
    struct bk_stats stats;
    (void)state;
    begin_fleet(1, 4, 4, 0);
    map();
    acquire("llm", 0);
    say_everything("llm");
    bk_fleet_forget(fleet, "llm", 3);
    acquire("bot", 1);
    publish();
    expect_same("bot");
    expect_reason("bot", "");
    bk_segment_read_stats(&segment, slot_of("bot"), &stats);
    for (size_t i = 0; i < BK_STAT_WORDS; i++)
        assert_int_equal(bk_stats_word(&stats, i), 0);
}

/* A writer killed before the record names them leaves the words of before. */
static void
words_in_force_are_not_written_over(void **state)
{
    struct bk_record record;
    (void)state;
    begin_fleet(2, 4, 4, 0);
    map();
    trip("llm", "first", 0);
    publish();
    expect_reason("llm", "first");
    uint32_t slot = slot_of("llm");
    assert_true(bk_segment_read(&segment, slot, &record));
    uint32_t shown = record.words;
    strcpy(record.breaker.override.reason, "second");
    uint32_t place = bk_blocks_put_words(&segment, slot, shown, &record);
    assert_int_not_equal(place, shown);
    expect_reason("llm", "first");
    /* The same words stay where they are. */
    strcpy(record.breaker.override.reason, "first");
    assert_int_equal(bk_blocks_put_words(&segment, slot, shown, &record),
                     shown);
    trip("llm", "third", 1);
    publish();
    expect_reason("llm", "third");
    trip("llm", "fourth", 2);
    publish();
    expect_reason("llm", "fourth");
}

static void
without_room_the_rest_is_said(void **state)
{
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_stats stats;
    struct bk_record record;
    (void)state;
    begin_fleet(2, 4, 4, 0);
    map();
    bk_segment_set_blocks(&segment, 1);
    assert_int_equal(bk_segment_room(&segment), 1);
    trip("llm", "maintenance", 0);
    acquire("llm", 1);
    uint32_t slot = bk_fleet_next_dirty(fleet);
    assert_false(bk_segment_put_service(&segment, fleet, slot));
    assert_int_equal(bk_segment_room(&segment), 0);
    /* Its counts were there first; the words of the operator had no room. */
    bk_segment_read_stats(&segment, slot, &stats);
    assert_memory_equal(&stats, service("llm")->stats, sizeof(stats));
    assert_true(bk_segment_read(&segment, slot, &record));
    assert_int_equal(record.breaker.mode, BK_FORCED_OPEN);
    expect_reason("llm", "");
    assert_false(bk_segment_read_evidence(&segment, 1, evidence));
    /* What has no memory is never looked at. */
    bk_segment_set_blocks(&segment, 0);
    bk_segment_read_stats(&segment, slot, &stats);
    assert_int_equal(stats.rejected[BK_DENY_FORCED_OPEN], 0);
    bk_segment_set_blocks(&segment, segment.block_count);
    bk_fleet_touch(fleet, slot);
    publish();
    expect_same("llm");
    expect_reason("llm", "maintenance");
}

/* ---- after another writer ---- */

static void
sweep(void)
{
    uint64_t met[8] = {0};

    assert_true(segment.block_count <= 8 * 64);
    bk_segment_sweep(&segment, met);
}

static void
the_next_writer_finds_what_is_in_use(void **state)
{
    (void)state;
    begin_fleet(3, 4, 4, 0);
    map();
    acquire("llm", 0);
    acquire("bot", 0);
    acquire("gpt", 0);
    say_everything("llm");
    say_everything("bot");
    say_everything("gpt");
    /* Killed when the chain was gone and none of its blocks was given back. */
    uint32_t slot = slot_of("bot");
    bk_fleet_forget(fleet, "bot", 3);
    atomic_store(&segment.chains[slot], 0);
    assert_null(bk_segment_attach(&segment, memory, bytes));
    sweep();
    publish();
    expect_same("llm");
    expect_same("gpt");
    acquire("bot", 20);
    say_everything("bot");
    expect_same("llm");
    expect_same("bot");
    expect_same("gpt");
    assert_true(segment.block_used <= 3 * BK_BLOCKS_MOST);
}

/* Whatever stands in a chain, all end, and what is put afterwards reads back. */
static void
damaged_chains_are_cut(void **state)
{
    (void)state;
    for (size_t bad = 0; bad < 6; bad++) {
        begin_fleet(2, 4, 4, 0);
        map();
        acquire("llm", 0);
        acquire("bot", 0);
        say_everything("llm");
        say_everything("bot");
        uint32_t llm = slot_of("llm");
        uint32_t bot = slot_of("bot");
        uint64_t head = atomic_load(&segment.chains[llm]);
        _Atomic uint64_t *first =
            segment.blocks + (size_t)(head - 1) * BK_BLOCK_WORDS;
        uint64_t word = atomic_load(first);
        uint64_t next = UINT64_C(0x3fffffff);
        const uint64_t links[] = {
            (word & ~next) | head,        /* leads to itself */
            word | next,                  /* out of bounds */
            word ^ UINT64_C(3) << 30,     /* somebody else's */
            word | UINT64_C(0x1ff) << 55, /* holds what is not known */
            0,
        };
        if (bad < COUNT_OF(links))
            atomic_store(first, links[bad]);
        else
            atomic_store(&segment.chains[llm],
                         atomic_load(&segment.chains[bot]));
        assert_true(blocks_of("llm") <= BK_CHAIN_MOST);
        assert_null(bk_segment_attach(&segment, memory, bytes));
        sweep();
        expect_same("bot");
        bk_fleet_touch(fleet, llm);
        publish();
        expect_same("llm");
        expect_same("bot");
        assert_true(blocks_of("llm") <= BK_BLOCKS_MOST);
        end_map(state);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_when_there_is_something_to_say),
        cmocka_unit_test(blocks_go_with_their_service),
        cmocka_unit_test(another_name_inherits_nothing),
        cmocka_unit_test(words_in_force_are_not_written_over),
        cmocka_unit_test(without_room_the_rest_is_said),
        cmocka_unit_test(the_next_writer_finds_what_is_in_use),
        cmocka_unit_test(damaged_chains_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, end_map);
}
