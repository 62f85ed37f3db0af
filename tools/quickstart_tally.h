#ifndef QUICKSTART_TALLY_H
#define QUICKSTART_TALLY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker counts, in memory that it shares with the process that reads
 * it. */
#include <stdatomic.h>

#include "tools/quickstart_options.h"

/* X(field, help): every counter once; the JSON has them in this order. */
#define QUICKSTART_COUNTERS(X)                                   \
    X(calls, "calls that users made")                            \
    X(ok, "of them, answered")                                   \
    X(failed, "of them, not answered in the end")                \
    X(failed_denied, "of those, never sent: denied to the end")  \
    X(attempts, "requests sent to the upstream")                 \
    X(denied, "times the breaker denied a call")                 \
    X(retries_granted, "retries the fleet's budget granted")     \
    X(retries_denied, "retries it denied")                       \
    X(shed, "calls given up because too many were running")      \
    X(failed_wait_ms, "time users waited for a failure, summed") \
    X(failed_wait_max_ms, "the longest of these waits")          \
    X(by_memory, "decisions from shared memory")                 \
    X(by_daemon, "decisions of the daemon")                      \
    X(by_local, "decisions of a worker's own machine")           \
    X(by_nobody, "decisions by the fail policy")

struct quickstart_tally {
#define QUICKSTART_FIELD(name, help) _Atomic uint64_t name;
    QUICKSTART_COUNTERS(QUICKSTART_FIELD)
#undef QUICKSTART_FIELD
};

/* The counters of `count` workers together; maxima stay maxima. */
void quickstart_tally_sum(const struct quickstart_tally *tallies,
                          uint32_t count, struct quickstart_tally *out);
/* Writes all counters as members of an object that is open. */
struct bk_json;
void quickstart_tally_print(const struct quickstart_tally *tally,
                            struct bk_json *json);

/* Adds without ordering: counters stand alone, nothing is read by them. */
static inline void
quickstart_count(_Atomic uint64_t *counter, uint64_t add)
{
    atomic_fetch_add_explicit(counter, add, memory_order_relaxed);
}
static inline uint64_t
quickstart_read(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif
