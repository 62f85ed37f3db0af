#ifndef CTL_JSON_H
#define CTL_JSON_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the daemon's documents without fear of what is missing in them. */
#include <jansson.h>
#include <stdint.h>

/* The text of a member, `otherwise` when it is no text. */
const char *ctl_json_word(const json_t *row, const char *key,
                          const char *otherwise);
/* The number of a member, 0 when it is none or negative. */
uint64_t ctl_json_number(const json_t *row, const char *key);
/* Prints a document on one line of stdout. */
void ctl_json_print(const json_t *json);

#endif
