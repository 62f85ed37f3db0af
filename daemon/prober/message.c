/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/prober/message.h"
#include <string.h>

enum field_type {
    NUMBER, /* uint64_t below `limit` */
    WORD,   /* char[limit], printable and not empty */
    TEXT    /* char[limit], to the end of the line, may be empty */
};

struct field {
    size_t at;
    uint64_t limit;
    enum field_type type;
};

#define FIELDS_MAX 11
#define NUMBER_BELOW(field, end)                     \
    {                                                \
        offsetof(struct message, field), end, NUMBER \
    }
#define ANY_NUMBER(field) NUMBER_BELOW(field, BK_NUMBER_END)
#define WORD_OF(field)                                                         \
    {                                                                          \
        offsetof(struct message, field), sizeof(((struct message *)0)->field), \
            WORD                                                               \
    }
#define TEXT_LAST                                                            \
    {                                                                        \
        offsetof(struct message, text), sizeof(((struct message *)0)->text), \
            TEXT                                                             \
    }
#define PLACE NUMBER_BELOW(place, BK_CONFIG_SERVICES_MAX)
/* No duration of the configuration is longer. */
#define SPAN(field) \
    NUMBER_BELOW(field, (uint64_t)(BK_DURATION_MAX_NS / BK_NS_PER_MS) + 1)

static const struct row {
    const char *word;
    struct field fields[FIELDS_MAX]; /* a limit of 0 ends them */
} rows[MESSAGE_KIND_COUNT] = {
    [MESSAGE_PROBE] = {"probe",
                       {PLACE, WORD_OF(name), SPAN(interval_ms),
                        SPAN(timeout_ms), WORD_OF(url)}},
    [MESSAGE_UNPROBE] = {"unprobe", {PLACE}},
    [MESSAGE_HOOK] = {"hook",
                      {NUMBER_BELOW(place, BK_WEBHOOKS_MAX), WORD_OF(name),
                       NUMBER_BELOW(format, BK_WEBHOOK_FORMAT_COUNT),
                       WORD_OF(url), WORD_OF(services)}},
    [MESSAGE_UNHOOK] = {"unhook", {NUMBER_BELOW(place, BK_WEBHOOKS_MAX)}},
    [MESSAGE_EVENT] =
        {"event",
         {ANY_NUMBER(seq), WORD_OF(name), NUMBER_BELOW(from, BK_STATE_COUNT),
          NUMBER_BELOW(to, BK_STATE_COUNT), NUMBER_BELOW(mode, BK_MODE_COUNT),
          NUMBER_BELOW(cause, BK_CAUSE_COUNT), ANY_NUMBER(generation),
          ANY_NUMBER(at_ms), ANY_NUMBER(until_ms), WORD_OF(actor), TEXT_LAST}},
    [MESSAGE_ALIVE] = {"alive", {{0, 0, NUMBER}}},
    [MESSAGE_RESULT] = {"result",
                        {PLACE, WORD_OF(name),
                         NUMBER_BELOW(outcome, BK_TIMEOUT + 1),
                         ANY_NUMBER(latency_us), TEXT_LAST}},
    [MESSAGE_TOLD] = {"told",
                      {ANY_NUMBER(sent), ANY_NUMBER(failed),
                       ANY_NUMBER(dropped), TEXT_LAST}},
    [MESSAGE_TROUBLE] = {"trouble", {TEXT_LAST}},
};

static bool
is_word(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] <= ' ' || at[i] > '~') {
            return false;
        }
    }
    return len > 0;
}

int
message_write(const struct message *m, char *out)
{
    const struct row *row = &rows[m->kind];
    struct bk_text t;
    bk_text_init(&t, out, MESSAGE_MAX);
    bk_text_put(&t, row->word);
    for (int i = 0; i < FIELDS_MAX && row->fields[i].limit > 0; i++) {
        const struct field *f = &row->fields[i];
        const char *at = (const char *)m + f->at;
        bk_text_put_char(&t, ' ');
        if (f->type == NUMBER) {
            uint64_t number;
            memcpy(&number, at, sizeof(number));
            if (number >= f->limit) {
                return -1;
            }
            bk_text_put_u64(&t, number);
            continue;
        }
        size_t len = strnlen(at, f->limit);
        if (len == f->limit || (f->type == WORD && !is_word(at, len))) {
            return -1;
        }
        bk_text_put_n(&t, at, len);
    }
    return t.is_cut ? -1 : (int)t.len;
}

/* Takes one field off the front of the rest. */
static bool
read_field(const struct field *f, const char **at, const char *end,
           struct message *out)
{
    const char *stop =
        f->type == TEXT ? NULL : memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((stop == NULL ? end : stop) - *at);
    char *to = (char *)out + f->at;
    uint64_t number;
    if (f->type == NUMBER) {
        if (!bk_read_number(*at, len, &number) || number >= f->limit) {
            return false;
        }
        memcpy(to, &number, sizeof(number));
    } else {
        if (len >= f->limit || (f->type == WORD && !is_word(*at, len))) {
            return false;
        }
        memcpy(to, *at, len);
    }
    *at += len;
    return true;
}

bool
message_read(const char *at, size_t len, struct message *out)
{
    const char *end = at + len;
    const char *space = len > 0 ? memchr(at, ' ', len) : NULL;
    size_t word_len = space == NULL ? len : (size_t)(space - at);
    int kind = 0;
    memset(out, 0, sizeof(*out));
    if (len >= MESSAGE_MAX || memchr(at, '\0', len) != NULL) {
        return false;
    }
    while (kind < MESSAGE_KIND_COUNT && !bk_is(at, word_len, rows[kind].word)) {
        kind++;
    }
    if (kind == MESSAGE_KIND_COUNT) {
        return false;
    }
    out->kind = (uint64_t)kind;
    at += word_len;
    for (int i = 0; i < FIELDS_MAX && rows[kind].fields[i].limit > 0; i++) {
        if (at == end || *at++ != ' ' ||
            !read_field(&rows[kind].fields[i], &at, end, out)) {
            return false;
        }
    }
    return at == end;
}
