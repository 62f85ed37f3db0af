#ifndef CLIENT_CALL_PLAY_H
#define CLIENT_CALL_PLAY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A call's machine in virtual time, against a table of answers. What it asks and
 * tells is written down as a story, for a test to compare. */
#include "client/call.h"
#include "unit.h"

/* Answers in the order they are asked for: "allow [id]", "deny REASON MS",
 * "grant MS"; outcomes of attempts: "OUTCOME [RETRY_AFTER_MS] [took MS]". */
struct play {
    struct breaker *b;
    struct breaker_service *a;
    struct breaker_service *z;
    struct breaker_service *chain[2];
    const char *const *answers;
    const char *const *outcomes;
    struct breaker_call_options how;
    struct bk_policy policy;
    int64_t now_ns;
    int64_t share_ns; /* -1: the whole span */
    uint32_t parked;
    uint32_t parked_max;
    uint32_t flags; /* of results */
    uint32_t rebuild_refuses;
    const char *cancel_at; /* when the story has this in it */
    struct breaker_call call;
    char said[4096];
};

/* NULL-ended. */
#define ARRAY(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

/* cmocka's setup and teardown: a fresh play in *state. */
int play_up(void **state);
int play_down(void **state);

/* Plays the call to its end; the story is in p->said. Every answer and outcome
 * must have been used. */
enum breaker_stop play(struct play *p, struct breaker_service *s,
                       const char *const *answers, const char *const *outcomes);
/* Begins a call that takes its answers from `answers`. */
void play_begin(struct play *p, struct breaker_service *s,
                const char *const *answers);

/* Callbacks that tell the story; the context is the play. */
int play_rebuild(void *context, struct breaker_service *s);
int play_answer(void *context, const struct breaker_summary *sum);

#endif
