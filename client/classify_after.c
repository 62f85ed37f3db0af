/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/classify_after.h"
#include "client/classify_date.h"
#include "client/classify_head.h"
#include <time.h>

#define CAP_MS ((int64_t)BREAKER_RETRY_AFTER_MAX_MS)

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A decimal number times `unit`, rounded up, at most CAP_MS; -1: it is none. */
static int64_t
decimal(const char *s, size_t len, int64_t unit)
{
    int64_t value = 0;
    bool is_more = false;
    size_t i = 0;

    for (; i < len && is_digit(s[i]); i++)
        if (value < CAP_MS)
            value = value * 10 + (s[i] - '0');
    if (i == 0)
        return -1;
    value = value < CAP_MS ? value * unit : CAP_MS;
    if (i < len && s[i] == '.') {
        size_t point = i;

        for (i++; i < len && is_digit(s[i]); i++) {
            unit /= 10;
            value += (s[i] - '0') * unit;
            is_more = is_more || (unit == 0 && s[i] != '0');
        }
        if (i == point + 1)
            return -1;
    }
    if (i != len)
        return -1;
    value += is_more ? 1 : 0;
    return value < CAP_MS ? value : CAP_MS;
}

int64_t
classify_seconds_ms(const char *s, size_t len)
{
    return decimal(s, len, 1000);
}

int64_t
breaker_retry_after_ms(const char *text, size_t len, int64_t now_s)
{
    if (text == NULL)
        return -1;
    struct classify_view v = classify_trim(text, len);
    int64_t ms = classify_seconds_ms(v.at, v.len);
    int64_t then_s;

    if (ms >= 0 || !classify_date_read(v.at, v.len, now_s, &then_s))
        return ms;
    if (then_s <= now_s)
        return 0;
    int64_t s = then_s - now_s;
    return s < CAP_MS / 1000 ? s * 1000 : CAP_MS;
}

static struct classify_view
find(const struct breaker_http *answer, const char *name)
{
    size_t len = answer->headers_len < BREAKER_CLASSIFY_HEADERS_MAX
                     ? answer->headers_len
                     : BREAKER_CLASSIFY_HEADERS_MAX;

    return classify_head_find(answer->headers, len, name);
}

/* The instant that dates are compared with. The upstream's own clock where it
 * tells it: then it does not matter how wrong either is. */
static int64_t
now_of(const struct breaker_http *answer)
{
    struct timespec t = {0, 0};
    struct classify_view date = find(answer, "date");
    int64_t now_s = answer->now_s;
    int64_t told_s;

    if (now_s == 0) {
        (void)clock_gettime(CLOCK_REALTIME, &t);
        now_s = (int64_t)t.tv_sec;
    }
    if (date.at != NULL &&
        classify_date_read(date.at, date.len, now_s, &told_s))
        return told_s;
    return now_s;
}

uint64_t
classify_after_ms(const struct breaker_http *answer,
                  const struct classify_body *body)
{
    struct classify_view fine = find(answer, "retry-after-ms");
    struct classify_view head = find(answer, "retry-after");
    int64_t in_body = body->retry_after_ms;
    int64_t ms = fine.at != NULL ? decimal(fine.at, fine.len, 1) : -1;

    if (ms < 0 && head.at != NULL)
        ms = breaker_retry_after_ms(head.at, head.len, now_of(answer));
    else
        in_body = ms < 0 ? in_body : -1;
    /* A header rounds up to whole seconds; a body that agrees says it finer. */
    if (ms < 0 || (in_body >= 0 && in_body <= ms && in_body + 1000 > ms))
        ms = in_body;
    return ms > 0 ? (uint64_t)ms : 0;
}
