/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"
#include "daemon/config_load.h"
#include "daemon/log.h"
#include <stdlib.h>
#include <string.h>

/* Octets of one value as the file would write it. */
#define VALUE_SIZE (BK_URL_SIZE + 1)

struct config {
    char *path; /* NULL: no file */
    struct bk_config_file file;
    struct bk_layer environment;
    struct bk_layers settings; /* by SET */
    struct bk_policy plain;    /* of a name that nothing is said of */
};

static const struct bk_memory heap = {realloc, free};

static bool
read_environment(struct bk_layer *layer, struct bk_text *error)
{
    for (size_t row = 0; row < bk_env_count(); row++) {
        const char *value = getenv(bk_env_name(row));

        if (value != NULL && !bk_layer_set_env(layer, row, value, error))
            return false;
    }
    return true;
}

/* Most services are such: what the keys say is read once, not for each of them. */
static void
work_out_plain(struct config *c)
{
    const struct bk_layer *layers[BK_ORIGIN_COUNT] = {
        [BK_FROM_DEFAULTS] = &c->file.defaults,
        [BK_FROM_ENVIRONMENT] = &c->environment,
    };

    bk_layers_effective(layers, "", &c->plain, NULL);
}

struct config *
config_open(const char *path, struct bk_text *error)
{
    struct config *c = calloc(1, sizeof *c);

    if (c == NULL) {
        bk_text_put(error, "configuration: out of memory");
        return NULL;
    }
    bk_config_file_init(&c->file, heap);
    c->settings.memory = heap;
    c->path = path != NULL ? strdup(path) : NULL;
    if (path != NULL && c->path == NULL) {
        bk_text_put(error, "configuration: out of memory");
        config_close(&c);
        return NULL;
    }
    if (!read_environment(&c->environment, error) ||
        (path != NULL && !config_load(&c->file, path, error)))
        config_close(&c);
    else
        work_out_plain(c);
    return c;
}

void
config_close(struct config **c)
{
    if (*c == NULL)
        return;
    bk_config_file_fini(&(*c)->file);
    bk_layers_clear(&(*c)->settings);
    free((*c)->path);
    free(*c);
    *c = NULL;
}

/* A name that operators SET values for is a service's; a new file may not make
 * a route of it. */
static bool
suits_settings(const struct config *c, const struct bk_config_file *file,
               struct bk_text *error)
{
    for (uint32_t i = 0; i < file->route_count; i++) {
        const char *name = file->routes[i].name;

        if (bk_layers_find(&c->settings, name) == NULL)
            continue;
        bk_text_put(error, c->path);
        bk_text_put_char(error, ':');
        bk_text_put_u64(error, file->route_lines[i]);
        bk_text_put(error, ": route ");
        bk_text_put(error, name);
        bk_text_put(error, " has a service's name (it has SET values)");
        return false;
    }
    return true;
}

/* Tables are as large as they were made at start. */
static bool
suits_limits(const struct config *c, struct bk_config_file *file,
             struct bk_text *error)
{
    uint32_t limit = c->file.daemon.max_services;

    if (file->services.count > limit) {
        bk_text_put(error, c->path);
        bk_text_put(error, ": there are ");
        bk_text_put_u64(error, file->services.count);
        bk_text_put(error, " services but max_services was ");
        bk_text_put_u64(error, limit);
        bk_text_put(error, " at start");
        return false;
    }
    if (file->daemon.max_services != limit)
        log_line(LOG_WARNING,
                 "max_services is read at start only, %u stays in force",
                 limit);
    file->daemon.max_services = limit;
    return true;
}

bool
config_reload(struct config *c, struct bk_text *error)
{
    struct bk_config_file *file;
    bool is_good;

    if (c->path == NULL)
        return true;
    file = malloc(sizeof *file);
    if (file == NULL) {
        bk_text_put(error, "configuration: out of memory");
        return false;
    }
    bk_config_file_init(file, heap);
    is_good = config_load(file, c->path, error) &&
              suits_settings(c, file, error) && suits_limits(c, file, error);
    if (is_good) {
        bk_config_file_fini(&c->file);
        c->file = *file;
        work_out_plain(c);
    } else {
        bk_config_file_fini(file);
    }
    free(file);
    return is_good;
}

const struct bk_config_daemon *
config_of_daemon(const struct config *c)
{
    return &c->file.daemon;
}

bool
config_effective(const struct config *c, const char *name,
                 struct bk_policy *out, uint8_t *origins)
{
    const struct bk_named_layer *section =
        bk_layers_find(&c->file.services, name);
    const struct bk_named_layer *setting = bk_layers_find(&c->settings, name);

    const struct bk_layer *layers[BK_ORIGIN_COUNT] = {
        [BK_FROM_DEFAULTS] = &c->file.defaults,
        [BK_FROM_ENVIRONMENT] = &c->environment,
        [BK_FROM_SERVICE] = section != NULL ? &section->layer : NULL,
        [BK_FROM_SET] = setting != NULL ? &setting->layer : NULL,
    };

    bk_layers_effective(layers, name, out, origins);
    return section != NULL || setting != NULL;
}

bool
config_source(void *config, const char *name, struct bk_policy *out)
{
    const struct config *c = config;

    /* A name may be what it would require itself; see bk_layers_effective. */
    if (bk_layers_find(&c->file.services, name) == NULL &&
        bk_layers_find(&c->settings, name) == NULL &&
        strcmp(c->plain.requires_name, name) != 0) {
        *out = c->plain;
        return false;
    }
    return config_effective(config, name, out, NULL);
}

static bool
check_requirement(const struct config *c, const char *service,
                  const struct bk_layer *layer, struct bk_text *error)
{
    const char *name = layer->values.requires_name;

    if (strcmp(name, service) == 0) {
        bk_text_put(error, service);
        bk_text_put(error, " cannot require itself");
        return false;
    }
    if (bk_config_file_route(&c->file, name) != NULL) {
        bk_text_put(error, name);
        bk_text_put(error, " is a route and no service");
        return false;
    }
    return true;
}

bool
config_set(struct config *c, const char *service, const char *key,
           size_t key_len, const char *value, size_t value_len,
           struct bk_text *error)
{
    const struct bk_named_layer *old = bk_layers_find(&c->settings, service);
    struct bk_named_layer *row;
    struct bk_layer layer = {.has = 0};

    if (old != NULL)
        layer = old->layer;
    else if (bk_config_file_route(&c->file, service) != NULL) {
        bk_text_put(error, service);
        bk_text_put(error, " is a route and no service");
        return false;
    }
    if (!bk_layer_set(&layer, key, key_len, value, value_len, error) ||
        !check_requirement(c, service, &layer, error))
        return false;
    row = old == NULL && c->settings.count >= BK_CONFIG_SERVICES_MAX
              ? NULL
              : bk_layers_make(&c->settings, service);
    if (row == NULL) {
        bk_text_put(error, "no room for another service's values");
        return false;
    }
    row->layer = layer;
    return true;
}

bool
config_unset(struct config *c, const char *service, const char *key,
             size_t key_len, struct bk_text *error)
{
    struct bk_named_layer *row = bk_layers_find(&c->settings, service);
    int found = bk_key_find(key, key_len);

    if (found < 0) {
        struct bk_layer scratch = {.has = 0};

        return bk_layer_set(&scratch, key, key_len, "", 0, error);
    }
    if (row == NULL)
        return true;
    bk_layer_unset(&row->layer, (size_t)found);
    if (strcmp(bk_key_name((size_t)found), "requires") == 0)
        memset(row->layer.values.requires_name, 0, BK_NAME_SIZE);
    if (row->layer.has == 0)
        bk_layers_remove(&c->settings, service);
    return true;
}

void
config_forget(struct config *c, const char *service)
{
    bk_layers_remove(&c->settings, service);
}

void
config_each_service(const struct config *c,
                    void (*visit)(void *context, const char *name),
                    void *context)
{
    for (size_t i = 0; i < c->file.services.count; i++)
        visit(context, c->file.services.rows[i]->name);
    for (size_t i = 0; i < c->settings.count; i++) {
        const char *name = c->settings.rows[i]->name;

        if (bk_layers_find(&c->file.services, name) == NULL)
            visit(context, name);
    }
}

static void
visit_layer(const struct bk_named_layer *row,
            void (*visit)(void *context, const char *service, const char *key,
                          const char *value),
            void *context)
{
    for (size_t key = 0; key < bk_key_count(); key++) {
        char value[VALUE_SIZE];
        struct bk_text text;

        if ((row->layer.has >> key & 1) == 0)
            continue;
        bk_text_init(&text, value, sizeof value);
        bk_policy_print(&row->layer.values, key, &text);
        visit(context, row->name, bk_key_name(key), value);
    }
}

void
config_each_setting(const struct config *c,
                    void (*visit)(void *context, const char *service,
                                  const char *key, const char *value),
                    void *context)
{
    for (size_t i = 0; i < c->settings.count; i++)
        visit_layer(c->settings.rows[i], visit, context);
}

const struct bk_route *
config_routes(const struct config *c, uint32_t *count)
{
    *count = c->file.route_count;
    return c->file.routes;
}

const struct bk_webhook *
config_webhooks(const struct config *c, uint32_t *count)
{
    *count = c->file.webhook_count;
    return c->file.webhooks;
}
