#ifndef UPSTREAM_TALLY_H
#define UPSTREAM_TALLY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What flaky-upstream counted: the hits of every phase, by what they met. */
#include "tools/upstream_script.h"

struct upstream_hits {
    uint64_t all;
    uint64_t by_kind[UPSTREAM_KIND_COUNT];
};

struct upstream_tally {
    struct upstream_hits total;
    struct upstream_hits phases[UPSTREAM_PHASES];
    uint64_t accepted;    /* connections */
    uint64_t turned_away; /* connections over the limit */
    uint64_t bad_requests;
    uint32_t open; /* connections now */
};

/* Forgets the hits; connections that are open stay counted as open. */
void upstream_tally_restart(struct upstream_tally *tally);
void upstream_tally_hit(struct upstream_tally *tally, size_t phase,
                        enum upstream_kind kind);
/* The statistics as one JSON object, without a line end. */
void upstream_tally_print(const struct upstream_tally *tally,
                          const struct upstream_script *script,
                          int64_t elapsed_ns, struct bk_text *out);

/* Octets that every tally fits in. */
#define UPSTREAM_TALLY_BYTES 16384

#endif
