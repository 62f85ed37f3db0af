/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that makes calls with libbreaker-curl and says what came of them, one
 * line a call: key=value words, and the body behind the last of them.
 *
 *   call_http [KEY=VALUE]... URL...
 *
 * keys: service, deadline, timeout, max_elapsed, attempts, base (milliseconds
 * where they are times), preset=streaming|fast, post=TEXT, read=TEXT (by a
 * callback that can be rewound), stuck=TEXT (by one that cannot), cancel=MS (by
 * another thread), refuse=1 (the user takes no octet), files=N (descriptors
 * allowed), classify=OUTCOME, multi=1 (all in one loop), repeat=N, drop=1 (the first
 * of a loop is cancelled), leave=MS (the loop is freed then). */
#include "breaker/curl.h"
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define URLS_MAX 256
#define BODY_MAX 256
#define PATIENCE_MS 60000

/* Stands before the system's: a look-up that takes as long as nobody waits. */
int
getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
            struct addrinfo **pai)
{
    typedef int look_up(const char *, const char *, const struct addrinfo *,
                        struct addrinfo **);
    look_up *system_s;

    if (name != NULL && strcmp(name, "hangs.invalid") == 0) {
        sleep(5);
        return EAI_AGAIN;
    }
    *(void **)&system_s = dlsym(RTLD_NEXT, "getaddrinfo");
    return system_s(name, service, req, pai);
}

struct choices {
    const char *service;
    const char *post, *read, *stuck, *classify;
    long cancel_ms;
    long files;
    long repeat;
    long leave_ms;
    bool refuses, is_multi, drops;
    struct breaker_call_options call;
};

struct reply {
    const struct choices *choices;
    struct breaker_summary summary;
    char body[BODY_MAX + 1];
    size_t kept, len, writes;
    size_t headers, statuses; /* lines, and how many answers they began */
    const char *upload;
    size_t uploaded;
    int stop;
    bool is_over;
};

static size_t
on_write(char *at, size_t size, size_t count, void *context)
{
    struct reply *r = context;
    size_t len = size * count;
    size_t room = BODY_MAX - r->kept;

    if (r->choices->refuses)
        return 0;
    memcpy(r->body + r->kept, at, len < room ? len : room);
    r->kept += len < room ? len : room;
    r->len += len;
    r->writes++;
    return len;
}

static size_t
on_header(char *at, size_t size, size_t count, void *context)
{
    struct reply *r = context;

    r->headers++;
    if (size * count > 5 && memcmp(at, "HTTP/", 5) == 0)
        r->statuses++;
    return size * count;
}

static size_t
on_read(char *to, size_t size, size_t count, void *context)
{
    struct reply *r = context;
    size_t left = strlen(r->upload) - r->uploaded;
    size_t len = left < size * count ? left : size * count;

    memcpy(to, r->upload + r->uploaded, len);
    r->uploaded += len;
    return len;
}

static int
on_seek(void *context, curl_off_t offset, int origin)
{
    struct reply *r = context;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    r->uploaded = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static void
classify(void *context, const struct breaker_http *answer,
         struct breaker_result *result)
{
    const struct reply *r = context;
    const struct choices *c = r->choices;

    if (answer != NULL && answer->status == 418)
        breaker_result_set(
            result, (enum breaker_outcome)breaker_outcome_parse(c->classify),
            BREAKER_CLASS_OTHER, "by the user");
}

/* ---- what is asked for ---- */

static bool
number(const char *word, const char *key, uint64_t *out)
{
    size_t len = strlen(key);

    if (strncmp(word, key, len) != 0 || word[len] != '=')
        return false;
    *out = strtoull(word + len + 1, NULL, 10);
    return true;
}

static bool
text(const char *word, const char *key, const char **out)
{
    size_t len = strlen(key);

    if (strncmp(word, key, len) != 0 || word[len] != '=')
        return false;
    *out = word + len + 1;
    return true;
}

static bool
choose(struct choices *c, const char *word)
{
    uint64_t n = 0;
    const char *preset = NULL;

    if (number(word, "deadline", &c->call.deadline_ms) ||
        number(word, "timeout", &c->call.attempt_timeout_ms) ||
        number(word, "max_elapsed", &c->call.max_elapsed_ms) ||
        number(word, "base", &c->call.base_delay_ms) ||
        text(word, "service", &c->service) || text(word, "post", &c->post) ||
        text(word, "read", &c->read) || text(word, "stuck", &c->stuck) ||
        text(word, "classify", &c->classify))
        return true;
    if (number(word, "attempts", &n))
        c->call.max_attempts = (uint32_t)n;
    else if (number(word, "cancel", &n))
        c->cancel_ms = (long)n;
    else if (number(word, "files", &n))
        c->files = (long)n;
    else if (number(word, "repeat", &n))
        c->repeat = (long)n;
    else if (number(word, "refuse", &n))
        c->refuses = n != 0;
    else if (number(word, "drop", &n))
        c->drops = n != 0;
    else if (number(word, "leave", &n))
        c->leave_ms = (long)n;
    else if (number(word, "multi", &n))
        c->is_multi = n != 0;
    else if (text(word, "preset", &preset))
        c->call.preset =
            strcmp(preset, "fast") == 0 ? BREAKER_FAST : BREAKER_STREAMING;
    else
        return false;
    return true;
}

static CURL *
prepare(const struct choices *c, const char *url, struct reply *r,
        struct breaker_curl_options *how)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        return NULL;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    how->call = &c->call;
    how->write = on_write;
    how->write_data = r;
    how->header = on_header;
    how->header_data = r;
    if (c->post != NULL)
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, c->post);
    if (c->read != NULL || c->stuck != NULL) {
        r->upload = c->read != NULL ? c->read : c->stuck;
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                         (curl_off_t)strlen(r->upload));
        how->read = on_read;
        how->read_data = r;
        how->seek = c->read != NULL ? on_seek : NULL;
        how->seek_data = r;
    }
    if (c->classify != NULL) {
        how->classify = classify;
        how->classify_context = r;
    }
    return easy;
}

/* ---- what came of it ---- */

static void
say(const struct reply *r)
{
    const struct breaker_summary *s = &r->summary;

    printf("stop=%s attempts=%u waits=%u waited_ms=%.1f elapsed_ms=%.1f "
           "outcome=%s class=%s code=%d retry_after_ms=%llu reason=%s "
           "len=%zu headers=%zu statuses=%zu text=%s body=",
           r->stop < 0 ? "error" : breaker_stop_name(r->stop), s->attempts,
           s->waits, (double)s->waited_us / 1000, (double)s->elapsed_us / 1000,
           breaker_outcome_name((int)s->result.outcome),
           breaker_class_name((int)s->result.error_class), (int)s->result.code,
           (unsigned long long)s->result.retry_after_ms,
           breaker_reason_name((int)s->reason), r->len, r->headers, r->statuses,
           s->result.text[0] != '\0' ? s->result.text : "-");
    for (size_t i = 0; i < r->kept; i++)
        putchar(r->body[i] >= ' ' && r->body[i] <= '~' ? r->body[i] : '_');
    putchar('\n');
    fflush(stdout);
}

static void *
trigger(void *context)
{
    const struct choices *c = context;
    struct timespec t = {c->cancel_ms / 1000, c->cancel_ms % 1000 * 1000000};

    nanosleep(&t, NULL);
    breaker_cancel_trigger(c->call.cancel);
    return NULL;
}

static void
one_after_the_other(struct breaker_service *service, const struct choices *c,
                    char *const *urls, size_t count)
{
    struct breaker_curl_multi *kept = breaker_curl_multi_new();
    struct reply *r = calloc(1, sizeof *r);

    for (size_t i = 0; r != NULL && i < count * (size_t)c->repeat; i++) {
        struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;
        CURL *easy;

        memset(r, 0, sizeof *r);
        r->choices = c;
        r->summary.size = sizeof r->summary;
        easy = prepare(c, urls[i % count], r, &how);
        how.multi = c->repeat > 1 ? kept : NULL;
        r->stop = breaker_curl_perform(service, easy, &how, &r->summary);
        say(r);
        curl_easy_cleanup(easy);
    }
    free(r);
    breaker_curl_multi_free(&kept);
}

static void
on_done(void *context, CURL *easy, const struct breaker_summary *summary)
{
    struct reply *r = context;

    (void)easy;
    r->summary = *summary;
    r->stop = (int)summary->stop;
    r->is_over = true;
    say(r);
}

/* As an event loop does it: by the one descriptor. */
static void
all_at_once(struct breaker_service *service, const struct choices *c,
            char *const *urls, size_t count)
{
    struct breaker_curl_multi *m = breaker_curl_multi_new();
    struct reply *r = calloc(count, sizeof *r);
    CURL *easy[URLS_MAX] = {NULL};
    struct pollfd ready = {.fd = breaker_curl_multi_fd(m), .events = POLLIN};
    int patience_ms = c->leave_ms > 0 ? (int)c->leave_ms : PATIENCE_MS;
    int left = (int)count;

    for (size_t i = 0; r != NULL && i < count; i++) {
        struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;

        r[i].choices = c;
        easy[i] = prepare(c, urls[i], &r[i], &how);
        if (breaker_curl_multi_add(m, service, easy[i], &how, on_done, &r[i]))
            printf("stop=error\n");
    }
    if (c->drops)
        printf("dropped=%d,%d\n", breaker_curl_multi_cancel(m, easy[0]),
               breaker_curl_multi_cancel(m, NULL));
    while (left > 0 && poll(&ready, 1, patience_ms) == 1)
        left = breaker_curl_multi_run(m, 0);
    if (left > 0) {
        printf("left=%d\n", left);
        breaker_curl_multi_free(&m);
    }
    for (size_t i = 0; r != NULL && i < count; i++)
        curl_easy_cleanup(easy[i]);
    breaker_curl_multi_free(&m);
    free(r);
}

/* Leaves only as many descriptors as are open now, and `more`. */
static void
starve(long more)
{
    struct rlimit limit;
    int lowest = dup(0);

    close(lowest);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)(lowest + more);
    setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(int argc, char **argv)
{
    struct choices c = {
        .service = "web", .repeat = 1, .call = BREAKER_CALL_OPTIONS_INIT};
    struct breaker_service *service;
    struct breaker *b;
    pthread_t thread = 0;
    int first = 1;

    while (first < argc && choose(&c, argv[first]))
        first++;
    if (first >= argc || argc - first > URLS_MAX)
        return 2;
    /* A host that would die of it. */
    signal(SIGPIPE, SIG_DFL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    b = breaker_open(NULL);
    service = breaker_service(b, c.service);
    if (c.cancel_ms > 0) {
        c.call.cancel = breaker_cancel_new();
        pthread_create(&thread, NULL, trigger, &c);
    }
    if (c.files > 0) {
        (void)breaker_ping(b, NULL);
        starve(c.files);
    }
    (c.is_multi ? all_at_once : one_after_the_other)(service, &c, argv + first,
                                                     (size_t)(argc - first));
    if (c.cancel_ms > 0) {
        pthread_join(thread, NULL);
        breaker_cancel_free(&c.call.cancel);
    }
    breaker_close(&b);
    curl_global_cleanup();
    return 0;
}
