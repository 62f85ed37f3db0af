#ifndef BK_VOCAB_H
#define BK_VOCAB_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary: states, modes, outcomes, reasons, errors and counters, each
 * said once. Names on the wire, in JSON, in logs and in help come from here. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BK_NS_PER_US INT64_C(1000)
#define BK_NS_PER_MS INT64_C(1000000)
#define BK_NS_PER_S INT64_C(1000000000)
/* "No deadline": later than every instant. */
#define BK_NEVER INT64_MAX
/* Numbers on the wire stay below this (a double holds them exactly). */
#define BK_NUMBER_END (UINT64_C(1) << 53)
/* A service's name with its terminating NUL. */
#define BK_NAME_SIZE 64
/* Ratios and rates inside: parts per million. */
#define BK_PPM UINT64_C(1000000)

enum bk_state { BK_CLOSED, BK_OPEN, BK_HALF_OPEN, BK_STATE_COUNT };

enum bk_mode { BK_AUTO, BK_FORCED_OPEN, BK_BYPASS, BK_OBSERVE, BK_MODE_COUNT };

enum bk_outcome {
    BK_SUCCESS,
    BK_FAILURE,
    BK_TIMEOUT,
    BK_RATE_LIMITED,
    BK_REJECTED,
    BK_CRITICAL,
    BK_CANCELLED,
    BK_OUTCOME_COUNT
};

/* Why a call or a retry was denied. */
enum bk_deny {
    BK_DENY_NONE,
    BK_DENY_OPEN,
    BK_DENY_HALF_OPEN,
    BK_DENY_FORCED_OPEN,
    BK_DENY_RATE_LIMITED,
    BK_DENY_RAMP,
    BK_DENY_CONCURRENCY,
    BK_DENY_REQUIRES,
    BK_DENY_BUDGET,
    BK_DENY_MAX_ATTEMPTS,
    BK_DENY_NOT_RETRYABLE,
    BK_DENY_MAX_ELAPSED,
    BK_DENY_OFF,
    BK_DENY_COUNT
};

/* Why a breaker last changed. */
enum bk_cause {
    BK_CAUSE_NONE,
    BK_CAUSE_CONSECUTIVE_FAILURES,
    BK_CAUSE_FAILURE_RATE,
    BK_CAUSE_SLOW_RATE,
    BK_CAUSE_CRITICAL,
    BK_CAUSE_PROBE_FAILED,
    BK_CAUSE_PROBE_SUCCEEDED,
    BK_CAUSE_RECOVERY_TIMEOUT,
    BK_CAUSE_OPERATOR,
    BK_CAUSE_OVERRIDE_EXPIRED,
    BK_CAUSE_RESTORED,
    BK_CAUSE_COUNT
};

enum bk_error {
    BK_OK,
    BK_ERR_BAD_REQUEST,
    BK_ERR_UNKNOWN_COMMAND,
    BK_ERR_BAD_SERVICE,
    BK_ERR_UNKNOWN_SERVICE,
    BK_ERR_TABLE_FULL,
    BK_ERR_FORBIDDEN,
    BK_ERR_UNAVAILABLE,
    BK_ERR_INTERNAL,
    BK_ERROR_COUNT
};

/* What became of a report, a release or a renewal. */
enum bk_applied { BK_APPLIED, BK_STALE, BK_UNKNOWN };

/* Counters of a service: X(field, kind, help). A struct must follow the rows,
 * hence the macro; field order is the order of the status JSON. */
#define BK_COUNTERS(X)                                                         \
    X(allowed, "calls let through: ALLOW answers and workers' own admissions") \
    X(denied, "calls denied: DENY answers and workers' own denials")           \
    X(would_deny, "calls let through only because mode is observe")            \
    X(success, "outcomes: success")                                            \
    X(failure, "outcomes: failure")                                            \
    X(timeout, "outcomes: timeout, reclaimed leases included")                 \
    X(rate_limited, "outcomes: rate_limited")                                  \
    X(rejected, "outcomes: rejected")                                          \
    X(critical, "outcomes: critical")                                          \
    X(cancelled, "outcomes: cancelled")                                        \
    X(stale, "reports that came too late to be a verdict")                     \
    X(opened, "changes to state open")

struct bk_counters {
#define BK_COUNTER_FIELD(name, help) uint64_t name;
    BK_COUNTERS(BK_COUNTER_FIELD)
#undef BK_COUNTER_FIELD
};

struct bk_counter_row {
    const char *name;
    const char *help;
    size_t offset; /* of the uint64_t within struct bk_counters */
};
#define BK_COUNTER_COUNT (sizeof(struct bk_counters) / sizeof(uint64_t))
extern const struct bk_counter_row bk_counter_rows[BK_COUNTER_COUNT];

/* Words of the tables above. An index out of range is a bug (assert). The
 * returned strings are static. */
const char *bk_state_name(enum bk_state state);
const char *bk_mode_name(enum bk_mode mode);
const char *bk_outcome_name(enum bk_outcome outcome);
const char *bk_deny_name(enum bk_deny reason);
const char *bk_cause_name(enum bk_cause cause);
const char *bk_error_name(enum bk_error error);
const char *bk_applied_name(enum bk_applied applied);

/* The value whose word is `text` (`len` octets), or -1. */
int bk_state_parse(const char *text, size_t len);
int bk_mode_parse(const char *text, size_t len);
int bk_outcome_parse(const char *text, size_t len);
int bk_deny_parse(const char *text, size_t len);
int bk_cause_parse(const char *text, size_t len);
int bk_error_parse(const char *text, size_t len);

/* True for 1 to 63 octets of A-Z a-z 0-9 . _ : / @ - that are not "-". */
bool bk_name_is_valid(const char *text, size_t len);

/* `at` + `add`, clamped to BK_NEVER; both not negative. */
int64_t bk_after(int64_t at_ns, int64_t add_ns);
/* Milliseconds that somebody else says, clamped to BK_NEVER. */
int64_t bk_ns_of_ms(uint64_t ms);
/* Nanoseconds as milliseconds, rounded up; 0 for what is not positive. */
uint64_t bk_ms_up(int64_t ns);

#endif
