/* SPDX-License-Identifier: Apache-2.0
 *
 * breakerctl: looks at breakers and changes them. Here: the table of subcommands
 * and the way from argv to one of them. */
#include "tools/ctl_commands.h"
#include "tools/ctl_out.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "As many as you like": what a message of the protocol could carry. */
#define MANY 1000

const struct ctl_command ctl_commands[] = {
    {"status", "[SERVICE...]", "state of services, from the shared memory",
     "Shows each service's state, mode and numbers. Reads the shared memory, so\n"
     "it works, and says so, while the daemon is down. With one SERVICE the last\n"
     "outcomes that count against it are shown too. --watch shows it again and\n"
     "again until Ctrl-C, with --json a document a line.",
     CTL_WATCH, 0, MANY, ctl_status},
    {"top", "", "live screen of all services",
     "Shows every service, what is going on and how long it lasts, again and again\n"
     "from the shared memory: also while the daemon is down, which it then says. Keys\n"
     "sort, filter, select and explain; ? lists them, q ends it. With --once, or when\n"
     "stdout is no terminal, one look as text after an interval, for its rates.",
     CTL_INTERVAL | CTL_ONCE, 0, 0, ctl_top},
    {"explain", "SERVICE", "why a service is in its state, and what comes next",
     "Tells which rule put the service into its state and with which numbers, how it\n"
     "stands, what happens next and when, which workers reported what counts against\n"
     "it and how it failed, and what can be done. With --json the same as fields.",
     CTL_DB, 1, 1, ctl_explain},
    {"check", "SERVICE", "exit 0 when a call would be allowed, 6 when denied",
     "Answers for scripts whether a call of SERVICE (or of a route) would be let\n"
     "through now. Takes no permit and counts nothing.",
     0, 1, 1, ctl_check},
    {"wait", "SERVICE", "wait until it is in a state",
     "Waits until SERVICE is in one of the states named with --state (else\n"
     "closed), at most for --timeout (else 60s): then exit 6. Reads the shared\n"
     "memory, so it goes on while the daemon is away. A state shorter than 20 ms\n"
     "may be missed. A service that was never used has no state: exit 3.",
     CTL_STATE | CTL_TIMEOUT, 1, 1, ctl_wait},
    {"reset", "SERVICE... | --all", "close and forget what was counted",
     "Closes each SERVICE, empties its windows, ends hold and ramp and removes an\n"
     "override. --all resets every service, asks first on a terminal and needs\n"
     "--yes without one; overrides stay in place unless --overrides is given.",
     CTL_REASON | CTL_ALL | CTL_OVERRIDES | CTL_YES, 0, MANY, ctl_reset},
    {"trip", "SERVICE", "force it open: deny every call",
     "Every call is denied until the time given with --for is over, or until\n"
     "breakerctl auto or reset. Afterwards probes decide (half-open).",
     CTL_REASON | CTL_FOR, 1, 1, ctl_trip},
    {"bypass", "SERVICE", "let every call through, give no verdicts",
     "Every call is let through and no outcome moves the breaker, until the time\n"
     "given with --for is over, or until breakerctl auto or reset.",
     CTL_REASON | CTL_FOR, 1, 1, ctl_bypass},
    {"observe", "SERVICE", "let the machine run but deny nothing",
     "The breaker works as always, but a call it would have denied is let through\n"
     "and counted (would_deny), until the time given with --for is over, or until\n"
     "breakerctl auto or reset.",
     CTL_REASON | CTL_FOR, 1, 1, ctl_observe},
    {"auto", "SERVICE", "remove an override",
     "Ends trip, bypass or observe; the configured mode is in force again.",
     CTL_REASON, 1, 1, ctl_auto},
    {"set", "SERVICE KEY=VALUE...", "change configuration now, and keep it",
     "Sets keys of one service. The values are kept in the daemon's database and\n"
     "come before file and environment. All are checked before any is sent.",
     0, 2, MANY, ctl_set},
    {"unset", "SERVICE KEY...", "take back what set has set",
     "Removes values given with breakerctl set; what file, environment or the\n"
     "built-in defaults say is in force again.",
     0, 2, MANY, ctl_unset},
    {"config", "[SERVICE] | check FILE | diff FILE",
     "effective values, each with its origin",
     "Shows each key's value in force and where it comes from: built-in, defaults,\n"
     "environment, service or set. Without SERVICE: what a service has that nobody\n"
     "configured. \"check\" reads a configuration FILE as breakerd would and says\n"
     "what is wrong with it (exit 2). \"diff\" shows what FILE would change of what\n"
     "is in force: exit 0 when nothing, else 6.",
     0, 0, 2, ctl_config},
    {"reload", "", "read the daemon's configuration file again",
     "When the file is faulty the old configuration stays in force and the fault\n"
     "is told with file and line.",
     0, 0, 0, ctl_reload},
    {"history", "[SERVICE]", "transitions and operators' actions",
     "The newest lines (20, or -n N), newest last. Asks the daemon; while it is\n"
     "down, reads its database (--db FILE, else where breakerd keeps it). With\n"
     "--since, --reason, --actor, --from or --to: the newest lines that match all.",
     CTL_LIMIT | CTL_DB | CTL_SINCE | CTL_REASON | CTL_ACTOR | CTL_FROM |
         CTL_TO,
     0, 1, ctl_history},
    {"backup", "FILE", "copy the database, while breakerd goes on",
     "Lets breakerd write a copy of its database to FILE, with all that is in\n"
     "force now, and waits until it is on disk. A FILE that is there is replaced\n"
     "only with --force, and only when it is a database. While breakerd is down the\n"
     "database (--db FILE, else where breakerd keeps it) is copied from here. The\n"
     "copy is a database for breakerd.",
     CTL_FORCE | CTL_DB, 1, 1, ctl_backup},
    {"events", "[SERVICE]", "follow transitions as they happen",
     "Prints a line for each change of state or mode until interrupted, or until\n"
     "-n N were seen. With --json each line is a JSON document.",
     CTL_LIMIT, 0, 1, ctl_events},
    {"run", "SERVICE [OPTIONS] -- COMMAND...", "guard a command as one call",
     "Asks before COMMAND is run, reports what came of it, and runs it again when\n"
     "it failed and the service's policy and retry budget grant that. Exits with\n"
     "COMMAND's status, 75 when denied, 124 when its time was over, 127 or 126\n"
     "when it cannot be started, 128 + N when signal N ended it.\n"
     "\n"
     "STATUSES is a list such as 69,75,100-110. Without lists: 0 success, 64 and\n"
     "65 rejected, 77 critical, 124 timeout, 66, 71, 72, 73, 78, 126, 127 and\n"
     "death by a signal our own trouble (no verdict), every other a failure.\n"
     "A COMMAND that has written to stdout is not run again.",
     CTL_RUN, 2, UINT_MAX, ctl_run},
    {"raw", "LINE...", "send lines of the protocol, print the answers",
     "Each LINE is one line of BRK/1; all travel in one message and the answer's\n"
     "frames are printed one a line, whatever they say. A permit taken this way\n"
     "is given back when breakerctl ends.",
     CTL_OPERATOR, 1, MANY, ctl_raw},
    {"metrics", "", "what Prometheus would scrape",
     "Prints what is counted and what is in force as text for Prometheus (version\n"
     "0.0.4; docs/metrics.md lists it). Reads the shared memory: while the daemon\n"
     "is down the last values and breakerd_up 0 are printed. With --file FILE, for\n"
     "node_exporter's textfile collector, FILE is replaced as a whole.",
     CTL_COMPAT | CTL_FILE, 0, 0, ctl_metrics},
    {"keygen", "FILE", "a pair of CURVE keys, for a tcp endpoint to come",
     "Writes a new secret key to FILE, which only its owner may read, and the public\n"
     "key to FILE.pub and stdout. A FILE that is there is replaced only with\n"
     "--force. There is no tcp endpoint yet: a configuration that asks for one is\n"
     "refused.",
     CTL_FORCE, 1, 1, ctl_keygen},
    {"completion", "bash|zsh|fish | words -- WORD...",
     "what makes a shell complete command lines",
     "Prints the script for a shell, as in: source <(breakerctl completion bash).\n"
     "\"words\" prints what may stand in place of the last WORD of a command line,\n"
     "a candidate a line, what it means behind a tab; the scripts ask it.",
     0, 1, UINT_MAX, ctl_completion},
    {"doctor", "", "look for what is wrong, and say what helps",
     "Checks directory, owner, modes, tmpfs, lock, process, heartbeat, versions,\n"
     "sockets, group, clocks and database. Exit status 1 when a check fails.",
     CTL_DB, 0, 0, ctl_doctor},
    {NULL, NULL, NULL, NULL, 0, 0, 0, NULL},
};

static enum ctl_exit
run(struct ctl *c)
{
    const struct ctl_command *command;
    enum ctl_exit exit;

    if (c->wants_version) {
        printf("breakerctl %s\n", BREAKERD_VERSION);
        return CTL_DONE;
    }
    if (c->word_count == 0) {
        if (c->wants_help) {
            ctl_args_help(NULL);
            return CTL_DONE;
        }
        ctl_say("what shall it be? See breakerctl --help");
        return CTL_USAGE;
    }
    command = ctl_args_command(c->words[0]);
    if (command == NULL)
        return CTL_USAGE;
    if (c->wants_help) {
        ctl_args_help(command);
        return CTL_DONE;
    }
    exit = ctl_args_check(c, command);
    if (exit != CTL_DONE)
        return exit;
    return command->run(c, (const char *const *)c->words + 1,
                        c->word_count - 1);
}

int
main(int argc, char **argv)
{
    struct ctl c = {0};
    enum ctl_exit exit;

    c.words = ctl_memory(NULL, ((size_t)argc + 1) * sizeof *c.words);
    exit = ctl_args_read(&c, argc, argv);
    if (exit == CTL_DONE)
        exit = run(&c);
    free(c.words);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_say("cannot write to stdout");
        exit = CTL_FAILED;
    }
    return (int)exit;
}
