/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions from shared memory, with nobody to ask. */
#include "client_stage.h"
#include "unit.h"
#include <stdio.h>

static struct bk_acquired
fleet_acquire(struct shm *shm, const char *name)
{
    struct bk_acquire ask = {
        .name = name, .name_len = strlen(name), .attempt = 1};
    struct bk_acquired answer = {.is_allowed = false};

    assert_int_equal(bk_fleet_acquire(shm_fleet(shm), shm_now(), &ask, &answer),
                     BK_OK);
    return answer;
}

static void
fleet_report(struct shm *shm, const char *name, enum bk_outcome outcome,
             int64_t retry_after_ns)
{
    struct bk_report report = {.name = name,
                               .name_len = strlen(name),
                               .is_current = true,
                               .outcome = outcome,
                               .latency_ns = -1,
                               .attempt = 1,
                               .retry_after_ns = retry_after_ns};
    enum bk_applied applied;

    assert_int_equal(
        bk_fleet_report(shm_fleet(shm), shm_now(), &report, &applied), BK_OK);
}

static void
fleet_order(struct shm *shm, const char *name, enum bk_mode mode,
            int64_t duration_ns)
{
    struct bk_order order = {.name = name,
                             .name_len = strlen(name),
                             .mode = mode,
                             .duration_ns = duration_ns,
                             .actor = "0:0:1"};
    uint32_t slot;
    bool was;

    assert_int_equal(
        bk_fleet_order(shm_fleet(shm), shm_now(), &order, &slot, &was), BK_OK);
}

static struct stage *
with_service(void **state, const char *settings)
{
    struct stage *s = *state;

    s->shm = shm_new(s->dir);
    shm_configure(s->shm, settings);
    (void)fleet_acquire(s->shm, "llm");
    shm_publish(s->shm);
    stage_open(s, BREAKER_MODE_AUTO, 0, 20);
    return s;
}

static struct breaker_permit
ask(struct stage *s, const char *name)
{
    struct breaker_permit permit;
    enum breaker_verdict verdict = breaker_acquire_name(s->b, name, &permit);

    assert_int_equal(verdict, permit.verdict);
    return permit;
}

static void
closed_is_allowed_from_memory(void **state)
{
    struct stage *s = with_service(state, "");
    struct breaker_stats stats = BREAKER_STATS_INIT;
    struct breaker_permit p = ask(s, "llm");

    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    assert_int_equal(p.source, BREAKER_BY_MEMORY);
    assert_int_equal(p.state, BREAKER_CLOSED);
    assert_int_equal(p.id, 0);
    assert_int_equal(p.generation, 0);
    assert_string_equal(breaker_service_name(p.service), "llm");
    assert_int_equal(breaker_stats(s->b, &stats), 0);
    assert_int_equal(stats.by_memory, 1);
    assert_string_equal(s->log, "");
}

static void
open_is_denied_with_the_time_left(void **state)
{
    struct stage *s =
        with_service(state, "failure_threshold=2 recovery_timeout=5s");
    struct breaker_permit p;

    fleet_report(s->shm, "llm", BK_FAILURE, 0);
    fleet_report(s->shm, "llm", BK_FAILURE, 0);
    shm_publish(s->shm);
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_OPEN);
    assert_int_equal(p.state, BREAKER_OPEN);
    assert_int_equal(p.source, BREAKER_BY_MEMORY);
    assert_in_range(p.retry_after_ms, 4000, 5000);
}

static void
a_hold_is_denied_until_it_ends(void **state)
{
    struct stage *s = with_service(state, "");
    struct breaker_permit p;

    fleet_report(s->shm, "llm", BK_RATE_LIMITED, SECONDS(3));
    shm_publish(s->shm);
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_RATE_LIMITED);
    assert_in_range(p.retry_after_ms, 2500, 3000);
}

static void
forced_open_without_an_end_has_no_wait(void **state)
{
    struct stage *s = with_service(state, "");
    struct breaker_permit p;

    fleet_order(s->shm, "llm", BK_FORCED_OPEN, BK_NEVER);
    shm_publish(s->shm);
    p = ask(s, "llm");
    assert_int_equal(p.verdict, BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_FORCED_OPEN);
    assert_int_equal(p.retry_after_ms, 0);
}

/* When the open time is over the word says "ask", and here nobody answers: the
 * local machine, started from this state, lets one probe through. */
static void
a_denial_that_is_over_is_not_believed(void **state)
{
    struct stage *s =
        with_service(state, "failure_threshold=1 recovery_timeout=1s");
    struct breaker_permit p;

    fleet_report(s->shm, "llm", BK_FAILURE, 0);
    shm_publish(s->shm);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_MEMORY);
    sleep_ms(1050);
    p = ask(s, "llm");
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    assert_int_equal(p.state, BREAKER_HALF_OPEN);
    assert_int_not_equal(p.id, 0);
    assert_int_equal(ask(s, "llm").verdict, BREAKER_DENIED);
}

static void
the_whole_generation_comes_with_the_permit(void **state)
{
    struct stage *s = with_service(state, "failure_threshold=1");
    bool was;

    assert_int_equal(ask(s, "llm").generation, 0);
    for (int i = 0; i < 5000; i++) {
        struct bk_note note;

        assert_int_equal(
            bk_fleet_reset(shm_fleet(s->shm), shm_now(), "llm", 3, false, &was),
            BK_OK);
        while (bk_fleet_next_note(shm_fleet(s->shm), &note))
            ;
        /* Past 4096 the twelve bits of the word begin anew. */
        if (i % 100 == 0) {
            shm_publish(s->shm);
            assert_int_equal(ask(s, "llm").generation, (uint64_t)i + 1);
        }
    }
    shm_publish(s->shm);
    assert_int_equal(ask(s, "llm").generation, 5000);
}

/* A handle that slept through exactly 4096 generations finds its own bits again. */
static void
a_generation_is_believed_for_a_second(void **state)
{
    struct stage *s = with_service(state, "");
    bool was;

    assert_int_equal(ask(s, "llm").generation, 0);
    for (int i = 0; i < 4096; i++) {
        struct bk_note note;

        bk_fleet_reset(shm_fleet(s->shm), shm_now(), "llm", 3, false, &was);
        while (bk_fleet_next_note(shm_fleet(s->shm), &note))
            ;
    }
    shm_publish(s->shm);
    sleep_ms(1020);
    assert_int_equal(ask(s, "llm").generation, 4096);
}

static void
a_slot_with_a_new_name_fools_no_handle(void **state)
{
    struct stage *s = with_service(state, "");
    struct breaker_service *llm = breaker_service(s->b, "llm");
    struct breaker_permit p;

    assert_int_equal(breaker_acquire(llm, &p), BREAKER_ALLOWED);
    assert_int_equal(bk_fleet_forget(shm_fleet(s->shm), "llm", 3), BK_OK);
    fleet_order(s->shm, "other", BK_FORCED_OPEN, BK_NEVER);
    shm_publish(s->shm);
    assert_int_equal(bk_fleet_find(shm_fleet(s->shm), "other", 5), 0);
    assert_int_equal(ask(s, "other").verdict, BREAKER_DENIED);
    /* llm is gone: nobody published anything about it. */
    assert_int_equal(breaker_acquire(llm, &p), BREAKER_ALLOWED);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
}

static void
limits_and_retries_are_asked(void **state)
{
    struct stage *s = with_service(state, "max_concurrent=2");
    struct breaker_token token = {.attempt = 2};
    struct breaker_ask how = BREAKER_ASK_INIT;
    struct breaker_permit p = ask(s, "llm");

    /* Nobody answers: each falls to the local machine. */
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_int_not_equal(p.id, 0);
    how.token = &token;
    assert_int_equal(
        breaker_acquire_with(breaker_service(s->b, "llm"), &how, &p),
        BREAKER_DENIED);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_int_equal(p.reason, BREAKER_REASON_BUDGET);
    assert_int_equal(token.is_settled, 0);
}

static void
a_stale_heart_ends_belief_and_a_beat_restores_it(void **state)
{
    struct stage *s = with_service(state, "");

    assert_int_equal(ask(s, "llm").source, BREAKER_BY_MEMORY);
    shm_stop_heart(s->shm, 1100 * BK_NS_PER_MS);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_LOCAL);
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->log, "heartbeat is 1."));
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_LOCAL);
    assert_int_equal(s->warnings, 1);
    shm_start_heart(s->shm);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_MEMORY);
    assert_non_null(strstr(s->log, "breakerd is back"));
}

/* Who asks without a pause looks at the heart once a tick, and sees in time that it has
 * stopped: for each service, whether the call is timed or not. */
static void
a_busy_caller_sees_a_heart_that_stops(void **state)
{
    /* A coarse clock's tick, and for how long the stopwatch stands for it. */
    static const int64_t late_ns = 12 * BK_NS_PER_MS;
    struct stage *s = with_service(state, "");
    struct breaker_service *services[2];
    struct breaker_permit p = {.source = BREAKER_BY_MEMORY};
    int64_t beat_ns;
    uint64_t count = 0;

    (void)fleet_acquire(s->shm, "db");
    shm_publish(s->shm);
    services[0] = breaker_service(s->b, "llm");
    services[1] = breaker_service(s->b, "db");
    shm_stop_heart(s->shm, 900 * BK_NS_PER_MS);
    beat_ns = atomic_load(&shm_segment(s->shm)->header->heartbeat_mono_ns);
    for (; p.source == BREAKER_BY_MEMORY; count++) {
        int64_t before_ns = mono_ns();

        if (count % 3 == 0)
            breaker_begin(services[count % 2], &p);
        else
            breaker_acquire(services[count % 2], &p);
        if (p.source == BREAKER_BY_MEMORY)
            assert_true(before_ns < beat_ns + BK_NS_PER_S + late_ns);
    }
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_true(count > 100);
}

/* After a boot the clocks begin anew: a beat of the future is no sign of life. */
static void
a_heart_of_the_future_is_no_life(void **state)
{
    struct stage *s = with_service(state, "");

    shm_stop_heart(s->shm, -3600 * BK_NS_PER_S);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_LOCAL);
}

static void
a_clean_stop_is_seen_at_once(void **state)
{
    struct stage *s = with_service(state, "");

    atomic_store(&shm_segment(s->shm)->header->phase, BK_SEGMENT_STOPPED);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_LOCAL);
    assert_non_null(strstr(s->log, "stopped"));
}

static void
bypass_lets_through_and_a_required_one_bars(void **state)
{
    struct stage *s = with_service(state, "requires=base");

    fleet_order(s->shm, "base", BK_FORCED_OPEN, BK_NEVER);
    shm_publish(s->shm);
    assert_int_equal(ask(s, "llm").reason, BREAKER_REASON_REQUIRES);
    fleet_order(s->shm, "llm", BK_BYPASS, BK_NEVER);
    shm_publish(s->shm);
    assert_int_equal(ask(s, "llm").verdict, BREAKER_ALLOWED);
    assert_int_equal(ask(s, "llm").source, BREAKER_BY_MEMORY);
}

static void
names_are_checked_and_remembered(void **state)
{
    struct stage *s = with_service(state, "");
    struct breaker_permit p;
    char long_name[70];

    memset(long_name, 'a', sizeof long_name);
    long_name[64] = '\0';
    assert_null(breaker_service(s->b, long_name));
    assert_non_null(strstr(breaker_error_text(), "1 to 63"));
    assert_null(breaker_service(s->b, ""));
    assert_null(breaker_service(s->b, "-"));
    assert_null(breaker_service(s->b, "*"));
    assert_null(breaker_service(s->b, "a b"));
    assert_null(breaker_service(NULL, "a"));
    long_name[63] = '\0';
    assert_non_null(breaker_service(s->b, long_name));
    assert_ptr_equal(breaker_service(s->b, "x"), breaker_service(s->b, "x"));
    /* No breaker: calls go through. */
    assert_int_equal(breaker_acquire_name(s->b, "a b", &p), BREAKER_ALLOWED);
    assert_int_equal(p.source, BREAKER_BY_NOBODY);
    assert_int_equal(breaker_report(&p, BREAKER_FAILURE, 1), BREAKER_DONE);
    assert_int_equal(breaker_release(&p), BREAKER_STALE);
    assert_int_equal(breaker_acquire(NULL, NULL), BREAKER_ALLOWED);
}

static void
names_have_a_limit(void **state)
{
    struct stage *s = with_service(state, "");
    char name[32];

    for (int i = 0; i < BREAKER_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_non_null(breaker_service(s->b, name));
    }
    assert_null(breaker_service(s->b, "one-more"));
    assert_non_null(strstr(breaker_error_text(), "too many"));
    assert_non_null(breaker_service(s->b, "s77"));
}

int
main(void)
{
#define GATE(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        GATE(closed_is_allowed_from_memory),
        GATE(open_is_denied_with_the_time_left),
        GATE(a_hold_is_denied_until_it_ends),
        GATE(forced_open_without_an_end_has_no_wait),
        GATE(a_denial_that_is_over_is_not_believed),
        GATE(the_whole_generation_comes_with_the_permit),
        GATE(a_generation_is_believed_for_a_second),
        GATE(a_slot_with_a_new_name_fools_no_handle),
        GATE(limits_and_retries_are_asked),
        GATE(a_stale_heart_ends_belief_and_a_beat_restores_it),
        GATE(a_busy_caller_sees_a_heart_that_stops),
        GATE(a_heart_of_the_future_is_no_life),
        GATE(a_clean_stop_is_seen_at_once),
        GATE(bypass_lets_through_and_a_required_one_bars),
        GATE(names_are_checked_and_remembered),
        GATE(names_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
