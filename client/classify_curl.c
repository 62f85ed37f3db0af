/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's result codes and errno as outcomes. Only libcurl's header is needed
 * here, for its numbers. */
#include "breaker/classify.h"
#include "core/text.h"
#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct code_row {
    int code;
    uint8_t outcome;
    uint8_t class;
    const char *text;
};

#define NETWORK(code, text)                                    \
    {                                                          \
        (code), BREAKER_FAILURE, BREAKER_CLASS_NETWORK, (text) \
    }
#define TIMEOUT(code, text)                                    \
    {                                                          \
        (code), BREAKER_TIMEOUT, BREAKER_CLASS_TIMEOUT, (text) \
    }
#define REJECTED(code, text)                                    \
    {                                                           \
        (code), BREAKER_REJECTED, BREAKER_CLASS_REQUEST, (text) \
    }
#define CRITICAL(code, text)                                 \
    {                                                        \
        (code), BREAKER_CRITICAL, BREAKER_CLASS_AUTH, (text) \
    }
#define LOCAL(code, text)                                      \
    {                                                          \
        (code), BREAKER_CANCELLED, BREAKER_CLASS_LOCAL, (text) \
    }
#define CANCELLED(code, text)                                      \
    {                                                              \
        (code), BREAKER_CANCELLED, BREAKER_CLASS_CANCELLED, (text) \
    }

/* What is not here is a wrong use of libcurl or a protocol of no concern: local.
 * A name that does not resolve says nothing about who bears it: the resolver is
 * ours. A certificate that is refused is the upstream's (or somebody between). */
static const struct code_row curl_rows[] = {
    {CURLE_OK, BREAKER_SUCCESS, BREAKER_CLASS_NONE, ""},
    NETWORK(CURLE_COULDNT_CONNECT, "could not connect"),
    NETWORK(CURLE_WEIRD_SERVER_REPLY, "weird reply"),
    NETWORK(CURLE_HTTP2, "HTTP/2 broke"),
    NETWORK(CURLE_HTTP2_STREAM, "HTTP/2 stream broke"),
    NETWORK(CURLE_HTTP3, "HTTP/3 broke"),
    NETWORK(CURLE_QUIC_CONNECT_ERROR, "could not connect by QUIC"),
    NETWORK(CURLE_PARTIAL_FILE, "came short"),
    NETWORK(CURLE_UPLOAD_FAILED, "upload failed"),
    NETWORK(CURLE_SSL_CONNECT_ERROR, "TLS failed"),
    NETWORK(CURLE_PEER_FAILED_VERIFICATION, "certificate refused"),
    NETWORK(CURLE_SSL_SHUTDOWN_FAILED, "TLS broke off"),
    NETWORK(CURLE_GOT_NOTHING, "nothing came"),
    NETWORK(CURLE_SEND_ERROR, "connection broke while sending"),
    NETWORK(CURLE_RECV_ERROR, "connection broke"),
    NETWORK(CURLE_BAD_CONTENT_ENCODING, "content is garbled"),
    NETWORK(CURLE_CHUNK_FAILED, "chunk is garbled"),
    NETWORK(CURLE_HTTP_RETURNED_ERROR, "HTTP error"),
    TIMEOUT(CURLE_OPERATION_TIMEDOUT, "timed out"),
    REJECTED(CURLE_TOO_MANY_REDIRECTS, "too many redirects"),
    REJECTED(CURLE_RANGE_ERROR, "range refused"),
    REJECTED(CURLE_REMOTE_FILE_NOT_FOUND, "not found"),
    REJECTED(CURLE_FILESIZE_EXCEEDED, "answer is too large"),
    CRITICAL(CURLE_LOGIN_DENIED, "login denied"),
    CRITICAL(CURLE_REMOTE_ACCESS_DENIED, "access denied"),
    CRITICAL(CURLE_AUTH_ERROR, "authentication failed"),
    CRITICAL(CURLE_SSL_CLIENTCERT, "client certificate wanted"),
    LOCAL(CURLE_COULDNT_RESOLVE_HOST, "name does not resolve"),
    LOCAL(CURLE_COULDNT_RESOLVE_PROXY, "proxy's name does not resolve"),
    LOCAL(CURLE_PROXY, "proxy failed"),
    LOCAL(CURLE_OUT_OF_MEMORY, "out of memory"),
    LOCAL(CURLE_INTERFACE_FAILED, "interface not usable"),
    LOCAL(CURLE_SEND_FAIL_REWIND, "request cannot be sent again"),
    LOCAL(CURLE_URL_MALFORMAT, "URL is malformed"),
    LOCAL(CURLE_UNSUPPORTED_PROTOCOL, "protocol is not supported"),
    LOCAL(CURLE_READ_ERROR, "request body cannot be read"),
    CANCELLED(CURLE_ABORTED_BY_CALLBACK, "aborted by the caller"),
    CANCELLED(CURLE_WRITE_ERROR, "the caller took no more"),
};

/* What is not here: the upstream's, or the network's towards it. */
static const struct code_row errno_rows[] = {
    {0, BREAKER_SUCCESS, BREAKER_CLASS_NONE, ""},
    TIMEOUT(ETIMEDOUT, "timed out"),
    TIMEOUT(EAGAIN, "timed out"),
    TIMEOUT(ETIME, "timed out"),
    LOCAL(EMFILE, "out of descriptors"),
    LOCAL(ENFILE, "out of descriptors"),
    LOCAL(ENOMEM, "out of memory"),
    LOCAL(ENOBUFS, "out of buffers"),
    LOCAL(EADDRNOTAVAIL, "out of ports"),
    LOCAL(EADDRINUSE, "address in use"),
    LOCAL(EAFNOSUPPORT, "address family not supported"),
    LOCAL(EACCES, "not permitted"),
    LOCAL(EPERM, "not permitted"),
    LOCAL(EINVAL, "invalid argument"),
    LOCAL(EBADF, "bad descriptor"),
    LOCAL(EFAULT, "bad address"),
    LOCAL(ENOTSOCK, "not a socket"),
    LOCAL(ENOSPC, "disk is full"),
    CANCELLED(ECANCELED, "cancelled"),
    CANCELLED(EINTR, "interrupted"),
};

static const struct code_row *
find(const struct code_row *rows, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

static void
set(struct breaker_result *result, const struct code_row *row, int code)
{
    breaker_result_set(result, (enum breaker_outcome)row->outcome,
                       (enum breaker_error_class)row->class, row->text);
    result->code = code;
}

static void
set_other(struct breaker_result *result, struct code_row row, const char *what,
          int code)
{
    struct bk_text text;

    set(result, &row, code);
    bk_text_init(&text, result->text, sizeof result->text);
    bk_text_put(&text, what);
    bk_text_put_i64(&text, code);
}

void
breaker_classify_curl(int code, int os_error, struct breaker_result *result)
{
    const struct code_row *row = find(curl_rows, COUNT_OF(curl_rows), code);
    const struct code_row *why =
        find(errno_rows, COUNT_OF(errno_rows), os_error);

    if (result == NULL)
        return;
    /* libcurl calls it a failed connection when there is no socket to be had. */
    if (code == CURLE_COULDNT_CONNECT && why != NULL && os_error != 0 &&
        why->class == BREAKER_CLASS_LOCAL)
        set(result, why, code);
    else if (row != NULL)
        set(result, row, code);
    else
        set_other(result, (struct code_row)LOCAL(code, ""), "libcurl error ",
                  code);
}

void
breaker_classify_errno(int error, struct breaker_result *result)
{
    const struct code_row *row = find(errno_rows, COUNT_OF(errno_rows), error);

    if (result == NULL)
        return;
    if (row != NULL)
        set(result, row, error);
    else
        set_other(result, (struct code_row)NETWORK(error, ""), "errno ", error);
}
