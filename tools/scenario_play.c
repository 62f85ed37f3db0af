/* SPDX-License-Identifier: Apache-2.0
 *
 * The player. On a real stage it grants what a real clock needs: what is to be
 * allowed or reached may come a little late, and what is to be denied is not
 * asked right before it changes. */
#define _GNU_SOURCE
#include "tools/scenario_play.h"
#include "tools/scenario_answer.h"
#include "tools/scenario_late.h"
#include "tools/scenario_lines.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINES_SIZE ((size_t)65536)
#define ANSWERS_SIZE ((size_t)131072)
/* A message has at most BK_LINES_MAX lines; this leaves room for the status. */
#define BATCH_MAX 256
/* Between two asks of the same line. */
#define PAUSE_NS (1 * BK_NS_PER_MS)

struct play {
    const struct scenario *s;
    struct scenario_stage *stage;
    struct scenario_result *result;
    struct scenario_names names;
    struct scenario_answer answer;
    struct scenario_late late;
    char *lines;   /* LINES_SIZE */
    char *answers; /* ANSWERS_SIZE */
};

static bool
fail(struct play *p, const char *words)
{
    bk_copy_text(p->result->words, sizeof(p->result->words), words,
                 strlen(words));
    return false;
}

static bool
send_lines(struct play *p, const struct scenario_step *step,
           const struct bk_text *lines)
{
    struct bk_text answers;
    if (lines->is_cut) {
        return fail(p, "the line is too long to send");
    }
    bk_text_init(&answers, p->answers, ANSWERS_SIZE);
    return p->stage->ask(p->stage, step->actor, p->lines, &answers) ||
           fail(p, p->stage->words);
}

static char *
last_line(char *text)
{
    char *newline = strrchr(text, '\n');
    return newline == NULL ? text : newline + 1;
}

/* The first error among the answers, else the last answer. */
static char *
telling_line(char *answers)
{
    for (char *at = answers; at != NULL;) {
        if (strncmp(at, "ERR ", 4) == 0) {
            at[strcspn(at, "\n")] = '\0';
            return at;
        }
        at = strchr(at, '\n');
        at = at == NULL ? NULL : at + 1;
    }
    return last_line(answers);
}

/* Takes the last line off the answers. */
static char *
cut_last_line(char *answers)
{
    char *line = last_line(answers);
    if (line > answers) {
        line[-1] = '\0';
    }
    return line;
}

static bool
ask_status(struct play *p, const struct scenario_step *step,
           const char *service)
{
    struct bk_text lines;
    bk_text_init(&lines, p->lines, LINES_SIZE);
    bk_text_put(&lines, "STATUS ");
    bk_text_put(&lines, service);
    if (!send_lines(p, step, &lines)) {
        return false;
    }
    scenario_answer_refresh(&p->answer, step, p->answers);
    return true;
}

/* Sends the step's line `times` times, and behind the last the question for the
 * status, so that both are of one instant. */
static bool
send_step(struct play *p, const struct scenario_step *step, uint64_t times,
          const char *subject)
{
    char words[160];
    struct bk_text why;
    bk_text_init(&why, words, sizeof(words));
    while (times > 0) {
        struct bk_text lines;
        bk_text_init(&lines, p->lines, LINES_SIZE);
        for (int i = 0; i < BATCH_MAX && times > 0; i++, times--) {
            if (!scenario_write_lines(step, &p->names, &lines, &why)) {
                return fail(p, words);
            }
            bk_text_put_char(&lines, '\n');
        }
        if (times == 0 && subject != NULL) {
            bk_text_put(&lines, "STATUS ");
            bk_text_put(&lines, subject);
        }
        if (!send_lines(p, step, &lines)) {
            return false;
        }
    }
    return true;
}

/* The member of a route whose status tells most: the one chosen, else the
 * first. */
static void
choose_member(const struct bk_route *route, const struct bk_reply *reply,
              char name[BK_NAME_SIZE])
{
    if (reply->kind == BK_REPLY_ALLOW) {
        bk_copy_text(name, BK_NAME_SIZE, reply->service.at, reply->service.len);
    } else {
        bk_copy_text(name, BK_NAME_SIZE, route->members[0],
                     strlen(route->members[0]));
    }
}

static bool
ask_step(struct play *p, const struct scenario_step *step, uint64_t times)
{
    const char *subject = scenario_subject(p->s, step, &p->names);
    if (!send_step(p, step, times, subject)) {
        return false;
    }
    char *status = subject == NULL ? NULL : cut_last_line(p->answers);
    char *reply =
        step->pair_count > 0 ? telling_line(p->answers) : last_line(p->answers);
    if (!scenario_answer_read(&p->answer, step, reply, status)) {
        return fail(p, "the answer is none of the protocol's");
    }
    scenario_names_bind(&p->names, step, &p->answer.reply);
    const struct bk_route *route =
        step->service == NULL ? NULL : scenario_route(p->s, step->service);
    if (route == NULL) {
        return true;
    }
    char name[BK_NAME_SIZE];
    choose_member(route, &p->answer.reply, name);
    return ask_status(p, step, name);
}

static bool
is_word(const char *word, const char *other)
{
    return word != NULL && strcmp(word, other) == 0;
}

/* What was allowed too early is given back before the same is asked again, so
 * that it uses up no probe and no permit. */
static bool
give_back(struct play *p, const struct scenario_step *step)
{
    struct bk_text lines;
    if (p->answer.reply.kind != BK_REPLY_ALLOW || p->answer.reply.id == 0) {
        return true;
    }
    bk_text_init(&lines, p->lines, LINES_SIZE);
    bk_text_put(&lines, "RELEASE ");
    bk_text_put_u64(&lines, p->answer.reply.id);
    return send_lines(p, step, &lines);
}

/* Whether asking the same anew may bring what is expected: another word, or
 * another field of the reply. An allowed call has spent its token: asked again
 * it would be another call. */
static bool
may_ask_anew(const struct play *p, const struct scenario_step *step,
             const struct scenario_excuse *excuse)
{
    const char *word = step->expects.word;
    bool is_denied = is_word(p->answer.word, "deny");
    if (step->verb != SCENARIO_ACQUIRE ||
        (!is_denied && !is_word(p->answer.word, "allow"))) {
        return false;
    }
    if (!scenario_answer_has_word(&p->answer, &step->expects)) {
        return is_denied && (is_word(word, "allow") || is_word(word, "deny"));
    }
    return !is_word(word, "deny") && (is_denied || !step->token.is_given) &&
           !scenario_answer_has_reply_fields(&p->answer, &step->expects,
                                             excuse);
}

/* Asks again what a little time may still bring: a call by asking the same, a
 * state or a field of the status by looking again. False when nothing can come
 * any more, or asking failed (then p->result has words). */
static bool
ask_again(struct play *p, const struct scenario_step *step,
          const struct scenario_excuse *excuse)
{
    if (may_ask_anew(p, step, excuse)) {
        return give_back(p, step) && ask_step(p, step, 1);
    }
    const char *subject = scenario_subject(p->s, step, &p->names);
    if (subject == NULL ||
        (!scenario_answer_has_word(&p->answer, &step->expects) &&
         !p->answer.is_states)) {
        return false;
    }
    return ask_status(p, step, subject);
}

/* Counts of calls that were decided from shared memory. */
static bool
expects_calls(const struct scenario_step *step)
{
    static const char *const counts[] = {"counters.allowed", "counters.denied",
                                         "counters.would_deny"};
    for (size_t i = 0; i < step->expects.count; i++) {
        const char *path = step->expects.conditions[i].path;
        for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
            if (strcmp(path, counts[k]) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The status once more, when all has been told that it should count. */
static bool
ask_for_calls(struct play *p, const struct scenario_step *step)
{
    const char *subject = scenario_subject(p->s, step, &p->names);
    if (p->stage->ways == NULL || subject == NULL || !expects_calls(step)) {
        return true;
    }
    if (!p->stage->tell_all(p->stage)) {
        return fail(p, p->stage->words);
    }
    return ask_status(p, step, subject);
}

/* Compares the answer, on a real stage until it is too late. */
static bool
judge(struct play *p, const struct scenario_step *step)
{
    struct scenario_stage *stage = p->stage;
    struct bk_text words;
    bk_text_init(&words, p->result->words, sizeof(p->result->words));
    for (;;) {
        struct scenario_excuse excuse = {0};
        if (stage->is_real) {
            excuse = scenario_late_excuse(&p->late, step, &p->answer);
        }
        if (scenario_answer_meets(&p->answer, &step->expects, &excuse,
                                  &words)) {
            return true;
        }
        if (!stage->is_real || scenario_late_is_over(&p->late)) {
            return false;
        }
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        nanosleep(&pause, NULL);
        scenario_late_ask(&p->late, stage->late_ns(stage, step->at_ns));
        if (!ask_again(p, step, &excuse)) {
            return false;
        }
        scenario_late_answer(&p->late, stage->late_ns(stage, step->at_ns));
    }
}

static bool
act(struct play *p, const struct scenario_step *step)
{
    bool is_done = false;
    switch ((int)step->verb) {
    case SCENARIO_DIE:
        is_done = p->stage->die(p->stage, step->actor);
        break;
    case SCENARIO_KILL:
    case SCENARIO_STOP:
    case SCENARIO_START:
    case SCENARIO_LOSE_SEGMENT:
        is_done = p->stage->daemon(p->stage, step->verb);
        break;
    case SCENARIO_PROBE:
        for (uint64_t i = 0; i < step->times; i++) {
            if (!p->stage->probe(p->stage, step->service, step->outcome)) {
                return fail(p, p->stage->words);
            }
        }
        return ask_step(p, step, 1);
    default:
        return ask_step(p, step, step->times);
    }
    scenario_answer_done(&p->answer);
    return is_done || fail(p, p->stage->words);
}

/* One line; `change_ns` is when something changes by itself after it. */
static bool
play_step(struct play *p, const struct scenario_step *step, int64_t change_ns)
{
    struct scenario_stage *stage = p->stage;
    if (!stage->wait(stage, step->at_ns)) {
        return fail(p, stage->words);
    }
    bool is_denial = is_word(step->expects.word, "deny");
    int64_t edge_ns = bk_after(step->at_ns, SCENARIO_LATE_NS);
    if (is_denial && change_ns <= edge_ns) {
        p->result->skipped++;
        return true;
    }
    scenario_late_ask(&p->late, stage->late_ns(stage, step->at_ns));
    if (!act(p, step) || !ask_for_calls(p, step)) {
        return false;
    }
    scenario_late_answer(&p->late, stage->late_ns(stage, step->at_ns));
    if (judge(p, step)) {
        return true;
    }
    if (is_denial && change_ns <= bk_after(edge_ns, p->late.answered_ns)) {
        p->result->skipped++;
        return true;
    }
    return false;
}

static bool
begin(struct play *p, const struct scenario *s, struct scenario_stage *stage,
      struct scenario_result *result)
{
    *p = (struct play){.s = s, .stage = stage, .result = result};
    p->lines = malloc(LINES_SIZE);
    p->answers = malloc(ANSWERS_SIZE);
    return (p->lines != NULL && p->answers != NULL &&
            scenario_names_init(&p->names, s)) ||
           fail(p, "out of memory");
}

static void
end(struct play *p)
{
    scenario_answer_free(&p->answer);
    scenario_names_free(&p->names);
    free(p->answers);
    free(p->lines);
}

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* For each step the instant of the next change after it, as the bare machine has
 * it in virtual time. What cannot be known stays BK_NEVER. */
static void
foresee(const struct scenario *s, int64_t *change_ns)
{
    char words[SCENARIO_WORDS_SIZE];
    struct bk_text error;
    struct scenario_result ignored = {0};
    struct play p;
    bk_text_init(&error, words, sizeof(words));
    struct scenario_stage *core = scenario_core_open(s, &error);
    if (core == NULL) {
        return;
    }
    if (begin(&p, s, core, &ignored)) {
        for (size_t i = 0; i < s->step_count; i++) {
            const struct scenario_step *step = &s->steps[i];
            if (!core->wait(core, step->at_ns)) {
                break;
            }
            change_ns[i] = core->next_change_ns(core);
            if (act(&p, step) && p.answer.reply.kind == BK_REPLY_DENY &&
                p.answer.reply.wait_ms > 0) {
                int64_t left_ns =
                    (int64_t)p.answer.reply.wait_ms * BK_NS_PER_MS;
                change_ns[i] =
                    earlier(change_ns[i], bk_after(step->at_ns, left_ns));
            }
        }
    }
    end(&p);
    core->close(core);
}

void
scenario_play(const struct scenario *s, struct scenario_stage *stage,
              struct scenario_result *result)
{
    struct play p;
    *result = (struct scenario_result){0};
    int64_t *change_ns = calloc(s->step_count + 1, sizeof(*change_ns));
    bool is_ok = begin(&p, s, stage, result);
    if (change_ns == NULL) {
        is_ok = fail(&p, "out of memory");
    }
    for (size_t i = 0; is_ok && i < s->step_count; i++) {
        change_ns[i] = BK_NEVER;
    }
    if (is_ok && stage->is_real) {
        foresee(s, change_ns);
    }
    for (size_t i = 0; is_ok && i < s->step_count; i++) {
        result->line = s->steps[i].line;
        is_ok = play_step(&p, &s->steps[i], change_ns[i]);
        scenario_late_next(&p.late, &s->steps[i]);
    }
    if (is_ok && !stage->finish(stage)) {
        is_ok = fail(&p, stage->words);
    }
    result->is_passed = is_ok;
    free(change_ns);
    end(&p);
}
