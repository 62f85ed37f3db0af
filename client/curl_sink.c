/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/curl_sink.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_ROOM 1024
#define FIRST_ERROR 400

/* Keeps what fits; false when memory is out. */
static bool
keep(struct curl_kept *k, const char *at, size_t len)
{
    size_t cap = k->cap != 0 ? k->cap : FIRST_ROOM;

    if (len > BREAKER_CURL_KEEP_BYTES - k->len)
        len = BREAKER_CURL_KEEP_BYTES - k->len;
    if (len == 0)
        return true;
    while (cap < k->len + len)
        cap *= 2;
    if (cap != k->cap) {
        char *room = realloc(k->at, cap);

        if (room == NULL)
            return false;
        k->at = room;
        k->cap = cap;
    }
    memcpy(k->at + k->len, at, len);
    k->len += len;
    return true;
}

long
curl_sink_status(const struct curl_sink *s)
{
    const char *scheme = NULL;
    long status = 0;

    if (curl_easy_getinfo(s->easy, CURLINFO_SCHEME, &scheme) != CURLE_OK ||
        scheme == NULL || strncasecmp(scheme, "http", 4) != 0)
        return 0;
    (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* One line after the other, as libcurl hands them out. */
static void
deliver_headers(struct curl_sink *s)
{
    char *at = s->headers.at;
    char *end = at != NULL ? at + s->headers.len : at;

    while (at != end && s->options->header != NULL && !s->is_refused) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line_end != NULL ? line_end + 1 : end) - at);

        s->is_refused =
            s->options->header(at, 1, len, s->options->header_data) != len;
        at += len;
    }
    s->headers.len = 0;
}

/* What the user's callback returned; libcurl's own is fwrite. */
static size_t
write_out(struct curl_sink *s, char *at, size_t len)
{
    FILE *file = s->options->write_data;

    if (s->options->write != NULL)
        return s->options->write(at, 1, len, s->options->write_data);
    return fwrite(at, 1, len, file != NULL ? file : stdout);
}

static size_t
on_header(char *at, size_t size, size_t count, void *context)
{
    struct curl_sink *s = context;
    size_t len = size * count;

    s->received += len;
    if (s->is_streaming) { /* trailers */
        if (s->options->header == NULL)
            return len;
        return s->options->header(at, 1, len, s->options->header_data);
    }
    if (keep(&s->headers, at, len))
        return len;
    s->is_out_of_memory = true;
    return 0;
}

static size_t
on_body(char *at, size_t size, size_t count, void *context)
{
    struct curl_sink *s = context;
    size_t len = size * count;
    size_t taken;

    s->received += len;
    if (len == 0)
        return 0;
    if (!s->is_streaming && curl_sink_status(s) >= FIRST_ERROR) {
        if (keep(&s->body, at, len))
            return len;
        s->is_out_of_memory = true;
        return 0;
    }
    if (!s->is_streaming) {
        s->is_streaming = true;
        deliver_headers(s);
        if (s->is_refused)
            return 0;
    }
    taken = write_out(s, at, len);
    s->is_refused = taken != len && taken != CURL_WRITEFUNC_PAUSE;
    return taken;
}

void
curl_sink_attach(struct curl_sink *s, CURL *easy,
                 const struct breaker_curl_options *options)
{
    s->easy = easy;
    s->options = options;
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, s);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, s);
}

void
curl_sink_detach(struct curl_sink *s)
{
    const struct breaker_curl_options *o = s->options;

    (void)curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, o->write);
    (void)curl_easy_setopt(s->easy, CURLOPT_WRITEDATA,
                           o->write_data != NULL || o->write != NULL
                               ? o->write_data
                               : (void *)stdout);
    (void)curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, o->header);
    (void)curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, o->header_data);
    free(s->headers.at);
    free(s->body.at);
    memset(&s->headers, 0, sizeof s->headers);
    memset(&s->body, 0, sizeof s->body);
}

void
curl_sink_reset(struct curl_sink *s)
{
    s->headers.len = 0;
    s->body.len = 0;
    s->received = 0;
    s->is_streaming = false;
    s->is_refused = false;
    s->is_out_of_memory = false;
}

void
curl_sink_deliver(struct curl_sink *s)
{
    if (s->is_streaming)
        return;
    deliver_headers(s);
    if (s->body.len > 0 && !s->is_refused)
        (void)write_out(s, s->body.at, s->body.len);
    s->body.len = 0;
}
