#ifndef LINES_H
#define LINES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Request lines under test. */
#include "core/wire.h"

extern struct bk_request request; /* the last line read */

/* Reads a line that must be a sound request. */
void accept_line(const char *line);
void accept_joined(const char *start, const char *end);
/* NULL: the word must not be there. */
void expect(struct bk_word word, const char *want);

#endif
