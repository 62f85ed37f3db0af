/* SPDX-License-Identifier: Apache-2.0
 *
 * Without a daemon: the same rules in the worker's own memory. */
#define _GNU_SOURCE
#include "client/bug.h"
#include "client_stage.h"
#include "core/bug.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

static struct breaker_permit
ask(struct stage *s, const char *name)
{
    struct breaker_permit permit;

    (void)breaker_acquire_name(s->b, name, &permit);
    return permit;
}

static int
fail_once(struct stage *s, const char *name)
{
    struct breaker_permit p = ask(s, name);

    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    return breaker_report(&p, BREAKER_FAILURE, 1000);
}

static void
it_trips_and_denies_with_the_defaults(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    char json[4096];

    stage_open(s, BREAKER_MODE_LOCAL, 0, 20);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fail_once(s, "llm"), BREAKER_APPLIED);
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_OPEN);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_in_range(p.retry_after_ms, 59000, 60000);
    assert_true(
        breaker_status(breaker_service(s->b, "llm"), json, sizeof json) > 0);
    assert_non_null(strstr(json, "\"running\":false"));
    assert_non_null(strstr(json, "\"state\":\"open\""));
    assert_non_null(strstr(json, "\"reason\":\"consecutive_failures\""));
    assert_non_null(strstr(json, "\"worker\":\"tester\""));
    /* It was chosen: nobody needs a warning. */
    assert_string_equal(s->log, "");
    assert_int_equal(breaker_ping(s->b, NULL), BREAKER_ERROR_UNAVAILABLE);
    assert_int_equal(breaker_config(s->b, NULL, json, sizeof json),
                     BREAKER_ERROR_UNAVAILABLE);
}

static void
retries_have_a_budget_and_a_backoff(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm;
    struct breaker_token token;
    struct breaker_ask how = BREAKER_ASK_INIT;
    struct breaker_permit p;
    int granted = 0;

    stage_open(s, BREAKER_MODE_LOCAL, 0, 20);
    llm = breaker_service(s->b, "llm");
    assert_int_equal(breaker_retry(llm, 1, BREAKER_FAILURE, 0, &token),
                     BREAKER_ALLOWED);
    assert_int_equal(token.source, BREAKER_BY_LOCAL);
    assert_in_range(token.delay_ms, 0, 1000);
    how.token = &token;
    assert_int_equal(breaker_acquire_with(llm, &how, &p), BREAKER_ALLOWED);
    assert_int_equal(p.attempt, 2);
    /* Spent: a second call with it is not paid for. */
    assert_int_equal(breaker_acquire_with(llm, &how, &p), BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_BUDGET);
    /* retry_min_per_sec 1 over retry_ttl 10s: ten in all. */
    for (int i = 0; i < 30; i++)
        granted += breaker_retry(llm, 1, BREAKER_FAILURE, 0, &token) ==
                   BREAKER_ALLOWED;
    assert_int_equal(granted, 9);
    assert_int_equal(token.reason, BREAKER_REASON_BUDGET);
    assert_int_equal(breaker_retry(llm, 1, BREAKER_REJECTED, 0, &token),
                     BREAKER_DENIED);
    assert_int_equal(token.reason, BREAKER_REASON_NOT_RETRYABLE);
    assert_int_equal(breaker_retry(llm, 3, BREAKER_FAILURE, 0, &token),
                     BREAKER_DENIED);
    assert_int_equal(token.reason, BREAKER_REASON_MAX_ATTEMPTS);
    assert_int_equal(breaker_retry(llm, 0, BREAKER_FAILURE, 0, &token),
                     BREAKER_DENIED);
    assert_int_equal(token.reason, BREAKER_REASON_UNAVAILABLE);
}

static void
a_token_given_back_is_money_again(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm;
    struct breaker_token tokens[10];
    struct breaker_token more;

    stage_open(s, BREAKER_MODE_LOCAL, 0, 20);
    llm = breaker_service(s->b, "llm");
    for (int i = 0; i < 10; i++)
        assert_int_equal(breaker_retry(llm, 1, BREAKER_FAILURE, 0, &tokens[i]),
                         BREAKER_ALLOWED);
    assert_int_equal(breaker_retry(llm, 1, BREAKER_FAILURE, 0, &more),
                     BREAKER_DENIED);
    assert_int_equal(breaker_token_release(&tokens[3]), BREAKER_APPLIED);
    assert_int_equal(breaker_token_release(&tokens[3]), BREAKER_STALE);
    assert_int_equal(breaker_retry(llm, 1, BREAKER_FAILURE, 0, &more),
                     BREAKER_ALLOWED);
}

/* ---- from the last published state ---- */

static struct stage *
after_the_daemon(void **state, const char *settings, uint32_t failures,
                 uint64_t workers)
{
    struct stage *s = *state;

    s->shm = shm_new(s->dir);
    shm_configure(s->shm, settings);
    for (uint32_t i = 0; i < failures; i++) {
        struct bk_report report = {.name = "llm",
                                   .name_len = 3,
                                   .is_current = true,
                                   .outcome = BK_FAILURE,
                                   .latency_ns = -1,
                                   .attempt = 1};
        enum bk_applied applied;

        assert_int_equal(
            bk_fleet_report(shm_fleet(s->shm), shm_now(), &report, &applied),
            BK_OK);
    }
    shm_publish(s->shm);
    atomic_store(&shm_segment(s->shm)->header->workers, workers);
    shm_stop_heart(s->shm, 2 * BK_NS_PER_S);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    return s;
}

static void
the_count_goes_on_where_the_daemon_left_it(void **state)
{
    struct stage *s = after_the_daemon(
        state, "failure_threshold=4 recovery_timeout=7s", 3, 1);

    assert_int_equal(fail_once(s, "llm"), BREAKER_APPLIED);
    assert_int_equal(ask(s, "llm").verdict, BREAKER_DENIED);
    assert_in_range(ask(s, "llm").retry_after_ms, 6000, 7000);
    assert_int_equal(s->warnings, 1);
}

static void
an_open_circuit_stays_open(void **state)
{
    struct stage *s = after_the_daemon(
        state, "failure_threshold=2 recovery_timeout=9s", 2, 1);
    struct breaker_permit p = ask(s, "llm");

    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_OPEN);
    assert_in_range(p.retry_after_ms, 7000, 9000);
}

static void
half_open_comes_back_open_and_due(void **state)
{
    struct stage *s = *state;
    struct bk_acquire probe = {.name = "llm", .name_len = 3, .attempt = 1};
    struct bk_acquired answer;
    struct breaker_permit p;
    struct bk_report report = {.name = "llm",
                               .name_len = 3,
                               .is_current = true,
                               .outcome = BK_FAILURE,
                               .latency_ns = -1};
    enum bk_applied applied;

    s->shm = shm_new(s->dir);
    shm_configure(s->shm, "failure_threshold=1 recovery_timeout=1ms");
    assert_int_equal(
        bk_fleet_report(shm_fleet(s->shm), shm_now(), &report, &applied),
        BK_OK);
    sleep_ms(5);
    assert_int_equal(
        bk_fleet_acquire(shm_fleet(s->shm), shm_now(), &probe, &answer), BK_OK);
    assert_true(answer.is_allowed);
    assert_int_equal(answer.state, BK_HALF_OPEN);
    shm_publish(s->shm);
    shm_stop_heart(s->shm, 2 * BK_NS_PER_S);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    /* The fleet's probe is out, but its lease is not this machine's. */
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    assert_int_equal(p.state, BREAKER_HALF_OPEN);
    assert_int_equal(p.generation, answer.generation + 2);
    assert_int_equal(ask(s, "llm").reason, BREAKER_REASON_HALF_OPEN);
    assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 1), BREAKER_APPLIED);
}

static void
the_reserve_is_shared_among_workers(void **state)
{
    struct stage *s =
        after_the_daemon(state, "retry_min_per_sec=2 retry_ratio=0", 0, 4);
    struct breaker_token token;
    struct bk_report seen = {.name = "llm",
                             .name_len = 3,
                             .is_current = true,
                             .outcome = BK_SUCCESS,
                             .latency_ns = -1};
    enum bk_applied applied;
    int granted = 0;

    assert_int_equal(
        bk_fleet_report(shm_fleet(s->shm), shm_now(), &seen, &applied), BK_OK);
    shm_publish(s->shm);
    for (int i = 0; i < 30; i++)
        granted += breaker_retry(breaker_service(s->b, "llm"), 1,
                                 BREAKER_FAILURE, 0, &token) == BREAKER_ALLOWED;
    /* 2 a second over 10 s, a quarter of it. */
    assert_int_equal(granted, 5);
}

static void
routes_and_requirements_come_along(void **state)
{
    struct stage *s = *state;
    struct bk_route route = {
        .name = "any", .count = 2, .members = {"first", "second"}};
    struct bk_report report = {.name = "first",
                               .name_len = 5,
                               .is_current = true,
                               .outcome = BK_FAILURE,
                               .latency_ns = -1};
    enum bk_applied applied;
    struct breaker_permit p;

    s->shm = shm_new(s->dir);
    shm_configure(s->shm, "failure_threshold=1");
    assert_true(bk_fleet_set_routes(shm_fleet(s->shm), &route, 1));
    atomic_store(&shm_segment(s->shm)->header->route_count, 1);
    assert_int_equal(
        bk_fleet_report(shm_fleet(s->shm), shm_now(), &report, &applied),
        BK_OK);
    shm_configure(s->shm, "requires=first");
    report.name = "third";
    report.outcome = BK_SUCCESS;
    assert_int_equal(
        bk_fleet_report(shm_fleet(s->shm), shm_now(), &report, &applied),
        BK_OK);
    shm_publish(s->shm);
    shm_stop_heart(s->shm, 2 * BK_NS_PER_S);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    p = ask(s, "any");
    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    assert_string_equal(breaker_service_name(p.service), "second");
    assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 1), BREAKER_APPLIED);
    assert_int_equal(ask(s, "third").reason, BREAKER_REASON_REQUIRES);
}

static void
what_it_leased_ends_with_it(void **state)
{
    struct stage *s = after_the_daemon(state, "max_concurrent=1", 0, 1);
    struct breaker_permit p;
    struct bk_report seen = {.name = "llm",
                             .name_len = 3,
                             .is_current = true,
                             .outcome = BK_SUCCESS,
                             .latency_ns = -1};
    enum bk_applied applied;

    assert_int_equal(
        bk_fleet_report(shm_fleet(s->shm), shm_now(), &seen, &applied), BK_OK);
    shm_publish(s->shm);
    p = ask(s, "llm");
    assert_int_not_equal(p.id, 0);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_int_equal(breaker_renew(&p, 1000), BREAKER_APPLIED);
    assert_int_equal(ask(s, "llm").reason, BREAKER_REASON_CONCURRENCY);
    /* The daemon returns; the lease was the local machine's. */
    shm_start_heart(s->shm);
    (void)breaker_acquire_name(s->b, "other", NULL);
    assert_non_null(strstr(s->log, "is back"));
    assert_int_equal(breaker_renew(&p, 1000), BREAKER_STALE);
    assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 1), BREAKER_STALE);
}

/* ---- choices ---- */

static void
fail_open_lets_all_through_and_pays_retries(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    struct breaker_token token;
    int granted = 0;

    stage_open(s, BREAKER_MODE_AUTO, BREAKER_FAIL_OPEN, 20);
    for (int i = 0; i < 20; i++) {
        p = ask(s, "llm");
        assert_int_equal(p.verdict, BREAKER_ALLOWED);
        assert_int_equal(p.source, BREAKER_BY_NOBODY);
        assert_int_equal(breaker_report(&p, BREAKER_FAILURE, 1), BREAKER_DONE);
    }
    assert_non_null(strstr(s->log, "every call is let through"));
    for (int i = 0; i < 30; i++)
        granted += breaker_retry(breaker_service(s->b, "llm"), 1,
                                 BREAKER_FAILURE, 0, &token) == BREAKER_ALLOWED;
    assert_int_equal(granted, 10);
}

static void
fail_closed_denies_all(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    struct breaker_token token;
    char json[64];

    stage_open(s, BREAKER_MODE_AUTO, BREAKER_FAIL_CLOSED, 20);
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_UNAVAILABLE);
    assert_int_equal(p.source, BREAKER_BY_NOBODY);
    assert_string_equal(breaker_reason_name(p.reason), "unavailable");
    assert_non_null(strstr(s->log, "every call is denied"));
    assert_int_equal(breaker_retry(breaker_service(s->b, "llm"), 1,
                                   BREAKER_FAILURE, 0, &token),
                     BREAKER_DENIED);
    assert_int_equal(
        breaker_status(breaker_service(s->b, "llm"), json, sizeof json),
        BREAKER_ERROR_UNAVAILABLE);
}

static void
the_environment_chooses_and_configures(void **state)
{
    struct stage *s = *state;

    setenv("BREAKERD_MODE", "local", 1);
    setenv("CIRCUIT_BREAKER_THRESHOLD", "2", 1);
    setenv("CIRCUIT_BREAKER_TIMEOUT", "3.5", 1);
    stage_open(s, 0, 0, 20);
    assert_int_equal(fail_once(s, "llm"), BREAKER_APPLIED);
    assert_int_equal(fail_once(s, "llm"), BREAKER_APPLIED);
    assert_in_range(ask(s, "llm").retry_after_ms, 3000, 3500);
    assert_string_equal(s->log, "");
    breaker_close(&s->b);

    setenv("BREAKERD_MODE", "quick", 1);
    setenv("BREAKERD_FAIL", "maybe", 1);
    setenv("CIRCUIT_BREAKER_THRESHOLD", "many", 1);
    stage_open(s, 0, 0, 20);
    unsetenv("BREAKERD_MODE");
    unsetenv("BREAKERD_FAIL");
    unsetenv("CIRCUIT_BREAKER_THRESHOLD");
    unsetenv("CIRCUIT_BREAKER_TIMEOUT");
    assert_int_equal(s->warnings, 3);
    assert_non_null(strstr(s->log, "none of auto, zmq, local"));
    assert_non_null(strstr(s->log, "none of local, open, closed"));
    assert_non_null(strstr(s->log, "CIRCUIT_BREAKER_THRESHOLD"));
}

static void
more_services_than_it_holds_are_let_through(void **state)
{
    struct stage *s = *state;
    char name[32];
    int alone = 0;

    stage_open(s, BREAKER_MODE_LOCAL, 0, 20);
    for (int i = 0; i < 600; i++) {
        struct breaker_permit p;

        snprintf(name, sizeof name, "s%d", i);
        p = ask(s, name);
        assert_int_equal(p.verdict, BREAKER_ALLOWED);
        alone += p.source == BREAKER_BY_NOBODY;
    }
    assert_int_equal(alone, 600 - 512);
}

/* ---- a promise broken inside the core ---- */

static void
break_promise(void *context)
{
    (void)context;
    bk_bug("the impossible did not happen", __FILE__, __LINE__);
}

static void
a_broken_promise_ends_the_work_not_the_host(void **state)
{
    const char *what = NULL;
    uint64_t before = bug_count();

    (void)state;
    assert_false(bug_guard(break_promise, NULL, &what));
    assert_string_equal(what, "the impossible did not happen");
    assert_int_equal(bug_count(), before + 1);
    /* Outside a guard it is counted, and the caller goes on. */
    break_promise(NULL);
    assert_int_equal(bug_count(), before + 2);
}

int
main(void)
{
#define ALONE(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        ALONE(it_trips_and_denies_with_the_defaults),
        ALONE(retries_have_a_budget_and_a_backoff),
        ALONE(a_token_given_back_is_money_again),
        ALONE(the_count_goes_on_where_the_daemon_left_it),
        ALONE(an_open_circuit_stays_open),
        ALONE(half_open_comes_back_open_and_due),
        ALONE(the_reserve_is_shared_among_workers),
        ALONE(routes_and_requirements_come_along),
        ALONE(what_it_leased_ends_with_it),
        ALONE(fail_open_lets_all_through_and_pays_retries),
        ALONE(fail_closed_denies_all),
        ALONE(the_environment_chooses_and_configures),
        ALONE(more_services_than_it_holds_are_let_through),
        ALONE(a_broken_promise_ends_the_work_not_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
