/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the options of a timed line: xN, as NAME, key=value. */
#include "tools/scenario_verb.h"
#include <string.h>

static bool
is_duration(const char *value, int64_t *out)
{
    return bk_read_duration(value, strlen(value), out);
}

/* N, N+ or - for unknown. */
static bool
read_attempt(struct scenario_step *step, const char *value)
{
    size_t len = strlen(value);
    if (strcmp(value, "-") == 0) {
        step->attempt = 0;
        return true;
    }
    if (len > 1 && value[len - 1] == '+') {
        step->will_retry = true;
        len--;
    }
    return bk_read_number(value, len, &step->attempt) && step->attempt > 0;
}

static bool
read_latency(struct scenario_step *step, const char *value)
{
    if (strcmp(value, "-") == 0) {
        step->latency_ns = -1;
        return true;
    }
    return is_duration(value, &step->latency_ns);
}

static bool
read_generation(struct scenario_step *step, const char *value)
{
    uint64_t number = 0;
    step->generation = value;
    return strcmp(value, "-") == 0 ||
           bk_read_number(value, strlen(value), &number);
}

static bool
read_value(struct scenario_reader *r, struct scenario_step *step,
           enum scenario_option option, const char *value)
{
    switch (option) {
    case ATTEMPT:
        return read_attempt(step, value) &&
               (!step->will_retry || step->verb == SCENARIO_REPORT);
    case TOKEN:
        return scenario_read_id(r, value, &step->token);
    case PERMIT:
        return scenario_read_id(r, value, &step->permit);
    case TTL:
        return is_duration(value, &step->ttl_ns);
    case LATENCY:
        return read_latency(step, value);
    case RETRY_AFTER:
        return is_duration(value, &step->retry_after_ns);
    case GENERATION:
        return read_generation(step, value);
    case FOR:
        return is_duration(value, &step->for_ns);
    case REASON:
        step->reason = value;
        return value[0] != '\0';
    case TIMES:
    case AS:
        break;
    }
    return false;
}

/* key=value, for the verbs that take the key. */
static bool
read_pair(struct scenario_reader *r, struct scenario_step *step,
          const struct scenario_verb_row *verb, char *word)
{
    static const struct {
        const char *word;
        enum scenario_option option;
    } rows[] = {{"attempt", ATTEMPT},
                {"token", TOKEN},
                {"ttl", TTL},
                {"latency", LATENCY},
                {"retry_after", RETRY_AFTER},
                {"permit", PERMIT},
                {"generation", GENERATION},
                {"for", FOR},
                {"reason", REASON}};
    char *equals = strchr(word, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - word);
    for (size_t i = 0; len > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!bk_is(word, len, rows[i].word)) {
            continue;
        }
        if ((verb->options & (unsigned)rows[i].option) == 0) {
            return scenario_refuse(r, "%s takes no %s", verb->word,
                                   rows[i].word);
        }
        r->error->len = 0;
        if (read_value(r, step, rows[i].option, equals + 1)) {
            return true;
        }
        /* Some values are refused with more precise words. */
        return r->error->len == 0 &&
               scenario_refuse(r, "%s cannot be read", word);
    }
    return scenario_refuse(r, "%s does not understand %s", verb->word, word);
}

static bool
read_times(struct scenario_reader *r, struct scenario_step *step,
           const char *word)
{
    if (!bk_read_number(word + 1, strlen(word + 1), &step->times) ||
        step->times == 0 || step->times > SCENARIO_TIMES_MAX) {
        return scenario_refuse(r, "%s is not x1 to x%d", word,
                               SCENARIO_TIMES_MAX);
    }
    return true;
}

static bool
read_as(struct scenario_reader *r, struct scenario_step *step, size_t *next)
{
    if (*next == r->arrow) {
        return scenario_refuse(r, "as what?");
    }
    step->as = r->words[(*next)++];
    size_t len = strlen(step->as);
    uint64_t number = 0;
    if (!bk_name_is_valid(step->as, len) ||
        bk_read_number(step->as, len, &number)) {
        return scenario_refuse(r, "%s cannot name a permit or token", step->as);
    }
    return scenario_use(r, step->as, true);
}

bool
scenario_read_options(struct scenario_reader *r, struct scenario_step *step,
                      const struct scenario_verb_row *verb, size_t next)
{
    while (next < r->arrow) {
        char *word = r->words[next++];
        bool is_times = word[0] == 'x' && word[1] >= '0' && word[1] <= '9';
        bool is_ok = false;
        if (is_times && (verb->options & TIMES) != 0) {
            is_ok = read_times(r, step, word);
        } else if (strcmp(word, "as") == 0 && (verb->options & AS) != 0) {
            is_ok = read_as(r, step, &next);
        } else {
            is_ok = read_pair(r, step, verb, word);
        }
        if (!is_ok) {
            return false;
        }
    }
    return true;
}
