/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/web_request.h"
#include <string.h>
#include <strings.h>

static bool
is_same_name(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(text, name, len) == 0;
}

/* Length of the name in "name:port" or "[address]:port"; `len` without a port. */
static size_t
name_length(const char *host, size_t len)
{
    const char *end = len > 0 && host[0] == '[' ? memchr(host, ']', len) : NULL;
    size_t from = end != NULL ? (size_t)(end - host) : 0;
    const char *colon = memchr(host + from, ':', len - from);

    return colon != NULL ? (size_t)(colon - host) : len;
}

/* True for ":9465", and *port is that. */
static bool
read_port(const char *text, size_t len, uint64_t *port)
{
    return len > 1 && len <= 6 && bk_read_number(text + 1, len - 1, port) &&
           *port <= UINT16_MAX;
}

static bool
is_our_port(const struct web_hosts *hosts, const char *text, size_t len)
{
    uint64_t port;

    if (len == 0)
        return hosts->takes_no_port;
    if (!read_port(text, len, &port))
        return false;
    for (size_t i = 0; i < hosts->port_count; i++) {
        if (hosts->ports[i] == port)
            return true;
    }
    return false;
}

bool
web_host_is_allowed(const struct web_hosts *hosts, const char *host, size_t len)
{
    static const char *const loopback[] = {"127.0.0.1", "[::1]", "localhost"};
    size_t name = name_length(host, len);
    uint64_t port;

    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
        if (is_same_name(host, name, loopback[i]))
            return is_our_port(hosts, host + name, len - name);
    }
    for (size_t i = 0; i < hosts->count; i++) {
        if (is_same_name(host, name, hosts->names[i]))
            return len == name || read_port(host + name, len - name, &port);
    }
    return false;
}

bool
web_target_read(const char *text, size_t len, struct web_target *out)
{
    const char *mark;

    if (len == 0 || len > WEB_TARGET_MAX || text[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    mark = memchr(text, '?', len);
    *out = (struct web_target){.path = text, .path_len = len};
    if (mark != NULL) {
        out->path_len = (size_t)(mark - text);
        out->query = mark + 1;
        out->query_len = len - out->path_len - 1;
    }
    return true;
}

bool
web_target_is(const struct web_target *t, const char *path)
{
    return bk_is(t->path, t->path_len, path);
}

struct pair {
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
};

/* The next "key=value" of a query; *at moves on. False at the end. */
static bool
next_pair(const struct web_target *t, size_t *at, struct pair *out)
{
    const char *from;
    const char *end;
    const char *equals;
    size_t len;

    if (t->query == NULL || *at >= t->query_len)
        return false;
    from = t->query + *at;
    end = memchr(from, '&', t->query_len - *at);
    len = end != NULL ? (size_t)(end - from) : t->query_len - *at;
    *at += len + 1;
    equals = memchr(from, '=', len);
    *out = (struct pair){.key = from, .key_len = len};
    if (equals != NULL) {
        out->key_len = (size_t)(equals - from);
        out->value = equals + 1;
        out->value_len = len - out->key_len - 1;
    }
    return true;
}

static int
digit(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    long value = at != NULL ? at - digits : -1;

    return (int)(value < 16 ? value : value - 6);
}

static bool
decode(const char *text, size_t len, char out[WEB_VALUE_SIZE])
{
    size_t written = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];

        if (c == '%') {
            if (len - i < 3 || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
                return false;
            c = digit(text[i + 1]) * 16 + digit(text[i + 2]);
            i += 2;
        }
        if (c < ' ' || c == 0x7f || written + 1 == WEB_VALUE_SIZE)
            return false;
        out[written++] = (char)c;
    }
    out[written] = '\0';
    return true;
}

enum web_value
web_target_value(const struct web_target *t, const char *key,
                 char out[WEB_VALUE_SIZE])
{
    enum web_value result = WEB_VALUE_ABSENT;
    struct pair pair;
    size_t at = 0;

    out[0] = '\0';
    while (next_pair(t, &at, &pair)) {
        if (!bk_is(pair.key, pair.key_len, key))
            continue;
        if (result != WEB_VALUE_ABSENT ||
            !decode(pair.value, pair.value_len, out)) {
            out[0] = '\0';
            return WEB_VALUE_BAD;
        }
        result = WEB_VALUE_GIVEN;
    }
    return result;
}

bool
web_target_knows(const struct web_target *t, const char *const *keys)
{
    struct pair pair;
    size_t at = 0;

    while (next_pair(t, &at, &pair)) {
        bool is_known = false;

        for (size_t i = 0; keys[i] != NULL; i++)
            is_known = is_known || bk_is(pair.key, pair.key_len, keys[i]);
        if (!is_known)
            return false;
    }
    return true;
}
