#ifndef BK_LAYERS_H
#define BK_LAYERS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of configuration by service name, in the order of the names, and what
 * comes of several of them. */
#include "core/policy.h"

/* The core has no heap: who keeps layers brings one, {realloc, free}. */
struct bk_memory {
    void *(*resize)(void *old, size_t size);
    void (*release)(void *old);
};

struct bk_named_layer {
    char name[BK_NAME_SIZE];
    uint32_t line; /* of the section in the file; 0 for a SET */
    struct bk_layer layer;
};

/* All zero but for `memory` is empty. */
struct bk_layers {
    struct bk_memory memory;
    struct bk_named_layer **rows;
    size_t count;
    size_t room;
};

/* NULL when there is none. */
struct bk_named_layer *bk_layers_find(const struct bk_layers *l,
                                      const char *name);
/* Finds or adds; NULL without memory. */
struct bk_named_layer *bk_layers_make(struct bk_layers *l, const char *name);
void bk_layers_remove(struct bk_layers *l, const char *name);
void bk_layers_clear(struct bk_layers *l);

/* What is effective for `name`: built-in values and over them, weakest first, one
 * layer for each origin (NULL is empty; there is none for built-in). `origins` is
 * one octet a key, or NULL. */
void bk_layers_effective(const struct bk_layer *const layers[BK_ORIGIN_COUNT],
                         const char *name, struct bk_policy *out,
                         uint8_t *origins);

#endif
