/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"
#include "unit.h"

/* The reference, said a second time: what an operator may rely on. */
static const struct {
    const char *key;
    const char *standard;
} defaults[] = {
    {"failure_threshold", "5"},
    {"failure_rate", "0"},
    {"window", "60s"},
    {"minimum_calls", "20"},
    {"slow_call_duration", "0"},
    {"slow_call_rate", "0"},
    {"recovery_timeout", "60s"},
    {"recovery_multiplier", "1"},
    {"max_recovery_timeout", "10m"},
    {"recovery_jitter", "0"},
    {"success_threshold", "2"},
    {"half_open_max_calls", "1"},
    {"permit_ttl", "120s"},
    {"max_permit_ttl", "1h"},
    {"ramp", "0"},
    {"max_concurrent", "0"},
    {"on_critical", "count"},
    {"on_rate_limit", "hold"},
    {"max_hold", "10m"},
    {"count", "attempt"},
    {"retry_ratio", "0.2"},
    {"retry_min_per_sec", "1"},
    {"retry_ttl", "10s"},
    {"retries", "on"},
    {"retry_on", "failure,timeout,rate_limited"},
    {"max_attempts", "3"},
    {"base_delay", "1s"},
    {"max_delay", "60s"},
    {"multiplier", "2"},
    {"jitter", "full"},
    {"rate_limit_max_attempts", "10"},
    {"rate_limit_base_delay", "10s"},
    {"rate_limit_max_delay", "120s"},
    {"max_elapsed", "300s"},
    {"attempt_timeout", "30s"},
    {"mode", "auto"},
    {"requires", ""},
    {"probe_url", ""},
    {"probe_interval", "5s"},
    {"probe_timeout", "3s"},
};

static char error_room[512];
static struct bk_text error;

static bool
set(struct bk_layer *layer, const char *key, const char *value)
{
    bk_text_init(&error, error_room, sizeof(error_room));
    return bk_layer_set(layer, key, strlen(key), value, strlen(value), &error);
}

static const char *
print(const struct bk_policy *policy, const char *key)
{
    static char room[512];
    struct bk_text t;
    int found = bk_key_find(key, strlen(key));
    assert_true(found >= 0);
    bk_text_init(&t, room, sizeof(room));
    bk_policy_print(policy, (size_t)found, &t);
    assert_false(t.is_cut);
    return room;
}

static void
keys_and_defaults_are_the_documented_ones(void **state)
{
    struct bk_policy policy;
    (void)state;
    memset(&policy, 0xa5, sizeof(policy));
    bk_policy_defaults(&policy);
    assert_int_equal(bk_key_count(), COUNT_OF(defaults));
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        char room[2][512];
        struct bk_text standard;
        struct bk_text accepts;
        assert_string_equal(bk_key_name(i), defaults[i].key);
        assert_string_equal(print(&policy, defaults[i].key),
                            defaults[i].standard);
        bk_text_init(&standard, room[0], sizeof(room[0]));
        bk_text_init(&accepts, room[1], sizeof(room[1]));
        bk_key_describe(i, &standard, &accepts);
        assert_string_equal(room[0], defaults[i].standard);
        assert_true(accepts.len > 0);
        assert_false(accepts.is_cut);
        assert_true(strlen(bk_key_help(i)) > 0);
    }
    assert_int_equal(policy.failure_threshold, 5);
    assert_true(policy.window_ns == SECONDS(60));
    assert_int_equal(policy.window_calls, 0);
    assert_int_equal(policy.recovery_multiplier_ppm, BK_PPM);
    assert_int_equal(policy.retry_ratio_ppm, 200000);
    assert_int_equal(policy.retry_on,
                     1 << BK_FAILURE | 1 << BK_TIMEOUT | 1 << BK_RATE_LIMITED);
    assert_int_equal(policy.retries, 1);
    assert_int_equal(policy.mode, BK_AUTO);
    assert_int_equal(policy.reserved, 0);
}

/* Values at both ends of the bounds and just beyond; NULL: refused. */
static const struct {
    const char *key;
    const char *value;
    const char *printed;
} values[] = {
    {"failure_threshold", "0", "0"},
    {"failure_threshold", "1", "1"},
    {"failure_threshold", "1000000", "1000000"},
    {"failure_threshold", "1000001", NULL},
    {"failure_threshold", "4294967297", NULL},
    {"failure_threshold", "-1", NULL},
    {"failure_threshold", "2.5", NULL},
    {"failure_threshold", "", NULL},
    {"success_threshold", "0", NULL},
    {"success_threshold", "1", "1"},
    {"half_open_max_calls", "0", NULL},
    {"max_attempts", "0", NULL},
    {"max_attempts", "1", "1"},
    {"failure_rate", "0", "0"},
    {"failure_rate", "50%", "0.5"},
    {"failure_rate", "0.5", "0.5"},
    {"failure_rate", "1", "1"},
    {"failure_rate", "100%", "1"},
    {"failure_rate", "1.000001", NULL},
    {"failure_rate", "101%", NULL},
    {"failure_rate", "50", NULL},
    {"failure_rate", "x%", NULL},
    {"recovery_multiplier", "1", "1"},
    {"recovery_multiplier", "1.5", "1.5"},
    {"recovery_multiplier", "100", "100"},
    {"recovery_multiplier", "0.999999", NULL},
    {"recovery_multiplier", "100.000001", NULL},
    {"recovery_multiplier", "150%", NULL},
    {"retry_ratio", "0.75", "0.75"},
    {"retry_ratio", "20%", "0.2"},
    {"retry_ratio", "100", "100"},
    {"retry_ratio", "101", NULL},
    {"retry_min_per_sec", "0", "0"},
    {"retry_min_per_sec", "1000000", "1000000"},
    {"retry_min_per_sec", "1000001", NULL},
    {"recovery_timeout", "1ms", "1ms"},
    {"recovery_timeout", "250ms", "250ms"},
    {"recovery_timeout", "999us", NULL},
    {"recovery_timeout", "0", NULL},
    {"recovery_timeout", "60", NULL},
    {"recovery_timeout", "720h", "720h"},
    {"recovery_timeout", "721h", NULL},
    {"base_delay", "0", "0"},
    {"base_delay", "1us", "1us"},
    {"ramp", "0", "0"},
    {"ramp", "9ms", NULL},
    {"ramp", "10ms", "10ms"},
    {"window", "10ms", "10ms"},
    {"window", "9ms", NULL},
    {"window", "0", NULL},
    {"window", "1h", "1h"},
    {"window", "5000000ms", "5000s"},
    {"window", "100callz", NULL},
    {"window", "1calls", "1calls"},
    {"window", "1000calls", "1000calls"},
    {"window", "0calls", NULL},
    {"window", "1001calls", NULL},
    {"window", "calls", NULL},
    {"window", "100", NULL},
    {"window", "10 calls", NULL},
    {"window", "x", NULL},
    {"on_critical", "trip", "trip"},
    {"on_critical", "ignore", "ignore"},
    {"on_critical", "hold", NULL},
    {"on_critical", "", NULL},
    {"on_rate_limit", "count", "count"},
    {"on_rate_limit", "ignore", "ignore"},
    {"on_rate_limit", "HOLD", NULL},
    {"count", "call", "call"},
    {"jitter", "equal", "equal"},
    {"jitter", "none", "none"},
    {"mode", "bypass", "bypass"},
    {"mode", "observe", "observe"},
    {"mode", "forced_open", NULL},
    {"mode", "", NULL},
    {"retries", "off", "off"},
    {"retries", "no", "off"},
    {"retries", "false", "off"},
    {"retries", "0", "off"},
    {"retries", "on", "on"},
    {"retries", "yes", "on"},
    {"retries", "true", "on"},
    {"retries", "1", "on"},
    {"retries", "2", NULL},
    {"retries", "", NULL},
    {"retry_on", "critical", "critical"},
    {"retry_on", "timeout,failure,timeout", "failure,timeout"},
    {"retry_on", " failure ,  rejected ", "failure,rejected"},
    {"retry_on", "failure,timeout,rate_limited,rejected,critical",
     "failure,timeout,rate_limited,rejected,critical"},
    {"retry_on", "success", NULL},
    {"retry_on", "cancelled", NULL},
    {"retry_on", "", NULL},
    {"retry_on", ",", NULL},
    {"retry_on", "failure,", NULL},
    {"retry_on", "failure timeout", NULL},
    {"requires", "vault", "vault"},
    {"requires", "-", ""},
    {"requires", "", ""},
    {"requires", "a b", NULL},
    {"requires", "*", NULL},
    {"probe_url", "http://localhost:8080/health?a=b#c",
     "http://localhost:8080/health?a=b#c"},
    {"probe_url", "https://example.org", "https://example.org"},
    {"probe_url", "http://[::1]:80/", "http://[::1]:80/"},
    {"probe_url", "-", ""},
    {"probe_url", "", ""},
    {"probe_url", "ftp://example.org", NULL},
    {"probe_url", "HTTP://example.org", NULL},
    {"probe_url", "http://", NULL},
    {"probe_url", "http:///x", NULL},
    {"probe_url", "http://me@h-1.x_y:65535?a:b@c",
     "http://me@h-1.x_y:65535?a:b@c"},
    {"probe_url", "http://a:0", NULL},
    {"probe_url", "http://a:65536/", NULL},
    {"probe_url", "http://a:/", NULL},
    {"probe_url", "http://a:80b/", NULL},
    {"probe_url", "http://:80/", NULL},
    {"probe_url", "http://me@/", NULL},
    {"probe_url", "http://[::1/", NULL},
    {"probe_url", "http://[]/", NULL},
    {"probe_url", "http://[::1]x/", NULL},
    {"probe_url", "http://a[b/", NULL},
    {"probe_url", "http://a b", NULL},
    {"probe_url", "http://\xc3\xa4", NULL},
    {"probe_url", "file", NULL},
    {"probe_url", "http://a\x7f", NULL},
    {"probe_interval", "9ms", NULL},
};

static void
values_are_checked_against_their_bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct bk_layer layer = {0};
        struct bk_policy policy;
        const char *key = values[i].key;
        bool is_set = set(&layer, key, values[i].value);
        if (is_set != (values[i].printed != NULL))
            print_message("%s = %s\n", key, values[i].value);
        assert_int_equal(is_set, values[i].printed != NULL);
        if (!is_set) {
            /* The sentence starts with the key; the layer is as it was. */
            struct bk_layer empty = {0};
            assert_memory_equal(error_room, key, strlen(key));
            assert_memory_equal(&layer, &empty, sizeof(layer));
            continue;
        }
        assert_int_equal(error.len, 0);
        bk_policy_defaults(&policy);
        bk_policy_overlay(&policy, &layer, BK_FROM_SET, NULL);
        assert_string_equal(print(&policy, key), values[i].printed);
    }
}

static void
addresses_and_names_have_their_full_length(void **state)
{
    char text[300] = "http://";
    struct bk_layer layer = {0};
    (void)state;
    memset(text + 7, 'x', sizeof(text) - 8);
    text[255] = '\0';
    assert_true(set(&layer, "probe_url", text));
    assert_string_equal(layer.values.probe_url, text);
    text[255] = 'x';
    text[256] = '\0';
    assert_false(set(&layer, "probe_url", text));
    assert_true(set(&layer, "requires", text + 256 - 63));
    assert_false(set(&layer, "requires", text + 256 - 64));
    assert_int_equal(strlen(layer.values.requires_name), 63);
    /* A shorter one leaves nothing behind its end: policies are compared. */
    assert_true(set(&layer, "requires", "a"));
    for (size_t i = 1; i < BK_NAME_SIZE; i++)
        assert_int_equal(layer.values.requires_name[i], 0);
}

static void
one_kind_of_window_replaces_the_other(void **state)
{
    struct bk_layer layer = {0};
    struct bk_policy policy;
    (void)state;
    bk_policy_defaults(&policy);
    assert_true(set(&layer, "window", "100calls"));
    bk_policy_overlay(&policy, &layer, BK_FROM_SERVICE, NULL);
    assert_int_equal(policy.window_calls, 100);
    assert_true(policy.window_ns == 0);
    assert_true(set(&layer, "window", "5s"));
    bk_policy_overlay(&policy, &layer, BK_FROM_SERVICE, NULL);
    assert_int_equal(policy.window_calls, 0);
    assert_true(policy.window_ns == SECONDS(5));
}

static void
errors_name_what_is_accepted(void **state)
{
    struct bk_layer layer = {0};
    (void)state;
    assert_false(set(&layer, "failure_threshold", "many"));
    assert_string_equal(error_room,
                        "failure_threshold: \"many\" is not a whole "
                        "number from 0 to 1000000");
    assert_false(set(&layer, "failure_rate", "2"));
    assert_string_equal(error_room, "failure_rate: \"2\" is not a rate (50% or "
                                    "0.5) from 0 to 1");
    assert_false(set(&layer, "recovery_timeout", "60"));
    assert_string_equal(error_room,
                        "recovery_timeout: \"60\" is not a duration (250ms 5s "
                        "2m 1h) from 1ms to 720h");
    assert_false(set(&layer, "ramp", "1ms"));
    assert_string_equal(error_room,
                        "ramp: \"1ms\" is not 0 or a duration (250ms 5s 2m 1h) "
                        "from 10ms to 720h");
    assert_false(set(&layer, "window", "1001calls"));
    assert_string_equal(error_room,
                        "window: \"1001calls\" is not a duration (250ms 5s 2m "
                        "1h) from 10ms to 720h or 1calls to 1000calls");
    assert_false(set(&layer, "mode", "off"));
    assert_string_equal(error_room,
                        "mode: \"off\" is not auto, bypass or observe");
    assert_false(set(&layer, "retries", "maybe"));
    assert_string_equal(error_room, "retries: \"maybe\" is not on or off");
    assert_false(set(&layer, "retry_on", "luck"));
    assert_string_equal(error_room,
                        "retry_on: \"luck\" is not a list of failure, timeout, "
                        "rate_limited, rejected or critical");
    assert_false(set(&layer, "failure_treshold", "5"));
    assert_string_equal(error_room, "unknown key \"failure_treshold\", the "
                                    "nearest is failure_threshold");
}

static void
errors_quote_what_is_short_and_plain(void **state)
{
    struct bk_layer layer = {0};
    char value[200];
    (void)state;
    assert_false(set(&layer, "mode", "a\x1b[2J\x7f"));
    assert_string_equal(error_room,
                        "mode: \"a?[2J?\" is not auto, bypass or observe");
    memset(value, 'y', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    assert_false(set(&layer, "mode", value));
    assert_int_equal(
        error.len, strlen("mode: \"...\" is not auto, bypass or observe") + 64);
    assert_non_null(strstr(error_room, "y...\" is not"));
    value[64] = '\0';
    assert_false(set(&layer, "mode", value));
    assert_null(strstr(error_room, "..."));
}

static void
the_nearest_key_is_found(void **state)
{
    char far[100];
    (void)state;
    assert_string_equal(bk_key_nearest("windwo", 6), "window");
    assert_string_equal(bk_key_nearest("fail", 4), "failure_threshold");
    assert_string_equal(bk_key_nearest("max_atempts", 11), "max_attempts");
    assert_string_equal(bk_key_nearest("recoverytimeout", 15),
                        "recovery_timeout");
    memset(far, 'q', sizeof(far));
    assert_true(bk_key_find(far, sizeof(far)) < 0);
    const char *nearest = bk_key_nearest(far, sizeof(far));
    assert_true(bk_key_find(nearest, strlen(nearest)) >= 0);
}

static void
layers_override_in_order_and_tell_origins(void **state)
{
    struct bk_layer low = {0};
    struct bk_layer high = {0};
    struct bk_policy policy;
    uint8_t origins[64] = {0};
    (void)state;
    bk_policy_defaults(&policy);
    assert_true(set(&low, "failure_threshold", "7"));
    assert_true(set(&low, "mode", "observe"));
    assert_true(set(&high, "failure_threshold", "9"));
    bk_policy_overlay(&policy, &low, BK_FROM_DEFAULTS, origins);
    bk_policy_overlay(&policy, NULL, BK_FROM_ENVIRONMENT, origins);
    bk_policy_overlay(&policy, &high, BK_FROM_SET, origins);
    assert_int_equal(policy.failure_threshold, 9);
    assert_int_equal(policy.mode, BK_OBSERVE);
    assert_int_equal(policy.minimum_calls, 20);
    int threshold = bk_key_find("failure_threshold", 17);
    int mode = bk_key_find("mode", 4);
    assert_int_equal(origins[threshold], BK_FROM_SET);
    assert_int_equal(origins[mode], BK_FROM_DEFAULTS);
    assert_int_equal(origins[bk_key_find("window", 6)], BK_FROM_BUILTIN);

    bk_layer_unset(&low, (size_t)mode);
    bk_layer_unset(&low, (size_t)mode);
    bk_policy_defaults(&policy);
    bk_policy_overlay(&policy, &low, BK_FROM_DEFAULTS, NULL);
    assert_int_equal(policy.mode, BK_AUTO);
    assert_int_equal(policy.failure_threshold, 7);
}

static void
origins_have_names(void **state)
{
    (void)state;
    assert_string_equal(bk_origin_name(BK_FROM_BUILTIN), "built-in");
    assert_string_equal(bk_origin_name(BK_FROM_DEFAULTS), "defaults");
    assert_string_equal(bk_origin_name(BK_FROM_ENVIRONMENT), "environment");
    assert_string_equal(bk_origin_name(BK_FROM_SERVICE), "service");
    assert_string_equal(bk_origin_name(BK_FROM_SET), "set");
}

static bool
set_env(struct bk_layer *layer, const char *name, const char *value)
{
    bk_text_init(&error, error_room, sizeof(error_room));
    for (size_t i = 0; i < bk_env_count(); i++)
        if (strcmp(bk_env_name(i), name) == 0)
            return bk_layer_set_env(layer, i, value, &error);
    fail_msg("no such variable: %s", name);
    return false;
}

static const struct {
    const char *name;
    const char *value;
    const char *key;
    const char *printed;
} variables[] = {
    {"CIRCUIT_BREAKER_THRESHOLD", "7", "failure_threshold", "7"},
    {"CIRCUIT_BREAKER_TIMEOUT", "30", "recovery_timeout", "30s"},
    {"CIRCUIT_BREAKER_TIMEOUT", "0.25", "recovery_timeout", "250ms"},
    {"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "4", "success_threshold", "4"},
    {"RETRY_MAX_ATTEMPTS", "6", "max_attempts", "6"},
    {"LLM_RETRY_ATTEMPTS", "6", "max_attempts", "6"},
    {"RETRY_BASE_DELAY", "0.5", "base_delay", "500ms"},
    {"LLM_RETRY_MIN_WAIT", "2", "base_delay", "2s"},
    {"RETRY_MAX_DELAY", "90", "max_delay", "90s"},
    {"LLM_RETRY_MAX_WAIT", "90", "max_delay", "90s"},
    {"LLM_RETRY_MULTIPLIER", "1.5", "multiplier", "1.5"},
};

static void
the_environment_sets_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        struct bk_layer layer = {0};
        struct bk_policy policy;
        bk_policy_defaults(&policy);
        assert_true(set_env(&layer, variables[i].name, variables[i].value));
        bk_policy_overlay(&policy, &layer, BK_FROM_ENVIRONMENT, NULL);
        assert_string_equal(print(&policy, variables[i].key),
                            variables[i].printed);
    }
}

static void
bad_variables_are_told(void **state)
{
    struct bk_layer layer = {0};
    (void)state;
    assert_false(set_env(&layer, "CIRCUIT_BREAKER_TIMEOUT", "soon"));
    assert_string_equal(error_room,
                        "CIRCUIT_BREAKER_TIMEOUT: \"soon\" is not a number of "
                        "seconds from 0.001 to 2592000");
    assert_false(set_env(&layer, "CIRCUIT_BREAKER_TIMEOUT", "60s"));
    assert_false(set_env(&layer, "CIRCUIT_BREAKER_TIMEOUT", "0"));
    assert_false(set_env(&layer, "CIRCUIT_BREAKER_THRESHOLD", "5.5"));
    assert_string_equal(error_room,
                        "CIRCUIT_BREAKER_THRESHOLD: \"5.5\" is not a whole "
                        "number from 0 to 1000000");
    assert_true(layer.has == 0);
    /* Set to nothing is not set. */
    assert_true(set_env(&layer, "CIRCUIT_BREAKER_TIMEOUT", ""));
    assert_true(layer.has == 0);
}

static void
the_first_name_of_a_key_wins(void **state)
{
    struct bk_layer layer = {0};
    (void)state;
    assert_true(set_env(&layer, "RETRY_BASE_DELAY", "1"));
    assert_true(set_env(&layer, "LLM_RETRY_MIN_WAIT", "2"));
    assert_true(layer.values.base_delay_ns == SECONDS(1));
    assert_false(set_env(&layer, "LLM_RETRY_MIN_WAIT", "x"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_defaults_are_the_documented_ones),
        cmocka_unit_test(values_are_checked_against_their_bounds),
        cmocka_unit_test(addresses_and_names_have_their_full_length),
        cmocka_unit_test(one_kind_of_window_replaces_the_other),
        cmocka_unit_test(errors_name_what_is_accepted),
        cmocka_unit_test(errors_quote_what_is_short_and_plain),
        cmocka_unit_test(the_nearest_key_is_found),
        cmocka_unit_test(layers_override_in_order_and_tell_origins),
        cmocka_unit_test(origins_have_names),
        cmocka_unit_test(the_environment_sets_keys),
        cmocka_unit_test(bad_variables_are_told),
        cmocka_unit_test(the_first_name_of_a_key_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
