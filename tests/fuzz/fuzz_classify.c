/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP answer of a hostile upstream: a status, headers, an empty line, a body.
 * Whatever comes, the verdict is one of those there are, and within bounds. */
#include "breaker/classify.h"
#include "target.h"
#include <string.h>

static void
check(const struct breaker_result *r)
{
    PROMISE(r->size == sizeof *r);
    PROMISE(r->outcome <= BREAKER_CANCELLED);
    PROMISE(r->error_class < BREAKER_CLASS_COUNT);
    PROMISE(r->retry_after_ms <= BREAKER_RETRY_AFTER_MAX_MS);
    PROMISE(memchr(r->text, '\0', sizeof r->text) != NULL);
    for (const char *c = r->text; *c != '\0'; c++)
        PROMISE(*c >= ' ' && *c <= '~');
    if (r->outcome == BREAKER_SUCCESS)
        PROMISE(r->error_class == BREAKER_CLASS_NONE && r->text[0] == '\0');
    if (r->outcome == BREAKER_REJECTED || r->outcome == BREAKER_CRITICAL)
        PROMISE(r->retry_after_ms == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct breaker_http http = BREAKER_HTTP_INIT;
    struct breaker_result result = BREAKER_RESULT_INIT;
    const char *text = (const char *)data;
    const char *body;
    int64_t ms;

    if (size < 2)
        return 0;
    ms = breaker_retry_after_ms(text, size, 784111777);
    PROMISE(ms >= -1 && ms <= (int64_t)BREAKER_RETRY_AFTER_MAX_MS);
    /* Any status there is, and some there are not. */
    http.status = (int32_t)(data[0] * 3 + data[1]);
    http.now_s = 784111777;
    http.headers = text + 2;
    http.headers_len = size - 2;
    body = memchr(http.headers, '{', http.headers_len);
    if (body != NULL) {
        http.headers_len = (size_t)(body - http.headers);
        http.body = body;
        http.body_len = size - 2 - http.headers_len;
    }
    breaker_classify_http(&http, &result);
    check(&result);
    breaker_classify_curl(http.status, data[0], &result);
    check(&result);
    return 0;
}
