#ifndef SHRINK_H
#define SHRINK_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * From a long history that ends in a disagreement to a short one that still
 * does. */
#include "tests/model/play.h"

/* Takes out of `stream` what the disagreement does not need. */
void shrink(struct play *p, struct stream *stream);
/* Plays the stream and writes it down; false when all agree. */
bool shrink_tell(struct play *p, const struct stream *stream, FILE *out);

#endif
