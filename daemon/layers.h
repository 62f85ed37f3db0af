#ifndef LAYERS_H
#define LAYERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of configuration by service name, in the order of the names. */
#include "core/policy.h"

struct named_layer {
    char name[BK_NAME_SIZE];
    uint32_t line; /* of the section in the file; 0 for a SET */
    struct bk_layer layer;
};

/* All zero is empty. */
struct layers {
    struct named_layer **rows;
    size_t count;
    size_t room;
};

/* NULL when there is none. */
struct named_layer *layers_find(const struct layers *l, const char *name);
/* Finds or adds; NULL without memory. */
struct named_layer *layers_make(struct layers *l, const char *name);
void layers_remove(struct layers *l, const char *name);
void layers_clear(struct layers *l);

#endif
