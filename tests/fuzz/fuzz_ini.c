/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a configuration file; an input of several lines is read as such. */
#include "core/ini.h"
#include "target.h"
#include <string.h>

static void
check_word(struct bk_word w, const char *line, size_t len)
{
    PROMISE(w.at == NULL || (w.at >= line && w.at + w.len <= line + len));
    PROMISE(w.at != NULL || w.len == 0);
    if (w.len > 0) {
        PROMISE(w.at[0] != ' ' && w.at[0] != '\t');
        PROMISE(w.at[w.len - 1] != ' ' && w.at[w.len - 1] != '\t');
    }
    for (size_t i = 0; i < w.len; i++)
        PROMISE(w.at[i] == '\t' || (unsigned char)w.at[i] >= 0x20);
}

static void
check_line(const char *line, size_t len)
{
    struct bk_ini_line read = bk_ini_read(line, len);
    check_word(read.section, line, len);
    check_word(read.name, line, len);
    check_word(read.key, line, len);
    check_word(read.value, line, len);
    PROMISE((read.kind == BK_INI_BAD) == (read.why != NULL));
    PROMISE((read.kind == BK_INI_SECTION) == (read.section.at != NULL));
    PROMISE(read.kind != BK_INI_SECTION || read.section.len > 0);
    PROMISE((read.kind == BK_INI_PAIR) == (read.key.at != NULL));
    PROMISE(read.kind != BK_INI_PAIR || read.key.len > 0);
    PROMISE(read.kind != BK_INI_PAIR ||
            memchr(read.key.at, '=', read.key.len) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    check_line(text, size);
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t len = end != NULL ? (size_t)(end - text) + 1 : size;
        check_line(text, len);
        text += len;
        size -= len;
    }
    return 0;
}
