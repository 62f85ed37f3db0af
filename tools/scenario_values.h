#ifndef SCENARIO_VALUES_H
#define SCENARIO_VALUES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of a scenario on the bare state machine: layers as the
 * daemon lays them, strongest last. */
#include "core/wire.h"
#include "tools/scenario_file.h"

/* The layers that belong to one name. */
struct scenario_own {
    char name[BK_NAME_SIZE];
    bool has_section;
    struct bk_layer section;
    struct bk_layer set;
};

struct scenario_values {
    struct bk_layer defaults;
    struct bk_layer environment;
    struct scenario_own *own;
    size_t count;
};

/* False without memory; the values were checked when the file was read. */
bool scenario_values_init(struct scenario_values *v, const struct scenario *s);
void scenario_values_free(struct scenario_values *v);
/* A bk_policy_source; `values` is a struct scenario_values. */
bool scenario_values_source(void *values, const char *name,
                            struct bk_policy *out);
/* What an operator sets and unsets; false with a sentence. */
bool scenario_values_set(struct scenario_values *v, const char *name,
                         const struct bk_word *key, const struct bk_word *value,
                         struct bk_text *error);
bool scenario_values_unset(struct scenario_values *v, const char *name,
                           const struct bk_word *key, struct bk_text *error);
void scenario_values_forget(struct scenario_values *v, const char *name);

#endif
