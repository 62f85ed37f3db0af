/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as the loop uses it, on real files. */
#include "stores.h"
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void
a_new_file_is_empty(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
    assert_string_equal(t->settings, "");
    assert_string_equal(t->forgotten, "");
    assert_int_equal(t->meta.epoch, 0);
    assert_int_equal(t->meta.next_id, 0);
    assert_int_equal(t->meta.last_seq, 0);
    assert_false(stores_listen(t, 0));
}

static unsigned
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void
directories_and_files_are_ours_alone(void **state)
{
    static const mode_t umasks[] = {0, 022, 077, 0777};
    struct stores *t = *state;

    for (size_t i = 0; i < COUNT_OF(umasks); i++) {
        mode_t old = umask(umasks[i]);
        struct bk_saved row = stores_service("a", 1);
        char path[160];

        (void)snprintf(t->path, sizeof t->path, "%s/u%zu/deep/b.db",
                       t->directory, i);
        stores_must_open(t);
        stores_await(t, store_put_service(t->store, &row, WALL));
        umask(old);
        assert_int_equal(mode_of(t->path), 0600);
        (void)snprintf(path, sizeof path, "%s-wal", t->path);
        assert_int_equal(mode_of(path), 0600);
        (void)snprintf(path, sizeof path, "%s/u%zu/deep", t->directory, i);
        assert_int_equal(mode_of(path), 0700);
        (void)snprintf(path, sizeof path, "%s/u%zu", t->directory, i);
        assert_int_equal(mode_of(path), 0700);
        stores_close(t);
    }
    assert_int_equal(mode_of(t->directory), 0700);
}

static void
there_is_no_shared_memory_file(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);

    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    assert_int_equal(stores_count_files(t, "b.db-wal"), 1);
    assert_int_equal(stores_count_files(t, "b.db-shm"), 0);
    stores_close(t);
    /* A clean end leaves one file. */
    assert_int_equal(stores_count_files(t, "b.db"), 1);
}

static void
put_everything(struct stores *t)
{
    const struct store_meta meta = {7, UINT64_C(1) << 40, 99};
    struct bk_saved open = {
        .name = "llm/gpt-4",
        .state = BK_OPEN,
        .cause = BK_CAUSE_PROBE_FAILED,
        .generation = BK_NUMBER_END - 1,
        .failed_rounds = UINT32_MAX,
        .open_left_ns = SECONDS(60),
        .hold_left_ns = SECONDS(5),
        .override = {.is_set = 1,
                     .mode = BK_FORCED_OPEN,
                     .expires_ns = SECONDS(600),
                     .reason = "maintenance \"now\"; DROP TABLE x",
                     .actor = "0:0:4711"},
        .counters = {.allowed = 1, .denied = 2, .opened = 12},
        .open_ns = SECONDS(7),
        .stats = {.rejected = {[BK_DENY_OPEN] = BK_NUMBER_END - 1},
                  .transitions = {[1] = 12},
                  .duration = {[BK_DURATION_BUCKETS - 1] = 3}},
    };
    struct bk_saved half = stores_service("half", 4);
    struct bk_saved bypass = stores_service("bypass", 5);

    half.state = BK_HALF_OPEN;
    half.cause = BK_CAUSE_RECOVERY_TIMEOUT;
    bypass.override.is_set = 1;
    bypass.override.mode = BK_BYPASS;
    bypass.override.expires_ns = BK_NEVER;
    (void)store_put_service(t->store, &open, WALL);
    (void)store_put_service(t->store, &half, WALL);
    (void)store_put_service(t->store, &bypass, WALL);
    (void)store_put_setting(t->store, "half", "ramp", "5s");
    (void)store_put_setting(t->store, "half", "retry_on", "failure,timeout");
    (void)store_put_forgotten(t->store, "gone", 41);
    stores_await(t, store_put_meta(t->store, &meta));
}

/* Version 1 knew nothing of metrics. */
static void
an_old_file_is_brought_up(void **state)
{
    struct stores *t = *state;
    const struct bk_saved *row;

    stores_must_open(t);
    put_everything(t);
    stores_close(t);
    stores_sql(t, "ALTER TABLE services DROP COLUMN stats;"
                  "ALTER TABLE services DROP COLUMN leaps;"
                  "PRAGMA user_version = 1");
    stores_must_open(t);
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    assert_int_equal(t->service_count, 3);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->counters.opened, 12);
    assert_int_equal(row->open_ns, 0);
    assert_int_equal(row->stats.transitions[1], 0);
    put_everything(t);
    stores_again(t, WALL);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->stats.transitions[1], 12);
}

/* One leap counts for the rows there are, however long ago they were written, and
 * for none that is written behind it. */
static void
a_leap_is_of_all_rows_there_are(void **state)
{
    struct stores *t = *state;
    struct bk_saved old = stores_service("old", 7);
    struct bk_saved late = stores_service("late", 5);
    struct bk_saved last = stores_service("last", BK_NUMBER_END - 2);

    stores_must_open(t);
    (void)store_put_service(t->store, &old, WALL);
    stores_await(t, store_put_service(t->store, &last, WALL));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation, 7);
    (void)store_put_leap(t->store);
    stores_await(t, store_put_service(t->store, &late, WALL));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation, 7 + BK_GENERATION_LEAP);
    assert_int_equal(stores_find(t, "late")->generation, 5);
    assert_true(stores_find(t, "last")->generation == BK_NUMBER_END - 1);
    stores_await(t, store_put_leap(t->store));
    stores_again(t, WALL);
    assert_int_equal(stores_find(t, "old")->generation,
                     7 + 2 * BK_GENERATION_LEAP);
    assert_int_equal(stores_find(t, "late")->generation,
                     5 + BK_GENERATION_LEAP);
}

static void
what_was_saved_comes_back(void **state)
{
    struct stores *t = *state;
    const struct bk_saved *row;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 3);
    row = stores_find(t, "llm/gpt-4");
    assert_int_equal(row->state, BK_OPEN);
    assert_int_equal(row->cause, BK_CAUSE_PROBE_FAILED);
    assert_int_equal(row->generation, BK_NUMBER_END - 1);
    assert_int_equal(row->failed_rounds, UINT32_MAX);
    assert_int_equal(row->open_left_ns, SECONDS(60));
    assert_int_equal(row->hold_left_ns, SECONDS(5));
    assert_int_equal(row->override.is_set, 1);
    assert_int_equal(row->override.mode, BK_FORCED_OPEN);
    assert_int_equal(row->override.expires_ns, SECONDS(600));
    assert_string_equal(row->override.reason, "maintenance \"now\"; DROP "
                                              "TABLE x");
    assert_string_equal(row->override.actor, "0:0:4711");
    assert_int_equal(row->counters.allowed, 1);
    assert_int_equal(row->counters.denied, 2);
    assert_int_equal(row->counters.success, 0);
    assert_int_equal(row->counters.opened, 12);
    assert_int_equal(row->open_ns, SECONDS(7));
    assert_true(row->stats.rejected[BK_DENY_OPEN] == BK_NUMBER_END - 1);
    assert_int_equal(row->stats.rejected[BK_DENY_RAMP], 0);
    assert_int_equal(row->stats.transitions[1], 12);
    assert_int_equal(row->stats.duration[BK_DURATION_BUCKETS - 1], 3);
    row = stores_find(t, "half");
    assert_int_equal(row->state, BK_HALF_OPEN);
    assert_int_equal(row->open_left_ns, 0);
    assert_int_equal(row->override.is_set, 0);
    row = stores_find(t, "bypass");
    assert_int_equal(row->override.mode, BK_BYPASS);
    assert_true(row->override.expires_ns == BK_NEVER);
    assert_string_equal(t->settings,
                        "half.ramp=5s half.retry_on=failure,timeout ");
    assert_string_equal(t->forgotten, "gone:41 ");
    assert_int_equal(t->meta.epoch, 7);
    assert_true(t->meta.next_id == UINT64_C(1) << 40);
    assert_int_equal(t->meta.last_seq, 99);
}

static void
times_go_on_while_nothing_runs(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, WALL + 20000);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, SECONDS(40));
    assert_int_equal(stores_find(t, "llm/gpt-4")->hold_left_ns, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns,
                     SECONDS(580));
    stores_again(t, WALL + 3600000);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->state, BK_OPEN);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.is_set, 1);
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns, 0);
    assert_true(stores_find(t, "bypass")->override.expires_ns == BK_NEVER);
}

static void
a_clock_set_back_lengthens_nothing(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    put_everything(t);
    stores_again(t, 0);
    assert_int_equal(stores_find(t, "llm/gpt-4")->open_left_ns, SECONDS(60));
    assert_int_equal(stores_find(t, "llm/gpt-4")->hold_left_ns, SECONDS(5));
    assert_int_equal(stores_find(t, "llm/gpt-4")->override.expires_ns,
                     SECONDS(600));
}

static void
remaining_times_are_rounded_up(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);

    row.state = BK_OPEN;
    row.open_left_ns = MS(7) + 1;
    row.hold_left_ns = 1;
    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_int_equal(t->services[0].open_left_ns, MS(8));
    assert_int_equal(t->services[0].hold_left_ns, MS(1));
}

static void
saves_of_one_service_fold(void **state)
{
    struct stores *t = *state;
    struct store_stats stats;
    uint64_t job = 0;

    stores_must_open(t);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct bk_saved row = stores_service("a", i);
        uint64_t next = store_put_service(t->store, &row, WALL);

        assert_true(next > job);
        job = next;
    }
    stores_await(t, job);
    assert_int_equal(t->saved, job);
    store_stats(t->store, &stats);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(stats.queued, 0);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    assert_int_equal(t->services[0].generation, 1000);
}

/* In every order and split, the last thing said of a name holds. */
static void
forgetting_and_coming_back_keep_their_order(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);
    struct bk_saved back = stores_service("a", 9);

    for (int split = 0; split < 8; split++) {
        stores_must_open(t);
        (void)store_put_service(t->store, &row, WALL);
        (void)store_put_setting(t->store, "a", "ramp", "1s");
        (void)store_put_setting(t->store, "a", "mode", "observe");
        if ((split & 1) != 0)
            stores_await(t, store_put_service(t->store, &row, WALL));
        stores_await(t, store_put_forgotten(t->store, "a", 8));
        if ((split & 2) != 0) {
            stores_again(t, WALL);
            assert_int_equal(t->service_count, 0);
            assert_string_equal(t->settings, "");
            assert_string_equal(t->forgotten, "a:8 ");
        }
        (void)store_put_setting(t->store, "a", "ramp", "2s");
        (void)store_put_setting(t->store, "a", "mode", "bypass");
        if ((split & 4) != 0)
            stores_await(t, store_put_service(t->store, &back, WALL));
        (void)store_put_setting(t->store, "a", "mode", NULL);
        stores_await(t, store_put_service(t->store, &back, WALL));
        stores_again(t, WALL);
        assert_int_equal(t->service_count, 1);
        assert_int_equal(t->services[0].generation, 9);
        assert_string_equal(t->settings, "a.ramp=2s ");
        assert_string_equal(t->forgotten, "");
        stores_close(t);
        assert_int_equal(unlink(t->path), 0);
    }
}

static void
forgotten_names_are_bounded(void **state)
{
    struct stores *t = *state;
    uint64_t job = 0;
    char name[32];

    stores_must_open(t);
    for (uint64_t i = 0; i < BK_FORGOTTEN + 100; i++) {
        (void)snprintf(name, sizeof name, "n%llu", (unsigned long long)i);
        job = store_put_forgotten(t->store, name, i);
        if (i % 1000 == 999)
            stores_await(t, job);
    }
    stores_await(t, job);
    stores_again(t, WALL);
    /* The oldest 100 made room. */
    assert_int_equal(strncmp(t->forgotten, "n100:100 n101:101 ", 18), 0);
}

static long
wal_octets(const struct stores *t)
{
    char path[160];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s-wal", t->path);
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

static void
the_log_file_stays_small(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    for (uint64_t round = 1; round <= 40; round++) {
        uint64_t job = 0;

        for (int i = 0; i < 1000; i++) {
            struct bk_saved row = stores_service("", round);

            (void)sprintf(row.name, "service-%d", i);
            job = store_put_service(t->store, &row, WALL);
        }
        stores_await(t, job);
        assert_true(wal_octets(t) < 8L << 20);
    }
}

static void
putting_never_waits_for_the_disk(void **state)
{
    struct stores *t = *state;
    struct timespec from;
    struct timespec to;
    uint64_t job = 0;

    stores_must_open(t);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (uint64_t i = 0; i < 20000; i++) {
        struct bk_saved row = stores_service("", i);

        (void)sprintf(row.name, "s%llu", (unsigned long long)(i % 4096));
        job = store_put_service(t->store, &row, WALL);
        if (i % 100 == 0)
            store_flush(t->store);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    stores_await(t, job);
    /* Not a measurement: an fdatasync each would take minutes. */
    assert_true(to.tv_sec - from.tv_sec < 5);
}

static void
a_close_saves_what_waits(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("late", 3);

    stores_must_open(t);
    (void)store_put_service(t->store, &row, WALL);
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    assert_string_equal(t->services[0].name, "late");
}

static void
names_of_sqlite_are_names_of_files(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 3);
    char old[256];

    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(t->directory), 0);
    strcpy(t->path, ":memory:");
    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    /* The database and its -wal. */
    assert_int_equal(stores_count_files(t, ":memory:"), 2);
    stores_close(t);
    assert_int_equal(chdir(old), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_empty),
        TEST(directories_and_files_are_ours_alone),
        TEST(there_is_no_shared_memory_file),
        TEST(an_old_file_is_brought_up),
        TEST(a_leap_is_of_all_rows_there_are),
        TEST(what_was_saved_comes_back),
        TEST(times_go_on_while_nothing_runs),
        TEST(a_clock_set_back_lengthens_nothing),
        TEST(remaining_times_are_rounded_up),
        TEST(saves_of_one_service_fold),
        TEST(forgetting_and_coming_back_keep_their_order),
        TEST(forgotten_names_are_bounded),
        TEST(the_log_file_stays_small),
        TEST(putting_never_waits_for_the_disk),
        TEST(a_close_saves_what_waits),
        TEST(names_of_sqlite_are_names_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
