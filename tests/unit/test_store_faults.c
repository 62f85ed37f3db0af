/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that fail, fill up or hang, and a process that dies in mid-commit. What
 * needs limits or mounts of its own runs in a child, which tells the first line
 * that went wrong. */
#include "fault_vfs.h"
#include "stores.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CANNOT 254 /* a child's way of saying that it may not do this here */
#define CHECK(promise) check((promise), __LINE__)

static int wrong_line; /* the first one in a child; 0: none */

static bool
check(bool is_kept, int line)
{
    if (!is_kept && wrong_line == 0)
        wrong_line = line;
    return is_kept;
}

static double
now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs `body` in a child and passes its verdict on. */
static void
in_child(struct stores *t, void (*body)(struct stores *t))
{
    int fd[2];
    int line = -1;
    int status;
    pid_t child;

    assert_int_equal(pipe(fd), 0);
    child = fork();
    if (child == 0) {
        (void)alarm(60);
        wrong_line = 0;
        body(t);
        line = wrong_line;
        _exit(write(fd[1], &line, sizeof line) == sizeof line ? 0 : 1);
    }
    close(fd[1]);
    if (read(fd[0], &line, sizeof line) != sizeof line)
        line = -1;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (line == CANNOT) {
        print_message("no mount namespace of one's own is allowed here\n");
        skip();
    }
    if (line != 0)
        fail_msg("line %d of this file, last words: %s", line, t->failed_text);
}

static uint64_t
put(struct stores *t, const char *name, uint64_t generation)
{
    struct bk_saved row = stores_service(name, generation);

    return store_put_service(t->store, &row, WALL);
}

/* Listens until `job` is saved; false when that takes too long. */
static bool
is_saved(struct stores *t, uint64_t job, double seconds)
{
    double end = now_s() + seconds;

    store_flush(t->store);
    while (t->saved < job && now_s() < end)
        (void)stores_listen(t, 50);
    return t->saved >= job;
}

static bool
has_failed(struct stores *t, uint64_t job, double seconds)
{
    double end = now_s() + seconds;

    store_flush(t->store);
    while (t->failed < job && now_s() < end)
        (void)stores_listen(t, 50);
    return t->failed >= job;
}

static bool
load(struct stores *t)
{
    static const struct store_reader none;
    struct bk_text error;

    bk_text_init(&error, t->error, sizeof t->error);
    return store_load(t->store, WALL, &none, &t->meta, &error);
}

/* One call in the life of a store fails, the n-th: whichever it is, what was on
 * disk before is there afterwards, or the loop was asked to put it again. */
static bool
survives_failure(struct stores *t, int n)
{
    bool was_hit;
    int asides = stores_count_files(t, ".corrupt-2");

    fault_arm(FAULT_ANY, n, 1, 0);
    if (!stores_open(t)) {
        assert_true(t->error[0] != '\0');
    } else if (!load(t)) {
        assert_true(t->error[0] != '\0');
        store_close(&t->store, WAIT_MS);
    } else {
        stores_await(t, put(t, "mine", (uint64_t)n));
        if (t->rebuilds > 0)
            stores_await(t, put(t, "old", 1));
        stores_close(t);
    }
    was_hit = fault_hits() > 0;
    fault_arm(0, 0, 0, 0);
    asides = stores_count_files(t, ".corrupt-2") - asides;
    stores_must_open(t);
    if (stores_find(t, "old") == NULL) {
        assert_true(asides > 0);
        stores_await(t, put(t, "old", 1));
    }
    stores_close(t);
    return was_hit;
}

static void
any_single_failure_is_survived(void **state)
{
    struct stores *t = *state;
    int n = 1;

    stores_must_open(t);
    stores_await(t, put(t, "old", 1));
    stores_close(t);
    while (n < 1000 && survives_failure(t, n)) {
        (void)stores_drop_asides(t);
        n++;
    }
    print_message("%d calls to SQLite's files failed in turn\n", n - 1);
    assert_in_range(n, 15, 999);
}

static void
a_failed_sync_begins_a_new_file(void **state)
{
    struct stores *t = *state;
    struct bk_past event = stores_event("a", 1);
    struct store_stats stats;
    uint64_t job;

    stores_must_open(t);
    stores_await(t, put(t, "old", 1));
    fault_arm(FAULT_SYNC, 1, 1, 0);
    (void)store_put_event(t->store, &event);
    job = put(t, "new", 2);
    stores_await(t, job);
    assert_int_equal(fault_hits(), 1);
    assert_int_equal(t->rebuilds, 1);
    assert_int_equal(t->failures, 0);
    /* The database and its -wal, kept for whoever wants to look. */
    assert_int_equal(stores_count_files(t, ".corrupt-2"), 2);
    store_stats(t->store, &stats);
    assert_int_equal(stats.commits, 2);
    stores_again(t, WALL);
    assert_null(stores_find(t, "old"));
    assert_int_equal(stores_find(t, "new")->generation, 2);
    assert_int_equal(t->meta.last_seq, 1);
}

/* The write-back from the -wal to the database: SQLite itself would pass over
 * its failure. */
static void
a_failed_write_back_begins_a_new_file(void **state)
{
    struct stores *t = *state;
    char name[32];
    uint64_t job = 0;

    stores_must_open(t);
    fault_arm(FAULT_SYNC, 1, FAULT_FOREVER, 1);
    for (uint64_t round = 1; t->rebuilds == 0 && round < 100; round++) {
        for (int i = 0; i < 500; i++) {
            (void)snprintf(name, sizeof name, "service-%d", i);
            job = put(t, name, round);
        }
        if (!is_saved(t, job, 1) || fault_hits() > 0)
            break;
    }
    assert_true(fault_hits() > 0);
    fault_arm(0, 0, 0, 0);
    stores_await(t, job);
    assert_int_equal(t->rebuilds, 1);
    assert_true(stores_count_files(t, ".corrupt-2") >= 2);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 500);
}

static void
a_dying_disk_is_not_filled_with_copies(void **state)
{
    struct stores *t = *state;
    uint64_t job;
    uint64_t last;

    stores_must_open(t);
    stores_await(t, put(t, "old", 1));
    fault_arm(FAULT_SYNC, 1, FAULT_FOREVER, 0);
    job = put(t, "a", 1);
    assert_true(has_failed(t, job, 5));
    assert_int_equal(t->failures, 1);
    assert_non_null(strstr(t->failed_text, "disk I/O error"));
    last = put(t, "b", 1);
    assert_true(has_failed(t, last, 5));
    assert_int_equal(t->failures, 2);
    assert_false(is_saved(t, last, 2.5));
    /* Tried again and again, told once a batch. */
    assert_int_equal(t->failures, 2);
    assert_in_range(stores_count_files(t, ".corrupt-2"), 1, 8);
    fault_arm(0, 0, 0, 0);
    assert_true(is_saved(t, last, 9));
    assert_true(t->rebuilds >= 1);
    stores_again(t, WALL);
    assert_non_null(stores_find(t, "a"));
    assert_non_null(stores_find(t, "b"));
}

/* A file system of its own, in a child; false where that is not allowed. */
static bool
has_small_disk(struct stores *t, const char *size)
{
    if (unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", t->directory, "tmpfs", 0, size) == 0)
        return true;
    wrong_line = CANNOT;
    return false;
}

/* Writes into a file beside the database until nothing more goes in. */
static void
fill_disk(const struct stores *t, char ballast[160])
{
    static char junk[4096];
    int fd;

    (void)snprintf(ballast, 160, "%s/ballast", t->directory);
    fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)CHECK(fd >= 0);
    while (write(fd, junk, sizeof junk) > 0)
        continue;
    (void)close(fd);
}

static void
put_until_it_fails(struct stores *t)
{
    for (int i = 0; i < 100 && t->failures == 0; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "during-%d", i);
        (void)put(t, name, 1);
        store_flush(t->store);
        (void)stores_listen(t, 200);
    }
    (void)CHECK(t->failures >= 1);
    (void)CHECK(strstr(t->failed_text, "full") != NULL);
}

static void
ask_history(struct stores *t)
{
    (void)store_ask_history(t->store, NULL, 5, 0, 1);
    store_flush(t->store);
    for (int i = 0; i < 50 && t->histories == 0; i++)
        (void)stores_listen(t, 100);
    (void)CHECK(t->histories == 1 && t->history.json != NULL);
}

static void
on_a_small_disk(struct stores *t)
{
    char ballast[160];
    uint64_t job;

    if (!has_small_disk(t, "size=256k,mode=0700") ||
        !CHECK(stores_open(t) && load(t)))
        return;
    (void)CHECK(is_saved(t, put(t, "before", 1), 5));
    fill_disk(t, ballast);
    put_until_it_fails(t);
    /* Reading goes on, from the file and without waiting. */
    ask_history(t);
    job = put(t, "last", 1);
    (void)CHECK(!is_saved(t, job, 0.5));
    (void)CHECK(unlink(ballast) == 0);
    (void)CHECK(is_saved(t, job, 9));
    (void)CHECK(t->rebuilds == 0);
    (void)CHECK(stores_count_files(t, ".corrupt-2") == 0);
    store_close(&t->store, WAIT_MS);
    if (!CHECK(stores_open(t)))
        return;
    stores_load(t, WALL);
    (void)CHECK(stores_find(t, "before") != NULL);
    (void)CHECK(stores_find(t, "during-0") != NULL);
    (void)CHECK(stores_find(t, "last") != NULL);
    store_close(&t->store, WAIT_MS);
}

static void
a_full_disk_is_waited_out(void **state)
{
    in_child(*state, on_a_small_disk);
}

/* No room for even a new file: one sentence, no store. */
static void
on_a_tiny_disk(struct stores *t)
{
    char ballast[160];

    if (!has_small_disk(t, "size=8k,mode=0700"))
        return;
    fill_disk(t, ballast);
    (void)CHECK(!stores_open(t));
    (void)CHECK(strstr(t->error, "full") != NULL);
    (void)CHECK(stores_count_files(t, ".corrupt-2") == 0);
}

static void
a_disk_full_from_the_start_is_one_sentence(void **state)
{
    in_child(*state, on_a_tiny_disk);
}

static bool
limit_file_size(rlim_t octets)
{
    const struct rlimit limit = {.rlim_cur = octets, .rlim_max = RLIM_INFINITY};

    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

static void
under_a_size_limit(struct stores *t)
{
    uint64_t job = 0;
    char name[32];

    (void)signal(SIGXFSZ, SIG_IGN);
    if (!CHECK(stores_open(t) && load(t)))
        return;
    (void)CHECK(is_saved(t, put(t, "old", 1), 5));
    (void)CHECK(limit_file_size(200000));
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(name, sizeof name, "service-%d", i);
        job = put(t, name, 1);
    }
    (void)CHECK(has_failed(t, job, 5));
    (void)CHECK(strcmp(t->failed_text, "disk I/O error: File too large") == 0);
    (void)CHECK(limit_file_size(RLIM_INFINITY));
    (void)CHECK(is_saved(t, job, 9));
    (void)CHECK(t->rebuilds == 0);
    (void)CHECK(stores_count_files(t, ".corrupt-2") == 0);
    store_close(&t->store, WAIT_MS);
    if (!CHECK(stores_open(t)))
        return;
    stores_load(t, WALL);
    (void)CHECK(t->service_count == 2001);
    store_close(&t->store, WAIT_MS);
}

static void
a_limit_of_file_size_is_waited_out(void **state)
{
    in_child(*state, under_a_size_limit);
}

/* A disk that takes two seconds for each sync holds neither the loop nor the end
 * of the process. */
static void
on_a_slow_disk(struct stores *t)
{
    double from;
    uint64_t job;

    if (!CHECK(stores_open(t) && load(t)))
        return;
    (void)CHECK(is_saved(t, put(t, "old", 1), 5));
    fault_slow_sync(2000);
    job = put(t, "a", 1);
    store_flush(t->store);
    usleep(50000);
    from = now_s();
    for (int i = 0; i < 1000; i++) {
        struct bk_past event = stores_event("a", (uint64_t)i + 1);

        (void)store_put_event(t->store, &event);
        (void)put(t, "a", (uint64_t)i);
        store_flush(t->store);
        (void)stores_listen(t, 0);
    }
    (void)CHECK(now_s() - from < 1);
    (void)CHECK(t->saved < job);
    from = now_s();
    store_close(&t->store, 300);
    (void)CHECK(t->store == NULL);
    (void)CHECK(now_s() - from < 1.5);
}

static void
a_slow_disk_holds_nobody(void **state)
{
    in_child(*state, on_a_slow_disk);
}

#define KILLS 60
#define ROWS 50

/* Saves round after round, telling each over the pipe once it is on disk. */
static void
save_until_killed(struct stores *t, int fd, uint64_t round)
{
    if (!stores_open(t) || !load(t))
        _exit(1);
    for (;;) {
        struct bk_past event = stores_event("a", ++round);
        struct store_meta meta = {1, round, round};
        uint64_t job;
        char name[32];

        for (int i = 0; i < ROWS; i++) {
            (void)snprintf(name, sizeof name, "s%d", i);
            (void)put(t, name, round);
        }
        (void)store_put_event(t->store, &event);
        job = store_put_meta(t->store, &meta);
        if (!is_saved(t, job, 10) ||
            write(fd, &round, sizeof round) != sizeof round)
            _exit(2);
    }
}

/* Kills a saver `us` after it began, or after its first round; the last round it
 * told. */
static uint64_t
kill_a_saver(struct stores *t, uint64_t round, bool is_under_way, useconds_t us)
{
    int fd[2];
    uint64_t told = round;
    uint64_t next;
    int status;
    pid_t child;

    assert_int_equal(pipe(fd), 0);
    child = fork();
    if (child == 0) {
        (void)alarm(60);
        save_until_killed(t, fd[1], round);
    }
    close(fd[1]);
    if (is_under_way)
        assert_int_equal(read(fd[0], &told, sizeof told), sizeof told);
    usleep(us);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(fd[0], &next, sizeof next) == sizeof next)
        told = next;
    close(fd[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return told;
}

/* Nothing told is lost, nothing is there in part. */
static void
kills_lose_nothing_that_was_told(void **state)
{
    struct stores *t = *state;
    uint64_t round = 0;
    uint64_t told_rounds = 0;
    uint32_t seed = 20261122;

    for (int i = 0; i < KILLS; i++) {
        uint64_t told;

        seed = seed * 1664525 + 1013904223;
        told = kill_a_saver(t, round, i % 4 != 0, (seed >> 8) % 20000);
        told_rounds += told - round;
        stores_must_open(t);
        assert_in_range(t->meta.last_seq, told, told + 1);
        round = t->meta.last_seq;
        assert_int_equal(t->meta.next_id, round);
        if (round > 0)
            assert_int_equal(t->service_count, ROWS);
        for (int k = 0; k < t->service_count; k++)
            assert_int_equal(t->services[k].generation, round);
        assert_int_equal(stores_count_files(t, "corrupt"), 0);
        stores_close(t);
    }
    print_message("%d kills, %llu rounds told, seed 20261122\n", KILLS,
                  (unsigned long long)told_rounds);
    assert_true(told_rounds > KILLS);
}

static int
install(void **state)
{
    (void)state;
    fault_install();
    return 0;
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_single_failure_is_survived),
        TEST(a_failed_sync_begins_a_new_file),
        TEST(a_failed_write_back_begins_a_new_file),
        TEST(a_dying_disk_is_not_filled_with_copies),
        TEST(a_full_disk_is_waited_out),
        TEST(a_disk_full_from_the_start_is_one_sentence),
        TEST(a_limit_of_file_size_is_waited_out),
        TEST(a_slow_disk_holds_nobody),
        TEST(kills_lose_nothing_that_was_told),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
