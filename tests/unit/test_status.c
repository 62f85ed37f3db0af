/* SPDX-License-Identifier: Apache-2.0 */
#include "core/status.h"
#include "policies.h"
#include "unit.h"

static char room[4096];
static struct bk_text text;
static struct bk_json json;
static struct bk_policy p;
static struct bk_breaker b;

static void
begin(const char *settings)
{
    p = policy_with(settings);
    bk_breaker_init(&b, &p, SECONDS(1), 0);
    bk_text_init(&text, room, sizeof(room));
    bk_json_init(&json, &text);
}

static const char *
row_with(const struct bk_evidence *evidence, int64_t now_ns)
{
    struct bk_status_service s = {.name = "gpt-4",
                                  .breaker = &b,
                                  .policy = &p,
                                  .evidence = evidence,
                                  .now_ns = now_ns};
    bk_text_init(&text, room, sizeof(room));
    bk_json_init(&json, &text);
    bk_status_row(&json, &s);
    assert_false(text.is_cut);
    return room;
}

static const char *
row(int64_t now_ns)
{
    return row_with(NULL, now_ns);
}

static void
expect_field(const char *json_text, const char *field)
{
    if (strstr(json_text, field) == NULL)
        fail_msg("%s is not in %s", field, json_text);
}

static void
a_document_names_the_daemon(void **state)
{
    struct bk_status_daemon d = {.is_running = true,
                                 .pid = 1,
                                 .version = "0.1.0",
                                 .epoch = 7,
                                 .uptime_ns = MS(12300) + 999999,
                                 .services = 1,
                                 .workers = 2};
    (void)state;
    begin("");
    bk_status_begin(&json, &d);
    bk_status_end(&json);
    assert_string_equal(room,
                        "{\"schema\":1,\"daemon\":{\"running\":true,\"pid\":1,"
                        "\"version\":\"0.1.0\",\"epoch\":7,\"uptime_s\":12.3,"
                        "\"services\":1,\"workers\":2},\"services\":[]}");
    d = (struct bk_status_daemon){.version = NULL};
    begin("");
    bk_status_begin(&json, &d);
    bk_status_end(&json);
    expect_field(room, "\"running\":false,\"pid\":0,\"version\":null");
    expect_field(room, "\"uptime_s\":0.0,");
}

static void
a_service_never_used_shows_zeros(void **state)
{
    (void)state;
    begin("");
    assert_string_equal(
        row(SECONDS(1)),
        "{\"name\":\"gpt-4\",\"state\":\"closed\",\"mode\":\"auto\","
        "\"reason\":\"none\",\"generation\":0,\"since_ms\":0,"
        "\"retry_after_ms\":0,\"hold_ms\":0,\"consecutive_failures\":0,"
        "\"failed_rounds\":0,\"ramp_step\":0,\"window\":{\"calls\":0,"
        "\"failures\":0,\"slow\":0,\"failure_rate\":0,\"slow_rate\":0},"
        "\"permits\":{\"in_use\":0,\"limit\":0},\"override\":null,"
        "\"retry_budget\":{\"balance\":10.0,\"granted\":0,\"denied\":0},"
        "\"counters\":{\"allowed\":0,\"denied\":0,\"would_deny\":0,"
        "\"success\":0,\"failure\":0,\"timeout\":0,\"rate_limited\":0,"
        "\"rejected\":0,\"critical\":0,\"cancelled\":0,\"stale\":0,"
        "\"opened\":0}}");
}

static void
step(struct bk_event event, int64_t now_ns)
{
    uint64_t seed = 1;
    event.now_ns = now_ns;
    event.random = &seed;
    bk_breaker_step(&b, &p, &event);
}

static void
an_open_service_tells_what_remains(void **state)
{
    struct bk_event e = {.kind = BK_EV_REPORT};
    (void)state;
    begin("failure_threshold=2 window=3calls");
    e.u.report.outcome = BK_SUCCESS;
    step(e, SECONDS(1));
    e.u.report.outcome = BK_FAILURE;
    step(e, SECONDS(1));
    step(e, SECONDS(1));
    row(SECONDS(2) + MS(200) - 1);
    expect_field(room, "\"state\":\"open\",\"mode\":\"auto\","
                       "\"reason\":\"consecutive_failures\",\"generation\":1,"
                       "\"since_ms\":1200,\"retry_after_ms\":58801,"
                       "\"hold_ms\":0,\"consecutive_failures\":2,");
    expect_field(room, "\"window\":{\"calls\":3,\"failures\":2,\"slow\":0,"
                       "\"failure_rate\":0.666667,\"slow_rate\":0}");
    expect_field(room, "\"permits\":{\"in_use\":0,\"limit\":1}");
    expect_field(room, "\"opened\":1}");
}

static void
a_hold_shows_while_closed(void **state)
{
    (void)state;
    begin("");
    b.hold.until_ns = SECONDS(5);
    row(SECONDS(3) + 1);
    expect_field(room, "\"state\":\"closed\"");
    expect_field(room, "\"retry_after_ms\":2000,\"hold_ms\":2000,");
    row(SECONDS(5));
    expect_field(room, "\"retry_after_ms\":0,\"hold_ms\":0,");
}

static void
an_override_tells_who_and_how_long(void **state)
{
    struct bk_event e = {.kind = BK_EV_ORDER};
    (void)state;
    begin("");
    e.u.order.mode = BK_FORCED_OPEN;
    e.u.order.duration_ns = SECONDS(2);
    e.u.order.reason = "main\ntenance";
    e.u.order.reason_len = 12;
    e.u.order.actor = "0:0:4711";
    step(e, SECONDS(1));
    row(SECONDS(2));
    expect_field(room, "\"mode\":\"forced_open\",\"reason\":\"operator\"");
    expect_field(room, "\"retry_after_ms\":1000,");
    expect_field(room, "\"override\":{\"mode\":\"forced_open\","
                       "\"reason\":\"main\\ntenance\",\"actor\":\"0:0:4711\","
                       "\"expires_ms\":1000}");
    e.u.order.duration_ns = BK_NEVER;
    step(e, SECONDS(2));
    row(SECONDS(2));
    expect_field(room, "\"retry_after_ms\":0,");
    expect_field(room, "\"expires_ms\":null}");
    /* Text that fills its field has no end mark. */
    memset(b.override.reason, 'x', sizeof(b.override.reason));
    row(SECONDS(2));
    expect_field(room, "x\",\"actor\":\"0:0:4711\"");
}

static void
evidence_comes_newest_first(void **state)
{
    struct bk_evidence e[BK_EVIDENCE_COUNT] = {
        {.at_ns = SECONDS(3),
         .latency_ns = MS(812),
         .pid = 4711,
         .outcome = BK_FAILURE,
         .worker = "bot-3",
         .text = "503"},
        {.at_ns = SECONDS(9), .outcome = BK_SUCCESS}, /* empty */
        {.at_ns = SECONDS(4), .latency_ns = -1, .outcome = BK_TIMEOUT},
        {.at_ns = SECONDS(5), .outcome = BK_OUTCOME_COUNT},
    };
    (void)state;
    begin("");
    row_with(e, SECONDS(4) + MS(204));
    expect_field(room,
                 "\"opened\":0},\"evidence\":[{\"worker\":\"\",\"pid\":0,"
                 "\"outcome\":\"timeout\",\"latency_ms\":null,\"age_ms\":204,"
                 "\"text\":\"\"},{\"worker\":\"bot-3\",\"pid\":4711,"
                 "\"outcome\":\"failure\",\"latency_ms\":812,\"age_ms\":1204,"
                 "\"text\":\"503\"}]}");
    for (int i = 0; i < BK_EVIDENCE_COUNT; i++)
        e[i] = (struct bk_evidence){.at_ns = i, .outcome = BK_FAILURE};
    row_with(e, MS(1));
    size_t shown = 0;
    for (const char *s = room; (s = strstr(s, "\"worker\"")) != NULL; s++)
        shown++;
    assert_int_equal(shown, BK_EVIDENCE_COUNT);
    memset(e, 0, sizeof(e));
    row_with(e, MS(1));
    expect_field(room, "\"evidence\":[]}");
}

static void
a_budget_shows_fractions(void **state)
{
    (void)state;
    begin("retry_min_per_sec=0 retry_ratio=0.75");
    bk_budget_deposit(&b.budget, &p, SECONDS(1));
    b.budget.granted = 3;
    b.budget.denied = 4;
    row(SECONDS(1));
    expect_field(room, "\"retry_budget\":{\"balance\":0.75,\"granted\":3,"
                       "\"denied\":4}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_names_the_daemon),
        cmocka_unit_test(a_service_never_used_shows_zeros),
        cmocka_unit_test(an_open_service_tells_what_remains),
        cmocka_unit_test(a_hold_shows_while_closed),
        cmocka_unit_test(an_override_tells_who_and_how_long),
        cmocka_unit_test(evidence_comes_newest_first),
        cmocka_unit_test(a_budget_shows_fractions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
