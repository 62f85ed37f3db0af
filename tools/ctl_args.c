/* SPDX-License-Identifier: Apache-2.0
 *
 * Options may stand before or behind the subcommand, as people type them. */
#include "tools/ctl_args.h"
#include "core/text.h"
#include "tools/ctl_out.h"
#include <stdio.h>
#include <string.h>

/* More lines than anybody reads; also the bound of a question for history. */
#define LIMIT_MAX 10000
/* More attempts than any policy grants. */
#define ATTEMPTS_MAX 1000

struct option_row {
    enum ctl_option option;
    char letter;       /* 0: none */
    const char *name;  /* without the dashes */
    const char *value; /* what follows; NULL: nothing */
    const char *help;
    bool (*read)(struct ctl *c, const char *value);
};

static bool
read_dir(struct ctl *c, const char *value)
{
    c->dir = value;
    return value[0] != '\0';
}

static bool
read_db(struct ctl *c, const char *value)
{
    c->db = value;
    return value[0] != '\0';
}

static bool
read_output(struct ctl *c, const char *value)
{
    c->is_json = strcmp(value, "json") == 0;
    return c->is_json || strcmp(value, "table") == 0;
}

static bool
read_json(struct ctl *c, const char *value)
{
    (void)value;
    c->is_json = true;
    return true;
}

static bool
read_help(struct ctl *c, const char *value)
{
    (void)value;
    c->wants_help = true;
    return true;
}

static bool
read_version(struct ctl *c, const char *value)
{
    (void)value;
    c->wants_version = true;
    return true;
}

static bool
read_reason(struct ctl *c, const char *value)
{
    c->reason = value[0] != '\0' ? value : NULL;
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' || *value == 0x7f)
            return false;
    }
    return true;
}

static bool
read_for(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->for_ns) && c->for_ns > 0;
}

static bool
read_limit(struct ctl *c, const char *value)
{
    return bk_read_number(value, strlen(value), &c->limit) && c->limit > 0 &&
           c->limit <= LIMIT_MAX;
}

static bool
read_attempts(struct ctl *c, const char *value)
{
    return bk_read_number(value, strlen(value), &c->max_attempts) &&
           c->max_attempts > 0 && c->max_attempts <= ATTEMPTS_MAX;
}

static bool
read_timeout(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->timeout_ns) &&
           c->timeout_ns > 0;
}

static bool
read_wait(struct ctl *c, const char *value)
{
    return bk_read_duration(value, strlen(value), &c->wait_ns);
}

static bool
read_retry_on(struct ctl *c, const char *value)
{
    c->retry_on = value;
    return true;
}

static bool
read_critical_on(struct ctl *c, const char *value)
{
    c->critical_on = value;
    return true;
}

static bool
read_reject_on(struct ctl *c, const char *value)
{
    c->reject_on = value;
    return true;
}

static bool
read_compat(struct ctl *c, const char *value)
{
    c->compat = value;
    return true;
}

static bool
read_file(struct ctl *c, const char *value)
{
    c->file = value;
    return value[0] != '\0';
}

static bool
read_flag(struct ctl *c, const char *value)
{
    (void)c;
    (void)value;
    return true;
}

static const struct option_row option_rows[] = {
    {CTL_COMMON, 0, "dir", "DIR",
     "the instance's directory (else $BREAKERD_DIR, else the first of\n"
     "$XDG_RUNTIME_DIR/breakerd, /run/breakerd, /tmp/breakerd-$UID)",
     read_dir},
    {CTL_COMMON, 'o', "output", "table|json", "how data is printed",
     read_output},
    {CTL_COMMON, 0, "json", NULL, "the same as -o json", read_json},
    {CTL_REASON, 0, "reason", "TEXT",
     "why, in your words (one line); kept in the history", read_reason},
    {CTL_FOR, 0, "for", "DURATION",
     "ends by itself after this long (500ms 30s 10m 2h)", read_for},
    {CTL_ALL, 0, "all", NULL, "every service", read_flag},
    {CTL_OVERRIDES, 0, "overrides", NULL, "with --all: remove overrides too",
     read_flag},
    {CTL_YES, 'y', "yes", NULL, "do not ask", read_flag},
    {CTL_LIMIT, 'n', "limit", "N", "at most this many lines (1 to 10000)",
     read_limit},
    {CTL_DB, 0, "db", "FILE", "the daemon's database file", read_db},
    {CTL_OPERATOR, 0, "operator", NULL,
     "use the operators' endpoint, not the workers'", read_flag},
    {CTL_ATTEMPTS, 0, "max-attempts", "N",
     "at most N attempts (1 to 1000; the policy holds too)", read_attempts},
    {CTL_TIMEOUT, 0, "timeout", "DURATION",
     "end an attempt after this long (TERM, KILL 5 s later)", read_timeout},
    {CTL_WAIT, 0, "wait", "DURATION",
     "when denied, wait for the circuit, in all this long", read_wait},
    {CTL_RETRY_ON, 0, "retry-on", "STATUSES",
     "failures of the service; other statuses are then the\n"
     "command's own trouble (else every one not explained)",
     read_retry_on},
    {CTL_CRITICAL_ON, 0, "critical-on", "STATUSES",
     "bad credentials or account: never retried", read_critical_on},
    {CTL_REJECT_ON, 0, "reject-on", "STATUSES",
     "the service is well but refused this call", read_reject_on},
    {CTL_RETRY_OUTPUT, 0, "retry-output", NULL,
     "retry even when the command has written output", read_flag},
    {CTL_COMPAT, 0, "compat", "NAMES", "names of another library: resilience4j",
     read_compat},
    {CTL_FILE, 0, "file", "FILE", "into FILE, which is replaced as a whole",
     read_file},
    {CTL_COMMON, 'h', "help", NULL, "show this help", read_help},
    {CTL_COMMON, 0, "version", NULL, "show the version", read_version},
};
#define OPTION_COUNT (sizeof option_rows / sizeof option_rows[0])

static const struct option_row *
find_letter(char letter)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_rows[i].letter == letter)
            return &option_rows[i];
    }
    return NULL;
}

static const struct option_row *
find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (bk_is(name, len, option_rows[i].name))
            return &option_rows[i];
    }
    return NULL;
}

static void
refuse_option(const char *word, size_t len)
{
    const char *nearest = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        unsigned d = bk_edit_distance(word + 2, len - 2, option_rows[i].name);

        if (d < least) {
            least = d;
            nearest = option_rows[i].name;
        }
    }
    if (nearest != NULL)
        ctl_say("unknown option %.*s; did you mean --%s?", (int)len, word,
                nearest);
    else
        ctl_say("unknown option %.*s; see breakerctl --help", (int)len, word);
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
    const struct option_row *row =
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
    if (row->value != NULL && value == NULL) {
        if (at + 1 >= argc) {
            ctl_say("%s needs a value: %s", word, row->value);
            return 0;
        }
        value = argv[at + 1];
        taken = 2;
    }
    if (!row->read(c, value)) {
        ctl_say("\"%s\" is no value for --%s (%s): %s", value, row->name,
                row->value, row->help);
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

    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((foreign & (unsigned)option_rows[i].option) != 0) {
            ctl_say("%s takes no --%s; see breakerctl %s --help", command->name,
                    option_rows[i].name, command->name);
            return CTL_USAGE;
        }
    }
    if (operands < command->least || operands > command->most) {
        ctl_say("usage: breakerctl %s %s", command->name, command->words);
        return CTL_USAGE;
    }
    return CTL_DONE;
}

static void
print_option(const struct option_row *row)
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
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((options & (unsigned)option_rows[i].option) != 0)
            print_option(&option_rows[i]);
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
        "not met (check: denied),\n7 daemon unreachable. "
        "breakerctl COMMAND --help tells more.\n");
}

void
ctl_args_help(const struct ctl_command *command)
{
    if (command == NULL) {
        print_overview();
        return;
    }
    printf("usage: breakerctl %s %s\n\n%s\n\noptions:\n", command->name,
           command->words, command->help);
    print_options(command->options | (unsigned)CTL_COMMON);
}
