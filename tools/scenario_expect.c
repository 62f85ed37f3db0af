/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading expectations and comparing fields with them. */
#include "tools/scenario_expect.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number and nothing else ("nan", "0x1" and "" are words). */
static bool
read_number(const char *s, size_t len, double *out)
{
    char copy[32];
    if (len == 0 || len >= sizeof(copy) || strspn(s, "-0123456789.") < len) {
        return false;
    }
    memcpy(copy, s, len);
    copy[len] = '\0';
    char *end = NULL;
    *out = strtod(copy, &end);
    return *end == '\0';
}

static bool
read_value(struct scenario_condition *c, struct bk_text *error)
{
    const char *dots = strstr(c->value, "..");
    if (dots == NULL) {
        c->is_number = read_number(c->value, strlen(c->value), &c->low);
        c->high = c->low;
        return true;
    }
    c->is_range = true;
    c->is_number = read_number(c->value, (size_t)(dots - c->value), &c->low) &&
                   read_number(dots + 2, strlen(dots + 2), &c->high);
    if (!c->is_number || c->low > c->high) {
        bk_text_put(error, "a range is two numbers, the lower first: ");
        bk_text_put(error, c->value);
        return false;
    }
    return true;
}

static bool
add_condition(struct scenario_expectation *e, char *word, struct bk_text *error)
{
    char *equals = strchr(word, '=');
    struct scenario_condition c = {.path = word, .value = equals + 1};
    *equals = '\0';
    if (equals == word || equals[1] == '\0') {
        bk_text_put(error, "an expected field is written path=value");
        return false;
    }
    if (!read_value(&c, error)) {
        return false;
    }
    struct scenario_condition *more =
        realloc(e->conditions, (e->count + 1) * sizeof(*more));
    if (more == NULL) {
        bk_text_put(error, "out of memory");
        return false;
    }
    e->conditions = more;
    more[e->count++] = c;
    return true;
}

static bool
add_word(struct scenario_expectation *e, const char *word,
         struct bk_text *error)
{
    if (e->word == NULL) {
        e->word = word;
        return true;
    }
    bool takes_reason = bk_is(e->word, strlen(e->word), "deny") ||
                        bk_is(e->word, strlen(e->word), "error");
    if (e->reason == NULL && takes_reason) {
        e->reason = word;
        return true;
    }
    bk_text_put(error, "one word too many is expected: ");
    bk_text_put(error, word);
    return false;
}

bool
scenario_expect_add(struct scenario_expectation *e, char *const *words,
                    size_t count, struct bk_text *error)
{
    if (count == 0) {
        bk_text_put(error, "nothing is written behind the arrow");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_ok = strchr(words[i], '=') != NULL
                         ? add_condition(e, words[i], error)
                         : add_word(e, words[i], error);
        if (!is_ok) {
            return false;
        }
    }
    return true;
}

void
scenario_expect_free(struct scenario_expectation *e)
{
    free(e->conditions);
    *e = (struct scenario_expectation){0};
}

static bool
is_text(const struct scenario_condition *c, const json_t *field)
{
    switch (json_typeof(field)) {
    case JSON_STRING:
        return strcmp(json_string_value(field), c->value) == 0;
    case JSON_TRUE:
        return strcmp(c->value, "true") == 0;
    case JSON_FALSE:
        return strcmp(c->value, "false") == 0;
    case JSON_NULL:
        return strcmp(c->value, "null") == 0;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_INTEGER:
    case JSON_REAL:
        break;
    }
    return false;
}

/* Whether the path's last part is one of a list's names. */
static bool
is_one_of(const char *path, const char *const *names)
{
    const char *dot = strrchr(path, '.');
    const char *last = dot == NULL ? path : dot + 1;
    for (; *names != NULL; names++) {
        if (strcmp(last, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_milliseconds(const char *path)
{
    size_t len = strlen(path);
    return len > 3 && strcmp(path + len - 3, "_ms") == 0;
}

/* What a number may have been at the instant its line was due. */
static void
reckon_back(const char *path, double value,
            const struct scenario_excuse *excuse, double *low, double *high)
{
    static const char *const waits[] = {"retry_after_ms", "hold_ms",
                                        "expires_ms", NULL};
    static const char *const ages[] = {"since_ms", "age_ms", NULL};
    *low = value;
    *high = value;
    if (is_one_of(path, waits)) {
        /* A wait of 0 may be none at all, and that does not run. */
        if (value > 0) {
            *low += excuse->run_ms_min - excuse->wait_began_ms;
        }
        *high += excuse->run_ms_max;
    } else if (is_one_of(path, ages)) {
        *low -= excuse->run_ms_max;
        *high += excuse->age_began_ms;
    }
}

bool
scenario_condition_holds(const struct scenario_condition *c,
                         const json_t *field,
                         const struct scenario_excuse *excuse)
{
    if (!json_is_number(field)) {
        return is_text(c, field);
    }
    /* The last digit of a printed fraction is the finest thing compared. */
    double give = 1e-9;
    if (is_milliseconds(c->path)) {
        give += excuse->slack_ms;
    }
    double low = 0;
    double high = 0;
    reckon_back(c->path, json_number_value(field), excuse, &low, &high);
    return c->is_number && high >= c->low - give && low <= c->high + give;
}
