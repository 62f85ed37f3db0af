#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole call as a machine: time comes in, the next step comes out. It reads no
 * clock and never sleeps; what it asks for and tells goes through a door, which
 * is the library in a worker and a table in a test. */
#include "breaker/retry.h"
#include "core/policy.h"

/* An unknown wait is looked at again after this long, doubled up to the second. */
#define CALL_POLL_NS (50 * BK_NS_PER_MS)
#define CALL_POLL_MAX_NS (1 * BK_NS_PER_S)
/* The token of a retry is not given up for want of this much: the hold that the
 * same call reported ends a moment after its own delay. */
#define CALL_TOKEN_GRACE_NS (250 * BK_NS_PER_MS)
/* Longer options are as good as no end. */
#define CALL_MS_MAX (UINT64_C(1) << 40)

enum call_event {
    CALL_EVENT_BEGIN,
    CALL_EVENT_ATTEMPT, /* one is over: call->last */
    CALL_EVENT_RETRY,   /* another will be made after `delay_ns` */
    CALL_EVENT_WAIT,    /* denied: looked at again after `delay_ns` */
    CALL_EVENT_NEXT,    /* this service has failed, the next one is taken */
    CALL_EVENT_OVER
};

/* What the machine needs of the world. */
struct call_door {
    enum breaker_verdict (*acquire)(void *world,
                                    struct breaker_service *service,
                                    struct breaker_token *token, /* or NULL */
                                    uint64_t ttl_ms,
                                    struct breaker_permit *permit);
    enum breaker_verdict (*retry)(void *world, struct breaker_service *service,
                                  uint32_t failed, enum breaker_outcome outcome,
                                  uint64_t retry_after_ms,
                                  struct breaker_token *token);
    void (*report)(void *world, struct breaker_permit *permit,
                   enum breaker_outcome outcome,
                   const struct breaker_details *details);
    void (*release)(void *world, struct breaker_permit *permit);
    void (*give_back)(void *world, struct breaker_token *token);
    /* What the fleet has configured, as known now. */
    void (*policy)(void *world, struct breaker_service *service,
                   struct bk_policy *out);
    /* Members of a route; 0: it is none, or nobody can tell. */
    uint32_t (*route)(void *world, struct breaker_service *service,
                      struct breaker_service *members[BREAKER_CHAIN_MAX]);
    /* A uniform share of `span_ns`. */
    int64_t (*share)(void *world, int64_t span_ns);
    /* Room for one more that waits because it was denied. */
    bool (*park)(void *world);
    void (*unpark)(void *world);
    void (*tell)(void *world, const struct breaker_call *call,
                 enum call_event event, int64_t delay_ns);
};

enum call_phase {
    CALL_READY,  /* to be asked for */
    CALL_OUT,    /* an attempt is being made */
    CALL_ASLEEP, /* until until_ns, then `after` */
    CALL_ASKING, /* for a retry's token, which was denied before */
    CALL_OVER
};

struct breaker_call {
    const struct call_door *door;
    void *world;
    struct breaker_call_options how;
    enum call_phase phase;
    enum call_phase after;
    int64_t start_ns;
    int64_t now_ns;
    int64_t end_ns;   /* the deadline; BK_NEVER: none */
    int64_t until_ns; /* of the sleep */
    int64_t slept_ns; /* when it began */
    /* The chain. */
    struct breaker_service *members[BREAKER_CHAIN_MAX];
    uint32_t member_count;
    uint32_t at;
    uint32_t spent;                /* bit a member: failed for good */
    struct breaker_service *built; /* the request is made for this one */
    /* The service being called. */
    struct breaker_service *service;
    struct bk_policy policy;
    struct breaker_permit permit;
    struct breaker_token token;
    struct breaker_attempt attempt;
    struct breaker_result last;
    bool has_token;
    bool is_told; /* the last attempt is reported */
    bool is_parked;
    bool rides_out;      /* the fleet's attempts are used up, but it is down */
    uint32_t failed;     /* attempts at this service */
    uint32_t beyond;     /* of those, granted after the fleet's last while the
                            service was still thought to be up */
    uint32_t polls;      /* unknown waits in a row */
    int64_t attempt_ns;  /* began */
    int64_t retry_at_ns; /* the upstream's Retry-After ends; 0: none */
    int64_t token_grace_ns; /* the token is worth waiting for until then */
    uint64_t ttl_ms;
    int64_t lease_ns;   /* asked for or renewed */
    int64_t soonest_ns; /* end of the shortest known denial; 0: none known */
    struct breaker_service *next; /* taken after this one, while it is told */
    bool is_renewed;              /* a lost token was replaced once */
    struct breaker_summary sum;
};

/* `service` may be NULL. False: bad options, a sentence for breaker_error_text
 * has been left. `call` is the caller's memory. */
bool call_begin(struct breaker_call *call, const struct call_door *door,
                void *world, struct breaker_service *service,
                const struct breaker_call_options *options, int64_t now_ns);
/* Returns an enum breaker_step_kind; *wait_ns of a WAIT. */
enum breaker_step_kind call_next(struct breaker_call *call, int64_t now_ns,
                                 int64_t *wait_ns);
/* False when no attempt is out. */
bool call_result(struct breaker_call *call, const struct breaker_result *result,
                 int64_t now_ns);
void call_cancel(struct breaker_call *call, int64_t now_ns);

/* ---- pieces of the machine ---- */

/* The machine's own ways: to the next service or to the end. */
void call_give_up(struct breaker_call *call, enum breaker_stop stop);
void call_finish(struct breaker_call *call, enum breaker_stop stop);
void call_sleep(struct breaker_call *call, int64_t wait_ns,
                enum call_phase after);
/* Sleeps over a denial; false: it does not fit, or too many do. */
bool call_park(struct breaker_call *call, int64_t known_ns,
               enum call_phase after);
void call_report(struct breaker_call *call, bool will_retry);
/* After a failed attempt: another one, the next service, or the end. */
void call_ask_retry(struct breaker_call *call);
/* Asks for the service's permit. */
void call_ask(struct breaker_call *call);
/* No wait ends after it. */
int64_t call_horizon(const struct breaker_call *call);
int64_t call_timeout(const struct breaker_call *call);
bool call_waits(const struct breaker_call *call);
bool call_is_cancelled(const struct breaker_call *call);
enum breaker_stop call_stop_of(uint32_t reason);
/* Another member that may still be asked, behind the current one; -1: none. */
int call_next_member(const struct breaker_call *call);

/* The library as the door. */
extern const struct call_door call_library;

#endif
