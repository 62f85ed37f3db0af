/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_options.h"
#include "tools/bench/bench_series.h"
#include <fnmatch.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPEATS 7
#define QUICK_REPEATS 3

static const char help[] =
    "usage: breaker-bench [--quick] [--rows PATTERN] [--json] [--docs DIR]\n"
    "\n"
    "Measures breakerd and its library beside what one would take instead, in\n"
    "alternating blocks of one run, and says which goals hold. Everything it needs\n"
    "it starts itself, in a directory of its own, and ends.\n"
    "\n"
    "      --quick         under a minute: shorter blocks, three repeats\n"
    "      --rows PATTERN  only these, with commas between them; * is any text\n"
    "      --repeats N     blocks of each side, 1 to 99 (default: 7)\n"
    "      --json          a document for programs instead of the table\n"
    "      --docs DIR      write performance.md and its plots there too\n"
    "      --list          name the rows and end\n"
    "      --prefix DIR    measure what was installed there\n"
    "      --breakerd FILE this daemon\n"
    "      --peers DIR     the programs to compare with are there\n"
    "      --help          print this and end\n"
    "\n"
    "Exit: 0 measured, 1 something could not be, 2 usage. A goal that is missed is\n"
    "no failure, nor is a peer that is not there.\n";

enum {
    QUICK = 256,
    ROWS,
    REPEAT,
    JSON,
    DOCS,
    LIST,
    PREFIX,
    DAEMON,
    PEERS,
    HELP
};

static const struct option long_options[] = {
    {"quick", no_argument, NULL, QUICK},
    {"rows", required_argument, NULL, ROWS},
    {"repeats", required_argument, NULL, REPEAT},
    {"json", no_argument, NULL, JSON},
    {"docs", required_argument, NULL, DOCS},
    {"list", no_argument, NULL, LIST},
    {"prefix", required_argument, NULL, PREFIX},
    {"breakerd", required_argument, NULL, DAEMON},
    {"peers", required_argument, NULL, PEERS},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static void
put(char path[OPTIONS_PATH_SIZE], const char *folder, const char *file)
{
    snprintf(path, OPTIONS_PATH_SIZE, "%s%s", folder, file);
}

/* What was installed under a prefix: the first of the usual folders that has it. */
static bool
use_prefix(struct bench_options *o, const char *prefix)
{
    static const char *const daemons[] = {"/sbin/breakerd", "/bin/breakerd"};
    static const char *const libraries[] = {
        "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/lib"};
    char path[OPTIONS_PATH_SIZE + 32];
    size_t i;

    for (i = 0; i < 2; i++) {
        put(o->breakerd, prefix, daemons[i]);
        if (access(o->breakerd, X_OK) == 0)
            break;
    }
    if (i == 2)
        return false;
    for (i = 0; i < 4; i++) {
        put(o->libraries, prefix, libraries[i]);
        snprintf(path, sizeof path, "%s/libbreaker.so.0", o->libraries);
        if (access(path, R_OK) == 0)
            return true;
    }
    return false;
}

/* The program of Debian's redis-tools is the server when it is called so, and has no
 * service that would be started where it is installed. */
static void
find_redis(struct bench_options *o)
{
    static const char *const servers[] = {"/usr/bin/redis-server",
                                          "/usr/local/bin/redis-server",
                                          "/usr/bin/redis-check-rdb"};

    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        put(o->redis_server, servers[i], "");
        if (access(o->redis_server, X_OK) == 0)
            return;
    }
    o->redis_server[0] = '\0';
}

static bool
read_repeats(const char *text, unsigned *repeats)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 1 || value > SERIES_MAX)
        return false;
    *repeats = (unsigned)value;
    return true;
}

static int
complain(const char *what)
{
    fprintf(stderr, "breaker-bench: %s; see --help\n", what);
    return 2;
}

static int
take(struct bench_options *o, int option)
{
    switch (option) {
    case QUICK:
        o->is_quick = true;
        return -1;
    case ROWS:
        o->rows = optarg;
        return -1;
    case REPEAT:
        return read_repeats(optarg, &o->repeats)
                   ? -1
                   : complain("--repeats takes a number from 1 to 99");
    case JSON:
        o->is_json = true;
        return -1;
    case DOCS:
        o->docs = optarg;
        return -1;
    case LIST:
        o->is_list = true;
        return -1;
    case PREFIX:
        return use_prefix(o, optarg)
                   ? -1
                   : complain("no breakerd or no library under that prefix");
    case DAEMON:
        put(o->breakerd, optarg, "");
        return -1;
    case PEERS:
        put(o->peers, optarg, "");
        return -1;
    case HELP:
        fputs(help, stdout);
        return 0;
    default:
        return complain("wrong usage");
    }
}

int
options_read(struct bench_options *o, int argc, char **argv)
{
    int option;

    memset(o, 0, sizeof *o);
    put(o->breakerd, BENCH_BREAKERD, "");
    put(o->peers, BENCH_PEERS, "");
    find_redis(o);
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int status = take(o, option);

        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return complain("it takes no words but options");
    if (o->repeats == 0)
        o->repeats = o->is_quick ? QUICK_REPEATS : REPEATS;
    if (!o->is_list && access(o->breakerd, X_OK) != 0)
        return complain("there is no breakerd to measure");
    return -1;
}

bool
options_choose(const struct bench_options *o, const char *row)
{
    char patterns[512];
    char *rest = NULL;

    if (o->rows == NULL)
        return true;
    snprintf(patterns, sizeof patterns, "%s", o->rows);
    for (const char *one = strtok_r(patterns, ",", &rest); one != NULL;
         one = strtok_r(NULL, ",", &rest)) {
        if (fnmatch(one, row, 0) == 0)
            return true;
    }
    return false;
}
