#ifndef BK_PAST_H
#define BK_PAST_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What has happened: one line of history, a transition or an operator's action, as
 * it is saved, published and told. */
#include "core/breaker.h"
#include "core/json.h"

/* As many of the newest are published in the shared memory. */
#define BK_PAST_COUNT 256
/* "2026-01-31T12:00:00.123Z" with room for any year. */
#define BK_INSTANT_SIZE 40

/* Fixed width, no pointers: it is published in the shared memory as it is. */
struct bk_past {
    uint64_t seq; /* grows by one; 0 is no line */
    int64_t wall_ms;
    uint64_t generation;
    uint32_t from; /* enum bk_state */
    uint32_t to;
    uint32_t mode;              /* enum bk_mode, afterwards */
    uint32_t cause;             /* enum bk_cause */
    char service[BK_NAME_SIZE]; /* "*" for all */
    char actor[BK_ACTOR_SIZE];  /* uid:gid:pid, or "-" for the machine */
    char text[BK_REASON_SIZE];  /* the operator's words, or "" */
};

/* False for a line that no daemon writes (a damaged one). */
bool bk_past_is_sound(const struct bk_past *p);
/* The line as history tells it: {"seq":...,"at":...,"service":...}. */
void bk_past_row(struct bk_json *j, const struct bk_past *p);

/* An instant of the wall clock for people: RFC 3339, UTC, milliseconds. What no
 * clock says (before 1970, after the year 9999) is its beginning. */
void bk_instant_format(int64_t wall_ms, char out[BK_INSTANT_SIZE]);

#endif
