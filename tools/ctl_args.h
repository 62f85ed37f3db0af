#ifndef CTL_ARGS_H
#define CTL_ARGS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of breakerctl: options and subcommands are rows of tables,
 * from which reading, help and usage errors follow. */
#include "core/vocab.h"

/* What a subcommand returns and the shell sees. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NO_SERVICE = 3,
    CTL_FORBIDDEN = 4,
    CTL_UNMET = 6, /* check: denied; wait: not in time; config diff: differs */
    CTL_UNREACHABLE = 7
};

/* Options a subcommand may take; the common ones are taken by all. */
enum ctl_option {
    CTL_COMMON = 1U << 0,
    CTL_REASON = 1U << 1,
    CTL_FOR = 1U << 2,
    CTL_ALL = 1U << 3,
    CTL_OVERRIDES = 1U << 4,
    CTL_YES = 1U << 5,
    CTL_LIMIT = 1U << 6,
    CTL_DB = 1U << 7,
    CTL_OPERATOR = 1U << 8,
    CTL_ATTEMPTS = 1U << 9,
    CTL_TIMEOUT = 1U << 10,
    CTL_WAIT = 1U << 11,
    CTL_RETRY_ON = 1U << 12,
    CTL_CRITICAL_ON = 1U << 13,
    CTL_REJECT_ON = 1U << 14,
    CTL_RETRY_OUTPUT = 1U << 15,
    CTL_COMPAT = 1U << 16,
    CTL_FILE = 1U << 17,
    CTL_INTERVAL = 1U << 18,
    CTL_ONCE = 1U << 19,
    CTL_WATCH = 1U << 20,
    CTL_STATE = 1U << 21,
    CTL_SINCE = 1U << 22,
    CTL_ACTOR = 1U << 23,
    CTL_FROM = 1U << 24,
    CTL_TO = 1U << 25,
    CTL_FORCE = 1U << 26,
    CTL_RUN = CTL_ATTEMPTS | CTL_TIMEOUT | CTL_WAIT | CTL_RETRY_ON |
              CTL_CRITICAL_ON | CTL_REJECT_ON | CTL_RETRY_OUTPUT
};

/* What the command line said. Strings point into argv. */
struct ctl {
    const char *dir; /* NULL: not given */
    const char *db;  /* NULL: not given */
    const char *reason;
    int64_t for_ns;        /* BK_NEVER: no end given */
    uint64_t limit;        /* 0: not given */
    uint64_t max_attempts; /* 0: not given */
    int64_t timeout_ns;    /* 0: not given */
    int64_t wait_ns;       /* 0: not given */
    int64_t interval_ns;   /* between two looks; 0: not given */
    unsigned states;       /* bit (1 << state); 0: not given */
    unsigned from_states;
    unsigned to_states;
    const char *since;    /* NULL: not given */
    const char *actor;    /* NULL: not given */
    const char *retry_on; /* lists of exit statuses; NULL: not given */
    const char *critical_on;
    const char *reject_on;
    const char *compat; /* NULL: not given */
    const char *file;   /* NULL: not given */
    unsigned given;     /* options that were there, enum ctl_option */
    bool is_json;
    bool wants_help;
    bool wants_version;
    const char **words; /* operands; the first is the subcommand */
    size_t word_count;
};

struct ctl_command {
    const char *name;
    const char *words;   /* its operands, for help */
    const char *summary; /* one line */
    const char *help;    /* paragraphs for its own --help */
    unsigned options;    /* enum ctl_option, besides the common ones */
    unsigned least;      /* operands it needs */
    unsigned most;       /* and takes */
    /* `words` are the operands behind the subcommand. */
    enum ctl_exit (*run)(const struct ctl *c, const char *const *words,
                         size_t count);
};
/* Ends with a row whose name is NULL. */
extern const struct ctl_command ctl_commands[];

/* Reads argv into `c`, whose `words` has room for argc pointers. On bad usage
 * says so on stderr and returns CTL_USAGE. */
enum ctl_exit ctl_args_read(struct ctl *c, int argc, char **argv);
/* The row of the subcommand; NULL (with words on stderr and the nearest name)
 * when there is none. */
const struct ctl_command *ctl_args_command(const char *name);
/* Refuses options and operands that this subcommand does not take. */
enum ctl_exit ctl_args_check(const struct ctl *c,
                             const struct ctl_command *command);
/* Help on stdout: of all subcommands (NULL) or of one. */
void ctl_args_help(const struct ctl_command *command);

#endif
