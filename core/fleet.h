#ifndef BK_FLEET_H
#define BK_FLEET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * All services of one instance: names, breakers, leases, tokens, routes and the
 * one sequence of ids. Commands come in with their time, answers go back as
 * values, changes wait in an outbox. The daemon, the bare scenarios, the model
 * test and a worker without a daemon all run this same code. */
#include "core/breaker.h"
#include "core/lease.h"
#include "core/stats.h"

#define BK_ROUTE_MEMBERS 16
#define BK_EVIDENCE_COUNT 8
#define BK_WORKER_SIZE 32
#define BK_TEXT_SIZE 40
#define BK_OUTBOX 256
/* Names forgotten whose last generation is remembered. */
#define BK_FORGOTTEN 4096
/* Names from the one that is foreseen to the one whose memory is called for. */
#define BK_FORESEEN 4
/* How far ids and generations leap when the segment was lost. */
#define BK_GENERATION_LEAP UINT64_C(1024)
#define BK_ID_LEAP (UINT64_C(1) << 32)
/* A service made by use may make room after this long without use. */
#define BK_IDLE_NS (3600 * BK_NS_PER_S)

/* An outcome that counted against a service. */
struct bk_evidence {
    int64_t at_ns;
    int64_t latency_ns; /* -1: unknown */
    uint32_t pid;
    uint32_t outcome; /* BK_SUCCESS, never evidence: the place is empty */
    char worker[BK_WORKER_SIZE];
    char text[BK_TEXT_SIZE];
};

/* Where a ring of outcomes goes on: at an empty place, else after the newest. Of
 * several at one instant the earlier place is the older. */
uint32_t bk_evidence_next(const struct bk_evidence *evidence);

struct bk_route {
    char name[BK_NAME_SIZE];
    uint32_t count;
    uint32_t reserved;
    char members[BK_ROUTE_MEMBERS][BK_NAME_SIZE];
};

struct bk_service {
    char name[BK_NAME_SIZE]; /* "": the slot is free */
    uint32_t incarnation;    /* grows each time the slot gets a new name */
    uint32_t policy;         /* index of its policy; see bk_fleet_policy */
    bool is_configured;      /* named by file or SET: never makes room */
    bool is_dirty;
    bool is_name_dirty; /* to be published with the record */
    bool has_evidence;  /* false: all places are empty */
    uint32_t timer_at;  /* place in the heap of deadlines */
    int64_t timer_ns;
    int64_t used_ns;
    struct bk_lease_heap permits;
    struct bk_lease_heap tokens;
    int64_t shut_ns; /* open until then, as services that require it know; 0:
                        not open */
    struct bk_stats *stats;       /* apart, as is what seldom is there: */
    struct bk_evidence *evidence; /* BK_EVIDENCE_COUNT */
    uint32_t evidence_next;
    uint32_t evidence_dirty;             /* a bit each: to be published */
    uint64_t stats_dirty[BK_STAT_MASKS]; /* a bit a word: to be published */
    uint32_t dirty_next;
    struct bk_breaker breaker;
};

struct bk_limits {
    uint32_t services;
    uint32_t leases;
    uint32_t policies;
    uint32_t routes;
};

/* What happened and must be carried out: stored, published, told. */
struct bk_note {
    uint32_t service;
    bool
        is_forgotten; /* the service made room; change.generation is its last */
    char name[BK_NAME_SIZE];
    struct bk_change change;
};

/* Who asks. */
struct bk_caller {
    uint32_t pid;       /* the kernel's; 0: unseen */
    const char *worker; /* for display, may be NULL */
};

/* Fills in the policy a service of this name has (for services made on first
 * use) and says whether it is configured by name. */
typedef bool bk_policy_source(void *context, const char *name,
                              struct bk_policy *out);

struct bk_fleet; /* private, in the caller's memory */

size_t bk_fleet_bytes(const struct bk_limits *limits);
/* `mem`: bk_fleet_bytes octets of zeros, aligned for uint64_t; not written to
 * before they are needed, so that a large table costs little memory before it fills.
 * `seed` starts the random numbers. */
struct bk_fleet *bk_fleet_init(void *mem, const struct bk_limits *limits,
                               bk_policy_source *source, void *context,
                               uint64_t seed);

/* Time. Every command first lets the deadlines of its service pass, each at its
 * own instant. bk_fleet_advance does it for all; `now_ns` never goes back (an
 * earlier one is taken as the latest seen). False: the outbox is filling and more
 * is due; take the notes and call again. */
int64_t bk_fleet_deadline(const struct bk_fleet *f);
bool bk_fleet_advance(struct bk_fleet *f, int64_t now_ns);

/* Looking. */
uint32_t bk_fleet_find(const struct bk_fleet *f, const char *name, size_t len);
/* So many that what is asked for next is not at hand. */
bool bk_fleet_is_large(const struct bk_fleet *f);
/* Of a large one: this name will be asked for when some more were foreseen. Its memory
 * is called for meanwhile. */
void bk_fleet_foresee(struct bk_fleet *f, const char *name, size_t len);
void bk_fleet_foresee_slot(const struct bk_fleet *f, uint32_t slot);
/* A route's name is no service's. */
bool bk_fleet_is_route(const struct bk_fleet *f, const char *name, size_t len);
const struct bk_service *bk_fleet_service(const struct bk_fleet *f,
                                          uint32_t slot); /* NULL: free slot */
const struct bk_policy *bk_fleet_policy(const struct bk_fleet *f,
                                        uint32_t policy);
/* None from here on was ever used. */
uint32_t bk_fleet_policy_end(const struct bk_fleet *f);
/* Grows whenever the table of policies says another thing. */
uint64_t bk_fleet_policy_edition(const struct bk_fleet *f);
uint32_t bk_fleet_count(const struct bk_fleet *f);
const struct bk_limits *bk_fleet_limits(const struct bk_fleet *f);
uint64_t bk_fleet_next_id(const struct bk_fleet *f);
const struct bk_leases *bk_fleet_leases(const struct bk_fleet *f);
const struct bk_route *bk_fleet_routes(const struct bk_fleet *f,
                                       uint32_t *count);

/* The verdict word of a service; 0 for a free slot. */
uint64_t bk_fleet_verdict(const struct bk_fleet *f, uint32_t slot);

/* Draining. Notes must be taken before the outbox overflows (after each
 * command); slots of services and leases to publish come once each. */
bool bk_fleet_has_note(const struct bk_fleet *f);
bool bk_fleet_next_note(struct bk_fleet *f, struct bk_note *out);
uint32_t bk_fleet_next_dirty(struct bk_fleet *f);       /* BK_NO_SLOT: none */
uint32_t bk_fleet_next_dirty_lease(struct bk_fleet *f); /* BK_NO_SLOT: none */
/* Its name has to be published; once. */
bool bk_fleet_next_dirty_name(struct bk_fleet *f, uint32_t slot);
/* Of a service, a word of its stats that has changed; BK_STAT_WORDS: none. */
size_t bk_fleet_next_dirty_stat(struct bk_fleet *f, uint32_t slot);
/* And an outcome of its evidence; BK_EVIDENCE_COUNT: none. */
uint32_t bk_fleet_next_dirty_evidence(struct bk_fleet *f, uint32_t slot);

/* Commands of workers. Each returns BK_OK or an error; answers are filled in
 * only with BK_OK. Names are as they came (validated here). */
struct bk_acquire {
    const char *name;
    size_t name_len;
    uint64_t attempt; /* >= 1 */
    uint64_t token;   /* 0: none */
    int64_t ttl_ns;   /* 0: the policy's */
    struct bk_caller caller;
};
struct bk_acquired {
    bool is_allowed;
    uint32_t service; /* chosen, or the first asked */
    const char *name; /* service allowed; service or route denied */
    uint64_t permit;  /* 0: nothing to give back */
    uint64_t generation;
    enum bk_state state;
    enum bk_deny deny;
    enum bk_deny would_deny; /* allowed: only observe let it through */
    int64_t wait_ns;         /* 0: unknown */
    uint64_t retry_after_ms; /* the same, rounded up */
};
enum bk_error bk_fleet_acquire(struct bk_fleet *f, int64_t now_ns,
                               const struct bk_acquire *ask,
                               struct bk_acquired *answer);

struct bk_report {
    const char *name;
    size_t name_len;
    uint64_t permit;
    bool is_current; /* generation was "-" */
    uint64_t generation;
    enum bk_outcome outcome;
    int64_t latency_ns; /* -1: unknown */
    uint64_t attempt;   /* 0: unknown */
    bool will_retry;
    int64_t retry_after_ns; /* 0: none */
    const char *text;       /* may be NULL */
    size_t text_len;
    struct bk_caller caller;
};
enum bk_error bk_fleet_report(struct bk_fleet *f, int64_t now_ns,
                              const struct bk_report *report,
                              enum bk_applied *answer);
/* The same of the service that was read in slot `slot` of the segment, where it had
 * this incarnation (its low bits); name and length are not looked at. Unknown when
 * another service lies there by now. */
enum bk_applied bk_fleet_report_at(struct bk_fleet *f, int64_t now_ns,
                                   uint32_t slot, uint8_t incarnation,
                                   const struct bk_report *report);

struct bk_retry {
    const char *name;
    size_t name_len;
    uint64_t failed_attempt; /* >= 1 */
    enum bk_outcome outcome;
    int64_t retry_after_ns; /* 0: none */
    struct bk_caller caller;
};
struct bk_granted {
    bool is_granted;
    uint32_t service;
    uint64_t token;
    int64_t delay_ns;
    enum bk_deny deny;
    uint64_t retry_after_ms;
};
enum bk_error bk_fleet_retry(struct bk_fleet *f, int64_t now_ns,
                             const struct bk_retry *ask,
                             struct bk_granted *answer);

/* `id` of a permit or a token. */
enum bk_applied bk_fleet_release(struct bk_fleet *f, int64_t now_ns,
                                 uint64_t id);
enum bk_applied bk_fleet_renew(struct bk_fleet *f, int64_t now_ns, uint64_t id,
                               int64_t ttl_ns);
/* A worker's own decisions, told afterwards. `deny`: why it denied, NONE when it
 * allowed or did not say. */
enum bk_error bk_fleet_tally(struct bk_fleet *f, int64_t now_ns,
                             const char *name, size_t name_len, bool is_allowed,
                             uint64_t count, enum bk_deny deny);
/* A process is dead: what it held comes back with no verdict. False as above. */
bool bk_fleet_process_died(struct bk_fleet *f, int64_t now_ns, uint32_t pid);

/* What came of asking a service's probe_url: success, failure or timeout. Makes
 * no service: unknown_service for one that is not there. */
struct bk_health {
    const char *name;
    size_t name_len;
    enum bk_outcome outcome;
    int64_t latency_ns; /* -1: unknown */
    const char *text;   /* why it failed; may be NULL */
    size_t text_len;
};
enum bk_error bk_fleet_health(struct bk_fleet *f, int64_t now_ns,
                              const struct bk_health *health);

/* Commands of operators. */
struct bk_order {
    const char *name;
    size_t name_len;
    enum bk_mode mode;   /* BK_AUTO removes the override */
    int64_t duration_ns; /* BK_NEVER: no end */
    const char *reason;  /* may be NULL */
    size_t reason_len;
    const char *actor; /* uid:gid:pid */
};
enum bk_error bk_fleet_order(struct bk_fleet *f, int64_t now_ns,
                             const struct bk_order *order, uint32_t *service,
                             bool *was_override);
enum bk_error bk_fleet_reset(struct bk_fleet *f, int64_t now_ns,
                             const char *name, size_t len, bool keeps_override,
                             bool *was_override);
/* Makes a service if it is not there (SET, TRIP, configuration). */
enum bk_error bk_fleet_make(struct bk_fleet *f, int64_t now_ns,
                            const char *name, size_t len, uint32_t *service);
/* Asks the policy source again and applies what changed. */
enum bk_error bk_fleet_reconfigure(struct bk_fleet *f, int64_t now_ns,
                                   uint32_t slot);
enum bk_error bk_fleet_forget(struct bk_fleet *f, const char *name, size_t len);
/* Replaces all routes. False when there are too many. */
bool bk_fleet_set_routes(struct bk_fleet *f, const struct bk_route *routes,
                         uint32_t count);

/* Survival. What SQLite keeps of a service; durations are what remained at the
 * moment of saving. */
struct bk_saved {
    char name[BK_NAME_SIZE];
    uint32_t state;
    uint32_t cause;
    uint64_t generation;
    uint32_t failed_rounds;
    uint32_t reserved;
    int64_t open_left_ns;
    int64_t hold_left_ns;
    int64_t open_ns;             /* spent open so far */
    struct bk_override override; /* expires_ns: remaining, BK_NEVER if no end */
    struct bk_counters counters;
    struct bk_stats stats;
};
void bk_fleet_save(const struct bk_fleet *f, uint32_t service, int64_t now_ns,
                   struct bk_saved *out);
/* Takes a service back after a lost segment (generation leaps). */
enum bk_error bk_fleet_restore(struct bk_fleet *f, int64_t now_ns,
                               const struct bk_saved *saved);
/* A name forgotten earlier, with its last generation. */
void bk_fleet_remember(struct bk_fleet *f, const char *name,
                       uint64_t generation);
/* The last generation of a forgotten name; false: not remembered. */
bool bk_fleet_forgotten(const struct bk_fleet *f, const char *name,
                        uint64_t *generation);
void bk_fleet_each_forgotten(const struct bk_fleet *f,
                             void (*visit)(void *context, const char *name,
                                           uint64_t generation),
                             void *context);
void bk_fleet_set_next_id(struct bk_fleet *f, uint64_t next_id);
/* A service as a segment has it. */
struct bk_kept {
    const char *name;
    uint32_t slot;
    uint32_t incarnation;
    uint32_t policy_at; /* where the policy was; it stays there if it can */
    bool is_configured;
    int64_t used_ns;
    const struct bk_breaker *breaker;
    const struct bk_policy *policy;
    const struct bk_evidence *evidence; /* NULL: none */
    /* NULL: all zero. Who adopts may then fill them in where the service has them. */
    const struct bk_stats *stats;
};
/* Takes a service, then its leases, over from a segment, slot for slot. It counts as
 * published unless something about it is another now; bk_fleet_touch says that it
 * does not. */
enum bk_error bk_fleet_adopt(struct bk_fleet *f, int64_t now_ns,
                             const struct bk_kept *kept);
/* All that is published of the service must be published again. */
void bk_fleet_touch(struct bk_fleet *f, uint32_t slot);
/* The parts of the memory that are used slot by slot, from their starts: `slot_bytes`
 * of each. */
#define BK_FLEET_PARTS 3
struct bk_fleet_part {
    void *at;
    size_t slot_bytes;
    bool is_seldom; /* of few services there is something in it */
};
void bk_fleet_parts(struct bk_fleet *f,
                    struct bk_fleet_part out[BK_FLEET_PARTS]);
bool bk_fleet_adopt_lease(struct bk_fleet *f, uint32_t slot,
                          const struct bk_lease *lease);

#endif
