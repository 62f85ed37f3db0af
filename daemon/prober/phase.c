/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/phase.h"
#include "daemon/prober/hash.h"
#include <string.h>

int64_t
phase_next(const char *name, int64_t interval_ns, int64_t now_ns)
{
    uint64_t hash = hash_add(HASH_START, name, strlen(name));
    /* The low bits alone would leave short names side by side. */
    hash ^= hash >> 32;
    int64_t phase_ns = (int64_t)(hash % (uint64_t)interval_ns);
    int64_t since_ns = now_ns % interval_ns;
    int64_t wait_ns = (phase_ns - since_ns + interval_ns) % interval_ns;
    return now_ns + (wait_ns > 0 ? wait_ns : interval_ns);
}
