#ifndef PROBER_FETCH_H
#define PROBER_FETCH_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request after another, many at a time, through libcurl: a hostile
 * answer costs a bounded time and a bounded memory, and leads nowhere else. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_MAX 64 /* under way at once */

enum fetch_end {
    FETCH_ANSWERED, /* `status` says what */
    FETCH_FAILED,   /* no answer, or none that is HTTP */
    FETCH_TIMEOUT,
    FETCH_OWN_TROUBLE /* it could not even be tried: says nothing of the other
                         side */
};

struct fetch_result {
    enum fetch_end end;
    long status;
    int64_t latency_ns;
    int64_t retry_after_ns; /* 0: none was said */
    char text[80];          /* what went wrong, without the address; "" */
};
typedef void fetch_done(void *context, const struct fetch_result *result);

struct fetch_request {
    const char *url; /* copied */
    int64_t timeout_ns;
    const char *body; /* copied; NULL: GET */
    const char *content_type;
    fetch_done *done;
    void *context;
};

struct fetch;

struct fetch *fetch_open(void); /* NULL: no memory */
void fetch_close(struct fetch **f);
bool fetch_has_room(const struct fetch *f);
/* `done` is called from fetch_run, once, unless the request is dropped; also for
 * one that could not be started. */
void fetch_start(struct fetch *f, const struct fetch_request *q);
/* Nobody waits for these any more. */
void fetch_drop(struct fetch *f, const void *context);
/* Waits until there is something to do here or on `fd`, at most `timeout_ms`;
 * does it. False when libcurl itself has failed. */
bool fetch_run(struct fetch *f, int fd, int timeout_ms);

#endif
