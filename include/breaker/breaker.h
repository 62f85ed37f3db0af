#ifndef BREAKER_BREAKER_H
#define BREAKER_BREAKER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * libbreaker: a worker's side of breakerd. Ask before each call to a service,
 * say afterwards what came of it.
 *
 *     struct breaker *b = breaker_open(NULL);
 *     struct breaker_service *llm = breaker_service(b, "gpt-4");
 *     struct breaker_permit permit;
 *
 *     if (breaker_begin(llm, &permit) == BREAKER_ALLOWED)
 *         breaker_end(&permit, call_it());
 *     else
 *         answer_503(permit.retry_after_ms);
 *
 * What holds for every function here:
 *  - It never ends, aborts or signals its host, keeps `errno` and the locale,
 *    installs no handler, and returns within the handle's deadline (50 ms unless
 *    set otherwise) whatever the daemon does.
 *  - Any thread may call it at any time with the same handle, except
 *    breaker_close. None may be called from a signal handler.
 *  - After fork() parent and child go on with the same handle, each as a worker
 *    of its own; permits and tokens stay the parent's.
 *  - A NULL handle or service is taken as "no breaker": calls are let through.
 *  - Without a daemon the handle decides in its own memory, by the same rules,
 *    from the last state the daemon published, and says so once.
 *
 * Structs below are part of the ABI. Those with a `size` field grow at their end
 * (set it with the INIT macro); the others never change their size. */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BREAKER_API __attribute__((visibility("default")))
#define BREAKER_NODISCARD __attribute__((warn_unused_result))
#else
#define BREAKER_API
#define BREAKER_NODISCARD
#endif

/* A worker's connection to one breakerd instance. */
struct breaker;
/* A service (or route) by name; owned by its handle, valid until that closes. */
struct breaker_service;

enum breaker_verdict {
    BREAKER_DENIED = 0,
    BREAKER_ALLOWED = 1,
    BREAKER_MUST_ASK = 2 /* of breaker_acquire_now alone */
};

/* What came of a call. */
enum breaker_outcome {
    BREAKER_SUCCESS = 0,
    BREAKER_FAILURE = 1, /* the upstream's fault: 5xx, reset, refused */
    BREAKER_TIMEOUT = 2,
    BREAKER_RATE_LIMITED = 3, /* 429 or like */
    BREAKER_REJECTED = 4,     /* healthy, refused this request: 400, 404 */
    BREAKER_CRITICAL = 5,     /* credentials or account: do not retry */
    BREAKER_CANCELLED = 6     /* caller gave up, or never sent: no verdict */
};

enum breaker_state {
    BREAKER_CLOSED = 0,
    BREAKER_OPEN = 1,
    BREAKER_HALF_OPEN = 2,
    BREAKER_STATE_UNKNOWN = 255
};

/* Why a call or a retry was denied. */
enum breaker_reason {
    BREAKER_REASON_NONE = 0,
    BREAKER_REASON_OPEN = 1,
    BREAKER_REASON_HALF_OPEN = 2,
    BREAKER_REASON_FORCED_OPEN = 3,
    BREAKER_REASON_RATE_LIMITED = 4,
    BREAKER_REASON_RAMP = 5,
    BREAKER_REASON_CONCURRENCY = 6,
    BREAKER_REASON_REQUIRES = 7,
    BREAKER_REASON_BUDGET = 8,
    BREAKER_REASON_MAX_ATTEMPTS = 9,
    BREAKER_REASON_NOT_RETRYABLE = 10,
    BREAKER_REASON_MAX_ELAPSED = 11,
    BREAKER_REASON_OFF = 12,
    BREAKER_REASON_UNAVAILABLE = 100 /* no daemon, and fail is closed */
};

/* Who decided. */
enum breaker_source {
    BREAKER_BY_NOBODY = 0, /* no breaker at all: the fail policy */
    BREAKER_BY_MEMORY = 1, /* the daemon's word in shared memory */
    BREAKER_BY_DAEMON = 2, /* the daemon, asked */
    BREAKER_BY_LOCAL = 3   /* this process's own machine: the daemon is away */
};

/* How decisions are made. */
enum breaker_mode {
    BREAKER_MODE_DEFAULT =
        0,                 /* $BREAKERD_MODE (auto, zmq or local), else auto */
    BREAKER_MODE_AUTO = 1, /* shared memory when it can answer, else ask */
    BREAKER_MODE_ZMQ = 2,  /* ask the daemon before every call */
    BREAKER_MODE_LOCAL = 3 /* never look for a daemon */
};

/* What becomes of calls while there is no daemon. */
enum breaker_fail {
    BREAKER_FAIL_DEFAULT =
        0, /* $BREAKERD_FAIL (local, open, closed), else local */
    BREAKER_FAIL_LOCAL = 1, /* the local machine decides */
    BREAKER_FAIL_OPEN = 2,  /* every call is let through */
    BREAKER_FAIL_CLOSED = 3 /* every call is denied */
};

/* What became of a report, a release or a renewal; negative: breaker_error. */
enum breaker_answer {
    BREAKER_DONE = 0, /* handed over; nobody waited for an answer */
    BREAKER_APPLIED = 1,
    BREAKER_STALE = 2, /* too late, settled already, or nothing to give back */
    BREAKER_UNKNOWN = 3, /* no such service, or a permit never issued */
    BREAKER_QUEUED = 4   /* of a handle that BREAKER_TELL_LATER: it lies here
                            until somebody who may wait calls breaker_ping */
};

enum breaker_error {
    BREAKER_ERROR_ARGUMENT = -1, /* NULL, bad name, value out of bounds */
    BREAKER_ERROR_MEMORY = -2,
    BREAKER_ERROR_FULL = -3, /* BREAKER_SERVICES_MAX names are in use */
    BREAKER_ERROR_UNAVAILABLE =
        -4,                     /* no daemon, or it did not answer in time */
    BREAKER_ERROR_REFUSED = -5, /* the daemon answered with an error */
    BREAKER_ERROR_TOO_LONG = -6 /* the answer exceeds what is ever taken */
};

enum breaker_log_level { BREAKER_LOG_INFO = 0, BREAKER_LOG_WARNING = 1 };

/* Names a handle remembers at most. */
#define BREAKER_SERVICES_MAX 16384
#define BREAKER_DEADLINE_MS 50
#define BREAKER_DEADLINE_MAX_MS 60000

/* One sentence, without a line's end, valid during the call. May come from any
 * thread that uses the handle; no lock is held. */
typedef void breaker_log(void *context, enum breaker_log_level level,
                         const char *sentence);

/* For a program whose threads must not wait (an event loop): what is told then
 * never makes the connection, which may start threads, nor waits for it. It is
 * BREAKER_QUEUED instead, and a thread that may wait calls breaker_ping. */
#define BREAKER_TELL_LATER 1u

/* How a handle is opened. Zero means the default in every field but `size`. */
struct breaker_options {
    size_t size;     /* sizeof(struct breaker_options) */
    const char *dir; /* runtime directory; NULL: $BREAKERD_DIR, else the first
                           that exists of $XDG_RUNTIME_DIR/breakerd,
                           /run/breakerd, /tmp/breakerd-UID (if it is ours) */
    const char *worker;   /* name for display; NULL: the program's */
    uint32_t mode;        /* enum breaker_mode */
    uint32_t fail;        /* enum breaker_fail */
    uint32_t deadline_ms; /* no call blocks longer; 0: BREAKER_DEADLINE_MS */
    uint32_t flags;       /* BREAKER_TELL_LATER */
    breaker_log *log;     /* NULL: a line on standard error */
    void *log_context;
};
#define BREAKER_OPTIONS_INIT                                               \
    {                                                                      \
        sizeof(struct breaker_options), NULL, NULL, 0, 0, 0, 0, NULL, NULL \
    }

/* The right to make one call, or why not. Filled in by breaker_acquire, settled
 * by breaker_report or breaker_release. Plain data: may be copied and dropped; a
 * leased permit that is dropped comes back when its time is over. */
struct breaker_permit {
    struct breaker_service *service; /* the one to call: a route's member */
    uint64_t id;                     /* 0: nothing has to be given back */
    uint64_t generation;
    uint64_t retry_after_ms; /* denied: how long to wait; 0: not known */
    uint64_t home;           /* private: who issued it */
    uint32_t attempt;        /* 1 for a first attempt */
    uint8_t verdict;         /* enum breaker_verdict */
    uint8_t reason;          /* enum breaker_reason */
    uint8_t state;           /* enum breaker_state, as known when decided */
    uint8_t source;          /* enum breaker_source */
    uint8_t is_settled;      /* reported or released */
    uint8_t reserved8[7];
    uint64_t began[2]; /* private: when breaker_begin let it through */
};

/* The right to make one retry after `delay_ms`, or why not. */
struct breaker_token {
    struct breaker_service *service;
    uint64_t id;
    uint64_t delay_ms;       /* granted: sleep this long first */
    uint64_t retry_after_ms; /* denied; 0: not known */
    uint64_t home;           /* private */
    uint32_t attempt;        /* the number of the attempt it is for */
    uint8_t verdict;         /* enum breaker_verdict: ALLOWED is granted */
    uint8_t reason;          /* enum breaker_reason */
    uint8_t source;          /* enum breaker_source */
    uint8_t is_settled;      /* spent or released */
    uint64_t reserved[2];
};

/* More about an acquire. Zero means the default in every field but `size`. */
struct breaker_ask {
    size_t size;
    struct breaker_token *token; /* of a granted retry; NULL: attempt 1. Spent
                                    when the call is allowed */
    uint64_t ttl_ms; /* of a leased permit; 0: the service's permit_ttl */
};
#define BREAKER_ASK_INIT                    \
    {                                       \
        sizeof(struct breaker_ask), NULL, 0 \
    }

/* More about a report. */
#define BREAKER_CONFIRM 1u /* wait for the daemon's answer */
struct breaker_details {
    size_t size;
    int64_t latency_us;      /* -1: not known */
    uint64_t retry_after_ms; /* the upstream's Retry-After; 0: none */
    const char *text; /* a short error for people, NULL: none; at most 64 octets
                         are told, control characters as '?' */
    uint32_t will_retry; /* the same logical call will be tried again */
    uint32_t flags;      /* BREAKER_CONFIRM */
};
#define BREAKER_DETAILS_INIT                              \
    {                                                     \
        sizeof(struct breaker_details), -1, 0, NULL, 0, 0 \
    }

/* Numbers of a handle in this process, since it was opened (or forked). */
struct breaker_stats {
    size_t size;
    uint64_t by_memory; /* decisions, by who made them */
    uint64_t by_daemon;
    uint64_t by_local;
    uint64_t by_nobody;
    uint64_t outages;         /* times the daemon was found gone */
    uint64_t unanswered;      /* requests given up at the deadline */
    uint64_t late;            /* answers that came after that */
    uint64_t reports_dropped; /* reports lost because a queue was full */
    uint64_t bugs;            /* broken promises of the library itself */
};
#define BREAKER_STATS_INIT                                      \
    {                                                           \
        sizeof(struct breaker_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/* ---- the handle ---- */

/* Opens a handle; `options` may be NULL and is copied. Does not need a daemon and
 * starts no thread; the first question to the daemon opens one descriptor (with
 * BREAKERD_TRANSPORT=libzmq, six and two threads), the first report one. NULL when an option is bad or
 * memory is out: breaker_error_text(). One handle a process is enough. */
BREAKER_API BREAKER_NODISCARD struct breaker *
breaker_open(const struct breaker_options *options);
/* Tells the daemon what it has not heard yet (within the deadline), frees the
 * handle and its services and sets *b to NULL. No other thread may use it any
 * more. Leases out are not touched. */
BREAKER_API void breaker_close(struct breaker **b);

/* The service of this name (1 to 63 of A-Z a-z 0-9 . _ : / @ -), the same pointer
 * each time. Never blocks, asks nobody. NULL: bad name, or too many of them. */
BREAKER_API struct breaker_service *breaker_service(struct breaker *b,
                                                    const char *name);
/* The service's name, NUL-terminated, as long as the service; "" for NULL. */
BREAKER_API const char *
breaker_service_name(const struct breaker_service *service);

/* ---- a call ---- */

/* May this call be made? Cannot fail: it falls back as the handle's fail policy
 * says. `permit` is filled in either way (may be NULL: then nothing can be
 * reported and a leased permit comes back only when its time is over).
 * Usually one load from shared memory, no system call. */
BREAKER_API enum breaker_verdict
breaker_acquire(struct breaker_service *service, struct breaker_permit *permit);
/* The same by name (looks it up: some nanoseconds more). */
BREAKER_API enum breaker_verdict
breaker_acquire_name(struct breaker *b, const char *name,
                     struct breaker_permit *permit);
/* The same with a retry's token or a ttl of its own; `ask` may be NULL. */
BREAKER_API enum breaker_verdict
breaker_acquire_with(struct breaker_service *service,
                     const struct breaker_ask *ask,
                     struct breaker_permit *permit);

/* The same without ever waiting, for event loops: decides from shared memory, or
 * by the local machine while the daemon is away. BREAKER_MUST_ASK: only the
 * daemon can tell (half open, leased, no shared memory); call breaker_acquire in
 * a thread that may wait. Such a permit needs no report. */
BREAKER_API enum breaker_verdict
breaker_acquire_now(struct breaker_service *service,
                    struct breaker_permit *permit);

/* What came of the call. `latency_us` in microseconds, -1 when not known. Does
 * not wait for an answer: reports reach the daemon in the order given here,
 * usually through shared memory: some stores, no system call. Where they have to be
 * sent, a handle's first makes the connection and gives it 20 ms, and a thread that is
 * hundreds of outcomes ahead of the daemon waits for it, a deadline at most; with
 * BREAKER_TELL_LATER no report or release waits for anything. Returns BREAKER_DONE, BREAKER_QUEUED,
 * BREAKER_STALE for a permit that is settled or was denied, the
 * answer where it is known at once (local machine), or a negative error. */
BREAKER_API int breaker_report(struct breaker_permit *permit,
                               enum breaker_outcome outcome,
                               int64_t latency_us);
/* breaker_acquire and breaker_report with a stopwatch in between: how long the call
 * took is measured, and is all the cheaper. */
BREAKER_API enum breaker_verdict breaker_begin(struct breaker_service *service,
                                               struct breaker_permit *permit);
BREAKER_API int breaker_end(struct breaker_permit *permit,
                            enum breaker_outcome outcome);
/* The same with more about it (may be NULL). With BREAKER_CONFIRM waits for
 * the daemon: BREAKER_APPLIED, STALE or UNKNOWN, or BREAKER_ERROR_UNAVAILABLE
 * (then nobody knows whether it counted). */
BREAKER_API int breaker_report_with(struct breaker_permit *permit,
                                    enum breaker_outcome outcome,
                                    const struct breaker_details *details);
/* An outcome seen without having asked: counts for the current generation. */
BREAKER_API int breaker_report_service(struct breaker_service *service,
                                       enum breaker_outcome outcome,
                                       const struct breaker_details *details);

/* Gives a permit back unused. Waits as little as breaker_report: BREAKER_DONE,
 * BREAKER_QUEUED, BREAKER_STALE when there is nothing to give back, the answer
 * where it is known at once. */
BREAKER_API int breaker_release(struct breaker_permit *permit);
/* A long call makes progress: its lease ends `ttl_ms` from now (>= 1; cut to the
 * service's max_permit_ttl). Waits for the answer: BREAKER_APPLIED, BREAKER_STALE
 * (the permit is void or was none), or a negative error. */
BREAKER_API int breaker_renew(struct breaker_permit *permit, uint64_t ttl_ms);

/* ---- a retry ---- */

/* May attempt `failed_attempt` (>= 1) that ended with `outcome` be followed by
 * another? `retry_after_ms` is what the upstream asked for, 0: nothing. Fills
 * in `token` (may not be NULL); when granted: sleep token->delay_ms, then
 * breaker_acquire_with() and the token, or breaker_token_release(). */
BREAKER_API enum breaker_verdict breaker_retry(struct breaker_service *service,
                                               uint32_t failed_attempt,
                                               enum breaker_outcome outcome,
                                               uint64_t retry_after_ms,
                                               struct breaker_token *token);
/* Gives a token back unused; as breaker_release. */
BREAKER_API int breaker_token_release(struct breaker_token *token);

/* ---- looking ---- */

/* The status JSON (docs/protocol.md) of one service: the daemon's, or the local
 * machine's with "running":false while the daemon is away. Writes at most `size`
 * octets with a NUL; returns the whole length without it, or a negative error. */
BREAKER_API int breaker_status(struct breaker_service *service, char *buffer,
                               size_t size);
/* Effective configuration as JSON, each value with its origin; NULL service: what
 * a service never named gets. Only from a daemon. Sizes as in breaker_status. */
BREAKER_API int breaker_config(struct breaker *b,
                               struct breaker_service *service, char *buffer,
                               size_t size);
/* 0 when the daemon answers; *epoch (may be NULL) is another at each of its
 * starts. */
BREAKER_API int breaker_ping(struct breaker *b, uint64_t *epoch);
/* How decisions are being made and, when not from shared memory, why: one
 * sentence. Sizes as in breaker_status. */
BREAKER_API int breaker_explain(struct breaker *b, char *buffer, size_t size);
/* Fills in the fields that fit stats->size. */
BREAKER_API int breaker_stats(struct breaker *b, struct breaker_stats *stats);

/* The last failure of the calling thread, one sentence, "" when there was none.
 * Valid until the thread's next call into the library. */
BREAKER_API const char *breaker_error_text(void);

/* Words for values: "rate_limited", "half_open", ...; "unknown" for others. */
BREAKER_API const char *breaker_outcome_name(int outcome);
BREAKER_API const char *breaker_state_name(int state);
BREAKER_API const char *breaker_reason_name(int reason);
BREAKER_API const char *breaker_source_name(int source);
/* The outcome of this word, or -1. */
BREAKER_API int breaker_outcome_parse(const char *word);
BREAKER_API const char *breaker_version(void);

#ifdef __cplusplus
}
#endif

#endif
