/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker tells the daemon: in its order, over gaps, bounded, and all of it
 * before it ends. */
#define _GNU_SOURCE
#include "client_talk.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

static void
reports_keep_their_order_over_a_gap(void **state)
{
    struct stage *s = *state;
    struct breaker_service *llm;
    struct breaker_permit p;
    char line[1100];
    char want[32];

    /* A heart beats while the socket is away: the daemon is restarting. */
    s->shm = shm_new(s->dir);
    talk_begin(s);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
    llm = breaker_service(s->b, "llm");
    assert_int_equal(breaker_acquire(llm, &p), BREAKER_ALLOWED);
    fake_free(&s->fake);
    sleep_ms(50); /* the closed connection has been noticed */
    for (int i = 0; i < 100; i++) {
        struct breaker_details more = BREAKER_DETAILS_INIT;

        more.latency_us = i;
        assert_int_equal(breaker_report_service(llm, BREAKER_FAILURE, &more),
                         BREAKER_DONE);
    }
    talk_go_on(s);
    assert_int_equal(breaker_ping(s->b, NULL), 0);
    assert_int_equal(fake_count(s->fake, "REPORTQ"), 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(fake_line(s->fake, "REPORTQ", i, line));
        snprintf(want, sizeof want, "REPORTQ llm 0 - failure %u", i);
        assert_string_equal(line, want);
    }
}

static void
a_full_queue_drops_the_oldest_and_counts(void **state)
{
    struct stage *s = *state;
    struct breaker_stats stats = BREAKER_STATS_INIT;
    struct breaker_details more = BREAKER_DETAILS_INIT;
    char line[1100];

    s->shm = shm_new(s->dir);
    talk_begin(s);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
    assert_int_equal(breaker_ping(s->b, NULL), 0);
    fake_free(&s->fake);
    sleep_ms(50);
    for (int i = 0; i < 1100; i++) {
        more.latency_us = i;
        (void)breaker_report_service(breaker_service(s->b, "llm"),
                                     BREAKER_FAILURE, &more);
    }
    assert_int_equal(breaker_stats(s->b, &stats), 0);
    assert_int_equal(stats.reports_dropped, 1100 - 1024);
    talk_go_on(s);
    assert_int_equal(breaker_ping(s->b, NULL), 0);
    assert_int_equal(fake_count(s->fake, "REPORTQ"), 1024);
    assert_true(fake_line(s->fake, "REPORTQ", 0, line));
    assert_string_equal(line, "REPORTQ llm 0 - failure 76");
}

/* The service is in shared memory, and the daemon there to be told. */
static void
decide_from_memory(struct stage *s)
{
    struct bk_acquire first = {.name = "llm", .name_len = 3, .attempt = 1};
    struct bk_acquired ignored;

    s->shm = shm_new(s->dir);
    assert_int_equal(
        bk_fleet_acquire(shm_fleet(s->shm), shm_now(), &first, &ignored),
        BK_OK);
    shm_publish(s->shm);
    talk_begin(s);
    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
}

static void
close_waits_until_all_is_told(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;

    decide_from_memory(s);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(breaker_acquire_name(s->b, "llm", &p),
                         BREAKER_ALLOWED);
        assert_int_equal(p.source, BREAKER_BY_MEMORY);
        assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 100),
                         BREAKER_DONE);
    }
    breaker_close(&s->b);
    assert_null(s->b);
    assert_int_equal(fake_count(s->fake, "TALLYQ llm allowed 10"), 1);
    assert_int_equal(fake_count(s->fake, "REPORTQ llm 0 0 success 100 1"), 10);
}

static void
decisions_from_memory_are_told_once_a_second(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    uint64_t sum = 0;
    uint32_t calls = 0;
    int64_t began = mono_ns();

    decide_from_memory(s);
    assert_int_equal(breaker_ping(s->b, NULL), 0);
    while (mono_ns() - began < 2500 * BK_NS_PER_MS) {
        assert_int_equal(breaker_acquire_name(s->b, "llm", &p),
                         BREAKER_ALLOWED);
        calls++;
        sleep_ms(10);
    }
    assert_int_equal(fake_count(s->fake, "ACQUIRE"), 0);
    assert_in_range(fake_count(s->fake, "TALLYQ"), 1, 3);
    breaker_close(&s->b);
    for (uint32_t i = 0; i < fake_count(s->fake, "TALLYQ"); i++) {
        char line[1100];
        static const char head[] = "TALLYQ llm allowed ";

        assert_true(fake_line(s->fake, "TALLYQ", i, line));
        assert_memory_equal(line, head, sizeof head - 1);
        sum += strtoull(line + sizeof head - 1, NULL, 10);
    }
    assert_int_equal(sum, calls);
}

/* An idle worker's first report does not wait for its second. */
static void
the_first_report_of_a_process_arrives(void **state)
{
    struct stage *s = *state;

    s->shm = shm_new(s->dir);
    talk_begin(s);
    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    assert_int_equal(breaker_report_service(breaker_service(s->b, "llm"),
                                            BREAKER_FAILURE, NULL),
                     BREAKER_DONE);
    assert_true(fake_wait(s->fake, "REPORTQ llm 0 - failure", 1));
}

/* What was leased before the daemon died is settled when it is back. */
static void
leases_are_settled_after_an_outage(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p[3];
    struct breaker_permit local;

    s->shm = shm_new(s->dir);
    talk_begin(s);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 200);
    for (int i = 0; i < 3; i++)
        assert_int_equal(breaker_acquire_name(s->b, "llm", &p[i]),
                         BREAKER_ALLOWED);
    fake_free(&s->fake);
    sleep_ms(50);
    /* One in the gap before anybody knows, two when it is known. */
    assert_int_equal(breaker_report(&p[0], BREAKER_SUCCESS, 1), BREAKER_DONE);
    shm_stop_heart(s->shm, 2 * BK_NS_PER_S);
    (void)breaker_acquire_name(s->b, "llm", &local);
    assert_int_equal(local.source, BREAKER_BY_LOCAL);
    assert_int_equal(breaker_report(&p[1], BREAKER_FAILURE, 1), BREAKER_DONE);
    assert_int_equal(breaker_release(&p[2]), BREAKER_DONE);
    talk_go_on(s);
    shm_start_heart(s->shm);
    for (int i = 0; i < 100 && breaker_ping(s->b, NULL) != 0; i++)
        sleep_ms(10);
    assert_int_equal(fake_count(s->fake, "REPORTQ llm 1 3 success 1"), 1);
    assert_int_equal(fake_count(s->fake, "REPORTQ llm 2 3 failure 1"), 1);
    assert_int_equal(fake_count(s->fake, "RELEASE 3"), 1);
}

int
main(void)
{
#define TALK(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        TALK(reports_keep_their_order_over_a_gap),
        TALK(a_full_queue_drops_the_oldest_and_counts),
        TALK(close_waits_until_all_is_told),
        TALK(decisions_from_memory_are_told_once_a_second),
        TALK(the_first_report_of_a_process_arrives),
        TALK(leases_are_settled_after_an_outage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
