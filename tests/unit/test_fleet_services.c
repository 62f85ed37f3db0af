/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet itself: names, room, time, orders, configuration, what is told. */
#include "core/verdict.h"
#include "fleets.h"
#include "unit.h"

static void
make(const char *name, int64_t now_ns)
{
    uint32_t slot;
    assert_int_equal(bk_fleet_make(fleet, now_ns, name, strlen(name), &slot),
                     BK_OK);
}

static const char *
numbered(int i)
{
    static char name[8];
    struct bk_text t;
    bk_text_init(&t, name, sizeof(name));
    bk_text_put_char(&t, 's');
    bk_text_put_u64(&t, (uint64_t)i);
    return name;
}

static void
names_come_and_go(void **state)
{
    enum { COUNT = 200 };
    uint32_t slots[COUNT];
    (void)state;
    begin_fleet(COUNT, 4, 4, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            make(numbered(i), 0);
        for (int i = 0; i < COUNT; i++)
            slots[i] = bk_fleet_find(fleet, numbered(i), strlen(numbered(i)));
        /* Every third goes; the others are found where they were. */
        for (int i = round; i < COUNT; i += 3)
            assert_int_equal(
                bk_fleet_forget(fleet, numbered(i), strlen(numbered(i))),
                BK_OK);
        for (int i = 0; i < COUNT; i++) {
            uint32_t want = i % 3 == round ? BK_NO_SLOT : slots[i];
            assert_int_equal(
                bk_fleet_find(fleet, numbered(i), strlen(numbered(i))), want);
            if (want == BK_NO_SLOT) {
                assert_null(bk_fleet_service(fleet, slots[i]));
                assert_true(bk_fleet_verdict(fleet, slots[i]) == 0);
            }
        }
    }
    assert_int_equal(bk_fleet_limits(fleet)->services, COUNT);
    assert_int_equal(bk_fleet_find(fleet, "", 0), BK_NO_SLOT);
    assert_int_equal(bk_fleet_find(fleet, "s", 64), BK_NO_SLOT);
}

/* Names that are foreseen may be none's, or no names: nothing comes of it. */
static void
looking_ahead_changes_nothing(void **state)
{
    enum { COUNT = 400 };
    static const char octets[2 * BK_NAME_SIZE] = {'x', '\0', (char)0xff};
    (void)state;
    begin_fleet(COUNT, 4, 4, 0);
    assert_false(bk_fleet_is_large(fleet));
    for (int i = 0; i < COUNT; i++)
        make(numbered(i), 0);
    assert_true(bk_fleet_is_large(fleet));
    while (bk_fleet_next_dirty(fleet) != BK_NO_SLOT)
        continue;
    for (int i = 0; i < 2 * COUNT; i++)
        bk_fleet_foresee(fleet, numbered(i), strlen(numbered(i)));
    for (size_t len = 0; len <= sizeof(octets); len++)
        bk_fleet_foresee(fleet, octets, len);
    bk_fleet_foresee_slot(fleet, COUNT - 1);
    assert_int_equal(bk_fleet_next_dirty(fleet), BK_NO_SLOT);
    assert_int_equal(bk_fleet_count(fleet), COUNT);
    assert_int_equal(bk_fleet_find(fleet, "s400", 4), BK_NO_SLOT);
}

static void
a_forgotten_name_goes_on_from_its_generation(void **state)
{
    bool was_override;
    (void)state;
    begin_fleet(4, 4, 4, 0);
    make("llm", 0);
    assert_int_equal(bk_fleet_reset(fleet, 0, "llm", 3, false, &was_override),
                     BK_OK);
    assert_int_equal(service("llm")->breaker.generation, 1);
    uint32_t incarnation = service("llm")->incarnation;
    assert_int_equal(bk_fleet_forget(fleet, "llm", 3), BK_OK);
    uint64_t generation;
    assert_true(bk_fleet_forgotten(fleet, "llm", &generation));
    assert_int_equal(generation, 1);
    assert_false(bk_fleet_forgotten(fleet, "bot", &generation));
    make("llm", 0);
    assert_int_equal(service("llm")->breaker.generation, 2);
    assert_int_equal(service("llm")->incarnation, incarnation + 1);
    assert_int_equal(bk_fleet_forget(fleet, "bot", 3), BK_ERR_UNKNOWN_SERVICE);
    assert_int_equal(bk_fleet_forget(fleet, "*", 1), BK_ERR_BAD_SERVICE);
}

static void
names_beyond_the_ring_start_above_all_that_fell_out(void **state)
{
    uint64_t generation;
    (void)state;
    begin_fleet(4, 4, 4, 0);
    bk_fleet_remember(fleet, "first", 500);
    bk_fleet_remember(fleet, "second", 100);
    bk_fleet_remember(fleet, "second", 101);
    for (int i = 0; i < BK_FORGOTTEN; i++)
        bk_fleet_remember(fleet, numbered(i), 3);
    assert_false(bk_fleet_forgotten(fleet, "first", &generation));
    assert_false(bk_fleet_forgotten(fleet, "second", &generation));
    assert_true(bk_fleet_forgotten(fleet, numbered(0), &generation));
    make("first", 0);
    assert_int_equal(service("first")->breaker.generation, 501);
    make(numbered(9), 0);
    assert_int_equal(service(numbered(9))->breaker.generation, 4);
}

static void
idle_services_make_room(void **state)
{
    struct bk_note note;
    uint32_t slot;
    (void)state;
    begin_fleet(3, 4, 4, 0);
    configure("kept", "");
    make("kept", 0);
    acquire("older", SECONDS(1));
    acquire("newer", SECONDS(2));
    int64_t hour_ns = SECONDS(3600);
    assert_int_equal(bk_fleet_make(fleet, hour_ns, "next", 4, &slot),
                     BK_ERR_TABLE_FULL);
    /* It is not looked at again for a second. */
    int64_t later_ns = hour_ns + SECONDS(1);
    assert_int_equal(bk_fleet_make(fleet, later_ns - 1, "next", 4, &slot),
                     BK_ERR_TABLE_FULL);
    assert_int_equal(drain_notes(&note), 0);
    assert_int_equal(bk_fleet_make(fleet, later_ns, "next", 4, &slot), BK_OK);
    assert_int_equal(drain_notes(&note), 1);
    assert_true(note.is_forgotten);
    assert_string_equal(note.name, "older");
    assert_int_equal(note.service, slot);
    assert_int_equal(bk_fleet_count(fleet), 3);
    assert_string_equal(service("kept")->name, "kept");
    assert_string_equal(service("newer")->name, "newer");
}

static void
the_longest_idle_goes_first(void **state)
{
    struct bk_note note;
    uint32_t slot;
    (void)state;
    begin_fleet(3, 4, 4, 0);
    acquire("b", SECONDS(2));
    acquire("c", SECONDS(3));
    acquire("a", SECONDS(4));
    assert_int_equal(retry("a", 1, BK_FAILURE, 0, SECONDS(4)), BK_OK);
    acquire("b", SECONDS(5));
    assert_true(bk_fleet_advance(fleet, SECONDS(9000)));
    assert_int_equal(bk_fleet_make(fleet, SECONDS(9000), "x", 1, &slot), BK_OK);
    assert_int_equal(drain_notes(&note), 1);
    assert_string_equal(note.name, "c");
    assert_int_equal(bk_fleet_make(fleet, SECONDS(9000), "y", 1, &slot), BK_OK);
    assert_int_equal(drain_notes(&note), 1);
    assert_string_equal(note.name, "a");
}

static void
what_is_forgotten_leaves_no_leases(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "max_concurrent=2");
    acquire("llm", 0);
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, 0), BK_OK);
    assert_int_equal(bk_fleet_leases(fleet)->used, 2);
    assert_int_equal(bk_fleet_forget(fleet, "llm", 3), BK_OK);
    assert_int_equal(bk_fleet_leases(fleet)->used, 0);
    assert_int_equal(bk_fleet_release(fleet, 0, granted.token), BK_STALE);
    assert_true(bk_fleet_deadline(fleet) == BK_NEVER);
}

static void
services_in_use_make_no_room(void **state)
{
    uint32_t slot;
    (void)state;
    begin_fleet(4, 4, 8, 0);
    for (int i = 0; i < 5; i++)
        report("open", BK_FAILURE, 0);
    assert_int_equal(order("ordered", BK_OBSERVE, 0), BK_OK);
    configure("leased", "max_concurrent=1 permit_ttl=2h");
    acquire("leased", 0);
    configure("token", "permit_ttl=2h");
    assert_int_equal(retry("token", 1, BK_FAILURE, 0, 0), BK_OK);
    assert_true(granted.is_granted);
    /* Not by their names alone. */
    forget_configuration();
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(bk_fleet_reconfigure(fleet, 1, i), BK_OK);
    assert_int_equal(bk_fleet_make(fleet, SECONDS(3601), "next", 4, &slot),
                     BK_ERR_TABLE_FULL);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(3602), granted.token),
                     BK_APPLIED);
    assert_int_equal(bk_fleet_make(fleet, SECONDS(3603), "next", 4, &slot),
                     BK_OK);
}

static void
policies_are_shared_and_limited(void **state)
{
    uint32_t slot;
    (void)state;
    begin_fleet(8, 4, 2, 0);
    configure("a", "failure_threshold=1");
    configure("b", "failure_threshold=1");
    configure("c", "failure_threshold=3");
    make("a", 0);
    uint64_t edition = bk_fleet_policy_edition(fleet);
    make("b", 0);
    assert_int_equal(service("a")->policy, service("b")->policy);
    assert_true(bk_fleet_policy_edition(fleet) == edition);
    make("d", 0);
    assert_true(bk_fleet_policy_edition(fleet) != edition);
    assert_int_equal(bk_fleet_make(fleet, 0, "c", 1, &slot), BK_ERR_TABLE_FULL);
    assert_int_equal(bk_fleet_find(fleet, "c", 1), BK_NO_SLOT);
    uint32_t policy = service("d")->policy;
    assert_int_equal(bk_fleet_policy(fleet, policy)->failure_threshold, 5);
    assert_int_equal(bk_fleet_forget(fleet, "d", 1), BK_OK);
    assert_null(bk_fleet_policy(fleet, policy));
    make("c", 0);
    assert_int_equal(bk_fleet_policy(fleet, policy)->failure_threshold, 3);
}

static void
a_new_policy_is_taken_at_once(void **state)
{
    (void)state;
    begin_fleet(4, 4, 2, 0);
    configure("llm", "failure_threshold=5");
    make("llm", 0);
    uint32_t slot = bk_fleet_find(fleet, "llm", 3);
    assert_int_equal(bk_fleet_reconfigure(fleet, 0, slot), BK_OK);
    configure("llm", "failure_threshold=1 mode=observe");
    assert_int_equal(bk_fleet_reconfigure(fleet, 0, slot), BK_OK);
    assert_int_equal(service("llm")->breaker.mode, BK_OBSERVE);
    report("llm", BK_FAILURE, 0);
    assert_int_equal(service("llm")->breaker.state, BK_OPEN);
    /* No longer configured by name: it may make room some day. */
    forget_configuration();
    assert_int_equal(bk_fleet_reconfigure(fleet, 0, slot), BK_OK);
    assert_false(service("llm")->is_configured);
    assert_int_equal(service("llm")->breaker.mode, BK_AUTO);
    configure("other", "failure_threshold=2");
    make("other", 0);
    configure("llm", "failure_threshold=3");
    assert_int_equal(bk_fleet_reconfigure(fleet, 0, slot), BK_ERR_TABLE_FULL);
}

static void
orders_make_services_but_auto_and_reset_do_not(void **state)
{
    bool was_override;
    (void)state;
    begin_fleet(4, 4, 4, 0);
    assert_int_equal(order("llm", BK_AUTO, 0), BK_ERR_UNKNOWN_SERVICE);
    assert_int_equal(order("*", BK_AUTO, 0), BK_ERR_BAD_SERVICE);
    assert_int_equal(bk_fleet_reset(fleet, 0, "llm", 3, false, &was_override),
                     BK_ERR_UNKNOWN_SERVICE);
    assert_int_equal(bk_fleet_reset(fleet, 0, "*", 1, false, &was_override),
                     BK_ERR_BAD_SERVICE);
    assert_int_equal(order("*", BK_BYPASS, 0), BK_ERR_BAD_SERVICE);
    assert_int_equal(order("llm", BK_FORCED_OPEN, 0), BK_OK);
    acquire("llm", 0);
    expect_denied(BK_DENY_FORCED_OPEN, 0);
    assert_string_equal(service("llm")->breaker.override.reason, "");
    struct bk_order o = {.name = "llm",
                         .name_len = 3,
                         .mode = BK_BYPASS,
                         .duration_ns = SECONDS(9),
                         .reason = "test",
                         .reason_len = 4,
                         .actor = "1:2:3"};
    uint32_t slot;
    assert_int_equal(bk_fleet_order(fleet, 0, &o, &slot, &was_override), BK_OK);
    assert_string_equal(service("llm")->breaker.override.reason, "test");
    assert_true(bk_fleet_deadline(fleet) == SECONDS(9));
    assert_int_equal(bk_fleet_reset(fleet, 0, "llm", 3, false, &was_override),
                     BK_OK);
    assert_true(was_override);
    assert_int_equal(bk_fleet_reset(fleet, 0, "llm", 3, false, &was_override),
                     BK_OK);
    assert_false(was_override);
}

static void
time_never_goes_back(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    for (int i = 0; i < 5; i++)
        report("llm", BK_FAILURE, SECONDS(10));
    assert_true(bk_fleet_advance(fleet, SECONDS(30)));
    acquire("llm", SECONDS(20));
    expect_denied(BK_DENY_OPEN, 40000);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(70));
    assert_true(bk_fleet_advance(fleet, BK_NEVER - 1));
    assert_int_equal(service("llm")->breaker.state, BK_HALF_OPEN);
    assert_true(service("llm")->breaker.changed_ns == SECONDS(70));
}

static void
deadlines_pass_in_order_and_in_portions(void **state)
{
    enum { COUNT = 500 };
    struct bk_note note;
    int64_t last_ns = 0;
    int seen = 0;
    int portions = 0;
    (void)state;
    begin_fleet(COUNT, 4, 4, 0);
    for (int i = 0; i < COUNT; i++) {
        int64_t at_ns = MS(i * 37 % COUNT);
        for (int k = 0; k < 5; k++)
            report(numbered(i * 37 % COUNT), BK_FAILURE, at_ns);
        drain_notes(&note);
    }
    bool is_done = false;
    while (!is_done) {
        is_done = bk_fleet_advance(fleet, SECONDS(100));
        portions++;
        while (bk_fleet_next_note(fleet, &note)) {
            assert_int_equal(note.change.to, BK_HALF_OPEN);
            assert_true(note.change.at_ns >= last_ns);
            last_ns = note.change.at_ns;
            seen++;
        }
    }
    assert_int_equal(seen, COUNT);
    assert_true(portions > 1);
    assert_true(bk_fleet_deadline(fleet) == BK_NEVER);
}

static void
deaths_pass_in_portions_too(void **state)
{
    enum { COUNT = 300 };
    struct bk_note note;
    int portions = 0;
    (void)state;
    begin_fleet(COUNT, 2 * COUNT, 4, 0);
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < 5; k++)
            report(numbered(i), BK_FAILURE, 0);
        drain_notes(&note);
    }
    while (!bk_fleet_advance(fleet, SECONDS(60)))
        drain_notes(&note);
    drain_notes(&note);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(
            acquire_as(numbered(i), 1, 0, SECONDS(5), 9, SECONDS(60)), BK_OK);
        expect_allowed(true);
    }
    /* All leases have run out when the death is told: each is a timeout. */
    while (!bk_fleet_process_died(fleet, SECONDS(90), 9)) {
        assert_true(drain_notes(&note) > 0);
        portions++;
    }
    assert_true(portions > 0);
    assert_int_equal(bk_fleet_leases(fleet)->used, 0);
    assert_int_equal(service(numbered(0))->breaker.state, BK_OPEN);
}

static void
changes_are_told_once(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("bot", "requires=llm max_concurrent=1");
    acquire("bot", 0);
    acquire("llm", 0);
    uint32_t bot = bk_fleet_find(fleet, "bot", 3);
    uint32_t llm = bk_fleet_find(fleet, "llm", 3);
    uint32_t one = bk_fleet_next_dirty(fleet);
    uint32_t two = bk_fleet_next_dirty(fleet);
    assert_true((one == bot && two == llm) || (one == llm && two == bot));
    assert_int_equal(bk_fleet_next_dirty(fleet), BK_NO_SLOT);
    assert_int_not_equal(bk_fleet_next_dirty_lease(fleet), BK_NO_SLOT);
    assert_int_equal(bk_fleet_next_dirty_lease(fleet), BK_NO_SLOT);
    /* What llm does concerns whoever requires it. */
    for (int i = 0; i < 5; i++)
        report("llm", BK_FAILURE, 0);
    one = bk_fleet_next_dirty(fleet);
    two = bk_fleet_next_dirty(fleet);
    assert_true((one == bot && two == llm) || (one == llm && two == bot));
}

static struct bk_verdict
verdict(const char *name)
{
    return bk_verdict_unpack(
        bk_fleet_verdict(fleet, bk_fleet_find(fleet, name, strlen(name))));
}

static void
expect_verdict(const char *name, enum bk_verdict_kind kind, enum bk_deny reason,
               uint64_t until_ms)
{
    struct bk_verdict v = verdict(name);
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.reason, reason);
    assert_int_equal(v.until_ms, until_ms);
    assert_int_equal(v.generation, service(name)->breaker.generation & 0xfff);
    assert_int_equal(v.incarnation, service(name)->incarnation & 0xff);
}

static void
verdicts_answer_for_the_machine(void **state)
{
    (void)state;
    begin_fleet(8, 8, 8, 0);
    configure("narrow", "max_concurrent=1");
    configure("bot", "requires=llm");
    make("narrow", 0);
    make("bot", 0);
    make("llm", 0);
    expect_verdict("llm", BK_GO, BK_DENY_NONE, 0);
    expect_verdict("bot", BK_GO, BK_DENY_NONE, 0);
    expect_verdict("narrow", BK_ASK, BK_DENY_NONE, 0);
    for (int i = 0; i < 5; i++)
        report("llm", BK_FAILURE, 0);
    expect_verdict("llm", BK_NO, BK_DENY_OPEN, 60000);
    expect_verdict("bot", BK_NO, BK_DENY_REQUIRES, 60000);
    assert_int_equal(order("bot", BK_OBSERVE, 0), BK_OK);
    expect_verdict("bot", BK_ASK, BK_DENY_NONE, 0);
    assert_int_equal(order("bot", BK_BYPASS, 0), BK_OK);
    expect_verdict("bot", BK_GO, BK_DENY_NONE, 0);
    assert_int_equal(order("llm", BK_FORCED_OPEN, 0), BK_OK);
    expect_verdict("llm", BK_NO, BK_DENY_FORCED_OPEN, BK_VERDICT_FOREVER);
    assert_int_equal(order("bot", BK_AUTO, 0), BK_OK);
    expect_verdict("bot", BK_NO, BK_DENY_REQUIRES, BK_VERDICT_FOREVER);
    assert_int_equal(order("llm", BK_AUTO, 0), BK_OK);
    expect_verdict("llm", BK_ASK, BK_DENY_NONE, 0);
    expect_verdict("bot", BK_GO, BK_DENY_NONE, 0);
}

static void
verdicts_know_holds_and_ramps(void **state)
{
    struct bk_report r = {.name = "llm",
                          .name_len = 3,
                          .is_current = true,
                          .outcome = BK_RATE_LIMITED,
                          .latency_ns = -1,
                          .retry_after_ns = SECONDS(7)};
    enum bk_applied answer;
    (void)state;
    begin_fleet(8, 8, 8, 0);
    configure("llm", "ramp=10s success_threshold=1 failure_threshold=1");
    assert_int_equal(bk_fleet_report(fleet, 0, &r, &answer), BK_OK);
    expect_verdict("llm", BK_NO, BK_DENY_RATE_LIMITED, 7000);
    assert_int_equal(order("llm", BK_OBSERVE, 0), BK_OK);
    expect_verdict("llm", BK_ASK, BK_DENY_NONE, 0);
    assert_int_equal(order("llm", BK_AUTO, 0), BK_OK);
    report("llm", BK_FAILURE, SECONDS(8));
    acquire("llm", SECONDS(68));
    expect_allowed(true);
    report_permit("llm", got.permit, got.generation, BK_SUCCESS, SECONDS(68));
    assert_int_equal(service("llm")->breaker.ramp.step, 1);
    expect_verdict("llm", BK_ASK, BK_DENY_NONE, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_and_go),
        cmocka_unit_test(looking_ahead_changes_nothing),
        cmocka_unit_test(a_forgotten_name_goes_on_from_its_generation),
        cmocka_unit_test(names_beyond_the_ring_start_above_all_that_fell_out),
        cmocka_unit_test(idle_services_make_room),
        cmocka_unit_test(the_longest_idle_goes_first),
        cmocka_unit_test(what_is_forgotten_leaves_no_leases),
        cmocka_unit_test(services_in_use_make_no_room),
        cmocka_unit_test(policies_are_shared_and_limited),
        cmocka_unit_test(a_new_policy_is_taken_at_once),
        cmocka_unit_test(orders_make_services_but_auto_and_reset_do_not),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(deadlines_pass_in_order_and_in_portions),
        cmocka_unit_test(deaths_pass_in_portions_too),
        cmocka_unit_test(changes_are_told_once),
        cmocka_unit_test(verdicts_answer_for_the_machine),
        cmocka_unit_test(verdicts_know_holds_and_ramps),
    };
    return cmocka_run_group_tests(tests, NULL, end_fleet);
}
