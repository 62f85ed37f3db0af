/* SPDX-License-Identifier: Apache-2.0
 *
 * The last good answer: what is found, for how long, and what makes room. */
#define _GNU_SOURCE
#include "caches.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static void
sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
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
        CASE(bad_arguments_are_refused),
        CASE(it_stands_in_for_errors_only),
    };

    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
