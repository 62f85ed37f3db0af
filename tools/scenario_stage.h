#ifndef SCENARIO_STAGE_H
#define SCENARIO_STAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a scenario is played: the bare state machine in virtual time, or a real
 * daemon with real processes, by itself or through the library. All take BRK/1 lines and answer with them. */
#include "tools/scenario_file.h"
#include "tools/scenario_worker.h"

#define SCENARIO_WORDS_SIZE 400

struct scenario_stage {
    bool is_real; /* time passes by itself and answers take some */
    struct scenario_ways *ways; /* of a stage whose workers use the library */
    char words[SCENARIO_WORDS_SIZE]; /* what went wrong, after a false */

    /* Lets time pass to an instant of the scenario. */
    bool (*wait)(struct scenario_stage *stage, int64_t at_ns);
    /* How long ago that instant was. */
    int64_t (*late_ns)(const struct scenario_stage *stage, int64_t at_ns);
    /* An actor sends lines (separated by \n) in one message; the answers come
     * back separated alike. */
    bool (*ask)(struct scenario_stage *stage, const char *actor,
                const char *lines, struct bk_text *answers);
    /* The actor's process is killed. */
    bool (*die)(struct scenario_stage *stage, const char *actor);
    /* SCENARIO_KILL, STOP, START, LOSE_SEGMENT. */
    bool (*daemon)(struct scenario_stage *stage, enum scenario_verb verb);
    /* A health probe of a service had this outcome. */
    bool (*probe)(struct scenario_stage *stage, const char *service,
                  enum bk_outcome outcome);
    /* Workers tell what they have kept back so far, counts of calls: false when one
     * cannot. */
    bool (*tell_all)(struct scenario_stage *stage);
    /* When something next changes by itself, BK_NEVER if nothing does or nobody
     * can tell. */
    int64_t (*next_change_ns)(struct scenario_stage *stage);
    /* After the last line: false when what runs does not end as it should. */
    bool (*finish)(struct scenario_stage *stage);
    /* Ends everything it started and frees itself. */
    void (*close)(struct scenario_stage *stage);
};

/* NULL with one sentence. The scenario must outlive the stage. */
struct scenario_stage *scenario_core_open(const struct scenario *s,
                                          struct bk_text *error);
struct scenario_stage *scenario_daemon_open(const struct scenario *s,
                                            struct bk_text *error);
/* As the daemon's, and its workers speak through libbreaker. */
struct scenario_stage *scenario_client_open(const struct scenario *s,
                                            struct bk_text *error);

#endif
