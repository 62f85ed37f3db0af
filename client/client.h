#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A handle from the inside: what was chosen at open, the names, the mapping, and
 * the world: everything that belongs to one process and that a forked child
 * makes anew. */
#include "client/attach.h"
#include "client/call_numbers.h"
#include "client/fork_page.h"
#include "client/lane.h"
#include "client/local.h"
#include "client/log.h"
#include "client/names.h"
#include "client/ring_link.h"
#include "client/session.h"

/* Who is in charge. */
enum outage {
    OUTAGE_NONE,
    OUTAGE_GONE,  /* no living daemon is in sight */
    OUTAGE_SILENT /* it seems to live but does not answer */
};

/* Decisions told are summed up here; those not yet told are in the services. */
struct numbers {
    _Atomic uint64_t by_memory;
    _Atomic uint64_t by_daemon;
    _Atomic uint64_t by_local;
    _Atomic uint64_t by_nobody;
    _Atomic uint64_t outages;
};

struct world {
    uint32_t life; /* random, not 0: names this process in permits */
    struct attach attach;
    struct session session;
    struct ring_link ring_link;
    struct lanes lanes;
    struct local local;
    struct log_memory log;
    struct numbers numbers;
    struct call_numbers calls;
    pthread_mutex_t names_lock;
    _Atomic uint64_t random;
    _Atomic int outage; /* enum outage */
    _Atomic int64_t outage_since_ns;
    _Atomic int detour;           /* enum cause_code last told of */
    _Atomic int64_t tally_due_ns; /* on the coarse clock */
    struct world *before;         /* the parent's, kept but never touched */
};

struct breaker {
    struct fork_page *page;
    _Atomic(struct view *) view;
    _Atomic(struct world *) world;
    enum breaker_mode mode;
    enum breaker_fail fail;
    const struct transport_kind *transport;
    int64_t deadline_ns;
    bool tells_later; /* BREAKER_TELL_LATER */
    bool has_rings;   /* tells by ring where it can */
    struct names names;
    uint32_t view_serial; /* under the attach lock */
    struct places places;
    struct bk_layer environment; /* for the local machine's defaults */
    breaker_log *log;
    void *log_context;
    char worker[BK_WORKER_SIZE];
};

static inline struct world *
client_world(struct breaker *b)
{
    return atomic_load_explicit(&b->world, memory_order_acquire);
}

/* True when the handle may be used in this process; makes it anew in a child
 * that has just been forked. False: no memory, or another thread takes too long
 * over it. */
bool client_is_ready(struct breaker *b);
/* 0..span, for spreading what many workers do. */
int64_t client_jitter(struct world *w, int64_t span_ns);

/* Who is in charge now: true for the daemon. Looks at the heartbeat, probes the
 * directory when it is time, and carries out the change of charge. */
bool client_daemon_in_charge(struct breaker *b, int64_t now_ns);
/* The daemon is dead or did not answer: the local machine does from now on. */
void client_lost(struct breaker *b);
/* The daemon answered. */
void client_found(struct breaker *b);
/* The daemon answered what its memory should have told: says why, once. */
void client_note_detour(struct breaker *b);
/* Why decisions are not made by the daemon or from its memory. */
void client_why(struct breaker *b, struct cause *out);

static inline enum outage
client_outage(struct world *w)
{
    return (enum outage)atomic_load_explicit(&w->outage, memory_order_relaxed);
}

static inline struct view *
client_view(struct breaker *b)
{
    return atomic_load_explicit(&b->view, memory_order_acquire);
}

/* The last failure of this thread; returns `code`. */
int client_fail(enum breaker_error code, const char *a, const char *b,
                const char *c);

/* What every call into the library keeps as it was. */
struct entry {
    int error_number;
    int cancel_state;
};
struct entry client_enter(void);
void client_leave(struct entry entry);

#endif
