/* SPDX-License-Identifier: Apache-2.0 */
#include "core/words.h"
#include <string.h>

static const struct bk_word no_word = {NULL, 0};

void
bk_words_init(struct bk_words *w, const char *line, size_t len)
{
    *w = (struct bk_words){.at = line, .left = len, .error = BK_OK};
}

/* Eight octets at a time. Without their highest bits, and an octet that has it is
 * no control character: below 0x20 nothing carries into the highest when 0x60 is
 * added; 0x7f alone carries when 1 is. */
static bool
has_control(uint64_t octets)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t low = octets & (0x7f * each);
    uint64_t is_plain = (low + 0x60 * each) & ~(low + each);
    return ((is_plain | octets) & (0x80 * each)) != 0x80 * each;
}

bool
bk_line_has_control(const char *line, size_t len)
{
    uint64_t octets = 0;
    size_t i = 0;
    for (; i + sizeof(octets) <= len; i += sizeof(octets)) {
        memcpy(&octets, line + i, sizeof(octets));
        if (has_control(octets))
            return true;
    }
    memset(&octets, ' ', sizeof(octets));
    memcpy(&octets, line + i, len - i);
    return has_control(octets);
}

void
bk_words_refuse(struct bk_words *w, enum bk_error error, const char *why)
{
    if (w->error == BK_OK) {
        w->error = error;
        w->why = why;
    }
    w->is_over = true;
}

struct bk_word
bk_words_next(struct bk_words *w)
{
    if (w->is_over)
        return no_word;
    const char *space = w->left > 0 ? memchr(w->at, ' ', w->left) : NULL;
    struct bk_word word = {w->at, w->left};
    if (space != NULL)
        word.len = (size_t)(space - w->at);
    if (word.len == 0) {
        bk_words_refuse(w, BK_ERR_BAD_REQUEST,
                        "one space stands between two words");
        return no_word;
    }
    w->is_over = space == NULL;
    if (space != NULL) {
        w->at = space + 1;
        w->left -= word.len + 1;
    }
    return word;
}

struct bk_word
bk_words_need(struct bk_words *w, const char *why)
{
    struct bk_word word = bk_words_next(w);
    if (word.at == NULL)
        bk_words_refuse(w, BK_ERR_BAD_REQUEST, why);
    return word;
}

struct bk_word
bk_words_rest(struct bk_words *w)
{
    if (w->is_over || w->left == 0)
        return no_word;
    w->is_over = true;
    return (struct bk_word){w->at, w->left};
}

bool
bk_word_is_unknown(struct bk_word word)
{
    return word.at == NULL || bk_is(word.at, word.len, "-");
}

uint64_t
bk_words_number(struct bk_words *w, struct bk_word word, uint64_t least,
                const char *why)
{
    uint64_t value;
    if (bk_read_number(word.at, word.len, &value) && value >= least)
        return value;
    bk_words_refuse(w, BK_ERR_BAD_REQUEST, why);
    return 0;
}

uint64_t
bk_words_need_number(struct bk_words *w, uint64_t least, const char *why)
{
    struct bk_word word = bk_words_need(w, why);
    return word.at != NULL ? bk_words_number(w, word, least, why) : 0;
}

uint64_t
bk_words_maybe_number(struct bk_words *w, uint64_t least, uint64_t other,
                      const char *why)
{
    struct bk_word word = bk_words_next(w);
    if (bk_word_is_unknown(word))
        return other;
    return bk_words_number(w, word, least, why);
}

struct bk_word
bk_words_service(struct bk_words *w)
{
    struct bk_word word = bk_words_need(w, "the service is missing");
    if (word.at != NULL && !bk_name_is_valid(word.at, word.len))
        bk_words_refuse(
            w, BK_ERR_BAD_SERVICE,
            "a name is 1 to 63 of A-Z a-z 0-9 . _ : / @ - and not - alone");
    return word;
}
