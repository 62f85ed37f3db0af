/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config_section.h"
#include <string.h>

void
bk_config_file_init(struct bk_config_file *f, struct bk_memory memory)
{
    memset(f, 0, sizeof *f);
    f->services.memory = memory;
    f->daemon.max_services = BK_CONFIG_SERVICES_DEFAULT;
}

void
bk_config_file_fini(struct bk_config_file *f)
{
    bk_layers_clear(&f->services);
}

uint32_t
bk_config_file_route_index(const struct bk_config_file *f, const char *name)
{
    uint32_t index = 0;

    while (index < f->route_count && strcmp(f->routes[index].name, name) != 0)
        index++;
    return index;
}

const struct bk_route *
bk_config_file_route(const struct bk_config_file *f, const char *name)
{
    uint32_t index = bk_config_file_route_index(f, name);

    return index < f->route_count ? &f->routes[index] : NULL;
}

static bool
read_line(struct bk_config_reader *r, const char *at, size_t len)
{
    struct bk_ini_line line;

    if (len > BK_CONFIG_LINE_MAX)
        return bk_config_refuse(r, r->line, "the line is longer than %d octets",
                                BK_CONFIG_LINE_MAX);
    if (memchr(at, '\0', len) != NULL)
        return bk_config_refuse(r, r->line, "the line holds a NUL octet");
    line = bk_ini_read(at, len);
    switch (line.kind) {
    case BK_INI_BLANK:
        return true;
    case BK_INI_SECTION:
        return bk_config_section_enter(r, &line);
    case BK_INI_PAIR:
        return bk_config_section_pair(r, &line);
    case BK_INI_BAD:
        break;
    }
    return bk_config_refuse(r, r->line, "%s", line.why);
}

/* Which of its names makes a route's name a service's as well; NULL: none. */
static const char *
why_a_service(const struct bk_config_file *f, const char *name)
{
    if (bk_layers_find(&f->services, name) != NULL)
        return "a [service] section";
    for (uint32_t i = 0; i < f->route_count; i++) {
        for (uint32_t k = 0; k < f->routes[i].count; k++) {
            if (strcmp(f->routes[i].members[k], name) == 0)
                return f->routes[i].name;
        }
    }
    return NULL;
}

/* What can only be seen when all has been read. */
static bool
check_routes(struct bk_config_reader *r)
{
    const struct bk_config_file *f = r->file;

    for (uint32_t i = 0; i < f->route_count; i++) {
        const char *name = f->routes[i].name;
        const char *why = why_a_service(f, name);

        if (why != NULL)
            return bk_config_refuse(r, f->route_lines[i],
                                    "route %s has a service's name (see %s)",
                                    name, why);
    }
    return true;
}

static bool
check_services(struct bk_config_reader *r)
{
    const struct bk_config_file *f = r->file;

    for (size_t i = 0; i < f->services.count; i++) {
        const struct bk_named_layer *row = f->services.rows[i];
        const char *name = row->layer.values.requires_name;

        if (name[0] != '\0' && bk_config_file_route(f, name) != NULL)
            return bk_config_refuse(
                r, row->line, "%s requires %s, which is a route and no service",
                row->name, name);
        if (i >= f->daemon.max_services)
            return bk_config_refuse(
                r, row->line, "there are %zu services but max_services is %u",
                f->services.count, f->daemon.max_services);
    }
    if (bk_config_file_route(f, f->defaults.values.requires_name) != NULL)
        return bk_config_refuse(
            r, r->section_lines[BK_CONFIG_DEFAULTS],
            "requires = %s names a route, which is no service",
            f->defaults.values.requires_name);
    return true;
}

static bool
read_all(struct bk_config_reader *r, const char *at, size_t len)
{
    while (len > 0) {
        const char *end = memchr(at, '\n', len);
        size_t line_len = end != NULL ? (size_t)(end - at) : len;

        r->line++;
        if (!read_line(r, at, line_len))
            return false;
        if (end == NULL)
            break;
        at += line_len + 1;
        len -= line_len + 1;
    }
    return bk_config_section_leave(r) && check_routes(r) && check_services(r);
}

bool
bk_config_file_read(struct bk_config_file *f, const char *path,
                    const char *text, size_t len, struct bk_text *error)
{
    struct bk_config_reader r = {.file = f, .path = path, .error = error};

    if (len > BK_CONFIG_FILE_MAX)
        return bk_config_refuse(&r, 0, "is larger than %d octets",
                                BK_CONFIG_FILE_MAX);
    return read_all(&r, text, len);
}
