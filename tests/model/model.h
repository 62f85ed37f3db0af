#ifndef MODEL_H
#define MODEL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A second, deliberately naive implementation of the rules in docs/protocol.md,
 * written from the rules alone. It keeps lists of what happened and recomputes;
 * where it and the core disagree, one of them has misread a sentence. */
#include "core/fleet.h"

#define MODEL_SERVICES 6
#define MODEL_ROUTES 2
/* A stream is shorter than this, so no list of a service grows beyond it. */
#define MODEL_LIST 4096
#define MODEL_LEASES 512
#define MODEL_NOTES 512

struct model_outcome {
    int64_t at_ns;
    bool is_failure;
    bool is_slow;
};

struct model_window {
    struct model_outcome list[MODEL_LIST]; /* oldest first */
    size_t count;
};

struct model_deposit {
    int64_t at_ns;
    uint64_t ppm;
};

struct model_withdrawal {
    int64_t at_ns;
    uint64_t token;
};

struct model_budget {
    struct model_deposit deposits[MODEL_LIST];
    struct model_withdrawal withdrawals[MODEL_LIST];
    size_t deposit_count;
    size_t withdrawal_count;
    uint64_t granted;
    uint64_t denied;
};

/* The running step of a ramp; `run` names one start of one step. */
struct model_ramp {
    uint32_t step; /* 1..10; 0: none */
    uint64_t run;
    int64_t since_ns;
    int64_t length_ns;
    uint64_t arrivals;
    uint64_t admitted;
    bool has_success;
};

struct model_service {
    bool is_here;
    char name[BK_NAME_SIZE];
    struct bk_policy policy;
    uint64_t generation;
    int64_t changed_ns;
    int64_t used_ns;    /* a worker asked or reported */
    int64_t touched_ns; /* anybody said anything of it */
    enum bk_state state;
    enum bk_cause cause;
    bool has_override;
    enum bk_mode override_mode;
    int64_t override_end_ns; /* BK_NEVER: no end */
    int64_t open_end_ns;     /* open and not forced */
    int64_t hold_end_ns;     /* 0: none */
    uint32_t consecutive;
    uint32_t rounds; /* n of the rules */
    uint32_t probe_successes;
    uint32_t unwell; /* health probes that failed since the last sign of life */
    struct model_ramp ramp;
    struct model_window window;
    struct model_budget budget;
    struct bk_counters counters;
    struct bk_stats stats;
    int64_t open_since_ns; /* 0: not open */
    int64_t open_ns;       /* of the times open that are over */
    struct bk_evidence evidence[BK_EVIDENCE_COUNT]; /* oldest first */
    size_t evidence_count;
};

struct model_lease {
    uint64_t id;
    uint32_t service;
    bool is_token;
    uint32_t pid;
    int64_t deadline_ns;
    uint64_t ramp_run; /* 0: no ramp admitted it */
};

struct model_note {
    uint32_t service;
    struct bk_change change;
};

struct model_route {
    char name[BK_NAME_SIZE];
    size_t count;
    char members[BK_ROUTE_MEMBERS][BK_NAME_SIZE];
};

struct model_past {
    char name[BK_NAME_SIZE];
    uint64_t generation;
};

/* The few things a rule leaves to chance (an open time's jitter) are looked up in
 * the implementation under test: the end of the open time it chose. */
typedef int64_t model_observer(void *context, const char *name);
/* The policy a service of this name has now. */
typedef void model_policy_source(void *context, const char *name,
                                 struct bk_policy *out);

struct model {
    struct model_service services[MODEL_SERVICES];
    struct model_lease leases[MODEL_LEASES];
    struct model_note notes[MODEL_NOTES]; /* since the caller emptied it */
    struct model_route routes[MODEL_ROUTES];
    struct model_past forgotten[MODEL_SERVICES];
    size_t capacity;    /* services there may be */
    size_t lease_count; /* by id: each new one is appended */
    size_t note_count;
    size_t route_count;
    size_t forgotten_count;
    uint64_t next_id;
    uint64_t next_run;
    int64_t now_ns;
    model_observer *observer;
    model_policy_source *source;
    void *context;
};

void model_init(struct model *m, size_t capacity, model_observer *observer,
                model_policy_source *source, void *context);

/* The next instant at which something happens by itself, or BK_NEVER. The end of
 * a hold shows in no answer before its instant and changes nothing: left out. */
int64_t model_deadline(const struct model *m);
/* Everything that happens by itself up to and at `now_ns`, in order. Every
 * command below does this first. */
void model_pass(struct model *m, int64_t now_ns);

struct model_service *model_find(struct model *m, const char *name);
const struct model_route *model_find_route(const struct model *m,
                                           const char *name);
enum bk_mode model_mode(const struct model_service *s);
uint32_t model_index(const struct model *m, const struct model_service *s);
uint32_t model_permits_out(const struct model *m, uint32_t service);
struct model_lease *model_lease(struct model *m, uint64_t id);
/* Time to the next chance of a call: 0 when there is nothing to wait for, or
 * nobody knows how long. */
int64_t model_wait(const struct model_service *s, int64_t now_ns);

/* What a first attempt would be answered now. */
struct model_outlook {
    enum bk_deny reason;
    int64_t end_ns; /* of the denial; BK_NEVER when nobody knows */
    bool is_plain;  /* let through with nothing to give back or to count */
};
struct model_outlook model_look(struct model *m, const struct model_service *s,
                                int64_t now_ns);

/* Commands of workers. */
enum bk_error model_acquire(struct model *m, int64_t now_ns,
                            const struct bk_acquire *ask,
                            struct bk_acquired *answer);
enum bk_error model_report(struct model *m, int64_t now_ns,
                           const struct bk_report *report,
                           enum bk_applied *answer);
/* `observed`: what the implementation answered; its luck with jitter is taken
 * over when the rules permit it. */
enum bk_error model_retry(struct model *m, int64_t now_ns,
                          const struct bk_retry *ask,
                          const struct bk_granted *observed,
                          struct bk_granted *answer);
enum bk_applied model_release(struct model *m, int64_t now_ns, uint64_t id);
enum bk_applied model_renew(struct model *m, int64_t now_ns, uint64_t id,
                            int64_t ttl_ns);
enum bk_error model_tally(struct model *m, int64_t now_ns, const char *name,
                          bool is_allowed, uint64_t count, enum bk_deny reason);
void model_process_died(struct model *m, int64_t now_ns, uint32_t pid);
/* A health probe has its answer. */
enum bk_error model_health(struct model *m, int64_t now_ns,
                           const struct bk_health *health);

/* Commands of operators. */
enum bk_error model_order(struct model *m, int64_t now_ns,
                          const struct bk_order *order, bool *was_override);
enum bk_error model_reset(struct model *m, int64_t now_ns, const char *name,
                          bool keeps_override, bool *was_override);
enum bk_error model_make(struct model *m, int64_t now_ns, const char *name);
/* Asks the source again; of an unseen service it changes nothing. */
void model_reconfigure(struct model *m, int64_t now_ns, const char *name);
enum bk_error model_forget(struct model *m, int64_t now_ns, const char *name);
void model_set_routes(struct model *m, const struct bk_route *routes,
                      size_t count);
/* The segment is lost and every service restored at `now_ns`; ids go on from
 * `next_id`. */
void model_lose_segment(struct model *m, int64_t now_ns, uint64_t next_id);

#endif
