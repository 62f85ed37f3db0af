#ifndef BK_FLEET_PRIVATE_H
#define BK_FLEET_PRIVATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a fleet, shared by the fleet_*.c files and nobody else. */
#include "core/fleet.h"

/* A name that is gone and the generation it must go on from. */
struct forgotten {
    uint64_t hash;
    uint64_t generation;
    char name[BK_NAME_SIZE];
};

struct bk_fleet {
    struct bk_limits limits;
    bk_policy_source *source;
    void *context;
    uint64_t random;
    int64_t now_ns; /* the latest instant seen */
    uint64_t next_id;
    uint64_t policy_edition; /* grows when a policy's slot says another thing */
    int64_t room_ns;         /* no service can make room before this */
    uint32_t count;
    uint32_t bucket_count; /* a power of two */
    uint32_t dirty_head;
    uint32_t route_count;
    uint32_t note_first;
    uint32_t note_count;
    uint32_t foreseen[BK_FORESEEN]; /* buckets */
    uint32_t foreseen_next;
    uint32_t forgotten_count;
    uint32_t forgotten_next;   /* the ring's next place */
    uint64_t generation_floor; /* above the generation of every name that
                                     fell out of the ring; 0: none did */
    struct bk_leases leases;
    struct bk_service *services;
    struct bk_stats *stats;       /* of each slot */
    struct bk_evidence *evidence; /* BK_EVIDENCE_COUNT of each slot */
    struct bk_policy *policies;
    uint32_t *policy_users;
    uint32_t policy_end; /* none beyond was ever used */
    uint32_t *buckets;   /* slot by name; BK_NO_SLOT is empty */
    uint32_t *timers;    /* heap of slots, earliest deadline first */
    struct bk_route *routes;
    struct bk_note notes[BK_OUTBOX];
    struct forgotten forgotten[BK_FORGOTTEN];
};

uint64_t bk_fleet_hash(const char *name, size_t len);
/* `now_ns`, or the latest instant seen when that is later. */
int64_t bk_fleet_clamp(struct bk_fleet *f, int64_t now_ns);

/* The bucket where a name is, or the empty one where it would go. */
uint32_t bk_fleet_bucket(const struct bk_fleet *f, const char *name,
                         size_t len);
/* Takes a name out of the table. */
void bk_fleet_unlink(struct bk_fleet *f, const char *name);
/* Puts a service into the heap of deadlines, and takes it out. */
void bk_fleet_add_timer(struct bk_fleet *f, uint32_t slot);
void bk_fleet_remove_timer(struct bk_fleet *f, uint32_t slot);
/* Adds to a word of the service's stats, which must then be published. */
void bk_fleet_count_stat(struct bk_service *s, uint64_t *word, uint64_t more);
/* The service must be published. */
void bk_fleet_mark_dirty(struct bk_fleet *f, uint32_t slot);
/* The services that require this one must be: their verdict may be another. */
void bk_fleet_touch_dependants(struct bk_fleet *f, const char *name);
void bk_fleet_void_permits(struct bk_fleet *f, struct bk_service *s);

/* Runs one event on a service and carries out what concerns the fleet: permits
 * void, a note, services that require it. The timer is left to settle. */
struct bk_effects bk_fleet_step(struct bk_fleet *f, uint32_t slot,
                                struct bk_event *event);
/* Lets every deadline of a service up to now pass, each at its own instant. */
void bk_fleet_catch_up(struct bk_fleet *f, uint32_t slot, int64_t now_ns);
/* After a change: the service must be published, its deadline may be another. */
void bk_fleet_settle(struct bk_fleet *f, uint32_t slot);
/* The same of what is published as it is. */
void bk_fleet_settle_quietly(struct bk_fleet *f, uint32_t slot);
void bk_fleet_note(struct bk_fleet *f, const struct bk_note *note);

/* Takes an empty slot for a name; its breaker is as new with `generation`. Errors:
 * table_full. */
enum bk_error bk_fleet_place(struct bk_fleet *f, int64_t now_ns,
                             const char *name, size_t len,
                             const struct bk_policy *policy,
                             uint64_t generation, uint32_t *out);
/* A free slot gets its name; the policy is its own already. Nothing else of it has
 * a value. */
struct bk_service *bk_fleet_enter(struct bk_fleet *f, uint32_t slot,
                                  const char *name, size_t len,
                                  uint32_t policy);
/* Nothing has counted against it yet. */
void bk_fleet_clear_evidence(struct bk_service *s);
/* Voids its leases, frees its slot. */
void bk_fleet_remove(struct bk_fleet *f, uint32_t slot);
/* The index of an equal policy, one user more; BK_NO_SLOT when full. */
uint32_t bk_fleet_take_policy(struct bk_fleet *f,
                              const struct bk_policy *policy);
/* The same at index `at`, while nobody uses that for another. */
uint32_t bk_fleet_take_policy_at(struct bk_fleet *f, uint32_t at,
                                 const struct bk_policy *policy);
void bk_fleet_drop_policy(struct bk_fleet *f, uint32_t policy);
const struct bk_policy *bk_fleet_policy_of(const struct bk_fleet *f,
                                           uint32_t slot);
const struct bk_route *bk_fleet_route(const struct bk_fleet *f,
                                      const char *name, size_t len);
/* The place of a service's next outcome that counts against it, cleared. */
struct bk_evidence *bk_fleet_next_evidence(struct bk_service *s);
/* Ends a token unused: the withdrawal is undone where it still can be. */
void bk_fleet_cancel_token(struct bk_fleet *f, uint32_t lease_slot,
                           int64_t now_ns);
/* A name's first generation: 0, or past that of its earlier life. */
uint64_t bk_fleet_first_generation(const struct bk_fleet *f, const char *name);
/* Finds a service or makes it, and lets its deadlines pass. */
enum bk_error bk_fleet_reach(struct bk_fleet *f, int64_t now_ns,
                             const char *name, size_t len, uint32_t *slot);

#endif
