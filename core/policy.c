/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"
#include "core/bug.h"
#include "core/policy_key.h"
#include <limits.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define LONGEST ((uint64_t)BK_DURATION_MAX_NS)
#define MILLION UINT64_C(1000000)
/* Octets of somebody's text that an error quotes. */
#define QUOTE_MAX 64

static const char *const critical_words[] = {
    [BK_CRITICAL_COUNT] = "count",
    [BK_CRITICAL_TRIP] = "trip",
    [BK_CRITICAL_IGNORE] = "ignore",
    NULL,
};
static const char *const limit_words[] = {
    [BK_LIMIT_HOLD] = "hold",
    [BK_LIMIT_COUNT] = "count",
    [BK_LIMIT_IGNORE] = "ignore",
    NULL,
};
static const char *const count_words[] = {
    [BK_COUNT_ATTEMPT] = "attempt",
    [BK_COUNT_CALL] = "call",
    NULL,
};
static const char *const jitter_words[] = {
    [BK_JITTER_FULL] = "full",
    [BK_JITTER_EQUAL] = "equal",
    [BK_JITTER_NONE] = "none",
    NULL,
};
static const char *const mode_words[] = {
    [BK_AUTO] = "auto",     [BK_FORCED_OPEN] = "", /* an operator's order, never a configuration */
    [BK_BYPASS] = "bypass", [BK_OBSERVE] = "observe", NULL,
};

/* How a row is written. NOLINTBEGIN(bugprone-macro-parentheses): initialisers of
 * a struct, which are no expressions. */
#define ROW(key, field, kind_of, zero, low, high, choices, text, about) \
    {                                                                   \
        .name = #key, .standard = text, .help = about, .kind = kind_of, \
        .is_zero_ok = zero, .at = offsetof(struct bk_policy, field),    \
        .least = low, .most = high, .words = choices                    \
    }
#define COUNT(key, low, high, text, about) \
    ROW(key, key, BK_KEY_COUNT_OF, false, low, high, NULL, text, about)
#define RATE(key, text, about) \
    ROW(key, key##_ppm, BK_KEY_RATE, false, 0, BK_PPM, NULL, text, about)
#define FACTOR(key, low, high, text, about)                                \
    ROW(key, key##_ppm, BK_KEY_FACTOR, false, (low)*BK_PPM, (high)*BK_PPM, \
        NULL, text, about)
#define DURATION(key, low_ms, text, about)                                 \
    ROW(key, key##_ns, BK_KEY_DURATION, false, (low_ms)*MS, LONGEST, NULL, \
        text, about)
#define CHOICE(key, choices, text, about) \
    ROW(key, key, BK_KEY_CHOICE, false, 0, UINT32_MAX, choices, text, about)
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct bk_key_row rows[] = {
    COUNT(failure_threshold, 0, MILLION, "5",
          "this many failures in a row, over all workers, open the circuit; 0: "
          "the rule is off"),
    RATE(failure_rate, "0",
         "this share of failures in the window opens the circuit; 0: the rule "
         "is off"),
    ROW(window, window_ns, BK_KEY_WINDOW, false, 10 * MS, LONGEST, NULL, "60s",
        "what the rates look at: the last outcomes of this time, or this many"),
    COUNT(
        minimum_calls, 0, MILLION, "20",
        "rates are looked at from this many outcomes in the window on, or from "
        "as many as a window of calls holds"),
    DURATION(slow_call_duration, 0, "0",
             "a call that takes longer is slow; 0: none is"),
    RATE(slow_call_rate, "0",
         "this share of slow calls in the window opens the circuit; 0: the "
         "rule is off"),
    DURATION(recovery_timeout, 1, "60s",
             "how long the circuit stays open before a probe is let through"),
    FACTOR(recovery_multiplier, 1, 100, "1",
           "by how much the open time grows with each failed round of probes"),
    DURATION(max_recovery_timeout, 1, "10m",
             "the open time grows to this and no further"),
    RATE(recovery_jitter, "0",
         "the open time is shortened by a random share of up to this"),
    COUNT(success_threshold, 1, MILLION, "2",
          "this many successful probes close the circuit"),
    COUNT(half_open_max_calls, 1, MILLION, "1",
          "probes that may be out at once"),
    DURATION(permit_ttl, 1, "120s",
             "a leased permit not reported for this long counts as a timeout"),
    DURATION(max_permit_ttl, 1, "1h",
             "the longest time a worker may ask for itself"),
    ROW(ramp, ramp_ns, BK_KEY_DURATION, true, 10 * MS, LONGEST, NULL, "0",
        "after closing, calls are let through again in ten steps "
        "over at least this time; 0: all at once"),
    COUNT(max_concurrent, 0, MILLION, "0",
          "calls that may be under way at once, over all workers; 0: no "
          "limit"),
    CHOICE(on_critical, critical_words, "count",
           "a critical outcome counts as a failure, opens the circuit at "
           "once, or is ignored"),
    CHOICE(on_rate_limit, limit_words, "hold",
           "a rate_limited outcome holds the service for its Retry-After, "
           "counts as a failure, or is ignored"),
    DURATION(max_hold, 0, "10m", "a hold is cut to this; 0: none is kept"),
    CHOICE(count, count_words, "attempt",
           "the breaker looks at each attempt, or only at the last one of a "
           "call"),
    ROW(retry_ratio, retry_ratio_ppm, BK_KEY_RATE, false, 0,
        BK_RETRY_RATIO_MAX_PPM, NULL, "0.2",
        "retries allowed for each call; the fleet's retry budget"),
    FACTOR(retry_min_per_sec, 0, BK_RETRY_MIN_MAX_PPM / BK_PPM, "1",
           "retries a second that are allowed whatever the traffic"),
    DURATION(retry_ttl, 10, "10s",
             "how far back calls and retries are counted for the budget"),
    ROW(retries, retries, BK_KEY_FLAG, false, 0, 1, NULL, "on",
        "off: nothing is retried"),
    ROW(retry_on, retry_on, BK_KEY_OUTCOMES, false, 1, UINT32_MAX, NULL,
        "failure,timeout,rate_limited", "outcomes that a retry may follow"),
    COUNT(max_attempts, 1, MILLION, "3", "attempts of one call, the first too"),
    DURATION(base_delay, 0, "1s", "the wait before the first retry"),
    DURATION(max_delay, 0, "60s", "the wait grows to this and no further"),
    FACTOR(multiplier, 1, 100, "2",
           "by how much the wait grows with each retry"),
    CHOICE(jitter, jitter_words, "full",
           "the wait is drawn from 0 to its length, from half of it to its "
           "length, or left as it is"),
    COUNT(rate_limit_max_attempts, 1, MILLION, "10",
          "the same as max_attempts when the last outcome is rate_limited"),
    DURATION(rate_limit_base_delay, 0, "10s",
             "the same as base_delay when rate_limited without a "
             "Retry-After"),
    DURATION(rate_limit_max_delay, 0, "120s",
             "the same as max_delay when rate_limited without a "
             "Retry-After"),
    DURATION(max_elapsed, 1, "300s",
             "a longer wait before a retry is not granted; clients end a call "
             "after this time"),
    DURATION(attempt_timeout, 1, "30s",
             "how long clients let one attempt take"),
    CHOICE(mode, mode_words, "auto",
           "the machine decides, is bypassed, or only observes"),
    ROW(requires, requires_name, BK_KEY_NAME, false, 0, 0, NULL, "",
        "a service that must not be open, or calls to this one are denied"),
    ROW(probe_url, probe_url, BK_KEY_URL, false, 0, 0, NULL, "",
        "an address that breakerd asks by itself: failures count against the "
        "service, a good answer while open lets calls try"),
    DURATION(probe_interval, 10, "5s", "how often probe_url is asked"),
    DURATION(probe_timeout, 10, "3s", "how long its answer may take"),
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROW_COUNT <= 64, "a layer has a bit for each key");

/* Names of one key stand in order of precedence. */
static const struct {
    const char *name;
    const char *key;
} env_rows[] = {
    {"CIRCUIT_BREAKER_THRESHOLD", "failure_threshold"},
    {"CIRCUIT_BREAKER_TIMEOUT", "recovery_timeout"},
    {"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "success_threshold"},
    {"RETRY_MAX_ATTEMPTS", "max_attempts"},
    {"LLM_RETRY_ATTEMPTS", "max_attempts"},
    {"RETRY_BASE_DELAY", "base_delay"},
    {"LLM_RETRY_MIN_WAIT", "base_delay"},
    {"RETRY_MAX_DELAY", "max_delay"},
    {"LLM_RETRY_MAX_WAIT", "max_delay"},
    {"LLM_RETRY_MULTIPLIER", "multiplier"},
};
#define ENV_COUNT (sizeof(env_rows) / sizeof(env_rows[0]))

static const char *const origin_words[] = {
    [BK_FROM_BUILTIN] = "built-in",
    [BK_FROM_DEFAULTS] = "defaults",
    [BK_FROM_ENVIRONMENT] = "environment",
    [BK_FROM_SERVICE] = "service",
    [BK_FROM_SET] = "set",
};

const char *
bk_origin_name(enum bk_origin origin)
{
    BK_ASSERT((size_t)origin < BK_ORIGIN_COUNT);
    return (size_t)origin < BK_ORIGIN_COUNT ? origin_words[origin] : "?";
}

size_t
bk_key_count(void)
{
    return ROW_COUNT;
}

const char *
bk_key_name(size_t key)
{
    BK_ASSERT(key < ROW_COUNT);
    return rows[key].name;
}

const char *
bk_key_help(size_t key)
{
    BK_ASSERT(key < ROW_COUNT);
    return rows[key].help;
}

void
bk_key_describe(size_t key, struct bk_text *default_text,
                struct bk_text *accepts)
{
    BK_ASSERT(key < ROW_COUNT);
    bk_text_put(default_text, rows[key].standard);
    bk_key_accepts(&rows[key], false, accepts);
}

int
bk_key_find(const char *name, size_t len)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (bk_is(name, len, rows[i].name))
            return (int)i;
    return -1;
}

const char *
bk_key_nearest(const char *name, size_t len)
{
    size_t nearest = 0;
    unsigned least = UINT_MAX;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        unsigned distance = bk_edit_distance(name, len, rows[i].name);
        if (len > 0 && strncmp(name, rows[i].name, len) == 0)
            distance = 0; /* a key's beginning is no other, shorter key */
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    return rows[nearest].name;
}

/* Somebody's text within an error: one short line whatever it was. */
static void
put_quoted(struct bk_text *error, const char *s, size_t len)
{
    bk_text_put_char(error, '"');
    for (size_t i = 0; i < len && i < QUOTE_MAX; i++) {
        char c = s[i];
        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = '?';
        bk_text_put_char(error, c);
    }
    bk_text_put(error, len > QUOTE_MAX ? "...\"" : "\"");
}

static void
say_bad_value(struct bk_text *error, const char *name,
              const struct bk_key_row *row, bool is_env, const char *value,
              size_t value_len)
{
    bk_text_put(error, name);
    bk_text_put(error, ": ");
    put_quoted(error, value, value_len);
    bk_text_put(error, " is not ");
    bk_key_accepts(row, is_env, error);
}

bool
bk_layer_set(struct bk_layer *layer, const char *key, size_t key_len,
             const char *value, size_t value_len, struct bk_text *error)
{
    int found = bk_key_find(key, key_len);
    if (found < 0) {
        bk_text_put(error, "unknown key ");
        put_quoted(error, key, key_len);
        bk_text_put(error, ", the nearest is ");
        bk_text_put(error, bk_key_nearest(key, key_len));
        return false;
    }
    const struct bk_key_row *row = &rows[found];
    if (!bk_key_read(row, value, value_len, &layer->values)) {
        say_bad_value(error, row->name, row, false, value, value_len);
        return false;
    }
    layer->has |= UINT64_C(1) << found;
    return true;
}

void
bk_layer_unset(struct bk_layer *layer, size_t key)
{
    BK_ASSERT(key < ROW_COUNT);
    layer->has &= ~(UINT64_C(1) << key);
}

size_t
bk_env_count(void)
{
    return ENV_COUNT;
}

const char *
bk_env_name(size_t row)
{
    BK_ASSERT(row < ENV_COUNT);
    return env_rows[row].name;
}

size_t
bk_env_key(size_t row)
{
    BK_ASSERT(row < ENV_COUNT);
    int key = bk_key_find(env_rows[row].key, strlen(env_rows[row].key));
    BK_ASSERT(key >= 0);
    return (size_t)key;
}

bool
bk_layer_set_env(struct bk_layer *layer, size_t row, const char *value,
                 struct bk_text *error)
{
    BK_ASSERT(row < ENV_COUNT);
    size_t len = strlen(value);
    if (len == 0)
        return true; /* as good as unset */
    size_t key = bk_env_key(row);
    struct bk_policy read;
    if (!bk_key_read_env(&rows[key], value, len, &read)) {
        say_bad_value(error, env_rows[row].name, &rows[key], true, value, len);
        return false;
    }
    if ((layer->has >> key & 1) == 0)
        bk_key_copy(&rows[key], &layer->values, &read);
    layer->has |= UINT64_C(1) << key;
    return true;
}

void
bk_policy_defaults(struct bk_policy *policy)
{
    memset(policy, 0, sizeof(*policy));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *text = rows[i].standard;
        bool is_read = bk_key_read(&rows[i], text, strlen(text), policy);
        BK_ASSERT(is_read);
        (void)is_read;
    }
}

void
bk_policy_overlay(struct bk_policy *policy, const struct bk_layer *layer,
                  enum bk_origin origin, uint8_t *origins)
{
    if (layer == NULL)
        return;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if ((layer->has >> i & 1) == 0)
            continue;
        bk_key_copy(&rows[i], policy, &layer->values);
        if (origins != NULL)
            origins[i] = (uint8_t)origin;
    }
}

void
bk_policy_print(const struct bk_policy *policy, size_t key, struct bk_text *out)
{
    BK_ASSERT(key < ROW_COUNT);
    bk_key_print(&rows[key], policy, out);
}
