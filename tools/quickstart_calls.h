#ifndef QUICKSTART_CALLS_H
#define QUICKSTART_CALLS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's calls: each asks, sends, waits, retries and ends; many are under
 * way at once, over one libcurl multi handle. */
#include <curl/curl.h>

#include "tools/quickstart_guard.h"

/* Calls of one worker under way at once; what comes beyond fails at once. */
#define QUICKSTART_CALLS 512

struct quickstart_call {
    struct quickstart_right right;
    CURL *request;    /* while an attempt is under way */
    int64_t began_ns; /* the call; its patience counts from here */
    int64_t due_ns;   /* the next step while no attempt is under way */
    uint32_t attempt; /* the one under way or due, 1 is the first */
    bool is_used;
};

struct quickstart_calls {
    const struct quickstart_options *options;
    struct quickstart_guard *guard;
    struct quickstart_tally *tally;
    CURLM *multi;
    uint64_t random; /* spreads waits */
    uint32_t active;
    struct quickstart_call calls[QUICKSTART_CALLS];
};

bool quickstart_calls_init(struct quickstart_calls *calls,
                           const struct quickstart_options *options,
                           struct quickstart_guard *guard,
                           struct quickstart_tally *tally, uint64_t seed);
void quickstart_calls_fini(struct quickstart_calls *calls);
/* A user's call begins. */
void quickstart_calls_begin(struct quickstart_calls *calls, int64_t now_ns);
/* Does what is due. */
void quickstart_calls_step(struct quickstart_calls *calls, int64_t now_ns);
/* When something is due, apart from answers; BK_NEVER. */
int64_t quickstart_calls_deadline(const struct quickstart_calls *calls);

#endif
