#ifndef STEP_H
#define STEP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream: configurations and a history of steps. A step refers to the permits
 * and tokens of earlier ones by their serial, so that any part of a history can
 * be played without the rest. */
#include "tests/model/model.h"
#include "tests/model/spec.h"

#include <stdio.h>

#define STREAM_STEPS 1500
#define NAME_SERVICES MODEL_SERVICES /* the first names are services', */
#define NAME_ROUTES MODEL_ROUTES     /* then come routes' */
#define NAME_COUNT 14                /* the rest is no name at all */

const char *step_name(size_t name);

enum step_kind {
    STEP_PASS, /* time passes */
    STEP_ACQUIRE,
    STEP_REPORT,
    STEP_RETRY,
    STEP_RELEASE,
    STEP_RENEW,
    STEP_TALLY,
    STEP_HEALTH,
    STEP_DIE,
    STEP_ORDER,
    STEP_RESET,
    STEP_SET,
    STEP_MAKE,
    STEP_ROUTES,
    STEP_FORGET,
    STEP_LOSE_SEGMENT,
    STEP_ADOPT,
    STEP_KIND_COUNT
};

/* Which permit or token a step speaks of. */
enum step_id {
    ID_NONE,    /* 0 */
    ID_OF_STEP, /* what step `id_step` was given, 0 if nothing */
    ID_UNISSUED /* one that nobody was given yet */
};

/* Which generation a report speaks of. */
enum step_generation {
    GEN_DASH,
    GEN_OF_STEP, /* as step `id_step` was told */
    GEN_NOW,
    GEN_BEFORE,
    GEN_NEXT,
    GEN_ZERO,
    GEN_CHOICES
};

struct step {
    enum step_kind kind;
    uint32_t serial; /* place in the stream as it was first made */
    int64_t at_ns;
    int64_t late_ns; /* the clock the command is given runs behind by this */
    uint8_t name;
    bool is_lazy;      /* other services do not hear of the time first */
    bool looks_around; /* compare every service afterwards */
    enum step_id id;
    uint32_t id_step;
    enum step_generation generation;
    enum bk_outcome outcome;
    enum bk_mode mode;
    enum bk_deny deny; /* of a tally */
    uint64_t attempt;
    int64_t ttl_ns;
    int64_t latency_ns;
    int64_t retry_after_ns;
    int64_t duration_ns;
    uint32_t pid;
    uint32_t count;
    bool flag; /* will_retry, is_allowed, keeps_override */
    uint8_t key;
    uint8_t value;
    uint8_t members[NAME_ROUTES][NAME_SERVICES]; /* names; NAME_COUNT ends */
};

struct stream {
    uint64_t seed;
    uint32_t capacity;   /* services there is room for */
    uint32_t configured; /* bits: names that never make room */
    bool is_exact;       /* no open time is left to chance: time may jump */
    int64_t start_ns;
    struct spec specs[NAME_SERVICES];
    struct step routes; /* a route always has members, or its name were free */
    struct step steps[STREAM_STEPS];
    size_t count;
};

/* As a line of a story: when, who, what. */
void step_print(const struct step *step, FILE *out);

#endif
