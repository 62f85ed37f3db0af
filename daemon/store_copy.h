#ifndef STORE_COPY_H
#define STORE_COPY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy of the database, written a piece at a time beside everything else and
 * given its name when it is whole. The store's thread alone. */
#include "daemon/store_file.h"

/* All zero: none is being written. */
struct store_copy {
    sqlite3 *to;
    sqlite3_backup *backup;
    struct store_ask ask; /* what it answers */
    char temporary[STORE_PATH_SIZE + 8];
};

bool store_copy_is_running(const struct store_copy *c);
/* False and a sentence when it cannot begin. */
bool store_copy_begin(struct store_copy *c, struct store_file *f,
                      const struct store_ask *ask, struct bk_text *error);
/* Writes a piece. True when that was the end: `*json` (free it) is its document,
 * or NULL with a sentence. store_copy_drop follows. */
bool store_copy_step(struct store_copy *c, char **json, struct bk_text *error);
/* Forgets it, and removes what has no name yet. Before the file it is made from
 * is closed. */
void store_copy_drop(struct store_copy *c);

#endif
