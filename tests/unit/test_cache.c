/* SPDX-License-Identifier: Apache-2.0
 *
 * The last good answer: what is found, for how long, what a file that is full,
 * damaged, locked or somebody else's does to it. */
#define _GNU_SOURCE
#include "breaker/cache.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY "gpt-4: what is the time?"
#define ANSWER "late"

/* A place of the test's own, and what the cache said. */
struct stage {
    char dir[64];
    char path[96];
    unsigned warnings;
    char warning[512];
};

static void
hear(void *context, enum breaker_log_level level, const char *sentence)
{
    struct stage *s = context;

    assert_int_equal(level, BREAKER_LOG_WARNING);
    s->warnings++;
    (void)snprintf(s->warning, sizeof s->warning, "%s", sentence);
}

static int
stage_open(void **state)
{
    struct stage *s = calloc(1, sizeof *s);

    assert_non_null(s);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/breaker-cache-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof s->path, "%s/answers", s->dir);
    *state = s;
    return 0;
}

static int
stage_close(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".damaged"};
    struct stage *s = *state;
    char name[128];

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        (void)snprintf(name, sizeof name, "%s%s", s->path, ends[i]);
        (void)unlink(name);
    }
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static struct breaker_cache_options
options_of(struct stage *s)
{
    struct breaker_cache_options o = BREAKER_CACHE_OPTIONS_INIT;

    o.log = hear;
    o.log_context = s;
    return o;
}

static struct breaker_cache *
open_with(const struct stage *s, const struct breaker_cache_options *o)
{
    struct breaker_cache *c = breaker_cache_open(s->path, o);

    assert_non_null(c);
    return c;
}

static struct breaker_cache *
open_cache(struct stage *s)
{
    struct breaker_cache_options o = options_of(s);

    return open_with(s, &o);
}

static void
put(struct breaker_cache *c, const char *key, const char *answer,
    uint64_t fresh_ms)
{
    assert_int_equal(breaker_cache_put(c, key, strlen(key), answer,
                                       strlen(answer), fresh_ms),
                     0);
}

static int
get(struct breaker_cache *c, const char *key, uint64_t max_stale_ms,
    struct breaker_cache_answer *answer)
{
    return breaker_cache_get(c, key, strlen(key), max_stale_ms, answer);
}

/* Asserts that the key has this answer (NULL: none). */
static void
expect(struct breaker_cache *c, const char *key, const char *answer)
{
    struct breaker_cache_answer found;

    assert_int_equal(get(c, key, BREAKER_CACHE_ANY, &found), answer != NULL);
    if (answer != NULL)
        assert_string_equal(found.data, answer);
    else
        assert_null(found.data);
    breaker_cache_answer_free(&found);
}

static struct breaker_cache_stats
stats_of(struct breaker_cache *c)
{
    struct breaker_cache_stats stats = BREAKER_CACHE_STATS_INIT;

    assert_int_equal(breaker_cache_stats(c, &stats), 0);
    return stats;
}

static void
sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

static void
sql(const struct stage *s, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 1000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
an_answer_is_found_again(void **state)
{
    struct breaker_cache *c = open_cache(*state);
    struct breaker_cache_answer found;

    expect(c, KEY, NULL);
    put(c, KEY, ANSWER, 60000);
    assert_int_equal(get(c, KEY, 0, &found), 1);
    assert_int_equal(found.len, strlen(ANSWER));
    assert_string_equal(found.data, ANSWER);
    assert_int_equal(found.is_stale, 0);
    breaker_cache_answer_free(&found);
    put(c, KEY, "later", 60000);
    expect(c, KEY, "later");
    put(c, KEY, "", 60000);
    expect(c, KEY, "");
    assert_int_equal(stats_of(c).entries, 1);
    assert_int_equal(breaker_cache_drop(c, KEY, strlen(KEY)), 0);
    expect(c, KEY, NULL);
    assert_int_equal(stats_of(c).bytes, 0);
    breaker_cache_close(&c);
    assert_null(c);
}

static void
a_stale_answer_says_so_and_how_old_it_is(void **state)
{
    struct breaker_cache *c = open_cache(*state);
    struct breaker_cache_answer found;

    put(c, KEY, ANSWER, 0);
    assert_int_equal(get(c, KEY, 0, &found), 0);
    assert_int_equal(get(c, KEY, 10000, &found), 1);
    assert_int_equal(found.is_stale, 1);
    breaker_cache_answer_free(&found);
    put(c, KEY, ANSWER, 20);
    sleep_ms(120);
    assert_int_equal(get(c, KEY, 0, &found), 0);
    assert_int_equal(get(c, KEY, 50, &found), 0);
    assert_int_equal(get(c, KEY, 10000, &found), 1);
    assert_int_equal(found.is_stale, 1);
    assert_in_range(found.age_ms, 120, 10000);
    breaker_cache_answer_free(&found);
    breaker_cache_close(&c);
}

static void
nothing_is_given_beyond_the_ttl(void **state)
{
    struct stage *s = *state;
    struct breaker_cache_options o = options_of(s);
    struct breaker_cache *c;

    o.ttl_ms = 100;
    c = open_with(s, &o);
    put(c, KEY, ANSWER, 3600000);
    expect(c, KEY, ANSWER);
    sleep_ms(150);
    expect(c, KEY, NULL);
    /* The next put takes it out. */
    put(c, "another", ANSWER, 0);
    assert_int_equal(stats_of(c).entries, 1);
    breaker_cache_close(&c);
}

static void
the_ttl_is_an_hour(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);
    struct breaker_cache_answer found;

    put(c, KEY, ANSWER, 0);
    sql(s, "UPDATE answers SET stored_ms = stored_ms - 3590000");
    assert_int_equal(get(c, KEY, BREAKER_CACHE_ANY, &found), 1);
    assert_in_range(found.age_ms, 3590000, 3600000);
    breaker_cache_answer_free(&found);
    sql(s, "UPDATE answers SET stored_ms = stored_ms - 11000");
    expect(c, KEY, NULL);
    breaker_cache_close(&c);
}

/* The clock was set back: nobody knows how old such an answer is. */
static void
an_answer_from_the_future_is_none(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);

    put(c, KEY, ANSWER, 0);
    sql(s, "UPDATE answers SET stored_ms = stored_ms + 600000");
    expect(c, KEY, NULL);
    breaker_cache_close(&c);
}

static void
one_hash_for_two_keys_gives_no_foreign_answer(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);

    put(c, KEY, ANSWER, 0);
    /* The row that the hash of KEY leads to belongs to another key. */
    sql(s, "UPDATE answers SET key = CAST('gpt-4: what is it?' AS BLOB)");
    expect(c, KEY, NULL);
    assert_int_equal(breaker_cache_drop(c, KEY, strlen(KEY)), 0);
    assert_int_equal(stats_of(c).entries, 1);
    put(c, KEY, "mine", 0);
    expect(c, KEY, "mine");
    assert_int_equal(stats_of(c).entries, 1);
    breaker_cache_close(&c);
}

static void
the_oldest_make_room(void **state)
{
    struct stage *s = *state;
    struct breaker_cache_options o = options_of(s);
    struct breaker_cache *c;
    char key[16];

    o.max_entries = 10;
    c = open_with(s, &o);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof key, "key %d", i);
        put(c, key, ANSWER, 0);
        sleep_ms(2);
    }
    assert_int_equal(stats_of(c).entries, 10);
    assert_int_equal(stats_of(c).evicted, 20);
    expect(c, "key 19", NULL);
    expect(c, "key 20", ANSWER);
    expect(c, "key 29", ANSWER);
    breaker_cache_close(&c);
}

static void
octets_are_bounded(void **state)
{
    struct stage *s = *state;
    struct breaker_cache_options o = options_of(s);
    struct breaker_cache *c;
    char *large = calloc(1, 40000);
    struct stat about;

    assert_non_null(large);
    o.max_bytes = 100000;
    c = open_with(s, &o);
    assert_int_equal(breaker_cache_put(c, KEY, strlen(KEY), large, 40000, 0),
                     BREAKER_ERROR_TOO_LONG);
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(breaker_cache_put(c, &i, sizeof i, large, 20000, 0),
                         0);
    assert_in_range(stats_of(c).bytes, 60000, 100000);
    assert_int_equal(stats_of(c).refused, 1);
    breaker_cache_close(&c);
    assert_int_equal(stat(s->path, &about), 0);
    assert_in_range(about.st_size, 1, 400000);
    free(large);
}

static void
processes_share_it(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);
    int status = -1;
    pid_t child;

    put(c, KEY, ANSWER, 0);
    child = fork();
    if (child == 0) {
        struct breaker_cache_answer found;
        bool is_good = get(c, KEY, BREAKER_CACHE_ANY, &found) == 1 &&
                       breaker_cache_put(c, "child", 5, "of mine", 7, 0) == 0;

        breaker_cache_answer_free(&found);
        _exit(is_good ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect(c, "child", "of mine");
    put(c, KEY, "on", 0);
    expect(c, KEY, "on");
    breaker_cache_close(&c);
    c = open_cache(s);
    expect(c, KEY, "on");
    breaker_cache_close(&c);
    assert_int_equal(s->warnings, 0);
}

/* A transaction that another process does not end. */
static void
nobody_waits_long_for_another_process(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);
    struct timespec before;
    struct timespec after;
    sqlite3 *db;
    int64_t took;

    put(c, KEY, ANSWER, 0);
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(breaker_cache_put(c, KEY, strlen(KEY), "new", 3, 0),
                     BREAKER_ERROR_UNAVAILABLE);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    took =
        SECONDS(after.tv_sec - before.tv_sec) + after.tv_nsec - before.tv_nsec;
    assert_in_range(took, MS(30), MS(1000));
    expect(c, KEY, ANSWER); /* readers do not wait at all */
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    put(c, KEY, "new", 0);
    expect(c, KEY, "new");
    assert_int_equal(s->warnings, 0);
    breaker_cache_close(&c);
}

static void
overwrite(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void
a_damaged_file_is_set_aside(void **state)
{
    struct stage *s = *state;
    char rubbish[8192];
    char aside[128];
    struct breaker_cache *c;

    memset(rubbish, 'x', sizeof rubbish);
    overwrite(s->path, rubbish, sizeof rubbish);
    c = open_cache(s);
    put(c, KEY, ANSWER, 0);
    expect(c, KEY, ANSWER);
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->warning, "damaged"));
    assert_int_equal(stats_of(c).set_aside, 1);
    (void)snprintf(aside, sizeof aside, "%s.damaged", s->path);
    assert_int_equal(access(aside, R_OK), 0);
    breaker_cache_close(&c);
}

static void
damage_under_way_is_survived(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c = open_cache(s);
    char rubbish[65536];
    FILE *f;

    put(c, KEY, ANSWER, 0);
    breaker_cache_close(&c); /* everything is in the file itself now */
    c = open_cache(s);
    f = fopen(s->path, "r+");
    assert_non_null(f);
    memset(rubbish, 'x', sizeof rubbish);
    (void)fseek(f, 4096, SEEK_SET);
    assert_int_equal(fwrite(rubbish, 1, sizeof rubbish, f), sizeof rubbish);
    assert_int_equal(fclose(f), 0);
    for (int i = 0; i < 3; i++)
        (void)breaker_cache_put(c, KEY, strlen(KEY), ANSWER, 4, 0);
    expect(c, KEY, ANSWER);
    assert_int_equal(stats_of(c).set_aside, 1);
    breaker_cache_close(&c);
}

static void
somebody_elses_file_is_left_alone(void **state)
{
    struct stage *s = *state;
    struct breaker_cache *c;

    sql(s, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);");
    c = open_cache(s);
    assert_int_equal(breaker_cache_put(c, KEY, strlen(KEY), ANSWER, 4, 0),
                     BREAKER_ERROR_UNAVAILABLE);
    expect(c, KEY, NULL);
    assert_int_equal(s->warnings, 1);
    assert_non_null(strstr(s->warning, "not a cache"));
    breaker_cache_close(&c);
    sql(s, "DELETE FROM theirs WHERE a = 1");
}

static void
a_cache_that_cannot_be_used_is_empty(void **state)
{
    struct stage *s = *state;
    struct breaker_cache_options o = options_of(s);
    struct breaker_cache *c;
    struct breaker_cache_stats stats = BREAKER_CACHE_STATS_INIT;

    c = breaker_cache_open("/nonexistent/answers", &o);
    assert_non_null(c);
    for (int i = 0; i < 5; i++) {
        errno = 77;
        assert_int_equal(breaker_cache_put(c, KEY, strlen(KEY), ANSWER, 4, 0),
                         BREAKER_ERROR_UNAVAILABLE);
        assert_int_equal(errno, 77);
        expect(c, KEY, NULL);
    }
    assert_int_equal(breaker_cache_stats(c, &stats), BREAKER_ERROR_UNAVAILABLE);
    assert_int_equal(s->warnings, 1);
    breaker_cache_close(&c);
    expect(NULL, KEY, NULL);
    assert_int_equal(breaker_cache_put(NULL, KEY, 1, ANSWER, 1, 0),
                     BREAKER_ERROR_UNAVAILABLE);
    breaker_cache_close(NULL);
}

static void
a_new_file_is_its_owners_alone(void **state)
{
    struct stage *s = *state;
    mode_t old = umask(0);
    struct breaker_cache *c = open_cache(s);
    struct stat about;

    (void)umask(old);
    put(c, KEY, ANSWER, 0);
    assert_int_equal(stat(s->path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    breaker_cache_close(&c);
}

static void
bad_arguments_are_refused(void **state)
{
    struct stage *s = *state;
    struct breaker_cache_options o = options_of(s);
    struct breaker_cache *c = open_cache(s);
    struct breaker_cache_answer found;

    assert_null(breaker_cache_open(NULL, NULL));
    assert_null(breaker_cache_open("", NULL));
    o.deadline_ms = BREAKER_DEADLINE_MAX_MS + 1;
    assert_null(breaker_cache_open(s->path, &o));
    assert_int_equal(breaker_cache_put(c, NULL, 0, ANSWER, 4, 0),
                     BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_cache_put(c, KEY, 0, ANSWER, 4, 0),
                     BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_cache_put(c, KEY, 3, NULL, 4, 0),
                     BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_cache_get(c, NULL, 0, 0, &found),
                     BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_cache_get(c, KEY, 3, 0, NULL),
                     BREAKER_ERROR_ARGUMENT);
    assert_int_equal(breaker_cache_stats(c, NULL), BREAKER_ERROR_ARGUMENT);
    breaker_cache_close(&c);
}

/* RFC 5861: an old answer stands in for an error, not for another answer. */
static void
it_stands_in_for_errors_only(void **state)
{
    static const struct {
        enum breaker_stop stop;
        enum breaker_outcome outcome;
        uint32_t attempts;
        int found;
    } rows[] = {
        {BREAKER_STOP_MAX_ATTEMPTS, BREAKER_FAILURE, 3, 1},
        {BREAKER_STOP_BUDGET, BREAKER_TIMEOUT, 1, 1},
        {BREAKER_STOP_OPEN, BREAKER_CANCELLED, 0, 1},
        {BREAKER_STOP_MAX_ELAPSED, BREAKER_RATE_LIMITED, 2, 1},
        {BREAKER_STOP_SUCCESS, BREAKER_SUCCESS, 1, 0},
        {BREAKER_STOP_NOT_RETRYABLE, BREAKER_REJECTED, 1, 0},
        {BREAKER_STOP_NOT_RETRYABLE, BREAKER_CRITICAL, 1, 0},
        {BREAKER_STOP_CANCELLED, BREAKER_CANCELLED, 0, 0},
    };
    struct breaker_cache *c = open_cache(*state);
    struct breaker_cache_answer found;

    put(c, KEY, ANSWER, 0);
    sleep_ms(20);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct breaker_summary told = BREAKER_SUMMARY_INIT;

        told.stop = rows[i].stop;
        told.attempts = rows[i].attempts;
        told.result.outcome = rows[i].outcome;
        assert_int_equal(breaker_cache_fallback(c, KEY, strlen(KEY),
                                                BREAKER_CACHE_ANY, &told,
                                                &found),
                         rows[i].found);
        assert_int_equal(told.is_stale, rows[i].found);
        assert_true(rows[i].found ? told.age_ms >= 20 : told.age_ms == 0);
        breaker_cache_answer_free(&found);
    }
    breaker_cache_close(&c);
}

#define THREADS 4
#define ROUNDS 50

static void *
use(void *context)
{
    struct breaker_cache *c = context;
    char key[32];

    for (int i = 0; i < ROUNDS; i++) {
        struct breaker_cache_answer found;

        (void)snprintf(key, sizeof key, "key %d", i % 7);
        (void)breaker_cache_put(c, key, strlen(key), key, strlen(key), 1000);
        if (get(c, key, BREAKER_CACHE_ANY, &found) == 1 &&
            strcmp(found.data, key) != 0)
            return context; /* a foreign answer */
        breaker_cache_answer_free(&found);
    }
    return NULL;
}

static void
threads_share_it(void **state)
{
    struct breaker_cache *c = open_cache(*state);
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, c), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong = c;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_in_range(stats_of(c).entries, 1, 7);
    assert_in_range(stats_of(c).fresh, 1, THREADS * ROUNDS);
    breaker_cache_close(&c);
}

#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, stage_open, stage_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_answer_is_found_again),
        CASE(a_stale_answer_says_so_and_how_old_it_is),
        CASE(nothing_is_given_beyond_the_ttl),
        CASE(the_ttl_is_an_hour),
        CASE(an_answer_from_the_future_is_none),
        CASE(one_hash_for_two_keys_gives_no_foreign_answer),
        CASE(the_oldest_make_room),
        CASE(octets_are_bounded),
        CASE(processes_share_it),
        CASE(nobody_waits_long_for_another_process),
        CASE(a_damaged_file_is_set_aside),
        CASE(damage_under_way_is_survived),
        CASE(somebody_elses_file_is_left_alone),
        CASE(a_cache_that_cannot_be_used_is_empty),
        CASE(a_new_file_is_its_owners_alone),
        CASE(bad_arguments_are_refused),
        CASE(it_stands_in_for_errors_only),
        CASE(threads_share_it),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
