#ifndef CTL_BACKUP_H
#define CTL_BACKUP_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy of a database that no daemon has open. */
#include "tools/ctl_args.h"
#include <stddef.h>

/* Copies the database at `from` to `to` (a path from the root), whole and on disk
 * or not at all; `*bytes` is its size. Anything but CTL_DONE has been explained on
 * stderr. */
enum ctl_exit backup_file(const char *from, const char *to, bool may_replace,
                          uint64_t *bytes);

#endif
