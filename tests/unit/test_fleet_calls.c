/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers' commands on a fleet: permits, reports, routes, processes. */
#include "fleets.h"
#include "unit.h"

static void
a_service_is_made_on_first_use(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    assert_int_equal(bk_fleet_find(fleet, "llm", 3), BK_NO_SLOT);
    acquire("llm", 5);
    expect_allowed(false);
    assert_string_equal(got.name, "llm");
    assert_int_equal(got.state, BK_CLOSED);
    assert_int_equal(got.generation, 0);
    assert_int_equal(bk_fleet_count(fleet), 1);
    assert_int_equal(acquire_as("", 1, 0, 0, 1, 5), BK_ERR_BAD_SERVICE);
    assert_int_equal(acquire_as("*", 1, 0, 0, 1, 5), BK_ERR_BAD_SERVICE);
    char name[BK_NAME_SIZE + 1];
    memset(name, 'x', sizeof(name));
    name[BK_NAME_SIZE] = '\0';
    assert_int_equal(acquire_as(name, 1, 0, 0, 1, 5), BK_ERR_BAD_SERVICE);
    name[BK_NAME_SIZE - 1] = '\0';
    assert_int_equal(acquire_as(name, 1, 0, 0, 1, 5), BK_OK);
    assert_string_equal(got.name, name);
}

static void
open_one(int64_t now_ns)
{
    for (int i = 0; i < 5; i++)
        report("llm", BK_FAILURE, now_ns);
    assert_int_equal(service("llm")->breaker.state, BK_OPEN);
}

static void
a_probe_is_leased_and_settles_once(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    open_one(0);
    acquire("llm", SECONDS(59));
    expect_denied(BK_DENY_OPEN, 1000);
    /* The deadline comes before a command of the same instant. */
    acquire("llm", SECONDS(60));
    expect_allowed(true);
    assert_int_equal(got.state, BK_HALF_OPEN);
    uint64_t permit = got.permit;
    uint64_t generation = got.generation;
    acquire("llm", SECONDS(61));
    expect_denied(BK_DENY_HALF_OPEN, 1000);
    assert_int_equal(
        report_permit("llm", permit, generation, BK_SUCCESS, SECONDS(61)),
        BK_APPLIED);
    assert_int_equal(
        report_permit("llm", permit, generation, BK_SUCCESS, SECONDS(61)),
        BK_STALE);
    assert_int_equal(service("llm")->breaker.probe_successes, 1);
}

static void
only_the_lease_itself_is_settled(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("other", "max_concurrent=2");
    open_one(0);
    acquire("llm", SECONDS(60));
    uint64_t permit = got.permit;
    uint64_t generation = got.generation;
    acquire("other", SECONDS(60));
    /* Another service's, another generation's: stale, and both stay out. */
    assert_int_equal(
        report_permit("llm", got.permit, generation, BK_SUCCESS, SECONDS(60)),
        BK_STALE);
    assert_int_equal(
        report_permit("llm", permit, generation - 1, BK_SUCCESS, SECONDS(60)),
        BK_STALE);
    assert_int_equal(service("llm")->permits.count, 1);
    assert_int_equal(service("other")->permits.count, 1);
    /* A token is no permit. */
    assert_int_equal(retry("other", 1, BK_FAILURE, 0, SECONDS(60)), BK_OK);
    assert_true(granted.is_granted);
    assert_int_equal(
        report_permit("other", granted.token, 0, BK_SUCCESS, SECONDS(60)),
        BK_STALE);
}

static void
what_never_was_is_unknown(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    assert_int_equal(report_permit("llm", 1, 0, BK_SUCCESS, 0), BK_UNKNOWN);
    assert_int_equal(report_permit("llm", 0, 1, BK_SUCCESS, 0), BK_UNKNOWN);
    assert_int_equal(bk_fleet_count(fleet), 0);
    assert_int_equal(report_permit("llm", 0, 0, BK_SUCCESS, 0), BK_APPLIED);
    assert_int_equal(bk_fleet_count(fleet), 1);
    assert_int_equal(report_permit("llm", 0, 1, BK_SUCCESS, 0), BK_UNKNOWN);
    assert_int_equal(report_permit("llm", 99, 0, BK_SUCCESS, 0), BK_UNKNOWN);
    struct bk_report r = {.name = "*", .name_len = 1, .is_current = true};
    enum bk_applied answer;
    assert_int_equal(bk_fleet_report(fleet, 0, &r, &answer),
                     BK_ERR_BAD_SERVICE);
    r.permit = 5;
    assert_int_equal(bk_fleet_report(fleet, 0, &r, &answer),
                     BK_ERR_BAD_SERVICE);
}

static void
an_unreported_permit_is_a_timeout(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "permit_ttl=5s failure_threshold=5 max_concurrent=3");
    acquire("llm", 0);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(5));
    assert_int_equal(acquire_as("llm", 1, 0, SECONDS(2), 100, 0), BK_OK);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(2));
    uint64_t permit = got.permit;
    /* Longer than the maximum is cut to it. */
    assert_int_equal(acquire_as("llm", 1, 0, SECONDS(9999), 100, 0), BK_OK);
    assert_true(bk_fleet_advance(fleet, SECONDS(5)));
    assert_int_equal(service("llm")->breaker.counters.timeout, 2);
    assert_int_equal(service("llm")->breaker.consecutive_failures, 2);
    assert_int_equal(service("llm")->permits.count, 1);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(3600));
    assert_int_equal(service("llm")->evidence[0].pid, 100);
    assert_int_equal(service("llm")->evidence[0].outcome, BK_TIMEOUT);
    assert_int_equal(report_permit("llm", permit, 0, BK_SUCCESS, SECONDS(5)),
                     BK_STALE);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(5), permit), BK_STALE);
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(5), permit, SECONDS(1)),
                     BK_STALE);
}

static void
a_permit_can_be_renewed_and_released(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "permit_ttl=5s max_permit_ttl=60s max_concurrent=1");
    acquire("llm", 0);
    uint64_t permit = got.permit;
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(4), permit, SECONDS(10)),
                     BK_APPLIED);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(14));
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(4), permit, SECONDS(999)),
                     BK_APPLIED);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(64));
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(4), permit, SECONDS(1)),
                     BK_APPLIED);
    assert_true(bk_fleet_deadline(fleet) == SECONDS(5));
    assert_int_equal(bk_fleet_release(fleet, SECONDS(4), permit), BK_APPLIED);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(4), permit), BK_STALE);
    assert_int_equal(bk_fleet_release(fleet, SECONDS(4), 0), BK_STALE);
    assert_int_equal(bk_fleet_renew(fleet, SECONDS(4), 0, SECONDS(1)),
                     BK_STALE);
    assert_int_equal(service("llm")->breaker.counters.cancelled, 1);
    assert_int_equal(service("llm")->breaker.counters.stale, 0);
    assert_true(bk_fleet_deadline(fleet) == BK_NEVER);
}

static void
a_change_voids_every_permit(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "max_concurrent=5 failure_threshold=1");
    acquire("llm", 0);
    uint64_t permit = got.permit;
    acquire("llm", 0);
    assert_int_equal(report("llm", BK_FAILURE, 0), BK_APPLIED);
    assert_int_equal(service("llm")->permits.count, 0);
    assert_int_equal(report_permit("llm", permit, 0, BK_FAILURE, 0), BK_STALE);
    assert_int_equal(bk_fleet_release(fleet, 0, permit), BK_STALE);
    struct bk_note note;
    assert_int_equal(drain_notes(&note), 1);
    assert_string_equal(note.name, "llm");
    assert_int_equal(note.change.to, BK_OPEN);
    assert_false(note.is_forgotten);
}

static void
a_dead_process_gives_back_what_it_held(void **state)
{
    (void)state;
    begin_fleet(4, 8, 4, 0);
    configure("llm", "max_concurrent=3 retry_min_per_sec=0.1");
    assert_int_equal(acquire_as("llm", 1, 0, 0, 7, 0), BK_OK);
    assert_int_equal(acquire_as("llm", 1, 0, 0, 7, 0), BK_OK);
    assert_int_equal(acquire_as("llm", 1, 0, 0, 8, 0), BK_OK);
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, 0), BK_OK);
    assert_true(granted.is_granted);
    assert_true(bk_fleet_process_died(fleet, 1, 7));
    assert_int_equal(service("llm")->permits.count, 1);
    assert_int_equal(service("llm")->breaker.permits_out, 1);
    assert_int_equal(service("llm")->breaker.counters.cancelled, 0);
    assert_int_equal(service("llm")->tokens.count, 1);
    assert_true(bk_fleet_process_died(fleet, 1, 100));
    assert_int_equal(service("llm")->tokens.count, 0);
    assert_int_equal(bk_fleet_release(fleet, 1, granted.token), BK_STALE);
    /* Its retry was never made: the budget has it back. */
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, 1), BK_OK);
    assert_true(granted.is_granted);
    assert_true(bk_fleet_process_died(fleet, 1, 0));
    assert_true(bk_fleet_process_died(fleet, 1, 4242));
}

static void
a_full_table_of_leases_is_told(void **state)
{
    (void)state;
    begin_fleet(4, 2, 4, 0);
    configure("llm", "max_concurrent=9");
    acquire("llm", 0);
    acquire("llm", 0);
    assert_int_equal(acquire_as("llm", 1, 0, 0, 100, 0), BK_ERR_TABLE_FULL);
    assert_int_equal(retry("llm", 1, BK_FAILURE, 0, 0), BK_ERR_TABLE_FULL);
    /* What needs no lease goes on. */
    acquire("other", 0);
    expect_allowed(false);
    assert_int_equal(bk_fleet_release(fleet, 0, got.permit), BK_STALE);
}

static void
evidence_is_kept_of_what_counted(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "failure_threshold=0");
    report("llm", BK_SUCCESS, 1);
    assert_int_equal(service("llm")->evidence[0].at_ns, 0);
    for (int i = 1; i <= BK_EVIDENCE_COUNT + 1; i++)
        report("llm", BK_FAILURE, i);
    const struct bk_evidence *e = service("llm")->evidence;
    assert_int_equal(e[0].at_ns, BK_EVIDENCE_COUNT + 1);
    assert_int_equal(e[1].at_ns, 2);
    assert_int_equal(e[0].latency_ns, MS(5));
    assert_string_equal(e[0].worker, "bot");
    assert_string_equal(e[0].text, "503");
    /* Nobody says who, nor what. */
    struct bk_report r = {.name = "llm",
                          .name_len = 3,
                          .is_current = true,
                          .outcome = BK_TIMEOUT,
                          .latency_ns = -1};
    enum bk_applied answer;
    assert_int_equal(bk_fleet_report(fleet, 50, &r, &answer), BK_OK);
    assert_string_equal(e[1].worker, "");
    assert_string_equal(e[1].text, "");
    assert_int_equal(e[1].latency_ns, -1);
}

static void
a_required_service_must_not_be_open(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("bot", "requires=llm");
    acquire("bot", 0);
    expect_allowed(false);
    open_one(0);
    acquire("bot", SECONDS(1));
    expect_denied(BK_DENY_REQUIRES, 59000);
    /* Its deadline passes when it is asked about. */
    acquire("bot", SECONDS(60));
    expect_allowed(false);
    assert_int_equal(service("llm")->breaker.state, BK_HALF_OPEN);
}

static void
set_route(uint32_t count)
{
    struct bk_route route = {.name = "any", .count = 3};
    strcpy(route.members[0], "a");
    strcpy(route.members[1], "b");
    strcpy(route.members[2], "c");
    assert_true(bk_fleet_set_routes(fleet, &route, count));
}

static void
a_route_takes_the_first_that_admits(void **state)
{
    (void)state;
    begin_fleet(4, 8, 8, 1);
    set_route(1);
    configure("a", "failure_threshold=1 recovery_timeout=9s");
    configure("b", "failure_threshold=1 recovery_timeout=5s");
    configure("c", "failure_threshold=1");
    acquire("any", 0);
    assert_string_equal(got.name, "a");
    report("a", BK_FAILURE, 0);
    acquire("any", 0);
    assert_string_equal(got.name, "b");
    report("b", BK_FAILURE, 0);
    report("c", BK_FAILURE, 0);
    acquire("any", 0);
    expect_denied(BK_DENY_OPEN, 5000);
    assert_string_equal(got.name, "any");
    /* To be passed over for another is no denial. */
    assert_int_equal(service("a")->breaker.counters.denied, 1);
    assert_int_equal(service("b")->breaker.counters.denied, 1);
    assert_int_equal(service("c")->breaker.counters.denied, 1);
    /* Its name is no service's. */
    assert_int_equal(retry("any", 1, BK_FAILURE, 0, 0), BK_ERR_BAD_SERVICE);
    struct bk_report r = {.name = "any", .name_len = 3, .permit = 1};
    enum bk_applied answer;
    assert_int_equal(bk_fleet_report(fleet, 0, &r, &answer),
                     BK_ERR_BAD_SERVICE);
    assert_int_equal(order("any", BK_BYPASS, 0), BK_ERR_BAD_SERVICE);
}

static void
a_route_of_unknown_waits_tells_the_first(void **state)
{
    (void)state;
    begin_fleet(4, 8, 8, 1);
    set_route(1);
    configure("a", "max_concurrent=1");
    configure("b", "max_concurrent=1");
    assert_int_equal(order("c", BK_FORCED_OPEN, 0), BK_OK);
    acquire("any", 0);
    assert_string_equal(got.name, "a");
    acquire("any", 0);
    assert_string_equal(got.name, "b");
    acquire("any", 0);
    expect_denied(BK_DENY_CONCURRENCY, 0);
    /* A known wait is better than none. */
    report("b", BK_CANCELLED, 0);
    configure("b", "max_concurrent=1 failure_threshold=1");
    assert_int_equal(
        bk_fleet_reconfigure(fleet, 0, bk_fleet_find(fleet, "b", 1)), BK_OK);
    report("b", BK_FAILURE, 0);
    acquire("any", 0);
    expect_denied(BK_DENY_OPEN, 60000);
}

static void
a_route_without_room_is_an_error(void **state)
{
    (void)state;
    begin_fleet(1, 4, 4, 1);
    acquire("z", 0);
    set_route(1);
    assert_int_equal(acquire_as("any", 1, 0, 0, 100, 0), BK_ERR_TABLE_FULL);
    struct bk_route two[2] = {{.name = "x"}, {.name = "y"}};
    assert_false(bk_fleet_set_routes(fleet, two, 2));
    uint32_t count;
    assert_string_equal(bk_fleet_routes(fleet, &count)[0].name, "any");
    assert_int_equal(count, 1);
    set_route(0);
    bk_fleet_routes(fleet, &count);
    assert_int_equal(count, 0);
}

static void
tallies_are_added(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    assert_int_equal(bk_fleet_tally(fleet, 0, "llm", 3, true, 5, BK_DENY_NONE),
                     BK_ERR_UNKNOWN_SERVICE);
    acquire("llm", 0);
    assert_int_equal(bk_fleet_tally(fleet, 0, "llm", 3, true, 5, BK_DENY_NONE),
                     BK_OK);
    assert_int_equal(bk_fleet_tally(fleet, 0, "llm", 3, false, 7, BK_DENY_OPEN),
                     BK_OK);
    const struct bk_counters *c = &service("llm")->breaker.counters;
    assert_int_equal(c->allowed, 6);
    assert_int_equal(c->denied, 7);
    /* A counter stays a number on the wire whatever is told. */
    assert_int_equal(bk_fleet_tally(fleet, 0, "llm", 3, true, BK_NUMBER_END - 1,
                                    BK_DENY_NONE),
                     BK_OK);
    assert_true(c->allowed == BK_NUMBER_END - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_is_made_on_first_use),
        cmocka_unit_test(a_probe_is_leased_and_settles_once),
        cmocka_unit_test(only_the_lease_itself_is_settled),
        cmocka_unit_test(what_never_was_is_unknown),
        cmocka_unit_test(an_unreported_permit_is_a_timeout),
        cmocka_unit_test(a_permit_can_be_renewed_and_released),
        cmocka_unit_test(a_change_voids_every_permit),
        cmocka_unit_test(a_dead_process_gives_back_what_it_held),
        cmocka_unit_test(a_full_table_of_leases_is_told),
        cmocka_unit_test(evidence_is_kept_of_what_counted),
        cmocka_unit_test(a_required_service_must_not_be_open),
        cmocka_unit_test(a_route_takes_the_first_that_admits),
        cmocka_unit_test(a_route_of_unknown_waits_tells_the_first),
        cmocka_unit_test(a_route_without_room_is_an_error),
        cmocka_unit_test(tallies_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, end_fleet);
}
