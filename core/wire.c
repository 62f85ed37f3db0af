/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: the first word picks a row of the table, a reader per shape takes the
 * words behind it. Answers are few enough for a plain switch. */
#include "core/words.h"

#define HISTORY_LIMIT 20
#define WORKER_NAME_MAX 31

const struct bk_command_row bk_command_rows[BK_CMD_COUNT] = {
    [BK_CMD_HELLO] = {"HELLO", "protocol worker-name pid", false, false},
    [BK_CMD_PING] = {"PING", "", false, false},
    [BK_CMD_ACQUIRE] = {"ACQUIRE", "service [attempt=1 [retry-token [ttl_ms]]]",
                        false, false},
    [BK_CMD_REPORT] = {"REPORT",
                       "service permit generation outcome [latency_us "
                       "[attempt[+] [retry_after_ms [text]]]]",
                       false, false},
    [BK_CMD_REPORTQ] = {"REPORTQ",
                        "service permit generation outcome [latency_us "
                        "[attempt[+] [retry_after_ms [text]]]]",
                        false, true},
    [BK_CMD_TALLYQ] = {"TALLYQ", "service allowed|denied count [reason]", false,
                       true},
    [BK_CMD_RETRY] = {"RETRY",
                      "service failed_attempt outcome [retry_after_ms]", false,
                      false},
    [BK_CMD_RELEASE] = {"RELEASE", "permit|retry-token", false, false},
    [BK_CMD_RENEW] = {"RENEW", "permit ttl_ms", false, false},
    [BK_CMD_STATUS] = {"STATUS", "[service]", false, false},
    [BK_CMD_CONFIG] = {"CONFIG", "[service]", false, false},
    [BK_CMD_RESET] = {"RESET", "service|* [text]", true, false},
    [BK_CMD_TRIP] = {"TRIP", "service duration_ms|- [text]", true, false},
    [BK_CMD_BYPASS] = {"BYPASS", "service duration_ms|- [text]", true, false},
    [BK_CMD_OBSERVE] = {"OBSERVE", "service duration_ms|- [text]", true, false},
    [BK_CMD_AUTO] = {"AUTO", "service|* [text]", true, false},
    [BK_CMD_SET] = {"SET", "service key value", true, false},
    [BK_CMD_UNSET] = {"UNSET", "service key", true, false},
    [BK_CMD_RELOAD] = {"RELOAD", "", true, false},
    [BK_CMD_HISTORY] = {"HISTORY", "service|* [limit [before]]", true, false},
    [BK_CMD_BACKUP] = {"BACKUP", "new|replace path", true, false},
    [BK_CMD_FORGET] = {"FORGET", "service", true, false},
};

static void
read_service_or_all(struct bk_words *w, struct bk_request *out)
{
    if (!w->is_over && w->left > 0 && w->at[0] == '*' &&
        (w->left == 1 || w->at[1] == ' ')) {
        out->service = bk_words_next(w);
        out->is_all = true;
        return;
    }
    out->service = bk_words_service(w);
}

static void
read_outcome(struct bk_words *w, struct bk_request *out)
{
    struct bk_word word = bk_words_need(w, "the outcome is missing");
    if (word.at == NULL)
        return;
    out->outcome = bk_outcome_parse(word.at, word.len);
    if (out->outcome < 0)
        bk_words_refuse(
            w, BK_ERR_BAD_REQUEST,
            "an outcome is success, failure, timeout, rate_limited, "
            "rejected, critical or cancelled");
}

static void
read_hello(struct bk_words *w, struct bk_request *out)
{
    out->protocol = bk_words_need_number(w, 0, "the protocol is a number");
    if (w->error == BK_OK && out->protocol != BK_PROTOCOL)
        bk_words_refuse(w, BK_ERR_BAD_REQUEST, "the protocol spoken here is 1");
    struct bk_word name = bk_words_need(w, "the worker's name is missing");
    bool is_printable = name.len <= WORKER_NAME_MAX;
    for (size_t i = 0; i < name.len; i++)
        is_printable = is_printable && (unsigned char)name.at[i] < 0x7f;
    if (!is_printable)
        bk_words_refuse(w, BK_ERR_BAD_REQUEST,
                        "a worker's name is 1 to 31 printable octets or -");
    if (!bk_word_is_unknown(name))
        out->key = name;
    struct bk_word pid = bk_words_need(w, "the process id is missing");
    if (!bk_word_is_unknown(pid))
        out->count =
            bk_words_number(w, pid, 0, "the process id is a number or -");
}

static void
read_acquire(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    out->attempt =
        bk_words_maybe_number(w, 1, 1, "an attempt is a number from 1");
    out->id = bk_words_maybe_number(w, 0, 0, "a retry token is a number or -");
    out->duration_ms =
        bk_words_maybe_number(w, 1, 0, "ttl_ms is a number from 1 or -");
}

/* "3", "3+", "-", "-+". */
static void
read_attempt(struct bk_words *w, struct bk_request *out)
{
    struct bk_word word = bk_words_next(w);
    if (word.len > 1 && word.at[word.len - 1] == '+') {
        out->will_retry = true;
        word.len--;
    }
    if (!bk_word_is_unknown(word))
        out->attempt = bk_words_number(
            w, word, 1, "an attempt is a number from 1, with or without +");
}

static void
read_report(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    out->id = bk_words_need_number(w, 0, "a permit is a number");
    struct bk_word word = bk_words_need(w, "the generation is missing");
    out->is_current = word.at != NULL && bk_word_is_unknown(word);
    if (word.at != NULL && !out->is_current)
        out->generation =
            bk_words_number(w, word, 0, "a generation is a number or -");
    read_outcome(w, out);
    word = bk_words_next(w);
    out->has_latency = !bk_word_is_unknown(word);
    if (out->has_latency)
        out->latency_us =
            bk_words_number(w, word, 0, "latency_us is a number or -");
    read_attempt(w, out);
    out->duration_ms =
        bk_words_maybe_number(w, 0, 0, "retry_after_ms is a number or -");
    out->text = bk_words_rest(w);
}

static void
read_tally(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    struct bk_word word = bk_words_need(w, "allowed or denied is missing");
    out->is_allowed = bk_is(word.at, word.len, "allowed");
    if (!out->is_allowed && !bk_is(word.at, word.len, "denied"))
        bk_words_refuse(w, BK_ERR_BAD_REQUEST,
                        "a tally is of allowed or denied");
    out->count = bk_words_need_number(w, 0, "a count is a number");
    out->value = bk_words_next(w);
}

static void
read_retry(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    out->attempt =
        bk_words_need_number(w, 1, "failed_attempt is a number from 1");
    read_outcome(w, out);
    out->duration_ms =
        bk_words_maybe_number(w, 0, 0, "retry_after_ms is a number or -");
}

static void
read_release(struct bk_words *w, struct bk_request *out)
{
    out->id = bk_words_need_number(w, 0, "a permit or retry token is a number");
}

static void
read_renew(struct bk_words *w, struct bk_request *out)
{
    out->id = bk_words_need_number(w, 0, "a permit is a number");
    out->duration_ms = bk_words_need_number(w, 1, "ttl_ms is a number from 1");
}

static void
read_maybe_service(struct bk_words *w, struct bk_request *out)
{
    out->is_all = w->is_over;
    if (!out->is_all)
        out->service = bk_words_service(w);
}

/* RESET and AUTO. */
static void
read_service_text(struct bk_words *w, struct bk_request *out)
{
    read_service_or_all(w, out);
    out->text = bk_words_rest(w);
}

/* TRIP, BYPASS and OBSERVE. */
static void
read_override(struct bk_words *w, struct bk_request *out)
{
    static const char why[] = "duration_ms is a number from 1, or - for no end";
    out->service = bk_words_service(w);
    struct bk_word word = bk_words_need(w, why);
    out->has_duration = word.at != NULL && !bk_word_is_unknown(word);
    if (out->has_duration)
        out->duration_ms = bk_words_number(w, word, 1, why);
    out->text = bk_words_rest(w);
}

static void
read_set(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    out->key = bk_words_need(w, "the key is missing");
    out->value = bk_words_next(w);
    if (out->value.at == NULL)
        bk_words_refuse(w, BK_ERR_BAD_REQUEST, "the value is missing");
}

static void
read_unset(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
    out->key = bk_words_need(w, "the key is missing");
}

static void
read_history(struct bk_words *w, struct bk_request *out)
{
    read_service_or_all(w, out);
    out->count =
        bk_words_maybe_number(w, 0, HISTORY_LIMIT, "a limit is a number");
    out->id = bk_words_maybe_number(
        w, 1, 0, "before is the number of a line of history, or -");
}

/* The path comes last: it may hold spaces. */
static void
read_backup(struct bk_words *w, struct bk_request *out)
{
    struct bk_word word = bk_words_need(w, "new or replace is missing");
    out->is_allowed = bk_is(word.at, word.len, "replace");
    if (!out->is_allowed && !bk_is(word.at, word.len, "new"))
        bk_words_refuse(w, BK_ERR_BAD_REQUEST,
                        "a backup is new, or may replace a file that is there");
    out->text = bk_words_rest(w);
    if (out->text.len == 0 || out->text.at[0] != '/')
        bk_words_refuse(w, BK_ERR_BAD_REQUEST,
                        "the path of a backup begins with /");
}

static void
read_service(struct bk_words *w, struct bk_request *out)
{
    out->service = bk_words_service(w);
}

static void
read_nothing(struct bk_words *w, struct bk_request *out)
{
    (void)w;
    (void)out;
}

typedef void read_words(struct bk_words *w, struct bk_request *out);
static read_words *const readers[BK_CMD_COUNT] = {
    [BK_CMD_HELLO] = read_hello,
    [BK_CMD_PING] = read_nothing,
    [BK_CMD_ACQUIRE] = read_acquire,
    [BK_CMD_REPORT] = read_report,
    [BK_CMD_REPORTQ] = read_report,
    [BK_CMD_TALLYQ] = read_tally,
    [BK_CMD_RETRY] = read_retry,
    [BK_CMD_RELEASE] = read_release,
    [BK_CMD_RENEW] = read_renew,
    [BK_CMD_STATUS] = read_maybe_service,
    [BK_CMD_CONFIG] = read_maybe_service,
    [BK_CMD_RESET] = read_service_text,
    [BK_CMD_TRIP] = read_override,
    [BK_CMD_BYPASS] = read_override,
    [BK_CMD_OBSERVE] = read_override,
    [BK_CMD_AUTO] = read_service_text,
    [BK_CMD_SET] = read_set,
    [BK_CMD_UNSET] = read_unset,
    [BK_CMD_RELOAD] = read_nothing,
    [BK_CMD_HISTORY] = read_history,
    [BK_CMD_BACKUP] = read_backup,
    [BK_CMD_FORGET] = read_service,
};

static const char *
fault_of_line(const char *line, size_t len)
{
    if (len == 0)
        return "the line is empty";
    if (len > BK_LINE_MAX)
        return "the line is longer than 1024 octets";
    if (bk_line_has_control(line, len))
        return "the line holds a control character";
    return NULL;
}

static int
find_command(struct bk_word word)
{
    for (int i = 0; i < BK_CMD_COUNT; i++)
        if (bk_command_rows[i].name[0] == word.at[0] &&
            bk_is(word.at, word.len, bk_command_rows[i].name))
            return i;
    return -1;
}

enum bk_error
bk_request_parse(const char *line, size_t len, struct bk_request *out,
                 const char **why)
{
    *out = (struct bk_request){.command = BK_CMD_COUNT};
    struct bk_words w;
    bk_words_init(&w, line, len);
    struct bk_word word = bk_words_next(&w);
    int command = word.at != NULL ? find_command(word) : -1;
    if (command >= 0)
        out->command = (enum bk_command)command;
    /* Only now: a silent command stays silent however its line goes on. */
    *why = fault_of_line(line, len);
    if (*why != NULL)
        return BK_ERR_BAD_REQUEST;
    if (command >= 0) {
        readers[command](&w, out);
    } else {
        bk_words_refuse(&w, BK_ERR_UNKNOWN_COMMAND, "there is no such command");
    }
    *why = w.why;
    return w.error;
}
