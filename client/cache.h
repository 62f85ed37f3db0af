#ifndef CLIENT_CACHE_H
#define CLIENT_CACHE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache's inside: a handle, its file, the rows in it. */
#include "breaker/cache.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A cache that could not be used is tried again after this long. */
#define CACHE_RETRY_NS INT64_C(10000000000)

enum cache_statement {
    CACHE_FIND,
    CACHE_REMOVE,
    CACHE_INSERT,
    CACHE_EXPIRE,
    CACHE_TOTALS,
    CACHE_EVICT,
    CACHE_STATEMENT_COUNT
};

/* The open file. */
struct cache_file {
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *statements[CACHE_STATEMENT_COUNT];
    dev_t
        device; /* which file it is: another process may have begun a new one */
    ino_t inode;
};

struct breaker_cache {
    char *path;
    struct breaker_cache_options options; /* with the defaults put in */
    pthread_mutex_t mutex;                /* guards what follows */
    struct cache_file file;
    int64_t retry_ns; /* MONOTONIC: not tried again before */
    bool has_warned;  /* until it works again */
    struct breaker_cache_stats stats;
    _Atomic pid_t pid; /* whose connection it is; -1: being made anew */
};

/* Warns, once until the cache works again. */
void cache_warn(struct breaker_cache *c, const char *what, const char *why);

/* Makes the file ready, opening it when that is due. The mutex is held. */
bool cache_file_ready(struct breaker_cache *c, int64_t now_ns);
void cache_file_close(struct cache_file *f);
/* Deals with SQLite's `code` that an operation ended with: a damaged file is set
 * aside, what else fails is told. Returns whether trying again may help. */
bool cache_file_failed(struct breaker_cache *c, int code, int64_t now_ns);

/* One question, by its octets. */
struct cache_key {
    const void *data;
    size_t len;
    int64_t hash;
};
struct cache_key cache_key(const void *data, size_t len);

/* Operations on the rows; SQLite's code, SQLITE_OK when done. Times are those of
 * the wall clock, since the file outlives the boot. */
int cache_rows_put(struct breaker_cache *c, const struct cache_key *key,
                   const void *data, size_t len, uint64_t fresh_ms,
                   int64_t now_ms);
/* SQLITE_ROW when found. */
int cache_rows_get(struct breaker_cache *c, const struct cache_key *key,
                   uint64_t max_stale_ms, int64_t now_ms,
                   struct breaker_cache_answer *answer);
int cache_rows_drop(struct breaker_cache *c, const struct cache_key *key);
int cache_rows_totals(struct breaker_cache *c, uint64_t *entries,
                      uint64_t *bytes);

#endif
