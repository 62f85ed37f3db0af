#ifndef BREAKER_CURL_H
#define BREAKER_CURL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * libbreaker-curl: whole calls made with libcurl. Prepare an easy handle as
 * always and have it performed behind the breaker, with retries:
 *
 *     struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;
 *     struct breaker_summary told = BREAKER_SUMMARY_INIT;
 *
 *     curl_easy_setopt(easy, CURLOPT_URL, "https://...");
 *     how.write = on_body;
 *     how.write_data = reply;
 *     if (breaker_curl_perform(llm, easy, &how, &told) == BREAKER_STOP_SUCCESS)
 *         ...
 *
 * What holds for every transfer:
 *  - It is tried again until the first octet of a body reached the user. Headers
 *    are held back until then; an error's body (status 400 and above) until no
 *    other attempt will follow. So the user sees one answer: the last.
 *  - A request body is sent again from its beginning. CURLOPT_POSTFIELDS and
 *    what libcurl made of curl_mime go by themselves; a `read` callback needs a
 *    `seek`, else there is one attempt once something was read.
 *  - An attempt ends by this library's own clock, also while libcurl looks up a
 *    name (libcurl before 7.87 ends the look-up first) or connects. With BREAKER_STREAMING it is the time without an octet in
 *    either direction that is bounded. Progress renews the lease.
 *  - While a transfer lasts the library sets CURLOPT_WRITEFUNCTION, WRITEDATA,
 *    HEADERFUNCTION, HEADERDATA, OPENSOCKETFUNCTION, OPENSOCKETDATA and, with
 *    `read`, READFUNCTION, READDATA, SEEKFUNCTION, SEEKDATA; afterwards they are
 *    the user's of the options below. libcurl does not tell what is set, so callbacks have to be named
 *    here. CURLOPT_NOSIGNAL and CURLOPT_QUICK_EXIT are set and stay.
 *  - SIGPIPE is blocked in the calling thread meanwhile.
 *
 * curl_global_init() is the user's, before the first transfer. */
#include "breaker/retry.h"
#include <curl/curl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Octets of an error's body that are kept for the user and the classifier, and
 * octets of headers; what is longer is cut. */
#define BREAKER_CURL_KEEP_BYTES 65536
/* Transfers of one breaker_curl_multi at once. */
#define BREAKER_CURL_TRANSFERS_MAX 4096

struct breaker_curl_multi;

/* Zero means the default in every field but `size`. Is copied; what it points to
 * must live until the transfer is over. */
struct breaker_curl_options {
    size_t size;
    const struct breaker_call_options *call; /* NULL: the defaults. `rebuild`
                                may set the URL, headers, body of the handle */
    /* The user's own, as for CURLOPT_WRITEFUNCTION and so on. A NULL `write` is
     * libcurl's: to write_data as a FILE, NULL: standard output. `write` may
     * pause, but not at an error's body. */
    curl_write_callback write;
    void *write_data;
    curl_write_callback header; /* NULL: nobody wants them */
    void *header_data;
    curl_read_callback read; /* NULL: not set by the library */
    void *read_data;
    curl_seek_callback seek; /* called with offset 0 and SEEK_SET */
    void *seek_data;
    curl_opensocket_callback open_socket; /* NULL: socket(2) */
    void *open_socket_data;
    breaker_classifier *classify; /* the last word; sees an error's body */
    void *classify_context;
    /* Of breaker_curl_perform: where connections stay open from call to call.
     * NULL: they are closed with the call. Its other transfers go on meanwhile. */
    struct breaker_curl_multi *multi;
};
#define BREAKER_CURL_OPTIONS_INIT                                          \
    {                                                                      \
        sizeof(struct breaker_curl_options), NULL, NULL, NULL, NULL, NULL, \
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL           \
    }

/* Makes the call in this thread and returns an enum breaker_stop; `summary` (may
 * be NULL) has the rest, its result.code the HTTP status or the CURLcode. Blocks
 * as breaker_call does. Negative, and nothing was sent: BREAKER_ERROR_ARGUMENT,
 * or BREAKER_ERROR_MEMORY when memory or descriptors are out. */
BREAKER_API int breaker_curl_perform(struct breaker_service *service,
                                     CURL *easy,
                                     const struct breaker_curl_options *options,
                                     struct breaker_summary *summary);

/* ---- many in one loop ---- */

/* The transfer is over; `easy` is the user's again and may be added once more,
 * from here too. Called from breaker_curl_multi_run. */
typedef void breaker_curl_done(void *context, CURL *easy,
                               const struct breaker_summary *summary);

/* A set of transfers, used by one thread at a time. NULL: no memory or no
 * descriptor. */
BREAKER_API BREAKER_NODISCARD struct breaker_curl_multi *
breaker_curl_multi_new(void);
/* Ends what is under way (without telling) and sets *m to NULL. Not from a
 * callback. */
BREAKER_API void breaker_curl_multi_free(struct breaker_curl_multi **m);
/* Takes a transfer in; it begins with the next run. `easy` belongs to the set
 * until `done` (may be NULL) was called. 0, BREAKER_ERROR_ARGUMENT (the handle is
 * in it already, too), BREAKER_ERROR_MEMORY, or BREAKER_ERROR_FULL. */
BREAKER_API int
breaker_curl_multi_add(struct breaker_curl_multi *m,
                       struct breaker_service *service, CURL *easy,
                       const struct breaker_curl_options *options,
                       breaker_curl_done *done, void *context);
/* Ends a transfer as cancelled; `done` is called with the next run. 0, or
 * BREAKER_ERROR_ARGUMENT when it is not in the set. */
BREAKER_API int breaker_curl_multi_cancel(struct breaker_curl_multi *m,
                                          CURL *easy);
/* Readable when breaker_curl_multi_run has something to do, for event loops:
 * sockets, timers and cancelling are all behind it. Not to be read from or
 * closed. -1 for NULL. */
BREAKER_API int breaker_curl_multi_fd(const struct breaker_curl_multi *m);
/* Waits until there is something to do, at most `timeout_ms` (0: not at all),
 * and does it. How many transfers are not over, or BREAKER_ERROR_ARGUMENT. Asks
 * the daemon where it must, within the handle's deadline. */
BREAKER_API int breaker_curl_multi_run(struct breaker_curl_multi *m,
                                       uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
