/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of a scenario that configure: service, route, defaults, env, on. */
#define _GNU_SOURCE
#include "tools/scenario_reader.h"
#include <string.h>

static bool
check_service(struct scenario_reader *r, const char *name)
{
    if (!bk_name_is_valid(name, strlen(name))) {
        return scenario_refuse(r, "%s is not a service's name", name);
    }
    return scenario_use(r, name, false);
}

static bool
add_setting(struct scenario_reader *r, const struct scenario_setting *setting)
{
    struct scenario *s = r->scenario;
    for (size_t i = 0; setting->key != NULL && i < s->setting_count; i++) {
        const struct scenario_setting *other = &s->settings[i];
        if (other->scope == setting->scope && other->key != NULL &&
            strcmp(other->name, setting->name) == 0 &&
            strcmp(other->key, setting->key) == 0) {
            return scenario_refuse(r, "%s is configured twice", setting->key);
        }
    }
    struct scenario_setting *more = scenario_append(
        r, (void **)&s->settings, &s->setting_count, sizeof(*more));
    if (more == NULL) {
        return false;
    }
    *more = *setting;
    return true;
}

/* Splits key=value in place; NULL when it is none. */
static char *
value_of(char *pair)
{
    char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) {
        return NULL;
    }
    *equals = '\0';
    return equals + 1;
}

/* The words from `first` on are key=value of a service or of the defaults. */
static bool
read_pairs(struct scenario_reader *r, enum scenario_scope scope,
           const char *name, size_t first)
{
    for (size_t i = first; i < r->arrow; i++) {
        const char *value = value_of(r->words[i]);
        if (value == NULL) {
            return scenario_refuse(r, "%s is not key=value", r->words[i]);
        }
        char why[300];
        struct bk_text clause;
        bk_text_init(&clause, why, sizeof(why));
        struct bk_layer trial = {0};
        if (!bk_layer_set(&trial, r->words[i], strlen(r->words[i]), value,
                          strlen(value), &clause)) {
            return scenario_refuse(r, "%s", why);
        }
        struct scenario_setting setting = {scope, name, r->words[i], value};
        if (!add_setting(r, &setting)) {
            return false;
        }
    }
    return true;
}

static bool
read_service(struct scenario_reader *r)
{
    if (r->arrow < 2) {
        return scenario_refuse(r, "service NAME key=value...");
    }
    struct scenario_setting named = {SCENARIO_SERVICE, r->words[1], NULL, NULL};
    if (!check_service(r, r->words[1])) {
        return false;
    }
    if (scenario_route(r->scenario, r->words[1]) != NULL) {
        return scenario_refuse(r, "%s is a route already", r->words[1]);
    }
    return add_setting(r, &named) &&
           read_pairs(r, SCENARIO_SERVICE, r->words[1], 2);
}

static bool
read_defaults(struct scenario_reader *r)
{
    return read_pairs(r, SCENARIO_DEFAULTS, "", 1);
}

static bool
read_env(struct scenario_reader *r)
{
    for (size_t i = 1; i < r->arrow; i++) {
        const char *value = value_of(r->words[i]);
        if (value == NULL) {
            return scenario_refuse(r, "env NAME=value...");
        }
        size_t row = 0;
        while (row < bk_env_count() &&
               strcmp(bk_env_name(row), r->words[i]) != 0) {
            row++;
        }
        if (row == bk_env_count()) {
            return scenario_refuse(r, "no setting is read from %s",
                                   r->words[i]);
        }
        char why[300];
        struct bk_text clause;
        bk_text_init(&clause, why, sizeof(why));
        struct bk_layer trial = {0};
        if (!bk_layer_set_env(&trial, row, value, &clause)) {
            return scenario_refuse(r, "%s", why);
        }
        struct scenario_setting setting = {SCENARIO_ENVIRONMENT, "",
                                           r->words[i], value};
        if (!add_setting(r, &setting)) {
            return false;
        }
    }
    return true;
}

static bool
add_member(struct scenario_reader *r, struct bk_route *route, const char *name)
{
    if (route->count == BK_ROUTE_MEMBERS) {
        return scenario_refuse(r, "a route has at most %d services",
                               BK_ROUTE_MEMBERS);
    }
    if (!check_service(r, name)) {
        return false;
    }
    if (scenario_route(r->scenario, name) != NULL) {
        return scenario_refuse(r, "%s is a route, not a service", name);
    }
    bk_copy_text(route->members[route->count], BK_NAME_SIZE, name,
                 strlen(name));
    route->count++;
    return true;
}

static bool
is_configured(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->setting_count; i++) {
        if (s->settings[i].scope == SCENARIO_SERVICE &&
            strcmp(s->settings[i].name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < s->route_count; i++) {
        for (size_t m = 0; m < s->routes[i].count; m++) {
            if (strcmp(s->routes[i].members[m], name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool
read_route(struct scenario_reader *r)
{
    char *list = r->arrow == 3 ? value_of(r->words[2]) : NULL;
    if (list == NULL || strcmp(r->words[2], "services") != 0) {
        return scenario_refuse(r, "route NAME services=a,b");
    }
    const char *name = r->words[1];
    if (!check_service(r, name)) {
        return false;
    }
    if (is_configured(r->scenario, name) ||
        scenario_route(r->scenario, name) != NULL) {
        return scenario_refuse(r, "%s is taken already", name);
    }
    struct bk_route route = {0};
    bk_copy_text(route.name, sizeof(route.name), name, strlen(name));
    char *rest = NULL;
    for (char *member = strtok_r(list, ",", &rest); member != NULL;
         member = strtok_r(NULL, ",", &rest)) {
        if (strcmp(member, name) == 0) {
            return scenario_refuse(r, "%s is a route, not a service", member);
        }
        if (!add_member(r, &route, member)) {
            return false;
        }
    }
    if (route.count == 0) {
        return scenario_refuse(r, "route %s has no services", name);
    }
    struct bk_route *more =
        scenario_append(r, (void **)&r->scenario->routes,
                        &r->scenario->route_count, sizeof(*more));
    if (more == NULL) {
        return false;
    }
    *more = route;
    return true;
}

/* daemon max_services=N, the one key of the daemon that calls can feel. */
static bool
read_daemon(struct scenario_reader *r)
{
    char *value = r->arrow == 2 ? value_of(r->words[1]) : NULL;
    uint64_t number = 0;
    if (value == NULL || strcmp(r->words[1], "max_services") != 0 ||
        !bk_read_number(value, strlen(value), &number) || number == 0 ||
        number > SCENARIO_SERVICES_MAX) {
        return scenario_refuse(r, "daemon max_services=N, N from 1 to %d",
                               SCENARIO_SERVICES_MAX);
    }
    r->scenario->max_services = (uint32_t)number;
    return true;
}

static bool
read_on(struct scenario_reader *r)
{
    struct scenario *s = r->scenario;
    const char *word = r->arrow == 2 ? r->words[1] : "";
    bool is_core = strcmp(word, "core") == 0;
    if (!is_core && strcmp(word, "daemon") != 0) {
        return scenario_refuse(r, "on core, or on daemon");
    }
    enum scenario_place place = is_core ? SCENARIO_ON_CORE : SCENARIO_ON_DAEMON;
    if (s->place != SCENARIO_ANYWHERE && s->place != place) {
        return scenario_refuse(r, "a file on both is a file without `on`");
    }
    s->place = place;
    return true;
}

bool
scenario_read_declaration(struct scenario_reader *r, bool *is_one)
{
    static const struct {
        const char *word;
        bool (*read)(struct scenario_reader *r);
    } rows[] = {{"service", read_service},   {"route", read_route},
                {"defaults", read_defaults}, {"env", read_env},
                {"daemon", read_daemon},     {"on", read_on}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(r->words[0], rows[i].word) == 0) {
            *is_one = true;
            return rows[i].read(r);
        }
    }
    *is_one = false;
    return true;
}
