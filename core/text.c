/* SPDX-License-Identifier: Apache-2.0 */
#include "core/text.h"
#include "core/bug.h"
#include <limits.h>
#include <string.h>

/* Digits behind the point that every reader and writer here knows. */
#define PLACES 6
/* The longest word bk_edit_distance looks at. */
#define WORD_MAX 40

void
bk_text_init(struct bk_text *t, char *at, size_t cap)
{
    BK_ASSERT(cap > 0);
    t->at = at;
    t->cap = cap;
    t->len = 0;
    t->is_cut = false;
    t->at[0] = '\0';
}

void
bk_text_put_n(struct bk_text *t, const char *s, size_t len)
{
    size_t room = t->cap - 1 - t->len;
    if (len > room) {
        len = room;
        t->is_cut = true;
    }
    if (len == 0)
        return;
    memcpy(t->at + t->len, s, len);
    t->len += len;
    t->at[t->len] = '\0';
}

void
bk_text_put(struct bk_text *t, const char *s)
{
    bk_text_put_n(t, s, strlen(s));
}

void
bk_text_put_char(struct bk_text *t, char c)
{
    bk_text_put_n(t, &c, 1);
}

void
bk_text_put_u64(struct bk_text *t, uint64_t value)
{
    char digits[20]; /* 2^64-1 has twenty */
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    bk_text_put_n(t, digits + first, sizeof(digits) - first);
}

/* The distance from 0, also of the one number whose negative does not fit. */
static uint64_t
magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void
bk_text_put_i64(struct bk_text *t, int64_t value)
{
    if (value < 0)
        bk_text_put_char(t, '-');
    bk_text_put_u64(t, magnitude(value));
}

/* `value` millionths, at least `min_digits` behind the point. */
static void
put_millionths(struct bk_text *t, uint64_t value, int min_digits)
{
    char digits[PLACES];
    uint64_t rest = value % BK_PPM;
    for (int i = PLACES; i-- > 0; rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    int shown = PLACES;
    while (shown > min_digits && digits[shown - 1] == '0')
        shown--;
    bk_text_put_u64(t, value / BK_PPM);
    if (shown > 0) {
        bk_text_put_char(t, '.');
        bk_text_put_n(t, digits, (size_t)shown);
    }
}

void
bk_text_put_ppm(struct bk_text *t, int64_t value_ppm, int min_digits)
{
    BK_ASSERT(min_digits >= 0 && min_digits <= PLACES);
    if (value_ppm < 0)
        bk_text_put_char(t, '-');
    put_millionths(t, magnitude(value_ppm), min_digits);
}

static const struct {
    const char *name;
    uint64_t ns;
    uint64_t shown_from_ns; /* a shorter one is printed in the next unit */
} units[] = {
    /* Largest first. */
    {"h", UINT64_C(3600000000000), 0},
    {"m", UINT64_C(60000000000), UINT64_C(600000000000)},
    {"s", UINT64_C(1000000000), 0},
    {"ms", UINT64_C(1000000), 0},
    {"us", UINT64_C(1000), 0},
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

void
bk_text_put_duration(struct bk_text *t, int64_t ns)
{
    if (ns == 0) {
        bk_text_put_char(t, '0');
        return;
    }
    if (ns < 0)
        bk_text_put_char(t, '-');
    uint64_t size = magnitude(ns);
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (size % units[i].ns == 0 && size >= units[i].shown_from_ns) {
            bk_text_put_u64(t, size / units[i].ns);
            bk_text_put(t, units[i].name);
            return;
        }
    }
    /* Parts of a microsecond: three digits, and no overflow on the way. */
    bk_text_put_u64(t, size / 1000);
    struct bk_text part;
    char room[16];
    bk_text_init(&part, room, sizeof(room));
    put_millionths(&part, size % 1000 * 1000, 0);
    bk_text_put(t, room + 1);
    bk_text_put(t, "us");
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool
bk_read_number(const char *s, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(s[i]))
            return false;
        value = value * 10 + (uint64_t)(s[i] - '0');
        if (value >= BK_NUMBER_END)
            return false;
    }
    *out = value;
    return true;
}

/* "12.345" as millionths: a whole number below 2^53 / 10^3, so that no product
 * overflows, and one to six digits behind the point if there is one. */
static bool
read_millionths(const char *s, size_t len, uint64_t *out)
{
    const char *point = len > 0 ? memchr(s, '.', len) : NULL;
    size_t whole_len = point != NULL ? (size_t)(point - s) : len;
    uint64_t whole;
    if (!bk_read_number(s, whole_len, &whole) || whole >= BK_NUMBER_END / 1000)
        return false;
    uint64_t part = 0;
    if (point != NULL) {
        size_t places = len - whole_len - 1;
        if (places > PLACES || !bk_read_number(point + 1, places, &part))
            return false;
        for (; places < PLACES; places++)
            part *= 10;
    }
    *out = whole * BK_PPM + part;
    return true;
}

bool
bk_read_ppm(const char *s, size_t len, bool percent, uint64_t *out_ppm)
{
    uint64_t value;
    if (percent && len > 0 && s[len - 1] == '%') {
        if (!read_millionths(s, len - 1, &value) || value % 100 != 0)
            return false;
        *out_ppm = value / 100;
        return true;
    }
    return read_millionths(s, len, out_ppm);
}

/* `value` millionths of a unit; false when that is not a whole number of
 * nanoseconds below BK_NEVER. */
static bool
scale(uint64_t value, uint64_t unit_ns, int64_t *out_ns)
{
    uint64_t whole = value / BK_PPM;
    uint64_t part = value % BK_PPM * unit_ns; /* < 10^6 x 3.6 x 10^12 */
    if (part % BK_PPM != 0)
        return false;
    part /= BK_PPM;
    if (whole > ((uint64_t)BK_NEVER - 1 - part) / unit_ns)
        return false;
    *out_ns = (int64_t)(whole * unit_ns + part);
    return true;
}

bool
bk_read_duration(const char *s, size_t len, int64_t *out_ns)
{
    size_t digits = 0;
    while (digits < len && (is_digit(s[digits]) || s[digits] == '.'))
        digits++;
    uint64_t value;
    if (!read_millionths(s, digits, &value))
        return false;
    if (digits == len && value == 0) {
        *out_ns = 0;
        return true;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (bk_is(s + digits, len - digits, units[i].name))
            return scale(value, units[i].ns, out_ns);
    return false;
}

bool
bk_read_seconds(const char *s, size_t len, int64_t *out_ns)
{
    uint64_t value;
    return read_millionths(s, len, &value) &&
           scale(value, (uint64_t)BK_NS_PER_S, out_ns);
}

bool
bk_is(const char *s, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++)
        if (word[i] == '\0' || s[i] != word[i])
            return false;
    return word[len] == '\0';
}

static unsigned
least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned
bk_edit_distance(const char *a, size_t a_len, const char *b)
{
    size_t b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return UINT_MAX;
    /* Rows i-2, i-1 and i of the usual table, taken in turn. A swap of two
     * neighbours looks two rows up (optimal string alignment). */
    unsigned rows[3][WORD_MAX + 1] = {{0}};
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;
            unsigned best = least(above[j], row[j - 1]) + 1;
            best = least(best, above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, two_above[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

size_t
bk_copy_text(char *to, size_t size, const char *from, size_t len)
{
    BK_ASSERT(size > 0);
    if (len > size - 1) {
        len = size - 1;
        /* Not in the middle of a UTF-8 character. */
        for (int i = 0;
             i < 3 && len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80; i++)
            len--;
    }
    if (len > 0)
        memcpy(to, from, len);
    to[len] = '\0';
    return len;
}
