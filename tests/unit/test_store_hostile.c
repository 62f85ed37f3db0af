/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are damaged, edited, somebody else's or of another time. */
#include "stores.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
write_octets(const char *path, const void *octets, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The damaged file has another name, and a new one works. */
static void
assert_set_aside(struct stores *t, int asides)
{
    struct bk_saved row = stores_service("new", 1);

    assert_int_equal(stores_count_files(t, "b.db.corrupt-2"), asides);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_non_null(stores_find(t, "new"));
}

/* A slip of the hand (--db names some text) must not cost anybody a file. */
static void
what_is_somebody_elses_is_left_alone(void **state)
{
    static const char text[] = "root:x:0:0:root:/root:/bin/bash\n";
    struct stores *t = *state;
    char found[64] = "";
    FILE *f;

    (void)snprintf(t->path, sizeof t->path, "%s/accounts", t->directory);
    write_octets(t->path, text, sizeof text - 1);
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
    write_octets(t->path, octets, sizeof octets);
    (void)snprintf(wal, sizeof wal, "%s-wal", t->path);
    write_octets(wal, octets, 100);
    stores_must_open(t);
    assert_int_equal(t->service_count, 0);
    assert_int_equal(stores_count_files(t, "-wal"), 1 + 1);
    assert_set_aside(t, 2);
}

static void
an_empty_file_is_a_new_one(void **state)
{
    struct stores *t = *state;

    write_octets(t->path, "", 0);
    stores_must_open(t);
    assert_set_aside(t, 0);
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
tables_that_are_gone_are_damage(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "DROP TABLE forgotten");
    stores_must_open(t);
    assert_set_aside(t, 2);
}

/* An old line of history that lacks what none may lack: who reads the newest does not
 * meet it. */
static void
hide_damage(const struct stores *t)
{
    static const char lines[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE "
        "i < 2000) INSERT INTO history SELECT i, 1, 's', 'closed', 'closed', "
        "'auto', 'operator', 0, '-', '' FROM n";
    static const char lax[] =
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
        "replace(sql, 'text       TEXT NOT NULL', 'text       TEXT') "
        "WHERE name = 'history'";
    static const char strict[] =
        "UPDATE history SET text = NULL WHERE seq = 1;"
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = "
        "replace(sql, 'text       TEXT', 'text       TEXT NOT NULL') "
        "WHERE name = 'history'";

    stores_sql(t, lines);
    stores_sql(t, lax);
    stores_sql(t, strict);
}

static void
nobody_who_starts_waits_for_the_whole_file(void **state)
{
    struct stores *t = *state;
    struct store_meta meta = {.epoch = 1, .next_id = 1};

    stores_must_open(t);
    stores_close(t);
    hide_damage(t);
    assert_true(stores_open(t));
    stores_load_only(t, WALL);
    for (int round = 0; round < 3; round++) {
        stores_await(t, store_put_meta(t->store, &meta));
        (void)stores_listen(t, 100);
    }
    assert_int_equal(t->rebuilds, 0);
    store_check(t->store);
    for (int i = 0; i < 100 && t->rebuilds == 0; i++)
        (void)stores_listen(t, 100);
    assert_int_equal(t->rebuilds, 1);
    stores_await(t, store_put_meta(t->store, &meta));
    assert_true(stores_count_files(t, "corrupt") > 0);
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
    write_octets(path, "x", 1);
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

static uint64_t seed;

static uint64_t
draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void
fill(struct stores *t)
{
    uint64_t job = 0;

    stores_must_open(t);
    for (uint64_t i = 0; i < 40; i++) {
        struct bk_saved row = stores_service("", i);
        struct bk_past event = stores_event("a", i + 1);

        (void)sprintf(row.name, "service-%llu", (unsigned long long)i);
        (void)store_put_service(t->store, &row, WALL);
        (void)store_put_setting(t->store, row.name, "ramp", "5s");
        job = store_put_event(t->store, &event);
    }
    stores_await(t, job);
    stores_close(t);
}

static size_t
read_octets(const char *path, unsigned char *octets, size_t room)
{
    FILE *f = fopen(path, "r");
    size_t len;

    assert_non_null(f);
    len = fread(octets, 1, room, f);
    (void)fclose(f);
    return len;
}

/* Opens a damaged file; it may be refused, and is then left alone, only where the
 * damage hit the few octets that say whose it is and of what version. */
static bool
opens(struct stores *t)
{
    if (stores_open(t))
        return true;
    if (strstr(t->error, "by a newer breakerd") == NULL &&
        strstr(t->error, "but none of breakerd's") == NULL)
        fail_msg("refused: %s", t->error);
    return false;
}

#define ROUNDS 250

/* Some octets at random places get random values: the store starts, loads what
 * makes sense, saves and answers. */
static void
random_damage_is_survived(void **state)
{
    static unsigned char whole[1 << 18];
    static unsigned char damaged[1 << 18];
    struct stores *t = *state;
    const struct bk_saved row = stores_service("new", 1);
    size_t len;
    int asides = 0;
    int usable = 0;

    fill(t);
    len = read_octets(t->path, whole, sizeof whole);
    assert_in_range(len, 8192, sizeof whole - 1);
    seed = 20261122;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t places = 1 + draw(draw(3) == 0 ? 200 : 6);
        uint64_t reach = draw(4) == 0 ? 200 : len;

        memcpy(damaged, whole, len);
        for (uint64_t i = 0; i < places; i++)
            damaged[draw(reach)] = (unsigned char)draw(256);
        write_octets(t->path, damaged, draw(8) == 0 ? draw(len) : len);
        if (!opens(t))
            continue;
        stores_load(t, WALL);
        (void)store_ask_history(t->store, NULL, 100, 0, 1);
        stores_await(t, store_put_service(t->store, &row, WALL));
        /* What reading did not meet is met afterwards, and all is asked for again. */
        (void)stores_listen(t, 20);
        if (t->rebuilds > 0)
            stores_await(t, store_put_service(t->store, &row, WALL));
        stores_again(t, WALL);
        usable += stores_find(t, "new") != NULL ? 1 : 0;
        stores_close(t);
        asides += stores_drop_asides(t) ? 1 : 0;
    }
    print_message("%d rounds of damage, %d files set aside, seed 20261122\n",
                  ROUNDS, asides);
    assert_true(asides > ROUNDS / 4);
    assert_true(usable > ROUNDS * 9 / 10);
}

/* The -wal of a daemon that was killed, damaged likewise: SQLite ends at the
 * first frame whose sum is wrong. */
static void
a_damaged_wal_is_survived(void **state)
{
    static unsigned char wal[1 << 20];
    static unsigned char base[1 << 18];
    struct stores *t = *state;
    char path[160];
    char copy[160];
    size_t len;
    size_t base_len;
    struct bk_saved row = stores_service("x", 1);

    fill(t);
    stores_must_open(t);
    for (uint64_t i = 0; i < 20; i++) {
        row.generation = i;
        stores_await(t, store_put_service(t->store, &row, WALL));
    }
    (void)snprintf(path, sizeof path, "%s-wal", t->path);
    len = read_octets(path, wal, sizeof wal);
    base_len = read_octets(t->path, base, sizeof base);
    assert_true(len > 4096);
    stores_close(t);
    (void)snprintf(t->path, sizeof t->path, "%s/c.db", t->directory);
    (void)snprintf(copy, sizeof copy, "%s/c.db-wal", t->directory);
    seed = 7;
    for (int round = 0; round < 60; round++) {
        write_octets(t->path, base, base_len);
        wal[draw(len)] ^= (unsigned char)(1 + draw(255));
        write_octets(copy, wal, len);
        stores_must_open(t);
        stores_await(t, store_put_service(t->store, &row, WALL));
        stores_again(t, WALL);
        assert_non_null(stores_find(t, "x"));
        stores_close(t);
    }
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
        TEST(tables_that_are_gone_are_damage),
        TEST(nobody_who_starts_waits_for_the_whole_file),
        TEST(paths_that_cannot_be_are_one_sentence),
        TEST(a_locked_file_is_one_sentence),
        TEST(our_file_is_locked_against_others),
        TEST(services_that_make_no_sense_are_skipped),
        TEST(numbers_of_other_names_say_nothing),
        TEST(leaps_that_make_no_sense_are_none),
        TEST(other_rows_that_make_no_sense_are_skipped),
        TEST(any_history_is_told_as_json),
        TEST(nothing_in_the_file_runs),
        TEST(random_damage_is_survived),
        TEST(a_damaged_wal_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
