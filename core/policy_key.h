#ifndef BK_POLICY_KEY_H
#define BK_POLICY_KEY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * One row of the table of configuration keys, and what can be done with the value
 * of one key: read, print, say what is accepted. */
#include "core/policy.h"

enum bk_key_kind {
    BK_KEY_COUNT_OF, /* uint32_t, a whole number */
    BK_KEY_RATE,     /* uint64_t millionths; "50%" or "0.5" */
    BK_KEY_FACTOR,   /* uint64_t millionths; "1.5" */
    BK_KEY_DURATION, /* int64_t nanoseconds */
    BK_KEY_WINDOW,   /* a duration or a number of calls; two fields */
    BK_KEY_CHOICE,   /* uint32_t, one of `words` */
    BK_KEY_FLAG,     /* uint32_t, on or off */
    BK_KEY_OUTCOMES, /* uint32_t, a set of outcomes */
    BK_KEY_NAME,     /* char[BK_NAME_SIZE], a service or nothing */
    BK_KEY_URL       /* char[BK_URL_SIZE], or nothing */
};

struct bk_key_row {
    const char *name;
    const char *standard; /* the built-in default, as a person writes it */
    const char *help;
    enum bk_key_kind kind;
    bool is_zero_ok; /* 0 is accepted below `least` */
    size_t at;       /* of the field within struct bk_policy */
    uint64_t least;  /* in the field's own unit */
    uint64_t most;
    const char *const *words; /* CHOICE: by value; "" is no choice, NULL ends */
};

/* Reads a value into its field of *out; false leaves *out alone. */
bool bk_key_read(const struct bk_key_row *row, const char *s, size_t len,
                 struct bk_policy *out);
/* The same for an environment variable, where durations are bare seconds. */
bool bk_key_read_env(const struct bk_key_row *row, const char *s, size_t len,
                     struct bk_policy *out);
void bk_key_print(const struct bk_key_row *row, const struct bk_policy *policy,
                  struct bk_text *out);
/* What is accepted, as the end of "is not ...". */
void bk_key_accepts(const struct bk_key_row *row, bool is_env,
                    struct bk_text *out);
/* The value of this key, from one policy to another. */
void bk_key_copy(const struct bk_key_row *row, struct bk_policy *to,
                 const struct bk_policy *from);

#endif
