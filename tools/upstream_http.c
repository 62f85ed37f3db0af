/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 heads, read and written (RFC 9112). Lines end with CRLF or LF, heads
 * are bounded by the caller's buffer, chunked bodies are refused. */
#define _GNU_SOURCE
#include "tools/upstream_http.h"

#include <string.h>
#include <strings.h>
#include <time.h>

/* The length of the head with its empty line, or 0 when it is not whole. */
static size_t
head_length(const char *in, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (in[i] != '\n') {
            continue;
        }
        if (in[i + 1] == '\n') {
            return i + 2;
        }
        if (i + 2 < len && in[i + 1] == '\r' && in[i + 2] == '\n') {
            return i + 3;
        }
    }
    return 0;
}

/* The next line without its end; moves *at behind it. */
static size_t
take_line(const char **at, const char *end, const char **line)
{
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    size_t len = 0;

    *line = *at;
    len = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    return len > 0 && (*line)[len - 1] == '\r' ? len - 1 : len;
}

static bool
is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] < 'A' || s[i] > 'Z') {
            return false;
        }
    }
    return len > 0 && len <= 16;
}

static bool
read_request_line(const char *line, size_t len, struct upstream_request *out)
{
    const char *space = memchr(line, ' ', len);
    if (space == NULL) {
        return false;
    }
    out->method = line;
    out->method_len = (size_t)(space - line);
    out->path = space + 1;
    const size_t left = len - out->method_len - 1;
    space = memchr(out->path, ' ', left);
    if (space == NULL || !is_token(out->method, out->method_len)) {
        return false;
    }
    out->path_len = (size_t)(space - out->path);
    const char *version = space + 1;
    const size_t version_len = left - out->path_len - 1;
    out->keeps_alive = bk_is(version, version_len, "HTTP/1.1");
    return out->path_len > 0 && out->path[0] == '/' &&
           (out->keeps_alive || bk_is(version, version_len, "HTTP/1.0"));
}

static bool
is_field(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && strncasecmp(name, wanted, len) == 0;
}

static bool
read_field(const char *line, size_t len, struct upstream_request *out)
{
    const char *colon = memchr(line, ':', len);
    if (colon == NULL) {
        return false;
    }
    const size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = len - name_len - 1;
    while (value_len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        value_len--;
    }
    while (value_len > 0 &&
           (value[value_len - 1] == ' ' || value[value_len - 1] == '\t')) {
        value_len--;
    }
    if (is_field(line, name_len, "Content-Length")) {
        return bk_read_number(value, value_len, &out->body_len) &&
               out->body_len <= UPSTREAM_BODY_MAX;
    }
    if (is_field(line, name_len, "Connection")) {
        if (is_field(value, value_len, "close")) {
            out->keeps_alive = false;
        } else if (is_field(value, value_len, "keep-alive")) {
            out->keeps_alive = true;
        }
    } else if (is_field(line, name_len, "Expect")) {
        out->wants_continue = is_field(value, value_len, "100-continue");
    } else if (is_field(line, name_len, "Transfer-Encoding")) {
        return false;
    }
    return true;
}

enum upstream_head
upstream_head_parse(const char *in, size_t len, struct upstream_request *out)
{
    const char *at = in;
    const char *line = NULL;

    *out = (struct upstream_request){.head_len = head_length(in, len)};
    if (out->head_len == 0) {
        return UPSTREAM_HEAD_PART;
    }
    const char *end = in + out->head_len;
    size_t line_len = take_line(&at, end, &line);
    bool is_good = read_request_line(line, line_len, out);
    while (is_good && (line_len = take_line(&at, end, &line)) > 0) {
        is_good = read_field(line, line_len, out);
    }
    return is_good ? UPSTREAM_HEAD_WHOLE : UPSTREAM_HEAD_BAD;
}

static const char *
status_words(unsigned status)
{
    static const struct {
        unsigned status;
        const char *words;
    } rows[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status == status) {
            return rows[i].words;
        }
    }
    return status < 400 ? "Fine" : "Failed";
}

static void
write_retry_after(const struct upstream_answer *answer, struct bk_text *out)
{
    const time_t at = (time_t)answer->retry_after_at;
    struct tm when;
    char date[64];

    if (answer->retry_after_s < 0) {
        return;
    }
    bk_text_put(out, "Retry-After: ");
    /* The program never calls setlocale: the names are the C locale's. */
    if (answer->retry_after_at >= 0 && gmtime_r(&at, &when) != NULL &&
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &when) > 0) {
        bk_text_put(out, date);
    } else {
        bk_text_put_i64(out, answer->retry_after_s);
    }
    bk_text_put(out, "\r\n");
}

void
upstream_answer_write(const struct upstream_answer *answer, struct bk_text *out)
{
    bk_text_put(out, "HTTP/1.1 ");
    bk_text_put_u64(out, answer->status);
    bk_text_put_char(out, ' ');
    bk_text_put(out, status_words(answer->status));
    bk_text_put(out, "\r\nContent-Type: ");
    bk_text_put(out, answer->type);
    bk_text_put(out, "\r\nContent-Length: ");
    bk_text_put_u64(out, answer->body_len);
    bk_text_put(out, "\r\n");
    write_retry_after(answer, out);
    if (!answer->keeps_alive) {
        bk_text_put(out, "Connection: close\r\n");
    }
    bk_text_put(out, "\r\n");
    if (!answer->is_head) {
        bk_text_put_n(out, answer->body, answer->body_len);
    }
}
