#ifndef CONFIGS_H
#define CONFIGS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file in a directory of its own. */
#include "daemon/config.h"
#include "unit.h"

extern char directory[64];
extern char path[96];    /* of the file */
extern char words[1024]; /* what was said last */

/* cmocka's setup and teardown. */
int begin(void **state);
int end(void **state);

void write_file(const char *octets, size_t len);
void write_text(const char *text);
struct config *open_path(const char *file);
/* A configuration out of a text that must be good. */
struct config *good(const char *text);
/* The sentence without the path in front of it. */
void assert_refused(const char *sentence);
void bad(const char *text, const char *sentence);

#endif
