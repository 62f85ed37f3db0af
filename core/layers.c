/* SPDX-License-Identifier: Apache-2.0 */
#include "core/layers.h"
#include <string.h>

/* The first place whose name is not before `name`. */
static size_t
place_of(const struct bk_layers *l, const char *name)
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
is_at(const struct bk_layers *l, size_t place, const char *name)
{
    return place < l->count && strcmp(l->rows[place]->name, name) == 0;
}

struct bk_named_layer *
bk_layers_find(const struct bk_layers *l, const char *name)
{
    size_t place = place_of(l, name);

    return is_at(l, place, name) ? l->rows[place] : NULL;
}

static bool
make_room(struct bk_layers *l)
{
    size_t room = l->room == 0 ? 16 : 2 * l->room;
    struct bk_named_layer **rows;

    if (l->count < l->room)
        return true;
    rows = l->memory.resize(l->rows, room * sizeof(struct bk_named_layer *));
    if (rows == NULL)
        return false;
    l->rows = rows;
    l->room = room;
    return true;
}

struct bk_named_layer *
bk_layers_make(struct bk_layers *l, const char *name)
{
    size_t place = place_of(l, name);
    struct bk_named_layer *row;

    if (is_at(l, place, name))
        return l->rows[place];
    if (!make_room(l))
        return NULL;
    row = l->memory.resize(NULL, sizeof *row);
    if (row == NULL)
        return NULL;
    memset(row, 0, sizeof *row);
    bk_copy_text(row->name, sizeof row->name, name, strlen(name));
    memmove(&l->rows[place + 1], &l->rows[place],
            (l->count - place) * sizeof(struct bk_named_layer *));
    l->rows[place] = row;
    l->count++;
    return row;
}

void
bk_layers_remove(struct bk_layers *l, const char *name)
{
    size_t place = place_of(l, name);

    if (!is_at(l, place, name))
        return;
    l->memory.release(l->rows[place]);
    l->count--;
    memmove(&l->rows[place], &l->rows[place + 1],
            (l->count - place) * sizeof(struct bk_named_layer *));
}

void
bk_layers_clear(struct bk_layers *l)
{
    for (size_t i = 0; i < l->count; i++)
        l->memory.release(l->rows[i]);
    l->memory.release(l->rows);
    *l = (struct bk_layers){.memory = l->memory};
}

/* [defaults] may say requires = gateway; the gateway itself then requires
 * nothing. */
static void
drop_own_requirement(const char *name, struct bk_policy *policy,
                     uint8_t *origins)
{
    static const char key[] = "requires";

    if (strcmp(policy->requires_name, name) != 0)
        return;
    memset(policy->requires_name, 0, sizeof policy->requires_name);
    if (origins != NULL)
        origins[bk_key_find(key, sizeof key - 1)] = BK_FROM_BUILTIN;
}

void
bk_layers_effective(const struct bk_layer *const layers[BK_ORIGIN_COUNT],
                    const char *name, struct bk_policy *out, uint8_t *origins)
{
    if (origins != NULL)
        memset(origins, BK_FROM_BUILTIN, bk_key_count());
    bk_policy_defaults(out);
    for (int i = BK_FROM_BUILTIN + 1; i < BK_ORIGIN_COUNT; i++)
        bk_policy_overlay(out, layers[i], (enum bk_origin)i, origins);
    drop_own_requirement(name, out, origins);
}
