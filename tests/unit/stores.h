#ifndef STORES_H
#define STORES_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A store on a real file in a directory of its own, and what its loop would do:
 * put, flush, wait for news. */
#include "daemon/store.h"
#include "unit.h"

#define WALL INT64_C(1795331565123) /* 2026-11-22T07:12:45.123Z */
#define WAIT_MS 10000               /* for news that must come */
#define SERVICES_MAX 64

struct stores {
    char directory[64];
    char path[128];
    struct store *store;
    char error[256];
    /* The news so far. */
    uint64_t saved;  /* the last job on disk */
    uint64_t failed; /* the last job that is not, 0: none */
    char failed_text[160];
    int failures;
    int rebuilds;
    struct store_done history; /* the last answer; free its json */
    int histories;
    /* What was loaded. */
    struct bk_saved services[SERVICES_MAX];
    int service_count;
    char settings[1024];  /* "service.key=value " each */
    char forgotten[1024]; /* "name:generation " each */
    struct store_meta meta;
};

/* cmocka's setup and teardown; *state is the struct stores. */
int stores_begin(void **state);
int stores_end(void **state);

bool stores_open(struct stores *t);      /* the sentence in `error` */
void stores_must_open(struct stores *t); /* and load, from WALL */
/* Loads; then lets the thread look through the file, or does not. */
void stores_load(struct stores *t, int64_t wall_ms);
void stores_load_only(struct stores *t, int64_t wall_ms);
void stores_close(struct stores *t);
/* Close, open, load from `wall_ms`. */
void stores_again(struct stores *t, int64_t wall_ms);

/* Takes the news that come within `wait_ms`; true when there were some. */
bool stores_listen(struct stores *t, int wait_ms);
/* Flushes, then waits until this job is on disk. */
void stores_await(struct stores *t, uint64_t job);

struct bk_saved stores_service(const char *name, uint64_t generation);
struct bk_past stores_event(const char *service, uint64_t seq);
const struct bk_saved *stores_find(const struct stores *t, const char *name);
/* Files in the directory whose name has `part` within. */
int stores_count_files(const struct stores *t, const char *part);
/* Removes what was set aside; true when there was something. */
bool stores_drop_asides(const struct stores *t);
/* So many files are set aside, and a new one works. */
void stores_assert_set_aside(struct stores *t, int asides);
/* Replaces a file. */
void stores_write(const char *path, const void *octets, size_t len);
/* Runs SQL on the closed file, by a connection of the test's own. */
void stores_sql(const struct stores *t, const char *sql);

#endif
