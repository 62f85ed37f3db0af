/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/curl_transfer.h"
#include "client/clock.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_ERROR 400

static size_t
on_read(char *to, size_t size, size_t count, void *context)
{
    struct curl_transfer *t = context;

    t->has_read = true;
    return t->options.read(to, size, count, t->options.read_data);
}

static int
on_seek(void *context, curl_off_t offset, int origin)
{
    struct curl_transfer *t = context;

    if (t->options.seek == NULL)
        return t->has_read ? CURL_SEEKFUNC_CANTSEEK : CURL_SEEKFUNC_OK;
    return t->options.seek(t->options.seek_data, offset, origin);
}

/* libcurl does not tell why it got no socket, and to be out of descriptors is not
 * the upstream's fault. */
static curl_socket_t
on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_transfer *t = context;
    curl_socket_t fd;

    if (t->options.open_socket != NULL)
        fd = t->options.open_socket(t->options.open_socket_data, purpose,
                                    address);
    else
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                    address->protocol);
    t->socket_error = fd == CURL_SOCKET_BAD ? errno : 0;
    return fd;
}

static void
attach(struct curl_transfer *t)
{
    curl_sink_attach(&t->sink, t->easy, &t->options);
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A look-up that hangs must not hold up the end of an attempt. */
    (void)curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    if (t->options.read == NULL)
        return;
    (void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
}

static void
detach(struct curl_transfer *t)
{
    curl_sink_detach(&t->sink);
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION,
                           t->options.open_socket);
    (void)curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA,
                           t->options.open_socket_data);
    if (t->options.read == NULL)
        return;
    (void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, t->options.read);
    (void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t->options.read_data);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, t->options.seek);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t->options.seek_data);
}

struct curl_transfer *
curl_transfer_new(CURLM *multi, struct breaker_service *service, CURL *easy,
                  const struct breaker_curl_options *options, bool *is_bad)
{
    struct curl_transfer *t = calloc(1, sizeof *t);
    size_t size = sizeof t->options;

    *is_bad = false;
    if (t == NULL)
        return NULL;
    if (options != NULL)
        memcpy(&t->options, options,
               options->size < size ? options->size : size);
    t->options.size = size;
    t->multi = multi;
    t->easy = easy;
    t->deadline_ns = BK_NEVER;
    t->cancel = t->options.call != NULL ? t->options.call->cancel : NULL;
    t->step = (struct breaker_step)BREAKER_STEP_INIT;
    t->call = breaker_call_begin(service, t->options.call);
    if (t->call == NULL) {
        *is_bad = true;
        free(t);
        return NULL;
    }
    attach(t);
    return t;
}

/* ---- an attempt ---- */

static int64_t
after_ms(int64_t now_ns, uint64_t ms)
{
    return ms < (uint64_t)(BK_NEVER / BK_NS_PER_MS / 2)
               ? now_ns + (int64_t)ms * BK_NS_PER_MS
               : BK_NEVER;
}

/* libcurl has one word for a scheme it does not know and for an answer that is no
 * HTTP; only the latter comes of a request that was sent. */
static CURLcode
straighten(const struct curl_transfer *t, CURLcode code)
{
    long sent = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    return code == CURLE_UNSUPPORTED_PROTOCOL && sent > 0
               ? CURLE_WEIRD_SERVER_REPLY
               : code;
}

/* What the answer comes to, by its status when there is one that says failure,
 * else by how libcurl fared. */
static void
classify(struct curl_transfer *t, CURLcode code, struct breaker_result *result)
{
    struct breaker_http http = BREAKER_HTTP_INIT;
    const struct curl_sink *s = &t->sink;
    long status = curl_sink_status(s);
    long os_error = 0;
    bool is_answer = status >= FIRST_ERROR || (status > 0 && code == CURLE_OK);

    (void)curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error);
    if (t->socket_error != 0)
        os_error = t->socket_error;
    http.status = (int32_t)status;
    http.headers = s->headers.at;
    http.headers_len = s->headers.len;
    http.body = s->body.at;
    http.body_len = s->body.len;
    if (s->is_out_of_memory)
        breaker_classify_curl(CURLE_OUT_OF_MEMORY, 0, result);
    else if (is_answer && code != CURLE_ABORTED_BY_CALLBACK)
        breaker_classify_http(&http, result);
    else
        breaker_classify_curl((int)straighten(t, code), (int)os_error, result);
    if (t->options.classify != NULL)
        t->options.classify(t->options.classify_context,
                            is_answer ? &http : NULL, result);
    /* Never again: the user has seen some of it, or the request is spent. */
    if (s->is_streaming || (t->has_read && t->options.seek == NULL))
        result->flags |= BREAKER_RESULT_STREAMED;
}

void
curl_transfer_finished(struct curl_transfer *t, CURLcode code)
{
    struct breaker_result result = BREAKER_RESULT_INIT;

    (void)curl_multi_remove_handle(t->multi, t->easy);
    classify(t, code, &result);
    (void)breaker_call_result(t->call, &result);
    t->stage = CURL_STAGE_NEXT;
}

/* An attempt that cannot even begin: our own trouble. */
static void
fail(struct curl_transfer *t, int code)
{
    struct breaker_result result = BREAKER_RESULT_INIT;

    breaker_classify_curl(code, 0, &result);
    (void)breaker_call_result(t->call, &result);
    t->stage = CURL_STAGE_NEXT;
}

static void
begin(struct curl_transfer *t, int64_t now_ns)
{
    CURLMcode status;

    curl_sink_reset(&t->sink);
    if (t->has_read && on_seek(t, 0, SEEK_SET) != CURL_SEEKFUNC_OK) {
        fail(t, CURLE_SEND_FAIL_REWIND);
        return;
    }
    t->has_read = false;
    t->socket_error = 0;
    t->sent = 0;
    t->received = 0;
    t->attempts++;
    t->due_ns = after_ms(now_ns, t->step.attempt.timeout_ms);
    t->deadline_ns = t->step.attempt.deadline_ms > 0
                         ? after_ms(now_ns, t->step.attempt.deadline_ms)
                         : BK_NEVER;
    status = curl_multi_add_handle(t->multi, t->easy);
    if (status != CURLM_OK)
        fail(t, status == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY
                                              : CURLE_BAD_FUNCTION_ARGUMENT);
    else
        t->stage = CURL_STAGE_ATTEMPT;
}

/* Octets have moved: the lease lives on, and so does a stream. */
static void
look_for_progress(struct curl_transfer *t, int64_t now_ns)
{
    curl_off_t sent = 0;

    (void)curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if (sent == t->sent && t->sink.received == t->received)
        return;
    t->sent = sent;
    t->received = t->sink.received;
    (void)breaker_attempt_progress(&t->step.attempt);
    if (t->step.attempt.preset == BREAKER_STREAMING)
        t->due_ns = after_ms(now_ns, t->step.attempt.timeout_ms);
    if (t->due_ns > t->deadline_ns)
        t->due_ns = t->deadline_ns;
}

static void
watch(struct curl_transfer *t, int64_t now_ns)
{
    if (t->cancel != NULL && breaker_cancel_is_triggered(t->cancel)) {
        curl_transfer_finished(t, CURLE_ABORTED_BY_CALLBACK);
        return;
    }
    look_for_progress(t, now_ns);
    if (now_ns >= t->due_ns)
        curl_transfer_finished(t, CURLE_OPERATION_TIMEDOUT);
}

/* ---- the call ---- */

/* Asks the call; what it says is due from now on. */
static void
ask(struct curl_transfer *t, int64_t now_ns)
{
    switch (breaker_call_next(t->call, &t->step)) {
    case BREAKER_STEP_ATTEMPT:
        begin(t, now_ns);
        break;
    case BREAKER_STEP_WAIT:
        t->due_ns = after_ms(now_ns, t->step.wait_ms);
        t->stage = CURL_STAGE_WAIT;
        break;
    default:
        t->stage = CURL_STAGE_OVER;
        break;
    }
}

void
curl_transfer_step(struct curl_transfer *t, int64_t now_ns)
{
    bool is_cancelled =
        t->cancel != NULL && breaker_cancel_is_triggered(t->cancel);

    if (t->stage == CURL_STAGE_ATTEMPT)
        watch(t, now_ns);
    else if (t->stage == CURL_STAGE_WAIT &&
             (now_ns >= t->due_ns || is_cancelled))
        t->stage = CURL_STAGE_NEXT;
    /* An attempt that cannot begin is answered at once: once more a step. */
    while (t->stage == CURL_STAGE_NEXT)
        ask(t, clock_mono_ns());
}

void
curl_transfer_cancel(struct curl_transfer *t)
{
    if (t->stage == CURL_STAGE_ATTEMPT)
        (void)curl_multi_remove_handle(t->multi, t->easy);
    if (t->stage != CURL_STAGE_OVER)
        breaker_call_cancel(t->call);
    t->stage = CURL_STAGE_OVER;
}

int
curl_transfer_end(struct curl_transfer **slot, struct breaker_summary *summary,
                  bool delivers)
{
    struct curl_transfer *t = *slot;
    int stop;

    curl_transfer_cancel(t);
    stop = breaker_call_end(&t->call, summary);
    if (delivers && t->attempts > 0 && stop != BREAKER_STOP_CANCELLED &&
        summary->is_default == 0)
        curl_sink_deliver(&t->sink);
    detach(t);
    free(t);
    *slot = NULL;
    return stop;
}
