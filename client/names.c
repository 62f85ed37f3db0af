/* SPDX-License-Identifier: Apache-2.0 */
#include "client/names.h"
#include <stdlib.h>
#include <string.h>

/* Twice the names, so that a search ends soon; a power of two. */
#define BUCKETS (UINT32_C(2) * BREAKER_SERVICES_MAX)
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask selects a bucket");

bool
names_init(struct names *n)
{
    /* Mostly untouched zero pages until there are many names. */
    n->buckets = calloc(BUCKETS, sizeof *n->buckets);
    atomic_init(&n->newest, NULL);
    n->count = 0;
    return n->buckets != NULL;
}

void
names_fini(struct names *n)
{
    struct breaker_service *s =
        atomic_load_explicit(&n->newest, memory_order_relaxed);

    while (s != NULL) {
        struct breaker_service *next = s->next;

        free(s);
        s = next;
    }
    free(n->buckets);
    n->buckets = NULL;
}

static uint32_t
bucket_of(const char *name, size_t len)
{
    uint64_t h = len;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32) & (BUCKETS - 1);
}

/* The acquire pairs with the release in names_add: the object is whole. */
static struct breaker_service *
search(const struct names *n, const char *name, size_t len, uint32_t *bucket)
{
    uint32_t at = bucket_of(name, len);

    for (;;) {
        struct breaker_service *s =
            atomic_load_explicit(&n->buckets[at], memory_order_acquire);

        *bucket = at;
        if (s == NULL ||
            (s->name_len == len && memcmp(s->name, name, len) == 0))
            return s;
        at = (at + 1) & (BUCKETS - 1);
    }
}

struct breaker_service *
names_find(const struct names *n, const char *name, size_t len)
{
    uint32_t bucket;

    return search(n, name, len, &bucket);
}

struct breaker_service *
names_add(struct names *n, struct breaker *client, const char *name, size_t len,
          enum breaker_error *error)
{
    uint32_t bucket;
    struct breaker_service *s = search(n, name, len, &bucket);

    if (s != NULL)
        return s;
    *error = BREAKER_ERROR_FULL;
    if (n->count >= BREAKER_SERVICES_MAX)
        return NULL;
    *error = BREAKER_ERROR_MEMORY;
    s = aligned_alloc(_Alignof(struct breaker_service), sizeof *s);
    if (s == NULL)
        return NULL;
    memset(s, 0, sizeof *s);
    s->client = client;
    memcpy(s->name, name, len);
    s->name_len = len;
    s->index = n->count++;
    /* Both pair with acquires: the list's readers and the searchers. */
    s->next = atomic_load_explicit(&n->newest, memory_order_relaxed);
    atomic_store_explicit(&n->newest, s, memory_order_release);
    atomic_store_explicit(&n->buckets[bucket], s, memory_order_release);
    return s;
}
