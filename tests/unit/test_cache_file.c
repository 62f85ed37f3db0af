/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of the last good answers: whose it is, who shares it, what one that is
 * damaged, locked or somebody else's does. */
#define _GNU_SOURCE
#include "caches.h"
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
        CASE(processes_share_it),
        CASE(nobody_waits_long_for_another_process),
        CASE(a_damaged_file_is_set_aside),
        CASE(damage_under_way_is_survived),
        CASE(somebody_elses_file_is_left_alone),
        CASE(a_cache_that_cannot_be_used_is_empty),
        CASE(a_new_file_is_its_owners_alone),
        CASE(threads_share_it),
    };

    return cmocka_run_group_tests_name("cache file", tests, NULL, NULL);
}
