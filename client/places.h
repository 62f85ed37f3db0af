#ifndef CLIENT_PLACES_H
#define CLIENT_PLACES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an instance may live: the runtime directories a worker tries, in order. */
#include "client/cause.h"

#define PLACES_MAX 3
#define PLACE_SIZE 4096

struct places {
    char *tried[PLACES_MAX]; /* own copies */
    uint32_t count;
    uint32_t must_own; /* bit i: believed only when we own it */
};

/* Reads the environment once. `dir` NULL: $BREAKERD_DIR, else the list. False:
 * no memory, or a path longer than PLACE_SIZE - 1. */
bool places_init(struct places *p, const char *dir);
void places_fini(struct places *p);
/* The first that exists, NULL (and the cause) when none does. */
const char *places_choose(const struct places *p, struct cause *cause);

#endif
