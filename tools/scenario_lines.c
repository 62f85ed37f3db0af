/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a step as protocol lines, and keeping what names stand for. */
#include "tools/scenario_lines.h"
#include <stdlib.h>
#include <string.h>

bool
scenario_names_init(struct scenario_names *names, const struct scenario *s)
{
    *names = (struct scenario_names){0};
    names->all = calloc(s->use_count + 1, sizeof(*names->all));
    if (names->all == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->use_count; i++) {
        if (s->uses[i].is_name) {
            names->all[names->count++].name = s->uses[i].word;
        }
    }
    return true;
}

void
scenario_names_free(struct scenario_names *names)
{
    free(names->all);
    *names = (struct scenario_names){0};
}

struct scenario_named *
scenario_names_find(const struct scenario_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->all[i].name, name) == 0) {
            return &names->all[i];
        }
    }
    return NULL;
}

void
scenario_names_bind(struct scenario_names *names,
                    const struct scenario_step *step,
                    const struct bk_reply *reply)
{
    struct scenario_named *named =
        step->as == NULL ? NULL : scenario_names_find(names, step->as);
    if (named == NULL) {
        return;
    }
    named->is_held =
        reply->kind == BK_REPLY_ALLOW || reply->kind == BK_REPLY_GRANT;
    if (named->is_held) {
        named->id = reply->id;
        named->generation = reply->generation;
        bk_copy_text(named->service_text, sizeof(named->service_text),
                     reply->service.at, reply->service.len);
        named->service = named->service_text;
    }
}

/* What an id of the line stands for; false when its name holds nothing. */
static bool
resolve(const struct scenario_id *id, const struct scenario_names *names,
        struct scenario_named *out, struct bk_text *why)
{
    *out = (struct scenario_named){.id = id->number, .is_held = true};
    if (id->name == NULL) {
        return true;
    }
    const struct scenario_named *named = scenario_names_find(names, id->name);
    if (named == NULL || !named->is_held) {
        bk_text_put(why, id->name);
        bk_text_put(why, " holds nothing: what it names was denied");
        return false;
    }
    *out = *named;
    return true;
}

static void
put_word(struct bk_text *out, const char *word)
{
    bk_text_put_char(out, ' ');
    bk_text_put(out, word);
}

static void
put_number(struct bk_text *out, uint64_t number)
{
    bk_text_put_char(out, ' ');
    bk_text_put_u64(out, number);
}

static void
put_number_or_dash(struct bk_text *out, bool is_known, uint64_t number)
{
    if (is_known) {
        put_number(out, number);
    } else {
        put_word(out, "-");
    }
}

static void
write_acquire(const struct scenario_step *step, uint64_t token,
              struct bk_text *out)
{
    bk_text_put(out, "ACQUIRE");
    put_word(out, step->service);
    put_number_or_dash(out, step->attempt > 0, step->attempt);
    put_number_or_dash(out, step->token.is_given, token);
    if (step->ttl_ns >= 0) {
        put_number(out, bk_ms_up(step->ttl_ns));
    }
}

/* A report of a NAME tells its permit and generation; of a SERVICE permit 0 and
 * the current generation; permit= and generation= say otherwise. */
static void
write_report(const struct scenario_step *step,
             const struct scenario_named *what, struct bk_text *out)
{
    bk_text_put(out, "REPORT");
    put_word(out, step->service != NULL ? step->service : what->service);
    put_number(out, what->id);
    if (step->generation != NULL) {
        put_word(out, step->generation);
    } else {
        put_number_or_dash(out, what->service != NULL, what->generation);
    }
    put_word(out, bk_outcome_name(step->outcome));
    put_number_or_dash(out, step->latency_ns >= 0,
                       (uint64_t)(step->latency_ns / BK_NS_PER_US));
    put_number_or_dash(out, step->attempt > 0, step->attempt);
    if (step->will_retry) {
        bk_text_put_char(out, '+');
    }
    if (step->retry_after_ns > 0) {
        put_number(out, bk_ms_up(step->retry_after_ns));
    }
}

static void
write_retry(const struct scenario_step *step, struct bk_text *out)
{
    bk_text_put(out, "RETRY");
    put_word(out, step->service);
    put_number(out, step->attempt);
    put_word(out, bk_outcome_name(step->outcome));
    if (step->retry_after_ns > 0) {
        put_number(out, bk_ms_up(step->retry_after_ns));
    }
}

static void
write_order(const struct scenario_step *step, const char *command,
            bool has_duration, struct bk_text *out)
{
    bk_text_put(out, command);
    put_word(out, step->service);
    if (has_duration) {
        put_number_or_dash(out, step->for_ns >= 0, bk_ms_up(step->for_ns));
    }
    if (step->reason != NULL) {
        put_word(out, step->reason);
    }
}

/* SET service key value, or UNSET service key: one line a pair. */
static void
write_pairs(const struct scenario_step *step, const char *command,
            struct bk_text *out)
{
    for (size_t i = 0; i < step->pair_count; i++) {
        const char *pair = step->pairs[i];
        size_t key_len = strcspn(pair, "=");
        if (i > 0) {
            bk_text_put_char(out, '\n');
        }
        bk_text_put(out, command);
        put_word(out, step->service);
        bk_text_put_char(out, ' ');
        bk_text_put_n(out, pair, key_len);
        if (pair[key_len] == '=') {
            put_word(out, pair + key_len + 1);
        }
    }
}

static void
write_of_id(const char *command, uint64_t id, struct bk_text *out)
{
    bk_text_put(out, command);
    put_number(out, id);
}

static void
write_line(const struct scenario_step *step, const struct scenario_named *what,
           uint64_t token, struct bk_text *out)
{
    switch (step->verb) {
    case SCENARIO_ACQUIRE:
        write_acquire(step, token, out);
        break;
    case SCENARIO_REPORT:
        write_report(step, what, out);
        break;
    case SCENARIO_RETRY:
        write_retry(step, out);
        break;
    case SCENARIO_RELEASE:
        write_of_id("RELEASE", what->id, out);
        break;
    case SCENARIO_RENEW:
        write_of_id("RENEW", what->id, out);
        put_number(out, bk_ms_up(step->ttl_ns));
        break;
    case SCENARIO_RESET:
        write_order(step, "RESET", false, out);
        break;
    case SCENARIO_TRIP:
        write_order(step, "TRIP", true, out);
        break;
    case SCENARIO_BYPASS:
        write_order(step, "BYPASS", true, out);
        break;
    case SCENARIO_OBSERVE:
        write_order(step, "OBSERVE", true, out);
        break;
    case SCENARIO_AUTO:
        write_order(step, "AUTO", false, out);
        break;
    case SCENARIO_SET:
        write_pairs(step, "SET", out);
        break;
    case SCENARIO_UNSET:
        write_pairs(step, "UNSET", out);
        break;
    case SCENARIO_FORGET:
        write_order(step, "FORGET", false, out);
        break;
    case SCENARIO_STATE:
    case SCENARIO_PROBE: /* made by the stage; the line looks what came of it */
        write_order(step, "STATUS", false, out);
        break;
    case SCENARIO_DIE:
    case SCENARIO_KILL:
    case SCENARIO_STOP:
    case SCENARIO_START:
    case SCENARIO_LOSE_SEGMENT:
        break;
    }
}

bool
scenario_write_lines(const struct scenario_step *step,
                     const struct scenario_names *names, struct bk_text *out,
                     struct bk_text *why)
{
    struct scenario_named what = {0};
    struct scenario_named token = {0};
    const struct scenario_id *id =
        step->permit.is_given ? &step->permit : &step->what;
    if ((id->is_given && !resolve(id, names, &what, why)) ||
        (step->token.is_given && !resolve(&step->token, names, &token, why))) {
        return false;
    }
    write_line(step, &what, token.id, out);
    return true;
}

const char *
scenario_subject(const struct scenario *s, const struct scenario_step *step,
                 const struct scenario_names *names)
{
    if (step->service == NULL) {
        const struct scenario_named *named =
            step->what.name == NULL
                ? NULL
                : scenario_names_find(names, step->what.name);
        return named == NULL ? NULL : named->service;
    }
    bool is_one = strcmp(step->service, "*") != 0 &&
                  scenario_route(s, step->service) == NULL;
    return is_one ? step->service : NULL;
}
