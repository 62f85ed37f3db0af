/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the octets, no recursion, no heap. It is no validator: where it
 * is kinder than JSON nothing depends on it. */
#include "client/classify_body.h"
#include "breaker/classify.h"
#include "client/classify_after.h"
#include <string.h>

#define KEY_SIZE 16
/* Objects and arrays within each other. */
#define DEPTH_MAX 64
/* Keys are kept of the two outermost objects. */
#define KEYS 3

struct walk {
    const char *at;
    const char *end;
    unsigned depth;
    char keys[KEYS][KEY_SIZE]; /* by depth, from 1 */
    unsigned code_depth, type_depth, message_depth;
    struct classify_body *out;
};

static bool
is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* One character of a string, escapes undone as far as words need it. */
static char
character(struct walk *w)
{
    char c = *w->at++;

    if (c == '\\' && w->at != w->end) {
        c = *w->at++;
        if (c == 'u') {
            for (int i = 0; i < 4 && w->at != w->end && *w->at != '"'; i++)
                w->at++;
            return '?';
        }
        if (!is_one_of(c, "\"\\/"))
            return ' ';
    }
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    if (c < ' ' || c > '~')
        return '?';
    return c;
}

/* The string whose quote is at w->at; true when its end was there too. */
static bool
string(struct walk *w, char *to, size_t size)
{
    size_t len = 0;

    w->at++;
    while (w->at != w->end && *w->at != '"') {
        char c = character(w);

        if (len + 1 < size)
            to[len++] = c;
    }
    to[len] = '\0';
    if (w->at == w->end)
        return false;
    w->at++;
    return true;
}

static void
skip_blanks(struct walk *w)
{
    while (w->at != w->end && is_one_of(*w->at, " \t\r\n,"))
        w->at++;
}

static bool
is_key(const struct walk *w, unsigned depth, const char *word)
{
    return w->depth >= depth && strcmp(w->keys[depth], word) == 0;
}

/* Is this a value of the error, at the top or within "error"? */
static bool
is_field(const struct walk *w, const char *word)
{
    if (w->depth == 1)
        return is_key(w, 1, word);
    return w->depth == 2 && is_key(w, 1, "error") && is_key(w, 2, word);
}

/* Keeps a string unless one from further inside is there. */
static void
keep(const struct walk *w, char *to, size_t size, unsigned *depth,
     const char *value)
{
    size_t len = strlen(value);

    if (*depth >= w->depth)
        return;
    *depth = w->depth;
    len = len < size ? len : size - 1;
    memcpy(to, value, len);
    to[len] = '\0';
}

static void
take_string(struct walk *w, const char *value)
{
    struct classify_body *out = w->out;

    if (is_field(w, "code"))
        keep(w, out->code, sizeof out->code, &w->code_depth, value);
    else if (is_field(w, "type"))
        keep(w, out->type, sizeof out->type, &w->type_depth, value);
    else if (is_field(w, "message"))
        keep(w, out->message, sizeof out->message, &w->message_depth, value);
    else if (w->depth == 1 && is_key(w, 1, "error")) {
        out->is_plain = true;
        keep(w, out->message, sizeof out->message, &w->message_depth, value);
    }
}

/* A number, true, false or null. */
static void
take_literal(struct walk *w)
{
    const char *from = w->at;

    while (w->at != w->end && !is_one_of(*w->at, " \t\r\n,:\"{}[]"))
        w->at++;
    if (w->at == from) /* a NUL, or what else is no JSON */
        w->at++;
    size_t len = (size_t)(w->at - from);
    if (w->depth != 1)
        return;
    if (is_key(w, 1, "global")) {
        w->out->has_global = true;
        w->out->is_global = len == 4 && memcmp(from, "true", 4) == 0;
    } else if (is_key(w, 1, "retry_after")) {
        w->out->retry_after_ms = classify_seconds_ms(from, len);
    }
}

/* Goes in or out of an object or array; false at the end of all. */
static bool
nest(struct walk *w, char bracket)
{
    w->at++;
    if (is_one_of(bracket, "}]")) {
        w->depth--;
        return w->depth > 0;
    }
    if (w->depth == DEPTH_MAX)
        return false;
    w->depth++;
    if (w->depth < KEYS)
        w->keys[w->depth][0] = '\0';
    return true;
}

/* A key, or a string as a value; false when it has no end. */
static bool
word(struct walk *w)
{
    char value[CLASSIFY_MESSAGE_SIZE];

    if (!string(w, value, sizeof value))
        return false;
    skip_blanks(w);
    if (w->at == w->end || *w->at != ':') {
        take_string(w, value);
        return true;
    }
    w->at++;
    if (w->depth < KEYS) {
        size_t len = strlen(value);
        bool fits = len < KEY_SIZE;

        memcpy(w->keys[w->depth], value, fits ? len : 0);
        w->keys[w->depth][fits ? len : 0] = '\0';
    }
    return true;
}

void
classify_body_read(const char *at, size_t len, struct classify_body *out)
{
    struct walk w = {.out = out};
    bool goes_on = true;

    memset(out, 0, sizeof *out);
    out->retry_after_ms = -1;
    if (at == NULL)
        return;
    w.at = at;
    w.end = at +
            (len < BREAKER_CLASSIFY_BODY_MAX ? len : BREAKER_CLASSIFY_BODY_MAX);
    skip_blanks(&w);
    /* Some wrap the one error in an array. */
    if (w.at != w.end && *w.at == '[')
        w.at++;
    skip_blanks(&w);
    if (w.at == w.end || *w.at != '{')
        return;
    while (goes_on) {
        skip_blanks(&w);
        if (w.at == w.end)
            return;
        if (is_one_of(*w.at, "{}[]"))
            goes_on = nest(&w, *w.at);
        else if (*w.at == '"')
            goes_on = word(&w);
        else if (*w.at == ':')
            w.at++;
        else
            take_literal(&w);
    }
}
