#ifndef REGISTRY_H
#define REGISTRY_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet and what follows from its changes: the one place where effects
 * happen. A command changes the fleet; then registry_note writes its transitions
 * to the store, and registry_publish shows the new state to the workers. */
#include "core/wire.h"
#include "daemon/config.h"
#include "daemon/events.h"
#include "daemon/prober.h"
#include "daemon/publish.h"
#include "daemon/store.h"

struct registry {
    struct bk_fleet *fleet;
    struct config *config;
    struct store *store;
    struct publish *publish;
    struct events *events;
    struct prober *prober;
    uint64_t epoch;
    uint64_t seq;       /* of the last line of history */
    uint64_t job;       /* the last one handed to the store */
    uint64_t saved;     /* the last one known to be on disk */
    uint64_t awaited;   /* a job, to see how far the disk is behind */
    int64_t awaited_ns; /* since when it is waited for */
    int64_t started_ns;
    uint8_t *unsaved; /* one octet a slot: changed since its row was put */
    uint32_t unsaved_at;
    uint64_t meta_next_id; /* as last put */
    bool is_degraded;      /* the store says that it cannot save */
};

/* Brings fleet, segment and database together. The registry's config and store
 * are set; `error` gets one sentence when it fails. */
bool registry_open(struct registry *r, const struct rundir *dir, int64_t now_ns,
                   struct bk_text *error);
void registry_close(struct registry *r);

/* Takes the fleet's notes: history, rows, events. `actor` and `text` name the
 * operator's command that is being carried out; NULL without one. Returns the
 * number of notes that are that operator's doing. */
unsigned registry_note(struct registry *r, int64_t now_ns, const char *actor,
                       const struct bk_word *text);
/* A line of history that is no transition (`service` may be "*"). */
void registry_record(struct registry *r, int64_t now_ns, const char *service,
                     const char *actor, const char *text, size_t text_len);
/* Shows everything that changed. */
void registry_publish(struct registry *r);
/* The same, and all that was put off: before an answer that a killed daemon is held to
 * (`is_promised`), or when there is nothing else to do. */
void registry_publish_rest(struct registry *r, bool is_promised);
/* Puts rows that changed, at most `most`, and the meta row. True when more are
 * left. */
bool registry_save(struct registry *r, int64_t now_ns, uint32_t most);
/* The last of all: also the time that is still spent open, which marks no row as
 * changed. */
void registry_save_last(struct registry *r, int64_t now_ns);
/* Lets all deadlines up to now pass. */
void registry_advance(struct registry *r, int64_t now_ns);
/* After a change of configuration: every service, and the routes. */
void registry_reconfigure(struct registry *r, int64_t now_ns);
/* A turn of the prober's: answers of health probes come in, what is new goes
 * out. */
void registry_probe(struct registry *r, int64_t now_ns);
/* One answer of the store: remembers what is saved, publishes events. */
void registry_stored(struct registry *r, int64_t now_ns,
                     const struct store_done *done);

#endif
