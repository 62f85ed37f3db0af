#ifndef BK_TEXT_H
#define BK_TEXT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded text: building it in a caller's buffer and reading numbers,
 * durations and rates out of it. The core's stand-in for stdio. */
#include "core/vocab.h"

/* A buffer being written. Always NUL-terminated; what does not fit is dropped
 * and remembered in `is_cut`. */
struct bk_text {
    char *at;
    size_t cap; /* octets at `at`, the NUL included; at least 1 */
    size_t len;
    bool is_cut;
};

void bk_text_init(struct bk_text *t, char *at, size_t cap);
void bk_text_put(struct bk_text *t, const char *s);
void bk_text_put_n(struct bk_text *t, const char *s, size_t len);
void bk_text_put_char(struct bk_text *t, char c);
void bk_text_put_u64(struct bk_text *t, uint64_t value);
void bk_text_put_i64(struct bk_text *t, int64_t value);
/* Millionths as a decimal fraction: 600000 is "0.6"; at least `min_digits`
 * (0..6) digits behind the point, no other trailing zeros. */
void bk_text_put_ppm(struct bk_text *t, int64_t value_ppm, int min_digits);
/* A duration as people write it, in the largest unit that holds it exactly, but
 * seconds up to ten minutes: "250ms", "120s", "10m", "1h". */
void bk_text_put_duration(struct bk_text *t, int64_t ns);

/* Readers. Each takes the whole of `s` (`len` octets), returns false and leaves
 * *out alone when it is not exactly one such value. */
bool bk_read_number(const char *s, size_t len, uint64_t *out); /* < 2^53 */
/* "1.5", "20%" (with `percent`), up to six digits behind the point. */
bool bk_read_ppm(const char *s, size_t len, bool percent, uint64_t *out_ppm);
/* "250ms 5s 2m 1h 10us 0"; fractions allowed; a bare number only when 0. */
bool bk_read_duration(const char *s, size_t len, int64_t *out_ns);
/* Seconds as environment variables give them: "60", "0.5". */
bool bk_read_seconds(const char *s, size_t len, int64_t *out_ns);

/* Case-sensitive comparison of `s` (`len` octets) with a NUL-ended word. */
bool bk_is(const char *s, size_t len, const char *word);
/* Number of edits (insert, delete, replace, swap) between two words; words
 * over 40 octets count as far apart. For "did you mean". */
unsigned bk_edit_distance(const char *a, size_t a_len, const char *b);
/* Copies at most size-1 octets, whole UTF-8 characters where it must cut, and
 * NUL-terminates; returns octets copied. */
size_t bk_copy_text(char *to, size_t size, const char *from, size_t len);

#endif
