/* SPDX-License-Identifier: Apache-2.0
 *
 * Health probes: what their answers may move, and what they may not. */
#include "fleets.h"
#include "unit.h"

static void
health(const char *name, enum bk_outcome outcome, const char *text,
       int64_t now_ns)
{
    struct bk_health h = {.name = name,
                          .name_len = strlen(name),
                          .outcome = outcome,
                          .latency_ns = SECONDS(1),
                          .text = text,
                          .text_len = text == NULL ? 0 : strlen(text)};
    assert_int_equal(bk_fleet_health(fleet, now_ns, &h), BK_OK);
}

static void
it_makes_no_service_and_is_no_use(void **state)
{
    (void)state;
    begin_fleet(1, 4, 4, 0);
    struct bk_health h = {.name = "llm", .name_len = 3, .outcome = BK_FAILURE};
    assert_int_equal(bk_fleet_health(fleet, 1, &h), BK_ERR_UNKNOWN_SERVICE);
    assert_int_equal(bk_fleet_count(fleet), 0);
    acquire("llm", 2);
    health("llm", BK_SUCCESS, NULL, 3 + BK_IDLE_NS);
    assert_true(service("llm")->used_ns == 2);
    /* So it makes room, however often it was probed. */
    acquire("other", 4 + BK_IDLE_NS);
    assert_int_equal(bk_fleet_find(fleet, "llm", 3), BK_NO_SLOT);
}

static void
evidence_names_the_probe(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    acquire("llm", 0);
    health("llm", BK_TIMEOUT, "no answer in time", 7);
    const struct bk_evidence *e = &service("llm")->evidence[0];
    assert_string_equal(e->worker, "breakerd");
    assert_string_equal(e->text, "probe: no answer in time");
    assert_int_equal(e->outcome, BK_TIMEOUT);
    assert_true(e->at_ns == 7 && e->latency_ns == SECONDS(1) && e->pid == 0);
    health("llm", BK_FAILURE, NULL, 8);
    assert_string_equal(service("llm")->evidence[1].text, "probe: ");
    /* A good one is none. */
    health("llm", BK_SUCCESS, NULL, 9);
    assert_int_equal(service("llm")->evidence_next, 2);
}

static void
a_deadline_comes_first(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    acquire("llm", 0);
    for (int i = 0; i < 5; i++)
        health("llm", BK_FAILURE, NULL, i);
    assert_int_equal(service("llm")->breaker.state, BK_OPEN);
    health("llm", BK_SUCCESS, NULL, 4 + SECONDS(60));
    /* The open time was over at that instant by itself. */
    assert_int_equal(service("llm")->breaker.cause, BK_CAUSE_RECOVERY_TIMEOUT);
    assert_int_equal(service("llm")->breaker.generation, 2);
}

static void
a_threshold_of_0_is_off_while_half_open_too(void **state)
{
    (void)state;
    begin_fleet(4, 4, 4, 0);
    configure("llm", "failure_threshold=0");
    assert_int_equal(order("llm", BK_FORCED_OPEN, 0), BK_OK);
    assert_int_equal(order("llm", BK_AUTO, 0), BK_OK);
    assert_int_equal(service("llm")->breaker.state, BK_HALF_OPEN);
    for (int i = 1; i < 100; i++)
        health("llm", BK_FAILURE, NULL, i);
    assert_int_equal(service("llm")->breaker.state, BK_HALF_OPEN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(it_makes_no_service_and_is_no_use, end_fleet),
        cmocka_unit_test_teardown(evidence_names_the_probe, end_fleet),
        cmocka_unit_test_teardown(a_deadline_comes_first, end_fleet),
        cmocka_unit_test_teardown(a_threshold_of_0_is_off_while_half_open_too,
                                  end_fleet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
