/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers read, for clients and tools. */
#include "core/words.h"

static const char no_answer[] = "the line is no answer";

/* A word of a table, refused when `value` says it is none of them. */
static int
check(struct bk_words *w, int value, int least)
{
    if (value < least)
        bk_words_refuse(w, BK_ERR_BAD_REQUEST, no_answer);
    return value;
}

static uint64_t
number(struct bk_words *w)
{
    return bk_words_need_number(w, 0, no_answer);
}

static void
read_ok(struct bk_words *w, struct bk_reply *out)
{
    out->text = bk_words_rest(w);
    if (bk_is(out->text.at, out->text.len, "applied"))
        out->applied = BK_APPLIED;
    else if (bk_is(out->text.at, out->text.len, "stale"))
        out->applied = BK_STALE;
    else if (bk_is(out->text.at, out->text.len, "unknown"))
        out->applied = BK_UNKNOWN;
}

static void
read_allow(struct bk_words *w, struct bk_reply *out)
{
    out->service = bk_words_service(w);
    out->id = number(w);
    out->generation = number(w);
    struct bk_word word = bk_words_need(w, no_answer);
    out->state = check(w, bk_state_parse(word.at, word.len), 0);
}

static void
read_deny(struct bk_words *w, struct bk_reply *out)
{
    out->service = bk_words_service(w);
    struct bk_word word = bk_words_need(w, no_answer);
    out->deny = check(w, bk_deny_parse(word.at, word.len), BK_DENY_NONE + 1);
    out->wait_ms = number(w);
}

static void
read_grant(struct bk_words *w, struct bk_reply *out)
{
    out->service = bk_words_service(w);
    out->id = number(w);
    out->wait_ms = number(w);
}

static void
read_pong(struct bk_words *w, struct bk_reply *out)
{
    out->id = number(w);
}

static void
read_error(struct bk_words *w, struct bk_reply *out)
{
    struct bk_word word = bk_words_need(w, no_answer);
    out->error = check(w, bk_error_parse(word.at, word.len), BK_OK + 1);
    out->text = bk_words_rest(w);
}

static const struct {
    const char *name;
    void (*read)(struct bk_words *w, struct bk_reply *out);
} rows[] = {
    [BK_REPLY_OK] = {"OK", read_ok},
    [BK_REPLY_ALLOW] = {"ALLOW", read_allow},
    [BK_REPLY_DENY] = {"DENY", read_deny},
    [BK_REPLY_GRANT] = {"GRANT", read_grant},
    [BK_REPLY_PONG] = {"PONG", read_pong},
    [BK_REPLY_ERR] = {"ERR", read_error},
};

bool
bk_reply_parse(const char *line, size_t len, struct bk_reply *out)
{
    *out = (struct bk_reply){.applied = -1};
    if (bk_line_has_control(line, len))
        return false;
    struct bk_words w;
    bk_words_init(&w, line, len);
    struct bk_word word = bk_words_next(&w);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (word.at != NULL && bk_is(word.at, word.len, rows[i].name)) {
            out->kind = (enum bk_reply_kind)i;
            rows[i].read(&w, out);
            return w.error == BK_OK;
        }
    }
    return false;
}
