/* SPDX-License-Identifier: Apache-2.0
 *
 * The client with the real breakerd, which is stopped, killed and started again
 * under it. */
#define _GNU_SOURCE
#include "client_live.h"
#include "unit.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A loaded machine adds to every deadline. */
#define SLACK_NS (400 * BK_NS_PER_MS)
#define DEADLINE_MS 50
#define DEADLINE_NS (DEADLINE_MS * BK_NS_PER_MS)

static struct breaker_permit
ask(struct stage *s, const char *name)
{
    struct breaker_permit permit;

    (void)breaker_acquire_name(s->b, name, &permit);
    return permit;
}

/* Asks until that source answers, 5 s at most. */
static bool
comes_from(struct stage *s, const char *name, int source)
{
    for (int i = 0; i < 500; i++) {
        if (ask(s, name).source == source)
            return true;
        sleep_ms(10);
    }
    return false;
}

static void
the_whole_story_with_either_mode(void **state)
{
    static const int modes[] = {BREAKER_MODE_ZMQ, BREAKER_MODE_AUTO};
    struct stage *s = *state;

    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        const char *name = m == 0 ? "first" : "second";
        struct breaker_permit p;
        char json[8192];

        stage_open(s, (enum breaker_mode)modes[m], 0, 2000);
        for (int i = 0; i < 5; i++) {
            struct breaker_details more = BREAKER_DETAILS_INIT;

            p = ask(s, name);
            assert_int_equal(p.verdict, BREAKER_ALLOWED);
            more.text = "503 from here";
            more.flags = BREAKER_CONFIRM;
            assert_int_equal(breaker_report_with(&p, BREAKER_FAILURE, &more),
                             BREAKER_APPLIED);
        }
        p = ask(s, name);
        assert_int_equal(p.verdict, BREAKER_DENIED);
        assert_int_equal(p.reason, BREAKER_REASON_OPEN);
        assert_in_range(p.retry_after_ms, 50000, 60000);
        assert_int_equal(p.source,
                         m == 0 ? BREAKER_BY_DAEMON : BREAKER_BY_MEMORY);
        breaker_close(&s->b);
        stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
        assert_true(
            breaker_status(breaker_service(s->b, name), json, sizeof json) > 0);
        assert_non_null(strstr(json, "\"running\":true"));
        assert_non_null(strstr(json, "\"state\":\"open\""));
        assert_non_null(strstr(json, "\"worker\":\"tester\""));
        assert_non_null(strstr(json, "\"text\":\"503 from here\""));
        /* The same truth, whoever decided. */
        assert_int_equal(live_number(s, name, "\"allowed\":"), 5);
        assert_int_equal(live_number(s, name, "\"denied\":"), 0);
        assert_non_null(strstr(json, "\"allowed\":5,\"denied\":1"));
        assert_true(breaker_config(s->b, breaker_service(s->b, name), json,
                                   sizeof json) > 0);
        assert_non_null(strstr(json, "failure_threshold"));
        breaker_close(&s->b);
    }
}

/* By the clock, while the counter's rate is not known, and by the counter. */
static void
the_stopwatch_knows_how_long_it_took(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm;
    struct breaker_permit p;
    char json[8192];
    const char *at = json;
    int found = 0;

    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    llm = breaker_service(s->b, "llm");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(breaker_begin(llm, &p), BREAKER_ALLOWED);
        sleep_ms(30);
        assert_int_equal(breaker_end(&p, BREAKER_FAILURE), BREAKER_DONE);
        assert_int_equal(breaker_end(&p, BREAKER_FAILURE), BREAKER_STALE);
    }
    assert_true(breaker_status(llm, json, sizeof json) > 0);
    while ((at = strstr(at, "\"latency_ms\":")) != NULL) {
        at += strlen("\"latency_ms\":");
        assert_in_range(strtol(at, NULL, 10), 30, 30 + SLACK_NS / BK_NS_PER_MS);
        found++;
    }
    assert_int_equal(found, 4);
    assert_int_equal(breaker_begin(NULL, &p), BREAKER_ALLOWED);
    assert_int_equal(breaker_end(NULL, BREAKER_SUCCESS),
                     BREAKER_ERROR_ARGUMENT);
    breaker_close(&s->b);
}

static void
retries_draw_on_the_fleets_budget(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm;
    struct breaker_token token;
    struct breaker_ask how = BREAKER_ASK_INIT;
    struct breaker_permit p;
    int granted = 0;

    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    llm = breaker_service(s->b, "llm");
    assert_int_equal(breaker_retry(llm, 1, BREAKER_TIMEOUT, 1500, &token),
                     BREAKER_ALLOWED);
    assert_int_equal(token.source, BREAKER_BY_DAEMON);
    assert_int_equal(token.delay_ms, 1500);
    how.token = &token;
    assert_int_equal(breaker_acquire_with(llm, &how, &p), BREAKER_ALLOWED);
    assert_int_equal(p.source, BREAKER_BY_DAEMON);
    assert_int_equal(p.attempt, 2);
    assert_int_equal(breaker_acquire_with(llm, &how, &p), BREAKER_DENIED);
    assert_int_equal(p.reason, BREAKER_REASON_BUDGET);
    for (int i = 0; i < 40; i++)
        granted += breaker_retry(llm, 1, BREAKER_TIMEOUT, 0, &token) ==
                   BREAKER_ALLOWED;
    assert_in_range(granted, 9, 10);
}

struct asker {
    struct stage *stage;
    struct breaker_permit permit;
};

static void *
ask_for_probe(void *context)
{
    struct asker *asker = context;

    asker->permit = ask(asker->stage, "quick");
    return NULL;
}

/* Threads that ask at the moment of half open; returns who was let through. */
static int
ask_at_once(struct stage *s, struct breaker_permit *probe)
{
    struct asker askers[8];
    pthread_t threads[8];
    int allowed = 0;

    for (int i = 0; i < 8; i++) {
        askers[i].stage = s;
        assert_int_equal(
            pthread_create(&threads[i], NULL, ask_for_probe, &askers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        if (askers[i].permit.verdict != BREAKER_ALLOWED)
            continue;
        allowed++;
        *probe = askers[i].permit;
    }
    return allowed;
}

static void
of_eight_threads_one_probes(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;

    stage_open(s, BREAKER_MODE_AUTO, 0, 5000);
    for (int i = 0; i < 2; i++) {
        p = ask(s, "quick");
        (void)breaker_report(&p, BREAKER_FAILURE, 1);
    }
    for (int round = 0; round < 10; round++) {
        assert_int_equal(breaker_ping(s->b, NULL), 0);
        assert_int_equal(ask(s, "quick").reason, BREAKER_REASON_OPEN);
        sleep_ms(320);
        assert_int_equal(ask_at_once(s, &p), 1);
        assert_int_equal(p.source, BREAKER_BY_DAEMON);
        assert_int_equal(p.state, BREAKER_HALF_OPEN);
        assert_int_equal(breaker_report(&p, BREAKER_FAILURE, 1), BREAKER_DONE);
    }
}

/* ---- the daemon in trouble ---- */

/* Calls for `ms`; none may take longer than its deadline. Counts per source. */
static void
call_for(struct stage *s, const char *name, int64_t ms, uint32_t by[4])
{
    int64_t end = mono_ns() + ms * BK_NS_PER_MS;

    memset(by, 0, 4 * sizeof by[0]);
    while (mono_ns() < end) {
        int64_t began = mono_ns();
        struct breaker_permit p = ask(s, name);

        (void)breaker_report(&p, BREAKER_SUCCESS, 10);
        assert_in_range(mono_ns() - began, 0, 2 * DEADLINE_NS + SLACK_NS);
        by[p.source]++;
        sleep_ms(1);
    }
}

static void
a_stopped_daemon_costs_one_deadline(void **state)
{
    static const int modes[] = {BREAKER_MODE_ZMQ, BREAKER_MODE_AUTO};
    struct stage *s = *state;

    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        struct breaker_stats stats = BREAKER_STATS_INIT;
        uint32_t by[4];

        s->log[0] = '\0';
        stage_open(s, (enum breaker_mode)modes[m], 0, DEADLINE_MS);
        assert_true(comes_from(s, "llm",
                               m == 0 ? BREAKER_BY_DAEMON : BREAKER_BY_MEMORY));
        assert_int_equal(kill(live_pid(), SIGSTOP), 0);
        call_for(s, "llm", 1500, by);
        assert_true(by[BREAKER_BY_LOCAL] > 50);
        assert_int_equal(by[BREAKER_BY_NOBODY], 0);
        assert_non_null(strstr(s->log, "breakerd is away"));
        assert_int_equal(kill(live_pid(), SIGCONT), 0);
        assert_true(comes_from(s, "llm",
                               m == 0 ? BREAKER_BY_DAEMON : BREAKER_BY_MEMORY));
        assert_non_null(strstr(s->log, "breakerd is back"));
        assert_int_equal(breaker_stats(s->b, &stats), 0);
        assert_in_range(stats.unanswered, 0, 3);
        /* A machine that stands still may make another. */
        assert_in_range(stats.outages, 1, 2);
        breaker_close(&s->b);
    }
}

/* What it granted while nobody waited any more is given back. */
static void
a_permit_granted_too_late_is_free_again(void **state)
{
    struct stage *s = *state;
    struct breaker_stats stats = BREAKER_STATS_INIT;
    struct breaker_permit p;

    stage_open(s, BREAKER_MODE_ZMQ, 0, DEADLINE_MS);
    assert_true(comes_from(s, "llm", BREAKER_BY_DAEMON));
    assert_int_equal(kill(live_pid(), SIGSTOP), 0);
    assert_int_equal(ask(s, "slow").source, BREAKER_BY_LOCAL);
    assert_int_equal(kill(live_pid(), SIGCONT), 0);
    assert_true(comes_from(s, "llm", BREAKER_BY_DAEMON));
    breaker_stats(s->b, &stats);
    assert_int_equal(stats.late, 1);
    for (int i = 0; i < 100 && live_number(s, "slow", "\"in_use\":") != 0; i++)
        sleep_ms(10);
    p = ask(s, "slow");
    assert_int_equal(p.source, BREAKER_BY_DAEMON);
    assert_int_equal(p.verdict, BREAKER_ALLOWED);
    assert_int_not_equal(p.id, 0);
    assert_int_equal(breaker_release(&p), BREAKER_DONE);
}

static void
killed_and_started_again_it_goes_on(void **state)
{
    struct stage *s = *state;

    stage_open(s, BREAKER_MODE_AUTO, 0, DEADLINE_MS);
    for (int i = 0; i < 6; i++) {
        struct breaker_permit p = ask(s, "llm");

        (void)breaker_report(&p, BREAKER_FAILURE, 1);
        sleep_ms(20);
    }
    assert_int_equal(ask(s, "llm").verdict, BREAKER_DENIED);
    assert_true(comes_from(s, "other", BREAKER_BY_MEMORY));
    for (int round = 0; round < 5; round++) {
        uint32_t by[4];

        live_end(SIGKILL);
        call_for(s, "other", round == 0 ? 1300 : 100, by);
        assert_int_equal(by[BREAKER_BY_NOBODY], 0);
        if (round == 0)
            assert_true(by[BREAKER_BY_LOCAL] > 0);
        /* What was open stays open, whoever says so. */
        assert_int_equal(ask(s, "llm").verdict, BREAKER_DENIED);
        live_start(s);
        assert_true(comes_from(s, "other", BREAKER_BY_MEMORY));
        assert_int_equal(ask(s, "llm").verdict, BREAKER_DENIED);
        assert_int_equal(ask(s, "llm").source, BREAKER_BY_MEMORY);
    }
}

static void
a_lost_segment_is_found_anew(void **state)
{
    struct stage *s = *state;
    char path[128];

    stage_open(s, BREAKER_MODE_AUTO, 0, DEADLINE_MS);
    stage_path(s, "breakerd.shm", path);
    assert_true(comes_from(s, "llm", BREAKER_BY_MEMORY));
    for (int round = 0; round < 3; round++) {
        struct breaker_permit p;
        struct breaker_details more = BREAKER_DETAILS_INIT;

        live_end(SIGKILL);
        assert_int_equal(unlink(path), 0);
        live_start(s);
        sleep_ms(1100); /* the old mapping's heart is dead by now */
        assert_true(comes_from(s, "llm", BREAKER_BY_MEMORY));
        p = ask(s, "llm");
        more.flags = BREAKER_CONFIRM;
        assert_int_equal(breaker_report_with(&p, BREAKER_SUCCESS, &more),
                         BREAKER_APPLIED);
    }
}

int
main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_up, live_down)
    const struct CMUnitTest tests[] = {
        LIVE(the_whole_story_with_either_mode),
        LIVE(the_stopwatch_knows_how_long_it_took),
        LIVE(retries_draw_on_the_fleets_budget),
        LIVE(of_eight_threads_one_probes),
        LIVE(a_stopped_daemon_costs_one_deadline),
        LIVE(a_permit_granted_too_late_is_free_again),
        LIVE(killed_and_started_again_it_goes_on),
        LIVE(a_lost_segment_is_found_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
