/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_request.h"
#include "unit.h"
#include <string.h>

static const struct web_hosts hosts = {.names = {"breaker.example"},
                                       .count = 1,
                                       .ports = {9465, 9466},
                                       .port_count = 2};

static bool
is_allowed(const struct web_hosts *h, const char *host)
{
    return web_host_is_allowed(h, host, strlen(host));
}

static void
its_own_names_are_allowed(void **state)
{
    static const char *const good[] = {
        "127.0.0.1:9465",  "127.0.0.1:9466",      "[::1]:9465",
        "localhost:9465",  "LocalHost:9466",      "breaker.example",
        "Breaker.Example", "breaker.example:8443"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(is_allowed(&hosts, good[i]));
}

static void
other_names_are_not(void **state)
{
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "evil.example:9465",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:9467",
                                      "127.0.0.1:94650",
                                      "127.0.0.1:9465:9465",
                                      "127.0.0.1:9465 ",
                                      " 127.0.0.1:9465",
                                      "127.0.0.1.:9465",
                                      "localhost.:9465",
                                      "localhost.evil.example:9465",
                                      "evil@localhost:9465",
                                      "[::1]",
                                      "[::1",
                                      "[::1]9465",
                                      "::1:9465",
                                      "[::2]:9465",
                                      "breaker.example:",
                                      "breaker.example:x",
                                      "breaker.example:65536",
                                      "breaker.example:1:2",
                                      "abreaker.example",
                                      "127.0.0.1:+9465"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (is_allowed(&hosts, bad[i]))
            fail_msg("\"%s\" is allowed", bad[i]);
    }
    assert_false(web_host_is_allowed(&hosts, "localhost:9465\0x", 16));
}

static void
a_socket_file_needs_no_port(void **state)
{
    const struct web_hosts local = {.takes_no_port = true};

    (void)state;
    assert_true(is_allowed(&local, "localhost"));
    assert_false(is_allowed(&local, "localhost:80"));
    assert_false(is_allowed(&local, "evil.example"));
}

static bool
read_target(const char *text, struct web_target *t)
{
    return web_target_read(text, strlen(text), t);
}

static void
paths_are_compared_as_they_came(void **state)
{
    static const char *const others[] = {
        "/healthz/",    "//healthz",     "/./healthz", "/x/../healthz",
        "/%68ealthz",   "/healthz%00",   "/HEALTHZ",   "/healthz;x",
        "/healthz%3Fx", "/healthz#here", "/health"};
    struct web_target t;

    (void)state;
    assert_true(read_target("/healthz", &t));
    assert_true(web_target_is(&t, "/healthz"));
    assert_true(read_target("/healthz?", &t));
    assert_true(web_target_is(&t, "/healthz"));
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        assert_true(read_target(others[i], &t));
        assert_false(web_target_is(&t, "/healthz"));
    }
}

static void
what_is_no_path_is_refused(void **state)
{
    static const char *const bad[] = {"",          "healthz", "*",
                                      "http://x/", "/a b",    "/a\tb",
                                      "/\xc3\xa4", "/a\x7f"};
    char longest[WEB_TARGET_MAX + 2];
    struct web_target t;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(read_target(bad[i], &t));
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    assert_true(web_target_read(longest, WEB_TARGET_MAX, &t));
    assert_false(web_target_read(longest, WEB_TARGET_MAX + 1, &t));
}

static void
parameters_are_read(void **state)
{
    static const char *const keys[] = {"service", "limit", NULL};
    char value[WEB_VALUE_SIZE];
    struct web_target t;

    (void)state;
    assert_true(read_target("/x?service=a%2Fb%3a&limit=3", &t));
    assert_int_equal(web_target_value(&t, "service", value), WEB_VALUE_GIVEN);
    assert_string_equal(value, "a/b:");
    assert_int_equal(web_target_value(&t, "limit", value), WEB_VALUE_GIVEN);
    assert_string_equal(value, "3");
    assert_int_equal(web_target_value(&t, "other", value), WEB_VALUE_ABSENT);
    assert_true(web_target_knows(&t, keys));
    assert_false(web_target_knows(&t, keys + 1));
    assert_true(read_target("/x?service", &t));
    assert_int_equal(web_target_value(&t, "service", value), WEB_VALUE_GIVEN);
    assert_string_equal(value, "");
    assert_true(read_target("/x", &t));
    assert_int_equal(web_target_value(&t, "service", value), WEB_VALUE_ABSENT);
    assert_true(web_target_knows(&t, keys));
}

static void
faulty_parameters_are_refused(void **state)
{
    static const char *const bad[] = {"/x?s=a&s=b", "/x?s=%",     "/x?s=%4",
                                      "/x?s=%zz",   "/x?s=a%00b", "/x?s=%0a",
                                      "/x?s=%7f",   "/x?s&s"};
    char value[WEB_VALUE_SIZE];
    char text[WEB_VALUE_SIZE + 8] = "/x?s=";
    struct web_target t;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_true(read_target(bad[i], &t));
        if (web_target_value(&t, "s", value) != WEB_VALUE_BAD)
            fail_msg("%s is taken", bad[i]);
        assert_string_equal(value, "");
    }
    memset(text + 5, 'a', WEB_VALUE_SIZE - 1);
    assert_true(read_target(text, &t));
    assert_int_equal(web_target_value(&t, "s", value), WEB_VALUE_GIVEN);
    text[WEB_VALUE_SIZE + 4] = 'a';
    assert_true(read_target(text, &t));
    assert_int_equal(web_target_value(&t, "s", value), WEB_VALUE_BAD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own_names_are_allowed),
        cmocka_unit_test(other_names_are_not),
        cmocka_unit_test(a_socket_file_needs_no_port),
        cmocka_unit_test(paths_are_compared_as_they_came),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(parameters_are_read),
        cmocka_unit_test(faulty_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
