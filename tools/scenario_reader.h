#ifndef SCENARIO_READER_H
#define SCENARIO_READER_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of a scenario's lines share: the line at hand, its words,
 * and the sentence that refuses it. */
#include "tools/scenario_file.h"

struct scenario_reader {
    struct scenario *scenario;
    struct bk_text *error;
    unsigned line;
    char *words[SCENARIO_WORDS_MAX];
    size_t count;
    size_t arrow; /* where "->" stands, or `count` */
};

/* Writes "FILE:LINE: words" and returns false. */
__attribute__((format(printf, 2, 3))) bool
scenario_refuse(struct scenario_reader *r, const char *format, ...);

/* Appends a zeroed element of `size` octets; NULL (and refused) without
 * memory. */
void *scenario_append(struct scenario_reader *r, void **array, size_t *count,
                      size_t size);

/* Notes that a word is used as a service's (or route's) name, or as the NAME of
 * a permit or token; refuses a word used as both. */
bool scenario_use(struct scenario_reader *r, const char *word, bool is_name);
/* True when an earlier `as` gave this name. */
bool scenario_is_name(const struct scenario *s, const char *word);

/* Reads the words up to the arrow as a step (scenario_step.c). */
bool scenario_read_step(struct scenario_reader *r);
/* Reads the words up to the arrow as a declaration; *is_one tells whether it
 * was one (scenario_declare.c). */
bool scenario_read_declaration(struct scenario_reader *r, bool *is_one);

#endif
