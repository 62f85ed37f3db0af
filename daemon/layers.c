/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/layers.h"
#include <stdlib.h>
#include <string.h>

/* The first place whose name is not before `name`. */
static size_t
place_of(const struct layers *l, const char *name)
{
    size_t low = 0;
    size_t high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(l->rows[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
is_at(const struct layers *l, size_t place, const char *name)
{
    return place < l->count && strcmp(l->rows[place]->name, name) == 0;
}

struct named_layer *
layers_find(const struct layers *l, const char *name)
{
    size_t place = place_of(l, name);

    return is_at(l, place, name) ? l->rows[place] : NULL;
}

static bool
make_room(struct layers *l)
{
    size_t room = l->room == 0 ? 16 : 2 * l->room;
    struct named_layer **rows;

    if (l->count < l->room)
        return true;
    rows = realloc(l->rows, room * sizeof(struct named_layer *));
    if (rows == NULL)
        return false;
    l->rows = rows;
    l->room = room;
    return true;
}

struct named_layer *
layers_make(struct layers *l, const char *name)
{
    size_t place = place_of(l, name);
    struct named_layer *row;

    if (is_at(l, place, name))
        return l->rows[place];
    row = calloc(1, sizeof *row);
    if (row == NULL || !make_room(l)) {
        free(row);
        return NULL;
    }
    bk_copy_text(row->name, sizeof row->name, name, strlen(name));
    memmove(&l->rows[place + 1], &l->rows[place],
            (l->count - place) * sizeof(struct named_layer *));
    l->rows[place] = row;
    l->count++;
    return row;
}

void
layers_remove(struct layers *l, const char *name)
{
    size_t place = place_of(l, name);

    if (!is_at(l, place, name))
        return;
    free(l->rows[place]);
    l->count--;
    memmove(&l->rows[place], &l->rows[place + 1],
            (l->count - place) * sizeof(struct named_layer *));
}

void
layers_clear(struct layers *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->rows[i]);
    free(l->rows);
    memset(l, 0, sizeof *l);
}
