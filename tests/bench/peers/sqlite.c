/* SPDX-License-Identifier: Apache-2.0
 *
 * A breaker in an SQLite file that processes share: BEGIN IMMEDIATE, look, decide,
 * write, COMMIT. Write-ahead log; not synced at each commit, as one would have it.
 * Its floor is the same transaction without a decision in it.
 *
 *   sqlite FILE */
#define _GNU_SOURCE
#include "tools/bench/bench_player.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define BUSY_MS 1000
#define TRIES 100
#define PAUSE_NS 10000000

static sqlite3 *db;
static sqlite3_stmt *begin;
static sqlite3_stmt *look;
static sqlite3_stmt *write_row;
static sqlite3_stmt *commit;

static bool
prepare(const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement,
                              NULL) == SQLITE_OK;
}

/* Of several that begin at once, one makes the log: the others try again. */
static bool
make_table(void)
{
    int result = SQLITE_BUSY;

    for (int tries = 0; tries < TRIES && result == SQLITE_BUSY; tries++) {
        if (tries > 0)
            player_pause_ns(PAUSE_NS);
        result = sqlite3_exec(
            db,
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS breaker (name TEXT PRIMARY "
            "KEY, state INT, failures INT, until_ns INT, calls "
            "INT) WITHOUT ROWID;"
            "INSERT OR IGNORE INTO breaker VALUES "
            "('bench', 0, 0, 0, 0)",
            NULL, NULL, NULL);
    }
    return result == SQLITE_OK;
}

static bool
open_file(const char *path)
{
    return sqlite3_open(path, &db) == SQLITE_OK &&
           sqlite3_busy_timeout(db, BUSY_MS) == SQLITE_OK && make_table() &&
           prepare("BEGIN IMMEDIATE", &begin) &&
           prepare("SELECT state, until_ns FROM breaker WHERE name = 'bench'",
                   &look) &&
           prepare("UPDATE breaker SET calls = calls + 1 WHERE name = 'bench'",
                   &write_row) &&
           prepare("COMMIT", &commit);
}

static bool
step(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW;
}

static bool
decide(void)
{
    bool is_allowed;

    if (!step(begin) || sqlite3_step(look) != SQLITE_ROW)
        return false;
    is_allowed = sqlite3_column_int(look, 0) == 0 ||
                 sqlite3_column_int64(look, 1) <= player_clock_ns();
    sqlite3_reset(look);
    return step(write_row) && step(commit) && is_allowed;
}

static bool
commit_alone(void)
{
    return step(begin) && step(write_row) && step(commit);
}

static bool
decide_once(struct player_told *told)
{
    return decide() || player_fail(told, sqlite3_errmsg(db));
}

static bool
commit_once(struct player_told *told)
{
    return commit_alone() || player_fail(told, sqlite3_errmsg(db));
}

/* The median of single ones: now and then one copies the log back. */
static bool
play_decide(const struct player_order *order, struct player_told *told)
{
    return player_median(told, order->count, 0, decide_once);
}

static bool
play_commit(const struct player_order *order, struct player_told *told)
{
    return player_median(told, order->count, 0, commit_once);
}

int
main(int argc, char **argv)
{
    static const struct player_row rows[] = {
        {"decide", play_decide},
        {"commit", play_commit},
    };

    if (argc != 2 || !open_file(argv[1])) {
        fprintf(stderr, "sqlite: %s\n",
                argc != 2 ? "usage: sqlite FILE" : sqlite3_errmsg(db));
        return 1;
    }
    return player_serve(rows, sizeof rows / sizeof rows[0]);
}
