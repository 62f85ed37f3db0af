#ifndef CLIENT_NAMES_H
#define CLIENT_NAMES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The services a handle has heard of: one object a name, found without a lock,
 * never freed before the handle. */
#include "breaker/breaker.h"
#include "core/vocab.h"
#include <stdatomic.h>

/* Hot fields first: an acquire from shared memory touches one cache line. */
struct breaker_service {
    _Alignas(64) struct breaker *client;
    uint32_t index; /* 0, 1, 2, ... in the order they were heard of */
    /* Where the name lies: view's serial 24 bits, slot's incarnation 8, slot
     * 32; 0: not known. */
    _Atomic uint64_t place;
    _Atomic uint64_t generation;   /* the whole of it, as last read */
    _Atomic int64_t generation_ns; /* when, on the coarse clock */
    /* Decided from shared memory and not yet told. */
    _Atomic uint64_t allowed;
    _Atomic uint64_t denied[BK_DENY_COUNT];
    struct breaker_service *next; /* of all, newest first */
    char name[BK_NAME_SIZE];
    size_t name_len;
};

struct names {
    _Atomic(struct breaker_service *) *buckets;
    _Atomic(struct breaker_service *) newest;
    uint32_t count; /* under the lock of names_add's caller */
};

bool names_init(struct names *n);
void names_fini(struct names *n);
/* NULL: not heard of. Any thread, no lock. */
struct breaker_service *names_find(const struct names *n, const char *name,
                                   size_t len);
/* Finds or adds a valid name; NULL with *error when full or out of memory. One
 * thread at a time. */
struct breaker_service *names_add(struct names *n, struct breaker *client,
                                  const char *name, size_t len,
                                  enum breaker_error *error);

#endif
