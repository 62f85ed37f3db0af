/* SPDX-License-Identifier: Apache-2.0
 *
 * The text for Prometheus, octet by octet. */
#include "fleets.h"
#include "maps.h"
#include "tools/metrics_axis.h"
#include "unit.h"
#include <stdlib.h>

static char *text;

static void
render(const struct view *v, enum metrics_dialect dialect)
{
    size_t len;
    free(text);
    text = metrics_text(v, dialect, &len);
    assert_int_equal(strlen(text), len);
}

static void
assert_line(const char *line)
{
    const char *at = strstr(text, line);
    if (at == NULL || (at != text && at[-1] != '\n') ||
        at[strlen(line)] != '\n')
        fail_msg("no line \"%s\" in\n%s", line, text);
}

static void
nothing_to_read_is_down(void **state)
{
    (void)state;
    render(NULL, METRICS_RESILIENCE4J);
    assert_string_equal(text, "");
    render(NULL, METRICS_NATIVE);
    assert_line("# TYPE breakerd_up gauge");
    assert_line("breakerd_up 0");
    assert_null(strstr(text, "breakerd_build_info"));
}

/* The daemon's version comes from shared memory as it is. */
static void
labels_are_escaped(void **state)
{
    struct view v = {.version = "1\"2\\3\n\x80", .now_ns = SECONDS(9)};
    (void)state;
    begin_fleet(4, 4, 4, 0);
    map();
    v.segment = segment;
    render(&v, METRICS_NATIVE);
    assert_line("breakerd_build_info{version=\"1\\\"2\\\\3??\"} 1");
    assert_line("breakerd_services 0");
    assert_line("# TYPE breakerd_calls_total counter");
    assert_null(strstr(text, "breakerd_calls_total{"));
}

static void
numbers_are_exact(void **state)
{
    struct view v = {.version = "1", .now_ns = SECONDS(3)};
    (void)state;
    begin_fleet(4, 4, 4, 0);
    map();
    assert_int_equal(order("b", BK_FORCED_OPEN, SECONDS(1)), BK_OK);
    report("a", BK_SUCCESS, SECONDS(1));
    bk_fleet_tally(fleet, SECONDS(1), "a", 1, true, BK_NUMBER_END - 1,
                   BK_DENY_NONE);
    publish();
    v.segment = segment;
    render(&v, METRICS_NATIVE);
    assert_line("breakerd_calls_allowed_total{service=\"a\"} 9007199254740991");
    assert_line("breakerd_circuit_open_seconds_total{service=\"b\"} 2");
    assert_line("breakerd_call_duration_seconds_sum{service=\"a\"} 0.005");
    assert_line(
        "breakerd_circuit_override_until_timestamp_seconds{service=\"b\"} "
        "+Inf");
    /* By name, and a family's samples together. */
    assert_non_null(strstr(text, "breakerd_circuit_state{service=\"a\"} 0\n"
                                 "breakerd_circuit_state{service=\"b\"} 1\n"
                                 "# HELP "));
}

static int
end_text(void **state)
{
    free(text);
    text = NULL;
    return end_map(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_read_is_down),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(numbers_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, end_text);
}
