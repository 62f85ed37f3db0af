/* SPDX-License-Identifier: Apache-2.0
 *
 * What survives: saving and restoring, adopting what a segment held. */
#include "fleets.h"
#include "policies.h"
#include "unit.h"

static struct bk_saved
save(const char *name, int64_t now_ns)
{
    struct bk_saved saved;
    memset(&saved, 0xa5, sizeof(saved));
    bk_fleet_save(fleet, bk_fleet_find(fleet, name, strlen(name)), now_ns,
                  &saved);
    return saved;
}

static const struct bk_breaker *
restore(const struct bk_saved *saved, int64_t now_ns)
{
    assert_int_equal(bk_fleet_restore(fleet, now_ns, saved), BK_OK);
    return &service(saved->name)->breaker;
}

static void
open_one(const char *settings)
{
    begin_fleet(4, 8, 4, 1);
    configure("llm", settings);
    while (bk_fleet_find(fleet, "llm", 3) == BK_NO_SLOT ||
           service("llm")->breaker.state != BK_OPEN)
        report("llm", BK_FAILURE, 0);
}

static void
an_open_service_keeps_what_remains(void **state)
{
    (void)state;
    open_one("failure_threshold=1 recovery_timeout=60s");
    struct bk_saved saved = save("llm", SECONDS(10));
    assert_true(saved.open_left_ns == SECONDS(50));
    assert_true(saved.hold_left_ns == 0);
    begin_fleet(4, 8, 4, 1);
    const struct bk_breaker *b = restore(&saved, SECONDS(1000));
    assert_int_equal(b->state, BK_OPEN);
    assert_int_equal(b->cause, BK_CAUSE_CONSECUTIVE_FAILURES);
    assert_true(b->open_until_ns == SECONDS(1050));
    assert_int_equal(b->generation, 1 + BK_GENERATION_LEAP);
    assert_int_equal(b->counters.failure, 1);
    assert_int_equal(b->consecutive_failures, 0);
    assert_false(service("llm")->is_configured);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(1050));
    /* Twice is once too often, a route's name is no service's. */
    assert_int_equal(bk_fleet_restore(fleet, 0, &saved), BK_ERR_BAD_SERVICE);
    strcpy(saved.name, "*");
    assert_int_equal(bk_fleet_restore(fleet, 0, &saved), BK_ERR_BAD_SERVICE);
    struct bk_route route = {.name = "any"};
    assert_true(bk_fleet_set_routes(fleet, &route, 1));
    strcpy(saved.name, "any");
    assert_int_equal(bk_fleet_restore(fleet, 0, &saved), BK_ERR_BAD_SERVICE);
}

static void
an_overdue_service_is_due_at_once(void **state)
{
    (void)state;
    open_one("failure_threshold=1 recovery_timeout=60s");
    struct bk_saved saved = save("llm", SECONDS(70));
    assert_true(saved.open_left_ns == 0);
    begin_fleet(4, 8, 4, 0);
    restore(&saved, SECONDS(5));
    acquire("llm", SECONDS(5));
    expect_allowed(true);
}

static void
remaining_times_are_kept_within_reason(void **state)
{
    (void)state;
    open_one("failure_threshold=1");
    struct bk_saved saved = save("llm", 0);
    saved.open_left_ns = SECONDS(99999);
    saved.hold_left_ns = SECONDS(88888);
    begin_fleet(4, 8, 4, 0);
    /* What was promised holds, whatever the configuration says today. */
    configure("llm", "max_recovery_timeout=20s max_hold=30s");
    const struct bk_breaker *b = restore(&saved, SECONDS(1));
    assert_true(b->open_until_ns == SECONDS(100000));
    assert_true(b->hold.until_ns == SECONDS(88889));
    assert_true(service("llm")->is_configured);
    saved.open_left_ns = BK_NEVER;
    saved.hold_left_ns = BK_NEVER;
    begin_fleet(4, 8, 4, 0);
    b = restore(&saved, SECONDS(1));
    assert_true(b->open_until_ns == SECONDS(1) + BK_DURATION_MAX_NS);
    assert_true(b->hold.until_ns == SECONDS(1) + BK_DURATION_MAX_NS);
}

static void
half_open_comes_back_open_and_due(void **state)
{
    (void)state;
    open_one("failure_threshold=1");
    acquire("llm", SECONDS(60));
    report_permit("llm", got.permit, got.generation, BK_FAILURE, SECONDS(60));
    acquire("llm", SECONDS(120));
    struct bk_saved saved = save("llm", SECONDS(120));
    assert_int_equal(saved.state, BK_HALF_OPEN);
    begin_fleet(4, 8, 4, 0);
    const struct bk_breaker *b = restore(&saved, SECONDS(7));
    assert_int_equal(b->state, BK_OPEN);
    assert_int_equal(b->cause, BK_CAUSE_RESTORED);
    assert_int_equal(b->failed_rounds, 1);
    assert_true(b->open_until_ns == SECONDS(7));
    acquire("llm", SECONDS(7));
    expect_allowed(true);
}

static void
overrides_come_back_with_their_end(void **state)
{
    struct bk_order o = {.name = "llm",
                         .name_len = 3,
                         .mode = BK_FORCED_OPEN,
                         .duration_ns = SECONDS(100),
                         .actor = "1:2:3"};
    uint32_t slot;
    bool was_override;
    (void)state;
    begin_fleet(4, 8, 4, 0);
    assert_int_equal(bk_fleet_order(fleet, 0, &o, &slot, &was_override), BK_OK);
    struct bk_saved saved = save("llm", SECONDS(40));
    begin_fleet(4, 8, 4, 0);
    const struct bk_breaker *b = restore(&saved, SECONDS(500));
    assert_int_equal(b->mode, BK_FORCED_OPEN);
    assert_int_equal(b->state, BK_OPEN);
    assert_true(b->override.expires_ns == SECONDS(560));
    assert_string_equal(b->override.actor, "1:2:3");
    saved = save("llm", SECONDS(999));
    assert_true(saved.override.expires_ns == 0);

    begin_fleet(4, 8, 4, 0);
    assert_int_equal(order("llm", BK_BYPASS, 0), BK_OK);
    saved = save("llm", SECONDS(40));
    begin_fleet(4, 8, 4, 0);
    b = restore(&saved, SECONDS(500));
    assert_int_equal(b->mode, BK_BYPASS);
    assert_int_equal(b->state, BK_CLOSED);
    assert_true(b->override.expires_ns == BK_NEVER);
    assert_true(bk_fleet_deadline(fleet) == BK_NEVER);
}

static void
a_full_fleet_restores_no_more(void **state)
{
    (void)state;
    open_one("failure_threshold=1");
    struct bk_saved saved = save("llm", 0);
    begin_fleet(1, 8, 4, 0);
    acquire("other", 0);
    assert_int_equal(bk_fleet_restore(fleet, 0, &saved), BK_ERR_TABLE_FULL);
}

/* ---- adopting ---- */

static struct bk_evidence no_evidence[BK_EVIDENCE_COUNT];

static enum bk_error
adopt_with(uint32_t slot, const char *name, const struct bk_breaker *b,
           const struct bk_policy *policy, const struct bk_evidence *evidence)
{
    const struct bk_kept kept = {.name = name,
                                 .slot = slot,
                                 .incarnation = 7,
                                 .breaker = b,
                                 .policy = policy,
                                 .evidence = evidence};
    return bk_fleet_adopt(fleet, SECONDS(1), &kept);
}

static enum bk_error
adopt(uint32_t slot, const char *name, const struct bk_breaker *b)
{
    struct bk_policy policy = policy_with("");
    return adopt_with(slot, name, b, &policy, no_evidence);
}

static void
a_service_is_adopted_as_it_was(void **state)
{
    struct bk_breaker b;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT] = {
        {.at_ns = 5, .outcome = BK_FAILURE, .text = "a"},
        {.at_ns = 9, .outcome = BK_TIMEOUT, .text = "b"}};
    struct bk_policy policy = policy_with("");
    (void)state;
    open_one("failure_threshold=1");
    b = service("llm")->breaker;
    b.permits_out = 9;
    begin_fleet(4, 8, 4, 0);
    assert_int_equal(adopt_with(2, "llm", &b, &policy, evidence), BK_OK);
    assert_int_equal(bk_fleet_find(fleet, "llm", 3), 2);
    assert_int_equal(service("llm")->incarnation, 7);
    assert_int_equal(service("llm")->breaker.generation, b.generation);
    assert_true(service("llm")->breaker.open_until_ns == b.open_until_ns);
    assert_int_equal(service("llm")->breaker.permits_out, 0);
    assert_string_equal(service("llm")->evidence[1].text, "b");
    assert_int_equal(service("llm")->evidence_next, 2);
    assert_true(bk_fleet_deadline(fleet) == b.open_until_ns);
    /* Whoever left it may have died before the name was in the index. */
    assert_true(bk_fleet_next_dirty_name(fleet, 2));
    assert_false(bk_fleet_next_dirty_name(fleet, 2));
}

/* Whoever had the slot before leaves no counts behind. */
static void
an_adopted_service_without_counts_has_none(void **state)
{
    struct bk_breaker b;
    struct bk_policy policy = policy_with("");
    static const struct bk_stats none;
    (void)state;
    begin_fleet(1, 8, 4, 0);
    report("old", BK_FAILURE, SECONDS(1));
    uint32_t slot = bk_fleet_find(fleet, "old", 3);
    assert_true(service("old")->stats->duration[0] > 0);
    assert_int_equal(bk_fleet_forget(fleet, "old", 3), BK_OK);
    bk_breaker_init(&b, &policy, 0, 0);
    assert_int_equal(adopt(slot, "new", &b), BK_OK);
    assert_memory_equal(service("new")->stats, &none, sizeof(none));
}

/* Where the next outcome that counts is kept after an adoption. */
static int
place_of_next(const struct bk_evidence *evidence)
{
    struct bk_breaker b;
    struct bk_policy policy = policy_with("");
    begin_fleet(1, 1, 1, 0);
    bk_breaker_init(&b, &policy, 0, 0);
    assert_int_equal(adopt_with(0, "llm", &b, &policy, evidence), BK_OK);
    report("llm", BK_FAILURE, SECONDS(2));
    for (int i = 0; i < BK_EVIDENCE_COUNT; i++)
        if (service("llm")->evidence[i].at_ns == SECONDS(2))
            return i;
    return -1;
}

static void
a_full_ring_goes_on_after_its_newest(void **state)
{
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    (void)state;
    for (int newest = 0; newest < BK_EVIDENCE_COUNT; newest++) {
        for (int age = 0; age < BK_EVIDENCE_COUNT; age++) {
            int at = (newest - age + BK_EVIDENCE_COUNT) % BK_EVIDENCE_COUNT;
            evidence[at] =
                (struct bk_evidence){.at_ns = 100 - age, .outcome = BK_FAILURE};
        }
        assert_int_equal(place_of_next(evidence),
                         (newest + 1) % BK_EVIDENCE_COUNT);
    }
    assert_int_equal(place_of_next(no_evidence), 0);
}

static void
what_is_not_sound_is_not_adopted(void **state)
{
    struct bk_breaker b;
    struct bk_policy policy = policy_with("");
    (void)state;
    begin_fleet(4, 8, 1, 0);
    bk_breaker_init(&b, &policy, 0, 0);
    assert_int_equal(adopt(4, "llm", &b), BK_ERR_BAD_SERVICE);
    assert_int_equal(adopt(0, "*", &b), BK_ERR_BAD_SERVICE);
    struct bk_breaker bad = b;
    bad.state = BK_STATE_COUNT;
    assert_int_equal(adopt(0, "llm", &bad), BK_ERR_BAD_SERVICE);
    assert_int_equal(adopt(0, "llm", &b), BK_OK);
    assert_int_equal(adopt(0, "bot", &b), BK_ERR_BAD_SERVICE);
    assert_int_equal(adopt(1, "llm", &b), BK_ERR_BAD_SERVICE);
    policy = policy_with("failure_threshold=1");
    assert_int_equal(adopt_with(1, "bot", &b, &policy, no_evidence),
                     BK_ERR_TABLE_FULL);
}

static void
a_window_of_another_size_is_not_adopted(void **state)
{
    struct bk_breaker b;
    struct bk_policy policy = policy_with("window=100calls");
    (void)state;
    begin_fleet(4, 8, 4, 0);
    bk_breaker_init(&b, &policy, 0, 0);
    for (int i = 0; i < 5; i++)
        bk_window_add(&b.window, &policy, 0, true, false);
    policy.window_calls = 6;
    assert_int_equal(adopt_with(0, "six", &b, &policy, no_evidence), BK_OK);
    assert_int_equal(service("six")->breaker.window.sums.calls, 5);
    policy.window_calls = 5;
    assert_int_equal(adopt_with(1, "five", &b, &policy, no_evidence), BK_OK);
    assert_int_equal(service("five")->breaker.window.sums.calls, 0);
}

static void
leases_are_adopted_where_they_fit(void **state)
{
    struct bk_breaker b;
    struct bk_policy policy = policy_with("");
    (void)state;
    begin_fleet(4, 8, 4, 0);
    bk_breaker_init(&b, &policy, 0, 3);
    b.state = BK_HALF_OPEN;
    assert_int_equal(adopt(1, "llm", &b), BK_OK);
    bk_fleet_set_next_id(fleet, 50);
    assert_int_equal(bk_fleet_next_id(fleet), 50);
    struct bk_lease good = {.id = 10,
                            .generation = 3,
                            .deadline_ns = SECONDS(9),
                            .service = 1,
                            .holder_pid = 5,
                            .kind = BK_LEASE_PERMIT};
    struct bk_lease l = good;
    l.kind = BK_LEASE_FREE;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l.kind = 99;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l = good;
    l.id = 0;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l.id = 50;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l = good;
    l.service = 4;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l.service = 2;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    l = good;
    l.generation = 2;
    assert_false(bk_fleet_adopt_lease(fleet, 0, &l));
    assert_true(bk_fleet_adopt_lease(fleet, 2, &good));
    assert_int_equal(service("llm")->breaker.permits_out, 1);
    assert_false(bk_fleet_adopt_lease(fleet, 3, &good));
    l = good;
    l.id = 11;
    l.kind = BK_LEASE_TOKEN;
    l.generation = 0;
    assert_false(bk_fleet_adopt_lease(fleet, 2, &l));
    assert_true(bk_fleet_adopt_lease(fleet, 3, &l));
    assert_int_equal(service("llm")->breaker.permits_out, 1);
    assert_int_equal(report_permit("llm", 10, 3, BK_SUCCESS, SECONDS(2)),
                     BK_APPLIED);
    assert_true(bk_fleet_process_died(fleet, SECONDS(2), 5));
    assert_int_equal(bk_fleet_leases(fleet)->used, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_service_keeps_what_remains),
        cmocka_unit_test(an_overdue_service_is_due_at_once),
        cmocka_unit_test(remaining_times_are_kept_within_reason),
        cmocka_unit_test(half_open_comes_back_open_and_due),
        cmocka_unit_test(overrides_come_back_with_their_end),
        cmocka_unit_test(a_full_fleet_restores_no_more),
        cmocka_unit_test(a_service_is_adopted_as_it_was),
        cmocka_unit_test(an_adopted_service_without_counts_has_none),
        cmocka_unit_test(a_full_ring_goes_on_after_its_newest),
        cmocka_unit_test(what_is_not_sound_is_not_adopted),
        cmocka_unit_test(a_window_of_another_size_is_not_adopted),
        cmocka_unit_test(leases_are_adopted_where_they_fit),
    };
    return cmocka_run_group_tests(tests, NULL, end_fleet);
}
