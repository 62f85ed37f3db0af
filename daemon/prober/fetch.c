/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/fetch.h"
#include "daemon/prober/address.h"
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of an answer's body no more than this is taken. */
#define BODY_MAX 16384
#define HEADERS_MAX 65536
/* Threads that resolve names may outlive their request: libcurl leaves one behind
 * for each name that nobody answers for. */
#define THREADS_MAX 192
#define NS_PER_US 1000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

struct transfer {
    CURL *easy; /* NULL: free */
    struct curl_slist *headers;
    fetch_done *done; /* NULL: dropped */
    void *context;
    size_t body;
    size_t head;
    bool may_be_loopback;
    bool is_full;   /* enough was read */
    bool is_barred; /* an address was refused */
    bool is_own_trouble;
};

struct fetch {
    CURLM *multi;
    struct transfer all[FETCH_MAX];
    unsigned under_way;
};

struct fetch *
fetch_open(void)
{
    struct fetch *f = calloc(1, sizeof(*f));
    if (f == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(f);
        return NULL;
    }
    f->multi = curl_multi_init();
    if (f->multi == NULL) {
        fetch_close(&f);
    }
    return f;
}

static void
free_transfer(struct fetch *f, struct transfer *t)
{
    if (t->easy != NULL) {
        curl_multi_remove_handle(f->multi, t->easy);
        curl_easy_cleanup(t->easy);
        curl_slist_free_all(t->headers);
        f->under_way--;
    }
    memset(t, 0, sizeof(*t));
}

void
fetch_close(struct fetch **f)
{
    if (*f == NULL) {
        return;
    }
    for (size_t i = 0; i < FETCH_MAX; i++) {
        free_transfer(*f, &(*f)->all[i]);
    }
    curl_multi_cleanup((*f)->multi);
    curl_global_cleanup();
    free(*f);
    *f = NULL;
}

/* /proc/self/task has a link for each thread and two more. */
static bool
has_threads(void)
{
    struct stat task;
    return stat("/proc/self/task", &task) != 0 ||
           task.st_nlink < THREADS_MAX + 2;
}

bool
fetch_has_room(const struct fetch *f)
{
    return f->under_way < FETCH_MAX;
}

/* ---- what libcurl asks while it works ---- */

static size_t
take_body(char *at, /* NOLINT(readability-non-const-parameter): curl's type */
          size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    (void)at;
    t->body += size * count;
    t->is_full = t->body > BODY_MAX;
    return t->is_full ? 0 : size * count;
}

static size_t
take_header(char *at, /* NOLINT(readability-non-const-parameter): curl's type */
            size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    (void)at;
    t->head += size * count;
    return t->head > HEADERS_MAX ? 0 : size * count;
}

static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = context;
    (void)purpose;
    if (!address_is_allowed(&address->addr, t->may_be_loopback)) {
        t->is_barred = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family,
                    address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                   errno == ENOBUFS)) {
        t->is_own_trouble = true;
    }
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* ---- start ---- */

static bool
names_loopback(const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL;
    bool is_loopback = false;
    if (parts != NULL &&
        curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        is_loopback = address_names_loopback(host);
    }
    curl_free(host);
    curl_url_cleanup(parts);
    return is_loopback;
}

/* What a hostile answer may not do. */
static void
bound(struct transfer *t, const struct fetch_request *q)
{
    long timeout_ms = (long)(q->timeout_ns / NS_PER_MS);
    curl_easy_setopt(t->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(t->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
    curl_easy_setopt(t->easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(t->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(t->easy, CURLOPT_SSLVERSION,
                     (long)CURL_SSLVERSION_TLSv1_2);
    /* Each request tries it all: the name, the way, the greeting. */
    curl_easy_setopt(t->easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
}

static bool
add_header(struct transfer *t, const char *line)
{
    struct curl_slist *more = curl_slist_append(t->headers, line);
    t->headers = more != NULL ? more : t->headers;
    return more != NULL;
}

static bool
prepare(struct transfer *t, const struct fetch_request *q)
{
    char type[96];
    t->easy = curl_easy_init();
    if (t->easy == NULL) {
        return false;
    }
    t->may_be_loopback = names_loopback(q->url);
    bound(t, q);
    bool is_good = curl_easy_setopt(t->easy, CURLOPT_URL, q->url) == CURLE_OK &&
                   curl_easy_setopt(t->easy, CURLOPT_USERAGENT,
                                    "breakerd/" BREAKERD_VERSION) == CURLE_OK;
    if (is_good && q->body != NULL) {
        snprintf(type, sizeof(type), "Content-Type: %s", q->content_type);
        is_good = add_header(t, type) && add_header(t, "Expect:") &&
                  curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, q->body) ==
                      CURLE_OK &&
                  curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) ==
                      CURLE_OK;
    }
    return is_good;
}

void
fetch_start(struct fetch *f, const struct fetch_request *q)
{
    static const struct fetch_result trouble = {
        .end = FETCH_OWN_TROUBLE,
        .text = "out of threads, descriptors or memory"};
    struct transfer *t = f->all;
    while (t < f->all + FETCH_MAX && t->easy != NULL) {
        t++;
    }
    if (t == f->all + FETCH_MAX || !has_threads()) {
        q->done(q->context, &trouble);
        return;
    }
    bool is_good = prepare(t, q);
    if (t->easy != NULL) {
        f->under_way++;
    }
    t->done = q->done;
    t->context = q->context;
    if (!is_good || curl_multi_add_handle(f->multi, t->easy) != CURLM_OK) {
        free_transfer(f, t);
        q->done(q->context, &trouble);
    }
}

void
fetch_drop(struct fetch *f, const void *context)
{
    for (size_t i = 0; i < FETCH_MAX; i++) {
        if (f->all[i].easy != NULL && f->all[i].context == context) {
            free_transfer(f, &f->all[i]);
        }
    }
}

/* ---- end ---- */

/* Resolving fails without a socket, too, when there are no descriptors. */
static bool
has_descriptors(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return errno == EBADF;
    }
    close(fd);
    return true;
}

static enum fetch_end
end_of(const struct transfer *t, CURLcode code, long status)
{
    if (t->is_own_trouble || code == CURLE_OUT_OF_MEMORY ||
        code == CURLE_FAILED_INIT || code == CURLE_SSL_CACERT_BADFILE ||
        (code == CURLE_COULDNT_RESOLVE_HOST && !has_descriptors())) {
        return FETCH_OWN_TROUBLE;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return FETCH_TIMEOUT;
    }
    /* A long body is cut off, and the answer counts all the same. */
    bool is_answered = code == CURLE_OK || (t->is_full && status > 0);
    return is_answered ? FETCH_ANSWERED : FETCH_FAILED;
}

static void
describe(const struct transfer *t, CURLcode code, struct fetch_result *r)
{
    const char *words = curl_easy_strerror(code);
    if (r->end == FETCH_ANSWERED) {
        snprintf(r->text, sizeof(r->text), "HTTP %ld", r->status);
        return;
    }
    if (code == CURLE_SSL_CACERT_BADFILE) {
        words = "no certificates of authorities; install ca-certificates";
    } else if (r->end == FETCH_OWN_TROUBLE) {
        words = "out of threads, descriptors or memory";
    } else if (t->is_barred && code == CURLE_COULDNT_CONNECT) {
        words = "address not allowed";
    } else if (t->head > HEADERS_MAX) {
        words = "headers without end";
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        words = "no answer in time";
    }
    snprintf(r->text, sizeof(r->text), "%s", words);
}

static void
finish(struct fetch *f, struct transfer *t, CURLcode code)
{
    struct fetch_result r = {0};
    curl_off_t time_us = 0;
    curl_off_t after_s = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &time_us);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after_s);
    r.end = end_of(t, code, r.status);
    r.latency_ns = (int64_t)time_us * NS_PER_US;
    if (after_s > 0 && after_s < INT32_MAX) {
        r.retry_after_ns = (int64_t)after_s * NS_PER_S;
    }
    describe(t, code, &r);
    fetch_done *done = t->done;
    void *context = t->context;
    free_transfer(f, t);
    done(context, &r);
}

bool
fetch_run(struct fetch *f, int fd, int timeout_ms)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    int running = 0;
    int left = 0;
    CURLMsg *message;
    if (curl_multi_poll(f->multi, &extra, 1, timeout_ms, NULL) != CURLM_OK ||
        curl_multi_perform(f->multi, &running) != CURLM_OK) {
        return false;
    }
    while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
        char *private = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                              &private) == CURLE_OK) {
            finish(f, (struct transfer *)(void *)private, code);
        }
    }
    return true;
}
