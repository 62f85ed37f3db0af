/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a timed line: time, actor, verb, target. */
#include "tools/scenario_verb.h"
#include <stdlib.h>
#include <string.h>

static const struct scenario_verb_row verbs[] = {
    {"acquire", SCENARIO_ACQUIRE, A_SERVICE, TIMES | AS | ATTEMPT | TOKEN | TTL,
     false},
    {"report", SCENARIO_REPORT, SERVICE_OR_ID,
     TIMES | ATTEMPT | LATENCY | RETRY_AFTER | PERMIT | GENERATION, false},
    {"retry", SCENARIO_RETRY, A_SERVICE_OUTCOME,
     TIMES | AS | ATTEMPT | RETRY_AFTER, false},
    {"release", SCENARIO_RELEASE, AN_ID, TIMES, false},
    {"renew", SCENARIO_RENEW, AN_ID, TIMES | TTL, false},
    {"die", SCENARIO_DIE, NOTHING, 0, false},
    {"state", SCENARIO_STATE, A_SERVICE, 0, false},
    {"reset", SCENARIO_RESET, A_SERVICE_OR_ALL, REASON, false},
    {"trip", SCENARIO_TRIP, A_SERVICE, FOR | REASON, false},
    {"bypass", SCENARIO_BYPASS, A_SERVICE, FOR | REASON, false},
    {"observe", SCENARIO_OBSERVE, A_SERVICE, FOR | REASON, false},
    {"auto", SCENARIO_AUTO, A_SERVICE_OR_ALL, REASON, false},
    {"set", SCENARIO_SET, A_SERVICE_AND_PAIRS, 0, false},
    {"unset", SCENARIO_UNSET, A_SERVICE_AND_KEYS, 0, false},
    {"forget", SCENARIO_FORGET, A_SERVICE, 0, false},
    {"kill", SCENARIO_KILL, NOTHING, 0, true},
    {"stop", SCENARIO_STOP, NOTHING, 0, true},
    {"start", SCENARIO_START, NOTHING, 0, true},
    {"lose-segment", SCENARIO_LOSE_SEGMENT, NOTHING, 0, true},
    {"probe", SCENARIO_PROBE, A_SERVICE_OUTCOME, TIMES, true},
};

static const struct scenario_verb_row *
find_verb(struct scenario_reader *r, const char *word)
{
    const char *nearest = NULL;
    unsigned best = 4;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].word, word) == 0) {
            return &verbs[i];
        }
        unsigned far = bk_edit_distance(word, strlen(word), verbs[i].word);
        if (far < best) {
            best = far;
            nearest = verbs[i].word;
        }
    }
    if (nearest != NULL) {
        scenario_refuse(r, "%s is no verb; did you mean %s?", word, nearest);
    } else {
        scenario_refuse(r, "%s is no verb", word);
    }
    return NULL;
}

static bool
read_time(struct scenario_reader *r, struct scenario_step *step)
{
    const struct scenario *s = r->scenario;
    const char *word = r->words[0];
    bool is_relative = word[0] == '+';
    /* The step being read is the last one already. */
    int64_t before = s->step_count > 1 ? s->steps[s->step_count - 2].at_ns : 0;
    int64_t at = 0;
    word += is_relative ? 1 : 0;
    if (!bk_read_duration(word, strlen(word), &at)) {
        return scenario_refuse(
            r, "%s is not a time (5ms, +20ms, 1.5s; units us ms s m h)",
            r->words[0]);
    }
    step->at_ns = is_relative ? bk_after(before, at) : at;
    if (step->at_ns < before) {
        return scenario_refuse(r, "%s is before the time of the line above",
                               r->words[0]);
    }
    return true;
}

static bool
check_actor(struct scenario_reader *r, struct scenario_step *step,
            const struct scenario_verb_row *verb)
{
    bool is_daemon = strcmp(step->actor, "daemon") == 0;
    if (verb->is_daemons != is_daemon) {
        return scenario_refuse(
            r, is_daemon ? "the daemon cannot %s" : "only the daemon can %s",
            verb->word);
    }
    bool is_worker =
        strcmp(step->actor, "op") != 0 && strcmp(step->actor, "-") != 0;
    if (verb->verb == SCENARIO_DIE && !is_worker) {
        return scenario_refuse(r, "only a worker can die");
    }
    size_t len = strlen(step->actor);
    bool is_name =
        strcmp(step->actor, "-") == 0 ||
        (len < SCENARIO_ACTOR_SIZE && bk_name_is_valid(step->actor, len));
    return is_name || scenario_refuse(r,
                                      "%s is not a worker's name (1 to 31 "
                                      "letters, digits or . _ : / @ -)",
                                      step->actor);
}

bool
scenario_read_id(struct scenario_reader *r, const char *word,
                 struct scenario_id *out)
{
    out->is_given = true;
    if (bk_read_number(word, strlen(word), &out->number)) {
        return true;
    }
    out->name = word;
    return scenario_is_name(r->scenario, word) ||
           scenario_refuse(r, "no line above says `as %s`", word);
}

static bool
read_service(struct scenario_reader *r, struct scenario_step *step,
             const char *word, bool may_be_all)
{
    step->service = word;
    if (may_be_all && strcmp(word, "*") == 0) {
        return true;
    }
    if (!bk_name_is_valid(word, strlen(word))) {
        return scenario_refuse(r, "%s is not a service's name", word);
    }
    return scenario_use(r, word, false);
}

/* Reads what follows the verb; *next is the first word behind it. */
static bool
read_target(struct scenario_reader *r, struct scenario_step *step,
            const struct scenario_verb_row *verb, size_t *next)
{
    if (verb->target == NOTHING) {
        return true;
    }
    if (r->arrow <= *next) {
        return scenario_refuse(r, "%s what?", verb->word);
    }
    const char *word = r->words[(*next)++];
    bool is_id = verb->target == AN_ID || (verb->target == SERVICE_OR_ID &&
                                           scenario_is_name(r->scenario, word));
    if (is_id
            ? !scenario_read_id(r, word, &step->what)
            : !read_service(r, step, word, verb->target == A_SERVICE_OR_ALL)) {
        return false;
    }
    if (verb->target != SERVICE_OR_ID && verb->target != A_SERVICE_OUTCOME) {
        return true;
    }
    const char *outcome = *next < r->arrow ? r->words[*next] : "";
    int value = bk_outcome_parse(outcome, strlen(outcome));
    if (value < 0) {
        return scenario_refuse(
            r,
            "an outcome is one of success failure timeout rate_limited "
            "rejected critical cancelled, not \"%s\"",
            outcome);
    }
    step->outcome = (enum bk_outcome)value;
    *next += 1;
    return true;
}

/* The rest of the line belongs to set or unset as it stands: what is wrong with
 * a key or a value is for the other side to say. */
static bool
keep_pairs(struct scenario_reader *r, struct scenario_step *step,
           const struct scenario_verb_row *verb, size_t next)
{
    if (next >= r->arrow) {
        return scenario_refuse(r, "%s which key?", verb->word);
    }
    step->pair_count = r->arrow - next;
    step->pairs = calloc(step->pair_count, sizeof(*step->pairs));
    if (step->pairs == NULL) {
        return scenario_refuse(r, "out of memory");
    }
    for (size_t i = 0; i < step->pair_count; i++) {
        step->pairs[i] = r->words[next + i];
        bool has_value = strchr(step->pairs[i], '=') != NULL;
        if (has_value != (verb->target == A_SERVICE_AND_PAIRS)) {
            return scenario_refuse(r, "%s SERVICE %s...", verb->word,
                                   has_value ? "key" : "key=value");
        }
    }
    return true;
}

bool
scenario_read_step(struct scenario_reader *r)
{
    if (r->arrow < 3) {
        return scenario_refuse(r, "a line is: time actor verb words");
    }
    struct scenario *s = r->scenario;
    struct scenario_step *step =
        scenario_append(r, (void **)&s->steps, &s->step_count, sizeof(*step));
    if (step == NULL || !read_time(r, step)) {
        return false;
    }
    const struct scenario_verb_row *verb = find_verb(r, r->words[2]);
    if (verb == NULL) {
        return false;
    }
    step->line = r->line;
    step->actor = r->words[1];
    step->verb = verb->verb;
    step->verb_word = verb->word;
    step->times = 1;
    step->attempt = 1;
    step->latency_ns = BK_NS_PER_MS;
    step->ttl_ns = -1;
    step->for_ns = -1;
    size_t next = 3;
    if (!check_actor(r, step, verb) || !read_target(r, step, verb, &next)) {
        return false;
    }
    if (verb->target == A_SERVICE_AND_PAIRS ||
        verb->target == A_SERVICE_AND_KEYS) {
        return keep_pairs(r, step, verb, next);
    }
    if (!scenario_read_options(r, step, verb, next)) {
        return false;
    }
    return step->verb != SCENARIO_RENEW || step->ttl_ns >= 0 ||
           scenario_refuse(r, "renew needs ttl=D");
}
