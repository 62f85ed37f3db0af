/* SPDX-License-Identifier: Apache-2.0
 *
 * Many processes with whole calls and one breakerd: retries stay a share of the
 * calls, and an outage is ridden out. */
#define _GNU_SOURCE
#include "breaker/retry.h"
#include "client_breakerd.h"
#include "unit.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char config[] = "[service stubborn]\n"
                             "failure_threshold = 0\n"
                             "base_delay = 10ms\n"
                             "[service glitchy]\n"
                             "recovery_timeout = 700ms\n"
                             "jitter = none\n";

static int
up(void **state)
{
    struct stage *s;

    breakerd_pid = 0;
    if (stage_up(state) != 0)
        return -1;
    s = *state;
    breakerd_start(s, config);
    return 0;
}

static int
down(void **state)
{
    struct stage *s = *state;

    breaker_close(&s->b);
    breakerd_end(SIGTERM);
    return stage_down(state);
}

/* ---- no amplification ---- */

#define PROCESSES 64
#define RATIO_PCT 20
#define RESERVE_A_SECOND 1
#define RETRY_TTL 10

struct board {
    _Atomic uint64_t calls;
    _Atomic uint64_t attempts;
};

static void
always_fail(void *context, const struct breaker_attempt *a,
            struct breaker_result *result)
{
    struct board *board = context;

    (void)a;
    board->attempts++;
    sleep_ms(25);
    result->outcome = BREAKER_FAILURE;
}

static void
quiet(void *context, enum breaker_log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    (void)sentence;
}

static int
be_a_worker(const char *dir, struct board *board, int64_t end_ns)
{
    struct breaker_options o = BREAKER_OPTIONS_INIT;
    struct breaker *b;

    o.dir = dir;
    o.log = quiet;
    o.deadline_ms = 2000;
    b = breaker_open(&o);
    if (b == NULL)
        return 1;
    while (mono_ns() < end_ns) {
        board->calls++;
        if (breaker_call(breaker_service(b, "stubborn"), NULL, always_fail,
                         board, NULL) < 0)
            return 1;
    }
    breaker_close(&b);
    return 0;
}

/* With `kill_after_ms` the daemon is killed under the workers. Each reserve, the
 * fleet's and the sum of the workers' shares of it, is there once. */
static void
amplify(struct stage *s, int64_t run_ms, int64_t kill_after_ms)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t start_ns = mono_ns();
    uint64_t reserves = kill_after_ms > 0 ? 2 : 1;
    pid_t pids[PROCESSES];
    uint64_t retries;
    uint64_t most;
    uint64_t seconds;

    assert_true(board != MAP_FAILED);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(be_a_worker(s->dir, board, start_ns + MS(run_ms)));
        assert_true(pids[i] > 0);
    }
    if (kill_after_ms > 0) {
        sleep_ms(kill_after_ms);
        breakerd_end(SIGKILL);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    seconds = (uint64_t)((mono_ns() - start_ns) / 1000000000 + 1);
    retries = board->attempts - board->calls;
    most = board->calls * RATIO_PCT / 100 +
           RESERVE_A_SECOND * (seconds + reserves * RETRY_TTL);
    printf("%s: %llu calls, %llu retries, at most %llu\n",
           kill_after_ms > 0 ? "daemon killed" : "daemon up",
           (unsigned long long)board->calls, (unsigned long long)retries,
           (unsigned long long)most);
    assert_true(board->calls > PROCESSES);
    assert_true(retries > board->calls * RATIO_PCT / 100 / 2);
    assert_true(retries <= most);
    (void)munmap(board, sizeof *board);
}

static void
retries_stay_a_share_of_calls(void **state)
{
    amplify(*state, 3000, 0);
}

static void
and_when_the_daemon_is_killed(void **state)
{
    amplify(*state, 7000, 1500);
}

/* ---- an outage nobody notices ---- */

#define WORKERS 8
#define DOWN_FROM_MS 1000
#define DOWN_UNTIL_MS 4000
#define RUN_MS 6000

struct glitch {
    _Atomic uint64_t calls;
    _Atomic uint64_t failed;
    _Atomic uint64_t attempts;
    _Atomic uint64_t refused; /* attempts while it is down */
    int64_t start_ns;
};

static int64_t
since_ms(const struct glitch *g)
{
    return (mono_ns() - g->start_ns) / 1000000;
}

static void
glitch(void *context, const struct breaker_attempt *a,
       struct breaker_result *result)
{
    struct glitch *g = context;
    int64_t at_ms = since_ms(g);

    (void)a;
    g->attempts++;
    if (at_ms < DOWN_FROM_MS || at_ms >= DOWN_UNTIL_MS)
        return;
    g->refused++;
    result->outcome = BREAKER_FAILURE;
}

static int
be_a_patient_worker(const char *dir, struct glitch *g)
{
    struct breaker_options o = BREAKER_OPTIONS_INIT;
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary sum = BREAKER_SUMMARY_INIT;
    struct breaker *b;

    o.dir = dir;
    o.log = quiet;
    o.deadline_ms = 2000;
    how.deadline_ms = 60000;
    b = breaker_open(&o);
    if (b == NULL)
        return 1;
    while (since_ms(g) < RUN_MS) {
        g->calls++;
        if (breaker_call(breaker_service(b, "glitchy"), &how, glitch, g,
                         &sum) != BREAKER_STOP_SUCCESS) {
            g->failed++;
            fprintf(
                stderr,
                "stop %s, denied %s, after %u attempts, %u waits and %llu us\n",
                breaker_stop_name((int)sum.stop),
                breaker_reason_name((int)sum.reason), sum.attempts, sum.waits,
                (unsigned long long)sum.elapsed_us);
        }
        sleep_ms(250);
    }
    breaker_close(&b);
    return 0;
}

static void
an_outage_is_ridden_out_by_all(void **state)
{
    struct stage *s = *state;
    struct glitch *g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[WORKERS];

    assert_true(g != MAP_FAILED);
    g->start_ns = mono_ns();
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(be_a_patient_worker(s->dir, g));
        assert_true(pids[i] > 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    printf("%llu calls, %llu attempts, %llu of them while it was down, %llu "
           "calls failed\n",
           (unsigned long long)g->calls, (unsigned long long)g->attempts,
           (unsigned long long)g->refused, (unsigned long long)g->failed);
    assert_int_equal(g->failed, 0);
    assert_true(g->refused >= 5);
    /* Five to open it, what was under way, and a probe each time it is due. */
    assert_true(g->refused <=
                5 + WORKERS + (DOWN_UNTIL_MS - DOWN_FROM_MS) / 700 + 1);
    (void)munmap(g, sizeof *g);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, up, down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(retries_stay_a_share_of_calls),
        ROW(and_when_the_daemon_is_killed),
        ROW(an_outage_is_ridden_out_by_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
