/* SPDX-License-Identifier: Apache-2.0
 *
 * The last good answer, as users see it. */
#define _GNU_SOURCE
#include "client/cache.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define TTL_MAX_MS (UINT64_C(366) * 86400 * 1000)
#define WARNING_SIZE 512
/* One answer takes at most this share of the room. */
#define SHARE_OF_ONE 4

static int64_t
clock_ns(clockid_t id)
{
    struct timespec t = {0, 0};

    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * NS_PER_S + (int64_t)t.tv_nsec;
}

static int64_t
wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

void
cache_warn(struct breaker_cache *c, const char *what, const char *why)
{
    char sentence[WARNING_SIZE];

    if (c->has_warned)
        return;
    c->has_warned = true;
    (void)snprintf(sentence, sizeof sentence, "the cache %.300s %s%s", c->path,
                   what, why != NULL ? why : "");
    if (c->options.log != NULL)
        c->options.log(c->options.log_context, BREAKER_LOG_WARNING, sentence);
    else
        (void)fprintf(stderr, "breaker: %s\n", sentence);
}

/* In a child the parent's connection is left as it is, neither used nor closed:
 * SQLite's may not cross a fork. The first thread that comes makes a new one. */
static bool
own_after_fork(struct breaker_cache *c)
{
    pid_t self = getpid();
    pid_t owner = atomic_load_explicit(&c->pid, memory_order_acquire);

    if (owner == self)
        return true;
    if (owner == -1 || !atomic_compare_exchange_strong(&c->pid, &owner, -1))
        return false;
    (void)pthread_mutex_init(&c->mutex, NULL);
    c->file = (struct cache_file){0};
    c->retry_ns = 0;
    c->stats = (struct breaker_cache_stats){.size = sizeof c->stats};
    atomic_store_explicit(&c->pid, self, memory_order_release);
    return true;
}

/* The cache for this thread alone, its file open; false within the deadline. */
static bool
enter(struct breaker_cache *c)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    int64_t end = now + (int64_t)c->options.deadline_ms * NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(end / NS_PER_S),
                             .tv_nsec = (long)(end % NS_PER_S)};

    if (!own_after_fork(c) ||
        pthread_mutex_clocklock(&c->mutex, CLOCK_MONOTONIC, &until) != 0)
        return false;
    if (cache_file_ready(c, now))
        return true;
    (void)pthread_mutex_unlock(&c->mutex);
    return false;
}

static bool
has_bounds(const struct breaker_cache_options *o)
{
    return o->ttl_ms <= TTL_MAX_MS &&
           o->deadline_ms <= BREAKER_DEADLINE_MAX_MS &&
           o->max_bytes <= (uint64_t)INT64_MAX;
}

/* Takes the fields that the caller knows, and puts the defaults in. */
static bool
take_options(struct breaker_cache_options *to,
             const struct breaker_cache_options *from)
{
    *to = (struct breaker_cache_options)BREAKER_CACHE_OPTIONS_INIT;
    if (from != NULL) {
        if (from->size < sizeof from->size)
            return false;
        memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
        to->size = sizeof *to;
    }
    if (!has_bounds(to))
        return false;
    if (to->ttl_ms == 0)
        to->ttl_ms = BREAKER_CACHE_TTL_MS;
    if (to->max_bytes == 0)
        to->max_bytes = BREAKER_CACHE_BYTES;
    if (to->max_entries == 0)
        to->max_entries = BREAKER_CACHE_ENTRIES;
    if (to->deadline_ms == 0)
        to->deadline_ms = BREAKER_DEADLINE_MS;
    return true;
}

struct breaker_cache *
breaker_cache_open(const char *path,
                   const struct breaker_cache_options *options)
{
    int saved = errno;
    struct breaker_cache *c = calloc(1, sizeof *c);

    if (c == NULL || path == NULL || path[0] == '\0' ||
        !take_options(&c->options, options) ||
        (c->path = strdup(path)) == NULL) {
        free(c);
        errno = saved;
        return NULL;
    }
    (void)pthread_mutex_init(&c->mutex, NULL);
    c->stats.size = sizeof c->stats;
    atomic_store(&c->pid, getpid());
    if (enter(c))
        (void)pthread_mutex_unlock(&c->mutex);
    errno = saved;
    return c;
}

void
breaker_cache_close(struct breaker_cache **cache)
{
    int saved = errno;
    struct breaker_cache *c = cache != NULL ? *cache : NULL;

    if (c == NULL)
        return;
    if (atomic_load(&c->pid) == getpid()) {
        cache_file_close(&c->file);
        (void)pthread_mutex_destroy(&c->mutex);
    }
    free(c->path);
    free(c);
    *cache = NULL;
    errno = saved;
}

static int
error_of(int code)
{
    return code == SQLITE_OK ? 0 : BREAKER_ERROR_UNAVAILABLE;
}

int
breaker_cache_put(struct breaker_cache *cache, const void *key, size_t key_len,
                  const void *data, size_t len, uint64_t fresh_ms)
{
    struct cache_key k;
    int saved = errno;
    int code = SQLITE_OK;

    if (key == NULL || key_len == 0 || (data == NULL && len > 0))
        return BREAKER_ERROR_ARGUMENT;
    if (cache == NULL || !enter(cache)) {
        errno = saved;
        return BREAKER_ERROR_UNAVAILABLE;
    }
    k = cache_key(key, key_len);
    if (key_len > cache->options.max_bytes / SHARE_OF_ONE ||
        len > cache->options.max_bytes / SHARE_OF_ONE - key_len) {
        cache->stats.refused++;
        code = SQLITE_TOOBIG;
    }
    for (int tries = 0; tries < 2 && code != SQLITE_TOOBIG; tries++) {
        code = cache_rows_put(cache, &k, data, len, fresh_ms, wall_ms());
        if (code == SQLITE_OK)
            cache->stats.put++;
        if (code == SQLITE_OK || code == SQLITE_TOOBIG ||
            !cache_file_failed(cache, code, clock_ns(CLOCK_MONOTONIC)) ||
            !cache_file_ready(cache, clock_ns(CLOCK_MONOTONIC)))
            break;
    }
    (void)pthread_mutex_unlock(&cache->mutex);
    errno = saved;
    return code == SQLITE_TOOBIG ? BREAKER_ERROR_TOO_LONG : error_of(code);
}

int
breaker_cache_get(struct breaker_cache *cache, const void *key, size_t key_len,
                  uint64_t max_stale_ms, struct breaker_cache_answer *answer)
{
    struct cache_key k;
    int saved = errno;
    int code;

    if (key == NULL || key_len == 0 || answer == NULL)
        return BREAKER_ERROR_ARGUMENT;
    *answer = (struct breaker_cache_answer)BREAKER_CACHE_ANSWER_INIT;
    if (cache == NULL || !enter(cache)) {
        errno = saved;
        return 0;
    }
    k = cache_key(key, key_len);
    code = cache_rows_get(cache, &k, max_stale_ms, wall_ms(), answer);
    if (code == SQLITE_ROW && answer->is_stale != 0)
        cache->stats.stale++;
    else if (code == SQLITE_ROW)
        cache->stats.fresh++;
    else
        cache->stats.missed++;
    if (code != SQLITE_ROW && code != SQLITE_OK)
        (void)cache_file_failed(cache, code, clock_ns(CLOCK_MONOTONIC));
    (void)pthread_mutex_unlock(&cache->mutex);
    errno = saved;
    return code == SQLITE_ROW;
}

/* Whether an old answer may stand in: the error is one of the upstream or of the
 * way there, not its answer to this very request, and nobody gave up. */
static bool
may_stand_in(const struct breaker_summary *summary)
{
    if (summary->stop == BREAKER_STOP_SUCCESS ||
        summary->stop == BREAKER_STOP_CANCELLED)
        return false;
    return summary->attempts == 0 ||
           (summary->result.outcome != BREAKER_REJECTED &&
            summary->result.outcome != BREAKER_CRITICAL);
}

int
breaker_cache_fallback(struct breaker_cache *cache, const void *key,
                       size_t key_len, uint64_t max_stale_ms,
                       struct breaker_summary *summary,
                       struct breaker_cache_answer *answer)
{
    int found;

    if (summary == NULL || summary->size < sizeof *summary || answer == NULL)
        return BREAKER_ERROR_ARGUMENT;
    *answer = (struct breaker_cache_answer)BREAKER_CACHE_ANSWER_INIT;
    if (!may_stand_in(summary))
        return 0;
    found = breaker_cache_get(cache, key, key_len, max_stale_ms, answer);
    if (found == 1) {
        summary->is_stale = answer->is_stale;
        summary->age_ms = answer->age_ms;
    }
    return found;
}

void
breaker_cache_answer_free(struct breaker_cache_answer *answer)
{
    if (answer == NULL)
        return;
    free(answer->data);
    answer->data = NULL;
    answer->len = 0;
}

int
breaker_cache_drop(struct breaker_cache *cache, const void *key, size_t key_len)
{
    struct cache_key k;
    int saved = errno;
    int code;

    if (key == NULL || key_len == 0)
        return BREAKER_ERROR_ARGUMENT;
    if (cache == NULL || !enter(cache)) {
        errno = saved;
        return BREAKER_ERROR_UNAVAILABLE;
    }
    k = cache_key(key, key_len);
    code = cache_rows_drop(cache, &k);
    if (code != SQLITE_OK)
        (void)cache_file_failed(cache, code, clock_ns(CLOCK_MONOTONIC));
    (void)pthread_mutex_unlock(&cache->mutex);
    errno = saved;
    return error_of(code);
}

int
breaker_cache_stats(struct breaker_cache *cache,
                    struct breaker_cache_stats *stats)
{
    struct breaker_cache_stats now;
    int saved = errno;
    int code;

    if (stats == NULL || stats->size < sizeof stats->size)
        return BREAKER_ERROR_ARGUMENT;
    if (cache == NULL || !enter(cache)) {
        errno = saved;
        return BREAKER_ERROR_UNAVAILABLE;
    }
    code = cache_rows_totals(cache, &cache->stats.entries, &cache->stats.bytes);
    if (code != SQLITE_OK)
        (void)cache_file_failed(cache, code, clock_ns(CLOCK_MONOTONIC));
    now = cache->stats;
    (void)pthread_mutex_unlock(&cache->mutex);
    now.size = stats->size < sizeof now ? stats->size : sizeof now;
    memcpy(stats, &now, now.size);
    errno = saved;
    return error_of(code);
}
