/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the script of flaky-upstream. A phase is a kind, `key=value` settings
 * and a length, in any order behind the kind. */
#include "tools/upstream_script.h"

#include <string.h>

static const char *const kind_names[UPSTREAM_KIND_COUNT] = {
    "ok", "error", "hang", "reset", "refuse"};

const char *
upstream_kind_name(enum upstream_kind kind)
{
    return kind_names[kind];
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool
refuse(struct bk_text *error, const char *what, const char *word, size_t len)
{
    bk_text_put(error, what);
    bk_text_put(error, " \"");
    bk_text_put_n(error, word, len > 40 ? 40 : len);
    bk_text_put(error, "\"");
    return false;
}

/* Takes the next word off the front of `*at`; NULL when none is left. */
static const char *
next_word(const char **at, const char *end, size_t *len)
{
    while (*at < end && is_blank(**at)) {
        (*at)++;
    }
    const char *word = *at;
    while (*at < end && !is_blank(**at)) {
        (*at)++;
    }
    *len = (size_t)(*at - word);
    return *len > 0 ? word : NULL;
}

static bool
read_status(const char *word, size_t len, unsigned *out)
{
    uint64_t status = 0;

    if (len != 3 || !bk_read_number(word, len, &status) || status < 200 ||
        status > 599) {
        return false;
    }
    *out = (unsigned)status;
    return true;
}

static bool
read_kind(const char *word, size_t len, struct upstream_phase *phase,
          struct bk_text *error)
{
    if (bk_is(word, len, "ok")) {
        phase->kind = UPSTREAM_OK;
    } else if (bk_is(word, len, "down")) {
        phase->kind = UPSTREAM_STATUS;
        phase->status = 503;
    } else if (bk_is(word, len, "hang")) {
        phase->kind = UPSTREAM_HANG;
    } else if (bk_is(word, len, "reset")) {
        phase->kind = UPSTREAM_RESET;
    } else if (bk_is(word, len, "refuse")) {
        phase->kind = UPSTREAM_REFUSE;
    } else if (read_status(word, len, &phase->status)) {
        phase->kind = phase->status < 400 ? UPSTREAM_OK : UPSTREAM_STATUS;
    } else {
        return refuse(error,
                      "a phase starts with ok, down, hang, reset, refuse or a "
                      "status from 200 to 599, not",
                      word, len);
    }
    return true;
}

static bool
read_retry_after(const char *value, size_t len, struct upstream_phase *phase)
{
    static const char date[] = "date:";
    const size_t skip = sizeof date - 1;
    uint64_t seconds = 0;

    phase->is_retry_after_date = len > skip && memcmp(value, date, skip) == 0;
    if (phase->is_retry_after_date) {
        value += skip;
        len -= skip;
    }
    if (!bk_read_number(value, len, &seconds) ||
        seconds > UPSTREAM_RETRY_AFTER_MAX_S) {
        return false;
    }
    phase->retry_after_s = (int64_t)seconds;
    return true;
}

static bool
read_setting(const char *word, size_t len, const char *equals,
             struct upstream_phase *phase, struct bk_text *error)
{
    const size_t key_len = (size_t)(equals - word);
    const char *value = equals + 1;
    const size_t value_len = len - key_len - 1;
    bool is_good = false;

    if (bk_is(word, key_len, "latency")) {
        is_good = bk_read_duration(value, value_len, &phase->latency_ns);
    } else if (bk_is(word, key_len, "retry-after")) {
        is_good = read_retry_after(value, value_len, phase);
    } else if (bk_is(word, key_len, "share")) {
        is_good = bk_read_ppm(value, value_len, true, &phase->share_ppm) &&
                  phase->share_ppm <= BK_PPM;
    } else {
        return refuse(error,
                      "a phase knows latency=, retry-after= and share=, not",
                      word, len);
    }
    return is_good || refuse(error, "cannot read", word, len);
}

/* One word behind the kind: a status for `down`, a setting or the length. */
static bool
read_word(const char *word, size_t len, struct upstream_phase *phase,
          struct bk_text *error)
{
    const char *equals = memchr(word, '=', len);

    if (equals != NULL) {
        return read_setting(word, len, equals, phase, error);
    }
    if (phase->kind == UPSTREAM_STATUS &&
        read_status(word, len, &phase->status)) {
        return true;
    }
    if (phase->length_ns != BK_NEVER) {
        return refuse(error, "a phase has one length; what is", word, len);
    }
    if (!bk_read_duration(word, len, &phase->length_ns) ||
        phase->length_ns <= 0) {
        return refuse(error, "a length is like 500ms or 4s, not", word, len);
    }
    return true;
}

/* Reads one phase; a blank one adds nothing. */
static bool
read_phase(const char *at, const char *end, struct upstream_script *script,
           struct bk_text *error)
{
    size_t len = 0;

    while (at < end && is_blank(*at)) {
        at++;
    }
    while (end > at && is_blank(end[-1])) {
        end--;
    }
    if (at == end) {
        return true;
    }
    if (script->count == UPSTREAM_PHASES) {
        bk_text_put(error, "a script has at most 64 phases");
        return false;
    }
    struct upstream_phase *phase = &script->phases[script->count];
    *phase = (struct upstream_phase){.status = 200,
                                     .length_ns = BK_NEVER,
                                     .latency_ns = -1,
                                     .retry_after_s = -1,
                                     .share_ppm = BK_PPM};
    bk_copy_text(phase->title, sizeof phase->title, at, (size_t)(end - at));
    const char *word = next_word(&at, end, &len);
    bool is_good = read_kind(word, len, phase, error);
    while (is_good && (word = next_word(&at, end, &len)) != NULL) {
        is_good = read_word(word, len, phase, error);
    }
    script->count++;
    return is_good;
}

static bool
check(const struct upstream_script *script, struct bk_text *error)
{
    if (script->count == 0) {
        bk_text_put(error, "the script has no phase");
        return false;
    }
    for (size_t i = 0; i + 1 < script->count; i++) {
        if (script->phases[i].length_ns == BK_NEVER) {
            return refuse(error, "only the last phase may go without a length:",
                          script->phases[i].title,
                          strlen(script->phases[i].title));
        }
    }
    return true;
}

bool
upstream_script_parse(const char *text, size_t len, struct upstream_script *out,
                      struct bk_text *error)
{
    const char *end = text + len;
    bool is_good = true;

    out->count = 0;
    while (is_good && text < end) {
        const char *stop = text;
        const char *comment = NULL;
        while (stop < end && *stop != '\n' && (comment || *stop != ';')) {
            if (*stop == '#' && comment == NULL) {
                comment = stop;
            }
            stop++;
        }
        is_good = read_phase(text, comment ? comment : stop, out, error);
        text = stop + 1;
    }
    return is_good && check(out, error);
}

size_t
upstream_script_at(const struct upstream_script *script, int64_t elapsed_ns,
                   int64_t *until_ns)
{
    int64_t end_ns = 0;

    for (size_t i = 0; i < script->count; i++) {
        end_ns = bk_after(end_ns, script->phases[i].length_ns);
        if (elapsed_ns < end_ns) {
            *until_ns = end_ns;
            return i;
        }
    }
    *until_ns = BK_NEVER;
    return script->count - 1;
}
