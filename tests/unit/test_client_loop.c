/* SPDX-License-Identifier: Apache-2.0
 *
 * What an event loop may call on its own thread: it never waits, whatever the daemon
 * does. The deadline here is so long that a call that waited would be seen on the
 * slowest machine. */
#define _GNU_SOURCE
#include "client_live.h"
#include "unit.h"
#include <signal.h>

#define DEADLINE_MS 20000
#define AT_ONCE_NS (5 * BK_NS_PER_S)

static int64_t longest_ns;

/* What a loop's thread does: the verdict; an allowed call is reported. */
static enum breaker_verdict
call_now(struct stage *s, const char *name, int *answer)
{
    struct breaker_service *service = breaker_service(s->b, name);
    struct breaker_permit p;
    int64_t began_ns = mono_ns();
    enum breaker_verdict verdict = breaker_acquire_now(service, &p);

    *answer = breaker_report(&p, BREAKER_SUCCESS, 10);
    if (mono_ns() - began_ns > longest_ns)
        longest_ns = mono_ns() - began_ns;
    assert_int_equal(verdict, p.verdict);
    return verdict;
}

static void
open_for_loop(struct stage *s, enum breaker_mode mode)
{
    longest_ns = 0;
    s->flags = BREAKER_TELL_LATER;
    stage_open(s, mode, 0, DEADLINE_MS);
}

static bool
comes_to(struct stage *s, const char *key, long wanted)
{
    for (int i = 0; i < 500; i++) {
        if (live_number(s, "llm", key) == wanted)
            return true;
        sleep_ms(10);
    }
    return false;
}

static void
what_is_told_first_is_queued_and_a_ping_sends_it(void **state)
{
    struct stage *s = *state;
    int answer;

    open_for_loop(s, BREAKER_MODE_AUTO);
    /* Whom the daemon has never heard of, only it can allow. */
    assert_int_equal(call_now(s, "llm", &answer), BREAKER_MUST_ASK);
    assert_int_equal(answer, BREAKER_STALE);
    assert_int_equal(breaker_report_service(breaker_service(s->b, "llm"),
                                            BREAKER_SUCCESS, NULL),
                     BREAKER_QUEUED);
    assert_int_equal(breaker_ping(s->b, NULL), 0);
    assert_true(comes_to(s, "\"success\":", 1));
    for (int i = 0; i < 500; i++) {
        if (call_now(s, "llm", &answer) == BREAKER_ALLOWED)
            break;
        sleep_ms(10);
    }
    assert_int_equal(answer, BREAKER_DONE);
    assert_true(comes_to(s, "\"success\":", 2));
    assert_in_range(longest_ns, 0, AT_ONCE_NS);
}

static void
what_was_never_sent_goes_at_close(void **state)
{
    struct stage *s = *state;

    open_for_loop(s, BREAKER_MODE_AUTO);
    for (int i = 0; i < 3; i++)
        assert_int_equal(breaker_report_service(breaker_service(s->b, "llm"),
                                                BREAKER_SUCCESS, NULL),
                         BREAKER_QUEUED);
    breaker_close(&s->b);
    stage_open(s, BREAKER_MODE_AUTO, 0, DEADLINE_MS);
    assert_true(comes_to(s, "\"success\":", 3));
}

static void
a_leased_permit_is_asked_for_elsewhere_and_settled_here(void **state)
{
    struct stage *s = *state;
    struct breaker_service *slow;
    struct breaker_permit p;
    struct breaker_permit now;

    open_for_loop(s, BREAKER_MODE_AUTO);
    slow = breaker_service(s->b, "slow");
    assert_int_equal(breaker_acquire_now(slow, &now), BREAKER_MUST_ASK);
    assert_int_equal(breaker_acquire(slow, &p), BREAKER_ALLOWED);
    assert_int_not_equal(p.id, 0);
    assert_int_equal(breaker_release(&p), BREAKER_DONE);
    for (int i = 0; i < 500 && live_number(s, "slow", "\"in_use\":") != 0; i++)
        sleep_ms(10);
    assert_int_equal(breaker_acquire(slow, &p), BREAKER_ALLOWED);
}

/* Stopped before anything was said, the daemon is one that might answer; so it
 * is when its connection is there. Nobody finds that out on the loop's thread. */
static void
a_stopped_daemon_stops_no_loop(void **state)
{
    static const int modes[] = {BREAKER_MODE_ZMQ, BREAKER_MODE_AUTO};
    struct stage *s = *state;

    for (size_t m = 0; m < COUNT_OF(modes); m++) {
        struct breaker_permit p;
        uint32_t by[4] = {0};
        int64_t end_ns;
        int answer;

        open_for_loop(s, (enum breaker_mode)modes[m]);
        if (m == 1)
            assert_int_equal(breaker_ping(s->b, NULL), 0);
        assert_int_equal(kill(live_pid(), SIGSTOP), 0);
        if (m == 0)
            assert_int_equal(call_now(s, "llm", &answer), BREAKER_MUST_ASK);
        end_ns = mono_ns() + 1500 * BK_NS_PER_MS;
        while (mono_ns() < end_ns) {
            (void)breaker_acquire_now(breaker_service(s->b, "llm"), &p);
            by[p.source]++;
            for (int i = 0; i < 10; i++)
                (void)call_now(s, "llm", &answer);
            sleep_ms(1);
        }
        if (m == 1)
            assert_true(by[BREAKER_BY_LOCAL] > 0);
        assert_int_equal(by[BREAKER_BY_DAEMON], 0);
        assert_in_range(longest_ns, 0, AT_ONCE_NS);
        assert_int_equal(kill(live_pid(), SIGCONT), 0);
        for (int i = 0; i < 500 && breaker_ping(s->b, NULL) != 0; i++)
            sleep_ms(10);
        breaker_close(&s->b);
    }
}

/* Once somebody has waited in vain, nobody is sent to ask any more. */
static void
a_daemon_known_to_be_silent_is_not_asked(void **state)
{
    struct stage *s = *state;
    struct breaker_permit p;
    int answer;

    s->flags = BREAKER_TELL_LATER;
    stage_open(s, BREAKER_MODE_ZMQ, 0, 50);
    assert_int_equal(kill(live_pid(), SIGSTOP), 0);
    assert_int_equal(call_now(s, "llm", &answer), BREAKER_MUST_ASK);
    assert_int_equal(breaker_acquire_name(s->b, "llm", &p), BREAKER_ALLOWED);
    assert_int_equal(p.source, BREAKER_BY_LOCAL);
    assert_int_equal(call_now(s, "llm", &answer), BREAKER_ALLOWED);
    assert_int_equal(kill(live_pid(), SIGCONT), 0);
    for (int i = 0; i < 500; i++) {
        if (call_now(s, "llm", &answer) == BREAKER_MUST_ASK)
            return;
        sleep_ms(10);
    }
    fail_msg("the daemon's return was not seen");
}

static void
flags_that_do_not_exist_are_refused(void **state)
{
    struct stage *s = *state;
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    options.dir = s->dir;
    options.flags = 2;
    assert_null(breaker_open(&options));
    assert_non_null(strstr(breaker_error_text(), "options.flags"));
}

int
main(void)
{
#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_up, live_down)
    const struct CMUnitTest tests[] = {
        LIVE(what_is_told_first_is_queued_and_a_ping_sends_it),
        LIVE(what_was_never_sent_goes_at_close),
        LIVE(a_leased_permit_is_asked_for_elsewhere_and_settled_here),
        LIVE(a_stopped_daemon_stops_no_loop),
        LIVE(a_daemon_known_to_be_silent_is_not_asked),
        LIVE(flags_that_do_not_exist_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
