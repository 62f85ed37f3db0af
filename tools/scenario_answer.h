#ifndef SCENARIO_ANSWER_H
#define SCENARIO_ANSWER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of a step: the reply as a word with a reason, the reply's fields,
 * and the status of the service behind it. */
#include "core/wire.h"
#include "tools/scenario_file.h"

struct scenario_answer {
    const char *word;      /* allow, deny, open, stale, ok, ... */
    const char *reason;    /* of deny and error; else NULL */
    struct bk_reply reply; /* its words point into the text it was read from */
    json_t *fields;        /* of the reply */
    json_t *document;      /* the status JSON, or NULL */
    json_t *row;           /* the service in it, or NULL; borrowed */
    bool is_states;        /* the word is the status's, not the reply's */
    char sentence[160];    /* of an ERR */
};

/* Reads the reply to a step and, when there is one, the answer to a STATUS that
 * went with it. False when the reply is none of BRK/1's. `answer` starts zeroed
 * or freed. */
bool scenario_answer_read(struct scenario_answer *answer,
                          const struct scenario_step *step, const char *reply,
                          const char *status);
/* The answer of what has none on the wire: it was done. */
void scenario_answer_done(struct scenario_answer *answer);
/* Takes a newer status. Where the word is the status's, it speaks for what the
 * reply said of state, mode and generation. */
void scenario_answer_refresh(struct scenario_answer *answer,
                             const struct scenario_step *step,
                             const char *status);
void scenario_answer_free(struct scenario_answer *answer);

/* A field by its dotted path: of the reply, else of the service's status, else
 * of the whole status document. NULL: there is none. Borrowed. */
const json_t *scenario_answer_field(const struct scenario_answer *answer,
                                    const char *path);

/* Whether word and reason are the expected ones. */
bool scenario_answer_has_word(const struct scenario_answer *answer,
                              const struct scenario_expectation *expects);
/* Compares all; where something differs says so in `words` ("expected ..., got
 * ..."). */
bool scenario_answer_meets(const struct scenario_answer *answer,
                           const struct scenario_expectation *expects,
                           const struct scenario_excuse *excuse,
                           struct bk_text *words);
/* Whether every expected field that the reply itself carries is as expected:
 * one that is not changes only by asking anew, not by a newer status. */
bool
scenario_answer_has_reply_fields(const struct scenario_answer *answer,
                                 const struct scenario_expectation *expects,
                                 const struct scenario_excuse *excuse);

#endif
