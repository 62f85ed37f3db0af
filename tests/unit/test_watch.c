/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching processes: a death is told once, whoever dies, in whatever order. */
#include "daemon/watch.h"
#include "unit.h"
#include <poll.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 40

static pid_t
start_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static void
end_child(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool
is_readable(struct watch *w)
{
    struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
    return poll(&p, 1, 2000) == 1;
}

static void
test_a_death_is_told_once(void **state)
{
    (void)state;
    struct watch *w = watch_open(8);
    pid_t pid = start_child();
    assert_non_null(w);
    assert_true(watch_add(w, (uint32_t)pid));
    assert_true(watch_add(w, (uint32_t)pid));
    assert_int_equal(watch_next_dead(w), 0);
    end_child(pid);
    assert_true(is_readable(w));
    assert_int_equal(watch_next_dead(w), pid);
    assert_int_equal(watch_next_dead(w), 0);
    watch_close(&w);
    assert_null(w);
}

static void
test_the_dead_are_refused(void **state)
{
    (void)state;
    struct watch *w = watch_open(8);
    pid_t pid = start_child();
    end_child(pid);
    assert_false(watch_add(w, (uint32_t)pid));
    assert_true(watch_add(w, 0)); /* unseen: nothing to watch */
    watch_close(&w);
}

static void
test_without_room_nothing_is_lost(void **state)
{
    (void)state;
    struct watch *w = watch_open(1);
    pid_t first = start_child();
    pid_t second = start_child();
    assert_true(watch_add(w, (uint32_t)first));
    assert_true(watch_add(w, (uint32_t)second)); /* not watched, no error */
    end_child(second);
    assert_int_equal(watch_next_dead(w), 0);
    end_child(first);
    assert_true(is_readable(w));
    assert_int_equal(watch_next_dead(w), first);
    watch_close(&w);
}

static void
test_many_die_in_any_order(void **state)
{
    (void)state;
    pid_t pids[CHILDREN];
    bool is_told[CHILDREN] = {false};
    struct watch *w = watch_open(CHILDREN);
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = start_child();
        assert_true(watch_add(w, (uint32_t)pids[i]));
    }
    for (int i = 0; i < CHILDREN; i++) {
        end_child(pids[(i * 7) % CHILDREN]);
    }
    for (int i = 0; i < CHILDREN; i++) {
        assert_true(is_readable(w));
        uint32_t pid = watch_next_dead(w);
        int at = 0;
        while (at < CHILDREN && (uint32_t)pids[at] != pid) {
            at++;
        }
        assert_true(at < CHILDREN);
        assert_false(is_told[at]);
        is_told[at] = true;
    }
    assert_int_equal(watch_next_dead(w), 0);
    watch_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_death_is_told_once),
        cmocka_unit_test(test_the_dead_are_refused),
        cmocka_unit_test(test_without_room_nothing_is_lost),
        cmocka_unit_test(test_many_die_in_any_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
