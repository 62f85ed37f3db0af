/* SPDX-License-Identifier: Apache-2.0
 *
 * Who reported what counts against a service, and how it failed: the last outcomes,
 * which the daemon keeps, put together by worker and by error. */
#define _GNU_SOURCE
#include "tools/ctl_json.h"
#include "tools/ctl_story.h"
#include <stdio.h>
#include <string.h>

#define SENTENCE_SIZE 640

/* The row of `rows` whose two members are these, or a new one, with count 0. */
static json_t *
row_of(json_t *rows, const char *key, const char *word, const char *other_key,
       json_t *other)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (strcmp(ctl_json_word(row, key, ""), word) == 0 &&
            json_equal(json_object_get(row, other_key), other)) {
            json_decref(other);
            return row;
        }
    }
    row = json_pack("{s:s, s:o, s:i}", key, word, other_key, other, "count", 0);
    json_array_append_new(rows, row);
    return row;
}

static void
count_one(json_t *row)
{
    json_t *count = json_object_get(row, "count");

    json_integer_set(count, json_integer_value(count) + 1);
}

/* Text that a worker gave and that is no UTF-8 has no JSON. */
static json_t *
text_of(const struct bk_evidence *e)
{
    json_t *text = json_string(e->text);

    return text != NULL ? text : json_string("?");
}

static void
take(struct story *s, const struct bk_evidence *e)
{
    const char *outcome = bk_outcome_name((enum bk_outcome)e->outcome);
    json_int_t age_ms = (json_int_t)bk_ms_up(s->view->now_ns - e->at_ns);
    json_t *row = row_of(s->workers, "worker", e->worker, "pid",
                         json_integer((json_int_t)e->pid));
    json_t *oldest;

    if (row != NULL)
        count_one(row);
    row = row_of(s->errors, "outcome", outcome, "text", text_of(e));
    if (row == NULL)
        return;
    count_one(row);
    oldest = json_object_get(row, "age_ms");
    if (oldest == NULL || json_integer_value(oldest) > age_ms)
        json_object_set_new(row, "age_ms", json_integer(age_ms));
}

/* "bot-3 (pid 4711)"; a pid that nobody saw, as of a health probe, is left out. */
static void
put_worker(struct bk_text *text, const char *worker, uint64_t pid)
{
    bool has_name = worker[0] != '\0';

    bk_text_put(text, has_name || pid > 0 ? worker : "an unseen worker");
    if (pid == 0)
        return;
    bk_text_put(text, has_name ? " (pid " : "pid ");
    bk_text_put_u64(text, pid);
    bk_text_put(text, has_name ? ")" : "");
}

static void
tell_workers(struct story *s, size_t total)
{
    char sentence[SENTENCE_SIZE];
    struct bk_text text;
    const json_t *row;
    size_t i;

    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, "the last ");
    if (total > 1) {
        bk_text_put_u64(&text, total);
        bk_text_put_char(&text, ' ');
    }
    bk_text_put(&text, total == 1 ? "outcome" : "outcomes");
    bk_text_put(&text, " against it came from ");
    json_array_foreach(s->workers, i, row)
    {
        bk_text_put(&text, i > 0 ? ", " : "");
        put_worker(&text, ctl_json_word(row, "worker", ""),
                   ctl_json_number(row, "pid"));
        bk_text_put(&text, ": ");
        bk_text_put_u64(&text, ctl_json_number(row, "count"));
    }
    story_add(s->seen, "%s", sentence);
}

static void
tell_error(struct story *s, const json_t *row)
{
    const char *text = ctl_json_word(row, "text", "");
    uint64_t count = ctl_json_number(row, "count");
    char age[STORY_WORD_SIZE];

    story_left(age, (int64_t)ctl_json_number(row, "age_ms") * BK_NS_PER_MS);
    story_add(s->seen, "%s%s%s%s: %llu %s, the last %s ago",
              ctl_json_word(row, "outcome", ""), text[0] != '\0' ? " \"" : "",
              text, text[0] != '\0' ? "\"" : "", (unsigned long long)count,
              count == 1 ? "time" : "times", age);
}

void
story_seen(struct story *s)
{
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    const json_t *row;
    size_t total = 0;
    size_t i;

    bk_segment_read_evidence(&s->view->segment, s->service->slot, evidence);
    for (i = 0; i < BK_EVIDENCE_COUNT; i++) {
        if (evidence[i].outcome == BK_SUCCESS)
            continue;
        take(s, &evidence[i]);
        total++;
    }
    if (total == 0)
        return;
    tell_workers(s, total);
    json_array_foreach(s->errors, i, row) tell_error(s, row);
}

/* A command for a shell, and what it does. */
static void
advise(struct story *s, char *line, size_t size, const char *command,
       const char *options, const char *does)
{
    char shell[SENTENCE_SIZE];
    size_t len = strlen(line);

    snprintf(shell, sizeof shell, "breakerctl %s %s%s", command,
             s->service->record.name, options);
    json_array_append_new(s->commands, json_string(shell));
    snprintf(line + len, size - len, "%s%s (%s)", len > 0 ? "; " : "", shell,
             does);
}

void
story_advice(struct story *s)
{
    const struct bk_breaker *b = &s->service->record.breaker;
    char line[SENTENCE_SIZE] = "";

    if (b->override.is_set)
        advise(s, line, sizeof line, "auto", "", "ends the override");
    else if (b->state == BK_OPEN) {
        advise(s, line, sizeof line, "reset", "", "closes it now");
        if (b->mode != BK_OBSERVE)
            advise(s, line, sizeof line, "bypass", " --for 10m",
                   "lets every call through");
        advise(s, line, sizeof line, "wait", "", "until it is closed");
    } else if (bk_hold_left(&b->hold, s->view->now_ns) > 0)
        advise(s, line, sizeof line, "reset", "", "ends the hold");
    else if (b->state == BK_HALF_OPEN || b->ramp.step > 0) {
        advise(s, line, sizeof line, "reset", "", "closes it at once");
        advise(s, line, sizeof line, "trip", " --for 10m", "denies every call");
    } else
        advise(s, line, sizeof line, "trip", " --for 10m", "denies every call");
    story_add(s->advice, "%s", line);
}
