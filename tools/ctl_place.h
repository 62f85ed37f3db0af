#ifndef CTL_PLACE_H
#define CTL_PLACE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an instance is: its runtime directory, found as clients find it, and
 * its database. Every path tried is remembered, to be named when none answers. */
#include "core/text.h"

#define PLACE_PATH_SIZE 512
#define PLACE_TRIES 3
/* Who is in it may use the sockets of workers and the shared memory. */
#define PLACE_GROUP "breakerd"

struct place_try {
    char dir[PLACE_PATH_SIZE];
    const char *origin; /* how we came to look there */
    bool is_there;
    const char *trouble; /* why not taken; NULL when it was */
};

struct place {
    struct place_try tries[PLACE_TRIES];
    size_t count;
    const char *dir;   /* the one taken; NULL when none can be used */
    bool is_forbidden; /* one may be there, but this user may not look */
};

/* Finds the directory: `option` (may be NULL), $BREAKERD_DIR, or the first that
 * exists of the usual ones. */
void place_find(struct place *p, const char *option);
/* DIR/NAME of the directory taken. False when it does not fit. */
bool place_file(const struct place *p, const char *name,
                char out[PLACE_PATH_SIZE]);
/* All paths tried and what came of each, on one line. */
void place_tell(const struct place *p, struct bk_text *out);
/* What helps somebody who may not use the file: whose it is, which group. */
void place_remedy(const char *path, struct bk_text *out);
/* The database file: `option` (may be NULL) or where breakerd keeps it. */
bool place_database(const char *option, char out[PLACE_PATH_SIZE]);

#endif
