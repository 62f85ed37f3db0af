/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of configuration by name. */
#include "tools/scenario_values.h"
#include <stdlib.h>
#include <string.h>

static struct scenario_own *
find(const struct scenario_values *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->own[i].name, name) == 0) {
            return &v->own[i];
        }
    }
    return NULL;
}

static struct scenario_own *
find_or_add(struct scenario_values *v, const char *name)
{
    struct scenario_own *own = find(v, name);
    if (own != NULL) {
        return own;
    }
    own = realloc(v->own, (v->count + 1) * sizeof(*own));
    if (own == NULL) {
        return NULL;
    }
    v->own = own;
    own = &v->own[v->count++];
    memset(own, 0, sizeof(*own));
    bk_copy_text(own->name, sizeof(own->name), name, strlen(name));
    return own;
}

static bool
set_env(struct bk_layer *layer, const struct scenario_setting *setting,
        struct bk_text *error)
{
    for (size_t row = 0; row < bk_env_count(); row++) {
        if (strcmp(bk_env_name(row), setting->key) == 0) {
            return bk_layer_set_env(layer, row, setting->value, error);
        }
    }
    return false;
}

static bool
take(struct scenario_values *v, const struct scenario_setting *setting)
{
    char why[200];
    struct bk_text error;
    bk_text_init(&error, why, sizeof(why));
    struct bk_layer *layer = &v->defaults;
    if (setting->scope == SCENARIO_ENVIRONMENT) {
        return set_env(&v->environment, setting, &error);
    }
    if (setting->scope == SCENARIO_SERVICE) {
        struct scenario_own *own = find_or_add(v, setting->name);
        if (own == NULL) {
            return false;
        }
        own->has_section = true;
        layer = &own->section;
    }
    return setting->key == NULL ||
           bk_layer_set(layer, setting->key, strlen(setting->key),
                        setting->value, strlen(setting->value), &error);
}

bool
scenario_values_init(struct scenario_values *v, const struct scenario *s)
{
    *v = (struct scenario_values){0};
    for (size_t i = 0; i < s->setting_count; i++) {
        if (!take(v, &s->settings[i])) {
            scenario_values_free(v);
            return false;
        }
    }
    return true;
}

void
scenario_values_free(struct scenario_values *v)
{
    free(v->own);
    *v = (struct scenario_values){0};
}

bool
scenario_values_source(void *values, const char *name, struct bk_policy *out)
{
    const struct scenario_values *v = values;
    const struct scenario_own *own = find(v, name);
    bk_policy_defaults(out);
    bk_policy_overlay(out, &v->defaults, BK_FROM_DEFAULTS, NULL);
    bk_policy_overlay(out, &v->environment, BK_FROM_ENVIRONMENT, NULL);
    if (own == NULL) {
        return false;
    }
    bk_policy_overlay(out, &own->section, BK_FROM_SERVICE, NULL);
    bk_policy_overlay(out, &own->set, BK_FROM_SET, NULL);
    return own->has_section || own->set.has != 0;
}

bool
scenario_values_set(struct scenario_values *v, const char *name,
                    const struct bk_word *key, const struct bk_word *value,
                    struct bk_text *error)
{
    if (bk_is(key->at, key->len, "requires") &&
        bk_is(value->at, value->len, name)) {
        bk_text_put(error, "a service cannot require itself");
        return false;
    }
    struct bk_layer trial = {0};
    if (!bk_layer_set(&trial, key->at, key->len, value->at, value->len,
                      error)) {
        return false;
    }
    struct scenario_own *own = find_or_add(v, name);
    if (own == NULL) {
        bk_text_put(error, "out of memory");
        return false;
    }
    return bk_layer_set(&own->set, key->at, key->len, value->at, value->len,
                        error);
}

bool
scenario_values_unset(struct scenario_values *v, const char *name,
                      const struct bk_word *key, struct bk_text *error)
{
    int row = bk_key_find(key->at, key->len);
    struct scenario_own *own = find(v, name);
    if (row < 0) {
        bk_text_put(error, "there is no key ");
        bk_text_put_n(error, key->at, key->len);
        return false;
    }
    if (own != NULL) {
        bk_layer_unset(&own->set, (size_t)row);
    }
    return true;
}

void
scenario_values_forget(struct scenario_values *v, const char *name)
{
    struct scenario_own *own = find(v, name);
    if (own != NULL) {
        own->set = (struct bk_layer){0};
    }
}
