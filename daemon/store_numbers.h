#ifndef STORE_NUMBERS_H
#define STORE_NUMBERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted of a service, as its row holds it: two columns, in each a JSON
 * object of names and numbers. */
#include "core/fleet.h"

enum store_column {
    STORE_COUNTERS, /* of its status */
    STORE_STATS     /* for metrics, zeros left out, and the time open */
};

#define STORE_COUNTERS_SIZE (BK_COUNTER_COUNT * 40 + 8)
#define STORE_STATS_SIZE ((BK_STAT_WORDS + 1) * (BK_STAT_KEY_SIZE + 24))

/* Writes an object of at most the size above. */
void store_numbers_put_counters(const struct bk_saved *saved,
                                struct bk_text *out);
void store_numbers_put_stats(const struct bk_saved *saved, struct bk_text *out);

/* Every name there is, made once for all rows that are read. */
#define STORE_NAMES (BK_COUNTER_COUNT + BK_STAT_WORDS + 1)
#define STORE_NAME_PLACES 1024 /* a power of two */
struct store_names {
    struct store_name {
        char text[BK_STAT_KEY_SIZE];
        size_t len;
        enum store_column column;
        size_t offset; /* within struct bk_saved */
    } names[STORE_NAMES];
    size_t count;
    uint16_t places[STORE_NAME_PLACES]; /* by hash: a name's number + 1, or 0 */
};
void store_names_init(struct store_names *n);

/* Takes a number in; a name that is none of the column's says nothing. */
void store_numbers_set(const struct store_names *n, enum store_column column,
                       const char *name, uint64_t value, struct bk_saved *out);
/* {"name":number,...} to the letter as it is written here; false for any other
 * text, of which some may have been taken in. Most of a start's time would go to
 * SQLite's reading of it. */
bool store_numbers_take(const struct store_names *n, enum store_column column,
                        const char *json, struct bk_saved *out);

#endif
