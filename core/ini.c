/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ini.h"
#include <string.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct bk_word
trim(const char *at, size_t len)
{
    while (len > 0 && is_blank(at[0])) {
        at++;
        len--;
    }
    while (len > 0 && is_blank(at[len - 1]))
        len--;
    return (struct bk_word){at, len};
}

static bool
has_control(struct bk_word text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static struct bk_ini_line
bad(const char *why)
{
    return (struct bk_ini_line){.kind = BK_INI_BAD, .why = why};
}

/* Cuts the first word off `rest`. */
static struct bk_word
next_word(struct bk_word *rest)
{
    size_t len = 0;
    while (len < rest->len && !is_blank(rest->at[len]))
        len++;
    struct bk_word word = {rest->at, len};
    *rest = trim(rest->at + len, rest->len - len);
    return word;
}

/* `text` starts with a bracket. */
static struct bk_ini_line
read_section(struct bk_word text)
{
    if (text.at[text.len - 1] != ']')
        return bad("a section's line ends with ]");
    struct bk_word rest = trim(text.at + 1, text.len - 2);
    if (rest.len == 0)
        return bad("a section needs a name");
    if (memchr(rest.at, '[', rest.len) != NULL ||
        memchr(rest.at, ']', rest.len) != NULL)
        return bad("a section has one pair of brackets");
    struct bk_ini_line line = {.kind = BK_INI_SECTION};
    line.section = next_word(&rest);
    if (rest.len > 0)
        line.name = next_word(&rest);
    if (rest.len > 0)
        return bad("a section has a kind and at most one name");
    return line;
}

static struct bk_ini_line
read_pair(struct bk_word text)
{
    const char *equals = memchr(text.at, '=', text.len);
    if (equals == NULL)
        return bad("expected [section], key = value or a comment");
    size_t key_len = (size_t)(equals - text.at);
    struct bk_ini_line line = {.kind = BK_INI_PAIR};
    line.key = trim(text.at, key_len);
    line.value = trim(equals + 1, text.len - key_len - 1);
    if (line.key.len == 0)
        return bad("a key is missing before =");
    return line;
}

struct bk_ini_line
bk_ini_read(const char *line, size_t len)
{
    /* What an editor may leave at the end of a line. */
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    struct bk_word text = trim(line, len);
    if (text.len == 0 || text.at[0] == '#' || text.at[0] == ';')
        return (struct bk_ini_line){.kind = BK_INI_BLANK};
    if (has_control(text))
        return bad("the line holds a control character");
    return text.at[0] == '[' ? read_section(text) : read_pair(text);
}
