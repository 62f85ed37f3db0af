#ifndef CLIENT_CURL_TRANSFER_H
#define CLIENT_CURL_TRANSFER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One guarded transfer: a call (breaker/retry.h) whose attempts are made by one
 * easy handle within a multi handle. It never waits: it is stepped. */
#include "client/curl_sink.h"

enum curl_stage {
    CURL_STAGE_NEXT,    /* the call has to be asked what to do */
    CURL_STAGE_ATTEMPT, /* the handle is in the multi handle */
    CURL_STAGE_WAIT,    /* until due_ns */
    CURL_STAGE_OVER     /* the user has to be told */
};

struct curl_transfer {
    struct curl_transfer *next;
    CURLM *multi;
    CURL *easy;
    struct breaker_call *call;
    struct breaker_cancel *cancel;
    struct breaker_curl_options options;
    struct curl_sink sink;
    struct breaker_step step;
    enum curl_stage stage;
    uint32_t attempts;
    int64_t due_ns;      /* of a wait, or when the attempt has to be over */
    int64_t deadline_ns; /* the whole call's; BK_NEVER: none */
    curl_off_t sent;     /* as last seen */
    uint64_t received;
    int socket_error; /* errno of a socket that was not to be had; 0 */
    bool has_read;    /* something of the request's body was read */
    breaker_curl_done *done;
    void *context;
};

/* NULL: no memory, or bad options (*is_bad). */
struct curl_transfer *
curl_transfer_new(CURLM *multi, struct breaker_service *service, CURL *easy,
                  const struct breaker_curl_options *options, bool *is_bad);
/* Goes on as far as it can at `now_ns` of the monotonic clock. */
void curl_transfer_step(struct curl_transfer *t, int64_t now_ns);
/* libcurl is through with the attempt. */
void curl_transfer_finished(struct curl_transfer *t, CURLcode code);
/* Ends it, attempt and all. */
void curl_transfer_cancel(struct curl_transfer *t);
/* Gives the handle back as the user had it, ends the call, frees the transfer. What
 * is held back goes to the user only if `delivers`. */
int curl_transfer_end(struct curl_transfer **t, struct breaker_summary *summary,
                      bool delivers);

#endif
