/* SPDX-License-Identifier: Apache-2.0
 *
 * A value is checked as a whole before its field is written, so a refused one
 * changes nothing. Fields are reached by offset, copied octet by octet: the table
 * tells their type. */
#include "core/policy_key.h"
#include "core/bug.h"
#include "core/url.h"
#include <string.h>

/* Outcomes that a retry may follow; the rest were served or given up. */
static const enum bk_outcome retryable[] = {
    BK_FAILURE, BK_TIMEOUT, BK_RATE_LIMITED, BK_REJECTED, BK_CRITICAL};
#define RETRYABLE_COUNT (sizeof(retryable) / sizeof(retryable[0]))

#define FIELD(policy, row) ((char *)(policy) + (row)->at)
#define CONST_FIELD(policy, row) ((const char *)(policy) + (row)->at)

static bool
is_within(const struct bk_key_row *row, uint64_t value)
{
    if (value == 0 && row->is_zero_ok)
        return true;
    return value >= row->least && value <= row->most;
}

static bool
store_u32(const struct bk_key_row *row, uint64_t value, struct bk_policy *out)
{
    if (!is_within(row, value))
        return false;
    uint32_t field = (uint32_t)value;
    memcpy(FIELD(out, row), &field, sizeof(field));
    return true;
}

static bool
store_u64(const struct bk_key_row *row, uint64_t value, struct bk_policy *out)
{
    if (!is_within(row, value))
        return false;
    memcpy(FIELD(out, row), &value, sizeof(value));
    return true;
}

static bool
store_duration(const struct bk_key_row *row, int64_t ns, struct bk_policy *out)
{
    /* Durations are never negative, so the octets are the same. */
    return store_u64(row, (uint64_t)ns, out);
}

/* "100calls" or a duration. */
static bool
read_window(const struct bk_key_row *row, const char *s, size_t len,
            struct bk_policy *out)
{
    static const char unit[] = "calls";
    size_t unit_len = sizeof(unit) - 1;
    if (len > unit_len && bk_is(s + len - unit_len, unit_len, unit)) {
        uint64_t calls;
        if (!bk_read_number(s, len - unit_len, &calls) || calls == 0 ||
            calls > BK_WINDOW_CALLS_MAX)
            return false;
        out->window_calls = (uint32_t)calls;
        out->window_ns = 0;
        return true;
    }
    int64_t ns;
    if (!bk_read_duration(s, len, &ns) || !is_within(row, (uint64_t)ns))
        return false;
    out->window_ns = ns;
    out->window_calls = 0;
    return true;
}

static bool
read_choice(const struct bk_key_row *row, const char *s, size_t len,
            struct bk_policy *out)
{
    for (uint32_t i = 0; row->words[i] != NULL; i++)
        if (len > 0 && bk_is(s, len, row->words[i]))
            return store_u32(row, i, out);
    return false;
}

static bool
read_flag(const struct bk_key_row *row, const char *s, size_t len,
          struct bk_policy *out)
{
    static const char *const words[] = {"off", "on",  "false", "true",
                                        "no",  "yes", "0",     "1"};
    for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (bk_is(s, len, words[i]))
            return store_u32(row, i % 2, out);
    return false;
}

static bool
read_outcome(const char *s, size_t len, uint32_t *set)
{
    while (len > 0 && s[0] == ' ') {
        s++;
        len--;
    }
    while (len > 0 && s[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < RETRYABLE_COUNT; i++) {
        if (bk_is(s, len, bk_outcome_name(retryable[i]))) {
            *set |= UINT32_C(1) << retryable[i];
            return true;
        }
    }
    return false;
}

/* Outcomes with commas between them, at least one. */
static bool
read_outcomes(const struct bk_key_row *row, const char *s, size_t len,
              struct bk_policy *out)
{
    uint32_t set = 0;
    const char *comma;
    while ((comma = len > 0 ? memchr(s, ',', len) : NULL) != NULL) {
        size_t word_len = (size_t)(comma - s);
        if (!read_outcome(s, word_len, &set))
            return false;
        s = comma + 1;
        len -= word_len + 1;
    }
    return read_outcome(s, len, &set) && store_u32(row, set, out);
}

/* Nothing, or "-", which SET needs: its lines have no empty words. */
static bool
is_none(const char *s, size_t len)
{
    return len == 0 || bk_is(s, len, "-");
}

static bool
read_name(const struct bk_key_row *row, const char *s, size_t len,
          struct bk_policy *out)
{
    if (is_none(s, len))
        len = 0;
    else if (!bk_name_is_valid(s, len))
        return false;
    /* Behind the end too: equal policies are equal octets. */
    memset(FIELD(out, row), 0, BK_NAME_SIZE);
    bk_copy_text(FIELD(out, row), BK_NAME_SIZE, s, len);
    return true;
}

static bool
read_url(const struct bk_key_row *row, const char *s, size_t len,
         struct bk_policy *out)
{
    if (is_none(s, len))
        len = 0;
    else if (len >= BK_URL_SIZE || !bk_url_is_valid(s, len))
        return false;
    memset(FIELD(out, row), 0, BK_URL_SIZE);
    bk_copy_text(FIELD(out, row), BK_URL_SIZE, s, len);
    return true;
}

bool
bk_key_read(const struct bk_key_row *row, const char *s, size_t len,
            struct bk_policy *out)
{
    uint64_t number;
    int64_t ns;
    switch (row->kind) {
    case BK_KEY_COUNT_OF:
        return bk_read_number(s, len, &number) && store_u32(row, number, out);
    case BK_KEY_RATE:
        return bk_read_ppm(s, len, true, &number) &&
               store_u64(row, number, out);
    case BK_KEY_FACTOR:
        return bk_read_ppm(s, len, false, &number) &&
               store_u64(row, number, out);
    case BK_KEY_DURATION:
        return bk_read_duration(s, len, &ns) && store_duration(row, ns, out);
    case BK_KEY_WINDOW:
        return read_window(row, s, len, out);
    case BK_KEY_CHOICE:
        return read_choice(row, s, len, out);
    case BK_KEY_FLAG:
        return read_flag(row, s, len, out);
    case BK_KEY_OUTCOMES:
        return read_outcomes(row, s, len, out);
    case BK_KEY_NAME:
        return read_name(row, s, len, out);
    case BK_KEY_URL:
        return read_url(row, s, len, out);
    }
    BK_ASSERT(false); /* a kind without a reader */
    return false;
}

bool
bk_key_read_env(const struct bk_key_row *row, const char *s, size_t len,
                struct bk_policy *out)
{
    if (row->kind != BK_KEY_DURATION)
        return bk_key_read(row, s, len, out);
    int64_t ns;
    return bk_read_seconds(s, len, &ns) && store_duration(row, ns, out);
}

static uint32_t
load_u32(const struct bk_key_row *row, const struct bk_policy *policy)
{
    uint32_t value;
    memcpy(&value, CONST_FIELD(policy, row), sizeof(value));
    return value;
}

static int64_t
load_i64(const struct bk_key_row *row, const struct bk_policy *policy)
{
    int64_t value;
    memcpy(&value, CONST_FIELD(policy, row), sizeof(value));
    return value;
}

static void
print_window(const struct bk_policy *policy, struct bk_text *out)
{
    if (policy->window_calls == 0) {
        bk_text_put_duration(out, policy->window_ns);
        return;
    }
    bk_text_put_u64(out, policy->window_calls);
    bk_text_put(out, "calls");
}

static void
print_outcomes(uint32_t set, struct bk_text *out)
{
    bool is_first = true;
    for (size_t i = 0; i < RETRYABLE_COUNT; i++) {
        if ((set >> retryable[i] & 1) == 0)
            continue;
        if (!is_first)
            bk_text_put_char(out, ',');
        bk_text_put(out, bk_outcome_name(retryable[i]));
        is_first = false;
    }
}

void
bk_key_print(const struct bk_key_row *row, const struct bk_policy *policy,
             struct bk_text *out)
{
    switch (row->kind) {
    case BK_KEY_COUNT_OF:
        bk_text_put_u64(out, load_u32(row, policy));
        break;
    case BK_KEY_RATE:
    case BK_KEY_FACTOR:
        bk_text_put_ppm(out, load_i64(row, policy), 0);
        break;
    case BK_KEY_DURATION:
        bk_text_put_duration(out, load_i64(row, policy));
        break;
    case BK_KEY_WINDOW:
        print_window(policy, out);
        break;
    case BK_KEY_CHOICE:
        bk_text_put(out, row->words[load_u32(row, policy)]);
        break;
    case BK_KEY_FLAG:
        bk_text_put(out, load_u32(row, policy) != 0 ? "on" : "off");
        break;
    case BK_KEY_OUTCOMES:
        print_outcomes(load_u32(row, policy), out);
        break;
    case BK_KEY_NAME:
    case BK_KEY_URL:
        bk_text_put(out, CONST_FIELD(policy, row));
        break;
    }
}

/* "one, two or three". */
static void
put_list(struct bk_text *out, size_t index, size_t count, const char *word)
{
    if (index > 0)
        bk_text_put(out, index + 1 == count ? " or " : ", ");
    bk_text_put(out, word);
}

static void
accepts_choice(const struct bk_key_row *row, struct bk_text *out)
{
    size_t count = 0;
    size_t index = 0;
    for (size_t i = 0; row->words[i] != NULL; i++)
        count += row->words[i][0] != '\0' ? 1 : 0;
    for (size_t i = 0; row->words[i] != NULL; i++)
        if (row->words[i][0] != '\0')
            put_list(out, index++, count, row->words[i]);
}

static void
accepts_number(const struct bk_key_row *row, const char *what,
               struct bk_text *out)
{
    bk_text_put(out, what);
    if (row->kind == BK_KEY_COUNT_OF) {
        bk_text_put_u64(out, row->least);
        bk_text_put(out, " to ");
        bk_text_put_u64(out, row->most);
    } else {
        bk_text_put_ppm(out, (int64_t)row->least, 0);
        bk_text_put(out, " to ");
        bk_text_put_ppm(out, (int64_t)row->most, 0);
    }
}

static void
accepts_duration(const struct bk_key_row *row, bool is_env, struct bk_text *out)
{
    if (is_env) {
        bk_text_put(out, "a number of seconds from ");
        bk_text_put_ppm(out, (int64_t)(row->least / 1000), 0);
        bk_text_put(out, " to ");
        bk_text_put_ppm(out, (int64_t)(row->most / 1000), 0);
        return;
    }
    if (row->is_zero_ok)
        bk_text_put(out, "0 or ");
    bk_text_put(out, "a duration (250ms 5s 2m 1h) from ");
    bk_text_put_duration(out, (int64_t)row->least);
    bk_text_put(out, " to ");
    bk_text_put_duration(out, (int64_t)row->most);
}

void
bk_key_accepts(const struct bk_key_row *row, bool is_env, struct bk_text *out)
{
    switch (row->kind) {
    case BK_KEY_COUNT_OF:
        accepts_number(row, "a whole number from ", out);
        break;
    case BK_KEY_RATE:
        accepts_number(row, "a rate (50% or 0.5) from ", out);
        break;
    case BK_KEY_FACTOR:
        accepts_number(row, "a number from ", out);
        break;
    case BK_KEY_DURATION:
        accepts_duration(row, is_env, out);
        break;
    case BK_KEY_WINDOW:
        accepts_duration(row, false, out);
        bk_text_put(out, " or 1calls to ");
        bk_text_put_u64(out, BK_WINDOW_CALLS_MAX);
        bk_text_put(out, "calls");
        break;
    case BK_KEY_CHOICE:
        accepts_choice(row, out);
        break;
    case BK_KEY_FLAG:
        bk_text_put(out, "on or off");
        break;
    case BK_KEY_OUTCOMES:
        bk_text_put(out, "a list of ");
        for (size_t i = 0; i < RETRYABLE_COUNT; i++)
            put_list(out, i, RETRYABLE_COUNT, bk_outcome_name(retryable[i]));
        break;
    case BK_KEY_NAME:
        bk_text_put(out, "a service's name (1 to 63 of A-Z a-z 0-9 . _ : / @ -)"
                         " or - for none");
        break;
    case BK_KEY_URL:
        bk_text_put(out, "an http:// or https:// address of at most 255 octets"
                         " or - for none");
        break;
    }
}

void
bk_key_copy(const struct bk_key_row *row, struct bk_policy *to,
            const struct bk_policy *from)
{
    size_t size = sizeof(uint32_t);
    if (row->kind == BK_KEY_WINDOW) {
        to->window_calls = from->window_calls;
        size = sizeof(int64_t);
    } else if (row->kind == BK_KEY_RATE || row->kind == BK_KEY_FACTOR ||
               row->kind == BK_KEY_DURATION) {
        size = sizeof(int64_t);
    } else if (row->kind == BK_KEY_NAME) {
        size = BK_NAME_SIZE;
    } else if (row->kind == BK_KEY_URL) {
        size = BK_URL_SIZE;
    }
    memcpy(FIELD(to, row), CONST_FIELD(from, row), size);
}
