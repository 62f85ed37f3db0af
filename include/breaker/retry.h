#ifndef BREAKER_RETRY_H
#define BREAKER_RETRY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole call: asked for, tried, classified, waited for, tried again, and taken
 * to the next service when this one cannot.
 *
 *     static void attempt(void *context, const struct breaker_attempt *a,
 *                         struct breaker_result *result)
 *     {
 *         ... one request to a->service, within a->timeout_ms ...
 *         result->outcome = BREAKER_TIMEOUT;
 *     }
 *     struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
 *     struct breaker_summary told = BREAKER_SUMMARY_INIT;
 *
 *     how.deadline_ms = 120000;
 *     if (breaker_call(llm, &how, attempt, request, &told) ==
 *         BREAKER_STOP_SUCCESS)
 *         ...
 *
 * Limits come from the daemon's configuration, as it is at that moment, for the
 * whole fleet. What an option overrides, and what it cannot:
 *  - attempt_timeout_ms, max_elapsed_ms, deadline_ms and the delays (base, max,
 *    multiplier, jitter) are this call's own.
 *  - max_attempts may be smaller or larger than the fleet's. A retry beyond the
 *    fleet's number still needs a token of the fleet's budget, so a fleet that
 *    gets larger numbers does not send more. Where the fleet allows a single
 *    attempt, or has retries off, there is none.
 *  - A call that waits (below) does not end at the fleet's max_attempts while
 *    the service is open: attempts count while it is thought to be up. A
 *    max_attempts of the call's own ends it in any case.
 *  - A retry in hand outlasts a denial of a moment (250 ms, or a tenth of its
 *    delay), also where denied calls fail.
 *  - retry_on can only take outcomes away.
 *  - A Retry-After of the upstream is waited for exactly, whatever the delays. */
#include "breaker/classify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Services of a chain at most. */
#define BREAKER_CHAIN_MAX 16
/* Calls of one process that wait for a service at once. */
#define BREAKER_PARKED_MAX 1024
/* A lease is asked for this much longer than the attempt may take. */
#define BREAKER_GRACE_MS 2000

/* ---- cancelling ---- */

/* A flag that ends calls: set once, seen by all calls that were given it. */
struct breaker_cancel;
/* NULL: no memory or no descriptor; breaker_error_text(). */
BREAKER_API BREAKER_NODISCARD struct breaker_cancel *breaker_cancel_new(void);
/* No call may still use it. Sets *c to NULL. */
BREAKER_API void breaker_cancel_free(struct breaker_cancel **c);
/* Sets it. From any thread, and from a signal handler; keeps errno. */
BREAKER_API void breaker_cancel_trigger(struct breaker_cancel *c);
BREAKER_API int breaker_cancel_is_triggered(const struct breaker_cancel *c);
/* Readable from the moment it is set, for event loops. Not to be read from or
 * closed; belongs to `c`. -1 for NULL. */
BREAKER_API int breaker_cancel_fd(const struct breaker_cancel *c);

/* ---- how a call is made ---- */

enum breaker_preset {
    BREAKER_STANDARD = 0,  /* the fleet's: 3 attempts, 1 s base if nothing is
                              configured */
    BREAKER_STREAMING = 1, /* the same; attempt_timeout bounds the time
                              without progress instead of the whole */
    BREAKER_FAST = 2       /* 4 attempts, 100 ms base, no jitter */
};

/* When a service may not be called now. */
enum breaker_on_deny {
    BREAKER_ON_DENY_DEFAULT = 0, /* WAIT with a deadline, else FAIL */
    BREAKER_ON_DENY_FAIL = 1,    /* the next of the chain, or the end */
    BREAKER_ON_DENY_WAIT = 2     /* wait as long as the daemon says and 0 to
                                    10 % more; of a chain, when all deny */
};

enum breaker_jitter {
    BREAKER_JITTER_DEFAULT = 0, /* the fleet's */
    BREAKER_JITTER_FULL = 1,    /* 0..d */
    BREAKER_JITTER_EQUAL = 2,   /* d/2..d */
    BREAKER_JITTER_NONE = 3
};

/* Why a call is over. */
enum breaker_stop {
    BREAKER_STOP_SUCCESS = 0,
    BREAKER_STOP_NOT_RETRYABLE = 1, /* such an outcome is not retried */
    BREAKER_STOP_MAX_ATTEMPTS = 2,
    BREAKER_STOP_BUDGET = 3,      /* the fleet's retries are used up */
    BREAKER_STOP_OPEN = 4,        /* denied: summary.reason says by what */
    BREAKER_STOP_MAX_ELAPSED = 5, /* max_elapsed, or the deadline */
    BREAKER_STOP_CANCELLED = 6,
    BREAKER_STOP_OFF = 7,         /* retries are off */
    BREAKER_STOP_UNAVAILABLE = 8, /* no daemon, and fail is closed */
    BREAKER_STOP_NONE = 255       /* it is not over */
};
BREAKER_API const char *breaker_stop_name(int stop);

/* One attempt, as its maker sees it. Valid until its result is given. */
struct breaker_call;
struct breaker_attempt {
    struct breaker_service *service; /* the one to call */
    struct breaker_call *call;
    uint32_t number; /* at this service, from 1 */
    uint32_t total;  /* at all services, from 1 */
    uint32_t preset; /* enum breaker_preset */
    uint32_t reserved;
    uint64_t timeout_ms;  /* >= 1; cut by what is left of the deadline */
    uint64_t deadline_ms; /* what is left of the whole call; 0: no end */
};

/* Makes one attempt and fills in `result`, which comes as a success. */
typedef void breaker_attempt_fn(void *context,
                                const struct breaker_attempt *attempt,
                                struct breaker_result *result);

struct breaker_summary;
/* The request is to be made for this service (other URL, key, model), before the
 * first attempt there. Non-zero: it cannot be; the next is taken. */
typedef int breaker_rebuild_fn(void *context, struct breaker_service *service);
/* Everything has failed, for the reasons in `summary`. Non-zero: it has given an
 * answer of its own to the user. */
typedef int breaker_answer_fn(void *context,
                              const struct breaker_summary *summary);

/* Zero means the default in every field but `size`. */
struct breaker_call_options {
    size_t size;
    uint32_t preset;             /* enum breaker_preset */
    uint32_t on_deny;            /* enum breaker_on_deny */
    uint64_t deadline_ms;        /* of the whole call with all waits; 0: none */
    uint64_t max_elapsed_ms;     /* no wait ends after it; 0: the fleet's */
    uint64_t attempt_timeout_ms; /* 0: the fleet's */
    uint64_t base_delay_ms;      /* 0: the fleet's, as the next two */
    uint64_t max_delay_ms;
    uint32_t multiplier_pct; /* 200 doubles */
    uint32_t jitter;         /* enum breaker_jitter */
    uint32_t max_attempts;   /* at each service, rate limits too */
    uint32_t retry_on;       /* bits 1 << outcome that may be retried; 0: all
                                the fleet retries */
    struct breaker_cancel *cancel; /* NULL: cannot be cancelled */
    /* A chain of the caller's own instead of `service`: first preferred. */
    struct breaker_service *const *services;
    size_t service_count;
    breaker_rebuild_fn *rebuild;
    breaker_answer_fn *answer; /* the default answer, last of all */
    void *context;             /* of rebuild and answer */
    breaker_log *log; /* each retry and fallback, and as information each wait;
                         NULL: the handle's, at most 10 sentences a second */
    void *log_context;
};
#define BREAKER_CALL_OPTIONS_INIT                                             \
    {                                                                         \
        sizeof(struct breaker_call_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
            NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL                       \
    }

/* What became of one service of the chain. */
struct breaker_failure {
    struct breaker_service *service;
    struct breaker_result result; /* of the last attempt there */
    uint64_t retry_after_ms;      /* if denied; 0: not known */
    uint32_t attempts;            /* 0: it was never called */
    uint32_t stop;                /* enum breaker_stop */
    uint32_t reason;              /* enum breaker_reason of the denial */
    uint32_t reserved;
};

/* A call that is over. */
struct breaker_summary {
    size_t size;
    struct breaker_service *service; /* the last one called or asked for */
    struct breaker_result result; /* of the last attempt; cancelled and "" when
                                     none was made */
    uint64_t elapsed_us;
    uint64_t waited_us;      /* of it: backoff, and denied */
    uint64_t retry_after_ms; /* denied: when it may be worth while; 0: not
                                known. For a 503 */
    uint64_t age_ms;         /* of an answer from a cache */
    uint32_t attempts;       /* at all services */
    uint32_t waits;          /* sleeps */
    uint32_t stop;           /* enum breaker_stop */
    uint32_t reason;         /* enum breaker_reason of the last denial */
    uint32_t is_default;     /* the default answer was given */
    uint32_t is_stale;       /* an answer from a cache */
    uint32_t failure_count;
    uint32_t reserved;
    struct breaker_failure failures[BREAKER_CHAIN_MAX]; /* in their order */
};
#define BREAKER_SUMMARY_INIT                   \
    {                                          \
        .size = sizeof(struct breaker_summary) \
    }

/* ---- the whole call ---- */

/* Makes the call: `attempt` runs in this thread, once for each attempt. Blocks
 * for the attempts and the waits, never after the deadline but for an attempt
 * that overstays its timeout. `service` may be a route of the configuration and
 * is ignored when options give a chain; `options` and `summary` may be NULL. A
 * NULL service is one attempt without a breaker. Returns an enum breaker_stop, or
 * BREAKER_ERROR_ARGUMENT and no attempt was made. */
BREAKER_API int breaker_call(struct breaker_service *service,
                             const struct breaker_call_options *options,
                             breaker_attempt_fn *attempt, void *context,
                             struct breaker_summary *summary);

/* ---- the same, driven by the caller (event loops) ---- */

enum breaker_step_kind {
    BREAKER_STEP_ATTEMPT = 1, /* make it now, then breaker_call_result */
    BREAKER_STEP_WAIT = 2,    /* come back in wait_ms, or when cancelled */
    BREAKER_STEP_DONE = 3     /* breaker_call_end */
};
struct breaker_step {
    size_t size;
    uint32_t kind;
    uint32_t reserved;
    uint64_t wait_ms;
    struct breaker_attempt attempt;
};
#define BREAKER_STEP_INIT                   \
    {                                       \
        .size = sizeof(struct breaker_step) \
    }

/* One thread at a time may use a call, in the process that began it. Options are
 * copied; what they point to must live until the call ends. NULL: bad options or
 * no memory. Rebuild and answer are called from breaker_call_next. */
BREAKER_API BREAKER_NODISCARD struct breaker_call *
breaker_call_begin(struct breaker_service *service,
                   const struct breaker_call_options *options);
/* What to do now; fills in `step` and returns its kind, or a negative error.
 * Sleeps never; asks the daemon where it must, within the handle's deadline.
 * Asked again before its time it answers the same with the time left. */
BREAKER_API int breaker_call_next(struct breaker_call *call,
                                  struct breaker_step *step);
/* What came of the attempt. 0, or BREAKER_ERROR_ARGUMENT when none is out. */
BREAKER_API int breaker_call_result(struct breaker_call *call,
                                    const struct breaker_result *result);
/* Ends it: a token is given back, an attempt that is out is told cancelled. */
BREAKER_API void breaker_call_cancel(struct breaker_call *call);
/* Fills in `summary` (may be NULL), frees the call (cancelled first when it is
 * not over) and sets *call to NULL. Returns the enum breaker_stop. */
BREAKER_API int breaker_call_end(struct breaker_call **call,
                                 struct breaker_summary *summary);
/* A long attempt makes progress: its lease, if it has one, is renewed when half
 * of it is over. Only then the daemon is asked, so call it as often as octets
 * come. 0; BREAKER_STALE when the lease is void; or a negative error. */
BREAKER_API int breaker_attempt_progress(const struct breaker_attempt *attempt);

/* ---- numbers ---- */

/* Of a handle in this process, since it was opened (or forked). */
struct breaker_call_stats {
    size_t size;
    uint64_t calls; /* begun */
    uint64_t attempts;
    uint64_t retries;        /* tokens spent on another attempt */
    uint64_t retry_delay_ms; /* their delays, summed up */
    uint64_t fallbacks;      /* went on with the next of a chain */
    uint64_t parked_now;     /* waiting because they were denied */
    uint64_t parked;         /* such waits so far */
    uint64_t parked_refused; /* over BREAKER_PARKED_MAX */
    uint64_t cancelled;      /* calls */
    uint64_t default_answers;
    uint64_t by_class[BREAKER_CLASS_COUNT];         /* attempts */
    uint64_t retries_by_class[BREAKER_CLASS_COUNT]; /* what was retried */
};
#define BREAKER_CALL_STATS_INIT                   \
    {                                             \
        .size = sizeof(struct breaker_call_stats) \
    }
/* Fills in the fields that fit stats->size. */
BREAKER_API int breaker_call_stats(struct breaker *b,
                                   struct breaker_call_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
