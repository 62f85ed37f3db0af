/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP answers as outcomes: first by their status, then by what the error body
 * says where a row may overrule the status. docs/classification.md has the same
 * rows with their sources. */
#include "breaker/classify.h"
#include "client/classify_after.h"
#include "client/classify_body.h"
#include "client/classify_head.h"
#include "core/text.h"
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct status_row {
    int16_t first, last;
    uint8_t outcome;
    uint8_t class;
    uint8_t flags;
};

/* The first row that holds the status. */
static const struct status_row statuses[] = {
    {100, 399, BREAKER_SUCCESS, BREAKER_CLASS_NONE, 0},
    {401, 401, BREAKER_CRITICAL, BREAKER_CLASS_AUTH, 0},
    {402, 402, BREAKER_CRITICAL, BREAKER_CLASS_BILLING, 0},
    /* Our own way out wants a password. */
    {407, 407, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL, BREAKER_RESULT_LOCAL},
    {408, 408, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT, 0},
    {425, 425, BREAKER_FAILURE, BREAKER_CLASS_SERVER, 0},
    {429, 429, BREAKER_RATE_LIMITED, BREAKER_CLASS_RATE_LIMIT, 0},
    {400, 499, BREAKER_REJECTED, BREAKER_CLASS_REQUEST, 0},
    {501, 501, BREAKER_REJECTED, BREAKER_CLASS_REQUEST, 0},
    {505, 505, BREAKER_REJECTED, BREAKER_CLASS_REQUEST, 0},
    {504, 504, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT, 0},
    /* The network we are in wants us to sign in first. */
    {511, 511, BREAKER_CANCELLED, BREAKER_CLASS_LOCAL, BREAKER_RESULT_LOCAL},
    {522, 522, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT, 0},
    {524, 524, BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT, 0},
    {529, 529, BREAKER_FAILURE, BREAKER_CLASS_OVERLOADED, 0},
    {500, 599, BREAKER_FAILURE, BREAKER_CLASS_SERVER, 0},
};

/* Where a row looks, and with which statuses it may overrule them. */
enum where { IN_WORDS, IN_MESSAGE, IN_PLAIN };
enum with {
    WITH_403 = 1,
    WITH_429 = 2,
    WITH_4XX = 4, /* the others, but for 401 and 402 */
    WITH_5XX = 8,
    WITH_REFUSAL = WITH_403 | WITH_4XX,
    WITH_CLIENT = WITH_REFUSAL | WITH_429,
    WITH_ANY = WITH_CLIENT | WITH_5XX
};

struct body_row {
    const char *word; /* the whole code or type; part of a message */
    uint8_t where;
    uint8_t with;
    uint8_t outcome;
    uint8_t class;
};

#define QUOTA(word, where, with)                                         \
    {                                                                    \
        (word), (where), (with), BREAKER_CRITICAL, BREAKER_CLASS_BILLING \
    }
#define AUTH(word, where, with)                                       \
    {                                                                 \
        (word), (where), (with), BREAKER_CRITICAL, BREAKER_CLASS_AUTH \
    }
#define LONG(word, where, with)                    \
    {                                              \
        (word), (where), (with), BREAKER_REJECTED, \
            BREAKER_CLASS_CONTEXT_LENGTH           \
    }
#define LIMIT(word, where, with)                       \
    {                                                  \
        (word), (where), (with), BREAKER_RATE_LIMITED, \
            BREAKER_CLASS_RATE_LIMIT                   \
    }
#define BUSY(word, where, with)                                            \
    {                                                                      \
        (word), (where), (with), BREAKER_FAILURE, BREAKER_CLASS_OVERLOADED \
    }

/* The first row that fits. A code or type is said by a program and goes before
 * the words for people, which are believed only where no limit is in question:
 * "account" is in many a plain rate limit. */
static const struct body_row bodies[] = {
    QUOTA("insufficient_quota", IN_WORDS, WITH_ANY),
    QUOTA("billing_hard_limit_reached", IN_WORDS, WITH_ANY),
    QUOTA("billing_not_active", IN_WORDS, WITH_ANY),
    QUOTA("billing_error", IN_WORDS, WITH_ANY),
    AUTH("invalid_api_key", IN_WORDS, WITH_ANY),
    AUTH("account_deactivated", IN_WORDS, WITH_ANY),
    AUTH("invalid_organization", IN_WORDS, WITH_CLIENT),
    AUTH("authentication_error", IN_WORDS, WITH_CLIENT),
    LONG("context_length_exceeded", IN_WORDS, WITH_ANY),
    LONG("string_above_max_length", IN_WORDS, WITH_CLIENT),
    LONG("request_too_large", IN_WORDS, WITH_REFUSAL),
    BUSY("overloaded_error", IN_WORDS, WITH_ANY),
    LIMIT("rate_limit_exceeded", IN_WORDS, WITH_403),
    LIMIT("rate_limit_error", IN_WORDS, WITH_ANY),
    QUOTA("credit balance is too low", IN_MESSAGE, WITH_CLIENT),
    QUOTA("specified api usage limits", IN_MESSAGE, WITH_CLIENT),
    AUTH("api key not valid", IN_MESSAGE, WITH_REFUSAL),
    LONG("maximum context length", IN_MESSAGE, WITH_REFUSAL),
    LONG("context window", IN_MESSAGE, WITH_REFUSAL),
    LONG("prompt is too long", IN_MESSAGE, WITH_REFUSAL),
    LONG("context length", IN_PLAIN, WITH_REFUSAL | WITH_5XX),
    LONG("context size", IN_MESSAGE, WITH_REFUSAL | WITH_5XX),
    AUTH("api key", IN_MESSAGE, WITH_403),
    AUTH("api-key", IN_MESSAGE, WITH_403),
    AUTH("api_key", IN_MESSAGE, WITH_403),
    QUOTA("billing", IN_MESSAGE, WITH_403),
    QUOTA("payment", IN_MESSAGE, WITH_403),
    AUTH("account", IN_MESSAGE, WITH_403),
    BUSY("server busy", IN_PLAIN, WITH_5XX),
};

static unsigned
group(int32_t status)
{
    if (status == 403)
        return WITH_403;
    if (status == 429)
        return WITH_429;
    if (status == 401 || status == 402 || status == 407)
        return 0;
    if (status >= 500)
        return status == 511 ? 0 : WITH_5XX;
    return status >= 400 ? WITH_4XX : 0;
}

static bool
fits(const struct body_row *row, const struct classify_body *body)
{
    switch ((enum where)row->where) {
    case IN_WORDS:
        return strcmp(body->code, row->word) == 0 ||
               strcmp(body->type, row->word) == 0;
    case IN_PLAIN:
        return body->is_plain && strstr(body->message, row->word) != NULL;
    case IN_MESSAGE:
        break;
    }
    return strstr(body->message, row->word) != NULL;
}

static void
by_body(const struct classify_body *body, int32_t status,
        struct breaker_result *result)
{
    unsigned with = group(status);

    for (size_t i = 0; with != 0 && i < COUNT_OF(bodies); i++) {
        if ((bodies[i].with & with) == 0 || !fits(&bodies[i], body))
            continue;
        result->outcome = bodies[i].outcome;
        result->error_class = bodies[i].class;
        return;
    }
}

static void
by_status(int32_t status, struct breaker_result *result)
{
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        if (status < statuses[i].first || status > statuses[i].last)
            continue;
        result->outcome = statuses[i].outcome;
        result->error_class = statuses[i].class;
        result->flags = statuses[i].flags;
        return;
    }
    result->outcome = BREAKER_FAILURE;
    result->error_class = BREAKER_CLASS_OTHER;
}

/* Is it a limit on one bucket of Discord's, which concerns this call alone? */
static bool
is_bucket(const struct breaker_http *answer, const struct classify_body *body)
{
    size_t len = answer->headers_len < BREAKER_CLASSIFY_HEADERS_MAX
                     ? answer->headers_len
                     : BREAKER_CLASSIFY_HEADERS_MAX;
    const char *head = answer->headers;

    if (body->is_global ||
        classify_is(classify_head_find(head, len, "x-ratelimit-global"),
                    "true") ||
        classify_is(classify_head_find(head, len, "x-ratelimit-scope"),
                    "global"))
        return false;
    return body->has_global ||
           classify_head_find(head, len, "x-ratelimit-bucket").at != NULL;
}

/* "HTTP 429 insufficient_quota". Words for people are left out: they may hold
 * what the user wrote, or parts of a key. */
static void
put_text(const struct classify_body *body, struct breaker_result *result)
{
    struct bk_text text;
    const char *word = body->code[0] != '\0' ? body->code : body->type;

    bk_text_init(&text, result->text, sizeof result->text);
    bk_text_put(&text, "HTTP ");
    bk_text_put_i64(&text, result->code);
    if (word[0] != '\0') {
        bk_text_put_char(&text, ' ');
        bk_text_put(&text, word);
    }
}

void
breaker_classify_http(const struct breaker_http *answer,
                      struct breaker_result *result)
{
    struct classify_body body;

    if (answer == NULL || result == NULL)
        return;
    breaker_result_set(result, BREAKER_SUCCESS, BREAKER_CLASS_NONE, NULL);
    result->code = answer->status;
    by_status(answer->status, result);
    if (result->outcome == BREAKER_SUCCESS)
        return;
    classify_body_read(answer->body, answer->body_len, &body);
    by_body(&body, answer->status, result);
    put_text(&body, result);
    if (result->outcome != BREAKER_RATE_LIMITED &&
        result->outcome != BREAKER_FAILURE &&
        result->outcome != BREAKER_TIMEOUT)
        return;
    result->retry_after_ms = classify_after_ms(answer, &body);
    if (result->error_class == BREAKER_CLASS_SERVER &&
        result->retry_after_ms > 0)
        result->error_class = BREAKER_CLASS_OVERLOADED;
    if (result->outcome == BREAKER_RATE_LIMITED && answer->status == 429 &&
        is_bucket(answer, &body))
        result->flags |= BREAKER_RESULT_DELAY_ONLY;
}

void
breaker_result_set(struct breaker_result *result, enum breaker_outcome outcome,
                   enum breaker_error_class error_class, const char *text)
{
    if (result == NULL)
        return;
    result->outcome = outcome;
    result->flags =
        error_class == BREAKER_CLASS_LOCAL ? BREAKER_RESULT_LOCAL : 0;
    result->retry_after_ms = 0;
    result->code = 0;
    result->error_class = error_class;
    memset(result->text, 0, sizeof result->text);
    if (text != NULL)
        bk_copy_text(result->text, sizeof result->text, text, strlen(text));
}

const char *
breaker_class_name(int error_class)
{
    static const char *const names[] = {
        "none",       "network",   "timeout",        "server", "overloaded",
        "rate_limit", "request",   "context_length", "auth",   "billing",
        "local",      "cancelled", "other"};

    _Static_assert(COUNT_OF(names) == BREAKER_CLASS_COUNT, "a word for each");
    if (error_class < 0 || error_class >= BREAKER_CLASS_COUNT)
        return "unknown";
    return names[error_class];
}
