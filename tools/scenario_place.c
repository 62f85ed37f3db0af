/* SPDX-License-Identifier: Apache-2.0
 *
 * The private directory of a scenario's breakerd: made, filled, removed. */
#define _GNU_SOURCE
#include "tools/link.h"
#include "tools/scenario_breakerd.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
fail(struct bk_text *error, const char *words, const char *more)
{
    bk_text_put(error, words);
    bk_text_put(error, more);
    return false;
}

/* DIR/NAME into a path's buffer; false when it does not fit. */
static bool
join(char out[SCENARIO_PATH_SIZE], const char *dir, const char *name)
{
    struct bk_text text;
    bk_text_init(&text, out, SCENARIO_PATH_SIZE);
    bk_text_put(&text, dir);
    bk_text_put_char(&text, '/');
    bk_text_put(&text, name);
    return !text.is_cut;
}

/* $BREAKERD, else the one beside this program, else where a build tree or an
 * installation keeps it. */
static bool
find_program(char out[SCENARIO_PATH_SIZE], struct bk_text *error)
{
    static const char *const near[] = {"breakerd", "../daemon/breakerd",
                                       "../sbin/breakerd"};
    const char *named = getenv("BREAKERD");
    char self[SCENARIO_PATH_SIZE];
    if (named != NULL && named[0] != '\0') {
        bk_copy_text(out, SCENARIO_PATH_SIZE, named, strlen(named));
        return access(out, X_OK) == 0 ||
               fail(error, "$BREAKERD cannot be run: ", named);
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len > 0) {
        self[len] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
            if (join(out, self, near[i]) && access(out, X_OK) == 0) {
                return true;
            }
        }
    }
    return fail(error, "no breakerd beside this program; name one in $BREAKERD",
                "");
}

/* Memory is the best place for short-lived files that are synced often. */
static const char *
place_for_files(void)
{
    const char *named = getenv("TMPDIR");
    if (named != NULL && named[0] != '\0') {
        return named;
    }
    return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

static bool
name_files(struct scenario_breakerd *b, struct bk_text *error)
{
    bool is_fit = join(b->dir, b->base, "run") &&
                  join(b->config, b->base, "breakerd.conf") &&
                  join(b->db, b->base, "breakerd.db") &&
                  join(b->log, b->base, "log") &&
                  join(b->segment, b->dir, "breakerd.shm") &&
                  join(b->worker_socket, b->dir, "worker.sock") &&
                  join(b->operator_socket, b->dir, "operator.sock") &&
                  strlen(b->operator_socket) < LINK_PATH_SIZE;
    return is_fit ||
           fail(error,
                "$TMPDIR is too long for a socket's path: ", place_for_files());
}

static void
write_pairs(FILE *out, const struct scenario *s, enum scenario_scope scope,
            const char *name)
{
    for (size_t i = 0; i < s->setting_count; i++) {
        const struct scenario_setting *setting = &s->settings[i];
        if (setting->scope == scope && setting->key != NULL &&
            strcmp(setting->name, name) == 0) {
            fprintf(out, "%s = %s\n", setting->key, setting->value);
        }
    }
}

/* Each service once, where it is first named. */
static bool
is_first(const struct scenario *s, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (s->settings[i].scope == SCENARIO_SERVICE &&
            strcmp(s->settings[i].name, s->settings[at].name) == 0) {
            return false;
        }
    }
    return s->settings[at].scope == SCENARIO_SERVICE;
}

static bool
write_config(const struct scenario_breakerd *b, struct bk_text *error)
{
    const struct scenario *s = b->scenario;
    FILE *out = fopen(b->config, "w");
    if (out == NULL) {
        return fail(error, "cannot write the configuration: ", strerror(errno));
    }
    if (s->max_services > 0) {
        fprintf(out, "[daemon]\nmax_services = %u\n\n", s->max_services);
    }
    fprintf(out, "[defaults]\n");
    write_pairs(out, s, SCENARIO_DEFAULTS, "");
    for (size_t i = 0; i < s->setting_count; i++) {
        if (is_first(s, i)) {
            fprintf(out, "\n[service %s]\n", s->settings[i].name);
            write_pairs(out, s, SCENARIO_SERVICE, s->settings[i].name);
        }
    }
    for (size_t i = 0; i < s->route_count; i++) {
        const struct bk_route *route = &s->routes[i];
        fprintf(out, "\n[route %s]\nservices = ", route->name);
        for (uint32_t m = 0; m < route->count; m++) {
            fprintf(out, "%s%s", m > 0 ? ", " : "", route->members[m]);
        }
        fprintf(out, "\n");
    }
    bool is_written = ferror(out) == 0;
    return (fclose(out) == 0 && is_written) ||
           fail(error, "cannot write the configuration: ", strerror(errno));
}

bool
scenario_breakerd_prepare(struct scenario_breakerd *b, const struct scenario *s,
                          struct bk_text *error)
{
    *b = (struct scenario_breakerd){.scenario = s};
    char base[SCENARIO_PATH_SIZE];
    if (!find_program(b->program, error)) {
        return false;
    }
    if (!join(base, place_for_files(), "breaker-scenario.XXXXXX") ||
        mkdtemp(base) == NULL) {
        return fail(error, "cannot make a directory in ", place_for_files());
    }
    memcpy(b->base, base, sizeof(b->base));
    if (!name_files(b, error)) {
        return false;
    }
    if (mkdir(b->dir, 0755) < 0) {
        return fail(error, "cannot make a directory: ", strerror(errno));
    }
    return write_config(b, error);
}

/* Removes a directory and the files in it. */
static void
remove_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL;
         entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    closedir(dir);
    rmdir(path);
}

void
scenario_breakerd_clean(struct scenario_breakerd *b)
{
    scenario_breakerd_kill(b);
    if (b->base[0] != '\0') {
        remove_directory(b->dir);
        remove_directory(b->base);
        b->base[0] = '\0';
    }
}
