#ifndef PLAY_H
#define PLAY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays steps against the core and the model and compares what both say. */
#include "core/segment.h"
#include "tests/model/step.h"

/* What a step was given. */
struct play_gift {
    uint64_t id;
    uint64_t generation;
};

/* How often what was seen, so that a run that proves little is noticed. */
struct play_seen {
    uint64_t kinds[STEP_KIND_COUNT];
    uint64_t denies[BK_DENY_COUNT];
    uint64_t retry_denies[BK_DENY_COUNT];
    uint64_t causes[BK_CAUSE_COUNT];
    uint64_t errors[BK_ERROR_COUNT];
    uint64_t applied[3];
    uint64_t modes[BK_MODE_COUNT];
    uint64_t would_deny;
    uint64_t ramp_steps[BK_RAMP_STEPS + 1];
    uint64_t rooms;
};

struct play {
    struct model *model;
    struct bk_fleet *fleet;
    void *memory[2]; /* the fleet's, and its successor's after a crash */
    size_t in_use;
    struct bk_limits limits;
    void *segment_memory;
    struct bk_segment segment; /* what is published of the fleet */
    uint64_t policy_edition;
    struct spec specs[NAME_SERVICES];
    struct bk_policy policies[NAME_SERVICES];
    uint32_t configured;             /* as in the stream */
    struct bk_note notes[BK_OUTBOX]; /* taken from the core, not yet compared */
    size_t note_count;
    int64_t full_ns; /* when the table was last found full */
    struct play_gift gifts[STREAM_STEPS];
    int64_t now_ns;
    bool is_exact;
    bool is_settled; /* every deadline up to now has passed in the core */
    bool has_fault;
    char fault[512]; /* the first disagreement */
    FILE *log;       /* NULL: silent */
    struct play_seen seen;
};

/* False when there is no memory. */
bool play_open(struct play *p);
void play_close(struct play *p);
/* A fresh fleet and model under the stream's configuration. */
void play_start(struct play *p, const struct stream *stream);
/* False when core and model disagree; p->fault says about what. */
bool play_step(struct play *p, const struct step *step);

/* Lets the core's deadlines pass up to now. */
void play_advance(struct play *p);
/* An empty fleet in the place of the one in use, whose memory stays. */
struct bk_fleet *play_successor(struct play *p);
/* Records the first disagreement. */
void play_fault(struct play *p, const char *where, const char *what,
                uint64_t core, uint64_t model);
/* Takes the core's notes and matches them with the model's. */
void play_take_notes(struct play *p);
/* Compares one service, or all of them and that nothing is left over. */
void play_compare(struct play *p, const char *name);
void play_compare_all(struct play *p);

#endif
