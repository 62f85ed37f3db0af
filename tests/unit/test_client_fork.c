/* SPDX-License-Identifier: Apache-2.0
 *
 * Forked children go on with the handle, each as a worker of its own. */
#define _GNU_SOURCE
#include "client/fork_page.h"
#include "client_stage.h"
#include "unit.h"
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 8

static void
play(void *context, const char *line, char *answer, size_t size)
{
    static _Atomic uint64_t ids;
    char name[80];

    (void)context;
    if (sscanf(line, "ACQUIRE %79s", name) == 1)
        snprintf(answer, size, "ALLOW %s %llu 3 half_open", name,
                 (unsigned long long)++ids);
    else if (strncmp(line, "REPORT ", 7) == 0 ||
             strncmp(line, "RELEASE ", 8) == 0)
        snprintf(answer, size, "OK applied");
    else if (strcmp(line, "PING") == 0)
        snprintf(answer, size, "PONG 7");
    else if (strncmp(line, "HELLO ", 6) == 0)
        snprintf(answer, size, "OK {}");
}

static struct stage *
with_daemon(void **state)
{
    struct stage *s = *state;

    s->fake = fake_new(s->dir, play, NULL);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 5000);
    return s;
}

static struct breaker_permit
ask(struct breaker *b)
{
    struct breaker_permit permit;

    (void)breaker_acquire_name(b, "llm", &permit);
    return permit;
}

/* True when the child ended by itself with 0, within 10 s. */
static bool
ended_well(pid_t child)
{
    int status = -1;

    for (int i = 0; i < 2000; i++) {
        pid_t got = waitpid(child, &status, WNOHANG);

        if (got == child)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        sleep_ms(5);
    }
    kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return false;
}

static int
be_a_worker(struct breaker *b)
{
    for (int i = 0; i < 5; i++) {
        struct breaker_permit p = ask(b);
        struct breaker_details more = BREAKER_DETAILS_INIT;

        more.flags = BREAKER_CONFIRM;
        if (p.source != BREAKER_BY_DAEMON ||
            breaker_report_with(&p, BREAKER_SUCCESS, &more) != BREAKER_APPLIED)
            return 1;
    }
    breaker_close(&b);
    return b == NULL ? 0 : 2;
}

static void
children_after_open_are_workers(void **state)
{
    struct stage *s = with_daemon(state);
    pid_t children[CHILDREN];
    char want[64];
    int gate[2];

    SKIP_UNDER_SANITIZERS();
    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    /* They begin when all are there. */
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = stage_fork();
        if (children[i] == 0) {
            char nothing;

            close(gate[1]);
            _exit(read(gate[0], &nothing, 1) == 0 ? be_a_worker(s->b) : 9);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < CHILDREN; i++)
        assert_true(ended_well(children[i]));
    for (int i = 0; i < CHILDREN; i++) {
        snprintf(want, sizeof want, "HELLO 1 tester %d", (int)children[i]);
        assert_int_equal(fake_count(s->fake, want), 1);
    }
    /* The parent's conversation went on undisturbed. */
    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    assert_int_equal(fake_count(s->fake, "HELLO"), CHILDREN + 1);
}

static void
a_child_of_a_child_is_one_too(void **state)
{
    struct stage *s = with_daemon(state);
    pid_t child;

    SKIP_UNDER_SANITIZERS();
    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    child = stage_fork();
    if (child == 0) {
        pid_t grandchild;

        if (ask(s->b).source != BREAKER_BY_DAEMON)
            _exit(3);
        grandchild = stage_fork();
        if (grandchild == 0)
            _exit(be_a_worker(s->b));
        _exit(ended_well(grandchild) ? be_a_worker(s->b) : 4);
    }
    assert_true(ended_well(child));
}

static void
a_child_that_never_asks_closes_in_peace(void **state)
{
    struct stage *s = with_daemon(state);
    pid_t child;

    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    child = stage_fork();
    if (child == 0) {
        breaker_close(&s->b);
        _exit(s->b == NULL ? 0 : 1);
    }
    assert_true(ended_well(child));
    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
}

static void
leases_and_tokens_stay_the_parents(void **state)
{
    struct stage *s = with_daemon(state);
    struct breaker_permit p = ask(s->b);
    pid_t child;
    char want[64];

    SKIP_UNDER_SANITIZERS();
    assert_int_not_equal(p.id, 0);
    child = stage_fork();
    if (child == 0) {
        struct breaker_permit copy = p;

        if (breaker_release(&copy) != BREAKER_STALE)
            _exit(1);
        copy = p;
        if (breaker_renew(&copy, 1000) != BREAKER_STALE)
            _exit(2);
        if (breaker_report(&copy, BREAKER_FAILURE, 1) != BREAKER_STALE)
            _exit(3);
        _exit(be_a_worker(s->b));
    }
    assert_true(ended_well(child));
    snprintf(want, sizeof want, "REPORTQ llm %d", (int)p.id);
    assert_int_equal(fake_count(s->fake, want), 0);
    assert_int_equal(fake_count(s->fake, "RE"), 5);
    assert_int_equal(breaker_report(&p, BREAKER_SUCCESS, 1), BREAKER_DONE);
    assert_true(fake_wait(s->fake, want, 1));
}

/* ---- while other threads are in the middle of it ---- */

struct hammer {
    struct breaker *b;
    _Atomic bool is_over;
};

static void *
strike(void *context)
{
    struct hammer *h = context;
    char name[16];

    for (uint32_t i = 0; !h->is_over; i++) {
        struct breaker_permit p;

        snprintf(name, sizeof name, "s%u", i % 500);
        (void)breaker_acquire_name(h->b, name, &p);
        (void)breaker_report(&p, BREAKER_SUCCESS, 1);
    }
    return NULL;
}

static void
children_of_a_busy_process_are_not_stuck(void **state)
{
    struct stage *s = with_daemon(state);
    struct hammer hammer = {.b = s->b};
    pthread_t threads[4];

    SKIP_UNDER_SANITIZERS();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, strike, &hammer), 0);
    for (int i = 0; i < 40; i++) {
        pid_t child = stage_fork();

        if (child == 0)
            _exit(be_a_worker(s->b));
        assert_true(ended_well(child));
    }
    hammer.is_over = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* ---- what each tells ---- */

static void
counts_are_told_by_whoever_decided(void **state)
{
    struct stage *s = *state;
    struct bk_acquire first = {.name = "llm", .name_len = 3, .attempt = 1};
    struct bk_acquired ignored;
    pid_t child;

    SKIP_UNDER_SANITIZERS();
    s->shm = shm_new(s->dir);
    assert_int_equal(
        bk_fleet_acquire(shm_fleet(s->shm), shm_now(), &first, &ignored),
        BK_OK);
    shm_publish(s->shm);
    s->fake = fake_new(s->dir, play, NULL);
    stage_open(s, BREAKER_MODE_AUTO, 0, 5000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(s->b).source, BREAKER_BY_MEMORY);
    child = stage_fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) {
            if (ask(s->b).source != BREAKER_BY_MEMORY)
                _exit(1);
        }
        breaker_close(&s->b);
        _exit(0);
    }
    assert_true(ended_well(child));
    assert_int_equal(fake_count(s->fake, "TALLYQ llm allowed 3"), 1);
    breaker_close(&s->b);
    assert_int_equal(fake_count(s->fake, "TALLYQ llm allowed 10"), 1);
    assert_int_equal(fake_count(s->fake, "TALLYQ"), 2);
}

static void
spawned_programs_do_no_harm(void **state)
{
    struct stage *s = with_daemon(state);
    char name[] = "true";
    char *argv[] = {name, NULL};

    assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    for (int i = 0; i < 5; i++) {
        pid_t child;

        assert_int_equal(
            posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ), 0);
        assert_true(ended_well(child));
        assert_int_equal(ask(s->b).source, BREAKER_BY_DAEMON);
    }
}

/* ---- the page ---- */

static void
check_page(bool may_wipe)
{
    struct fork_page *page = fork_page_new(may_wipe);
    pid_t child;

    assert_non_null(page);
    assert_int_equal(page->is_listed, !may_wipe);
    assert_false(fork_page_is_ready(page));
    atomic_store(&page->serial, FORK_READY);
    assert_true(fork_page_is_ready(page));
    child = stage_fork();
    if (child == 0)
        _exit(fork_page_is_ready(page) ? 1 : 0);
    assert_true(ended_well(child));
    assert_true(fork_page_is_ready(page));
    fork_page_free(&page);
    assert_null(page);
}

static void
the_page_tells_a_child_with_and_without_the_kernel(void **state)
{
    (void)state;
    check_page(true);
    check_page(false);
    check_page(false);
}

/* Also a child made behind the library's back. */
static void
no_fork_handler_is_needed(void **state)
{
    struct fork_page *page = fork_page_new(true);
    pid_t child;

    (void)state;
    atomic_store(&page->serial, FORK_READY);
    child = _Fork();
    if (child == 0)
        _exit(fork_page_is_ready(page) ? 1 : 0);
    assert_true(ended_well(child));
    fork_page_free(&page);
}

int
main(void)
{
#define FORK(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        FORK(children_after_open_are_workers),
        FORK(a_child_of_a_child_is_one_too),
        FORK(a_child_that_never_asks_closes_in_peace),
        FORK(leases_and_tokens_stay_the_parents),
        FORK(children_of_a_busy_process_are_not_stuck),
        FORK(counts_are_told_by_whoever_decided),
        FORK(spawned_programs_do_no_harm),
        cmocka_unit_test(the_page_tells_a_child_with_and_without_the_kernel),
        cmocka_unit_test(no_fork_handler_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
