#ifndef REPLY_H
#define REPLY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to one message: its envelope and a frame for each answered line.
 * Most go out at once; one that waits for the disk or is written in slices stays
 * here until it is whole. */
#include "core/wire.h"
#include "daemon/callers.h"

/* The envelope and the delimiter, as they are said: heads of two octets. */
#define REPLY_ROUTE_FRAMES (BK_ENVELOPE_MAX + 1)
#define REPLY_ROUTE_OCTETS (REPLY_ROUTE_FRAMES * (2 + BK_ENVELOPE_OCTETS))

struct reply_answer {
    size_t from; /* within the arena */
    size_t len;
    char *own;       /* or: its own memory, freed with the reply */
    uint64_t ticket; /* due: what answer of the store it waits for */
    bool is_due;     /* somebody still has to fill it */
    bool needs_disk;
};

struct reply {
    struct reply *next; /* of those that wait */
    uint64_t caller;
    uint8_t route[REPLY_ROUTE_OCTETS];
    size_t route_len;
    unsigned route_count; /* frames */
    struct reply_answer *answers;
    size_t count;
    size_t room;
    char *arena;
    size_t arena_len;
    size_t arena_room;
    size_t due;    /* answers not filled yet */
    uint64_t job;  /* the store must have done this one; 0: none */
    bool is_short; /* memory ran out: the reply cannot be sent */
};

struct reply *reply_new(void);
void reply_free(struct reply **r);
void reply_clear(struct reply *r);
/* Adds the next frame of the route, the delimiter last; false when it is none. */
bool reply_add_route(struct reply *r, const void *at, size_t len);
/* Adds a finished answer. */
void reply_add(struct reply *r, const char *text, size_t len);
/* Adds an answer that comes later; its index. */
size_t reply_add_due(struct reply *r);
/* Fills one; `own` was malloc'ed and belongs to the reply now. */
void reply_fill(struct reply *r, size_t index, char *own, size_t len);
/* Every answer that needed the disk becomes this error. */
void reply_fail_disk(struct reply *r, const char *why);
bool reply_is_whole(const struct reply *r, uint64_t saved_job);
/* Says it, never waiting; callers_flush() sends it. False: the caller is gone or does
 * not read. */
bool reply_say(const struct reply *r, struct callers *callers);

#endif
