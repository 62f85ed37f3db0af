/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/spec.h"
#include "core/backoff.h"

#include <assert.h>
#include <string.h>

/* Texts end with NULL; those from `inexact` on leave something to chance. */
struct row {
    const char *key;
    const char *texts[10];
    size_t inexact;
};

#define ALL SIZE_MAX

static const struct row rows[SPEC_KEYS] = {
    {"failure_threshold", {"0", "1", "2", "3", "7", "1000000"}, ALL},
    {"failure_rate", {"0", "0.000001", "20%", "0.333333", "50%", "100%"}, ALL},
    {"window",
     {"10ms", "1s", "10s", "10001us", "3calls", "1calls", "10calls", "64calls",
      "1000calls"},
     ALL},
    {"minimum_calls", {"0", "1", "2", "4", "10", "1000000"}, ALL},
    {"slow_call_duration", {"0", "1us", "5ms", "1s"}, ALL},
    {"slow_call_rate", {"0", "0.000001", "25%", "60%", "100%"}, ALL},
    {"recovery_timeout", {"1ms", "10ms", "1s", "5s", "333333us"}, ALL},
    {"recovery_multiplier", {"1", "2", "3", "100", "1.5", "1.01"}, 4},
    {"max_recovery_timeout", {"1ms", "40ms", "8s", "60s", "720h"}, ALL},
    {"recovery_jitter", {"0", "0.000001", "10%", "50%", "100%"}, 1},
    {"success_threshold", {"1", "2", "3", "5"}, ALL},
    {"half_open_max_calls", {"1", "2", "3", "10"}, ALL},
    {"permit_ttl", {"1ms", "50ms", "1s", "10s", "720h"}, ALL},
    {"max_permit_ttl", {"1ms", "100ms", "5s", "2h"}, ALL},
    {"ramp", {"0", "10ms", "1s", "20s", "12345us"}, ALL},
    {"max_concurrent", {"0", "1", "2", "5", "20"}, ALL},
    {"on_critical", {"count", "trip", "ignore"}, ALL},
    {"on_rate_limit", {"hold", "count", "ignore"}, ALL},
    {"max_hold", {"0", "1ms", "2s", "720h"}, ALL},
    {"count", {"attempt", "call"}, ALL},
    {"retry_ratio", {"0", "0.000001", "0.1", "0.75", "1", "2.5"}, ALL},
    {"retry_min_per_sec", {"0", "0.1", "0.333333", "2", "50"}, ALL},
    {"retry_ttl", {"10ms", "1s", "7s", "60s", "1h"}, ALL},
    {"retries", {"on", "off"}, ALL},
    {"retry_on",
     {"failure", "timeout,critical", "rate_limited",
      "failure,timeout,rate_limited,rejected,critical"},
     ALL},
    {"max_attempts", {"1", "2", "5", "1000000"}, ALL},
    {"base_delay", {"0", "1ms", "100ms", "3s"}, ALL},
    {"max_delay", {"0", "10ms", "2s", "720h"}, ALL},
    {"multiplier", {"1", "1.5", "2", "10", "1.01"}, ALL},
    {"jitter", {"full", "equal", "none"}, ALL},
    {"max_elapsed", {"1ms", "50ms", "1s", "720h"}, ALL},
    {"mode", {"auto", "bypass", "observe"}, ALL},
    {"requires", {"-", "a", "b", "c", "nobody"}, ALL},
};

const char *
spec_key(size_t key)
{
    assert(key < SPEC_KEYS);
    return rows[key].key;
}

const char *
spec_text(size_t key, uint8_t value)
{
    assert(key < SPEC_KEYS && value > 0);
    return rows[key].texts[value - 1];
}

static uint8_t
count_values(size_t key, bool is_exact)
{
    uint8_t count = 0;
    while (count < 10 && rows[key].texts[count] != NULL &&
           (!is_exact || count < rows[key].inexact))
        count++;
    return count;
}

void
spec_policy(const struct spec *spec, struct bk_policy *out)
{
    struct bk_layer layer = {0};
    char words[256];
    struct bk_text error;
    bk_text_init(&error, words, sizeof words);
    for (size_t k = 0; k < SPEC_KEYS; k++) {
        if (spec->value[k] == 0)
            continue;
        const char *text = spec_text(k, spec->value[k]);
        bool is_set = bk_layer_set(&layer, rows[k].key, strlen(rows[k].key),
                                   text, strlen(text), &error);
        assert(is_set);
        (void)is_set;
    }
    bk_policy_defaults(out);
    bk_policy_overlay(out, &layer, BK_FROM_SERVICE, NULL);
}

static uint8_t
pick(size_t key, bool is_exact, uint64_t *random)
{
    return (uint8_t)(bk_random(random) % (count_values(key, is_exact) + 1U));
}

void
spec_random(struct spec *spec, bool is_exact, uint64_t *random)
{
    /* Some streams stay near the defaults, others are all extremes. */
    uint64_t share = bk_random(random) % 100;
    for (size_t k = 0; k < SPEC_KEYS; k++) {
        bool is_set = bk_random(random) % 100 < share;
        spec->value[k] = is_set ? pick(k, is_exact, random) : 0;
        /* A service that starts overridden or barred shows little else. */
        bool is_dull = strcmp(rows[k].key, "mode") == 0 ||
                       strcmp(rows[k].key, "requires") == 0 ||
                       strcmp(rows[k].key, "retries") == 0;
        if (is_dull && bk_random(random) % 4 != 0)
            spec->value[k] = 0;
    }
}

void
spec_force(struct spec *spec, const char *key, bool is_exact, uint64_t *random)
{
    size_t k = 0;
    while (k < SPEC_KEYS && strcmp(rows[k].key, key) != 0)
        k++;
    assert(k < SPEC_KEYS);
    /* The first text of these rows is what the default says, too. */
    uint8_t count = count_values(k, is_exact);
    spec->value[k] = (uint8_t)(2 + bk_random(random) % (count - 1U));
}

void
spec_random_change(bool is_exact, uint64_t *random, uint8_t *key,
                   uint8_t *value)
{
    *key = (uint8_t)(bk_random(random) % SPEC_KEYS);
    *value = pick(*key, is_exact, random);
}
