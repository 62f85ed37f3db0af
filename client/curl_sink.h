#ifndef CLIENT_CURL_SINK_H
#define CLIENT_CURL_SINK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes in, between libcurl and the user: headers are held back until a
 * body's first octet goes through, an error's body until it is asked for. */
#include "breaker/curl.h"
#include <stdbool.h>

/* Octets kept, up to BREAKER_CURL_KEEP_BYTES; the room grows as it is needed. */
struct curl_kept {
    char *at;
    size_t len;
    size_t cap;
};

struct curl_sink {
    CURL *easy;
    const struct breaker_curl_options *options;
    struct curl_kept headers;
    struct curl_kept body; /* of an error */
    uint64_t received;     /* octets of this attempt, headers too */
    bool is_streaming;     /* the user has had octets of the body */
    bool is_refused;       /* and did not want them */
    bool is_out_of_memory;
};

/* Sets the easy handle's callbacks to the sink's, and back to the user's. */
void curl_sink_attach(struct curl_sink *s, CURL *easy,
                      const struct breaker_curl_options *options);
void curl_sink_detach(struct curl_sink *s);
/* Forgets what is held back: another attempt begins. */
void curl_sink_reset(struct curl_sink *s);
/* Hands out what is held back: there will be no other attempt. */
void curl_sink_deliver(struct curl_sink *s);
/* The status of an HTTP answer whose headers have begun to come; 0: none. */
long curl_sink_status(const struct curl_sink *s);

#endif
