#ifndef BREAKER_CLASSIFY_H
#define BREAKER_CLASSIFY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What came of one attempt, in the words that a breaker and a retry need. */
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

/* Flags of a result. */
/* Trouble of our own (no descriptors, no memory, our resolver, a bug): told as
 * cancelled, never retried, never counted against the upstream. */
#define BREAKER_RESULT_LOCAL 1u
/* A limit that concerns this call alone (a bucket): the call waits
 * retry_after_ms, the service is not held and is told `rejected`. */
#define BREAKER_RESULT_DELAY_ONLY 2u
/* Octets of the answer have reached the user: never retried. */
#define BREAKER_RESULT_STREAMED 4u

#define BREAKER_RESULT_TEXT 64

/* Plain data; zero but for `size` is a success. */
struct breaker_result {
    size_t size;
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
            0                                         \
        }                                             \
    }

#ifdef __cplusplus
}
#endif

#endif
