/* SPDX-License-Identifier: Apache-2.0
 *
 * completion: what may follow on a command line, from the tables of subcommands
 * and options and from the services in use. The shells' scripts only show it. */
#include "tools/ctl_commands.h"
#include "tools/ctl_options.h"
#include "tools/ctl_out.h"
#include "tools/ctl_view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_SIZE 256

extern const char completion_bash[];
extern const char completion_zsh[];
extern const char completion_fish[];

/* A command line, its last word still being typed. */
struct typed {
    struct ctl c; /* what the words before say; its words are operands */
    const struct ctl_command *command;
    const struct ctl_option_row *awaiting; /* the last option wants a value */
    bool is_unknown;                       /* there is no such subcommand */
    bool is_ended;                         /* "--" was there */
    const char *current;
};

/* One candidate a line, what is to be said of it behind a tab. */
static void
offer(const struct typed *t, const char *lead, const char *word,
      const char *tail, const char *told)
{
    size_t leads = strlen(lead);
    size_t len = strlen(t->current);

    if (strncmp(t->current, lead, len < leads ? len : leads) != 0)
        return;
    if (len > leads && strncmp(t->current + leads, word, len - leads) != 0)
        return;
    printf("%s%s%s\t%.*s\n", lead, word, tail, (int)strcspn(told, "\n"), told);
}

static void
offer_services(const struct typed *t, const char *lead)
{
    char clause[WHY_SIZE];
    struct place place;
    struct bk_text why;
    struct view v;
    size_t count;
    uint32_t *slots;

    bk_text_init(&why, clause, sizeof clause);
    place_find(&place, t->c.dir);
    if (place.dir == NULL || view_open(&v, &place, &why) != VIEW_OPEN)
        return;
    slots = view_slots(&v, &count);
    for (size_t i = 0; i < count; i++) {
        struct view_service s;

        if (view_read(&v, slots[i], &s))
            offer(t, lead, s.record.name, "",
                  bk_state_name((enum bk_state)s.record.breaker.state));
    }
    free(slots);
    view_close(&v);
}

static void
offer_keys(const struct typed *t, const char *tail)
{
    for (size_t i = 0; i < bk_key_count(); i++)
        offer(t, "", bk_key_name(i), tail, bk_key_help(i));
}

static void
offer_states(const struct typed *t, const char *lead)
{
    for (int state = 0; state < BK_STATE_COUNT; state++)
        offer(t, lead, bk_state_name((enum bk_state)state), "", "a state");
}

/* The words of "table|json". */
static void
offer_choices(const struct typed *t, const char *lead, const char *choices,
              size_t len)
{
    char word[32];

    while (len > 0) {
        size_t n = strcspn(choices, "|");

        n = n < len ? n : len;
        bk_copy_text(word, sizeof word, choices, n);
        offer(t, lead, word, "", "");
        choices += n < len ? n + 1 : n;
        len -= n < len ? n + 1 : n;
    }
}

/* What a word of the help stands for: SERVICE, FILE, "table|json", ... */
static void
offer_kind(const struct typed *t, const char *lead, const char *kind,
           size_t len)
{
    static const struct {
        const char *kind;
        const char *shell; /* what the shell finds by itself */
    } rows[] = {
        {"FILE", "*files"}, {"DIR", "*directories"}, {"COMMAND", "*commands"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bk_is(kind, len, rows[i].kind))
            puts(rows[i].shell);
    }
    if (bk_is(kind, len, "SERVICE"))
        offer_services(t, lead);
    else if (bk_is(kind, len, "KEY=VALUE"))
        offer_keys(t, "=");
    else if (bk_is(kind, len, "KEY"))
        offer_keys(t, "");
    else if (bk_is(kind, len, "STATES"))
        offer_states(t, lead);
    else if (len > 0 && kind[0] >= 'a' && kind[0] <= 'z')
        offer_choices(t, lead, kind, len);
}

static void
offer_options(const struct typed *t)
{
    unsigned taken = (unsigned)CTL_COMMON;

    if (t->command != NULL)
        taken |= t->command->options;
    for (size_t i = 0; i < ctl_option_count; i++) {
        const struct ctl_option_row *row = &ctl_option_rows[i];

        if ((taken & (unsigned)row->option) != 0)
            offer(t, "--", row->name, "", row->help);
    }
}

/* ---- operands, as a subcommand's usage names them ---- */

struct usage {
    const char *at;
    const char *word; /* without brackets and dots */
    size_t len;
    bool repeats;    /* stands for as many as there are */
    bool is_in_tail; /* behind "--" */
};

/* The next operand of this alternative; false at its end. */
static bool
next_operand(struct usage *u)
{
    while (true) {
        size_t whole;

        u->word = u->at + strspn(u->at, " [");
        whole = strcspn(u->word, " ");
        u->len = strcspn(u->word, " ].");
        u->repeats = strstr(u->word, "...") == u->word + u->len;
        u->at = u->word + whole;
        if (whole == 0 || bk_is(u->word, whole, "|"))
            return false;
        if (bk_is(u->word, whole, "--"))
            u->is_in_tail = true;
        else if (u->word[0] != '-' && !bk_is(u->word, u->len, "OPTIONS"))
            return true;
    }
}

/* Whether the operand may be `given`: small letters are meant as they stand. */
static bool
may_be(const struct usage *u, const char *given)
{
    const char *at = u->word;
    const char *end = u->word + u->len;

    if (*at < 'a' || *at > 'z')
        return true;
    while (at < end) {
        size_t len = strcspn(at, "|] .");

        if (bk_is(at, len, given))
            return true;
        at += len + 1;
    }
    return false;
}

/* One alternative: where the operands before fit it, what comes now. */
static void
offer_alternative(const struct typed *t, const char *usage)
{
    struct usage u = {.at = usage};
    size_t at = 0;

    while (next_operand(&u)) {
        if (at == t->c.word_count || (u.repeats && at < t->c.word_count)) {
            if (u.is_in_tail && !t->is_ended)
                offer(t, "", "--", "", "");
            else
                offer_kind(t, "", u.word, u.len);
            return;
        }
        if (!may_be(&u, t->c.words[at]))
            return;
        at++;
    }
}

static void
offer_operands(const struct typed *t)
{
    const char *usage = t->command->words;

    while (usage != NULL) {
        offer_alternative(t, usage);
        usage = strstr(usage, " | ");
        if (usage != NULL)
            usage += strlen(" | ");
    }
}

static void
offer_commands(const struct typed *t)
{
    for (const struct ctl_command *row = ctl_commands; row->name != NULL; row++)
        offer(t, "", row->name, "", row->summary);
}

/* ---- reading what was typed ---- */

static const struct ctl_option_row *
option_of(const char *word)
{
    size_t len = strcspn(word + 2, "=");

    for (size_t i = 0; i < ctl_option_count; i++) {
        const struct ctl_option_row *row = &ctl_option_rows[i];

        if (word[1] == '-' ? bk_is(word + 2, len, row->name)
                           : row->letter != 0 && word[1] == row->letter)
            return row;
    }
    return NULL;
}

/* Whether its value is a word of its own. */
static bool
wants_value(const struct ctl_option_row *row, const char *word)
{
    bool has_value =
        word[1] == '-' ? strchr(word, '=') != NULL : word[2] != '\0';

    return row != NULL && row->value != NULL && row->value[0] != '[' &&
           !has_value;
}

static const struct ctl_command *
command_of(const char *name)
{
    const struct ctl_command *row = ctl_commands;

    while (row->name != NULL && strcmp(row->name, name) != 0)
        row++;
    return row->name != NULL ? row : NULL;
}

/* A word before the last one. */
static void
take(struct typed *t, const char *word)
{
    if (t->awaiting != NULL) {
        (void)t->awaiting->read(&t->c, word);
        t->awaiting = NULL;
    } else if (!t->is_ended && strcmp(word, "--") == 0) {
        t->is_ended = true;
    } else if (!t->is_ended && word[0] == '-' && word[1] != '\0') {
        const struct ctl_option_row *row = option_of(word);

        if (wants_value(row, word))
            t->awaiting = row;
    } else if (t->command == NULL) {
        t->command = command_of(word);
        t->is_unknown = t->command == NULL;
    } else {
        t->c.words[t->c.word_count++] = word;
    }
}

/* "--output=j": the value stands behind the option in the same word. */
static void
offer_value_of(const struct typed *t)
{
    const struct ctl_option_row *row = option_of(t->current);
    char lead[48];
    size_t len = strcspn(t->current, "=") + 1;

    if (row == NULL || row->value == NULL || len >= sizeof lead)
        return;
    bk_copy_text(lead, sizeof lead, t->current, len);
    offer_kind(t, lead, row->value, strlen(row->value));
}

static void
complete(const struct typed *t)
{
    bool is_option = !t->is_ended && t->current[0] == '-';

    if (t->awaiting != NULL)
        offer_kind(t, "", t->awaiting->value, strlen(t->awaiting->value));
    else if (is_option && strchr(t->current, '=') != NULL)
        offer_value_of(t);
    else if (is_option)
        offer_options(t);
    else if (t->command != NULL)
        offer_operands(t);
    else if (!t->is_unknown)
        offer_commands(t);
}

static enum ctl_exit
print_script(const char *shell)
{
    static const struct {
        const char *shell;
        const char *script;
    } rows[] = {{"bash", completion_bash},
                {"zsh", completion_zsh},
                {"fish", completion_fish}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(shell, rows[i].shell) == 0) {
            (void)fputs(rows[i].script, stdout);
            return CTL_DONE;
        }
    }
    ctl_say("no completion for \"%s\": bash, zsh and fish have one", shell);
    return CTL_USAGE;
}

enum ctl_exit
ctl_completion(const struct ctl *c, const char *const *words, size_t count)
{
    struct typed t = {.c = {.dir = c->dir, .for_ns = BK_NEVER}};

    if (strcmp(words[0], "words") != 0) {
        if (count == 1)
            return print_script(words[0]);
        ctl_say("usage: breakerctl completion bash|zsh|fish");
        return CTL_USAGE;
    }
    t.c.words = ctl_memory(NULL, count * sizeof *t.c.words);
    for (size_t i = 1; i + 1 < count; i++)
        take(&t, words[i]);
    t.current = count > 1 ? words[count - 1] : "";
    complete(&t);
    free(t.c.words);
    return CTL_DONE;
}
