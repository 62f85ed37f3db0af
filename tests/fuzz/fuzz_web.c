/* SPDX-License-Identifier: Apache-2.0
 *
 * What a browser, or somebody who is none, says to breakerweb: Host and target.
 * The first line is the Host, the rest the target. */
#include "target.h"
#include "tools/web_request.h"
#include <string.h>
#include <strings.h>

static const struct web_hosts hosts = {.names = {"breaker.example"},
                                       .count = 1,
                                       .ports = {9465, 80},
                                       .port_count = 2};

/* Only these forms are ever allowed. */
static void
check_host(const char *host, size_t len)
{
    static const char *const names[] = {"127.0.0.1", "[::1]", "localhost",
                                        "breaker.example"};
    bool is_named = false;

    if (!web_host_is_allowed(&hosts, host, len))
        return;
    PROMISE(memchr(host, '\0', len) == NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t name = strlen(names[i]);

        if (len >= name && strncasecmp(host, names[i], name) == 0)
            is_named = len == name ? i == 3 : is_named || host[name] == ':';
    }
    PROMISE(is_named);
    for (size_t i = len; i > 0 && host[i - 1] != ':' && host[i - 1] != ']'; i--)
        PROMISE(host[i - 1] != '@' && host[i - 1] != ' ');
}

/* A value is text, whatever was asked for. */
static void
check_value(const struct web_target *t, const char *key)
{
    char value[WEB_VALUE_SIZE];
    memset(value, 'x', sizeof(value));
    enum web_value result = web_target_value(t, key, value);
    const char *end = memchr(value, '\0', sizeof(value));
    PROMISE(end != NULL);
    PROMISE(result == WEB_VALUE_GIVEN || end == value);
    for (const char *c = value; c < end; c++)
        PROMISE((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void
check_target(const char *text, size_t len)
{
    static const char *const keys[] = {"service", "limit", NULL};
    struct web_target t;

    if (!web_target_read(text, len, &t))
        return;
    PROMISE(t.path == text && t.path_len >= 1 && t.path[0] == '/');
    PROMISE(t.path_len + (t.query != NULL) + t.query_len == len);
    PROMISE(memchr(t.path, '?', t.path_len) == NULL);
    if (web_target_is(&t, "/api/v1/status"))
        PROMISE(t.path_len == 14 && memcmp(text, "/api/v1/status", 14) == 0);
    (void)web_target_knows(&t, keys);
    for (size_t i = 0; keys[i] != NULL; i++)
        check_value(&t, keys[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t host = line != NULL ? (size_t)(line - text) : size;

    check_host(text, host);
    if (line != NULL)
        check_target(line + 1, size - host - 1);
    return 0;
}
