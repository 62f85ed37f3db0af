/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of quickstart_worker. */
#define _GNU_SOURCE
#include "tools/quickstart_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: quickstart_worker --url URL [OPTION]...\n"
    "\n"
    "A fleet of worker processes that call URL through libcurl at times that\n"
    "depend on the seed alone, whatever becomes of the calls. At the end it\n"
    "prints one JSON object with what happened.\n"
    "\n"
    "  --mode MODE        none: every worker by itself, no breakerd; auto, zmq\n"
    "                     or local: guarded by libbreaker in that mode (auto)\n"
    "  --service NAME     the service's name at breakerd (llm)\n"
    "  --dir DIR          breakerd's runtime directory (searched for)\n"
    "  --workers N        processes (8)\n"
    "  --rate N           calls a second of all workers together (40)\n"
    "  --duration D       no call begins later (10s)\n"
    "  --seed N           of the arrival times (1)\n"
    "  --attempts N       of one call, the first included (3)\n"
    "  --base-delay D     before the second attempt, doubled before each\n"
    "                     further one; with breakerd it gives the delay (1s)\n"
    "  --patience D       how long a denied call waits for the circuit (3s)\n"
    "  --timeout D        of one attempt (1s)\n"
    "  --control URL      flaky-upstream's control port: its script begins anew\n"
    "                     with the first call, its counts go into the result\n"
    "  --script SCRIPT    a new script for it\n"
    "  --live             say once a second how it goes, on standard error\n"
    "  --result FILE      write the JSON there\n"
    "  --help\n";

static const char *const mode_names[QUICKSTART_MODE_COUNT] = {"none", "auto",
                                                              "zmq", "local"};

const char *
quickstart_mode_name(enum quickstart_mode mode)
{
    return mode_names[mode];
}

static bool
complain(const char *what, const char *word)
{
    fprintf(stderr, "quickstart_worker: %s: %s\n", what, word);
    return false;
}

static bool
read_mode(const char *word, enum quickstart_mode *out)
{
    for (int i = 0; i < QUICKSTART_MODE_COUNT; i++) {
        if (strcmp(word, mode_names[i]) == 0) {
            *out = (enum quickstart_mode)i;
            return true;
        }
    }
    return complain("a mode is none, auto, zmq or local, not", word);
}

static bool
read_count(const char *word, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (!bk_read_number(word, strlen(word), &value) || value < min ||
        value > max) {
        return complain("not a number in range", word);
    }
    *out = value;
    return true;
}

static bool
read_small(const char *word, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;

    if (!read_count(word, 1, max, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool
read_time(const char *word, int64_t *out)
{
    return bk_read_duration(word, strlen(word), out) ||
           complain("not a duration like 500ms or 10s", word);
}

enum option_key {
    OPTION_URL = 1,
    OPTION_SERVICE,
    OPTION_DIR,
    OPTION_CONTROL,
    OPTION_SCRIPT,
    OPTION_RESULT,
    OPTION_MODE,
    OPTION_LIVE,
    OPTION_WORKERS,
    OPTION_ATTEMPTS,
    OPTION_SEED,
    OPTION_RATE,
    OPTION_DURATION,
    OPTION_BASE_DELAY,
    OPTION_PATIENCE,
    OPTION_TIMEOUT,
    OPTION_HELP
};

static bool
take_text(int key, const char *word, struct quickstart_options *out)
{
    switch (key) {
    case OPTION_URL:
        out->url = word;
        return true;
    case OPTION_SERVICE:
        out->service = word;
        return bk_name_is_valid(word, strlen(word)) ||
               complain("not a service's name", word);
    case OPTION_DIR:
        out->dir = word;
        return true;
    case OPTION_CONTROL:
        out->control = word;
        return true;
    case OPTION_SCRIPT:
        out->script = word;
        return true;
    case OPTION_RESULT:
        out->result = word;
        return true;
    default:
        return false; /* getopt has said what is wrong */
    }
}

static bool
take(int key, const char *word, struct quickstart_options *out)
{
    switch (key) {
    case OPTION_MODE:
        return read_mode(word, &out->mode);
    case OPTION_LIVE:
        out->is_live = true;
        return true;
    case OPTION_WORKERS:
        return read_small(word, QUICKSTART_WORKERS_MAX, &out->workers);
    case OPTION_ATTEMPTS:
        return read_small(word, 16, &out->attempts);
    case OPTION_SEED:
        return read_count(word, 0, BK_NUMBER_END, &out->seed);
    case OPTION_RATE:
        return read_count(word, 1, 10000, &out->rate);
    case OPTION_DURATION:
        return read_time(word, &out->duration_ns);
    case OPTION_BASE_DELAY:
        return read_time(word, &out->base_delay_ns);
    case OPTION_PATIENCE:
        return read_time(word, &out->patience_ns);
    case OPTION_TIMEOUT:
        return read_time(word, &out->timeout_ns);
    default:
        return take_text(key, word, out);
    }
}

static bool
check(const struct quickstart_options *options)
{
    if (options->url == NULL) {
        return complain("what is to be called", "give --url URL");
    }
    if (options->duration_ns <= 0 ||
        options->duration_ns > 3600 * BK_NS_PER_S) {
        return complain("the duration", "must be over 0 and at most 1h");
    }
    if (options->timeout_ns < BK_NS_PER_MS ||
        options->timeout_ns > 60 * BK_NS_PER_S) {
        return complain("the timeout", "must be from 1ms to 60s");
    }
    if (options->base_delay_ns > 60 * BK_NS_PER_S ||
        options->patience_ns > 60 * BK_NS_PER_S) {
        return complain("the delay and the patience", "must be at most 60s");
    }
    if (options->script != NULL && options->control == NULL) {
        return complain("--script", "goes to a --control port");
    }
    return true;
}

int
quickstart_options_read(int argc, char **argv, struct quickstart_options *out)
{
    static const struct option rows[] = {
        {"url", required_argument, NULL, OPTION_URL},
        {"service", required_argument, NULL, OPTION_SERVICE},
        {"dir", required_argument, NULL, OPTION_DIR},
        {"control", required_argument, NULL, OPTION_CONTROL},
        {"script", required_argument, NULL, OPTION_SCRIPT},
        {"result", required_argument, NULL, OPTION_RESULT},
        {"mode", required_argument, NULL, OPTION_MODE},
        {"live", no_argument, NULL, OPTION_LIVE},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"attempts", required_argument, NULL, OPTION_ATTEMPTS},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"rate", required_argument, NULL, OPTION_RATE},
        {"duration", required_argument, NULL, OPTION_DURATION},
        {"base-delay", required_argument, NULL, OPTION_BASE_DELAY},
        {"patience", required_argument, NULL, OPTION_PATIENCE},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0}};
    int key = 0;

    *out = (struct quickstart_options){.service = "llm",
                                       .mode = QUICKSTART_AUTO,
                                       .workers = 8,
                                       .attempts = 3,
                                       .seed = 1,
                                       .rate = 40,
                                       .duration_ns = 10 * BK_NS_PER_S,
                                       .base_delay_ns = BK_NS_PER_S,
                                       .patience_ns = 3 * BK_NS_PER_S,
                                       .timeout_ns = BK_NS_PER_S};
    while ((key = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (key == OPTION_HELP) {
            fputs(help, stdout);
            return 1;
        }
        if (!take(key, optarg, out)) {
            return 3;
        }
    }
    if (optind < argc) {
        (void)complain("there are only options, no", argv[optind]);
        return 3;
    }
    return check(out) ? 0 : 3;
}
