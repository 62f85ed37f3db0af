#ifndef CLIENT_TRUST_H
#define CLIENT_TRUST_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes a segment believable before a verdict is taken from it. */
#include "client/cause.h"
#include "core/segment.h"
#include <sys/stat.h>

/* NULL, or a clause that says what is wrong with the file's owner, mode or kind,
 * given its directory's. */
const char *trust_file(const struct stat *file, const struct stat *dir);
/* CAUSE_NONE, or why (with a clause) its content is not for us: not ready, of
 * another boot, of another time namespace. */
enum cause_code trust_header(const struct bk_segment_header *header,
                             const char **why);

#endif
