#ifndef CTL_HISTORY_FILTER_H
#define CTL_HISTORY_FILTER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Which lines of the history an operator wants to see. */
#include "tools/ctl_args.h"
#include <jansson.h>

#define HISTORY_INSTANT_SIZE 40

struct history_filter {
    const struct ctl *c;
    char since[HISTORY_INSTANT_SIZE]; /* as rows write it; "": any time */
    bool is_any;                      /* every line will do */
};

/* Takes the options; CTL_USAGE with a sentence for a word or time that is none. */
enum ctl_exit history_filter_init(struct history_filter *f,
                                  const struct ctl *c);
bool history_filter_matches(const struct history_filter *f, const json_t *row);
/* Nothing older than this row can match. */
bool history_filter_is_past(const struct history_filter *f, const json_t *row);

#endif
