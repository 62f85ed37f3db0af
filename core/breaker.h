#ifndef BK_BREAKER_H
#define BK_BREAKER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The state machine of one service: step(breaker, policy, event) -> effects.
 * Pure: time and random numbers come with the event, consequences go back as
 * values. docs/semantics.md is the rule book. */
#include "core/budget.h"
#include "core/hold.h"
#include "core/ramp.h"

#define BK_REASON_SIZE 96
#define BK_ACTOR_SIZE 40

/* An operator's override. */
struct bk_override {
    int64_t expires_ns; /* BK_NEVER: until somebody ends it */
    uint32_t is_set;
    uint32_t mode;               /* enum bk_mode */
    char reason[BK_REASON_SIZE]; /* the operator's words */
    char actor[BK_ACTOR_SIZE];   /* uid:gid:pid as the kernel gave them */
};

/* All of a service's state but its leases. Fixed width, no pointers: published
 * in shared memory as it is and adopted by the next daemon. */
struct bk_breaker {
    uint64_t generation;
    int64_t changed_ns;    /* the last change of generation */
    int64_t open_until_ns; /* open, not forced: when a probe is due */
    int64_t open_ns;       /* spent open, without a time that still runs */
    struct bk_hold hold;
    uint32_t state; /* enum bk_state */
    uint32_t mode;  /* enum bk_mode in force */
    uint32_t cause; /* enum bk_cause of the last change */
    uint32_t consecutive_failures;
    uint32_t failed_rounds; /* n: probe rounds failed in a row */
    uint32_t probe_successes;
    uint32_t permits_out;     /* leases of the current generation */
    uint32_t health_failures; /* failed health probes since the last good one or
                                 the last success of a call */
    struct bk_ramp ramp;
    struct bk_budget budget;
    struct bk_window window;
    struct bk_counters counters;
    struct bk_override override; /* last: its texts are published apart */
};

enum bk_event_kind {
    BK_EV_TICK,    /* a deadline of the machine's own has come */
    BK_EV_ACQUIRE, /* a worker asks for a permit */
    BK_EV_REPORT,  /* an outcome, of whatever call */
    BK_EV_RECLAIM, /* a live lease ran out of time */
    BK_EV_RETURN,  /* a live lease came back with no verdict (process died) */
    BK_EV_HEALTH,  /* the daemon's own question at probe_url has its answer */
    BK_EV_ORDER,   /* an operator orders a mode (AUTO removes the override) */
    BK_EV_RESET,
    BK_EV_POLICY /* `policy` is new, `old_policy` was in force till now */
};

/* What a report is worth, settled by the lease table before the step. */
enum bk_standing {
    BK_CURRENT, /* permit 0 of the current generation */
    BK_LIVE,    /* a live lease of the current generation */
    BK_LATE     /* anything else: stale */
};

struct bk_event {
    enum bk_event_kind kind;
    int64_t now_ns;
    uint64_t *random; /* state of the random numbers */
    union {
        struct {
            bool requires_denies;
            int64_t requires_left_ns;
            bool needs_token;      /* attempt > 1 */
            bool has_token;        /* and a live one was shown */
            int64_t lease_left_ns; /* till the lease that ends first does */
            bool is_tried; /* one of a route's: a denial counts only when the
                              whole route denies */
        } acquire;
        struct {
            enum bk_standing standing;
            enum bk_outcome outcome;
            int64_t latency_ns;     /* -1: unknown */
            int64_t retry_after_ns; /* 0: none */
            bool will_retry;        /* the attempt had a + */
            bool deposits;          /* attempt 1 or unknown */
            uint32_t ramp_serial;   /* of the lease; 0 without one */
        } report;
        struct {
            bool is_good;
        } health;
        struct {
            enum bk_mode mode;   /* BK_AUTO: remove the override */
            int64_t duration_ns; /* BK_NEVER: no end */
            const char *reason;
            size_t reason_len;
            const char *actor;
        } order;
        struct {
            bool keeps_override; /* RESET * */
        } reset;
        const struct bk_policy *old_policy;
    } u;
};

/* A change of state or mode, or a reset: the generation has grown. */
struct bk_change {
    bool happened;
    enum bk_state from;
    enum bk_state to;
    enum bk_mode mode; /* afterwards */
    enum bk_cause cause;
    uint64_t generation;
    int64_t at_ns;
};

struct bk_effects {
    struct bk_change change; /* at most one a step */
    enum bk_applied applied; /* report */
    bool is_allowed;         /* acquire */
    bool is_leased;          /* acquire: the permit must be a lease */
    enum bk_deny deny;
    enum bk_deny would_deny; /* acquire: only observe let it through */
    int64_t wait_ns;         /* deny: 0 when unknown */
    bool
        is_evidence; /* report, reclaim, health: it counted against the service */
    bool was_override; /* reset, order: an override was removed */
};

/* A breaker that was never used: closed, generation `generation`. */
void bk_breaker_init(struct bk_breaker *b, const struct bk_policy *p,
                     int64_t now_ns, uint64_t generation);
struct bk_effects bk_breaker_step(struct bk_breaker *b,
                                  const struct bk_policy *p,
                                  const struct bk_event *event);
/* False for a state that no run of the machine produces (a damaged record). */
bool bk_breaker_is_sound(const struct bk_breaker *b);
/* The next instant at which BK_EV_TICK is due, or BK_NEVER. */
int64_t bk_breaker_deadline(const struct bk_breaker *b);
/* The instant before which no acquire is allowed, by what is known now: the end of
 * the open time, the hold or the forced opening; BK_NEVER for a forced opening
 * without an end, 0 when nothing binds. */
int64_t bk_breaker_shut_until(const struct bk_breaker *b);
/* How long until an acquire may be allowed: to the probe, the end of the hold or
 * of the forced opening, the latest of those that bind; 0 when none or unknown. */
int64_t bk_breaker_wait(const struct bk_breaker *b, int64_t now_ns);
/* All the time spent open. */
int64_t bk_breaker_open_time(const struct bk_breaker *b, int64_t now_ns);
/* Checks of RETRY that look at the machine (contract 4.10, check 5): the reason
 * to deny a retry that would come after `delay_ns`, BK_DENY_NONE if there is
 * none, and the wait. */
enum bk_deny bk_breaker_bars_retry(const struct bk_breaker *b, int64_t now_ns,
                                   int64_t delay_ns, int64_t *wait_ns);
/* Leases that may be out at once: 0 is no limit (closed only). */
uint32_t bk_breaker_permit_limit(const struct bk_breaker *b,
                                 const struct bk_policy *p);

#endif
