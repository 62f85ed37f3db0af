#ifndef CTL_STORY_H
#define CTL_STORY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The story of a service in plain sentences: why it is as it is, how it stands
 * now, what happens next. Arrays of strings, so that people and programs read the
 * same words. */
#include "tools/ctl_view.h"
#include <jansson.h>

struct story {
    const struct view *view;
    const struct view_service *service;
    const json_t *row; /* the operator's line that led here, or NULL */
    const char *rule;  /* the key that decided, or NULL */
    json_t *why;
    json_t *now;
    json_t *next;
    json_t *seen;    /* who reported what counts against it */
    json_t *advice;  /* what an operator can do */
    int64_t next_ns; /* time to what comes next, 0: nothing has an instant */

    /* The same as fields. */
    json_t *numbers;  /* of the rule: what was counted, and its bounds */
    json_t *upcoming; /* {"what","in_ms"} of what has an instant */
    json_t *workers;  /* {"worker","pid","count"} */
    json_t *errors;   /* {"outcome","text","count","age_ms"} */
    json_t *commands; /* lines for a shell */
};

/* Tells the whole story; `row` may be NULL. The caller gives it back. */
void story_tell(struct story *s, const struct view *view,
                const struct view_service *service, const json_t *row);
void story_fini(struct story *s);

/* Adds a sentence. */
__attribute__((format(printf, 2, 3))) void story_add(json_t *to,
                                                     const char *format, ...);
/* A policy's duration, rate or a time left, as people write them. Each returns
 * `out`. */
#define STORY_WORD_SIZE 40
const char *story_duration(char out[STORY_WORD_SIZE], int64_t ns);
const char *story_left(char out[STORY_WORD_SIZE], int64_t ns);
const char *story_percent(char out[STORY_WORD_SIZE], uint64_t ppm);

/* The parts, each told by its own file. */
void story_why(struct story *s);
void story_now(struct story *s);
void story_next(struct story *s);
void story_seen(struct story *s);
void story_advice(struct story *s);

#endif
