#ifndef BK_WORDS_H
#define BK_WORDS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A BRK/1 line taken apart, word by word. The first complaint is kept and ends
 * the line: a reader may go on asking and look at the end whether all was well. */
#include "core/wire.h"

struct bk_words {
    const char *at;
    size_t left;
    bool is_over; /* nothing follows, not even an empty word */
    enum bk_error error;
    const char *why; /* of the error: a static clause */
};

/* Octets that no line holds: they would end it, or move a terminal's cursor. */
bool bk_line_has_control(const char *line, size_t len);

void bk_words_init(struct bk_words *w, const char *line, size_t len);
void bk_words_refuse(struct bk_words *w, enum bk_error error, const char *why);

/* The next word; its `at` is NULL when the line is over. Two spaces in a row, or
 * one at the end, stand around an empty word, which is refused. */
struct bk_word bk_words_next(struct bk_words *w);
/* The same, refused with `why` when it is not there. */
struct bk_word bk_words_need(struct bk_words *w, const char *why);
/* Everything up to the end of the line; NULL when that is nothing. */
struct bk_word bk_words_rest(struct bk_words *w);

/* Not there, or "-". */
bool bk_word_is_unknown(struct bk_word word);
/* Numbers from `least` on; 0 when refused. The last: `other` when unknown. */
uint64_t bk_words_number(struct bk_words *w, struct bk_word word,
                         uint64_t least, const char *why);
uint64_t bk_words_need_number(struct bk_words *w, uint64_t least,
                              const char *why);
uint64_t bk_words_maybe_number(struct bk_words *w, uint64_t least,
                               uint64_t other, const char *why);

/* A valid service's name, refused as bad_service. */
struct bk_word bk_words_service(struct bk_words *w);

#endif
