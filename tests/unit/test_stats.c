/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted for metrics: of a service, by a fleet, in shared memory. */
#include "core/segment_blocks.h"
#include "fleets.h"
#include "maps.h"
#include "unit.h"

static const struct bk_stats *
stats(void)
{
    return service("llm")->stats;
}

static uint64_t
transitions(enum bk_state from, enum bk_state to)
{
    return stats()->transitions[from * BK_STATE_COUNT + to];
}

static void
denials_are_counted_by_reason(void **state)
{
    struct bk_route route = {.name = "any", .count = 2};
    (void)state;
    begin_fleet(4, 4, 4, 1);
    configure("llm", "failure_threshold=1");
    report("llm", BK_FAILURE, 0);
    acquire("llm", 1);
    expect_denied(BK_DENY_OPEN, 60000);
    acquire("llm", SECONDS(60));
    acquire("llm", SECONDS(60));
    expect_denied(BK_DENY_HALF_OPEN, 1000);
    assert_int_equal(stats()->rejected[BK_DENY_OPEN], 1);
    assert_int_equal(stats()->rejected[BK_DENY_HALF_OPEN], 1);
    /* A route that admits has denied nothing; one that denies, on each. */
    strcpy(route.members[0], "llm");
    strcpy(route.members[1], "bot");
    assert_true(bk_fleet_set_routes(fleet, &route, 1));
    acquire("any", SECONDS(61));
    assert_int_equal(stats()->rejected[BK_DENY_HALF_OPEN], 1);
    assert_int_equal(order("bot", BK_FORCED_OPEN, SECONDS(62)), BK_OK);
    acquire("any", SECONDS(63));
    assert_int_equal(stats()->rejected[BK_DENY_HALF_OPEN], 2);
    assert_int_equal(service("bot")->stats->rejected[BK_DENY_FORCED_OPEN], 1);
    assert_int_equal(service("bot")->breaker.counters.denied, 1);
}

static void
tallies_bring_their_reason(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    acquire("llm", 0);
    bk_fleet_tally(fleet, 0, "llm", 3, false, 7, BK_DENY_RATE_LIMITED);
    bk_fleet_tally(fleet, 0, "llm", 3, false, 2, BK_DENY_NONE);
    bk_fleet_tally(fleet, 0, "llm", 3, false, 1, BK_DENY_MAX_ATTEMPTS);
    bk_fleet_tally(fleet, 0, "llm", 3, true, 5, BK_DENY_OPEN);
    assert_int_equal(stats()->rejected[BK_DENY_RATE_LIMITED], 7);
    assert_int_equal(stats()->rejected[BK_DENY_NONE], 3);
    assert_int_equal(stats()->rejected[BK_DENY_OPEN], 0);
    bk_fleet_tally(fleet, 0, "llm", 3, false, BK_NUMBER_END - 1,
                   BK_DENY_RATE_LIMITED);
    assert_true(stats()->rejected[BK_DENY_RATE_LIMITED] == BK_NUMBER_END - 1);
}

static void
observe_counts_what_it_lets_through(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "failure_threshold=1 mode=observe");
    report("llm", BK_FAILURE, 0);
    acquire("llm", 1);
    expect_allowed(false);
    assert_int_equal(stats()->would_reject[BK_DENY_OPEN], 1);
    assert_int_equal(stats()->rejected[BK_DENY_OPEN], 0);
    assert_int_equal(service("llm")->breaker.counters.would_deny, 1);
}

static void
retries_are_counted_by_what_failed(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "jitter=none base_delay=250ms retry_min_per_sec=1");
    retry("llm", 1, BK_FAILURE, 0, 0);
    retry("llm", 2, BK_FAILURE, 0, 0);
    retry("llm", 1, BK_RATE_LIMITED, SECONDS(3), 0);
    retry("llm", 1, BK_REJECTED, 0, 0);
    assert_int_equal(stats()->retry_granted[BK_FAILURE], 2);
    assert_int_equal(stats()->retry_delay_us[BK_FAILURE], 750000);
    assert_int_equal(stats()->retry_granted[BK_RATE_LIMITED], 1);
    assert_int_equal(stats()->retry_delay_us[BK_RATE_LIMITED], 3000000);
    assert_int_equal(stats()->retry_denied[BK_DENY_NOT_RETRYABLE], 1);
}

static void
changes_and_the_time_open_are_counted(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "failure_threshold=1 recovery_timeout=5s "
                     "success_threshold=1");
    report("llm", BK_FAILURE, SECONDS(1));
    const struct bk_breaker *b = &service("llm")->breaker;
    assert_true(bk_breaker_open_time(b, SECONDS(1)) == 0);
    assert_true(bk_breaker_open_time(b, SECONDS(3)) == SECONDS(2));
    assert_int_equal(order("llm", BK_FORCED_OPEN, SECONDS(4)), BK_OK);
    assert_true(bk_breaker_open_time(b, SECONDS(4)) == SECONDS(3));
    assert_int_equal(order("llm", BK_AUTO, SECONDS(9)), BK_OK);
    assert_true(bk_breaker_open_time(b, SECONDS(99)) == SECONDS(8));
    acquire("llm", SECONDS(9));
    report_permit("llm", got.permit, got.generation, BK_SUCCESS, SECONDS(9));
    assert_int_equal(transitions(BK_CLOSED, BK_OPEN), 1);
    assert_int_equal(transitions(BK_OPEN, BK_OPEN), 1);
    assert_int_equal(transitions(BK_OPEN, BK_HALF_OPEN), 1);
    assert_int_equal(transitions(BK_HALF_OPEN, BK_CLOSED), 1);
    /* A change that a damaged record puts into the future adds nothing. */
    struct bk_breaker odd = {.state = BK_OPEN, .changed_ns = 9, .open_ns = 4};
    assert_true(bk_breaker_open_time(&odd, 3) == 4);
}

static void
a_duration_falls_into_one_bucket(void **state)
{
    (void)state;
    assert_int_equal(bk_duration_bucket(0), 0);
    assert_int_equal(bk_duration_bucket(MS(5)), 0);
    assert_int_equal(bk_duration_bucket(MS(5) + 1), 1);
    assert_int_equal(bk_duration_bucket(SECONDS(60)), BK_DURATION_BUCKETS - 2);
    assert_int_equal(bk_duration_bucket(SECONDS(60) + 1),
                     BK_DURATION_BUCKETS - 1);
    assert_int_equal(bk_duration_bucket(INT64_MAX), BK_DURATION_BUCKETS - 1);
    /* The service's are those of reports that say how long it took. */
    begin_fleet(4, 4, 4, 0);
    struct bk_report r = {.name = "llm",
                          .name_len = 3,
                          .is_current = true,
                          .outcome = BK_TIMEOUT,
                          .latency_ns = MS(30),
                          .attempt = 1};
    enum bk_applied applied;
    bk_fleet_report(fleet, 0, &r, &applied);
    r.outcome = BK_CANCELLED;
    bk_fleet_report(fleet, 0, &r, &applied);
    r.latency_ns = -1;
    r.outcome = BK_TIMEOUT;
    bk_fleet_report(fleet, 0, &r, &applied);
    /* What comes too late raises `stale` alone. */
    r.latency_ns = MS(30);
    r.is_current = false;
    order("llm", BK_OBSERVE, 0);
    bk_fleet_report(fleet, 0, &r, &applied);
    assert_int_equal(applied, BK_STALE);
    assert_int_equal(stats()->duration[2], 1);
    assert_int_equal(stats()->duration_us[BK_TIMEOUT], 30000);
}

static void
a_new_life_begins_at_zero(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    order("llm", BK_FORCED_OPEN, 0);
    acquire("llm", 0);
    assert_int_equal(stats()->rejected[BK_DENY_FORCED_OPEN], 1);
    assert_int_equal(bk_fleet_forget(fleet, "llm", 3), BK_OK);
    acquire("llm", SECONDS(1));
    assert_int_equal(stats()->rejected[BK_DENY_FORCED_OPEN], 0);
    assert_int_equal(transitions(BK_CLOSED, BK_OPEN), 0);
}

static void
counts_survive_a_loss(void **state)
{
    struct bk_saved saved;
    (void)state;
    begin_fleet(4, 4, 4, 0);
    order("llm", BK_FORCED_OPEN, 0);
    acquire("llm", 0);
    bk_fleet_save(fleet, bk_fleet_find(fleet, "llm", 3), SECONDS(7), &saved);
    begin_fleet(4, 4, 4, 0);
    assert_int_equal(bk_fleet_restore(fleet, SECONDS(100), &saved), BK_OK);
    assert_int_equal(stats()->rejected[BK_DENY_FORCED_OPEN], 1);
    assert_true(bk_breaker_open_time(&service("llm")->breaker, SECONDS(101)) ==
                SECONDS(8));
}

static void
words_of_shared_memory_stand_alone(void **state)
{
    struct bk_stats read;
    struct bk_totals totals = {.messages = 12, .store_degraded = 1};
    struct bk_totals same;
    (void)state;
    begin_fleet(2, 2, 2, 0);
    map();
    order("llm", BK_FORCED_OPEN, 0);
    acquire("llm", 0);
    publish();
    uint32_t slot = bk_segment_find(&segment, "llm", 3);
    bk_segment_read_stats(&segment, slot, &read);
    assert_memory_equal(&read, stats(), sizeof(read));
    /* One damaged word costs that word. */
    struct bk_chain chain;
    _Atomic uint64_t *cell = NULL;
    bk_chain_begin(&chain, &segment, slot);
    while (bk_chain_next(&chain))
        for (size_t i = 0; i < BK_BLOCK_ROOM; i++)
            if (chain.words[i] == bk_cell_pack(BK_DENY_FORCED_OPEN, 1))
                cell =
                    segment.blocks + (size_t)chain.at * BK_BLOCK_WORDS + 1 + i;
    assert_non_null(cell);
    atomic_store(cell, bk_cell_pack(BK_STAT_WORDS, 7));
    bk_segment_read_stats(&segment, slot, &read);
    assert_int_equal(read.rejected[BK_DENY_FORCED_OPEN], 0);
    read.rejected[BK_DENY_FORCED_OPEN] = 1;
    assert_memory_equal(&read, stats(), sizeof(read));
    atomic_store(cell, bk_cell_pack(BK_DENY_OPEN, BK_NUMBER_END - 1));
    bk_segment_read_stats(&segment, slot, &read);
    assert_true(read.rejected[BK_DENY_OPEN] == BK_NUMBER_END - 1);
    bk_segment_read_stats(&segment, 2, &read);
    assert_int_equal(read.rejected[BK_DENY_FORCED_OPEN], 0);
    /* A service that is gone takes its counts with it. */
    bk_fleet_forget(fleet, "llm", 3);
    publish();
    bk_segment_read_stats(&segment, slot, &read);
    for (size_t i = 0; i < BK_STAT_WORDS; i++)
        assert_int_equal(bk_stats_word(&read, i), 0);
    bk_segment_put_totals(&segment, &totals);
    bk_segment_read_totals(&segment, &same);
    assert_memory_equal(&totals, &same, sizeof(same));
    atomic_store(&segment.header->totals[0], UINT64_MAX);
    bk_segment_read_totals(&segment, &same);
    assert_int_equal(same.connections, 0);
}

/* What tools and the database make of the rows. */
static void
rows_cover_every_word(void **state)
{
    size_t next = 0;
    (void)state;
    for (size_t i = 0; i < BK_STAT_ROWS; i++) {
        assert_int_equal(bk_stat_rows[i].first, next);
        next += bk_stat_rows[i].words;
    }
    assert_int_equal(next, BK_STAT_WORDS);
    for (size_t i = 1; i < BK_DURATION_BUCKETS - 1; i++)
        assert_true(bk_duration_ends_ms[i] > bk_duration_ends_ms[i - 1]);
}

/* The name of a word, and none is cut. */
static const char *
key_of(size_t word)
{
    static char key[BK_STAT_KEY_SIZE];
    struct bk_text text;
    bk_text_init(&text, key, sizeof(key));
    bk_stat_key(word, &text);
    assert_false(text.is_cut);
    return key;
}

static void
every_word_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < BK_STAT_WORDS; i++) {
        char key[BK_STAT_KEY_SIZE];
        bk_copy_text(key, sizeof key, key_of(i), strlen(key_of(i)));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(key_of(k), key);
    }
    assert_string_equal(key_of(BK_DENY_OPEN), "rejected.open");
    assert_string_equal(key_of(offsetof(struct bk_stats, transitions) / 8 + 6),
                        "transitions.half_open.closed");
    assert_string_equal(key_of(offsetof(struct bk_stats, duration) / 8 + 11),
                        "duration.60000");
    assert_string_equal(key_of(offsetof(struct bk_stats, duration) / 8 + 12),
                        "duration.longer");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denials_are_counted_by_reason),
        cmocka_unit_test(tallies_bring_their_reason),
        cmocka_unit_test(observe_counts_what_it_lets_through),
        cmocka_unit_test(retries_are_counted_by_what_failed),
        cmocka_unit_test(changes_and_the_time_open_are_counted),
        cmocka_unit_test(a_duration_falls_into_one_bucket),
        cmocka_unit_test(a_new_life_begins_at_zero),
        cmocka_unit_test(counts_survive_a_loss),
        cmocka_unit_test(words_of_shared_memory_stand_alone),
        cmocka_unit_test(rows_cover_every_word),
        cmocka_unit_test(every_word_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, end_map);
}
