/* SPDX-License-Identifier: Apache-2.0 */
#include "core/url.h"
#include "core/text.h"
#include <stdint.h>
#include <string.h>

/* The length of "http://" or "https://" in front, else 0. */
static size_t
scheme_len(const char *s, size_t len)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t want = strlen(schemes[i]);
        if (len > want && bk_is(s, want, schemes[i]))
            return want;
    }
    return 0;
}

/* Octets in front that are letters, digits or in `others`. */
static size_t
span(const char *s, size_t len, const char *others)
{
    size_t i = 0;

    while (i < len &&
           ((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
            (s[i] >= 'A' && s[i] <= 'Z') ||
            (s[i] != '\0' && strchr(others, s[i]) != NULL)))
        i++;
    return i;
}

/* "name", "1.2.3.4" or "[::1]", alone or before ":1" to ":65535". What no library
 * could connect to would look like a service that is always away. */
static bool
is_host(const char *s, size_t len)
{
    bool is_quoted = len > 0 && s[0] == '[';
    size_t begin = is_quoted ? 1 : 0;
    size_t name = span(s + begin, len - begin, is_quoted ? ":.%" : ".-_");
    size_t end = begin + name;
    uint64_t port;

    if (name == 0)
        return false;
    if (is_quoted && (end == len || s[end++] != ']'))
        return false;
    return end == len || (s[end] == ':' &&
                          bk_read_number(s + end + 1, len - end - 1, &port) &&
                          port >= 1 && port <= UINT16_MAX);
}

bool
bk_url_is_valid(const char *s, size_t len)
{
    size_t host = scheme_len(s, len);
    size_t end = host;

    if (host == 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    while (end < len && strchr("/?#", s[end]) == NULL)
        end++;
    for (size_t i = host; i < end; i++)
        if (s[i] == '@')
            host = i + 1;
    return is_host(s + host, end - host);
}
