/* SPDX-License-Identifier: Apache-2.0 */
#include "stores.h"
#include "daemon/log.h"
#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int
stores_begin(void **state)
{
    struct stores *t = calloc(1, sizeof *t);

    if (t == NULL)
        return -1;
    strcpy(t->directory, "/tmp/test_store.XXXXXX");
    if (mkdtemp(t->directory) == NULL)
        return -1;
    (void)snprintf(t->path, sizeof t->path, "%s/b.db", t->directory);
    *state = t;
    return 0;
}

static int
drop(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int
stores_end(void **state)
{
    struct stores *t = *state;

    store_close(&t->store, WAIT_MS);
    free(t->history.json);
    (void)nftw(t->directory, drop, 8, FTW_DEPTH | FTW_PHYS);
    free(t);
    return 0;
}

bool
stores_open(struct stores *t)
{
    struct bk_text error;

    bk_text_init(&error, t->error, sizeof t->error);
    t->store = store_open(t->path, &error);
    if (t->store != NULL && !store_await_open(t->store, &error))
        store_close(&t->store, WAIT_MS);
    t->saved = t->failed = 0;
    t->failures = t->rebuilds = t->histories = 0;
    return t->store != NULL;
}

static void
take_service(void *context, const struct bk_saved *saved)
{
    struct stores *t = context;

    if (t->service_count < SERVICES_MAX)
        t->services[t->service_count] = *saved;
    t->service_count++;
}

static void
take_setting(void *context, const char *service, const char *key,
             const char *value)
{
    struct stores *t = context;
    size_t len = strlen(t->settings);

    (void)snprintf(t->settings + len, sizeof t->settings - len, "%s.%s=%s ",
                   service, key, value);
}

static void
take_forgotten(void *context, const char *name, uint64_t generation)
{
    struct stores *t = context;
    size_t len = strlen(t->forgotten);

    (void)snprintf(t->forgotten + len, sizeof t->forgotten - len, "%s:%llu ",
                   name, (unsigned long long)generation);
}

void
stores_load_only(struct stores *t, int64_t wall_ms)
{
    const struct store_reader reader = {
        .context = t,
        .service = take_service,
        .setting = take_setting,
        .forgotten = take_forgotten,
    };
    struct bk_text error;

    t->service_count = 0;
    t->settings[0] = '\0';
    t->forgotten[0] = '\0';
    bk_text_init(&error, t->error, sizeof t->error);
    if (!store_load(t->store, wall_ms, &reader, &t->meta, &error))
        fail_msg("not loaded: %s", t->error);
}

void
stores_load(struct stores *t, int64_t wall_ms)
{
    stores_load_only(t, wall_ms);
    store_check(t->store);
}

void
stores_must_open(struct stores *t)
{
    if (!stores_open(t))
        fail_msg("not opened: %s", t->error);
    stores_load(t, WALL);
}

void
stores_close(struct stores *t)
{
    store_close(&t->store, WAIT_MS);
    assert_null(t->store);
}

void
stores_again(struct stores *t, int64_t wall_ms)
{
    stores_close(t);
    if (!stores_open(t))
        fail_msg("not opened again: %s", t->error);
    stores_load(t, wall_ms);
}

static void
note(struct stores *t, struct store_done *done)
{
    switch (done->kind) {
    case STORE_SAVED:
        assert_true(done->job > t->saved);
        t->saved = done->job;
        break;
    case STORE_FAILED:
        t->failed = done->job;
        t->failures++;
        memcpy(t->failed_text, done->text, sizeof t->failed_text);
        break;
    case STORE_ANSWER:
        free(t->history.json);
        t->history = *done;
        t->histories++;
        break;
    case STORE_REBUILD:
        t->rebuilds++;
        break;
    }
}

bool
stores_listen(struct stores *t, int wait_ms)
{
    struct pollfd ready = {.fd = store_fd(t->store), .events = POLLIN};
    struct store_done done;
    bool has_news = false;

    (void)poll(&ready, 1, wait_ms);
    while (store_next(t->store, &done)) {
        note(t, &done);
        has_news = true;
    }
    return has_news;
}

void
stores_await(struct stores *t, uint64_t job)
{
    struct timespec now;
    time_t end;

    store_flush(t->store);
    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec + WAIT_MS / 1000;
    while (t->saved < job && now.tv_sec <= end) {
        (void)stores_listen(t, 100);
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    if (t->saved < job)
        fail_msg("job %llu is not saved: %s", (unsigned long long)job,
                 t->failed_text);
}

struct bk_saved
stores_service(const char *name, uint64_t generation)
{
    struct bk_saved saved = {.state = BK_CLOSED, .generation = generation};

    bk_copy_text(saved.name, sizeof saved.name, name, strlen(name));
    return saved;
}

struct bk_past
stores_event(const char *service, uint64_t seq)
{
    struct bk_past event = {
        .seq = seq,
        .wall_ms = WALL + (int64_t)seq,
        .from = BK_CLOSED,
        .to = BK_OPEN,
        .mode = BK_AUTO,
        .cause = BK_CAUSE_CONSECUTIVE_FAILURES,
        .generation = seq,
        .actor = "-",
    };

    bk_copy_text(event.service, sizeof event.service, service, strlen(service));
    return event;
}

const struct bk_saved *
stores_find(const struct stores *t, const char *name)
{
    for (int i = 0; i < t->service_count && i < SERVICES_MAX; i++) {
        if (strcmp(t->services[i].name, name) == 0)
            return &t->services[i];
    }
    return NULL;
}

int
stores_count_files(const struct stores *t, const char *part)
{
    DIR *directory = opendir(t->directory);
    struct dirent *entry;
    int count = 0;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (strstr(entry->d_name, part) != NULL)
            count++;
    }
    closedir(directory);
    return count;
}

bool
stores_drop_asides(const struct stores *t)
{
    DIR *directory = opendir(t->directory);
    struct dirent *entry;
    bool has_some = false;

    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (strstr(entry->d_name, ".corrupt-2") != NULL) {
            assert_int_equal(unlinkat(dirfd(directory), entry->d_name, 0), 0);
            has_some = true;
        }
    }
    closedir(directory);
    return has_some;
}

void
stores_sql(const struct stores *t, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(t->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void
stores_write(const char *path, const void *octets, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* The damaged file has another name, and a new one works. */
void
stores_assert_set_aside(struct stores *t, int asides)
{
    struct bk_saved row = stores_service("new", 1);

    assert_int_equal(stores_count_files(t, "b.db.corrupt-2"), asides);
    stores_await(t, store_put_service(t->store, &row, WALL));
    stores_again(t, WALL);
    assert_non_null(stores_find(t, "new"));
}
