#ifndef BK_JSON_H
#define BK_JSON_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A row writer for JSON: commas and quoting looked after, nothing else. Output
 * is valid UTF-8 whatever the input (bad octets become U+FFFD). */
#include "core/text.h"

struct bk_json {
    struct bk_text *text;
    bool wants_comma;
};

void bk_json_init(struct bk_json *j, struct bk_text *text);
/* `key` is NULL within an array and at the top. */
void bk_json_open(struct bk_json *j, const char *key, char bracket);
void bk_json_close(struct bk_json *j, char bracket);
void bk_json_string(struct bk_json *j, const char *key, const char *value);
void bk_json_string_n(struct bk_json *j, const char *key, const char *value,
                      size_t len);
void bk_json_u64(struct bk_json *j, const char *key, uint64_t value);
void bk_json_ppm(struct bk_json *j, const char *key, int64_t value_ppm,
                 int min_digits);
void bk_json_bool(struct bk_json *j, const char *key, bool value);
void bk_json_null(struct bk_json *j, const char *key);
/* A value that is JSON already. */
void bk_json_raw(struct bk_json *j, const char *key, const char *json,
                 size_t len);

#endif
