/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config_section.h"
#include "core/bug.h"
#include "core/config_webhook.h"
#include "core/format.h"
#include <limits.h>
#include <string.h>

static const struct {
    const char *kind;
    const char *written;
    bool has_name;
} sections[BK_CONFIG_SECTION_COUNT] = {
    [BK_CONFIG_NOWHERE] = {"", "", false},
    [BK_CONFIG_DEFAULTS] = {"defaults", "[defaults]", false},
    [BK_CONFIG_DAEMON] = {"daemon", "[daemon]", false},
    [BK_CONFIG_SERVICE] = {"service", "[service NAME]", true},
    [BK_CONFIG_ROUTE] = {"route", "[route NAME]", true},
    [BK_CONFIG_WEBHOOK] = {"webhook", "[webhook NAME]", true},
};

bool
bk_config_refuse(struct bk_config_reader *r, uint32_t line, const char *format,
                 ...)
{
    va_list args;

    bk_text_put(r->error, r->path);
    if (line > 0) {
        bk_text_put_char(r->error, ':');
        bk_text_put_u64(r->error, line);
    }
    bk_text_put(r->error, ": ");
    va_start(args, format);
    bk_text_format(r->error, format, args);
    va_end(args);
    return false;
}

/* The section a misspelt one is nearest to. */
static const char *
nearest_section(struct bk_word kind)
{
    unsigned best = UINT_MAX;
    const char *found = sections[BK_CONFIG_SERVICE].written;

    for (int i = BK_CONFIG_DEFAULTS; i < BK_CONFIG_SECTION_COUNT; i++) {
        unsigned far = bk_edit_distance(kind.at, kind.len, sections[i].kind);

        if (far < best) {
            best = far;
            found = sections[i].written;
        }
    }
    return found;
}

static enum bk_config_section
find_section(struct bk_word kind)
{
    for (int i = BK_CONFIG_DEFAULTS; i < BK_CONFIG_SECTION_COUNT; i++) {
        if (bk_is(kind.at, kind.len, sections[i].kind))
            return (enum bk_config_section)i;
    }
    return BK_CONFIG_NOWHERE;
}

static bool
enter_service(struct bk_config_reader *r, const char *name)
{
    struct bk_named_layer *row = bk_layers_find(&r->file->services, name);

    if (row != NULL)
        return bk_config_refuse(
            r, r->line, "[service %s] is already at line %u", name, row->line);
    if (r->file->services.count >= BK_CONFIG_SERVICES_MAX)
        return bk_config_refuse(r, r->line, "there are more than %d services",
                                BK_CONFIG_SERVICES_MAX);
    row = bk_layers_make(&r->file->services, name);
    if (row == NULL)
        return bk_config_refuse(r, r->line, "out of memory");
    row->line = r->line;
    r->layer = &row->layer;
    r->service = row->name;
    return true;
}

static bool
enter_route(struct bk_config_reader *r, const char *name)
{
    struct bk_config_file *f = r->file;
    uint32_t index = bk_config_file_route_index(f, name);

    if (index < f->route_count)
        return bk_config_refuse(r, r->line, "[route %s] is already at line %u",
                                name, f->route_lines[index]);
    if (f->route_count >= BK_CONFIG_ROUTES_MAX)
        return bk_config_refuse(r, r->line, "there are more than %d routes",
                                BK_CONFIG_ROUTES_MAX);
    bk_copy_text(f->routes[f->route_count].name, BK_NAME_SIZE, name,
                 strlen(name));
    f->route_lines[f->route_count] = r->line;
    f->route_count++;
    return true;
}

/* A section ends: it must be whole. */
bool
bk_config_section_leave(struct bk_config_reader *r)
{
    const struct bk_config_file *f = r->file;

    if (r->section == BK_CONFIG_ROUTE &&
        f->routes[f->route_count - 1].count == 0)
        return bk_config_refuse(r, f->route_lines[f->route_count - 1],
                                "[route %s] needs services = a, b, c",
                                f->routes[f->route_count - 1].name);
    return r->section != BK_CONFIG_WEBHOOK || bk_config_webhook_leave(r);
}

static bool
enter_named(struct bk_config_reader *r, struct bk_word word)
{
    char name[BK_NAME_SIZE];

    if (word.at == NULL)
        return bk_config_refuse(r, r->line, "a %s section needs a name",
                                sections[r->section].written);
    if (!bk_name_is_valid(word.at, word.len))
        return bk_config_refuse(
            r, r->line,
            "\"%.*s\" is no name: 1 to 63 of A-Z a-z 0-9 . _ : / @ -",
            BK_CONFIG_QUOTE(word));
    bk_copy_text(name, sizeof name, word.at, word.len);
    if (r->section == BK_CONFIG_WEBHOOK)
        return bk_config_webhook_enter(r, name);
    return r->section == BK_CONFIG_SERVICE ? enter_service(r, name)
                                           : enter_route(r, name);
}

bool
bk_config_section_enter(struct bk_config_reader *r,
                        const struct bk_ini_line *line)
{
    if (!bk_config_section_leave(r))
        return false;
    r->section = find_section(line->section);
    r->layer = NULL;
    r->service = NULL;
    memset(r->key_lines, 0, sizeof r->key_lines);
    if (r->section == BK_CONFIG_NOWHERE)
        return bk_config_refuse(
            r, r->line, "unknown section [%.*s], the nearest is %s",
            BK_CONFIG_QUOTE(line->section), nearest_section(line->section));
    if (sections[r->section].has_name)
        return enter_named(r, line->name);
    if (line->name.at != NULL)
        return bk_config_refuse(r, r->line, "%s takes no name",
                                sections[r->section].written);
    if (r->section_lines[r->section] != 0)
        return bk_config_refuse(r, r->line, "%s is already at line %u",
                                sections[r->section].written,
                                r->section_lines[r->section]);
    r->section_lines[r->section] = r->line;
    if (r->section == BK_CONFIG_DEFAULTS)
        r->layer = &r->file->defaults;
    return true;
}

bool
bk_config_is_first(struct bk_config_reader *r, size_t key, const char *name)
{
    BK_ASSERT(key < BK_CONFIG_KEYS_MAX);
    if (r->key_lines[key] != 0)
        return bk_config_refuse(r, r->line, "%s is already at line %u", name,
                                r->key_lines[key]);
    r->key_lines[key] = r->line;
    return true;
}

static bool
read_policy(struct bk_config_reader *r, const struct bk_ini_line *line)
{
    char words[512];
    struct bk_text why;
    int key = bk_key_find(line->key.at, line->key.len);

    if (key >= 0 &&
        !bk_config_is_first(r, (size_t)key, bk_key_name((size_t)key)))
        return false;
    bk_text_init(&why, words, sizeof words);
    if (!bk_layer_set(r->layer, line->key.at, line->key.len, line->value.at,
                      line->value.len, &why))
        return bk_config_refuse(r, r->line, "%s", words);
    if (r->service != NULL &&
        strcmp(r->layer->values.requires_name, r->service) == 0)
        return bk_config_refuse(r, r->line, "%s cannot require itself",
                                r->service);
    return true;
}

/* A section with one key of its own. */
static bool
is_only_key(struct bk_config_reader *r, struct bk_word key, const char *name)
{
    if (!bk_is(key.at, key.len, name))
        return bk_config_refuse(
            r, r->line, "unknown key \"%.*s\", the nearest for %s is %s",
            BK_CONFIG_QUOTE(key), sections[r->section].written, name);
    return bk_config_is_first(r, 0, name);
}

static bool
read_daemon(struct bk_config_reader *r, const struct bk_ini_line *line)
{
    uint64_t value;

    if (!is_only_key(r, line->key, "max_services"))
        return false;
    if (!bk_read_number(line->value.at, line->value.len, &value) || value < 1 ||
        value > BK_CONFIG_SERVICES_MAX)
        return bk_config_refuse(
            r, r->line,
            "max_services: \"%.*s\" is not a whole number from 1 to %d",
            BK_CONFIG_QUOTE(line->value), BK_CONFIG_SERVICES_MAX);
    r->file->daemon.max_services = (uint32_t)value;
    return true;
}

static struct bk_word
trim(struct bk_word word)
{
    while (word.len > 0 && (word.at[0] == ' ' || word.at[0] == '\t')) {
        word.at++;
        word.len--;
    }
    while (word.len > 0 &&
           (word.at[word.len - 1] == ' ' || word.at[word.len - 1] == '\t'))
        word.len--;
    return word;
}

static bool
add_name(struct bk_config_reader *r, struct bk_word word, const char *what,
         char (*names)[BK_NAME_SIZE], uint32_t most, uint32_t *count)
{
    word = trim(word);
    if (!bk_name_is_valid(word.at, word.len))
        return bk_config_refuse(
            r, r->line,
            "\"%.*s\" is no service's name; write services = a, b, c",
            BK_CONFIG_QUOTE(word));
    if (*count >= most)
        return bk_config_refuse(r, r->line, "a %s has at most %u services",
                                what, most);
    for (uint32_t i = 0; i < *count; i++) {
        if (bk_is(word.at, word.len, names[i]))
            return bk_config_refuse(r, r->line, "%s is twice in this %s",
                                    names[i], what);
    }
    bk_copy_text(names[(*count)++], BK_NAME_SIZE, word.at, word.len);
    return true;
}

bool
bk_config_names(struct bk_config_reader *r, struct bk_word list,
                const char *what, char (*names)[BK_NAME_SIZE], uint32_t most,
                uint32_t *count)
{
    const char *comma;

    while ((comma = list.len > 0 ? memchr(list.at, ',', list.len) : NULL) !=
           NULL) {
        size_t len = (size_t)(comma - list.at);

        if (!add_name(r, (struct bk_word){list.at, len}, what, names, most,
                      count))
            return false;
        list.at += len + 1;
        list.len -= len + 1;
    }
    return add_name(r, list, what, names, most, count);
}

static bool
read_route(struct bk_config_reader *r, const struct bk_ini_line *line)
{
    struct bk_route *route = &r->file->routes[r->file->route_count - 1];

    return is_only_key(r, line->key, "services") &&
           bk_config_names(r, line->value, "route", route->members,
                           BK_ROUTE_MEMBERS, &route->count);
}

bool
bk_config_section_pair(struct bk_config_reader *r,
                       const struct bk_ini_line *line)
{
    switch (r->section) {
    case BK_CONFIG_DEFAULTS:
    case BK_CONFIG_SERVICE:
        return read_policy(r, line);
    case BK_CONFIG_DAEMON:
        return read_daemon(r, line);
    case BK_CONFIG_ROUTE:
        return read_route(r, line);
    case BK_CONFIG_WEBHOOK:
        return bk_config_webhook_pair(r, line);
    case BK_CONFIG_NOWHERE:
    case BK_CONFIG_SECTION_COUNT:
        break;
    }
    return bk_config_refuse(
        r, r->line, "\"%.*s\" stands before any section, begin with %s",
        BK_CONFIG_QUOTE(line->key), sections[BK_CONFIG_DEFAULTS].written);
}
