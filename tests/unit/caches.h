#ifndef CACHES_H
#define CACHES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache in a directory of its own. */
#include "breaker/cache.h"
#include "unit.h"

#define KEY "gpt-4: what is the time?"
#define ANSWER "late"

/* The place, and what the cache said. */
struct stage {
    char dir[64];
    char path[96];
    unsigned warnings;
    char warning[512];
};

/* cmocka's setup and teardown; *state is the struct stage. */
int stage_open(void **state);
int stage_close(void **state);

struct breaker_cache_options options_of(struct stage *s);
struct breaker_cache *open_with(const struct stage *s,
                                const struct breaker_cache_options *o);
struct breaker_cache *open_cache(struct stage *s);
void put(struct breaker_cache *c, const char *key, const char *answer,
         uint64_t fresh_ms);
int get(struct breaker_cache *c, const char *key, uint64_t max_stale_ms,
        struct breaker_cache_answer *answer);
/* Asserts that the key has this answer (NULL: none). */
void expect(struct breaker_cache *c, const char *key, const char *answer);
struct breaker_cache_stats stats_of(struct breaker_cache *c);
/* Runs SQL on the file, by a connection of the test's own. */
void sql(const struct stage *s, const char *text);

#endif
