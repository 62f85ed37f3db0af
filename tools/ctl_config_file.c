/* SPDX-License-Identifier: Apache-2.0
 *
 * A file is read by the same code as in the daemon, so it gets the same sentences.
 * What it would make of a service is reckoned here: the environment and the values
 * by SET are the running daemon's, which tells each value's origin. */
#include "tools/ctl_config_file.h"
#include "core/config_file.h"
#include "tools/ctl_ask.h"
#include "tools/ctl_fetch.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VALUE_SIZE (BK_URL_SIZE + 1)
#define ROUTE_SIZE ((size_t)BK_ROUTE_MEMBERS * (BK_NAME_SIZE + 2))

/* A difference: what is in force, and what would be. */
struct change {
    const char *section; /* "defaults", "service", "route", "daemon" */
    const char *name;    /* NULL for those without one */
    const char *key;
    const char *now;
    const char *now_origin; /* NULL where there is only one */
    const char *then;
    const char *then_origin;
};

struct diff {
    const struct ctl *c;
    struct bk_config_file file;
    struct view view;
    struct bk_layer environment;
    json_t *rows; /* of what differs */
};

static bool
refuse(struct bk_text *error, const char *path, const char *why,
       const char *because)
{
    bk_text_put(error, path);
    bk_text_put(error, why);
    bk_text_put(error, because);
    return false;
}

/* A little more than a file may have, so that too much is seen. */
static bool
read_file(struct bk_config_file *f, const char *path, struct bk_text *error)
{
    size_t room = BK_CONFIG_FILE_MAX + 1;
    struct stat st;
    char *octets;
    size_t len;
    bool is_good;
    FILE *file;

    /* Before it is opened: a fifo would wait for somebody to write. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return refuse(error, path, ": is not a regular file", "");
    file = fopen(path, "rbe");
    if (file == NULL)
        return refuse(error, path, ": cannot open: ", strerror(errno));
    octets = ctl_memory(NULL, room);
    len = fread(octets, 1, room, file);
    is_good = ferror(file) == 0
                  ? bk_config_file_read(f, path, octets, len, error)
                  : refuse(error, path, ": cannot read: ", strerror(errno));
    (void)fclose(file);
    free(octets);
    return is_good;
}

/* Reads and says what is wrong; the file is to be given back either way. */
static enum ctl_exit
load(const struct ctl *c, struct bk_config_file *f, const char *path)
{
    char sentence[1024];
    struct bk_text error;

    bk_config_file_init(f, (struct bk_memory){realloc, free});
    bk_text_init(&error, sentence, sizeof sentence);
    if (read_file(f, path, &error))
        return CTL_DONE;
    ctl_say("%s", sentence);
    if (c->is_json) {
        json_t *json = json_pack("{s:s, s:b, s:s}", "file", path, "good", 0,
                                 "error", sentence);

        ctl_json_print(json);
        json_decref(json);
    }
    return CTL_USAGE;
}

enum ctl_exit
config_file_check(const struct ctl *c, const char *path)
{
    struct bk_config_file file;
    enum ctl_exit exit = load(c, &file, path);

    if (exit == CTL_DONE && c->is_json) {
        json_t *json = json_pack("{s:s, s:b, s:I, s:I}", "file", path, "good",
                                 1, "services", (json_int_t)file.services.count,
                                 "routes", (json_int_t)file.route_count);

        ctl_json_print(json);
        json_decref(json);
    } else if (exit == CTL_DONE) {
        printf("%s is good: %zu %s, %u %s\n", path, file.services.count,
               file.services.count == 1 ? "service" : "services",
               file.route_count, file.route_count == 1 ? "route" : "routes");
    }
    bk_config_file_fini(&file);
    return exit;
}

static void
note(struct diff *d, const struct change *change)
{
    json_array_append_new(
        d->rows,
        json_pack("{s:s, s:s?, s:s, s:s, s:s?, s:s, s:s?}", "section",
                  change->section, "name", change->name, "key", change->key,
                  "now", change->now, "now_origin", change->now_origin, "then",
                  change->then, "then_origin", change->then_origin));
}

/* Those values of a daemon's answer that are of one origin. */
static void
take_layer(const json_t *config, enum bk_origin origin, struct bk_layer *layer)
{
    *layer = (struct bk_layer){.has = 0};
    for (size_t key = 0; key < bk_key_count(); key++) {
        const char *name = bk_key_name(key);
        const json_t *row = json_object_get(config, name);
        const char *value = ctl_json_word(row, "value", "");
        char sentence[512];
        struct bk_text error;

        bk_text_init(&error, sentence, sizeof sentence);
        if (strcmp(ctl_json_word(row, "origin", ""), bk_origin_name(origin)) ==
            0)
            (void)bk_layer_set(layer, name, strlen(name), value, strlen(value),
                               &error);
    }
}

/* A value that no section and no SET gave is told once, with the defaults. */
static bool
is_shared(const char *origin)
{
    return strcmp(origin, bk_origin_name(BK_FROM_SERVICE)) != 0 &&
           strcmp(origin, bk_origin_name(BK_FROM_SET)) != 0;
}

/* `service` NULL: what one has that nobody configured. */
static void
compare_service(struct diff *d, const char *service, const json_t *config)
{
    const struct bk_named_layer *section =
        service != NULL ? bk_layers_find(&d->file.services, service) : NULL;
    struct bk_layer set;
    const struct bk_layer *layers[BK_ORIGIN_COUNT] = {
        [BK_FROM_DEFAULTS] = &d->file.defaults,
        [BK_FROM_ENVIRONMENT] = &d->environment,
        [BK_FROM_SERVICE] = section != NULL ? &section->layer : NULL,
        [BK_FROM_SET] = &set};
    struct bk_policy policy;
    uint8_t origins[64];

    take_layer(config, BK_FROM_SET, &set);
    bk_layers_effective(layers, service != NULL ? service : "", &policy,
                        origins);
    for (size_t key = 0; key < bk_key_count(); key++) {
        char then[VALUE_SIZE];
        struct bk_text text;
        const json_t *row = json_object_get(config, bk_key_name(key));
        struct change change = {
            .section = service != NULL ? "service" : "defaults",
            .name = service,
            .key = bk_key_name(key),
            .now = ctl_json_word(row, "value", ""),
            .now_origin = ctl_json_word(row, "origin", ""),
            .then = then,
            .then_origin = bk_origin_name((enum bk_origin)origins[key])};

        bk_text_init(&text, then, sizeof then);
        bk_policy_print(&policy, key, &text);
        if (strcmp(change.now, then) != 0 &&
            (service == NULL || !is_shared(change.now_origin) ||
             !is_shared(change.then_origin)))
            note(d, &change);
    }
}

/* The names of both sides, in order, each once. */
static struct bk_layers
all_names(const struct diff *d)
{
    struct bk_layers names = {.memory = {realloc, free}};
    size_t count;
    uint32_t *slots = view_slots(&d->view, &count);

    for (size_t i = 0; i < count; i++) {
        char name[BK_NAME_SIZE];

        if (bk_segment_name(&d->view.segment, slots[i], name))
            (void)bk_layers_make(&names, name);
    }
    for (size_t i = 0; i < d->file.services.count; i++)
        (void)bk_layers_make(&names, d->file.services.rows[i]->name);
    free(slots);
    return names;
}

/* Compares the defaults and every service. The first answer is about the
 * defaults; one for a service that was never used says so, and the defaults are
 * what it would have. */
static enum ctl_exit
compare_all(struct diff *d)
{
    struct bk_layers names = all_names(d);
    struct ask_lines lines = {0};
    struct link_reply reply;
    json_t *defaults;
    enum ctl_exit exit;

    ask_add(&lines, "CONFIG", NULL, NULL, NULL);
    for (size_t i = 0; i < names.count; i++)
        ask_add(&lines, "CONFIG", names.rows[i]->name, NULL, NULL);
    exit = ask_all(d->c, ASK_WORKER, &lines, &reply);
    ask_free(&lines);
    if (exit == CTL_DONE &&
        (exit = ask_json(&reply, 0, NULL, &defaults)) == CTL_DONE) {
        const json_t *shared = json_object_get(defaults, "config");

        take_layer(shared, BK_FROM_ENVIRONMENT, &d->environment);
        compare_service(d, NULL, shared);
        for (size_t i = 0; i < names.count; i++) {
            json_t *one = NULL;

            if (reply.frames[i + 1][0] == 'O' &&
                ask_json(&reply, i + 1, NULL, &one) != CTL_DONE)
                continue;
            compare_service(d, names.rows[i]->name,
                            one != NULL ? json_object_get(one, "config")
                                        : shared);
            json_decref(one);
        }
        json_decref(defaults);
    }
    link_reply_free(&reply);
    bk_layers_clear(&names);
    return exit;
}

static void
put_members(const struct bk_route *route, char out[ROUTE_SIZE])
{
    struct bk_text text;

    bk_text_init(&text, out, ROUTE_SIZE);
    for (uint32_t i = 0; route != NULL && i < route->count; i++) {
        if (i > 0)
            bk_text_put(&text, ", ");
        bk_text_put(&text, route->members[i]);
    }
}

static void
compare_route(struct diff *d, const char *name, const struct bk_route *now,
              const struct bk_route *then)
{
    char members[2][ROUTE_SIZE];
    struct change change = {.section = "route",
                            .name = name,
                            .key = "services",
                            .now = members[0],
                            .then = members[1]};

    put_members(now, members[0]);
    put_members(then, members[1]);
    if (strcmp(members[0], members[1]) != 0)
        note(d, &change);
}

static void
compare_routes(struct diff *d)
{
    const struct bk_segment *segment = &d->view.segment;
    bool is_there[BK_CONFIG_ROUTES_MAX] = {false};

    for (uint32_t i = 0; i < segment->limits.routes; i++) {
        struct bk_route now;
        uint32_t at;

        if (!bk_segment_read_route(segment, i, &now))
            continue;
        at = bk_config_file_route_index(&d->file, now.name);
        if (at < d->file.route_count)
            is_there[at] = true;
        compare_route(d, now.name, &now,
                      at < d->file.route_count ? &d->file.routes[at] : NULL);
    }
    for (uint32_t i = 0; i < d->file.route_count; i++) {
        if (!is_there[i])
            compare_route(d, d->file.routes[i].name, NULL, &d->file.routes[i]);
    }
}

static void
compare_daemon(struct diff *d)
{
    char numbers[2][24];
    struct change change = {.section = "daemon",
                            .key = "max_services",
                            .now = numbers[0],
                            .then = numbers[1],
                            .then_origin = "next start"};

    snprintf(numbers[0], sizeof numbers[0], "%u",
             d->view.segment.limits.services);
    snprintf(numbers[1], sizeof numbers[1], "%u", d->file.daemon.max_services);
    if (strcmp(numbers[0], numbers[1]) != 0)
        note(d, &change);
}

static const char *
word_of(const json_t *row, const char *key)
{
    const char *word = ctl_json_word(row, key, "");

    return word[0] != '\0' ? word : "-";
}

static void
print_table(const json_t *rows)
{
    static const char *const headings[] = {"SECTION", "KEY",    "NOW", "ORIGIN",
                                           "THEN",    "ORIGIN", NULL};
    struct ctl_table table;
    const json_t *row;
    size_t i;

    ctl_table_init(&table, headings, 4);
    json_array_foreach(rows, i, row)
    {
        char section[BK_NAME_SIZE + 16];
        const char *name = ctl_json_word(row, "name", "");
        const char *const cells[] = {section,
                                     word_of(row, "key"),
                                     word_of(row, "now"),
                                     word_of(row, "now_origin"),
                                     word_of(row, "then"),
                                     word_of(row, "then_origin")};

        snprintf(section, sizeof section, "%s%s%s", word_of(row, "section"),
                 name[0] != '\0' ? " " : "", name);
        ctl_table_add(&table, CTL_CAUTION, cells);
    }
    ctl_table_end(&table);
}

static enum ctl_exit
print(const struct diff *d, const char *path)
{
    bool is_same = json_array_size(d->rows) == 0;
    json_t *json;

    if (d->c->is_json) {
        json = json_pack("{s:s, s:b, s:O}", "file", path, "same", (int)is_same,
                         "differences", d->rows);
        ctl_json_print(json);
        json_decref(json);
    } else if (is_same) {
        ctl_say("%s says what is in force", path);
    } else {
        print_table(d->rows);
    }
    return is_same ? CTL_DONE : CTL_UNMET;
}

enum ctl_exit
config_file_diff(const struct ctl *c, const char *path)
{
    struct diff d = {.c = c, .rows = json_array()};
    enum ctl_exit exit = load(c, &d.file, path);

    if (exit == CTL_DONE)
        exit = fetch_view(c, &d.view);
    if (exit == CTL_DONE) {
        exit = compare_all(&d);
        if (exit == CTL_DONE) {
            compare_routes(&d);
            compare_daemon(&d);
            exit = print(&d, path);
        }
        view_close(&d.view);
    }
    json_decref(d.rows);
    bk_config_file_fini(&d.file);
    return exit;
}
