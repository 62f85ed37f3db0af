/* SPDX-License-Identifier: Apache-2.0
 *
 * The conversation with a daemon that answers, is slow, silent, gone or mad. */
#define _GNU_SOURCE
#include "client_talk.h"
#include "unit.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct breaker_permit
ask(struct stage *s)
{
    struct breaker_permit permit;

    (void)breaker_acquire_name(s->b, "llm", &permit);
    return permit;
}

static void
every_command_is_asked_and_answered(void **state)
{
    struct stage *s = with_daemon(state, 2000);
    struct breaker_service *llm = breaker_service(s->b, "llm");
    struct breaker_permit p = ask(s);
    struct breaker_details more = BREAKER_DETAILS_INIT;
    struct breaker_ask how = BREAKER_ASK_INIT;
    struct breaker_token token;
    char line[1100];
    char json[64];
    uint64_t epoch = 0;

    assert_int_equal(p.source, BREAKER_BY_DAEMON);
    assert_int_equal(p.id, 1);
    assert_int_equal(p.generation, 3);
    assert_int_equal(p.state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_renew(&p, 5000), BREAKER_APPLIED);
    assert_true(fake_line(s->fake, "RENEW", 0, line));
    assert_string_equal(line, "RENEW 1 5000");

    more.latency_us = 812;
    more.retry_after_ms = 30000;
    more.text = "503 from\neu-west";
    more.will_retry = 1;
    more.flags = BREAKER_CONFIRM;
    assert_int_equal(breaker_report_with(&p, BREAKER_RATE_LIMITED, &more),
                     BREAKER_APPLIED);
    assert_true(fake_line(s->fake, "REPORT ", 0, line));
    assert_string_equal(
        line, "REPORT llm 1 3 rate_limited 812 1+ 30000 503 from?eu-west");
    assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 1), BREAKER_STALE);

    assert_int_equal(breaker_retry(llm, 1, BREAKER_TIMEOUT, 0, &token),
                     BREAKER_ALLOWED);
    assert_int_equal(token.delay_ms, 250);
    assert_int_equal(token.attempt, 2);
    how.token = &token;
    how.ttl_ms = 9000;
    assert_int_equal(breaker_acquire_with(llm, &how, &p), BREAKER_ALLOWED);
    assert_true(fake_line(s->fake, "ACQUIRE", 1, line));
    assert_string_equal(line, "ACQUIRE llm 2 2 9000");
    assert_int_equal(token.is_settled, 1);
    assert_int_equal(breaker_token_release(&token), BREAKER_STALE);
    assert_int_equal(breaker_release(&p), BREAKER_DONE);
    assert_true(fake_wait(s->fake, "RELEASE 3", 1));

    assert_int_equal(breaker_status(llm, json, sizeof json), 25);
    assert_string_equal(json, "{\"schema\":1,\"name\":\"llm\"}");
    assert_int_equal(breaker_status(llm, json, 5), 25);
    assert_string_equal(json, "{\"sc");
    assert_int_equal(breaker_config(s->b, llm, json, sizeof json),
                     BREAKER_ERROR_REFUSED);
    assert_non_null(strstr(breaker_error_text(), "nobody has seen it"));
    assert_int_equal(breaker_ping(s->b, &epoch), 0);
    assert_int_equal(epoch, 7);
}

static void
one_hello_a_connection(void **state)
{
    struct stage *s = with_daemon(state, 2000);
    char line[1100];
    char want[64];

    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(s).source, BREAKER_BY_DAEMON);
    assert_int_equal(fake_count(s->fake, "HELLO"), 1);
    assert_true(fake_line(s->fake, "", 0, line));
    snprintf(want, sizeof want, "HELLO 1 tester %d", (int)getpid());
    assert_string_equal(line, want);
}

/* ---- many threads ---- */

#define THREADS 8U
#define ROUNDS 50U

struct crowd {
    struct stage *stage;
    uint64_t seen[THREADS][ROUNDS];
    uint32_t failures;
};

struct member {
    struct crowd *crowd;
    uint32_t number;
};

static void *
ask_many(void *context)
{
    struct member *m = context;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct breaker_permit p = ask(m->crowd->stage);

        m->crowd->seen[m->number][i] = p.source == BREAKER_BY_DAEMON ? p.id : 0;
        (void)breaker_report(&p, BREAKER_SUCCESS, 5);
    }
    return NULL;
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void
threads_get_each_their_own_answer(void **state)
{
    struct stage *s = with_daemon(state, 10000);
    struct crowd crowd = {.stage = s};
    struct member members[THREADS];
    pthread_t threads[THREADS];
    uint64_t *all = &crowd.seen[0][0];

    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (struct member){.crowd = &crowd, .number = i};
        assert_int_equal(
            pthread_create(&threads[i], NULL, ask_many, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* Permits 1..400, each given to exactly one caller. */
    qsort(all, (size_t)THREADS * ROUNDS, sizeof *all, by_value);
    for (uint32_t i = 0; i < THREADS * ROUNDS; i++)
        assert_int_equal(all[i], i + 1);
    assert_true(fake_wait(s->fake, "REPORTQ", THREADS * ROUNDS));
}

/* ---- silence ---- */

struct one {
    struct stage *stage;
    struct breaker_permit permit;
    int64_t took_ns;
};

static void *
ask_once(void *context)
{
    struct one *one = context;
    int64_t began = mono_ns();

    one->permit = ask(one->stage);
    one->took_ns = mono_ns() - began;
    return NULL;
}

static void
silence_is_waited_for_once(void **state)
{
    struct stage *s = with_daemon(state, 100);
    pthread_t threads[THREADS];
    struct one ones[THREADS];
    struct breaker_stats stats = BREAKER_STATS_INIT;
    struct breaker_permit p = ask(s);
    int64_t began;

    assert_int_equal(p.source, BREAKER_BY_DAEMON);
    fake_mute(s->fake, true);
    for (uint32_t i = 0; i < THREADS; i++) {
        ones[i].stage = s;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &ones[i]),
                         0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(ones[i].permit.source, BREAKER_BY_LOCAL);
        assert_int_equal(ones[i].permit.verdict, BREAKER_ALLOWED);
        /* The deadline, and what a loaded machine adds to it. */
        assert_in_range(ones[i].took_ns, 0, 400 * BK_NS_PER_MS);
    }
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->log, "does not answer"));
    /* From now on nobody waits. */
    began = mono_ns();
    for (int i = 0; i < 200; i++)
        assert_int_equal(ask(s).source, BREAKER_BY_LOCAL);
    assert_in_range(mono_ns() - began, 0, 60 * BK_NS_PER_MS);
    /* It speaks: what it grants too late is given back, and it is asked again. */
    fake_mute(s->fake, false);
    for (int i = 0; i < 100 && ask(s).source != BREAKER_BY_DAEMON; i++)
        sleep_ms(10);
    assert_int_equal(ask(s).source, BREAKER_BY_DAEMON);
    assert_non_null(strstr(s->log, "breakerd is back"));
    breaker_stats(s->b, &stats);
    assert_in_range(stats.unanswered, 1, THREADS);
    assert_int_equal(stats.late, stats.unanswered);
    assert_true(fake_wait(s->fake, "RELEASE", (uint32_t)stats.late));
}

static void
a_late_grant_is_given_back(void **state)
{
    struct stage *s = with_daemon(state, 60);
    struct breaker_token token;
    struct breaker_permit p = ask(s);
    char line[1100];

    (void)p;
    fake_mute(s->fake, true);
    assert_int_equal(breaker_retry(breaker_service(s->b, "llm"), 1,
                                   BREAKER_FAILURE, 0, &token),
                     BREAKER_ALLOWED);
    assert_int_equal(token.source, BREAKER_BY_LOCAL);
    fake_mute(s->fake, false);
    for (int i = 0; i < 100 && ask(s).source != BREAKER_BY_DAEMON; i++)
        sleep_ms(10);
    assert_true(fake_wait(s->fake, "RELEASE", 1));
    assert_true(fake_line(s->fake, "RELEASE", 0, line));
    assert_string_equal(line, "RELEASE 2");
}

static void
a_restarted_daemon_is_greeted_and_asked_again(void **state)
{
    struct stage *s = with_daemon(state, 100);
    int64_t began;

    assert_int_equal(ask(s).source, BREAKER_BY_DAEMON);
    fake_free(&s->fake);
    assert_int_equal(ask(s).source, BREAKER_BY_LOCAL);
    began = mono_ns();
    assert_int_equal(ask(s).source, BREAKER_BY_LOCAL);
    assert_in_range(mono_ns() - began, 0, 50 * BK_NS_PER_MS);
    talk_go_on(s);
    for (int i = 0; i < 100 && ask(s).source != BREAKER_BY_DAEMON; i++)
        sleep_ms(10);
    assert_int_equal(ask(s).source, BREAKER_BY_DAEMON);
    assert_int_equal(fake_count(s->fake, "HELLO"), 1);
}

/* ---- mad answers ---- */

static void
play_mad(void *context, const char *line, char *answer, size_t size)
{
    static const char *const answers[] = {
        "",
        "ALLOW",
        "ALLOW llm 99999999999999999999 0 closed",
        ("ALLOW a\x01"
         "b 0 0 closed"),
        "DENY llm because 7",
        "DENY llm open -5",
        "GRANT llm 1",
        "OK",
        "\xff\xfe\xfd",
        "ERR table_full no room",
        "ERR nonsense",
    };
    static _Atomic uint32_t n;

    (void)context;
    if (strncmp(line, "HELLO", 5) == 0)
        return;
    snprintf(answer, size, "%s",
             answers[n++ % (sizeof answers / sizeof answers[0])]);
}

static void
mad_answers_are_survived(void **state)
{
    struct stage *s = *state;

    s->fake = fake_new(s->dir, play_mad, NULL);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 40);
    for (int i = 0; i < 60; i++) {
        struct breaker_permit p = ask(s);
        struct breaker_details more = BREAKER_DETAILS_INIT;

        assert_int_equal(p.source, BREAKER_BY_LOCAL);
        assert_int_equal(p.verdict, BREAKER_ALLOWED);
        more.flags = BREAKER_CONFIRM;
        (void)breaker_report_with(&p, BREAKER_SUCCESS, &more);
        sleep_ms(5);
    }
}

/* ---- signals ---- */

static _Atomic uint32_t signals_taken;

static void
count_signal(int number)
{
    (void)number;
    signals_taken++;
}

struct storm {
    pthread_t target;
    _Atomic bool is_over;
};

static void *
rain(void *context)
{
    struct storm *storm = context;

    while (!storm->is_over) {
        pthread_kill(storm->target, SIGUSR1);
        usleep(500);
    }
    return NULL;
}

static void
a_storm_of_signals_changes_nothing(void **state)
{
    struct stage *s = with_daemon(state, 5000);
    struct storm storm = {.target = pthread_self()};
    struct sigaction action = {.sa_handler = count_signal};
    struct sigaction before;
    pthread_t thread;

    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, rain, &storm), 0);
    for (int i = 0; i < 500; i++) {
        struct breaker_permit p = ask(s);
        struct breaker_details more = BREAKER_DETAILS_INIT;

        assert_int_equal(p.source, BREAKER_BY_DAEMON);
        more.flags = BREAKER_CONFIRM;
        assert_int_equal(breaker_report_with(&p, BREAKER_SUCCESS, &more),
                         BREAKER_APPLIED);
    }
    storm.is_over = true;
    pthread_join(thread, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_true(signals_taken > 20);
}

int
main(void)
{
#define TALK(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        TALK(every_command_is_asked_and_answered),
        TALK(one_hello_a_connection),
        TALK(threads_get_each_their_own_answer),
        TALK(silence_is_waited_for_once),
        TALK(a_late_grant_is_given_back),
        TALK(a_restarted_daemon_is_greeted_and_asked_again),
        TALK(mad_answers_are_survived),
        TALK(a_storm_of_signals_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
