#ifndef BREAKER_CACHE_H
#define BREAKER_CACHE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The last good answer: kept in a file that all processes share, given again
 * when the call fails. An optional library, libbreaker-cache, on SQLite.
 *
 *     struct breaker_cache *cache = breaker_cache_open("answers.db", NULL);
 *     struct breaker_cache_answer old = BREAKER_CACHE_ANSWER_INIT;
 *
 *     if (breaker_call(llm, &how, attempt, &chat, &told) ==
 *         BREAKER_STOP_SUCCESS)
 *         breaker_cache_put(cache, question, length, answer, size, 0);
 *     else if (breaker_cache_fallback(cache, question, length,
 *                                     BREAKER_CACHE_ANY, &told, &old) == 1)
 *         printf("%s (%d s old)\n", old.data, (int)(old.age_ms / 1000));
 *
 * The meaning is that of stale-if-error (RFC 5861, section 4): an answer is fresh
 * for as long as its maker says, and afterwards good only in place of an error,
 * for as long as the caller says, never beyond the cache's ttl.
 *
 * What holds for every function here:
 *  - A cache that cannot be used (no such directory, disk full, another program's
 *    file) is an empty one: one warning, nothing found, nothing kept; it is tried
 *    again every ten seconds. A damaged file is set aside as PATH.damaged and a
 *    new one begun.
 *  - None waits for other threads and processes longer than the deadline (50 ms).
 *    How long a disk takes is not in our hands: keep the file on a local one.
 *  - Any thread may call it at any time with the same cache, except
 *    breaker_cache_close. After fork() both sides go on with it.
 *  - A NULL cache is an empty one. errno is kept. */
#include "breaker/retry.h"

#ifdef __cplusplus
extern "C" {
#endif

struct breaker_cache;

#define BREAKER_CACHE_TTL_MS UINT64_C(3600000)
#define BREAKER_CACHE_ENTRIES 10000u
#define BREAKER_CACHE_BYTES UINT64_C(67108864)
/* As stale as it may be: up to the cache's ttl. */
#define BREAKER_CACHE_ANY UINT64_MAX

/* Zero means the default in every field but `size`. */
struct breaker_cache_options {
    size_t size;
    uint64_t ttl_ms;      /* no answer is given when older; an hour */
    uint64_t max_bytes;   /* of keys and answers together; 64 MiB */
    uint32_t max_entries; /* 10000; the oldest make room */
    uint32_t deadline_ms; /* BREAKER_DEADLINE_MS */
    breaker_log *log;     /* NULL: a line on standard error */
    void *log_context;
};
#define BREAKER_CACHE_OPTIONS_INIT                                   \
    {                                                                \
        sizeof(struct breaker_cache_options), 0, 0, 0, 0, NULL, NULL \
    }

/* An answer found. */
struct breaker_cache_answer {
    size_t size;
    char *data; /* with a NUL behind its end; breaker_cache_answer_free */
    size_t len;
    uint64_t age_ms;   /* since it was put there */
    uint32_t is_stale; /* its maker's time is over */
    uint32_t reserved;
};
#define BREAKER_CACHE_ANSWER_INIT                             \
    {                                                         \
        sizeof(struct breaker_cache_answer), NULL, 0, 0, 0, 0 \
    }

/* Numbers: of the file, and of this handle in this process. */
struct breaker_cache_stats {
    size_t size;
    uint64_t entries; /* in the file, of all processes */
    uint64_t bytes;
    uint64_t fresh; /* answers given, by what they were */
    uint64_t stale;
    uint64_t missed;
    uint64_t put;
    uint64_t refused;   /* larger than a quarter of the cache */
    uint64_t evicted;   /* made room */
    uint64_t failed;    /* the file could not be used, or not in time */
    uint64_t set_aside; /* damaged files */
};
#define BREAKER_CACHE_STATS_INIT                                         \
    {                                                                    \
        sizeof(struct breaker_cache_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* Opens the file at `path`, made with mode 0600 when it is not there; `options`
 * may be NULL and is copied. NULL only for a bad argument or without memory: a
 * file that cannot be used is an empty cache. */
BREAKER_API BREAKER_NODISCARD struct breaker_cache *
breaker_cache_open(const char *path,
                   const struct breaker_cache_options *options);
/* Frees it and sets *cache to NULL. No other thread may use it any more. */
BREAKER_API void breaker_cache_close(struct breaker_cache **cache);

/* Keeps an answer, in place of the one there was. `key` is whatever tells this
 * question from every other (service, model, parameters, the whole
 * conversation); it is stored, and compared octet by octet, so that nobody gets
 * the answer to another question. `fresh_ms`: how long the answer counts as
 * fresh; 0: it is good only in place of an error. 0 when it is kept, else a
 * negative breaker_error, which may be ignored. */
BREAKER_API int breaker_cache_put(struct breaker_cache *cache, const void *key,
                                  size_t key_len, const void *data, size_t len,
                                  uint64_t fresh_ms);
/* Looks for an answer that is fresh or at most `max_stale_ms` past that (0: only
 * fresh; BREAKER_CACHE_ANY). 1 and `answer` is filled in; 0: there is none;
 * BREAKER_ERROR_ARGUMENT. */
BREAKER_API int breaker_cache_get(struct breaker_cache *cache, const void *key,
                                  size_t key_len, uint64_t max_stale_ms,
                                  struct breaker_cache_answer *answer);
/* The same after a call that has failed, when its failure is one that an old
 * answer may stand in for: the upstream could not be reached, was overloaded or
 * open. Not when the answer was "no": a refused request, bad credentials, a
 * cancelled call. Says in `summary` that the answer is stale (is_stale, age_ms).
 * Returns as breaker_cache_get. */
BREAKER_API int breaker_cache_fallback(struct breaker_cache *cache,
                                       const void *key, size_t key_len,
                                       uint64_t max_stale_ms,
                                       struct breaker_summary *summary,
                                       struct breaker_cache_answer *answer);
/* Frees what it points to; harmless for an answer never filled in. */
BREAKER_API void breaker_cache_answer_free(struct breaker_cache_answer *answer);

/* Takes one answer out. 0, or a negative breaker_error. */
BREAKER_API int breaker_cache_drop(struct breaker_cache *cache, const void *key,
                                   size_t key_len);
/* Fills in the fields that fit stats->size. 0, or a negative breaker_error. */
BREAKER_API int breaker_cache_stats(struct breaker_cache *cache,
                                    struct breaker_cache_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
