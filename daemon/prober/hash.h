#ifndef PROBER_HASH_H
#define PROBER_HASH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * FNV-1a, to spread names and to tell configurations apart; not against people. */
#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(14695981039346656037)

static inline uint64_t
hash_add(uint64_t hash, const void *at, size_t len)
{
    const uint8_t *octets = at;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ octets[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

#endif
