/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd's parser forgives much. What matters is looked at again here:
 * one Host of our own, a method that only reads, no body, a target of plain
 * characters. */
#define _GNU_SOURCE
#include "tools/web_server.h"
#include "tools/web_answer.h"
#include "tools/web_clock.h"
#include "tools/web_options.h"
#include "tools/web_stream.h"
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Octets of a request's line and headers, and of MHD's own needs, together. */
#define MEMORY_MAX 16384
/* A connection that is this old is told to end with its next answer. */
#define AGE_LAST_ANSWER_NS (6 * BK_NS_PER_S)
/* How often ages are looked at. */
#define AGE_EVERY_NS (1 * BK_NS_PER_S)

struct connection {
    struct connection *next;
    struct connection **back; /* what points here */
    int64_t begun_ns;
    int fd;
    bool is_stream;
};

struct web_server {
    struct web *web;
    struct web_streams *streams;
    struct MHD_Daemon *daemons[WEB_LISTEN_MAX];
    size_t count;
    struct connection *connections;
    int64_t aged_ns; /* when ages were last looked at */
};

/* What a request's line said, kept until the answer is out. */
struct line {
    bool is_judged; /* headers were looked at, and nothing was wrong */
    size_t len;
    char target[WEB_TARGET_MAX + 2]; /* longer ones are cut, and refused */
};

/* No page of another place may read, embed or be told of anything here, and no
 * page of this place runs or loads anything that is not of this place. */
static const struct {
    const char *name;
    const char *value;
} headers[] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
     "connect-src 'self'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

/* ---- judging ---- */

struct head {
    const char *host;
    size_t host_len;
    unsigned hosts;
    bool has_body;
};

static enum MHD_Result
note_header(void *context, enum MHD_ValueKind kind, const char *key,
            size_t key_len, const char *value, size_t value_len)
{
    struct head *head = context;

    (void)kind;
    (void)key_len;
    if (strcasecmp(key, "Host") == 0) {
        head->hosts++;
        head->host = value != NULL ? value : "";
        head->host_len = value_len;
    } else if (strcasecmp(key, "Transfer-Encoding") == 0) {
        head->has_body = true;
    } else if (strcasecmp(key, "Content-Length") == 0) {
        head->has_body = head->has_body || value_len != 1 || value[0] != '0';
    }
    return MHD_YES;
}

/* False: `out` has the refusal. */
static bool
is_welcome(const struct web_server *s, struct MHD_Connection *c,
           const char *method, struct web_answer *out)
{
    struct head head = {0};

    MHD_get_connection_values_n(c, MHD_HEADER_KIND, note_header, &head);
    if (head.hosts != 1 ||
        !web_host_is_allowed(&s->web->hosts, head.host, head.host_len)) {
        web_answer_error(out, 421, "misdirected",
                         "this server does not answer to that Host; start it "
                         "with --allow-host NAME if it should");
        return false;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        web_answer_error(out, 405, "method_not_allowed",
                         "only GET and HEAD: nothing is changed over HTTP; use "
                         "breakerctl");
        return false;
    }
    if (head.has_body) {
        web_answer_error(out, 413, "bad_request",
                         "a request with a body is not taken");
        return false;
    }
    return true;
}

static void
answer(struct web_server *s, const struct line *line, struct web_answer *out)
{
    struct web_target target;

    if (line->len > WEB_TARGET_MAX)
        web_answer_error(out, 414, "bad_request", "the target is too long");
    else if (!web_target_read(line->target, line->len, &target))
        web_answer_error(out, 400, "bad_request",
                         "the target must be a path of printable ASCII");
    else
        web_paths_answer(s->web, &target, out);
}

/* ---- answering ---- */

static struct connection *
age_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static struct MHD_Response *
make_response(struct web_answer *a)
{
    /* MHD takes a pointer to what it will not change. */
    union {
        const char *from;
        void *to;
    } body = {.from = a->body};
    struct MHD_Response *r = MHD_create_response_from_buffer(
        a->len, body.to,
        a->is_owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);

    if (r == NULL && a->is_owned)
        free(body.to);
    return r;
}

static enum MHD_Result
queue(struct MHD_Connection *c, const struct web_answer *a,
      struct MHD_Response *r, bool ends)
{
    enum MHD_Result result;

    if (r == NULL)
        return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(r, headers[i].name, headers[i].value);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    if (a->status == 405)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (ends)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    result = MHD_queue_response(c, a->status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result
send_answer(struct MHD_Connection *c, struct web_answer *a, bool ends)
{
    return queue(c, a, make_response(a), ends);
}

static enum MHD_Result
send_stream(struct web_server *s, struct MHD_Connection *c,
            struct connection *age, struct web_answer *a)
{
    const char *seen =
        MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Last-Event-ID");
    uint64_t last_id = 0;
    struct MHD_Response *r;

    if (seen != NULL)
        (void)bk_read_number(seen, strlen(seen), &last_id);
    r = web_streams_open(s->streams, c, last_id);
    age->is_stream = r != NULL;
    if (r != NULL)
        return queue(c, a, r, true);
    web_answer_error(a, 503, "unavailable",
                     "too many listen to events already; try again, or ask "
                     "/api/v1/live now and then");
    return send_answer(c, a, true);
}

/* Called when the headers are there, and again when the rest is: answering only
 * then lets the connection live on. */
static enum MHD_Result
handle(void *context, struct MHD_Connection *c, const char *url,
       const char *method, const char *version, const char *upload,
       size_t *upload_len, /* NOLINT(readability-non-const-parameter): MHD's */
       void **request)
{
    struct web_server *s = context;
    struct line *line = *request;
    struct connection *age = age_of(c);
    struct web_answer out;

    (void)url; /* decoded: what came is in `line` */
    (void)version;
    (void)upload;
    (void)upload_len;
    if (line == NULL || age == NULL)
        return MHD_NO; /* no memory: the connection ends */
    if (!line->is_judged) {
        line->is_judged = is_welcome(s, c, method, &out);
        return line->is_judged ? MHD_YES : send_answer(c, &out, true);
    }
    answer(s, line, &out);
    /* HEAD of a stream needs none. */
    if (out.is_stream && strcmp(method, "GET") == 0)
        return send_stream(s, c, age, &out);
    return send_answer(c, &out,
                       web_clock_ns() - age->begun_ns > AGE_LAST_ANSWER_NS);
}

/* The target before libmicrohttpd decodes it. */
static void *
keep_line(void *context, const char *uri, struct MHD_Connection *c)
{
    struct line *line = malloc(sizeof *line);

    (void)context;
    (void)c;
    if (line != NULL) {
        line->is_judged = false;
        line->len = strnlen(uri, sizeof line->target - 1);
        memcpy(line->target, uri, line->len);
        line->target[line->len] = '\0';
    }
    return line;
}

static void
drop_line(void *context, struct MHD_Connection *c, void **request,
          enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)c;
    (void)code;
    free(*request);
    *request = NULL;
}

/* ---- ages ---- */

static void
begin(struct web_server *s, struct MHD_Connection *c, void **kept)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *age = malloc(sizeof *age);

    *kept = age;
    if (age == NULL || info == NULL)
        return;
    *age = (struct connection){.next = s->connections,
                               .back = &s->connections,
                               .begun_ns = web_clock_ns(),
                               .fd = info->connect_fd};
    if (age->next != NULL)
        age->next->back = &age->next;
    s->connections = age;
}

static void
end(void **kept)
{
    struct connection *age = *kept;

    if (age == NULL)
        return;
    *age->back = age->next;
    if (age->next != NULL)
        age->next->back = age->back;
    free(age);
    *kept = NULL;
}

static void
note_connection(void *context, struct MHD_Connection *c, void **kept,
                enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin(context, c, kept);
    else
        end(kept);
}

/* libmicrohttpd's own timeout starts anew with every octet; this one does not.
 * It sees the closed connection when it next looks. */
static void
cut_old(struct web_server *s)
{
    int64_t now_ns = web_clock_ns();

    if (now_ns - s->aged_ns < AGE_EVERY_NS)
        return;
    s->aged_ns = now_ns;
    for (struct connection *c = s->connections; c != NULL; c = c->next) {
        if (!c->is_stream && now_ns - c->begun_ns > WEB_AGE_MAX_S * BK_NS_PER_S)
            shutdown(c->fd, SHUT_RDWR);
    }
}

/* ---- running ---- */

static struct MHD_Daemon *
start(struct web_server *s, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS_PER_ADDRESS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)WEB_SILENCE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, keep_line,
        s, MHD_OPTION_NOTIFY_COMPLETED, drop_line, s,
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, s, MHD_OPTION_END);
}

struct web_server *
web_server_open(struct web *web, const struct web_socket *sockets, size_t count,
                struct bk_text *why)
{
    struct web_server *s = calloc(1, sizeof *s);

    if (s != NULL)
        s->streams = web_streams_new(&web->view);
    if (s == NULL || s->streams == NULL) {
        bk_text_put(why, "out of memory");
        free(s);
        return NULL;
    }
    s->web = web;
    while (s->count < count && s->count < WEB_LISTEN_MAX) {
        s->daemons[s->count] = start(s, sockets[s->count].fd);
        if (s->daemons[s->count] == NULL) {
            bk_text_put(why, "libmicrohttpd cannot serve on ");
            bk_text_put(why, sockets[s->count].name);
            web_server_close(&s);
            return NULL;
        }
        s->count++;
    }
    return s;
}

size_t
web_server_fds(const struct web_server *s, struct pollfd *fds)
{
    for (size_t i = 0; i < s->count; i++)
        fds[i] = (struct pollfd){
            .fd = MHD_get_daemon_info(s->daemons[i], MHD_DAEMON_INFO_EPOLL_FD)
                      ->epoll_fd,
            .events = POLLIN};
    return s->count;
}

int
web_server_timeout_ms(const struct web_server *s)
{
    int64_t least_ms =
        s->connections != NULL ? AGE_EVERY_NS / BK_NS_PER_MS : INT64_MAX;
    int stream_ms = web_streams_timeout_ms(s->streams);

    if (stream_ms >= 0 && stream_ms < least_ms)
        least_ms = stream_ms;
    for (size_t i = 0; i < s->count; i++) {
        MHD_UNSIGNED_LONG_LONG ms;

        if (MHD_get_timeout(s->daemons[i], &ms) == MHD_YES &&
            ms < (uint64_t)least_ms)
            least_ms = (int64_t)ms;
    }
    return least_ms == INT64_MAX ? -1 : (int)least_ms;
}

void
web_server_turn(struct web_server *s)
{
    web_streams_tick(s->streams);
    for (size_t i = 0; i < s->count; i++)
        MHD_run(s->daemons[i]);
    cut_old(s);
}

void
web_server_close(struct web_server **s)
{
    if (*s == NULL)
        return;
    web_streams_end((*s)->streams);
    for (size_t i = 0; i < (*s)->count; i++) {
        MHD_run((*s)->daemons[i]); /* what was resumed, ends */
        MHD_stop_daemon((*s)->daemons[i]);
    }
    web_streams_free(&(*s)->streams);
    free(*s);
    *s = NULL;
}
