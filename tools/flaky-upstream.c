/* SPDX-License-Identifier: Apache-2.0
 *
 * flaky-upstream: an HTTP server on loopback that fails as it is told, and
 * counts who came. quickstart and the tests use it as the upstream. */
#define _GNU_SOURCE
#include "tools/upstream_server.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CONNECTIONS_DEFAULT 1024
#define CONNECTIONS_MAX 16384

static const char help[] =
    "usage: flaky-upstream [OPTION]... SCRIPT\n"
    "       flaky-upstream [OPTION]... --file FILE\n"
    "\n"
    "An HTTP/1.1 server on 127.0.0.1 that fails as SCRIPT says and counts its\n"
    "hits. It prints two lines, `port N` and `control N`, and serves until\n"
    "SIGTERM or SIGINT.\n"
    "\n"
    "SCRIPT is a list of phases, separated by `;` or line ends; # starts a\n"
    "comment. Only the last phase may go without a length. A phase is\n"
    "\n"
    "  ok [LENGTH]          200\n"
    "  down [STATUS] [LENGTH]  an error status, 503 when not given\n"
    "  STATUS [LENGTH]      any status from 200 to 599\n"
    "  hang [LENGTH]        reads the request and never answers it\n"
    "  reset [LENGTH]       resets the connection when the request is there\n"
    "  refuse [LENGTH]      nobody listens, what was connected is cut\n"
    "\n"
    "and may have, behind its first word,\n"
    "\n"
    "  latency=DURATION     time until the answer goes out\n"
    "  retry-after=SECONDS  a Retry-After; date:SECONDS gives an HTTP date\n"
    "  share=30%            of the requests; the others are served\n"
    "\n"
    "  flaky-upstream 'ok 2s; down 503 4s; 429 retry-after=1 1s; ok'\n"
    "\n"
    "options:\n"
    "  --port N             instead of any free one\n"
    "  --control-port N     likewise; there, GET /stats tells what was\n"
    "                       counted, POST /start begins anew, POST /script\n"
    "                       takes a new script\n"
    "  --latency DURATION   of every answer whose phase does not say (0)\n"
    "  --connections N      open at once, the rest is cut (1024)\n"
    "  --stats FILE         keep the statistics there too, rewritten at the\n"
    "                       end of each phase and of the program\n"
    "  --help\n";

struct arguments {
    struct upstream_options options;
    const char *file; /* the script's, NULL when it is a word */
};

static bool
complain(const char *what, const char *word)
{
    fprintf(stderr, "flaky-upstream: %s: %s\n", what, word);
    return false;
}

static bool
read_count(const char *word, uint64_t max, uint64_t *out)
{
    return (bk_read_number(word, strlen(word), out) && *out <= max) ||
           complain("not a number in range", word);
}

static bool
take_option(int option, struct arguments *args)
{
    struct upstream_options *options = &args->options;
    uint64_t number = 0;

    switch (option) {
    case 'p':
        if (!read_count(optarg, UINT16_MAX, &number)) {
            return false;
        }
        options->port = (uint16_t)number;
        return true;
    case 'c':
        if (!read_count(optarg, UINT16_MAX, &number)) {
            return false;
        }
        options->control_port = (uint16_t)number;
        return true;
    case 'n':
        if (!read_count(optarg, CONNECTIONS_MAX, &number)) {
            return false;
        }
        if (number == 0) {
            return complain("not a number in range", optarg);
        }
        options->connections = (uint32_t)number;
        return true;
    case 'l':
        return bk_read_duration(optarg, strlen(optarg), &options->latency_ns) ||
               complain("not a duration like 20ms", optarg);
    case 's':
        options->stats_path = optarg;
        return true;
    case 'f':
        args->file = optarg;
        return true;
    default:
        return false;
    }
}

/* 0 to go on, else the exit status + 1. */
static int
read_options(int argc, char **argv, struct arguments *args)
{
    static const struct option rows[] = {
        {"port", required_argument, NULL, 'p'},
        {"control-port", required_argument, NULL, 'c'},
        {"connections", required_argument, NULL, 'n'},
        {"latency", required_argument, NULL, 'l'},
        {"stats", required_argument, NULL, 's'},
        {"file", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (!take_option(option, args)) {
            return 3;
        }
    }
    if ((args->file != NULL) == (optind < argc) || argc - optind > 1) {
        fputs("flaky-upstream: one script, as a word or with --file (see "
              "--help)\n",
              stderr);
        return 3;
    }
    return 0;
}

static bool
read_file(const char *path, char *text, size_t size, size_t *len)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return complain(strerror(errno), path);
    }
    *len = fread(text, 1, size, file);
    const bool is_good = ferror(file) == 0 && *len < size;
    fclose(file);
    return is_good || complain("cannot be read, or is over 4095 octets", path);
}

static bool
read_script(struct arguments *args, const char *word)
{
    char text[UPSTREAM_SCRIPT_BYTES];
    char sentence[256];
    struct bk_text error;
    size_t len = 0;

    if (args->file != NULL) {
        if (!read_file(args->file, text, sizeof text, &len)) {
            return false;
        }
        word = text;
    } else {
        len = strlen(word);
    }
    bk_text_init(&error, sentence, sizeof sentence);
    return upstream_script_parse(word, len, &args->options.script, &error) ||
           complain("bad script", sentence);
}

static int
serve(const struct upstream_options *options, int stop_fd)
{
    char sentence[256];
    struct bk_text error;
    bool is_good = false;

    bk_text_init(&error, sentence, sizeof sentence);
    struct upstream_server *server = upstream_server_new(options, &error);
    if (server != NULL) {
        printf("port %u\ncontrol %u\n", upstream_server_port(server),
               upstream_server_control_port(server));
        fflush(stdout);
        is_good = upstream_server_run(server, stop_fd, &error);
        upstream_server_free(&server);
    }
    if (!is_good) {
        fprintf(stderr, "flaky-upstream: %s\n", sentence);
    }
    return is_good ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static struct arguments args = {
        .options = {.connections = CONNECTIONS_DEFAULT}};
    sigset_t stops;

    const int end = read_options(argc, argv, &args);
    if (end != 0) {
        return end - 1;
    }
    if (!read_script(&args, argv[optind])) {
        return 2;
    }
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    const int stop_fd = sigprocmask(SIG_BLOCK, &stops, NULL) == 0
                            ? signalfd(-1, &stops, SFD_CLOEXEC)
                            : -1;
    if (stop_fd < 0) {
        fprintf(stderr, "flaky-upstream: cannot take signals: %s\n",
                strerror(errno));
        return 1;
    }
    const int status = serve(&args.options, stop_fd);
    close(stop_fd);
    return status;
}
