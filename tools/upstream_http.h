#ifndef UPSTREAM_HTTP_H
#define UPSTREAM_HTTP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The little of HTTP/1.1 that flaky-upstream needs: the head of a request read,
 * an answer written. */
#include "core/text.h"

#define UPSTREAM_HEAD_MAX 8192
#define UPSTREAM_BODY_MAX (1 << 20)

struct upstream_request {
    size_t head_len; /* octets up to and including the empty line */
    const char *method;
    size_t method_len;
    const char *path; /* points into the head */
    size_t path_len;
    uint64_t body_len;
    bool keeps_alive;
    bool wants_continue; /* Expect: 100-continue */
};

enum upstream_head {
    UPSTREAM_HEAD_PART, /* more is to come */
    UPSTREAM_HEAD_WHOLE,
    UPSTREAM_HEAD_BAD /* not a request we serve: answer 400 and close */
};

/* Reads the head of a request; any octets are fine. */
enum upstream_head upstream_head_parse(const char *in, size_t len,
                                       struct upstream_request *out);

struct upstream_answer {
    unsigned status;
    bool keeps_alive;
    bool is_head;           /* the request was HEAD: no body goes out */
    int64_t retry_after_s;  /* -1: none */
    int64_t retry_after_at; /* seconds since 1970 of an HTTP-date, or -1 */
    const char *type;
    const char *body;
    size_t body_len;
};
void upstream_answer_write(const struct upstream_answer *answer,
                           struct bk_text *out);

#endif
