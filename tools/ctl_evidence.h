#ifndef CTL_EVIDENCE_H
#define CTL_EVIDENCE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The outcomes that count against a service, as a person reads them. */
#include <jansson.h>
#include <stdbool.h>

/* Prints the array `evidence` of a status document as a table, newest first as
 * it comes; nothing when it is empty. An empty line before it when asked for. */
void evidence_print(const json_t *evidence, bool has_gap);

#endif
