/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "caches.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
hear(void *context, enum breaker_log_level level, const char *sentence)
{
    struct stage *s = context;

    assert_int_equal(level, BREAKER_LOG_WARNING);
    s->warnings++;
    (void)snprintf(s->warning, sizeof s->warning, "%s", sentence);
}

int
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

int
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

struct breaker_cache_options
options_of(struct stage *s)
{
    struct breaker_cache_options o = BREAKER_CACHE_OPTIONS_INIT;

    o.log = hear;
    o.log_context = s;
    return o;
}

struct breaker_cache *
open_with(const struct stage *s, const struct breaker_cache_options *o)
{
    struct breaker_cache *c = breaker_cache_open(s->path, o);

    assert_non_null(c);
    return c;
}

struct breaker_cache *
open_cache(struct stage *s)
{
    struct breaker_cache_options o = options_of(s);

    return open_with(s, &o);
}

void
put(struct breaker_cache *c, const char *key, const char *answer,
    uint64_t fresh_ms)
{
    assert_int_equal(breaker_cache_put(c, key, strlen(key), answer,
                                       strlen(answer), fresh_ms),
                     0);
}

int
get(struct breaker_cache *c, const char *key, uint64_t max_stale_ms,
    struct breaker_cache_answer *answer)
{
    return breaker_cache_get(c, key, strlen(key), max_stale_ms, answer);
}

void
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

struct breaker_cache_stats
stats_of(struct breaker_cache *c)
{
    struct breaker_cache_stats stats = BREAKER_CACHE_STATS_INIT;

    assert_int_equal(breaker_cache_stats(c, &stats), 0);
    return stats;
}

void
sql(const struct stage *s, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 1000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}
