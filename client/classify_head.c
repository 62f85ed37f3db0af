/* SPDX-License-Identifier: Apache-2.0 */
#include "client/classify_head.h"
#include <string.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char
lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

struct classify_view
classify_trim(const char *at, size_t len)
{
    while (len > 0 && is_blank(at[0])) {
        at++;
        len--;
    }
    while (len > 0 && is_blank(at[len - 1]))
        len--;
    return (struct classify_view){at, len};
}

bool
classify_is(struct classify_view view, const char *word)
{
    if (view.at == NULL || view.len != strlen(word))
        return false;
    for (size_t i = 0; i < view.len; i++)
        if (lower(view.at[i]) != lower(word[i]))
            return false;
    return true;
}

struct classify_view
classify_head_find(const char *headers, size_t len, const char *name)
{
    struct classify_view found = {NULL, 0};
    const char *at = headers;
    const char *end = headers != NULL ? headers + len : headers;

    while (at != end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const char *next = line_end != NULL ? line_end + 1 : end;
        size_t line_len = (size_t)(next - at);
        const char *colon = memchr(at, ':', line_len);

        if (line_len >= 5 && memcmp(at, "HTTP/", 5) == 0)
            found = (struct classify_view){NULL, 0};
        else if (colon != NULL) {
            struct classify_view key = {at, (size_t)(colon - at)};

            if (classify_is(key, name))
                found = classify_trim(colon + 1, (size_t)(next - colon - 1));
        }
        at = next;
    }
    return found;
}
