/* SPDX-License-Identifier: Apache-2.0 */
#include "configs.h"
#include "core/config_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
set(struct config *c, const char *service, const char *key, const char *value)
{
    struct bk_text error;

    bk_text_init(&error, words, sizeof words);
    return config_set(c, service, key, strlen(key), value, strlen(value),
                      &error);
}

static bool
unset(struct config *c, const char *service, const char *key)
{
    struct bk_text error;

    bk_text_init(&error, words, sizeof words);
    return config_unset(c, service, key, strlen(key), &error);
}

static bool
reload(struct config *c)
{
    struct bk_text error;

    bk_text_init(&error, words, sizeof words);
    return config_reload(c, &error);
}

/* "value origin" of one key. */
static const char *
value_of(const struct config *c, const char *service, const char *key)
{
    static char out[512];
    struct bk_policy policy;
    uint8_t origins[64];
    struct bk_text text;
    int index = bk_key_find(key, strlen(key));

    assert_true(index >= 0);
    (void)config_effective(c, service, &policy, origins);
    bk_text_init(&text, out, sizeof out);
    bk_policy_print(&policy, (size_t)index, &text);
    bk_text_put_char(&text, ' ');
    bk_text_put(&text, bk_origin_name((enum bk_origin)origins[index]));
    return out;
}

static void
without_a_file_there_are_the_defaults(void **state)
{
    struct config *c = open_path(NULL);
    struct bk_policy policy;
    struct bk_policy standard;
    uint32_t count = 7;

    (void)state;
    assert_non_null(c);
    bk_policy_defaults(&standard);
    assert_false(config_effective(c, "any", &policy, NULL));
    assert_memory_equal(&policy, &standard, sizeof policy);
    assert_false(config_source(c, "any", &policy));
    assert_memory_equal(&policy, &standard, sizeof policy);
    assert_int_equal(config_of_daemon(c)->max_services, 4096);
    (void)config_routes(c, &count);
    assert_int_equal(count, 0);
    assert_true(reload(c));
    config_close(&c);
    assert_null(c);
    config_close(&c);
}

static void
the_stronger_source_wins(void **state)
{
    struct config *c;

    (void)state;
    c = good("");
    assert_string_equal(value_of(c, "a", "failure_threshold"), "5 built-in");
    config_close(&c);
    c = good("[defaults]\nfailure_threshold = 6\n");
    assert_string_equal(value_of(c, "a", "failure_threshold"), "6 defaults");
    config_close(&c);
    setenv("CIRCUIT_BREAKER_THRESHOLD", "7", 1);
    c = good("[defaults]\nfailure_threshold = 6\n");
    assert_string_equal(value_of(c, "a", "failure_threshold"), "7 environment");
    config_close(&c);
    c = good("[service a]\nfailure_threshold = 8\n"
             "[defaults]\nfailure_threshold = 6\n");
    assert_string_equal(value_of(c, "a", "failure_threshold"), "8 service");
    assert_string_equal(value_of(c, "b", "failure_threshold"), "7 environment");
    assert_true(set(c, "a", "failure_threshold", "9"));
    assert_string_equal(value_of(c, "a", "failure_threshold"), "9 set");
    assert_true(unset(c, "a", "failure_threshold"));
    assert_string_equal(value_of(c, "a", "failure_threshold"), "8 service");
    config_close(&c);
}

static void
each_variable_reaches_its_key(void **state)
{
    static const struct {
        const char *variable;
        const char *value;
        const char *key;
        const char *shown;
    } rows[] = {
        {"CIRCUIT_BREAKER_THRESHOLD", "3", "failure_threshold", "3"},
        {"CIRCUIT_BREAKER_TIMEOUT", "0.5", "recovery_timeout", "500ms"},
        {"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "4", "success_threshold", "4"},
        {"RETRY_MAX_ATTEMPTS", "6", "max_attempts", "6"},
        {"LLM_RETRY_ATTEMPTS", "6", "max_attempts", "6"},
        {"RETRY_BASE_DELAY", "2.25", "base_delay", "2250ms"},
        {"LLM_RETRY_MIN_WAIT", "2", "base_delay", "2s"},
        {"RETRY_MAX_DELAY", "90", "max_delay", "90s"},
        {"LLM_RETRY_MAX_WAIT", "150", "max_delay", "150s"},
        {"LLM_RETRY_MULTIPLIER", "1.5", "multiplier", "1.5"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char want[64];
        struct config *c;

        setenv(rows[i].variable, rows[i].value, 1);
        c = open_path(NULL);
        assert_non_null(c);
        (void)snprintf(want, sizeof want, "%s environment", rows[i].shown);
        assert_string_equal(value_of(c, "a", rows[i].key), want);
        config_close(&c);
        unsetenv(rows[i].variable);
    }
}

static void
the_first_of_two_variables_wins(void **state)
{
    struct config *c;

    (void)state;
    setenv("LLM_RETRY_ATTEMPTS", "8", 1);
    setenv("RETRY_MAX_ATTEMPTS", "6", 1);
    c = open_path(NULL);
    assert_string_equal(value_of(c, "a", "max_attempts"), "6 environment");
    config_close(&c);
    setenv("RETRY_MAX_ATTEMPTS", "", 1);
    c = open_path(NULL);
    assert_string_equal(value_of(c, "a", "max_attempts"), "8 environment");
    config_close(&c);
}

static void
a_bad_variable_is_named(void **state)
{
    (void)state;
    setenv("CIRCUIT_BREAKER_TIMEOUT", "60s", 1);
    assert_null(open_path(NULL));
    assert_int_equal(
        strncmp(words, "CIRCUIT_BREAKER_TIMEOUT: \"60s\" is not ", 37), 0);
}

static void
bad_lines_are_told_with_their_place(void **state)
{
    (void)state;
    bad("failure_threshold = 5\n",
        ":1: \"failure_threshold\" stands before any section, begin with "
        "[defaults]");
    bad("[defaults]\nfailure_treshold = 5\n",
        ":2: unknown key \"failure_treshold\", the nearest is "
        "failure_threshold");
    bad("\n# x\n[defaults]\r\nfailure_rate = 2\r\n",
        ":4: failure_rate: \"2\" is not a rate (50% or 0.5) from 0 to 1");
    bad("[service]\n", ":1: a [service NAME] section needs a name");
    bad("[service a b]\n", ":1: a section has a kind and at most one name");
    bad("[service *]\n",
        ":1: \"*\" is no name: 1 to 63 of A-Z a-z 0-9 . _ : / @ -");
    bad("[servise a]\n", ":1: unknown section [servise], the nearest is "
                         "[service NAME]");
    bad("[daemons]\n", ":1: unknown section [daemons], the nearest is "
                       "[daemon]");
    bad("[defaults x]\n", ":1: [defaults] takes no name");
    bad("[defaults]\n\n[daemon]\n[defaults]\n",
        ":4: [defaults] is already at line 1");
    bad("[service a]\n[service b]\n[service a]\n",
        ":3: [service a] is already at line 1");
    bad("[service a]\nramp = 5s\nretries = off\nramp = 0\n",
        ":4: ramp is already at line 2");
    bad("[service a]\nwhat is this\n",
        ":2: expected [section], key = value or a comment");
    bad("[service a]\nrequires = a\n", ":2: a cannot require itself");
    bad("[daemon]\nmax_service = 5\n",
        ":2: unknown key \"max_service\", the nearest for [daemon] is "
        "max_services");
    bad("[daemon]\nmax_services = 0\n",
        ":2: max_services: \"0\" is not a whole number from 1 to 100000");
    bad("[daemon]\nmax_services = 100001\n",
        ":2: max_services: \"100001\" is not a whole number from 1 to 100000");
    bad("[daemon]\nmax_services = 1\nmax_services = 2\n",
        ":3: max_services is already at line 2");
    bad("[daemon]\nmax_services = 1\n[service a]\n[service b]\n",
        ":4: there are 2 services but max_services is 1");
}

/* `count` sections of a kind, each with a line behind it. */
static char *
many(const char *kind, int count, const char *line)
{
    char *text = malloc((size_t)count * 64 + 64);
    size_t len = 0;

    assert_non_null(text);
    text[0] = '\0';
    for (int i = 0; i < count; i++)
        len += (size_t)sprintf(text + len, "[%s n%d]\n%s\n", kind, i, line);
    return text;
}

static void
limits_hold_at_their_edge(void **state)
{
    struct config *c;
    char *text;
    uint32_t count;

    (void)state;
    c = good("[route r]\nservices = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\n");
    config_close(&c);
    text = many("route", 64, "services = a");
    c = good(text);
    (void)config_routes(c, &count);
    assert_int_equal(count, 64);
    config_close(&c);
    free(text);
    text = many("route", 65, "services = a");
    bad(text, ":129: there are more than 64 routes");
    free(text);
    text = many("service", 4096, "retries = off");
    c = good(text);
    assert_string_equal(value_of(c, "n0", "retries"), "off service");
    assert_string_equal(value_of(c, "n4095", "retries"), "off service");
    assert_string_equal(value_of(c, "n4096", "retries"), "on built-in");
    config_close(&c);
    free(text);
}

static void
lines_and_files_are_bounded(void **state)
{
    size_t size = BK_CONFIG_FILE_MAX + 1;
    char *text = malloc(size + 1);
    struct config *c;

    (void)state;
    assert_non_null(text);
    memset(text, '#', 5000);
    text[4096] = '\n';
    text[4097] = '\0';
    c = good(text);
    config_close(&c);
    text[4096] = '#';
    text[4097] = '\n';
    text[4098] = '\0';
    bad(text, ":1: the line is longer than 4096 octets");
    memset(text, '\n', size);
    write_file(text, size);
    assert_null(open_path(path));
    assert_refused(": is larger than 1048576 octets");
    write_file(text, size - 1);
    c = open_path(path);
    assert_non_null(c);
    config_close(&c);
    free(text);
}

static void
octets_that_are_no_text_are_refused(void **state)
{
    static const char nul[] = "[defaults]\nramp = 5s\0 \n";
    struct config *c;

    (void)state;
    write_file(nul, sizeof nul - 1);
    assert_null(open_path(path));
    assert_refused(":2: the line holds a NUL octet");
    bad("[defaults]\nramp = \x1b[31m\n",
        ":2: the line holds a control character");
    /* The last line may lack its end; lines may end as on other systems. */
    c = good("\r\n[defaults]\r\nramp=5s\r\n ; comment\r\n[service a]\r\n"
             "retries = off");
    assert_string_equal(value_of(c, "a", "ramp"), "5s defaults");
    assert_string_equal(value_of(c, "a", "retries"), "off service");
    config_close(&c);
}

static void
files_that_are_none_are_refused(void **state)
{
    (void)state;
    assert_null(open_path("/nonexistent/b.conf"));
    assert_string_equal(words, "/nonexistent/b.conf: cannot open: No such file "
                               "or directory");
    assert_null(open_path(directory));
    assert_non_null(strstr(words, ": is not a regular file"));
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    /* Nobody writes to it, and nobody waits for that. */
    assert_null(open_path(path));
    assert_refused(": is not a regular file");
}

static void
set_is_checked_before_it_changes_anything(void **state)
{
    struct config *c = good("[service a]\nramp = 5s\n[route r]\nservices=b\n");

    (void)state;
    assert_true(set(c, "a", "failure_threshold", "9"));
    assert_false(set(c, "a", "failure_threshold", "many"));
    assert_string_equal(words, "failure_threshold: \"many\" is not a whole "
                               "number from 0 to 1000000");
    assert_false(set(c, "a", "ramps", "5s"));
    assert_string_equal(words, "unknown key \"ramps\", the nearest is ramp");
    assert_false(set(c, "a", "requires", "a"));
    assert_string_equal(words, "a cannot require itself");
    assert_false(set(c, "a", "requires", "r"));
    assert_string_equal(words, "r is a route and no service");
    assert_false(set(c, "r", "ramp", "5s"));
    assert_string_equal(words, "r is a route and no service");
    assert_string_equal(value_of(c, "a", "failure_threshold"), "9 set");
    assert_string_equal(value_of(c, "a", "requires"), " built-in");
    assert_string_equal(value_of(c, "r", "ramp"), "0 built-in");
    config_close(&c);
}

static void
unset_takes_a_value_back(void **state)
{
    struct config *c = good("");
    struct bk_policy policy;

    (void)state;
    assert_true(unset(c, "a", "ramp"));
    assert_false(unset(c, "a", "ramps"));
    assert_string_equal(words, "unknown key \"ramps\", the nearest is ramp");
    assert_true(set(c, "a", "requires", "b"));
    assert_true(set(c, "a", "ramp", "5s"));
    assert_true(unset(c, "a", "requires"));
    assert_true(config_effective(c, "a", &policy, NULL));
    assert_string_equal(policy.requires_name, "");
    assert_true(unset(c, "a", "ramp"));
    assert_false(config_effective(c, "a", &policy, NULL));
    assert_true(set(c, "a", "ramp", "5s"));
    config_forget(c, "a");
    config_forget(c, "a");
    assert_string_equal(value_of(c, "a", "ramp"), "0 built-in");
    config_close(&c);
}

static void
nobody_requires_itself_by_default(void **state)
{
    struct config *c = good("[defaults]\nrequires = gateway\n");

    (void)state;
    assert_string_equal(value_of(c, "a", "requires"), "gateway defaults");
    assert_string_equal(value_of(c, "gateway", "requires"), " built-in");
    config_close(&c);
}

struct list {
    char text[512];
};

static void
add_name(void *context, const char *name)
{
    struct list *list = context;

    size_t len = strlen(list->text);

    (void)snprintf(list->text + len, sizeof list->text - len, "%s ", name);
}

static void
add_setting(void *context, const char *service, const char *key,
            const char *value)
{
    struct list *list = context;

    (void)snprintf(list->text + strlen(list->text),
                   sizeof list->text - strlen(list->text), "%s.%s=%s ", service,
                   key, value);
}

static void
names_and_settings_are_listed(void **state)
{
    struct config *c = good("[service m]\n[service b]\n[defaults]\nramp=1s\n");
    struct list names = {""};
    struct list settings = {""};

    (void)state;
    assert_true(set(c, "z", "ramp", "1.5s"));
    assert_true(set(c, "b", "retry_on", "timeout,failure"));
    assert_true(set(c, "b", "window", "100calls"));
    config_each_service(c, add_name, &names);
    config_each_setting(c, add_setting, &settings);
    assert_string_equal(names.text, "b m z ");
    assert_string_equal(settings.text, "b.window=100calls "
                                       "b.retry_on=failure,timeout "
                                       "z.ramp=1500ms ");
    config_close(&c);
}

static void
reload_takes_all_or_nothing(void **state)
{
    struct config *c = good("[service a]\nramp = 5s\n");
    uint32_t count;

    (void)state;
    assert_true(set(c, "s", "ramp", "9s"));
    write_text("[service a]\nramp = 6s\n[service b]\nretries = perhaps\n");
    assert_false(reload(c));
    assert_refused(":4: retries: \"perhaps\" is not on or off");
    assert_string_equal(value_of(c, "a", "ramp"), "5s service");
    write_text("[route r]\nservices = a\n[service a]\nramp = 7s\n");
    assert_true(reload(c));
    assert_string_equal(value_of(c, "a", "ramp"), "7s service");
    assert_string_equal(value_of(c, "s", "ramp"), "9s set");
    (void)config_routes(c, &count);
    assert_int_equal(count, 1);
    write_text("\n[route s]\nservices = a\n");
    assert_false(reload(c));
    assert_refused(":2: route s has a service's name (it has SET values)");
    (void)unlink(path);
    assert_false(reload(c));
    assert_refused(": cannot open: No such file or directory");
    assert_string_equal(value_of(c, "a", "ramp"), "7s service");
    config_close(&c);
}

static void
tables_keep_the_size_they_started_with(void **state)
{
    struct config *c = good("[daemon]\nmax_services = 2\n");

    (void)state;
    write_text("[daemon]\nmax_services = 9\n[service a]\n[service b]\n");
    assert_true(reload(c));
    assert_int_equal(config_of_daemon(c)->max_services, 2);
    write_text("[service a]\n[service b]\n[service c]\n");
    assert_false(reload(c));
    assert_refused(": there are 3 services but max_services was 2 at start");
    config_close(&c);
}

/* Whatever the file holds, the answer is a configuration or a sentence. */
static void
any_octets_are_survived(void **state)
{
    static const char *const parts[] = {
        "[",        "]",    "service", "route ",     "defaults",         "=",
        "\n",       "\r\n", "ramp",    "5s",         "services=",        "a,b",
        "#",        " ",    "\t",      "[daemon]\n", "max_services = 7", "\xff",
        "requires", "x"};
    uint64_t seed = 20261122;
    int taken = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[600];
        struct bk_text out;
        struct config *c;

        bk_text_init(&out, text, sizeof text);

        for (int i = 0; i < 30; i++) {
            seed = seed * UINT64_C(6364136223846793005) +
                   UINT64_C(1442695040888963407);
            bk_text_put(&out, parts[(seed >> 33) % COUNT_OF(parts)]);
        }
        write_text(text);
        c = open_path(path);
        if (c != NULL)
            taken++;
        else
            assert_int_equal(strncmp(words, path, strlen(path)), 0);
        config_close(&c);
    }
    assert_true(taken < 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_there_are_the_defaults),
        TEST(the_stronger_source_wins),
        TEST(each_variable_reaches_its_key),
        TEST(the_first_of_two_variables_wins),
        TEST(a_bad_variable_is_named),
        TEST(bad_lines_are_told_with_their_place),
        TEST(limits_hold_at_their_edge),
        TEST(lines_and_files_are_bounded),
        TEST(octets_that_are_no_text_are_refused),
        TEST(files_that_are_none_are_refused),
        TEST(set_is_checked_before_it_changes_anything),
        TEST(unset_takes_a_value_back),
        TEST(nobody_requires_itself_by_default),
        TEST(names_and_settings_are_listed),
        TEST(reload_takes_all_or_nothing),
        TEST(tables_keep_the_size_they_started_with),
        TEST(any_octets_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
