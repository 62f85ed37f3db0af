#ifndef STORE_BOX_H
#define STORE_BOX_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A box: what is to be written, folded. Of each service only the latest row, of
 * each setting the latest value; events one by one. Boxes are handed from the
 * loop to the store's thread, and one box laid over another says what both say,
 * the later one last. */
#include "core/wire.h"
#include "daemon/store.h"

#define STORE_EVENTS_MAX 10000 /* the oldest make room */
#define STORE_NAMES_MAX 131072 /* rows of new names over it are dropped */
#define STORE_ASKS_MAX 1024
#define STORE_KEY_SIZE 64
#define STORE_PATH_SIZE BK_LINE_MAX

struct store_setting {
    struct store_setting *next;
    bool is_removed;
    char key[STORE_KEY_SIZE];
    char value[BK_URL_SIZE + 1];
};

/* All about one name. Forgetting comes first: what is put after it stays. */
struct store_entry {
    char name[BK_NAME_SIZE];
    bool is_forgotten;
    bool has_row;
    uint64_t generation; /* is_forgotten: its last */
    int64_t wall_ms;     /* has_row: when it was saved */
    struct bk_saved saved;
    struct store_setting *settings;
};

/* A question for history, or, with a path, for a copy of the file. */
struct store_ask {
    char path[STORE_PATH_SIZE]; /* "": history */
    bool may_replace;
    char service[BK_NAME_SIZE]; /* "": all */
    uint64_t limit;
    uint64_t before; /* 0: the newest */
    uint64_t ticket;
    uint64_t job;
};

/* All zero is empty. */
struct store_box {
    struct store_entry *entries;
    size_t entry_count;
    size_t entry_room;
    uint32_t *buckets; /* by name: index of the entry + 1, or 0 */
    size_t bucket_count;
    struct bk_past *events; /* a ring once it is full */
    size_t event_count;
    size_t event_room;
    size_t event_first;
    struct store_ask *asks;
    size_t ask_count;
    size_t ask_room;
    struct store_meta meta;
    bool has_meta;
    bool has_leap;     /* it comes before all else in here */
    uint64_t last_job; /* 0: none */
    uint64_t dropped;  /* events and rows that found no room */
};

void store_box_put_event(struct store_box *b, const struct bk_past *event);
void store_box_put_service(struct store_box *b, const struct bk_saved *saved,
                           int64_t wall_ms);
void store_box_put_setting(struct store_box *b, const char *service,
                           const char *key, const char *value);
void store_box_put_forgotten(struct store_box *b, const char *name,
                             uint64_t generation);
void store_box_put_meta(struct store_box *b, const struct store_meta *meta);
void store_box_put_leap(struct store_box *b);
/* False when there are STORE_ASKS_MAX already. */
bool store_box_put_ask(struct store_box *b, const struct store_ask *ask);
/* Takes the first ask out. */
bool store_box_take_ask(struct store_box *b, struct store_ask *out);

const struct bk_past *store_box_event(const struct store_box *b, size_t i);
/* Things to write; asks are none. */
size_t store_box_count(const struct store_box *b);
/* Lays `from` over `to`; `from` is empty afterwards. */
void store_box_merge(struct store_box *to, struct store_box *from);
/* Drops what is to be written, keeps the asks. */
void store_box_written(struct store_box *b);
void store_box_free(struct store_box *b);

#endif
