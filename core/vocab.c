/* SPDX-License-Identifier: Apache-2.0
 *
 * Words and their values. A table is indexed by its enum, so a new value without
 * a word does not compile. */
#include "core/vocab.h"
#include "core/bug.h"
#include "core/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const state_words[] = {
    [BK_CLOSED] = "closed",
    [BK_OPEN] = "open",
    [BK_HALF_OPEN] = "half_open",
};
_Static_assert(COUNT_OF(state_words) == BK_STATE_COUNT, "a word a state");

static const char *const mode_words[] = {
    [BK_AUTO] = "auto",
    [BK_FORCED_OPEN] = "forced_open",
    [BK_BYPASS] = "bypass",
    [BK_OBSERVE] = "observe",
};
_Static_assert(COUNT_OF(mode_words) == BK_MODE_COUNT, "a word a mode");

static const char *const outcome_words[] = {
    [BK_SUCCESS] = "success",     [BK_FAILURE] = "failure",
    [BK_TIMEOUT] = "timeout",     [BK_RATE_LIMITED] = "rate_limited",
    [BK_REJECTED] = "rejected",   [BK_CRITICAL] = "critical",
    [BK_CANCELLED] = "cancelled",
};
_Static_assert(COUNT_OF(outcome_words) == BK_OUTCOME_COUNT, "a word each");

static const char *const deny_words[] = {
    [BK_DENY_NONE] = "none",
    [BK_DENY_OPEN] = "open",
    [BK_DENY_HALF_OPEN] = "half_open",
    [BK_DENY_FORCED_OPEN] = "forced_open",
    [BK_DENY_RATE_LIMITED] = "rate_limited",
    [BK_DENY_RAMP] = "ramp",
    [BK_DENY_CONCURRENCY] = "concurrency",
    [BK_DENY_REQUIRES] = "requires",
    [BK_DENY_BUDGET] = "budget",
    [BK_DENY_MAX_ATTEMPTS] = "max_attempts",
    [BK_DENY_NOT_RETRYABLE] = "not_retryable",
    [BK_DENY_MAX_ELAPSED] = "max_elapsed",
    [BK_DENY_OFF] = "off",
};
_Static_assert(COUNT_OF(deny_words) == BK_DENY_COUNT, "a word a reason");

static const char *const cause_words[] = {
    [BK_CAUSE_NONE] = "none",
    [BK_CAUSE_CONSECUTIVE_FAILURES] = "consecutive_failures",
    [BK_CAUSE_FAILURE_RATE] = "failure_rate",
    [BK_CAUSE_SLOW_RATE] = "slow_rate",
    [BK_CAUSE_CRITICAL] = "critical",
    [BK_CAUSE_PROBE_FAILED] = "probe_failed",
    [BK_CAUSE_PROBE_SUCCEEDED] = "probe_succeeded",
    [BK_CAUSE_RECOVERY_TIMEOUT] = "recovery_timeout",
    [BK_CAUSE_OPERATOR] = "operator",
    [BK_CAUSE_OVERRIDE_EXPIRED] = "override_expired",
    [BK_CAUSE_RESTORED] = "restored",
};
_Static_assert(COUNT_OF(cause_words) == BK_CAUSE_COUNT, "a word a cause");

static const char *const error_words[] = {
    [BK_OK] = "ok",
    [BK_ERR_BAD_REQUEST] = "bad_request",
    [BK_ERR_UNKNOWN_COMMAND] = "unknown_command",
    [BK_ERR_BAD_SERVICE] = "bad_service",
    [BK_ERR_UNKNOWN_SERVICE] = "unknown_service",
    [BK_ERR_TABLE_FULL] = "table_full",
    [BK_ERR_FORBIDDEN] = "forbidden",
    [BK_ERR_UNAVAILABLE] = "unavailable",
    [BK_ERR_INTERNAL] = "internal",
};
_Static_assert(COUNT_OF(error_words) == BK_ERROR_COUNT, "a word an error");

static const char *const applied_words[] = {
    [BK_APPLIED] = "applied",
    [BK_STALE] = "stale",
    [BK_UNKNOWN] = "unknown",
};

const struct bk_counter_row bk_counter_rows[BK_COUNTER_COUNT] = {
#define ROW(field, help) {#field, help, offsetof(struct bk_counters, field)},
    BK_COUNTERS(ROW)
#undef ROW
};

/* Inside a worker a broken promise does not stop the program: then there is still
 * a string to return. */
static const char *
word_at(const char *const *words, size_t count, size_t index)
{
    BK_ASSERT(index < count);
    return index < count ? words[index] : "?";
}

static int
find(const char *const *words, size_t count, const char *text, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (bk_is(text, len, words[i]))
            return (int)i;
    return -1;
}

const char *
bk_state_name(enum bk_state state)
{
    return word_at(state_words, COUNT_OF(state_words), (size_t)state);
}

const char *
bk_mode_name(enum bk_mode mode)
{
    return word_at(mode_words, COUNT_OF(mode_words), (size_t)mode);
}

const char *
bk_outcome_name(enum bk_outcome outcome)
{
    return word_at(outcome_words, COUNT_OF(outcome_words), (size_t)outcome);
}

const char *
bk_deny_name(enum bk_deny reason)
{
    return word_at(deny_words, COUNT_OF(deny_words), (size_t)reason);
}

const char *
bk_cause_name(enum bk_cause cause)
{
    return word_at(cause_words, COUNT_OF(cause_words), (size_t)cause);
}

const char *
bk_error_name(enum bk_error error)
{
    return word_at(error_words, COUNT_OF(error_words), (size_t)error);
}

const char *
bk_applied_name(enum bk_applied applied)
{
    return word_at(applied_words, COUNT_OF(applied_words), (size_t)applied);
}

int
bk_state_parse(const char *text, size_t len)
{
    return find(state_words, COUNT_OF(state_words), text, len);
}

int
bk_mode_parse(const char *text, size_t len)
{
    return find(mode_words, COUNT_OF(mode_words), text, len);
}

int
bk_outcome_parse(const char *text, size_t len)
{
    return find(outcome_words, COUNT_OF(outcome_words), text, len);
}

int
bk_deny_parse(const char *text, size_t len)
{
    return find(deny_words, COUNT_OF(deny_words), text, len);
}

int
bk_cause_parse(const char *text, size_t len)
{
    return find(cause_words, COUNT_OF(cause_words), text, len);
}

int
bk_error_parse(const char *text, size_t len)
{
    return find(error_words, COUNT_OF(error_words), text, len);
}

/* A bit for each octet a name may have: A-Z a-z 0-9 . _ : / @ - */
#define BIT(octet) (UINT64_C(1) << ((octet)&63))
static const uint64_t name_octets[4] = {
    /* '-' to ':' is "-./0123456789:" without a gap. */
    (BIT(':') << 1) - BIT('-'),
    /* '@' to 'Z', 'a' to 'z', '_'. */
    ((BIT('Z') << 1) - BIT('@')) | ((BIT('z') << 1) - BIT('a')) | BIT('_'),
};

bool
bk_name_is_valid(const char *text, size_t len)
{
    if (len == 0 || len >= BK_NAME_SIZE || bk_is(text, len, "-"))
        return false;
    uint64_t is_valid = 1;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        is_valid &= name_octets[c >> 6] >> (c & 63);
    }
    return is_valid != 0;
}

int64_t
bk_after(int64_t at_ns, int64_t add_ns)
{
    BK_ASSERT(at_ns >= 0 && add_ns >= 0);
    return add_ns > BK_NEVER - at_ns ? BK_NEVER : at_ns + add_ns;
}

int64_t
bk_ns_of_ms(uint64_t ms)
{
    uint64_t most = (uint64_t)(BK_NEVER / BK_NS_PER_MS);
    return ms > most ? BK_NEVER : (int64_t)ms * BK_NS_PER_MS;
}

uint64_t
bk_ms_up(int64_t ns)
{
    if (ns <= 0)
        return 0;
    return (uint64_t)(ns / BK_NS_PER_MS) + (ns % BK_NS_PER_MS > 0 ? 1 : 0);
}
