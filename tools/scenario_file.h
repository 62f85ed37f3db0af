#ifndef SCENARIO_FILE_H
#define SCENARIO_FILE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A scenario in memory: what its file configures and the lines it plays.
 * docs/man/breaker-scenario.1 describes the language. */
#include "core/fleet.h"
#include "tools/scenario_expect.h"

#define SCENARIO_FILE_BYTES_MAX (1U << 20)
#define SCENARIO_WORDS_MAX 128 /* in a line */
#define SCENARIO_SERVICES_MAX 4096
#define SCENARIO_TIMES_MAX 1000000
#define SCENARIO_ACTOR_SIZE BK_WORKER_SIZE

enum scenario_verb {
    SCENARIO_ACQUIRE,
    SCENARIO_REPORT,
    SCENARIO_RETRY,
    SCENARIO_RELEASE,
    SCENARIO_RENEW,
    SCENARIO_DIE,
    SCENARIO_STATE,
    SCENARIO_RESET,
    SCENARIO_TRIP,
    SCENARIO_BYPASS,
    SCENARIO_OBSERVE,
    SCENARIO_AUTO,
    SCENARIO_SET,
    SCENARIO_UNSET,
    SCENARIO_FORGET,
    SCENARIO_KILL,
    SCENARIO_STOP,
    SCENARIO_START,
    SCENARIO_LOSE_SEGMENT,
    SCENARIO_PROBE
};

/* A permit, a token or a number written out. */
struct scenario_id {
    const char *name; /* given by `as`; NULL when `number` counts */
    uint64_t number;
    bool is_given;
};

/* One line that happens: who does what when, and what should come of it. */
struct scenario_step {
    unsigned line;
    int64_t at_ns;
    const char *actor; /* a worker, "op", "daemon" or "-" */
    enum scenario_verb verb;
    const char *verb_word;
    const char *service; /* or route, or "*"; NULL when `what` counts */
    struct scenario_id what;
    const char *as; /* the name the permit or token gets; NULL for none */
    struct scenario_id token;
    struct scenario_id permit;
    const char *generation; /* as written: a number or "-" */
    const char *reason;
    enum bk_outcome outcome;
    uint64_t times;
    uint64_t attempt; /* 0: unknown */
    bool will_retry;
    int64_t latency_ns; /* -1: unknown */
    int64_t retry_after_ns;
    int64_t ttl_ns; /* -1: not given */
    int64_t for_ns; /* -1: no end */
    char **pairs;   /* set: key=value; unset: key */
    size_t pair_count;
    struct scenario_expectation expects;
};

enum scenario_scope {
    SCENARIO_DEFAULTS,
    SCENARIO_SERVICE,
    SCENARIO_ENVIRONMENT
};

/* One configured value; a service named without one has a NULL key. */
struct scenario_setting {
    enum scenario_scope scope;
    const char *name; /* the service, else "" */
    const char *key;
    const char *value;
};

enum scenario_place { SCENARIO_ANYWHERE, SCENARIO_ON_CORE, SCENARIO_ON_DAEMON };

/* How a word is used in the file: a NAME may not be a SERVICE's. */
struct scenario_use {
    const char *word;
    unsigned line;
    bool is_name;
};

struct scenario {
    const char *path;
    char *text;        /* the file's; every string here points into it */
    const char *title; /* its first comment, or "" */
    enum scenario_place place;
    uint32_t max_services; /* 0: not said */
    struct scenario_setting *settings;
    size_t setting_count;
    struct bk_route *routes;
    size_t route_count;
    struct scenario_use *uses;
    size_t use_count;
    struct scenario_step *steps;
    size_t step_count;
};

/* Reads a file; `path` must outlive the scenario. False with one sentence that
 * names file and line; the scenario is then empty. */
bool scenario_load(struct scenario *s, const char *path, struct bk_text *error);
void scenario_free(struct scenario *s);

/* The route of that name, or NULL. */
const struct bk_route *scenario_route(const struct scenario *s,
                                      const char *name);

#endif
