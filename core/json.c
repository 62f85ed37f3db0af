/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"
#include "core/bug.h"
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD in UTF-8 */

void
bk_json_init(struct bk_json *j, struct bk_text *text)
{
    j->text = text;
    j->wants_comma = false;
}

/* What stands before every value: the comma its neighbour left open, its key. */
static void
lead_in(struct bk_json *j, const char *key)
{
    if (j->wants_comma)
        bk_text_put_char(j->text, ',');
    j->wants_comma = true;
    if (key != NULL) {
        bk_text_put_char(j->text, '"');
        bk_text_put(j->text, key);
        bk_text_put_n(j->text, "\":", 2);
    }
}

void
bk_json_open(struct bk_json *j, const char *key, char bracket)
{
    BK_ASSERT(bracket == '{' || bracket == '[');
    lead_in(j, key);
    bk_text_put_char(j->text, bracket);
    j->wants_comma = false;
}

void
bk_json_close(struct bk_json *j, char bracket)
{
    BK_ASSERT(bracket == '}' || bracket == ']');
    bk_text_put_char(j->text, bracket);
    j->wants_comma = true;
}

static bool
is_tail(unsigned char c)
{
    return (c & 0xc0U) == 0x80U;
}

/* Octets of the UTF-8 character at `s`, 0 when there is none. The second octet
 * alone tells overlong forms, surrogates and what is past U+10FFFF. */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
    static const struct {
        unsigned char first, last, low, high;
        unsigned char len;
    } rows[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t row = 0;
    while (row < sizeof(rows) / sizeof(rows[0]) && s[0] > rows[row].last)
        row++;
    if (row == sizeof(rows) / sizeof(rows[0]) || s[0] < rows[row].first)
        return 0;
    size_t len = rows[row].len;
    if (len > left)
        return 0;
    if (len > 1 && (s[1] < rows[row].low || s[1] > rows[row].high))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_tail(s[i]))
            return 0;
    return len;
}

static void
put_unicode_escape(struct bk_text *t, unsigned value)
{
    static const char hex[] = "0123456789abcdef";
    bk_text_put_n(t, "\\u00", 4);
    bk_text_put_char(t, hex[value >> 4 & 15]);
    bk_text_put_char(t, hex[value & 15]);
}

/* One octet below 128 that cannot stand for itself. */
static void
put_escaped(struct bk_text *t, unsigned char c)
{
    static const char plain[] = "\"\\\n\r\t";
    static const char after[] = "\"\\nrt";
    const char *found = c != 0 ? strchr(plain, c) : NULL;
    if (found == NULL) {
        put_unicode_escape(t, c);
        return;
    }
    bk_text_put_char(t, '\\');
    bk_text_put_char(t, after[found - plain]);
}

static bool
is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Writes what stands at `s` and is not plain ASCII; returns the octets used. */
static size_t
put_special(struct bk_text *t, const unsigned char *s, size_t left)
{
    size_t len = utf8_len(s, left);
    if (len == 0) {
        bk_text_put(t, REPLACEMENT);
        return 1;
    }
    if (len == 1)
        put_escaped(t, s[0]);
    else if (s[0] == 0xc2 && s[1] < 0xa0)
        put_unicode_escape(t, s[1]); /* U+0080..9F move terminals' cursors */
    else
        bk_text_put_n(t, (const char *)s, len);
    return len;
}

void
bk_json_string_n(struct bk_json *j, const char *key, const char *value,
                 size_t len)
{
    const unsigned char *s = (const unsigned char *)value;
    lead_in(j, key);
    bk_text_put_char(j->text, '"');
    size_t i = 0;
    while (i < len) {
        size_t run = i;
        while (run < len && is_plain(s[run]))
            run++;
        if (run > i) {
            bk_text_put_n(j->text, value + i, run - i);
            i = run;
        } else {
            i += put_special(j->text, s + i, len - i);
        }
    }
    bk_text_put_char(j->text, '"');
}

void
bk_json_string(struct bk_json *j, const char *key, const char *value)
{
    if (value == NULL)
        bk_json_null(j, key);
    else
        bk_json_string_n(j, key, value, strlen(value));
}

void
bk_json_u64(struct bk_json *j, const char *key, uint64_t value)
{
    lead_in(j, key);
    bk_text_put_u64(j->text, value);
}

void
bk_json_ppm(struct bk_json *j, const char *key, int64_t value_ppm,
            int min_digits)
{
    lead_in(j, key);
    bk_text_put_ppm(j->text, value_ppm, min_digits);
}

void
bk_json_bool(struct bk_json *j, const char *key, bool value)
{
    lead_in(j, key);
    bk_text_put(j->text, value ? "true" : "false");
}

void
bk_json_null(struct bk_json *j, const char *key)
{
    lead_in(j, key);
    bk_text_put(j->text, "null");
}

void
bk_json_raw(struct bk_json *j, const char *key, const char *json, size_t len)
{
    lead_in(j, key);
    bk_text_put_n(j->text, json, len);
}
