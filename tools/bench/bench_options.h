#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H
/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#define OPTIONS_PATH_SIZE 256

struct bench_options {
    bool is_quick;
    bool is_json;
    bool is_list;
    unsigned repeats;
    const char *rows; /* patterns with commas between them; NULL: all */
    const char *docs; /* write documents into this folder; NULL: do not */
    char breakerd[OPTIONS_PATH_SIZE];
    char peers[OPTIONS_PATH_SIZE]; /* the folder they lie in */
    char
        libraries[OPTIONS_PATH_SIZE]; /* where libbreaker lies; "": as linked */
    char redis_server[OPTIONS_PATH_SIZE]; /* by whatever name; "": none */
};

/* -1: go on. Else the exit status: help was printed, or something is wrong. */
int options_read(struct bench_options *o, int argc, char **argv);
/* Does the name fit one of the patterns? */
bool options_choose(const struct bench_options *o, const char *row);

#endif
