/* SPDX-License-Identifier: Apache-2.0
 *
 * Options may stand before or behind the subcommand, as people type them. */
#include "tools/ctl_args.h"
#include "core/text.h"
#include "tools/ctl_options.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

static const struct ctl_option_row *
find_letter(char letter)
{
    for (size_t i = 0; i < ctl_option_count; i++) {
        if (ctl_option_rows[i].letter == letter)
            return &ctl_option_rows[i];
    }
    return NULL;
}

static const struct ctl_option_row *
find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < ctl_option_count; i++) {
        if (bk_is(name, len, ctl_option_rows[i].name))
            return &ctl_option_rows[i];
    }
    return NULL;
}

static void
refuse_option(const char *word, size_t len)
{
    const char *nearest = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < ctl_option_count; i++) {
        unsigned d =
            bk_edit_distance(word + 2, len - 2, ctl_option_rows[i].name);

        if (d < least) {
            least = d;
            nearest = ctl_option_rows[i].name;
        }
    }
    if (nearest != NULL)
        ctl_say("unknown option %.*s; did you mean --%s?", (int)len, word,
                nearest);
    else
        ctl_say("unknown option %.*s; see breakerctl --help", (int)len, word);
}

/* An option's help is folded for its own page; a complaint is one line. */
static void
say_no_value(const struct ctl_option_row *row, const char *value)
{
    char help[256];
    size_t len = bk_copy_text(help, sizeof help, row->help, strlen(row->help));

    for (size_t i = 0; i < len; i++) {
        if (help[i] == '\n')
            help[i] = ' ';
    }
    ctl_say("\"%s\" is no value for --%s (%s): %s", value, row->name,
            row->value, help);
}

/* One option at argv[at], its value there or in the next word. Returns how many
 * words it took, 0 when it is refused. */
static int
read_option(struct ctl *c, int argc, char **argv, int at)
{
    const char *word = argv[at];
    bool is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word, "=") : 2;
    const char *value = NULL;
    const struct ctl_option_row *row =
        is_long ? find_name(word + 2, len - 2) : find_letter(word[1]);
    int taken = 1;

    if (row == NULL) {
        refuse_option(word, len);
        return 0;
    }
    if (word[len] != '\0')
        value = word + len + (is_long ? 1 : 0);
    if (row->value == NULL && value != NULL) {
        ctl_say("%.*s takes no value", (int)len, word);
        return 0;
    }
    if (row->value != NULL && value == NULL && row->value[0] == '[') {
        value = "";
    } else if (row->value != NULL && value == NULL) {
        if (at + 1 >= argc) {
            ctl_say("%s needs a value: %s", word, row->value);
            return 0;
        }
        value = argv[at + 1];
        taken = 2;
    }
    if (!row->read(c, value)) {
        say_no_value(row, value);
        return 0;
    }
    c->given |= (unsigned)row->option;
    return taken;
}

enum ctl_exit
ctl_args_read(struct ctl *c, int argc, char **argv)
{
    bool is_ended = false;
    int at = 1;

    c->for_ns = BK_NEVER;
    while (at < argc) {
        const char *word = argv[at];

        if (is_ended || word[0] != '-' || word[1] == '\0') {
            c->words[c->word_count++] = word;
            at++;
        } else if (strcmp(word, "--") == 0) {
            is_ended = true;
            at++;
        } else {
            int taken = read_option(c, argc, argv, at);

            if (taken == 0)
                return CTL_USAGE;
            at += taken;
        }
    }
    return CTL_DONE;
}

const struct ctl_command *
ctl_args_command(const char *name)
{
    const struct ctl_command *nearest = NULL;
    unsigned least = 3;

    for (const struct ctl_command *row = ctl_commands; row->name != NULL;
         row++) {
        unsigned d = bk_edit_distance(name, strlen(name), row->name);

        if (d == 0)
            return row;
        if (d < least) {
            least = d;
            nearest = row;
        }
    }
    if (nearest != NULL)
        ctl_say("unknown command \"%s\"; did you mean \"%s\"?", name,
                nearest->name);
    else
        ctl_say("unknown command \"%s\"; see breakerctl --help", name);
    return NULL;
}

enum ctl_exit
ctl_args_check(const struct ctl *c, const struct ctl_command *command)
{
    unsigned foreign = c->given & ~(command->options | (unsigned)CTL_COMMON);
    size_t operands = c->word_count - 1;

    for (size_t i = 0; i < ctl_option_count; i++) {
        if ((foreign & (unsigned)ctl_option_rows[i].option) != 0) {
            ctl_say("%s takes no --%s; see breakerctl %s --help", command->name,
                    ctl_option_rows[i].name, command->name);
            return CTL_USAGE;
        }
    }
    if (operands < command->least || operands > command->most) {
        ctl_say("usage: breakerctl %s%s%s", command->name,
                command->words[0] != '\0' ? " " : "", command->words);
        return CTL_USAGE;
    }
    return CTL_DONE;
}

static void
print_option(const struct ctl_option_row *row)
{
    char left[32];
    struct bk_text text;
    const char *help = row->help;

    bk_text_init(&text, left, sizeof left);
    if (row->letter != 0) {
        bk_text_put_char(&text, '-');
        bk_text_put_char(&text, row->letter);
        bk_text_put(&text, ", ");
    }
    bk_text_put(&text, "--");
    bk_text_put(&text, row->name);
    if (row->value != NULL) {
        if (row->value[0] != '[')
            bk_text_put_char(&text, ' ');
        bk_text_put(&text, row->value);
    }
    for (const char *lead = left; *help != '\0'; lead = "") {
        size_t len = strcspn(help, "\n");

        printf("  %-25s %.*s\n", lead, (int)len, help);
        help += len + (help[len] != '\0');
    }
}

static void
print_options(unsigned options)
{
    for (size_t i = 0; i < ctl_option_count; i++) {
        if ((options & (unsigned)ctl_option_rows[i].option) != 0)
            print_option(&ctl_option_rows[i]);
    }
}

static void
print_overview(void)
{
    printf("usage: breakerctl COMMAND [WORDS] [OPTIONS]\n\n"
           "Looks at the circuit breakers of one breakerd and changes them.\n"
           "\ncommands:\n");
    for (const struct ctl_command *row = ctl_commands; row->name != NULL; row++)
        printf("  %-9s %s\n", row->name, row->summary);
    printf("\noptions of every command:\n");
    print_options(CTL_COMMON);
    printf(
        "\nData goes to stdout, words to stderr. Exit status: 0 done, "
        "1 failed, 2 usage,\n3 no such service, 4 not permitted, 6 condition "
        "not met (check: denied,\nwait: not in time, config diff: different), "
        "7 daemon unreachable.\n"
        "breakerctl COMMAND --help tells more.\n");
}

void
ctl_args_help(const struct ctl_command *command)
{
    if (command == NULL) {
        print_overview();
        return;
    }
    printf("usage: breakerctl %s%s%s\n\n%s\n\noptions:\n", command->name,
           command->words[0] != '\0' ? " " : "", command->words, command->help);
    print_options(command->options | (unsigned)CTL_COMMON);
}
