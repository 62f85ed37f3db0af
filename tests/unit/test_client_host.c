/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library must leave alone, and hosts that give it nothing to live on. */
#define _GNU_SOURCE
#include "client_stage.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static void
play(void *context, const char *line, char *answer, size_t size)
{
    (void)context;
    if (strncmp(line, "ACQUIRE ", 8) == 0)
        snprintf(answer, size, "ALLOW llm 0 0 closed");
    else if (strncmp(line, "RETRY ", 6) == 0)
        snprintf(answer, size, "DENY llm budget 0");
    else if (strcmp(line, "PING") == 0)
        snprintf(answer, size, "PONG 7");
    else if (strncmp(line, "STATUS", 6) == 0)
        snprintf(answer, size, "OK {}");
    else if (strncmp(line, "REPORT ", 7) == 0)
        snprintf(answer, size, "OK applied");
}

static int
source_of(struct breaker *b)
{
    struct breaker_permit p;

    (void)breaker_acquire_name(b, "llm", &p);
    return p.source;
}

/* The exit status, within 10 s; -1: none. */
static int
end_of(pid_t child)
{
    int status = -1;

    for (int i = 0; i < 2000; i++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        sleep_ms(5);
    }
    kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return -1;
}

static bool
ended_with(pid_t child, int want)
{
    int status = end_of(child);

    if (status != want)
        print_error("exit %d, wanted %d\n", status, want);
    return status == want;
}

static int
count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int count = 0;

    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

/* ---- what stays as it was ---- */

#define MARK 77
#define KEEPS(call)               \
    do {                          \
        errno = MARK;             \
        (void)(call);             \
        changed += errno != MARK; \
    } while (0)

/* Every function once; how many of them changed errno. */
static int
call_everything(struct stage *s)
{
    struct breaker_permit p;
    struct breaker_token token;
    struct breaker_service *llm;
    struct breaker_stats stats = BREAKER_STATS_INIT;
    char text[256];
    int changed = 0;

    errno = MARK;
    stage_open(s, BREAKER_MODE_ZMQ, 0, 1000);
    changed += errno != MARK;
    KEEPS(llm = breaker_service(s->b, "llm"));
    KEEPS(breaker_service(s->b, "a b"));
    KEEPS(breaker_acquire(llm, &p));
    KEEPS(breaker_renew(&p, 100));
    KEEPS(breaker_report(&p, BREAKER_SUCCESS, 1));
    KEEPS(breaker_release(&p));
    KEEPS(breaker_retry(llm, 1, BREAKER_FAILURE, 0, &token));
    KEEPS(breaker_token_release(&token));
    KEEPS(breaker_status(llm, text, sizeof text));
    KEEPS(breaker_config(s->b, llm, text, sizeof text));
    KEEPS(breaker_ping(s->b, NULL));
    KEEPS(breaker_explain(s->b, text, sizeof text));
    KEEPS(breaker_stats(s->b, &stats));
    errno = MARK;
    breaker_close(&s->b);
    return changed + (errno != MARK);
}

static void
errno_survives_every_call(void **state)
{
    struct stage *s = *state;

    assert_int_equal(call_everything(s), 0);
    s->fake = fake_new(s->dir, play, NULL);
    assert_int_equal(call_everything(s), 0);
    assert_true(fake_count(s->fake, "ACQUIRE llm") == 1);
}

static void
read_handlers(struct sigaction out[65])
{
    for (int i = 1; i < 65; i++) {
        memset(&out[i], 0, sizeof out[i]);
        (void)sigaction(i, NULL, &out[i]);
    }
}

/* Of libzmq's threads, by their name: those whose mask lets a signal in. */
static int
count_open_masks(void)
{
    const unsigned long long wanted =
        1ULL << (SIGUSR1 - 1) | 1ULL << (SIGTERM - 1);
    DIR *d = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[300];
        char line[200];
        FILE *f;
        bool is_zmq = false;
        bool is_open = false;

        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        f = fopen(path, "r");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {

            if (strncmp(line, "Name:", 5) == 0)
                is_zmq = strstr(line, "ZMQ") != NULL;
            if (strncmp(line, "SigBlk:", 7) == 0)
                is_open = (~strtoull(line + 7, NULL, 16) & wanted) != 0;
        }
        if (f != NULL)
            fclose(f);
        count += is_zmq && is_open;
    }
    if (d != NULL)
        closedir(d);
    return count;
}

/* Of its own connection: one descriptor. Of libzmq: two threads, and more. */
static void
check_what_is_added(int threads, int descriptors)
{
    int now = count_entries("/proc/self/fd");

    if (stage_is_libzmq()) {
        assert_int_equal(count_entries("/proc/self/task"), threads + 2);
        assert_in_range(now, descriptors + 1, descriptors + 16);
        return;
    }
    assert_int_equal(count_entries("/proc/self/task"), threads);
    /* The stage's daemon is in this process, and has one more for its end. */
    assert_in_range(now, descriptors + 1, descriptors + 2);
}

static void
threads_descriptors_signals_come_back(void **state)
{
    struct stage *s = *state;
    static struct sigaction before[65];
    static struct sigaction after[65];
    sigset_t mask_before;
    sigset_t mask_after;
    int threads;
    int descriptors;

    s->fake = fake_new(s->dir, play, NULL);
    s->shm = shm_new(s->dir);
    threads = count_entries("/proc/self/task");
    descriptors = count_entries("/proc/self/fd");
    read_handlers(before);
    memset(&mask_before, 0, sizeof mask_before);
    memset(&mask_after, 0, sizeof mask_after);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    for (int i = 0; i < 10; i++) {
        stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
        assert_int_equal(source_of(s->b), BREAKER_BY_DAEMON);
        check_what_is_added(threads, descriptors);
        assert_int_equal(count_open_masks(), 0);
        breaker_close(&s->b);
    }
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    read_handlers(after);
    assert_memory_equal(&mask_before, &mask_after, sizeof mask_before);
    for (int i = 1; i < 65; i++) {
        assert_ptr_equal(before[i].sa_handler, after[i].sa_handler);
        assert_int_equal(before[i].sa_flags, after[i].sa_flags);
    }
    assert_int_equal(count_entries("/proc/self/task"), threads);
    /* The daemon's side of a closed connection may linger for a moment. */
    for (int i = 0; i < 200 && count_entries("/proc/self/fd") != descriptors;
         i++)
        sleep_ms(5);
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
}

/* Exactly, in a process that holds nothing of the daemon's. */
static int
count_what_is_added(struct stage *s)
{
    int threads = count_entries("/proc/self/task");
    int descriptors = count_entries("/proc/self/fd");

    for (int i = 0; i < 3; i++) {
        stage_open(s, BREAKER_MODE_AUTO, 0, 5000);
        if (source_of(s->b) != BREAKER_BY_DAEMON)
            return 1;
        if (count_entries("/proc/self/task") != threads)
            return 2;
        if (count_entries("/proc/self/fd") != descriptors + 1)
            return 3;
        breaker_close(&s->b);
        if (count_entries("/proc/self/fd") != descriptors)
            return 4;
    }
    return 0;
}

static void
one_descriptor_and_no_thread_are_added(void **state)
{
    struct stage *s = *state;
    pid_t child;

    SKIP_UNDER_TSAN();
    if (stage_is_libzmq())
        skip();
    s->fake = fake_new(s->dir, play, NULL);
    s->shm = shm_new(s->dir);
    child = stage_fork();
    if (child == 0)
        _exit(count_what_is_added(s));
    assert_true(ended_with(child, 0));
}

/* ---- hosts that give nothing ---- */

/* In a process that may have so many more descriptors: who decides. */
static int
ask_with_spare(struct stage *s, int spare)
{
    struct rlimit limit;
    int source;

    closefrom(STDERR_FILENO + 1); /* nothing lies above the limit */
    limit.rlim_cur = STDERR_FILENO + 1 + (rlim_t)spare;
    limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 9;
    stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
    source = source_of(s->b);
    if (source == BREAKER_BY_LOCAL && strstr(s->log, "descriptors") == NULL &&
        strstr(s->log, "open files") == NULL)
        return 8;
    breaker_close(&s->b);
    return source;
}

/* One is enough for the library's own connection (and one for looking around);
 * libzmq is not started below 16. */
static void
few_descriptors_make_it_local_not_dead(void **state)
{
    struct stage *s = *state;
    int least = stage_is_libzmq() ? 16 : 1;
    int enough = stage_is_libzmq() ? 24 : 2;

    SKIP_UNDER_TSAN();
    s->fake = fake_new(s->dir, play, NULL);
    for (int spare = 0; spare <= 24; spare++) {
        pid_t child = stage_fork();
        int source;

        if (child == 0)
            _exit(ask_with_spare(s, spare));
        source = end_of(child);
        assert_true(source == BREAKER_BY_LOCAL || source == BREAKER_BY_DAEMON);
        assert_true(source == BREAKER_BY_LOCAL || spare >= least);
        assert_true(source == BREAKER_BY_DAEMON || spare < enough);
    }
}

static void
become_nobody(void)
{
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(9);
}

/* What becomes of a process that may start no thread: without libzmq, nothing. */
static int
ask_without_threads(struct stage *s)
{
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    int source;

    if (setrlimit(RLIMIT_NPROC, &none) != 0)
        return 9;
    become_nobody();
    stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
    source = source_of(s->b);
    if (!stage_is_libzmq())
        return source == BREAKER_BY_DAEMON ? 0 : 1;
    if (source != BREAKER_BY_LOCAL)
        return 1;
    return strstr(s->log, "no more threads") != NULL ? 0 : 2;
}

static void
no_threads_do_not_end_the_host(void **state)
{
    struct stage *s = *state;
    char path[128];
    pid_t child;

    SKIP_UNDER_TSAN();
    if (geteuid() != 0)
        skip();
    s->fake = fake_new(s->dir, play, NULL);
    assert_int_equal(chmod(s->dir, 0755), 0);
    stage_path(s, "worker.sock", path);
    assert_int_equal(chmod(path, 0666), 0);
    child = stage_fork();
    if (child == 0) {
        int result = ask_without_threads(s);

        breaker_close(&s->b);
        _exit(result);
    }
    assert_true(ended_with(child, 0));
}

/* As a stranger; the exit status says what went wrong. */
static int
ask_as_stranger(struct stage *s, const char *first, const char *second)
{
    become_nobody();
    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    if (source_of(s->b) != BREAKER_BY_LOCAL)
        return 1;
    if (strstr(s->log, first) == NULL || strstr(s->log, second) == NULL) {
        fprintf(stderr, "%s", s->log);
        return 2;
    }
    return s->warnings == 1 ? 0 : 3;
}

static void
no_permission_is_said(void **state)
{
    struct stage *s = *state;
    char path[128];
    pid_t child;

    if (geteuid() != 0)
        skip();
    s->fake = fake_new(s->dir, play, NULL);
    s->shm = shm_new(s->dir);
    assert_int_equal(chmod(s->dir, 0755), 0);
    stage_path(s, "worker.sock", path);
    assert_int_equal(chmod(path, 0660), 0);
    child = stage_fork();
    if (child == 0)
        _exit(ask_as_stranger(s, "breakerd.shm: join its group (breakerd, gid",
                              "worker.sock: join its group (breakerd, gid"));
    assert_true(ended_with(child, 0));
    assert_int_equal(chmod(path, 0600), 0);
    child = stage_fork();
    if (child == 0)
        _exit(ask_as_stranger(s, "permission denied on",
                              "worker.sock: it is for uid 0 alone"));
    assert_true(ended_with(child, 0));
    /* The directory itself is closed. */
    assert_int_equal(chmod(s->dir, 0700), 0);
    child = stage_fork();
    if (child == 0)
        _exit(ask_as_stranger(s, "permission denied on", "breakerd.shm"));
    assert_true(ended_with(child, 0));
}

/* A socket but no segment, as from another container: asked, and said once. */
static void
without_the_segment_it_asks_and_says_so(void **state)
{
    struct stage *s = *state;

    s->fake = fake_new(s->dir, play, NULL);
    stage_open(s, BREAKER_MODE_AUTO, 0, 2000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(source_of(s->b), BREAKER_BY_DAEMON);
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->log, "asking breakerd before every call"));
    assert_non_null(strstr(s->log, "breakerd.shm does not exist"));
}

static void
closed_standard_descriptors_are_survived(void **state)
{
    struct stage *s = *state;
    pid_t child;

    SKIP_UNDER_TSAN();
    s->fake = fake_new(s->dir, play, NULL);
    child = stage_fork();
    if (child == 0) {
        close(0);
        close(1);
        close(2);
        stage_open(s, BREAKER_MODE_ZMQ, 0, 2000);
        if (source_of(s->b) != BREAKER_BY_DAEMON)
            _exit(1);
        breaker_close(&s->b);
        _exit(0);
    }
    assert_true(ended_with(child, 0));
}

/* The warning goes to a standard error that nobody reads any more. */
static void
a_broken_stderr_does_not_end_the_host(void **state)
{
    struct stage *s = *state;
    pid_t child = stage_fork();

    if (child == 0) {
        struct breaker_options options = BREAKER_OPTIONS_INIT;
        struct breaker *b;
        int ends[2];

        if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(9);
        close(ends[0]);
        close(ends[1]);
        signal(SIGPIPE, SIG_DFL);
        options.dir = s->dir;
        b = breaker_open(&options);
        if (source_of(b) != BREAKER_BY_LOCAL)
            _exit(1);
        breaker_close(&b);
        _exit(0);
    }
    assert_true(ended_with(child, 0));
}

/* ---- a thread cancelled while it waits ---- */

static void *
wait_for_nobody(void *context)
{
    struct stage *s = context;

    (void)source_of(s->b);
    for (;;)
        (void)pause(); /* where the cancellation takes effect */
    return NULL;
}

static void
a_cancelled_thread_leaves_no_lock_held(void **state)
{
    struct stage *s = *state;
    pthread_t thread;

    SKIP_UNDER_TSAN();
    s->fake = fake_new(s->dir, play, NULL);
    stage_open(s, BREAKER_MODE_ZMQ, 0, 300);
    assert_int_equal(source_of(s->b), BREAKER_BY_DAEMON);
    fake_mute(s->fake, true);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_nobody, s), 0);
    sleep_ms(50);
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake_mute(s->fake, false);
    for (int i = 0; i < 200 && source_of(s->b) != BREAKER_BY_DAEMON; i++)
        sleep_ms(5);
    assert_int_equal(source_of(s->b), BREAKER_BY_DAEMON);
}

int
main(void)
{
#define HOST(test) cmocka_unit_test_setup_teardown(test, stage_up, stage_down)
    const struct CMUnitTest tests[] = {
        HOST(errno_survives_every_call),
        HOST(threads_descriptors_signals_come_back),
        HOST(one_descriptor_and_no_thread_are_added),
        HOST(few_descriptors_make_it_local_not_dead),
        HOST(no_threads_do_not_end_the_host),
        HOST(no_permission_is_said),
        HOST(without_the_segment_it_asks_and_says_so),
        HOST(closed_standard_descriptors_are_survived),
        HOST(a_broken_stderr_does_not_end_the_host),
        HOST(a_cancelled_thread_leaves_no_lock_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
