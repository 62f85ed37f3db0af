#ifndef STORE_H
#define STORE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: SQLite behind a thread of its own. The loop hands over jobs and
 * never waits; a job has a number, and when the store says that number is done,
 * it is on disk (or could not be saved, with the reason). SQLite is memory, not
 * truth: the loop's state decides, the file lets it survive a reboot. */
#include "core/fleet.h"
#include "core/past.h"

struct store;

/* Octets of a sentence about what failed, a path in it. */
#define STORE_WORDS_SIZE 512

/* What the file held at start, handed out row by row. Wall-clock ends have been
 * turned into what remains (never negative). Any may be NULL. */
struct store_reader {
    void *context;
    /* Whether `service` is to be called for this name; NULL: for each. */
    bool (*wants)(void *context, const char *name);
    void (*service)(void *context, const struct bk_saved *saved);
    void (*setting)(void *context, const char *service, const char *key,
                    const char *value);
    void (*forgotten)(void *context, const char *name, uint64_t generation);
    /* The newest BK_PAST_COUNT lines of history, oldest first. */
    void (*past)(void *context, const struct bk_past *line);
};

/* Numbers kept in the file. */
struct store_meta {
    uint64_t epoch;    /* of the last daemon; 0 in a new file */
    uint64_t next_id;  /* as last saved */
    uint64_t last_seq; /* of history */
};

/* Starts the thread, which opens the file (making directories 0700 and the file 0600),
 * sets a corrupt one aside with one logged line and starts a new one, and migrates. NULL
 * with one sentence in `error` when the thread cannot be had. */
struct store *store_open(const char *path, struct bk_text *error);
/* Waits until the file is open. False with one sentence when the path cannot be
 * used at all, or the file was written by a newer version: only closing is left. */
bool store_await_open(struct store *s, struct bk_text *error);
/* Waits the same and reads everything; before any job. */
bool store_load(struct store *s, int64_t wall_ms,
                const struct store_reader *reader, struct store_meta *meta,
                struct bk_text *error);
/* Nobody waits for the disk as who starts does: when there is time, the thread looks
 * through all of the file, once. */
void store_check(struct store *s);
/* Lets the thread finish what is queued, at most `deadline_ms`, then closes. */
void store_close(struct store **s, int64_t deadline_ms);

/* Jobs. The loop's thread only. Each copies what it is given and returns the
 * job's number (> 0, growing). Saves of one service that wait fold into one.
 * When the queue is full an event is dropped and counted (never a setting). */
uint64_t store_put_event(struct store *s, const struct bk_past *event);
uint64_t store_put_service(struct store *s, const struct bk_saved *saved,
                           int64_t wall_ms);
/* value NULL removes it. */
uint64_t store_put_setting(struct store *s, const char *service,
                           const char *key, const char *value);
/* Removes the service's row and settings, remembers its generation. */
uint64_t store_put_forgotten(struct store *s, const char *name,
                             uint64_t generation);
/* All rows there are leap by BK_GENERATION_LEAP, ahead of what else is put: a daemon
 * that took its state from them goes on from there. One number says so, however
 * many rows there are. */
uint64_t store_put_leap(struct store *s);
uint64_t store_put_meta(struct store *s, const struct store_meta *meta);
/* Asks for the newest `limit` lines (service NULL: of all) that are older than
 * number `before` (0: the newest there are) as JSON {"history":[...]} newest
 * last; `ticket` comes back with the answer. */
uint64_t store_ask_history(struct store *s, const char *service, uint64_t limit,
                           uint64_t before, uint64_t ticket);
/* Asks for a copy of the file, as it is once every job put before is in it, under
 * the name `path`; of a file that is there only when it `may_replace` it. The
 * answer {"path","bytes"} comes when the copy is whole and on disk. */
uint64_t store_ask_copy(struct store *s, const char *path, bool may_replace,
                        uint64_t ticket);
/* Wakes the thread: everything put since the last call is one batch. */
void store_flush(struct store *s);

/* Readable when there is something in store_next. */
int store_fd(const struct store *s);

enum store_answer {
    STORE_SAVED,  /* every job up to `job` is on disk */
    STORE_FAILED, /* jobs up to `job` were tried and are not saved yet; they
                     are tried again; `text` says why */
    STORE_ANSWER, /* `json` (free it) answers `ticket`; NULL when it failed,
                      and `text` says why */
    STORE_REBUILD /* the file had to be replaced: put every service, setting,
                     forgotten name and meta again */
};
struct store_done {
    enum store_answer kind;
    uint64_t job;
    uint64_t ticket;
    char *json;
    size_t json_len;
    char text[STORE_WORDS_SIZE];
};
bool store_next(struct store *s, struct store_done *out);

/* For status and metrics. */
struct store_stats {
    uint64_t commits;
    uint64_t failures;
    uint64_t dropped_events;
    uint64_t commit_us; /* all of them */
    uint64_t queued;
};
void store_stats(struct store *s, struct store_stats *out);

#endif
