/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are damaged: when that is met, and what is made of it. */
#include "stores.h"
#include <stdio.h>

static void
tables_that_are_gone_are_damage(void **state)
{
    struct stores *t = *state;

    stores_must_open(t);
    stores_close(t);
    stores_sql(t, "DROP TABLE forgotten");
    stores_must_open(t);
    stores_assert_set_aside(t, 2);
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
        stores_write(t->path, damaged, draw(8) == 0 ? draw(len) : len);
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
        stores_write(t->path, base, base_len);
        wal[draw(len)] ^= (unsigned char)(1 + draw(255));
        stores_write(copy, wal, len);
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
        TEST(tables_that_are_gone_are_damage),
        TEST(nobody_who_starts_waits_for_the_whole_file),
        TEST(random_damage_is_survived),
        TEST(a_damaged_wal_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
