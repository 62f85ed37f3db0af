/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading replies and status JSON, and comparing them with what was expected. */
#include "tools/scenario_answer.h"
#include <stdlib.h>
#include <string.h>

#define PATH_PART_SIZE 64

void
scenario_answer_free(struct scenario_answer *answer)
{
    json_decref(answer->fields);
    json_decref(answer->document);
    *answer = (struct scenario_answer){0};
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "nothing" : text;
}

/* A verb that acts for the operator shows the mode where it is not auto. */
static bool
shows_mode(enum scenario_verb verb)
{
    return verb == SCENARIO_RESET || verb == SCENARIO_TRIP ||
           verb == SCENARIO_BYPASS || verb == SCENARIO_OBSERVE ||
           verb == SCENARIO_AUTO || verb == SCENARIO_SET ||
           verb == SCENARIO_UNSET;
}

/* These ask for the status and nothing else. */
static bool
only_looks(enum scenario_verb verb)
{
    return verb == SCENARIO_STATE || verb == SCENARIO_PROBE;
}

static bool
is_about_one(const struct scenario_step *step)
{
    return step->service == NULL || strcmp(step->service, "*") != 0;
}

/* The word of an OK: what became of the report or release, else the state. */
static const char *
word_of_ok(const struct scenario_answer *a, const struct scenario_step *step)
{
    if (a->reply.applied == BK_STALE || a->reply.applied == BK_UNKNOWN) {
        return bk_applied_name((enum bk_applied)a->reply.applied);
    }
    if (!a->is_states) {
        return "ok";
    }
    const char *mode = text_of(a->row, "mode");
    if (shows_mode(step->verb) && strcmp(mode, "auto") != 0) {
        return mode;
    }
    return text_of(a->row, "state");
}

static void
name_answer(struct scenario_answer *a, const struct scenario_step *step)
{
    a->reason = NULL;
    switch (a->reply.kind) {
    case BK_REPLY_ALLOW:
        a->word = "allow";
        break;
    case BK_REPLY_GRANT:
        a->word = "grant";
        break;
    case BK_REPLY_DENY:
        a->word = "deny";
        a->reason = bk_deny_name((enum bk_deny)a->reply.deny);
        break;
    case BK_REPLY_ERR:
        a->word =
            a->reply.error == BK_ERR_UNKNOWN_SERVICE ? "unknown" : "error";
        a->reason = bk_error_name((enum bk_error)a->reply.error);
        break;
    case BK_REPLY_OK:
    case BK_REPLY_PONG:
        a->word = word_of_ok(a, step);
        break;
    }
}

/* The fields that the reply itself carries. */
static json_t *
fields_of(const struct bk_reply *r)
{
    json_t *fields = json_object();
    if (r->kind == BK_REPLY_OK && r->text.len > 0 && r->text.at[0] == '{') {
        json_decref(fields);
        return json_loadb(r->text.at, r->text.len, 0, NULL);
    }
    if (r->kind == BK_REPLY_ALLOW || r->kind == BK_REPLY_DENY ||
        r->kind == BK_REPLY_GRANT) {
        json_object_set_new(fields, "service",
                            json_stringn(r->service.at, r->service.len));
    }
    if (r->kind == BK_REPLY_ALLOW) {
        json_object_set_new(fields, "permit", json_integer((json_int_t)r->id));
        json_object_set_new(fields, "generation",
                            json_integer((json_int_t)r->generation));
        json_object_set_new(
            fields, "state",
            json_string(bk_state_name((enum bk_state)r->state)));
    } else if (r->kind == BK_REPLY_DENY) {
        json_object_set_new(fields, "retry_after_ms",
                            json_integer((json_int_t)r->wait_ms));
    } else if (r->kind == BK_REPLY_GRANT) {
        json_object_set_new(fields, "delay_ms",
                            json_integer((json_int_t)r->wait_ms));
    }
    return fields;
}

static void
take_status(struct scenario_answer *a, const char *status)
{
    struct bk_reply reply;
    json_decref(a->document);
    a->document = NULL;
    a->row = NULL;
    if (bk_reply_parse(status, strlen(status), &reply) &&
        reply.kind == BK_REPLY_OK) {
        a->document = json_loadb(reply.text.at, reply.text.len, 0, NULL);
        a->row = json_array_get(json_object_get(a->document, "services"), 0);
    }
}

bool
scenario_answer_read(struct scenario_answer *a,
                     const struct scenario_step *step, const char *reply,
                     const char *status)
{
    scenario_answer_free(a);
    if (!bk_reply_parse(reply, strlen(reply), &a->reply)) {
        return false;
    }
    /* The reply to a STATUS is the status; it has no other fields. */
    a->fields = only_looks(step->verb) ? json_object() : fields_of(&a->reply);
    if (a->reply.kind == BK_REPLY_ERR) {
        bk_copy_text(a->sentence, sizeof(a->sentence), a->reply.text.at,
                     a->reply.text.len);
    }
    if (status != NULL) {
        take_status(a, status);
    }
    a->is_states =
        a->reply.kind == BK_REPLY_OK &&
        (only_looks(step->verb) ||
         (step->verb == SCENARIO_REPORT && a->reply.applied == BK_APPLIED) ||
         (shows_mode(step->verb) && is_about_one(step)));
    name_answer(a, step);
    return true;
}

void
scenario_answer_done(struct scenario_answer *a)
{
    scenario_answer_free(a);
    a->word = "ok";
}

void
scenario_answer_refresh(struct scenario_answer *a,
                        const struct scenario_step *step, const char *status)
{
    static const char *const outdated[] = {"state", "mode", "generation"};
    take_status(a, status);
    for (size_t i = 0; a->is_states && i < 3; i++) {
        json_object_del(a->fields, outdated[i]);
    }
    name_answer(a, step);
}

/* Walks a dotted path; a number is an index into an array. */
static const json_t *
walk(const json_t *at, const char *path)
{
    while (at != NULL && *path != '\0') {
        char part[PATH_PART_SIZE];
        size_t len = strcspn(path, ".");
        if (len >= sizeof(part)) {
            return NULL;
        }
        bk_copy_text(part, sizeof(part), path, len);
        path += len + (path[len] == '.');
        if (json_is_array(at)) {
            uint64_t index = 0;
            bool is_index = bk_read_number(part, len, &index);
            at = is_index ? json_array_get(at, (size_t)index) : NULL;
        } else {
            at = json_object_get(at, part);
        }
    }
    return at;
}

const json_t *
scenario_answer_field(const struct scenario_answer *a, const char *path)
{
    const json_t *field = json_object_get(a->fields, path);
    if (field == NULL) {
        field = walk(a->row, path);
    }
    /* What replies call the service the status calls its name. */
    if (field == NULL && strcmp(path, "service") == 0) {
        field = walk(a->row, "name");
    }
    return field == NULL ? walk(a->document, path) : field;
}

static void
put_answer(struct bk_text *words, const struct scenario_answer *a)
{
    bk_text_put(words, a->word);
    if (a->reason != NULL) {
        bk_text_put_char(words, ' ');
        bk_text_put(words, a->reason);
    }
}

bool
scenario_answer_has_word(const struct scenario_answer *a,
                         const struct scenario_expectation *expects)
{
    if (expects->word == NULL) {
        return strcmp(a->word, "error") != 0 && strcmp(a->word, "unknown") != 0;
    }
    return strcmp(a->word, expects->word) == 0 &&
           (expects->reason == NULL ||
            (a->reason != NULL && strcmp(a->reason, expects->reason) == 0));
}

static void
put_wrong_word(struct bk_text *words, const struct scenario_answer *a,
               const struct scenario_expectation *expects)
{
    bk_text_put(words, "expected ");
    bk_text_put(words, expects->word == NULL ? "no error" : expects->word);
    if (expects->reason != NULL) {
        bk_text_put_char(words, ' ');
        bk_text_put(words, expects->reason);
    }
    bk_text_put(words, ", got ");
    put_answer(words, a);
    if (a->sentence[0] != '\0') {
        bk_text_put(words, " (");
        bk_text_put(words, a->sentence);
        bk_text_put(words, ")");
    }
}

static void
put_wrong_field(struct bk_text *words, const struct scenario_answer *a,
                const struct scenario_condition *c, const json_t *field)
{
    char *text = field == NULL
                     ? NULL
                     : json_dumps(field, JSON_ENCODE_ANY | JSON_COMPACT |
                                             JSON_REAL_PRECISION(9));
    bk_text_put(words, "expected ");
    bk_text_put(words, c->path);
    bk_text_put_char(words, '=');
    bk_text_put(words, c->value);
    bk_text_put(words, ", got ");
    bk_text_put(words, text == NULL ? "no such field" : text);
    bk_text_put(words, " (");
    put_answer(words, a);
    bk_text_put(words, ")");
    free(text);
}

bool
scenario_answer_meets(const struct scenario_answer *a,
                      const struct scenario_expectation *expects,
                      const struct scenario_excuse *excuse,
                      struct bk_text *words)
{
    bk_text_init(words, words->at, words->cap);
    if (!scenario_answer_has_word(a, expects)) {
        put_wrong_word(words, a, expects);
        return false;
    }
    for (size_t i = 0; i < expects->count; i++) {
        const struct scenario_condition *c = &expects->conditions[i];
        const json_t *field = scenario_answer_field(a, c->path);
        if (field == NULL || !scenario_condition_holds(c, field, excuse)) {
            put_wrong_field(words, a, c, field);
            return false;
        }
    }
    return true;
}

bool
scenario_answer_has_reply_fields(const struct scenario_answer *a,
                                 const struct scenario_expectation *expects,
                                 const struct scenario_excuse *excuse)
{
    for (size_t i = 0; i < expects->count; i++) {
        const struct scenario_condition *c = &expects->conditions[i];
        const json_t *field = json_object_get(a->fields, c->path);
        if (field != NULL && !scenario_condition_holds(c, field, excuse)) {
            return false;
        }
    }
    return true;
}
