/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are edited, locked, somebody else's or of another time. */
#include "stores.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A slip of the hand (--db names some text) must not cost anybody a file. */
static void
what_is_somebody_elses_is_left_alone(void **state)
{
    static const char text[] = "root:x:0:0:root:/root:/bin/bash\n";
    struct stores *t = *state;
    char found[64] = "";
    FILE *f;

    (void)snprintf(t->path, sizeof t->path, "%s/accounts", t->directory);
    stores_write(t->path, text, sizeof text - 1);
    assert_int_equal(chmod(t->path, 0644), 0);
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, "left alone"));
    assert_non_null(strstr(t->error, "--db"));
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    f = fopen(t->path, "r");
    assert_non_null(f);
    assert_non_null(fgets(found, sizeof found, f));
    assert_int_equal(fclose(f), 0);
    assert_string_equal(found, text);
    /* The same, kept to ourselves: it may have been ours. */
    assert_int_equal(chmod(t->path, 0600), 0);
    stores_must_open(t);
    assert_int_equal(stores_count_files(t, "accounts.corrupt-2"), 1);
}

static void
what_is_no_database_is_set_aside(void **state)
{
    struct stores *t = *state;
    char octets[9000];
    char wal[160];

    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (char)('a' + i % 26);
    stores_write(t->path, octets, sizeof octets);
    (void)snprintf(wal, sizeof wal, "%s-wal", t->path);
    stores_write(wal, octets, 100);
    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
    assert_int_equal(stores_count_files(t, "-wal"), 1 + 1);
    stores_assert_set_aside(t, 2);
}

static void
an_empty_file_is_a_new_one(void **state)
{
    struct stores *t = *state;

    stores_write(t->path, "", 0);
    stores_must_open(t);
    stores_assert_set_aside(t, 0);
}

static void
a_newer_file_is_left_alone(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "PRAGMA user_version = 4");
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, "it was written by a newer breakerd (its "
                                     "tables are of version 4, this one knows "
                                     "3)"));
    assert_non_null(strstr(t->error, t->path));
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    stores_sql(t, "PRAGMA user_version = 3");
    stores_must_open(t);
}

static void
a_strangers_database_is_left_alone(void **state)
{
    struct stores *t = *state;

    stores_sql(t, "CREATE TABLE bookmarks (url TEXT)");
    assert_false(stores_open(t));
    assert_non_null(
        strstr(t->error, "it is a database, but none of breakerd's"));
    stores_sql(t, "PRAGMA user_version = 1");
    assert_false(stores_open(t));
    assert_non_null(
        strstr(t->error, "it is a database, but none of breakerd's"));
    stores_sql(t, "INSERT INTO bookmarks VALUES ('still here')");
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
}

static void
paths_that_cannot_be_are_one_sentence(void **state)
{
    struct stores *t = *state;
    char path[128];

    (void)snprintf(t->path, sizeof t->path, "%s", t->directory);
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, ": not a regular file"));
    (void)snprintf(t->path, sizeof t->path, "%s/fifo", t->directory);
    assert_int_equal(mkfifo(t->path, 0600), 0);
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, ": not a regular file"));
    (void)snprintf(t->path, sizeof t->path, "%s/file/b.db", t->directory);
    (void)snprintf(path, sizeof path, "%s/file", t->directory);
    stores_write(path, "x", 1);
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, ": Not a directory"));
    (void)snprintf(t->path, sizeof t->path, "/proc/breakerd/b.db");
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, "cannot make directory /proc/breakerd: "));
}

/* Another process has the file open and locked. */
static void
a_locked_file_is_one_sentence(void **state)
{
    struct stores *t = *state;
    int ready[2];
    int done[2];
    char c = 0;
    pid_t child;
    int status;

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    child = fork();
    if (child == 0) {
        sqlite3 *db;

        close(ready[0]);
        close(done[1]);
        if (sqlite3_open(t->path, &db) != SQLITE_OK ||
            sqlite3_exec(db, "BEGIN EXCLUSIVE; CREATE TABLE t (x)", NULL, NULL,
                         NULL) != SQLITE_OK)
            _exit(1);
        if (write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) != 0)
            _exit(2);
        _exit(0);
    }
    close(ready[1]);
    close(done[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_false(stores_open(t));
    assert_non_null(strstr(t->error, ": database is locked"));
    close(done[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ready[0]);
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    stores_must_open(t);
}

/* By another process: within one, SQLite would have to share its locks. */
static void
our_file_is_locked_against_others(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 1);
    pid_t child;
    int status;

    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    /* With the answer the thread is at rest, and holds none of SQLite's locks that the
     * child would wait for. */
    (void)store_ask_history(t->store, NULL, 1, 0, 1);
    store_flush(t->store);
    for (int tries = 0; t->histories == 0 && tries < 100; tries++)
        (void)stores_listen(t, 100);
    usleep(20 * 1000);
    child = fork();
    if (child == 0) {
        sqlite3 *db = NULL;
        int code = sqlite3_open(t->path, &db);

        if (code == SQLITE_OK)
            code = sqlite3_exec(db, "SELECT * FROM services", NULL, NULL, NULL);
        _exit(code);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SQLITE_BUSY);
}

/* Values of name, state, reason, generation, failed_rounds, open_until_ms,
 * hold_until_ms, counters, saved_ms, override_mode, override_until_ms. */
static const char *const senseless[] = {
    "'', 'open', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'a b', 'open', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'*', 'open', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "x'6100', 'open', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "hex(zeroblob(32)), 'open', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'b', 'ajar', 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'c', 'open' || char(0), 'none', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'d', 'open', 'whim', 1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'e', 'open', 'none', -1, 0, 0, 0, '{}', 0, NULL, NULL",
    "'f', 'open', 'none', 9007199254740992, 0, 0, 0, '{}', 0, NULL, NULL",
    "'g', 'open', 'none', 'one', 0, 0, 0, '{}', 0, NULL, NULL",
    "'h', 'open', 'none', 1, 4294967296, 0, 0, '{}', 0, NULL, NULL",
    "'i', 'open', 'none', 1, 0, 1 << 62, 0, '{}', 0, NULL, NULL",
    "'j', 'open', 'none', 1, 0, 0, -1, '{}', 0, NULL, NULL",
    "'k', 'open', 'none', 1, 0, 0, 0, '{\"allowed\":', 0, NULL, NULL",
    "'l', 'open', 'none', 1, 0, 0, 0, '{}', 0, 'auto', NULL",
    "'m', 'open', 'none', 1, 0, 0, 0, '{}', 0, 'closed', NULL",
    "'o', 'open', 'none', 1, 0, 0, 0, '{}', 0, 'bypass', 'soon'",
    "'p', 'open', 'none', 1.5, 0, 0, 0, '{}', 0, NULL, NULL",
};

static void
insert_service(const struct stores *t, const char *values)
{
    char sql[1024];

    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO services (name, state, reason, generation,"
                   " failed_rounds, open_until_ms, hold_until_ms, counters,"
                   " saved_ms, override_mode, override_until_ms) VALUES (%s)",
                   values);
    stores_sql(t, sql);
}

static void
services_that_make_no_sense_are_skipped(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    for (size_t i = 0; i < COUNT_OF(senseless); i++)
        insert_service(t, senseless[i]);
    insert_service(t, "'q', 'open', 'none', 1, 0, 4607182418800, 0,"
                      " '{\"allowed\":5,\"denied\":-1,\"success\":\"x\","
                      "\"unheard\":7,\"opened\":{\"allowed\":9}}',"
                      " 0, NULL, NULL");
    stores_must_open(t);
    assert_int_equal(t->service_count, 1);
    assert_string_equal(t->services[0].name, "q");
    assert_int_equal(t->services[0].counters.allowed, 5);
    assert_int_equal(t->services[0].counters.denied, 0);
    assert_int_equal(t->services[0].counters.success, 0);
    assert_int_equal(t->services[0].counters.opened, 0);
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
    stores_close(t);
    stores_sql(t, "UPDATE services SET stats ="
                  " '{\"rejected.open\":5,\"rejected.ramp\":-1,\"unheard\":7,"
                  "\"duration.5\":1.5,\"open_us\":9007199254740991}'"
                  " WHERE name = 'q'");
    stores_must_open(t);
    assert_int_equal(t->services[0].stats.rejected[BK_DENY_OPEN], 5);
    assert_int_equal(t->services[0].stats.rejected[BK_DENY_RAMP], 0);
    assert_int_equal(t->services[0].stats.duration[0], 0);
    assert_true(t->services[0].open_ns > 0);
    stores_close(t);
    stores_sql(t, "UPDATE services SET stats = '{' WHERE name = 'q'");
    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
}

/* Names are looked up as they stand, each in its column. */
static void
numbers_of_other_names_say_nothing(void **state)
{
    struct stores *t = *state;
    const struct bk_saved *row;

    stores_must_open(t);
    stores_close(t);
    insert_service(t, "'q', 'closed', 'none', 1, 0, 0, 0,"
                      " '{\"rejected.open\":9,\"allowed\":5,\"allowe\":6,"
                      "\"open_us\":7,\"\":8,\"denied\":4}', 0, NULL, NULL");
    stores_sql(t,
               "UPDATE services SET stats ="
               " '{\"rejected.whim\":1,\"rejected\":1,\"rejected.\":1,"
               "\"allowed\":1,\"rejected.open\":3,\"' || hex(zeroblob(40)) ||"
               " '\":1,\"rejected.ramp\":2}'");
    stores_must_open(t);
    row = stores_find(t, "q");
    assert_int_equal(row->counters.allowed, 5);
    assert_int_equal(row->counters.denied, 4);
    assert_int_equal(row->stats.rejected[BK_DENY_OPEN], 3);
    assert_int_equal(row->stats.rejected[BK_DENY_RAMP], 2);
    assert_int_equal(row->stats.rejected[0], 0);
    assert_int_equal(row->open_ns, 0);
}

/* Of leaps that are no number there was none, for rows written later as well. */
static void
leaps_that_make_no_sense_are_none(void **state)
{
    static const char *const values[] = {"'x'", "-1", "1.5", "9007199254740992",
                                         "x'00'"};
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 7);

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char sql[128];

        stores_must_open(t);
        stores_close(t);
        (void)snprintf(sql, sizeof sql,
                       "REPLACE INTO meta VALUES ('leaps', %s)", values[i]);
        stores_sql(t, sql);
        stores_must_open(t);
        stores_await(t, store_put_service(t->store, &row, WALL));
        stores_again(t, WALL);
        assert_int_equal(stores_find(t, "a")->generation, 7);
        stores_await(t, store_put_leap(t->store));
        stores_again(t, WALL);
        assert_int_equal(stores_find(t, "a")->generation,
                         7 + BK_GENERATION_LEAP);
        stores_close(t);
    }
    stores_sql(t, "UPDATE services SET leaps = -1");
    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
}

static void
other_rows_that_make_no_sense_are_skipped(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "INSERT INTO settings VALUES ('a b', 'ramp', '5s'),"
                  " ('a', x'00', '5s'), ('a', 'ramp', 5),"
                  " ('r', 'ramp', hex(zeroblob(200))),"
                  " ('q', hex(zeroblob(40)), '1'), ('q', 'ramp', '7s');"
                  "INSERT INTO forgotten (name, generation) VALUES ('a b', 1),"
                  " ('a', -1), ('b', 'x'), ('z', 3);"
                  "INSERT INTO meta VALUES ('epoch', -1), ('next_id', 'x'),"
                  " ('last_seq', 5), ('unheard', 5)");
    stores_must_open(t);
    /* A number where text should be is text to a column of texts. */
    assert_string_equal(t->settings, "a.ramp=5 q.ramp=7s ");
    assert_string_equal(t->forgotten, "z:3 ");
    assert_int_equal(t->meta.epoch, 0);
    assert_int_equal(t->meta.next_id, 0);
    assert_int_equal(t->meta.last_seq, 5);
    assert_int_equal(stores_count_files(t, "corrupt"), 0);
}

/* What an edited file holds for history is data, whatever it is. */
static void
any_history_is_told_as_json(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "INSERT INTO history VALUES (-5, -1, hex(zeroblob(4000)),"
                  " x'ff00', 1, 2.5, '', -3, '\"', char(10));"
                  "INSERT INTO history VALUES (9223372036854775807,"
                  " 9223372036854775807, '', '', '', '', '', 0, '', '')");
    stores_must_open(t);
    assert_int_equal(t->meta.last_seq, 0);
    (void)store_ask_history(t->store, NULL, UINT64_MAX, 0, 1);
    store_flush(t->store);
    for (int i = 0; i < 100 && t->histories == 0; i++)
        (void)stores_listen(t, 100);
    assert_non_null(t->history.json);
    assert_int_equal(strncmp(t->history.json, "{\"history\":[{\"seq\":0,", 21),
                     0);
    assert_string_equal(t->history.json + t->history.json_len - 3, "}]}");
}

/* Views and triggers of the file's own do not run. */
static void
nothing_in_the_file_runs(void **state)
{
    struct stores *t = *state;
    struct bk_saved row = stores_service("a", 2);

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "CREATE TRIGGER evil AFTER INSERT ON services BEGIN"
                  " DELETE FROM services; INSERT INTO meta VALUES ('epoch',"
                  " 666); END");
    stores_must_open(t);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_int_equal(t->service_count, 1);
    assert_int_equal(t->meta.epoch, 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, stores_begin, stores_end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_somebody_elses_is_left_alone),
        TEST(what_is_no_database_is_set_aside),
        TEST(an_empty_file_is_a_new_one),
        TEST(a_newer_file_is_left_alone),
        TEST(a_strangers_database_is_left_alone),
        TEST(paths_that_cannot_be_are_one_sentence),
        TEST(a_locked_file_is_one_sentence),
        TEST(our_file_is_locked_against_others),
        TEST(services_that_make_no_sense_are_skipped),
        TEST(numbers_of_other_names_say_nothing),
        TEST(leaps_that_make_no_sense_are_none),
        TEST(other_rows_that_make_no_sense_are_skipped),
        TEST(any_history_is_told_as_json),
        TEST(nothing_in_the_file_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
