/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of docs/classification.md, row by row. */
#define _GNU_SOURCE
#include "breaker/classify.h"
#include "unit.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>

static struct breaker_result
answer(int status, const char *headers, const char *body)
{
    struct breaker_http http = BREAKER_HTTP_INIT;
    struct breaker_result result = BREAKER_RESULT_INIT;

    http.status = status;
    http.headers = headers;
    http.headers_len = headers != NULL ? strlen(headers) : 0;
    http.body = body;
    http.body_len = body != NULL ? strlen(body) : 0;
    http.now_s = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
    breaker_classify_http(&http, &result);
    assert_int_equal(result.size, sizeof result);
    assert_int_equal(result.code, status);
    return result;
}

static void
check(int status, const char *body, enum breaker_outcome outcome,
      enum breaker_error_class class)
{
    struct breaker_result r = answer(status, NULL, body);

    if (r.outcome != (uint32_t)outcome || r.error_class != (uint32_t) class)
        fail_msg("%d %s: %s %s, not %s %s", status, body != NULL ? body : "",
                 breaker_outcome_name((int)r.outcome),
                 breaker_class_name((int)r.error_class),
                 breaker_outcome_name((int)outcome),
                 breaker_class_name((int)class));
}

static void
a_status_alone(void **state)
{
    (void)state;
    check(200, NULL, BREAKER_SUCCESS, BREAKER_CLASS_NONE);
    check(204, NULL, BREAKER_SUCCESS, BREAKER_CLASS_NONE);
    check(304, NULL, BREAKER_SUCCESS, BREAKER_CLASS_NONE);
    check(400, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(401, NULL, BREAKER_CRITICAL, BREAKER_CLASS_AUTH);
    check(402, NULL, BREAKER_CRITICAL, BREAKER_CLASS_BILLING);
    check(403, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(404, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(408, NULL, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT);
    check(422, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(425, NULL, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    check(429, NULL, BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT);
    check(500, NULL, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    check(501, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(502, NULL, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    check(503, NULL, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    check(504, NULL, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT);
    check(505, NULL, BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
    check(520, NULL, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    check(524, NULL, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT);
    check(529, NULL, BREAKER_FAILURE, BREAKER_CLASS_OVERLOADED);
    check(0, NULL, BREAKER_FAILURE, BREAKER_CLASS_OTHER);
    check(999, NULL, BREAKER_FAILURE, BREAKER_CLASS_OTHER);
    /* A proxy or a hotel's network: our own. */
    check(407, NULL, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL);
    check(511, NULL, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL);
    assert_int_equal(answer(407, NULL, NULL).flags, BREAKER_RESULT_LOCAL);
}

/* The shape of OpenAI's errors: one object within "error". */
static void
bodies_of_openai(void **state)
{
    (void)state;
    check(400,
          "{\"error\": {\"message\": \"This model's maximum context length is "
          "8192 tokens.\", \"type\": \"invalid_request_error\", \"param\": "
          "\"messages\", \"code\": \"context_length_exceeded\"}}",
          BREAKER_REJECTED, BREAKER_CLASS_CONTEXT_LENGTH);
    check(
        429,
        "{\"error\":{\"message\":\"You exceeded your current quota\",\"type\":"
        "\"insufficient_quota\",\"param\":null,\"code\":"
        "\"insufficient_quota\"}}",
        BREAKER_CRITICAL, BREAKER_CLASS_BILLING);
    check(
        429,
        "{\"error\":{\"code\":\"billing_hard_limit_reached\",\"type\":\"x\"}}",
        BREAKER_CRITICAL, BREAKER_CLASS_BILLING);
    check(429,
          "{\"error\":{\"message\":\"Rate limit reached for your account\","
          "\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}",
          BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT);
    check(401,
          "{\"error\":{\"type\":\"invalid_request_error\",\"code\":"
          "\"invalid_api_key\"}}",
          BREAKER_CRITICAL, BREAKER_CLASS_AUTH);
    check(400, "{\"error\":{\"code\":\"invalid_api_key\"}}", BREAKER_CRITICAL,
          BREAKER_CLASS_AUTH);
    check(503, "{\"error\":{\"type\":\"server_error\",\"code\":null}}",
          BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    /* Wrapped in an array. */
    check(400,
          "[{\"error\":{\"code\":400,\"message\":\"API key not valid.\"}}]",
          BREAKER_CRITICAL, BREAKER_CLASS_AUTH);
}

static void
bodies_of_anthropic(void **state)
{
    (void)state;
    check(529,
          "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
          "\"message\":\"Overloaded\"}}",
          BREAKER_FAILURE, BREAKER_CLASS_OVERLOADED);
    check(500, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
          BREAKER_FAILURE, BREAKER_CLASS_OVERLOADED);
    check(429,
          "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
          "\"message\":\"This request would exceed your account's limit\"}}",
          BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT);
    check(400,
          "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
          "\"message\":\"Your credit balance is too low\"}}",
          BREAKER_CRITICAL, BREAKER_CLASS_BILLING);
    check(400,
          "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
          "\"message\":\"prompt is too long: 210000 tokens > 200000\"}}",
          BREAKER_REJECTED, BREAKER_CLASS_CONTEXT_LENGTH);
    check(413, "{\"error\":{\"type\":\"request_too_large\"}}", BREAKER_REJECTED,
          BREAKER_CLASS_CONTEXT_LENGTH);
    check(
        403,
        "{\"error\":{\"type\":\"permission_error\",\"message\":\"Your API key "
        "does not have permission\"}}",
        BREAKER_CRITICAL, BREAKER_CLASS_AUTH);
    check(403, "{\"message\":\"Billing is disabled\"}", BREAKER_CRITICAL,
          BREAKER_CLASS_BILLING);
}

static void
bodies_of_ollama(void **state)
{
    (void)state;
    check(404, "{\"error\":\"model 'llama9' not found\"}", BREAKER_REJECTED,
          BREAKER_CLASS_REQUEST);
    check(500, "{\"error\":\"input exceeds the context length\"}",
          BREAKER_REJECTED, BREAKER_CLASS_CONTEXT_LENGTH);
    check(503, "{\"error\":\"server busy, please try again\"}", BREAKER_FAILURE,
          BREAKER_CLASS_OVERLOADED);
    check(500, "{\"error\":\"llama runner has terminated\"}", BREAKER_FAILURE,
          BREAKER_CLASS_SERVER);
}

static void
limits_of_discord(void **state)
{
    struct breaker_result r;

    (void)state;
    r = answer(429, "HTTP/1.1 429 x\r\nRetry-After: 65\r\n",
               "{\"message\": \"You are being rate limited.\", "
               "\"retry_after\": 64.57, \"global\": false}");
    assert_int_equal(r.outcome, BREAKER_RATE_LIMITED);
    assert_int_equal(r.flags, BREAKER_RESULT_DELAY_ONLY);
    assert_int_equal(r.retry_after_ms, 64570);
    r = answer(429, NULL, "{\"retry_after\": 0.30000001192, \"global\": true}");
    assert_int_equal(r.flags, 0);
    assert_int_equal(r.retry_after_ms, 301);
    r = answer(429, "x-ratelimit-bucket: abc\r\nX-RateLimit-Scope: user\r\n",
               "");
    assert_int_equal(r.flags, BREAKER_RESULT_DELAY_ONLY);
    r = answer(429, "x-ratelimit-bucket: abc\nX-RateLimit-Scope: global\n", "");
    assert_int_equal(r.flags, 0);
    check(403, "{\"message\": \"Missing Permissions\", \"code\": 50013}",
          BREAKER_REJECTED, BREAKER_CLASS_REQUEST);
}

static int64_t
after(const char *text)
{
    return breaker_retry_after_ms(text, strlen(text), 784111777);
}

static void
every_form_of_retry_after(void **state)
{
    const int64_t day = (int64_t)BREAKER_RETRY_AFTER_MAX_MS;

    (void)state;
    assert_int_equal(after("0"), 0);
    assert_int_equal(after("1"), 1000);
    assert_int_equal(after(" 120 \r\n"), 120000);
    assert_int_equal(after("1.5"), 1500);
    assert_int_equal(after("0.0001"), 1);
    assert_int_equal(after("86401"), day);
    assert_int_equal(after("99999999999999999999999999999"), day);
    assert_int_equal(after("Sun, 06 Nov 1994 08:49:40 GMT"), 3000);
    assert_int_equal(after("Sunday, 06-Nov-94 08:49:40 GMT"), 3000);
    assert_int_equal(after("Sun Nov  6 08:49:40 1994"), 3000);
    assert_int_equal(after("Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(after("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    assert_int_equal(after("Fri, 31 Dec 9999 23:59:59 GMT"), day);
    assert_int_equal(
        breaker_retry_after_ms("Thu, 29 Feb 2024 00:00:01 GMT", 29, 1709164800),
        1000);
}

static void
garbage_is_no_retry_after(void **state)
{
    static const char *const garbage[] = {"",
                                          " ",
                                          "-1",
                                          "+1",
                                          "soon",
                                          "1s",
                                          "1 2",
                                          "0x10",
                                          "1.",
                                          ".5",
                                          "1e3",
                                          "nan",
                                          "inf",
                                          "1,5",
                                          "Sun, 06 Nov 1994 08:49:37",
                                          "Sun, 32 Nov 1994 08:49:37 GMT",
                                          "Sun, 06 Nov 1994 24:49:37 GMT",
                                          "Sun, 00 Nov 1994 08:49:37 GMT",
                                          "Sun, 06 Foo 1994 08:49:37 GMT",
                                          "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                          "Sunday, 06-Nov-1994 08:49:37 GMT",
                                          "Sun Nov 6 08:49:37 1994"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(garbage); i++)
        if (after(garbage[i]) != -1)
            fail_msg("'%s' is %ld ms", garbage[i], (long)after(garbage[i]));
    assert_int_equal(breaker_retry_after_ms(NULL, 0, 0), -1);
}

static uint64_t
wait_of(int status, const char *headers, const char *body)
{
    return answer(status, headers, body).retry_after_ms;
}

static void
who_is_believed(void **state)
{
    (void)state;
    assert_int_equal(wait_of(429, "Retry-After: 2\r\n", NULL), 2000);
    assert_int_equal(wait_of(503, "RETRY-AFTER:2\n", NULL), 2000);
    assert_int_equal(answer(503, "Retry-After: 2", NULL).error_class,
                     BREAKER_CLASS_OVERLOADED);
    /* Finer goes first, garbage is passed over. */
    assert_int_equal(
        wait_of(429, "Retry-After: 2\r\nretry-after-ms: 1234\r\n", NULL), 1234);
    assert_int_equal(
        wait_of(429, "retry-after: 2\r\nretry-after-ms: soon\r\n", NULL), 2000);
    assert_int_equal(wait_of(429, "Retry-After: soon\r\n", NULL), 0);
    /* The last line, and the last block. */
    assert_int_equal(wait_of(429, "Retry-After: 2\r\nRetry-After: 3\r\n", NULL),
                     3000);
    assert_int_equal(wait_of(429,
                             "HTTP/1.1 302 Found\r\nRetry-After: 9\r\n\r\n"
                             "HTTP/1.1 429 No\r\nServer: x\r\n\r\n",
                             NULL),
                     0);
    /* A body that contradicts its header is not believed. */
    assert_int_equal(
        wait_of(429, "Retry-After: 2\r\n", "{\"retry_after\":4000}"), 2000);
    assert_int_equal(wait_of(429, "", "{\"retry_after\":1.5}"), 1500);
    assert_int_equal(wait_of(429, "", "{\"retry_after\":\"x\"}"), 0);
    /* Dates go by the upstream's own clock, if it shows it. */
    assert_int_equal(wait_of(429,
                             "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n"
                             "Retry-After: Mon, 01 Jan 2001 00:00:05 GMT\r\n",
                             NULL),
                     5000);
    assert_int_equal(
        wait_of(429, "Retry-After: Sun, 06 Nov 1994 08:49:40 GMT\r\n", NULL),
        3000);
    /* What is not tried again has no time to wait for. */
    assert_int_equal(wait_of(400, "Retry-After: 2\r\n", NULL), 0);
    assert_int_equal(wait_of(429, "Retry-After: 2\r\n",
                             "{\"error\":{\"code\":\"insufficient_quota\"}}"),
                     0);
}

static void
bodies_that_are_none(void **state)
{
    static const char *const bodies[] = {
        "<html>api key billing account</html>",
        "{",
        "{\"",
        "{\"error",
        "{}}}",
        "[[[[",
        "{\"error\":{\"code\":\"insufficient_quo",
        "\"insufficient_quota\"",
        "{\"other\":{\"code\":\"insufficient_quota\"}}",
        "{\"error\":{\"inner\":{\"code\":\"insufficient_quota\"}}}",
        "{\"error\":[\"insufficient_quota\"]}",
        "{\"\\u00",
        "{:::::",
        "{\"a\":\x01}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        check(429, bodies[i], BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT);
}

static void
a_body_has_bounds(void **state)
{
    size_t size = (size_t)4 * BREAKER_CLASSIFY_BODY_MAX;
    char *body = malloc(size + 1);

    (void)state;
    assert_non_null(body);
    memset(body, '[', size);
    body[size] = '\0';
    check(500, body, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    memcpy(body, "{\"error\":", 9);
    check(500, body, BREAKER_FAILURE, BREAKER_CLASS_SERVER);
    /* What stands behind the bound is not looked at. */
    memset(body, ' ', size);
    memcpy(body, "{", 1);
    memcpy(body + size - 40, "\"error\":{\"code\":\"insufficient_quota\"}}  ",
           39);
    check(429, body, BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT);
    free(body);
}

static void
the_text_has_no_words_of_users(void **state)
{
    struct breaker_result r;

    (void)state;
    r = answer(429, NULL, "{\"error\":{\"code\":\"insufficient_quota\"}}");
    assert_string_equal(r.text, "HTTP 429 insufficient_quota");
    r = answer(401, NULL, "{\"error\":{\"message\":\"bad key sk-abc\"}}");
    assert_string_equal(r.text, "HTTP 401");
    assert_string_equal(answer(200, NULL, NULL).text, "");
}

static void
codes_of_libcurl(void **state)
{
    static const struct {
        int code, os_error;
        enum breaker_outcome outcome;
        enum breaker_error_class class;
    } rows[] = {
        {CURLE_OK, 0, BREAKER_SUCCESS, BREAKER_CLASS_NONE},
        {CURLE_COULDNT_CONNECT, ECONNREFUSED, BREAKER_FAILURE,
         BREAKER_CLASS_NETWORK},
        {CURLE_COULDNT_CONNECT, EMFILE, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
        {CURLE_COULDNT_CONNECT, EADDRNOTAVAIL, BREAKER_CANCELLED,
         BREAKER_CLASS_LOCAL},
        {CURLE_RECV_ERROR, ECONNRESET, BREAKER_FAILURE, BREAKER_CLASS_NETWORK},
        {CURLE_PARTIAL_FILE, 0, BREAKER_FAILURE, BREAKER_CLASS_NETWORK},
        {CURLE_GOT_NOTHING, 0, BREAKER_FAILURE, BREAKER_CLASS_NETWORK},
        {CURLE_OPERATION_TIMEDOUT, 0, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT},
        {CURLE_COULDNT_RESOLVE_HOST, 0, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
        {CURLE_OUT_OF_MEMORY, 0, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
        {CURLE_URL_MALFORMAT, 0, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
        {CURLE_BAD_FUNCTION_ARGUMENT, 0, BREAKER_CANCELLED,
         BREAKER_CLASS_LOCAL},
        {CURLE_WRITE_ERROR, 0, BREAKER_CANCELLED, BREAKER_CLASS_CANCELLED},
        {CURLE_TOO_MANY_REDIRECTS, 0, BREAKER_REJECTED, BREAKER_CLASS_REQUEST},
        {CURLE_LOGIN_DENIED, 0, BREAKER_CRITICAL, BREAKER_CLASS_AUTH},
        {12345, 0, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
        {-1, 0, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct breaker_result r = BREAKER_RESULT_INIT;

        breaker_classify_curl(rows[i].code, rows[i].os_error, &r);
        assert_int_equal(r.outcome, rows[i].outcome);
        assert_int_equal(r.error_class, rows[i].class);
        assert_int_equal(r.code, rows[i].code);
        assert_int_equal(r.flags, rows[i].class == BREAKER_CLASS_LOCAL
                                      ? BREAKER_RESULT_LOCAL
                                      : 0);
    }
}

static void
numbers_of_the_system(void **state)
{
    struct breaker_result r = BREAKER_RESULT_INIT;

    (void)state;
    breaker_classify_errno(ECONNREFUSED, &r);
    assert_int_equal(r.outcome, BREAKER_FAILURE);
    breaker_classify_errno(ETIMEDOUT, &r);
    assert_int_equal(r.outcome, BREAKER_TIMEOUT);
    breaker_classify_errno(EMFILE, &r);
    assert_int_equal(r.flags, BREAKER_RESULT_LOCAL);
    breaker_classify_errno(0, &r);
    assert_int_equal(r.outcome, BREAKER_SUCCESS);
    assert_int_equal(r.flags, 0);
}

static void
words_are_cut_and_known(void **state)
{
    struct breaker_result r = BREAKER_RESULT_INIT;
    char longer[200];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    breaker_result_set(&r, BREAKER_FAILURE, BREAKER_CLASS_SERVER, longer);
    assert_int_equal(strlen(r.text), BREAKER_RESULT_TEXT - 1);
    assert_string_equal(breaker_class_name(BREAKER_CLASS_RATE_LIMIT),
                        "rate_limit");
    assert_string_equal(breaker_class_name(-1), "unknown");
    assert_string_equal(breaker_class_name(BREAKER_CLASS_COUNT), "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_alone),
        cmocka_unit_test(bodies_of_openai),
        cmocka_unit_test(bodies_of_anthropic),
        cmocka_unit_test(bodies_of_ollama),
        cmocka_unit_test(limits_of_discord),
        cmocka_unit_test(every_form_of_retry_after),
        cmocka_unit_test(garbage_is_no_retry_after),
        cmocka_unit_test(who_is_believed),
        cmocka_unit_test(bodies_that_are_none),
        cmocka_unit_test(a_body_has_bounds),
        cmocka_unit_test(the_text_has_no_words_of_users),
        cmocka_unit_test(codes_of_libcurl),
        cmocka_unit_test(numbers_of_the_system),
        cmocka_unit_test(words_are_cut_and_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
