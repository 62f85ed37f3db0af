/* SPDX-License-Identifier: Apache-2.0
 *
 * breaker-scenario: plays files that tell a behaviour line by line. */
#define _GNU_SOURCE
#include "tools/scenario_play.h"
#include "tools/scenario_signal.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* A file that lasts longer on a real clock is played only when asked for. */
#define LONG_NS (10 * BK_NS_PER_S)

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

struct options {
    bool on_core;
    bool on_daemon;
    bool by_client; /* on a daemon as well */
    bool is_slow;
};

struct tally {
    unsigned passed;
    unsigned failed;
    unsigned unread;
    struct scenario_ways ways;
};

static const char help[] =
    "usage: breaker-scenario [--core|--daemon|--client] [--slow] FILE...\n"
    "\n"
    "Plays scenario files and says of each whether it holds.\n"
    "\n"
    "  --core    against the bare state machine in virtual time (default)\n"
    "  --daemon  against a real breakerd, $BREAKERD or the one beside this\n"
    "            program, with a process for each actor, in real time\n"
    "  --client  as --daemon, and workers speak through libbreaker, in the way\n"
    "            that BREAKERD_MODE, BREAKERD_RING and BREAKERD_TRANSPORT say\n"
    "  --slow    on a real daemon: play files longer than 10 s as well\n"
    "  --help    this text\n"
    "  --version the version\n"
    "\n"
    "The last line is \"N passed, N failed\". Exit: 0 none failed, 1 some\n"
    "failed, 2 wrong usage or a file that cannot be read. The language of the\n"
    "files is described in breaker-scenario(1).\n";

static void
print_passed(const char *path, const struct scenario_result *result)
{
    printf("ok   %s", path);
    if (result->skipped > 0) {
        printf(" (%u denial%s too near a change to judge)", result->skipped,
               result->skipped == 1 ? "" : "s");
    }
    putchar('\n');
}

static void
add_ways(struct tally *tally, const struct scenario_ways *ways)
{
    tally->ways.by_memory += ways->by_memory;
    tally->ways.asked += ways->asked;
    tally->ways.told += ways->told;
    tally->ways.by_ring += ways->by_ring;
    tally->ways.by_line += ways->by_line;
}

static void
print_ways(const struct scenario_ways *ways)
{
    printf("through the library: %llu decided from memory, %llu asked, %llu "
           "told (%llu by ring); %llu lines by the socket\n",
           (unsigned long long)ways->by_memory, (unsigned long long)ways->asked,
           (unsigned long long)ways->told, (unsigned long long)ways->by_ring,
           (unsigned long long)ways->by_line);
}

static struct scenario_stage *
open_stage(const struct scenario *s, const struct options *options,
           struct bk_text *error)
{
    if (options->by_client) {
        return scenario_client_open(s, error);
    }
    return options->on_daemon ? scenario_daemon_open(s, error)
                              : scenario_core_open(s, error);
}

static void
play(const struct scenario *s, const struct options *options,
     struct tally *tally)
{
    char words[SCENARIO_WORDS_SIZE];
    struct bk_text error;
    struct scenario_result result = {0};
    bk_text_init(&error, words, sizeof(words));
    struct scenario_stage *stage = open_stage(s, options, &error);
    if (stage == NULL) {
        printf("FAIL %s: %s\n", s->path, words);
        tally->failed++;
        return;
    }
    scenario_play(s, stage, &result);
    if (stage->ways != NULL) {
        add_ways(tally, stage->ways);
    }
    stage->close(stage);
    if (result.is_passed) {
        print_passed(s->path, &result);
        tally->passed++;
        return;
    }
    printf("FAIL %s:%u: %s\n", s->path, result.line, result.words);
    tally->failed++;
}

/* Whether a worker says anything in it that the library has a call for. */
static bool
has_workers(const struct scenario *s)
{
    for (size_t i = 0; i < s->step_count; i++) {
        if (s->steps[i].verb <= SCENARIO_RENEW) {
            return true;
        }
    }
    return false;
}

/* Why a file is left out here, or NULL. */
static const char *
reason_to_skip(const struct scenario *s, const struct options *options)
{
    if (options->on_daemon && s->place == SCENARIO_ON_CORE) {
        return "it is for the core";
    }
    if (!options->on_daemon && s->place == SCENARIO_ON_DAEMON) {
        return "it is for a daemon";
    }
    if (options->by_client && !has_workers(s)) {
        return "nothing in it is a worker's to say";
    }
    int64_t end_ns = s->step_count > 0 ? s->steps[s->step_count - 1].at_ns : 0;
    if (options->on_daemon && !options->is_slow && end_ns > LONG_NS) {
        return "it lasts longer than 10 s (--slow plays it)";
    }
    return NULL;
}

static void
play_file(const char *path, const struct options *options, struct tally *tally)
{
    char words[SCENARIO_WORDS_SIZE];
    struct bk_text error;
    struct scenario s;
    bk_text_init(&error, words, sizeof(words));
    if (!scenario_load(&s, path, &error)) {
        printf("FAIL %s\n", words);
        tally->failed++;
        tally->unread++;
        return;
    }
    const char *reason = reason_to_skip(&s, options);
    if (reason != NULL) {
        printf("skip %s: %s\n", path, reason);
    } else {
        play(&s, options, tally);
    }
    scenario_free(&s);
    fflush(stdout);
}

/* Reads the options; *text is what to print instead of playing. False when the
 * command line is wrong. */
static bool
read_options(int argc, char **argv, struct options *options, const char **text)
{
    static const struct option rows[] = {{"core", no_argument, NULL, 'c'},
                                         {"daemon", no_argument, NULL, 'd'},
                                         {"client", no_argument, NULL, 'l'},
                                         {"slow", no_argument, NULL, 's'},
                                         {"help", no_argument, NULL, 'h'},
                                         {"version", no_argument, NULL, 'v'},
                                         {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "h", rows, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->on_core = true;
            break;
        case 'd':
            options->on_daemon = true;
            break;
        case 'l':
            options->by_client = true;
            break;
        case 's':
            options->is_slow = true;
            break;
        case 'h':
            *text = help;
            return true;
        case 'v':
            *text = "breaker-scenario " BREAKERD_VERSION "\n";
            return true;
        default:
            return false;
        }
    }
    if (options->on_core + options->on_daemon + options->by_client > 1) {
        fprintf(stderr, "breaker-scenario: one of --core, --daemon and "
                        "--client, not two\n");
        return false;
    }
    options->on_daemon |= options->by_client;
    if (optind == argc) {
        fprintf(stderr, "breaker-scenario: no file to play\n");
        return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct options options = {0};
    struct tally tally = {0};
    const char *text = NULL;
    if (!read_options(argc, argv, &options, &text)) {
        fprintf(stderr, "Try breaker-scenario --help.\n");
        return EXIT_USAGE;
    }
    if (text != NULL) {
        fputs(text, stdout);
        return 0;
    }
    /* On the core nothing is left behind, so a signal may end it as it is. */
    if (options.on_daemon) {
        scenario_signal_catch();
    }
    for (int i = optind; i < argc && scenario_signal_came() == 0; i++) {
        play_file(argv[i], &options, &tally);
    }
    if (options.by_client) {
        print_ways(&tally.ways);
    }
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    if (scenario_signal_came() != 0) {
        return EXIT_SIGNAL + scenario_signal_came();
    }
    if (tally.unread > 0) {
        return EXIT_USAGE;
    }
    return tally.failed > 0 ? EXIT_FAILED : 0;
}
