/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_section.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
config_file_init(struct config_file *f)
{
    memset(f, 0, sizeof *f);
    f->daemon.max_services = CONFIG_SERVICES_DEFAULT;
}

void
config_file_fini(struct config_file *f)
{
    layers_clear(&f->services);
}

uint32_t
config_file_route_index(const struct config_file *f, const char *name)
{
    uint32_t index = 0;

    while (index < f->route_count && strcmp(f->routes[index].name, name) != 0)
        index++;
    return index;
}

const struct bk_route *
config_file_route(const struct config_file *f, const char *name)
{
    uint32_t index = config_file_route_index(f, name);

    return index < f->route_count ? &f->routes[index] : NULL;
}

static bool
read_line(struct config_reader *r, const char *at, size_t len)
{
    struct bk_ini_line line;

    if (len > CONFIG_LINE_MAX)
        return config_refuse(r, r->line, "the line is longer than %d octets",
                             CONFIG_LINE_MAX);
    if (memchr(at, '\0', len) != NULL)
        return config_refuse(r, r->line, "the line holds a NUL octet");
    line = bk_ini_read(at, len);
    switch (line.kind) {
    case BK_INI_BLANK:
        return true;
    case BK_INI_SECTION:
        return config_section_enter(r, &line);
    case BK_INI_PAIR:
        return config_section_pair(r, &line);
    case BK_INI_BAD:
        break;
    }
    return config_refuse(r, r->line, "%s", line.why);
}

/* Which of its names makes a route's name a service's as well; NULL: none. */
static const char *
why_a_service(const struct config_file *f, const char *name)
{
    if (layers_find(&f->services, name) != NULL)
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
check_routes(struct config_reader *r)
{
    const struct config_file *f = r->file;

    for (uint32_t i = 0; i < f->route_count; i++) {
        const char *name = f->routes[i].name;
        const char *why = why_a_service(f, name);

        if (why != NULL)
            return config_refuse(r, f->route_lines[i],
                                 "route %s has a service's name (see %s)", name,
                                 why);
    }
    return true;
}

static bool
check_services(struct config_reader *r)
{
    const struct config_file *f = r->file;

    for (size_t i = 0; i < f->services.count; i++) {
        const struct named_layer *row = f->services.rows[i];
        const char *name = row->layer.values.requires_name;

        if (name[0] != '\0' && config_file_route(f, name) != NULL)
            return config_refuse(
                r, row->line, "%s requires %s, which is a route and no service",
                row->name, name);
        if (i >= f->daemon.max_services)
            return config_refuse(
                r, row->line, "there are %zu services but max_services is %u",
                f->services.count, f->daemon.max_services);
    }
    if (config_file_route(f, f->defaults.values.requires_name) != NULL)
        return config_refuse(r, r->section_lines[CONFIG_DEFAULTS],
                             "requires = %s names a route, which is no service",
                             f->defaults.values.requires_name);
    return true;
}

static bool
read_all(struct config_reader *r, const char *at, size_t len)
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
    return config_section_leave(r) && check_routes(r) && check_services(r);
}

/* Reads up to one octet more than allowed, so that too much can be told. */
static ssize_t
read_octets(int fd, char *to)
{
    size_t len = 0;

    while (len < CONFIG_FILE_MAX + 1) {
        ssize_t got = read(fd, to + len, CONFIG_FILE_MAX + 1 - len);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static bool
read_descriptor(struct config_reader *r, int fd)
{
    struct stat st;
    char *octets;
    ssize_t len;
    bool is_good = false;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return config_refuse(r, 0, "is not a regular file");
    octets = malloc(CONFIG_FILE_MAX + 1);
    if (octets == NULL)
        return config_refuse(r, 0, "out of memory");
    len = read_octets(fd, octets);
    if (len < 0)
        config_refuse(r, 0, "cannot read: %s", strerror(errno));
    else if (len > CONFIG_FILE_MAX)
        config_refuse(r, 0, "is larger than %d octets", CONFIG_FILE_MAX);
    else
        is_good = read_all(r, octets, (size_t)len);
    free(octets);
    return is_good;
}

bool
config_file_read(struct config_file *f, const char *path, struct bk_text *error)
{
    struct config_reader r = {.file = f, .path = path, .error = error};
    /* Not blocking: somebody may have put a fifo there. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_good;

    if (fd < 0)
        return config_refuse(&r, 0, "cannot open: %s", strerror(errno));
    is_good = read_descriptor(&r, fd);
    (void)close(fd);
    return is_good;
}
