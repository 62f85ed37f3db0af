/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_roll.h"
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST ((size_t)64 << 10)
_Static_assert(ROOM_LEAST >= BK_NAME_SIZE, "a name fits");

static bool
make_room(struct store_roll *roll, size_t *room)
{
    if (*room - roll->octets >= BK_NAME_SIZE)
        return true;
    size_t more = *room == 0 ? ROOM_LEAST : 2 * *room;
    char *names = realloc(roll->names, more);

    if (names == NULL)
        return false;
    roll->names = names;
    *room = more;
    return true;
}

/* False for a name that none of ours has. */
static bool
add_name(struct store_roll *roll, size_t *room, sqlite3_stmt *st)
{
    const char *name = (const char *)sqlite3_column_text(st, 0);
    size_t len = (size_t)sqlite3_column_bytes(st, 0);

    if (name == NULL || !bk_name_is_valid(name, len) || !make_room(roll, room))
        return false;
    memcpy(roll->names + roll->octets, name, len + 1);
    roll->octets += len + 1;
    return true;
}

void
store_roll_read(struct store_roll *roll, struct store_file *f)
{
    sqlite3_stmt *st;
    size_t room = 0;
    size_t count = 0;
    int code;

    if (sqlite3_prepare_v2(f->db, "SELECT name FROM services", -1, &st, NULL) !=
        SQLITE_OK)
        return;
    while ((code = sqlite3_step(st)) == SQLITE_ROW && count < STORE_NAMES_MAX &&
           add_name(roll, &room, st))
        count++;
    roll->is_whole = code == SQLITE_DONE;
    (void)sqlite3_finalize(st);
}

void
store_roll_free(struct store_roll *roll)
{
    free(roll->names);
    memset(roll, 0, sizeof *roll);
}

bool
store_roll_has_wanted(const struct store_roll *roll,
                      const struct store_reader *reader)
{
    if (!roll->is_whole || reader->wants == NULL)
        return true;
    for (size_t at = 0; at < roll->octets; at += strlen(roll->names + at) + 1) {
        if (reader->wants(reader->context, roll->names + at))
            return true;
    }
    return false;
}
