#ifndef SCENARIO_VERB_H
#define SCENARIO_VERB_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reader of a timed line and the reader of its options share: the row of
 * a verb, with what may stand behind it. */
#include "tools/scenario_reader.h"

/* What stands behind the verb. */
enum scenario_target {
    NOTHING,
    A_SERVICE,           /* service or route */
    A_SERVICE_OR_ALL,    /* also * */
    A_SERVICE_OUTCOME,   /* service, outcome */
    SERVICE_OR_ID,       /* service or NAME, outcome */
    AN_ID,               /* NAME or number */
    A_SERVICE_AND_PAIRS, /* service, key=value... */
    A_SERVICE_AND_KEYS   /* service, key... */
};

enum scenario_option {
    TIMES = 1 << 0,
    AS = 1 << 1,
    ATTEMPT = 1 << 2,
    TOKEN = 1 << 3,
    TTL = 1 << 4,
    LATENCY = 1 << 5,
    RETRY_AFTER = 1 << 6,
    PERMIT = 1 << 7,
    GENERATION = 1 << 8,
    FOR = 1 << 9,
    REASON = 1 << 10
};

struct scenario_verb_row {
    const char *word;
    enum scenario_verb verb;
    enum scenario_target target;
    unsigned options;
    bool is_daemons;
};

/* A NAME that an earlier line gave, or a number. */
bool scenario_read_id(struct scenario_reader *r, const char *word,
                      struct scenario_id *out);
/* Reads the words from `next` up to the arrow as options of the verb. */
bool scenario_read_options(struct scenario_reader *r,
                           struct scenario_step *step,
                           const struct scenario_verb_row *verb, size_t next);

#endif
