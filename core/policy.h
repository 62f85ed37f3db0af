#ifndef BK_POLICY_H
#define BK_POLICY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A service's configuration: every key is one row of a table (type, default,
 * bounds, help); parsing, printing, merging and the reference page follow. */
#include "core/text.h"

/* No duration of any key is longer. */
#define BK_DURATION_MAX_NS (INT64_C(30) * 86400 * BK_NS_PER_S)
#define BK_URL_SIZE 256
/* Bounds that keep the budget's sums within 64 bits. */
#define BK_RETRY_RATIO_MAX_PPM (100 * BK_PPM)
#define BK_RETRY_MIN_MAX_PPM (1000000 * BK_PPM)
/* A count window holds at most this many outcomes. */
#define BK_WINDOW_CALLS_MAX 1000

enum bk_critical_rule {
    BK_CRITICAL_COUNT,
    BK_CRITICAL_TRIP,
    BK_CRITICAL_IGNORE
};
enum bk_limit_rule { BK_LIMIT_HOLD, BK_LIMIT_COUNT, BK_LIMIT_IGNORE };
enum bk_count_rule { BK_COUNT_ATTEMPT, BK_COUNT_CALL };
enum bk_jitter { BK_JITTER_FULL, BK_JITTER_EQUAL, BK_JITTER_NONE };

/* Effective values of one service. Fixed width, no pointers: it is published in
 * the shared memory as it is. All-zero is not valid; start from the defaults. */
struct bk_policy {
    int64_t window_ns; /* 0: the window counts calls */
    int64_t slow_call_duration_ns;
    int64_t recovery_timeout_ns;
    int64_t max_recovery_timeout_ns;
    int64_t permit_ttl_ns;
    int64_t max_permit_ttl_ns;
    int64_t ramp_ns;
    int64_t max_hold_ns;
    int64_t retry_ttl_ns;
    int64_t base_delay_ns;
    int64_t max_delay_ns;
    int64_t rate_limit_base_delay_ns;
    int64_t rate_limit_max_delay_ns;
    int64_t max_elapsed_ns;
    int64_t attempt_timeout_ns;
    int64_t probe_interval_ns;
    int64_t probe_timeout_ns;
    uint64_t failure_rate_ppm;
    uint64_t slow_call_rate_ppm;
    uint64_t recovery_multiplier_ppm;
    uint64_t recovery_jitter_ppm;
    uint64_t retry_ratio_ppm;
    uint64_t retry_min_per_sec_ppm; /* millionths of a token a second */
    uint64_t multiplier_ppm;
    uint32_t failure_threshold;
    uint32_t window_calls; /* 0: the window is a time */
    uint32_t minimum_calls;
    uint32_t success_threshold;
    uint32_t half_open_max_calls;
    uint32_t max_concurrent;
    uint32_t max_attempts;
    uint32_t rate_limit_max_attempts;
    uint32_t retry_on;      /* bit (1 << outcome) */
    uint32_t retries;       /* bool */
    uint32_t on_critical;   /* enum bk_critical_rule */
    uint32_t on_rate_limit; /* enum bk_limit_rule */
    uint32_t count;         /* enum bk_count_rule */
    uint32_t jitter;        /* enum bk_jitter */
    uint32_t mode;          /* enum bk_mode: auto, bypass or observe */
    uint32_t reserved;
    char requires_name[BK_NAME_SIZE]; /* "" for none */
    char probe_url[BK_URL_SIZE];      /* "" for none */
};

/* Where an effective value comes from, weakest first. */
enum bk_origin {
    BK_FROM_BUILTIN,
    BK_FROM_DEFAULTS,
    BK_FROM_ENVIRONMENT,
    BK_FROM_SERVICE,
    BK_FROM_SET,
    BK_ORIGIN_COUNT
};
const char *bk_origin_name(enum bk_origin origin); /* built-in defaults ... */

/* One source of values: those whose bit is set in `has` count. */
struct bk_layer {
    uint64_t has; /* bit (1 << key) */
    struct bk_policy values;
};

/* Number of keys; a key is its index in the table. */
size_t bk_key_count(void);
const char *bk_key_name(size_t key);
const char *bk_key_help(size_t key);
/* The default as a person writes it, and what values are accepted. */
void bk_key_describe(size_t key, struct bk_text *default_text,
                     struct bk_text *accepts);
/* -1 when there is no such key. */
int bk_key_find(const char *name, size_t len);
/* The valid key nearest to a misspelt one, for the message. */
const char *bk_key_nearest(const char *name, size_t len);

/* Sets one key in a layer from text. Returns false with one clear sentence in
 * `error` (unknown key with its nearest, bad value with what is accepted). */
bool bk_layer_set(struct bk_layer *layer, const char *key, size_t key_len,
                  const char *value, size_t value_len, struct bk_text *error);
void bk_layer_unset(struct bk_layer *layer, size_t key);

/* The environment's part of precedence. `bk_env_count` rows; the caller looks
 * each name up and hands over what it finds. Of two names for one key the first
 * in the table wins. A value that cannot be read: false and a sentence. */
size_t bk_env_count(void);
const char *bk_env_name(size_t row);
size_t bk_env_key(size_t row); /* the key it sets */
bool bk_layer_set_env(struct bk_layer *layer, size_t row, const char *value,
                      struct bk_text *error);

void bk_policy_defaults(struct bk_policy *policy);
/* Lays `layer` (NULL is empty) over `policy`; `origins` (one octet a key, may be
 * NULL) gets `origin` where a value was taken. */
void bk_policy_overlay(struct bk_policy *policy, const struct bk_layer *layer,
                       enum bk_origin origin, uint8_t *origins);
/* One value as the configuration file would write it. */
void bk_policy_print(const struct bk_policy *policy, size_t key,
                     struct bk_text *out);

#endif
