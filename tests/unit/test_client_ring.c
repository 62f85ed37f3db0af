/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings of a worker with the real breakerd: whose they are, who takes them over, and
 * hosts in which none can be had. Whatever happens, what was told is counted once. */
#define _GNU_SOURCE
#include "client_live.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 70 /* more than a process has rings */

/* Rings that are mapped here. */
static int
count_rings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    int count = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        count += strstr(line, "memfd:breaker-ring") != NULL;
    if (f != NULL)
        (void)fclose(f);
    return count;
}

static void
tell(struct breaker *b, int times)
{
    struct breaker_permit permit;

    for (int i = 0; i < times; i++) {
        (void)breaker_acquire_name(b, "llm", &permit);
        (void)breaker_report(
            &permit, i % 3 == 0 ? BREAKER_REJECTED : BREAKER_SUCCESS, 1000);
    }
}

static long
told(struct stage *s)
{
    return live_number(s, "llm", "\"success\":") +
           live_number(s, "llm", "\"rejected\":");
}

/* What is sent may come by another road than the question how much came. On a machine
 * that stands still for a second the worker decides by itself, and says so: what it
 * told itself is not missing. */
static void
assert_told(struct stage *s, long count)
{
    for (int i = 0; i < 200 && told(s) < count; i++)
        sleep_ms(10);
    if (told(s) != count)
        print_error("%s\n", s->log);
    if (s->warnings == 0)
        assert_int_equal(told(s), count);
    else
        assert_true(told(s) <= count);
}

static struct breaker *
open_another(struct stage *s)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker *b;

    options.dir = s->dir;
    options.mode = BREAKER_MODE_AUTO;
    options.deadline_ms = 5000;
    b = breaker_open(&options);
    assert_non_null(b);
    return b;
}

static void
open_here(struct stage *s)
{
    stage_open(s, BREAKER_MODE_AUTO, 0, 5000);
}

/* ---- whose they are ---- */

static void
a_child_has_a_ring_of_its_own(void **state)
{
    struct stage *s = *state;
    pid_t child;
    int status;

    open_here(s);
    tell(s->b, 100);
    assert_int_equal(count_rings(), 1);
    child = stage_fork();
    if (child == 0) {
        int inherited = count_rings();

        tell(s->b, 100);
        int own = count_rings();

        breaker_close(&s->b);
        _exit(inherited == 0 && own == 1 && count_rings() == 0 ? 0 : 1);
    }
    tell(s->b, 100);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    tell(s->b, 100);
    assert_int_equal(count_rings(), 1);
    assert_told(s, 400);
}

static void
two_handles_of_one_thread_do_not_mix(void **state)
{
    struct stage *s = *state;
    struct breaker *other;

    open_here(s);
    other = open_another(s);
    for (int i = 0; i < 100; i++) {
        tell(s->b, 2);
        tell(other, 3);
    }
    assert_int_equal(count_rings(), 2);
    breaker_close(&other);
    assert_int_equal(count_rings(), 1);
    tell(s->b, 10);
    assert_told(s, 510);
}

/* Numbers that one cell has no room for. */
static void
what_is_long_is_told_whole(void **state)
{
    static const struct {
        uint32_t attempt;
        int64_t latency_us;
        long latency_ms;
    } cases[] = {{1, INT64_C(0xfffffffe), 4294968},
                 {1, INT64_C(0xffffffff), 4294968},
                 {255, INT64_C(1) << 40, 1099511628},
                 {256, 1000, 1},
                 {UINT32_MAX, INT64_C(5) << 32, 21474837}};
    const size_t count = sizeof cases / sizeof cases[0];
    struct stage *s = *state;
    struct breaker_permit permit;

    open_here(s);
    tell(s->b, 10);
    for (size_t i = 0; i < count; i++) {
        for (int is_bad = 1; is_bad >= 0; is_bad--) {
            (void)breaker_acquire_name(s->b, "llm", &permit);
            permit.attempt = cases[i].attempt;
            (void)breaker_report(&permit,
                                 is_bad ? BREAKER_FAILURE : BREAKER_SUCCESS,
                                 cases[i].latency_us);
        }
        assert_told(s, 10 + (long)i + 1);
        assert_int_equal(live_number(s, "llm", "\"latency_ms\":"),
                         cases[i].latency_ms);
    }
    assert_int_equal(count_rings(), 1);
}

struct guest {
    struct breaker *b;
    pthread_barrier_t *barrier;
    struct stage *stage;
};

static void *
use_and_outlive(void *context)
{
    struct guest *g = context;
    struct breaker *own;

    tell(g->b, 10);
    pthread_barrier_wait(g->barrier); /* closed by the other thread */
    pthread_barrier_wait(g->barrier);
    own = open_another(g->stage);
    tell(own, 10);
    breaker_close(&own);
    return NULL;
}

static void
a_thread_outlives_the_handle_it_used(void **state)
{
    struct stage *s = *state;
    pthread_barrier_t barrier;
    struct guest g = {.barrier = &barrier, .stage = s};
    pthread_t thread;

    g.b = open_another(s);
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, use_and_outlive, &g), 0);
    tell(g.b, 10);
    pthread_barrier_wait(&barrier);
    breaker_close(&g.b);
    assert_int_equal(count_rings(), 0);
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&barrier);
    open_here(s);
    assert_told(s, 30);
}

static void *
tell_together(void *context)
{
    struct guest *g = context;

    pthread_barrier_wait(g->barrier);
    tell(g->b, 10);
    pthread_barrier_wait(g->barrier);
    return NULL;
}

static void
seventy_threads_have_sixty_four_rings(void **state)
{
    struct stage *s = *state;
    pthread_barrier_t barrier;
    struct guest g = {.barrier = &barrier};
    pthread_t threads[THREADS];

    open_here(s);
    g.b = s->b;
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, tell_together, &g), 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        assert_int_equal(count_rings(), 64);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    pthread_barrier_destroy(&barrier);
    assert_told(s, 3L * THREADS * 10);
}

/* ---- where none can be had ---- */

static void
without_the_socket_it_is_sent(void **state)
{
    struct stage *s = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    int fd;

    stage_path(s, "ring.sock", path);
    assert_int_equal(unlink(path), 0);
    open_here(s);
    tell(s->b, 50);
    breaker_close(&s->b);
    /* There, but nobody listens. */
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)bk_copy_text(address.sun_path, sizeof address.sun_path, path,
                       strlen(path));
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    open_here(s);
    tell(s->b, 50);
    assert_int_equal(count_rings(), 0);
    close(fd);
    assert_told(s, 100);
}

/* A daemon's door that lets everybody in, and hangs up after so many packets. */
struct door {
    int fd;
    int packets;
    _Atomic int hung_up; /* how often */
};

static void *
let_in(void *context)
{
    struct door *door = context;
    char octets[256];

    for (;;) {
        int fd = accept(door->fd, NULL, NULL);

        if (fd < 0)
            return NULL;
        for (int i = 0; i < door->packets; i++) {
            if (recv(fd, octets, sizeof octets, 0) <= 0)
                break;
        }
        close(fd);
        atomic_fetch_add(&door->hung_up, 1);
    }
}

static void
a_ring_that_is_let_go_is_sent(void **state)
{
    struct stage *s = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct door door;
    char path[128];
    long count = 0;

    stage_path(s, "ring.sock", path);
    (void)bk_copy_text(address.sun_path, sizeof address.sun_path, path,
                       strlen(path));
    for (door.packets = 0; door.packets < 3; door.packets++) {
        pthread_t thread;

        assert_int_equal(unlink(path), 0);
        atomic_store(&door.hung_up, 0);
        door.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(
            bind(door.fd, (const struct sockaddr *)&address, sizeof address),
            0);
        assert_int_equal(listen(door.fd, 8), 0);
        assert_int_equal(pthread_create(&thread, NULL, let_in, &door), 0);
        open_here(s);
        tell(s->b, 20);
        for (int i = 0; i < 500 && atomic_load(&door.hung_up) == 0; i++)
            sleep_ms(10);
        assert_int_not_equal(atomic_load(&door.hung_up), 0);
        tell(s->b, 30);
        breaker_close(&s->b);
        count += 50;
        (void)shutdown(door.fd, SHUT_RDWR);
        assert_int_equal(pthread_join(thread, NULL), 0);
        close(door.fd);
    }
    open_here(s);
    assert_told(s, count);
}

/* memfd_create does not exist from here on. */
static bool
forbid_memfd(void)
{
    struct sock_filter rows[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof rows / sizeof rows[0],
                                 .filter = rows};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void
without_memory_to_share_it_is_sent(void **state)
{
    struct stage *s = *state;
    pid_t child = stage_fork();
    int status;

    if (child == 0) {
        if (!forbid_memfd())
            _exit(77);
        open_here(s);
        tell(s->b, 100);
        int rings = count_rings();

        breaker_close(&s->b);
        _exit(rings == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
    open_here(s);
    assert_told(s, 100);
}

/* The connection to ring.sock; -1: there is none. */
static int
find_link(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_un peer = {.sun_family = AF_UNSPEC};
        socklen_t size = sizeof peer - 1;

        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
            peer.sun_family == AF_UNIX &&
            strstr(peer.sun_path, "/ring.sock") != NULL)
            return fd;
    }
    return -1;
}

static void
its_descriptor_closed_behind_its_back(void **state)
{
    struct stage *s = *state;
    int pair[2];
    int fd;
    char octet;

    open_here(s);
    tell(s->b, 20);
    fd = find_link();
    assert_true(fd >= 0);
    /* Another of the host's in its place: no bell may ring there. */
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(dup2(pair[0], fd), fd);
    for (int i = 0; i < 5; i++) {
        tell(s->b, 20);
        sleep_ms(150); /* a ring that is asleep rings for everything */
    }
    assert_told(s, 120);
    breaker_close(&s->b);
    assert_int_equal(recv(pair[1], &octet, 1, MSG_DONTWAIT), -1);
    assert_int_equal(fcntl(fd, F_GETFD), 0); /* it is the host's, and open */
    close(fd);
    close(pair[0]);
    close(pair[1]);
    open_here(s);
    assert_told(s, 120);
}

static void *
go_on_soon(void *pid)
{
    sleep_ms(200);
    kill(*(pid_t *)pid, SIGCONT);
    return NULL;
}

/* Also where nobody ever waits to tell something: who asks waits anyway. The daemon
 * finds the new ring and the question at once. */
static void
a_new_ring_is_read_before_the_next_question(void **state)
{
    struct stage *s = *state;
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    struct breaker_permit permit;
    struct breaker *b;
    pthread_t thread;
    pid_t pid = live_pid();

    options.dir = s->dir;
    options.mode = BREAKER_MODE_AUTO;
    options.deadline_ms = 5000;
    options.flags = BREAKER_TELL_LATER;
    b = breaker_open(&options);
    assert_non_null(b);
    assert_int_equal(breaker_acquire_name(b, "slow", &permit), BREAKER_ALLOWED);
    assert_true(permit.id != 0); /* one at a time */
    kill(pid, SIGSTOP);
    assert_int_equal(breaker_report(&permit, BREAKER_SUCCESS, 1000),
                     BREAKER_DONE);
    assert_int_equal(pthread_create(&thread, NULL, go_on_soon, &pid), 0);
    assert_int_equal(breaker_acquire_name(b, "slow", &permit), BREAKER_ALLOWED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    breaker_release(&permit);
    breaker_close(&b);
}

/* ---- the daemon goes ---- */

/* It has published what it counted so far, as it does before it answers a report, and
 * takes nothing more. */
static void
stop_daemon(struct stage *s)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    char path[64];
    char line[256] = "";

    details.flags = BREAKER_CONFIRM;
    assert_int_equal(breaker_report_service(breaker_service(s->b, "llm"),
                                            BREAKER_CANCELLED, &details),
                     BREAKER_APPLIED);
    kill(live_pid(), SIGSTOP);
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)live_pid());
    for (int i = 0; i < 2000 && strstr(line, ") T ") == NULL; i++) {
        FILE *f = fopen(path, "r");

        assert_non_null(f);
        assert_non_null(fgets(line, sizeof line, f));
        (void)fclose(f);
        sleep_ms(1);
    }
}

static void
what_a_killed_daemon_left_goes_to_the_next(void **state)
{
    struct stage *s = *state;

    open_here(s);
    tell(s->b, 30);
    assert_told(s, 30);
    for (int round = 1; round <= 3; round++) {
        stop_daemon(s);
        tell(s->b, 30); /* it takes none of these */
        live_end(SIGKILL);
        live_start(s);
        tell(s->b, 30);
        assert_told(s, 30 + 60L * round);
    }
}

static void
what_a_killed_daemon_left_is_told_at_close(void **state)
{
    struct stage *s = *state;

    open_here(s);
    tell(s->b, 30);
    assert_told(s, 30);
    stop_daemon(s);
    tell(s->b, 30);
    live_end(SIGKILL);
    live_start(s);
    breaker_close(&s->b);
    open_here(s);
    assert_told(s, 60);
}

static void
a_stopped_daemon_takes_all_when_it_goes_on(void **state)
{
    struct stage *s = *state;

    open_here(s);
    tell(s->b, 30);
    stop_daemon(s);
    tell(s->b, 200);
    kill(live_pid(), SIGCONT);
    tell(s->b, 200);
    assert_told(s, 430);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_child_has_a_ring_of_its_own, live_up,
                                        live_down),
        cmocka_unit_test_setup_teardown(two_handles_of_one_thread_do_not_mix,
                                        live_up, live_down),
        cmocka_unit_test_setup_teardown(what_is_long_is_told_whole, live_up,
                                        live_down),
        cmocka_unit_test_setup_teardown(a_thread_outlives_the_handle_it_used,
                                        live_up, live_down),
        cmocka_unit_test_setup_teardown(seventy_threads_have_sixty_four_rings,
                                        live_up, live_down),
        cmocka_unit_test_setup_teardown(without_the_socket_it_is_sent, live_up,
                                        live_down),
        cmocka_unit_test_setup_teardown(a_ring_that_is_let_go_is_sent, live_up,
                                        live_down),
        cmocka_unit_test_setup_teardown(without_memory_to_share_it_is_sent,
                                        live_up, live_down),
        cmocka_unit_test_setup_teardown(its_descriptor_closed_behind_its_back,
                                        live_up, live_down),
        cmocka_unit_test_setup_teardown(
            a_new_ring_is_read_before_the_next_question, live_up, live_down),
        cmocka_unit_test_setup_teardown(
            what_a_killed_daemon_left_goes_to_the_next, live_up, live_down),
        cmocka_unit_test_setup_teardown(
            what_a_killed_daemon_left_is_told_at_close, live_up, live_down),
        cmocka_unit_test_setup_teardown(
            a_stopped_daemon_takes_all_when_it_goes_on, live_up, live_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
