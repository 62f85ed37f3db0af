#ifndef BK_SEGMENT_H
#define BK_SEGMENT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory: one mapped file, written by the daemon alone, mapped
 * read-only by everybody else, adopted by the next daemon. docs/shm.md draws it.
 *
 * Every access goes through 64-bit atomic words. Four ways of writing:
 *  - a lone word (verdict, heartbeat, what is counted for metrics): one store;
 *  - an image with a check word behind it (lease, policy, evidence, route): a
 *    reader or adopter that sees a torn one sees a wrong check;
 *  - a block of what is seldom said of a service: its first word says whose it is, and
 *    changes before what is in it does (segment_blocks.h);
 *  - a record (a service's state): a sequence number and an image, overwritten while
 *    the number is odd; what is being written lies whole in the one place `pending`
 *    meanwhile, for readers and for the next writer if this one is killed. */
#include "core/fleet.h"
#include "core/past.h"
#include "core/verdict.h"
#include <stdatomic.h>

#define BK_SEGMENT_MAGIC UINT64_C(0x314b5242)
/* Larger limits are refused: keeps every size within 64 bits, buckets within 32, and a
 * slot within the bits a ring has for it. */
#define BK_SEGMENT_LIMIT_MAX (UINT32_C(1) << 24)
#define BK_BOOT_ID_SIZE 40
#define BK_VERSION_SIZE 24
/* Tries of a reader before it gives up on a torn read. */
#define BK_READ_TRIES 64
/* A heartbeat older than this says the daemon is gone. */
#define BK_HEARTBEAT_NS (100 * BK_NS_PER_MS)
#define BK_HEARTBEAT_STALE_NS (1 * BK_NS_PER_S)

enum bk_segment_phase {
    BK_SEGMENT_BLANK,   /* being laid out: no reader may look */
    BK_SEGMENT_RUNNING, /* a daemon serves; see the heartbeat */
    BK_SEGMENT_STOPPED, /* a daemon ended cleanly; state is whole */
    BK_SEGMENT_RETIRED  /* another file has taken its place: attach anew */
};

/* The first page. Plain fields are written before `phase` and never after. */
struct bk_segment_header {
    uint64_t magic;
    uint64_t fingerprint; /* of sizes and offsets of everything shared */
    uint64_t total_bytes;
    struct bk_limits limits;
    uint32_t bucket_count; /* a power of two, at least twice the services */
    uint32_t reserved;
    uint64_t words_at; /* offsets from the start of the file */
    uint64_t stamps_at;
    uint64_t buckets_at;
    uint64_t names_at;
    uint64_t records_at;
    uint64_t chains_at;
    uint64_t blocks_at;
    uint64_t policies_at;
    uint64_t leases_at;
    uint64_t routes_at;
    uint64_t past_at;
    uint64_t pending_at;
    char boot_id[BK_BOOT_ID_SIZE];
    uint64_t time_namespace; /* inode of /proc/self/ns/time */
    _Atomic uint64_t phase;  /* release; readers acquire it first */
    _Atomic uint64_t epoch;
    _Atomic uint64_t daemon_pid;
    _Atomic int64_t started_boot_ns;
    _Atomic int64_t heartbeat_boot_ns;
    _Atomic int64_t heartbeat_mono_ns;
    _Atomic uint64_t workers;
    _Atomic uint64_t service_count;
    _Atomic uint64_t next_id;
    _Atomic uint64_t route_count;
    _Atomic uint64_t lease_end;  /* above each slot of a lease ever used */
    _Atomic uint64_t policy_end; /* policies from here on have no memory */
    _Atomic uint64_t block_end;  /* nor have blocks */
    _Atomic uint64_t version[BK_VERSION_SIZE / 8]; /* text of the daemon's */
    _Atomic uint64_t totals[BK_TOTAL_COUNT];
};

/* A service as published. */
struct bk_record {
    char name[BK_NAME_SIZE];
    uint32_t incarnation;
    uint32_t policy;
    uint32_t is_used; /* 0: the slot is free */
    uint32_t is_configured;
    int64_t used_ns;
    uint32_t words; /* an operator's are in this place, 1 or 2; 0: none */
    uint32_t reserved;
    struct bk_breaker breaker; /* ends with those words, which lie apart */
};
/* What of it is one image. */
#define BK_RECORD_BYTES offsetof(struct bk_record, breaker.override.reason)

/* A segment mapped into this process. */
struct bk_segment {
    struct bk_segment_header *header;
    _Atomic uint64_t *words;   /* one verdict word a service */
    _Atomic int64_t *stamps;   /* BOOTTIME just after the word was stored */
    _Atomic uint64_t *buckets; /* slot + 1, or 0 */
    _Atomic uint64_t *names;   /* BK_NAME_SIZE octets a service */
    _Atomic uint64_t *records;
    _Atomic uint64_t *chains; /* a service's first block + 1, or 0 */
    _Atomic uint64_t *blocks;
    _Atomic uint64_t *policies;
    _Atomic uint64_t *leases;
    _Atomic uint64_t *routes;
    _Atomic uint64_t *past;    /* BK_PAST_COUNT lines, whatever the limits */
    _Atomic uint64_t *pending; /* slot + 1, or 0, and an image of a record */
    struct bk_limits limits;   /* copied and checked: never read from the map */
    uint32_t bucket_count;
    uint32_t block_count; /* all that can ever be in use */
    /* The writer's: */
    uint32_t block_used; /* none beyond was ever taken */
    uint32_t block_free; /* the first given back, or BK_NO_SLOT */
};

/* Words of a block, and how many blocks a service needs at most. */
#define BK_BLOCK_WORDS 8
#define BK_BLOCKS_MOST 34

/* Of the whole file, with what has no memory yet. */
size_t bk_segment_bytes(const struct bk_limits *limits);
/* Of what has memory from the first: policies and blocks lie behind it. */
size_t bk_segment_fixed_bytes(const struct bk_limits *limits);
uint64_t bk_segment_fingerprint(void);
/* Lays out zeroed memory, all of which is there; phase stays BLANK. */
void bk_segment_format(void *base, const struct bk_limits *limits,
                       const char *boot_id, uint64_t time_namespace);
/* Checks a mapping of `bytes` octets before anything in it is believed. NULL
 * when it is sound, else one static clause why not. Hostile content is fine. */
const char *bk_segment_attach(struct bk_segment *s, void *base, size_t bytes);

/* Readers. Never loop more than BK_READ_TRIES, never trust an index. */
uint32_t bk_segment_find(const struct bk_segment *s, const char *name,
                         size_t len); /* BK_NO_SLOT: not there */
/* Is this name, with zeros behind it, found in this slot? */
bool bk_segment_leads(const struct bk_segment *s, const char name[BK_NAME_SIZE],
                      uint32_t slot);
bool bk_segment_name(const struct bk_segment *s, uint32_t slot,
                     char name[BK_NAME_SIZE]);
/* False: free slot or torn beyond patience. */
bool bk_segment_read(const struct bk_segment *s, uint32_t slot,
                     struct bk_record *out);
bool bk_segment_read_policy(const struct bk_segment *s, uint32_t policy,
                            struct bk_policy *out);
/* Torn entries read as empty. False: there never was any. */
bool bk_segment_read_evidence(const struct bk_segment *s, uint32_t slot,
                              struct bk_evidence out[BK_EVIDENCE_COUNT]);
/* What no daemon writes reads as 0. */
void bk_segment_read_stats(const struct bk_segment *s, uint32_t slot,
                           struct bk_stats *out);
/* The same where there are zeros already: only what is not 0 is written. */
void bk_segment_fill_stats(const struct bk_segment *s, uint32_t slot,
                           struct bk_stats *out);
void bk_segment_read_totals(const struct bk_segment *s, struct bk_totals *out);
/* Slots from here on were never used. */
uint32_t bk_segment_lease_end(const struct bk_segment *s);
bool bk_segment_read_lease(const struct bk_segment *s, uint32_t slot,
                           struct bk_lease *out);
bool bk_segment_read_route(const struct bk_segment *s, uint32_t index,
                           struct bk_route *out);
/* The line whose number leaves `index` when divided by BK_PAST_COUNT. */
bool bk_segment_read_past(const struct bk_segment *s, uint32_t index,
                          struct bk_past *out);
void bk_segment_read_version(const struct bk_segment *s,
                             char out[BK_VERSION_SIZE]);

/* The writer. One process, one thread. Whoever goes on with another's segment first
 * finds out which blocks are in use: `met` has a zero bit for each of block_count. */
void bk_segment_sweep(struct bk_segment *s, uint64_t *met);
/* Blocks that have memory, and those of them never used: BK_BLOCKS_MOST should be there
 * before each put. Policies likewise. */
uint32_t bk_segment_blocks(const struct bk_segment *s);
void bk_segment_set_blocks(struct bk_segment *s, uint32_t count);
uint32_t bk_segment_room(const struct bk_segment *s);
uint32_t bk_segment_policies(const struct bk_segment *s);
void bk_segment_set_policies(struct bk_segment *s, uint32_t count);
/* False when a block was missing: what should be in it is not seen, until it changes
 * or the service is touched. */
bool bk_segment_put_service(struct bk_segment *s, struct bk_fleet *f,
                            uint32_t slot);
/* It will be put in a moment: its memory is called for meanwhile. */
void bk_segment_foresee(const struct bk_segment *s, uint32_t slot);
/* Stores the verdict word; true when it differs from what was there (then the
 * caller reads the clock and stores the stamp). */
bool bk_segment_put_word(struct bk_segment *s, uint32_t slot, uint64_t word);
void bk_segment_put_lease(struct bk_segment *s, const struct bk_fleet *f,
                          uint32_t slot);
void bk_segment_put_policies(struct bk_segment *s, const struct bk_fleet *f);
void bk_segment_put_totals(struct bk_segment *s,
                           const struct bk_totals *totals);
void bk_segment_put_past(struct bk_segment *s, const struct bk_past *line);
void bk_segment_put_routes(struct bk_segment *s, const struct bk_fleet *f);

#endif
