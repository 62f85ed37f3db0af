#ifndef BREAKER_CLASSIFY_H
#define BREAKER_CLASSIFY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of one attempt, and how answers become outcomes: HTTP statuses with
 * their headers and error bodies, libcurl's result codes, errno. The whole table
 * and where its rows come from: docs/classification.md.
 *
 * Nothing here blocks, allocates or keeps state; any thread may call it. What an
 * upstream sends is looked at within bounds and believed only where a row of the
 * table says so. */
#include "breaker/breaker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What kind of trouble it was: for metrics, logs and people. The outcome alone
 * decides what happens. */
enum breaker_error_class {
    BREAKER_CLASS_NONE = 0, /* success */
    BREAKER_CLASS_NETWORK = 1,
    BREAKER_CLASS_TIMEOUT = 2,
    BREAKER_CLASS_SERVER = 3, /* 5xx and like */
    BREAKER_CLASS_OVERLOADED = 4,
    BREAKER_CLASS_RATE_LIMIT = 5,
    BREAKER_CLASS_REQUEST = 6,        /* this request is wrong */
    BREAKER_CLASS_CONTEXT_LENGTH = 7, /* this request is too long */
    BREAKER_CLASS_AUTH = 8,
    BREAKER_CLASS_BILLING = 9,
    BREAKER_CLASS_LOCAL = 10, /* trouble of our own */
    BREAKER_CLASS_CANCELLED = 11,
    BREAKER_CLASS_OTHER = 12
};
#define BREAKER_CLASS_COUNT 13

/* Trouble of our own: reported as cancelled, so that it counts against nobody,
 * and never tried again. */
#define BREAKER_RESULT_LOCAL 1U
/* This one call has to wait retry_after_ms, others need not (a rate limit of one
 * bucket): it is tried again as rate_limited, but reported as rejected without a
 * Retry-After, since the service answered and is healthy. */
#define BREAKER_RESULT_DELAY_ONLY 2U
/* Something of the answer has reached the user: never tried again. */
#define BREAKER_RESULT_STREAMED 4U

#define BREAKER_RESULT_TEXT 64

/* What came of one attempt. Plain data. */
struct breaker_result {
    size_t size;             /* sizeof(struct breaker_result) */
    uint32_t outcome;        /* enum breaker_outcome */
    uint32_t flags;          /* BREAKER_RESULT_* */
    uint64_t retry_after_ms; /* what the upstream asked for; 0: nothing */
    int32_t code;            /* HTTP status, CURLcode, errno: the user's */
    uint32_t error_class;    /* enum breaker_error_class */
    char text[BREAKER_RESULT_TEXT]; /* a short error for people, or "" */
};
#define BREAKER_RESULT_INIT                           \
    {                                                 \
        sizeof(struct breaker_result), 0, 0, 0, 0, 0, \
        {                                             \
            '\0'                                      \
        }                                             \
    }

/* No Retry-After counts for more than a day; the service's max_hold and the
 * call's max_elapsed cut further. */
#define BREAKER_RETRY_AFTER_MAX_MS UINT64_C(86400000)
/* More of headers and of a body is not looked at. */
#define BREAKER_CLASSIFY_HEADERS_MAX 65536
#define BREAKER_CLASSIFY_BODY_MAX 65536

/* An HTTP answer as it was received. */
struct breaker_http {
    size_t size;         /* sizeof(struct breaker_http) */
    const char *headers; /* lines ended by LF or CR LF, a status line is passed
                            over; NULL: none. Need not be NUL-ended */
    size_t headers_len;
    const char *body; /* the body or its beginning, decoded; NULL: none */
    size_t body_len;
    int64_t now_s; /* seconds since 1970 that an HTTP-date without a Date
                      beside it is compared with; 0: the system's clock */
    int32_t status;
    uint32_t reserved;
};
#define BREAKER_HTTP_INIT                                      \
    {                                                          \
        sizeof(struct breaker_http), NULL, 0, NULL, 0, 0, 0, 0 \
    }

/* Classifies an answer: sets every field of `result` but `size`. */
BREAKER_API void breaker_classify_http(const struct breaker_http *answer,
                                       struct breaker_result *result);
/* Classifies the CURLcode of a transfer that brought no usable answer (for
 * CURLE_OK: a success). `os_error` is CURLINFO_OS_ERRNO, 0 when not known. */
BREAKER_API void breaker_classify_curl(int code, int os_error,
                                       struct breaker_result *result);
/* Classifies an errno of a connection to a service (0: a success). */
BREAKER_API void breaker_classify_errno(int error,
                                        struct breaker_result *result);
/* Anything else: sets outcome, error_class and text (cut to fit; NULL: ""), and
 * the rest to nothing. */
BREAKER_API void breaker_result_set(struct breaker_result *result,
                                    enum breaker_outcome outcome,
                                    enum breaker_error_class error_class,
                                    const char *text);

/* The value of a Retry-After: seconds, with a fraction perhaps, or an HTTP-date
 * in any of its three forms, compared with `now_s` (seconds since 1970). In
 * milliseconds, rounded up, at most BREAKER_RETRY_AFTER_MAX_MS; 0 for a date
 * that has passed; -1 for anything else. */
BREAKER_API int64_t breaker_retry_after_ms(const char *text, size_t len,
                                           int64_t now_s);

/* A user's own classifier. `result` holds the table's verdict already and may be
 * changed; `answer` is NULL when none came, else valid during the call. */
typedef void breaker_classifier(void *context,
                                const struct breaker_http *answer,
                                struct breaker_result *result);

/* The word for a class (enum breaker_error_class): "rate_limit", "context_length", ...; "unknown". */
BREAKER_API const char *breaker_class_name(int error_class);

#ifdef __cplusplus
}
#endif

#endif
