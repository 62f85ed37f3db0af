/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker whose users call at fixed times, whatever happened to the calls
 * before: a thread a call. Each call has a deadline and is made by breaker_call
 * (--mode breaker), or by the loop that people write without it: exponential
 * backoff with full jitter until the deadline (--mode alone).
 *
 *   fleet_glitch --dir DIR --service NAME --url URL --seconds N
 *                [--mode breaker|alone] [--rate-ms N] [--timeout-ms N]
 *                [--start-ms N]
 *
 * The first call is at --start-ms of CLOCK_BOOTTIME, or now. Prints `attempt START_MS STATUS` and `call START_MS END_MS STOP ATTEMPTS
 * WAITED_MS`, times of CLOCK_BOOTTIME, each line in one write. */
#define _GNU_SOURCE
#include "breaker/retry.h"
#include "herd.h"
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALLS_MAX 256
#define DEADLINE_MS 120000
#define PART_SIZE 4096
#define BASE_DELAY_MS 1000
#define MAX_DELAY_MS 60000

static struct {
    struct breaker_service *service;
    const char *url;
    uint64_t timeout_ms;
    bool is_alone;
} run;

/* The beginning of what came. */
struct part {
    size_t len;
    char text[PART_SIZE];
};

static int64_t
now_ms(void)
{
    return herd_now_ns() / 1000000;
}

static void
say(const char *line, int len)
{
    if (write(STDOUT_FILENO, line, (size_t)len) != len)
        herd_fail("cannot write a line");
}

static size_t
take_part(char *data, size_t size, size_t count, void *context)
{
    struct part *part = context;
    size_t len = size * count;

    if (len <= sizeof part->text - part->len) {
        memcpy(part->text + part->len, data, len);
        part->len += len;
    }
    return len;
}

/* One request; fills in what came of it. */
static void
request(uint64_t timeout_ms, struct breaker_result *result)
{
    struct part *head = calloc(1, sizeof *head);
    struct part *body = calloc(1, sizeof *body);
    CURL *curl = curl_easy_init();
    int64_t start = now_ms();
    struct breaker_http answer = BREAKER_HTTP_INIT;
    long status = 0;
    char line[64];
    CURLcode code;

    if (head == NULL || body == NULL || curl == NULL)
        herd_fail("no memory for a request");
    curl_easy_setopt(curl, CURLOPT_URL, run.url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_part);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, head);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_part);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK) {
        answer.headers = head->text;
        answer.headers_len = head->len;
        answer.body = body->text;
        answer.body_len = body->len;
        answer.status = (int32_t)status;
        breaker_classify_http(&answer, result);
    } else {
        breaker_classify_curl((int)code, 0, result);
    }
    say(line, snprintf(line, sizeof line, "attempt %" PRId64 " %ld\n", start,
                       status));
    curl_easy_cleanup(curl);
    free(body);
    free(head);
}

static void
attempt(void *context, const struct breaker_attempt *a,
        struct breaker_result *result)
{
    (void)context;
    request(a->timeout_ms, result);
}

static void
sleep_ms(uint64_t ms)
{
    herd_sleep_until(herd_now_ns() + (int64_t)ms * 1000000);
}

/* As people do it: again and again until the deadline. */
static void
call_alone(unsigned seed, struct breaker_summary *told)
{
    int64_t end = now_ms() + DEADLINE_MS;
    uint64_t delay = BASE_DELAY_MS;

    for (;;) {
        uint64_t pause = (uint64_t)rand_r(&seed) % delay;

        told->result = (struct breaker_result)BREAKER_RESULT_INIT;
        request(run.timeout_ms, &told->result);
        told->attempts++;
        if (told->result.outcome == BREAKER_SUCCESS)
            return;
        if (told->result.retry_after_ms > pause)
            pause = told->result.retry_after_ms;
        if (now_ms() + (int64_t)pause > end) {
            told->stop = BREAKER_STOP_MAX_ELAPSED;
            return;
        }
        sleep_ms(pause);
        delay = delay * 2 < MAX_DELAY_MS ? delay * 2 : MAX_DELAY_MS;
    }
}

static void *
make_call(void *context)
{
    struct breaker_call_options how = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_summary told = BREAKER_SUMMARY_INIT;
    const unsigned *seed = context;
    int64_t start = now_ms();
    char line[160];

    how.deadline_ms = DEADLINE_MS;
    how.attempt_timeout_ms = run.timeout_ms;
    if (run.is_alone)
        call_alone(*seed, &told);
    else
        breaker_call(run.service, &how, attempt, NULL, &told);
    say(line, snprintf(line, sizeof line,
                       "call %" PRId64 " %" PRId64 " %s %u %" PRIu64 "\n",
                       start, now_ms(), breaker_stop_name((int)told.stop),
                       (unsigned)told.attempts, told.waited_us / 1000));
    return NULL;
}

static void
serve_users(uint64_t seconds, uint64_t rate_ms, uint64_t start_ms)
{
    static pthread_t threads[CALLS_MAX];
    static unsigned seeds[CALLS_MAX];
    uint64_t count = seconds * 1000 / rate_ms;
    int64_t start;

    if (count > CALLS_MAX)
        herd_fail("at most %d calls", CALLS_MAX);
    start = start_ms > 0 ? (int64_t)start_ms * 1000000 : herd_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        herd_sleep_until(start + (int64_t)(i * rate_ms) * 1000000);
        seeds[i] = (unsigned)getpid() * CALLS_MAX + (unsigned)i;
        if (pthread_create(&threads[i], NULL, make_call, &seeds[i]) != 0)
            herd_fail("no thread for a call");
    }
    for (uint64_t i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
}

int
main(int argc, char **argv)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    uint64_t seconds = herd_option_number(argc, argv, "--seconds", 10);
    uint64_t rate_ms = herd_option_number(argc, argv, "--rate-ms", 1000);
    struct breaker *b = NULL;

    /* Forty-eight workers on a small machine: the daemon's answer may be late for
     * other reasons than its absence. */
    options.deadline_ms = 2000;
    options.dir = herd_option(argc, argv, "--dir", NULL);
    run.url = herd_option(argc, argv, "--url", NULL);
    run.timeout_ms = herd_option_number(argc, argv, "--timeout-ms", 10000);
    run.is_alone =
        strcmp(herd_option(argc, argv, "--mode", "breaker"), "alone") == 0;
    if (run.url == NULL || rate_ms == 0 ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        herd_fail("an --url is needed, and a --rate-ms");
    if (!run.is_alone) {
        b = breaker_open(&options);
        run.service = breaker_service(
            b, herd_option(argc, argv, "--service", "upstream"));
        if (run.service == NULL)
            herd_fail("no service: %s", breaker_error_text());
    }
    serve_users(seconds, rate_ms,
                herd_option_number(argc, argv, "--start-ms", 0));
    breaker_close(&b);
    curl_global_cleanup();
    return 0;
}
