#ifndef SCENARIO_WORKER_H
#define SCENARIO_WORKER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that speaks through libbreaker: takes BRK/1 lines, does with the library
 * what it has a call for, and answers with the lines that the daemon would have
 * answered with. */
#include "core/text.h"
#include <stdatomic.h>

/* By which ways the lines of a scenario went, of all its actors: memory that they
 * and the player share. */
struct scenario_ways {
    _Atomic uint64_t by_memory; /* decisions from shared memory */
    _Atomic uint64_t asked;   /* decisions and answers the library asked for */
    _Atomic uint64_t told;    /* outcomes and permits given back */
    _Atomic uint64_t by_ring; /* of those, as the daemon counts them */
    _Atomic uint64_t by_line; /* what the library has no call for */
};

struct scenario_worker;

/* A handle on the instance in `dir`, in the way that the library's environment
 * says, named `name`. All three outlive it. NULL with a sentence. */
struct scenario_worker *scenario_worker_open(const char *dir, const char *name,
                                             struct scenario_ways *ways,
                                             struct bk_text *error);
void scenario_worker_close(struct scenario_worker **w);
/* Waits until the daemon answers, `deadline_ms` at most. */
bool scenario_worker_await(struct scenario_worker *w, int64_t deadline_ms,
                           struct bk_text *error);

/* What it let through from memory the daemon hears of within a second of calls, or
 * when the handle closes: closes it and opens another, which holds nothing. */
bool scenario_worker_tell_all(struct scenario_worker *w, struct bk_text *error);

enum scenario_carried {
    SCENARIO_CARRIED, /* `answer` holds the answering line */
    SCENARIO_NO_CALL, /* the line itself has to be sent */
    SCENARIO_ASTRAY   /* the library did what it should not; `answer` says it */
};
/* Carries out one line. Of one that `is_repeated` by the next line nobody reads the
 * answer. */
enum scenario_carried scenario_worker_carry(struct scenario_worker *w,
                                            const char *line, bool is_repeated,
                                            struct bk_text *answer);

#endif
