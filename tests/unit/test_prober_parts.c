/* SPDX-License-Identifier: Apache-2.0
 *
 * The prober's parts that need no network: which addresses it connects to, what
 * breakerd and prober say to each other, when a service's turn comes. */
#include "daemon/prober/address.h"
#include "daemon/prober/message.h"
#include "daemon/prober/phase.h"
#include "unit.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static bool
is_allowed(const char *text, bool may_be_loopback)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_allowed((const struct sockaddr *)(void *)&v4,
                                  may_be_loopback);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_allowed((const struct sockaddr *)(void *)&v6,
                              may_be_loopback);
}

static void
some_addresses_are_never_allowed(void **state)
{
    (void)state;
    static const char *const barred[] = {
        "0.0.0.0",           "0.1.2.3",
        "169.254.169.254",   "169.254.0.0",
        "169.254.255.255",   "224.0.0.1",
        "239.255.255.255",   "240.0.0.1",
        "255.255.255.255",   "::",
        "fe80::1",           "febf::1",
        "fec0::1",           "ff02::1",
        "fd00:ec2::254",     "::ffff:169.254.169.254",
        "::169.254.169.254", "64:ff9b::a9fe:a9fe",
        "::ffff:0.0.0.0",    "::ffff:224.0.0.1"};
    for (size_t i = 0; i < sizeof(barred) / sizeof(barred[0]); i++) {
        assert_false(is_allowed(barred[i], false));
        assert_false(is_allowed(barred[i], true));
    }
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    assert_false(
        address_is_allowed((const struct sockaddr *)(void *)&local, true));
}

static void
ordinary_addresses_are(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "1.1.1.1",         "10.0.0.1",        "192.168.1.1",
        "172.16.0.1",      "169.253.255.255", "169.255.0.0",
        "223.255.255.255", "2606:4700::1111", "fd00::1",
        "fd00:ec2::253",   "::ffff:10.0.0.1", "64:ff9b::101:101"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        assert_true(is_allowed(fine[i], false));
}

static void
loopback_must_be_named(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1", "127.255.0.1", "::1",
                                           "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++) {
        assert_true(is_allowed(loopback[i], true));
        assert_false(is_allowed(loopback[i], false));
    }
    assert_true(address_names_loopback("localhost"));
    assert_true(address_names_loopback("LocalHost"));
    assert_true(address_names_loopback("127.0.0.1"));
    assert_true(address_names_loopback("127.9.9.9"));
    assert_true(address_names_loopback("[::1]"));
    assert_false(address_names_loopback("localhost.example.org"));
    assert_false(address_names_loopback("example.org"));
    assert_false(address_names_loopback("128.0.0.1"));
    assert_false(address_names_loopback("[::2]"));
    assert_false(address_names_loopback("[::1"));
    assert_false(address_names_loopback(""));
}

/* ---- messages ---- */

static struct message
full_event(void)
{
    struct message m = {.kind = MESSAGE_EVENT,
                        .seq = BK_NUMBER_END - 1,
                        .from = BK_OPEN,
                        .to = BK_HALF_OPEN,
                        .mode = BK_OBSERVE,
                        .cause = BK_CAUSE_RESTORED,
                        .generation = 7,
                        .at_ms = 1700000000123,
                        .until_ms = 0};
    memcpy(m.name, "gpt-4", 6);
    memcpy(m.actor, "0:0:17", 7);
    memcpy(m.text, " two  words ", 13);
    return m;
}

static void
expect_there_and_back(const struct message *m)
{
    char packet[MESSAGE_MAX];
    struct message back;
    int len = message_write(m, packet);
    assert_true(len > 0);
    assert_true(message_read(packet, (size_t)len, &back));
    assert_memory_equal(&back, m, sizeof(back));
    /* No part of it is a message as well, but for a text that is cut. */
    if (m->kind != MESSAGE_EVENT && m->kind != MESSAGE_RESULT)
        assert_false(message_read(packet, (size_t)len - 1, &back) &&
                     memcmp(&back, m, sizeof(back)) == 0);
}

static void
messages_come_back_as_they_were(void **state)
{
    (void)state;
    struct message event = full_event();
    struct message probe = {.kind = MESSAGE_PROBE,
                            .place = BK_CONFIG_SERVICES_MAX - 1,
                            .name = "a:b/c@d",
                            .url = "https://example.org/?a=b",
                            .interval_ms = 2592000000,
                            .timeout_ms = 10};
    struct message hook = {.kind = MESSAGE_HOOK,
                           .place = 15,
                           .name = "ops",
                           .format = BK_WEBHOOK_SLACK,
                           .url = "https://example.org/secret",
                           .services = "a,b"};
    struct message result = {.kind = MESSAGE_RESULT,
                             .place = 3,
                             .name = "llm",
                             .outcome = BK_TIMEOUT,
                             .latency_us = 17};
    expect_there_and_back(&event);
    memset(event.text, 0, sizeof(event.text));
    expect_there_and_back(&event);
    expect_there_and_back(&probe);
    expect_there_and_back(&hook);
    expect_there_and_back(&result);
    expect_there_and_back(&(struct message){.kind = MESSAGE_ALIVE});
    expect_there_and_back(&(struct message){.kind = MESSAGE_UNPROBE});
    expect_there_and_back(&(struct message){.kind = MESSAGE_UNHOOK});
    expect_there_and_back(&(struct message){.kind = MESSAGE_TROUBLE});
    expect_there_and_back(
        &(struct message){.kind = MESSAGE_TOLD, .sent = 1, .text = "x y"});
}

static void
what_cannot_be_said_is_not_written(void **state)
{
    (void)state;
    char packet[MESSAGE_MAX];
    struct message m = full_event();
    m.cause = BK_CAUSE_COUNT;
    assert_int_equal(message_write(&m, packet), -1);
    m = full_event();
    m.name[2] = ' ';
    assert_int_equal(message_write(&m, packet), -1);
    m.name[0] = '\0';
    assert_int_equal(message_write(&m, packet), -1);
    m = full_event();
    memset(m.text, 'x', sizeof(m.text)); /* without an end */
    assert_int_equal(message_write(&m, packet), -1);
}

static void
nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "alive ",
                                      "alive 1",
                                      "Alive",
                                      "unprobe",
                                      "unprobe ",
                                      "unprobe x",
                                      "unprobe -1",
                                      "unprobe 100000",
                                      "unprobe 1 2",
                                      "probe 1 a 1 1",
                                      "probe 1  1 1 http://a",
                                      "probe 1 a 1 1 http://a b",
                                      "result 1 a 3 0 x",
                                      "hook 16 a 0 http://a *",
                                      "hook 1 a 3 http://a *",
                                      "told 1 2",
                                      "told 1 2 99999999999999999999 x"};
    struct message m;
    char packet[MESSAGE_MAX + 1];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(message_read(bad[i], strlen(bad[i]), &m));
    assert_false(message_read("trouble a\0b", 11, &m));
    memset(packet, 'x', sizeof(packet));
    struct bk_text t;
    bk_text_init(&t, packet, sizeof(packet));
    bk_text_put(&t, "trouble ");
    packet[t.len] = 'x';
    assert_false(message_read(packet, 200, &m));
    assert_false(message_read(packet, sizeof(packet), &m));
}

/* ---- turns ---- */

static void
turns_are_spread_over_the_interval(void **state)
{
    (void)state;
    const int64_t interval_ns = SECONDS(5);
    unsigned tenths[10] = {0};
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "llm-%d", i);
        int64_t at_ns = phase_next(name, interval_ns, SECONDS(1000));
        assert_true(at_ns > SECONDS(1000));
        assert_true(at_ns <= SECONDS(1000) + interval_ns);
        tenths[at_ns % interval_ns / (interval_ns / 10)]++;
        /* The next turn is an interval later, however late one looks. */
        assert_true(phase_next(name, interval_ns, at_ns) ==
                    at_ns + interval_ns);
        assert_true(phase_next(name, interval_ns, at_ns + 7) ==
                    at_ns + interval_ns);
    }
    for (size_t i = 0; i < 10; i++)
        assert_in_range(tenths[i], 50, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_addresses_are_never_allowed),
        cmocka_unit_test(ordinary_addresses_are),
        cmocka_unit_test(loopback_must_be_named),
        cmocka_unit_test(messages_come_back_as_they_were),
        cmocka_unit_test(what_cannot_be_said_is_not_written),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(turns_are_spread_over_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
