#ifndef STORE_ROLL_H
#define STORE_ROLL_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that have a row of services, read ahead: who knows all of them need not
 * read the rows. */
#include "daemon/store_file.h"

/* All zero: nothing is known. */
struct store_roll {
    char *names; /* each ends with a NUL, behind one another */
    size_t octets;
    bool is_whole; /* it has every row's name */
};

/* What cannot be read leaves it less than whole: the rows will say why. */
void store_roll_read(struct store_roll *roll, struct store_file *f);
void store_roll_free(struct store_roll *roll);
/* Is there a row, or may there be one, that the reader wants? */
bool store_roll_has_wanted(const struct store_roll *roll,
                           const struct store_reader *reader);

#endif
