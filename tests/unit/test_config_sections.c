/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections of a configuration that are no service's: routes and webhooks. */
#include "configs.h"
#include <stdio.h>
#include <unistd.h>

static void
bad_routes_are_told_with_their_place(void **state)
{
    (void)state;
    bad("[route r]\n[service a]\n", ":1: [route r] needs services = a, b, c");
    bad("[route r]\n", ":1: [route r] needs services = a, b, c");
    bad("[route r]\nservices =\n",
        ":2: \"\" is no service's name; write services = a, b, c");
    bad("[route r]\nservices = a, , b\n",
        ":2: \"\" is no service's name; write services = a, b, c");
    bad("[route r]\nservices = a b\n",
        ":2: \"a b\" is no service's name; write services = a, b, c");
    bad("[route r]\nservices = a, b, a\n", ":2: a is twice in this route");
    bad("[route r]\nservices = a, r\n",
        ":1: route r has a service's name (see r)");
    bad("[route r]\nservices = a\n[route s]\nservices = r\n",
        ":1: route r has a service's name (see s)");
    bad("[route r]\nservices = a\n[service r]\n",
        ":1: route r has a service's name (see a [service] section)");
    bad("[route r]\nservices = a\n[route r]\nservices = b\n",
        ":3: [route r] is already at line 1");
    bad("[route r]\nmembers = a\n",
        ":2: unknown key \"members\", the nearest for [route NAME] is "
        "services");
    bad("[route r]\nservices = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n",
        ":2: a route has at most 16 services");
    bad("[route r]\nservices = a\n[service b]\nrequires = r\n",
        ":3: b requires r, which is a route and no service");
    bad("[route r]\nservices = a\n[defaults]\nrequires = r\n",
        ":3: requires = r names a route, which is no service");
}

static void
bad_webhooks_are_told_with_their_place(void **state)
{
    (void)state;
    static const char neither[] =
        ":1: [webhook w] needs either url = https://... or url_file = /path";
    bad("[webhook]\nurl = http://a\n",
        ":1: a [webhook NAME] section needs a name");
    bad("[webhook w]\n", neither);
    bad("[webhook w]\nformat = slack\n[daemon]\n", neither);
    bad("[webhook w]\nurl = http://a\nurl_file = /b\n", neither);
    /* The address itself is not repeated: it is a secret. */
    bad("[webhook w]\nurl = ftp://secret\n",
        ":2: url is not an http:// or https:// address of at most 511 octets");
    bad("[webhook w]\nurl_file = relative\n",
        ":2: url_file is not the whole path of a file: /path/name");
    bad("[webhook w]\nurl = http://a\nformat = teams\n",
        ":3: format: \"teams\" is not generic, discord or slack");
    bad("[webhook w]\nurl = http://a\nservice = b\n",
        ":3: unknown key \"service\", the nearest for [webhook NAME] is "
        "services");
    bad("[webhook w]\nurl = http://a\nurl = http://b\n",
        ":3: url is already at line 2");
    bad("[webhook w]\nurl = http://a\nservices = b,b\n",
        ":3: b is twice in this webhook");
    bad("[webhook w]\nurl = http://a\nservices = *, b\n",
        ":3: \"*\" is no service's name; write services = a, b, c");
    bad("[webhook w]\nurl = http://a\n[webhook w]\nurl = http://a\n",
        ":3: [webhook w] is already at line 1");
    bad("[webhok w]\n",
        ":1: unknown section [webhok], the nearest is [webhook NAME]");
}

static void
webhooks_are_read_in_order(void **state)
{
    (void)state;
    uint32_t count;
    struct config *c = good("[webhook a]\n"
                            "url = https://example.org/x?y=z#t\n"
                            "[webhook b]\n"
                            "services = gpt-4, claude\n"
                            "format = discord\n"
                            "url = http://localhost:80/\n"
                            "[webhook c]\n"
                            "services = *\n"
                            "url = http://[::1]/\n");
    const struct bk_webhook *w = config_webhooks(c, &count);
    assert_int_equal(count, 3);
    assert_string_equal(w[0].name, "a");
    assert_string_equal(w[0].url, "https://example.org/x?y=z#t");
    assert_int_equal(w[0].format, BK_WEBHOOK_GENERIC);
    assert_int_equal(w[0].count, 0);
    assert_int_equal(w[1].format, BK_WEBHOOK_DISCORD);
    assert_int_equal(w[1].count, 2);
    assert_string_equal(w[1].services[1], "claude");
    assert_int_equal(w[2].count, 0);
    config_close(&c);
}

static void
an_address_may_stand_in_a_file_of_its_own(void **state)
{
    (void)state;
    uint32_t count;
    char text[256];
    char place[128];
    (void)snprintf(place, sizeof place, "%s/secret", directory);
    (void)snprintf(text, sizeof text, "[daemon]\n[webhook w]\nurl_file = %s\n",
                   place);
    write_text(text);
    assert_null(open_path(path));
    assert_refused(":2: [webhook w] url_file: cannot be read: No such file or "
                   "directory");
    FILE *f = fopen(place, "w");
    assert_non_null(f);
    (void)fputs("https://example.org/secret\n", f);
    assert_int_equal(fclose(f), 0);
    struct config *c = good(text);
    const struct bk_webhook *w = config_webhooks(c, &count);
    assert_int_equal(count, 1);
    assert_string_equal(w[0].url, "https://example.org/secret");
    config_close(&c);
    f = fopen(place, "a");
    assert_non_null(f);
    (void)fputs("https://example.org/another\n", f);
    assert_int_equal(fclose(f), 0);
    assert_null(open_path(path));
    assert_refused(":2: [webhook w] url_file: does not hold an http:// or "
                   "https:// address alone");
    assert_int_equal(unlink(place), 0);
}

static void
routes_are_read_in_order(void **state)
{
    struct config *c =
        good("[route cheap]\n services = a ,b,\tc \n[route one]\nservices=x\n");
    uint32_t count;
    const struct bk_route *routes = config_routes(c, &count);

    (void)state;
    assert_int_equal(count, 2);
    assert_string_equal(routes[0].name, "cheap");
    assert_int_equal(routes[0].count, 3);
    assert_string_equal(routes[0].members[0], "a");
    assert_string_equal(routes[0].members[1], "b");
    assert_string_equal(routes[0].members[2], "c");
    assert_string_equal(routes[1].name, "one");
    assert_int_equal(routes[1].count, 1);
    assert_string_equal(routes[1].members[0], "x");
    config_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_routes_are_told_with_their_place),
        TEST(bad_webhooks_are_told_with_their_place),
        TEST(webhooks_are_read_in_order),
        TEST(an_address_may_stand_in_a_file_of_its_own),
        TEST(routes_are_read_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
