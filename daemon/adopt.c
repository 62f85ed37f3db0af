/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/adopt.h"
#include "core/segment_blocks.h"
#include "core/segment_index.h"
#include "daemon/arena.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
adopt_unmap(struct adopt *old)
{
    if (old->map != NULL) {
        munmap(old->map, old->bytes);
        old->map = NULL;
    }
    if (old->fd >= 0) {
        close(old->fd);
        old->fd = -1;
    }
}

const char *
adopt_map(struct adopt *old, const char *path, const char *boot_id,
          uint64_t time_namespace)
{
    struct stat st;
    old->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (old->fd < 0) {
        return errno == ENOENT ? "" : strerror(errno);
    }
    const char *why = NULL;
    if (fstat(old->fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
        why = "it is not a private file of this user";
    } else if (st.st_size < (off_t)sizeof(struct bk_segment_header)) {
        why = "it is too short";
    } else {
        old->bytes = (size_t)st.st_size;
        old->map = mmap(NULL, old->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        old->fd, 0);
        if (old->map == MAP_FAILED) {
            old->map = NULL;
            why = strerror(errno);
        }
    }
    if (why != NULL) {
        return why;
    }
    why = bk_segment_attach(&old->segment, old->map, old->bytes);
    const struct bk_segment_header *h = old->map;
    if (why == NULL && (strncmp(h->boot_id, boot_id, BK_BOOT_ID_SIZE) != 0 ||
                        h->time_namespace != time_namespace)) {
        why = "it is of an earlier boot";
    }
    return why;
}

/* A service as it was published: one place for all, since it is large. The policy is
 * kept because the next service has it as well. */
struct seen {
    struct bk_record record;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    bool has_policy;
    uint32_t policy_at;
    struct bk_policy policy;
};

/* Without its policy the windows could not be read: the one in force now will do, a
 * change of window empties them. */
static const struct bk_policy *
policy_of(const struct bk_segment *s, struct seen *seen)
{
    uint32_t at = seen->record.policy;
    if (!seen->has_policy || seen->policy_at != at) {
        if (!bk_segment_read_policy(s, at, &seen->policy)) {
            bk_policy_defaults(&seen->policy);
        }
        seen->has_policy = true;
        seen->policy_at = at;
    }
    return &seen->policy;
}

static bool
adopt_service(const struct bk_segment *s, uint32_t slot, struct bk_fleet *fleet,
              int64_t now_ns, struct seen *seen)
{
    const struct bk_record *record = &seen->record;
    if (!bk_segment_read(s, slot, &seen->record)) {
        return false;
    }
    bool has_evidence = bk_segment_read_evidence(s, slot, seen->evidence);
    const struct bk_kept kept = {.name = record->name,
                                 .slot = slot,
                                 .incarnation = record->incarnation,
                                 .policy_at = record->policy,
                                 .is_configured = record->is_configured,
                                 .used_ns = record->used_ns,
                                 .breaker = &record->breaker,
                                 .policy = policy_of(s, seen),
                                 .evidence =
                                     has_evidence ? seen->evidence : NULL};
    if (bk_fleet_adopt(fleet, now_ns, &kept) != BK_OK) {
        return false;
    }
    bk_segment_fill_stats(s, slot, bk_fleet_service(fleet, slot)->stats);
    /* The writer may have died before the name was entered. */
    if (!bk_segment_leads(s, record->name, slot)) {
        bk_fleet_touch(fleet, slot);
    }
    return true;
}

/* Whole pages around `bytes` octets. */
static void
populate(void *at, size_t bytes, int advice)
{
    size_t over = (uintptr_t)at % (size_t)sysconf(_SC_PAGESIZE);
    (void)madvise((char *)at - over, bytes + over, advice);
}

/* `count` things of the segment, of `words` words each, will be read. */
static void
look_ahead(void *at, uint64_t count, size_t words)
{
    populate(at, (size_t)count * words * sizeof(uint64_t), MADV_POPULATE_READ);
}

/* Many at once fill the first large page of a part, and what they leave of the last is
 * no more than that. */
static void
prefer_large_pages(const struct bk_fleet *fleet, char *at, size_t bytes)
{
    const char *end =
        (const char *)fleet + bk_fleet_bytes(bk_fleet_limits(fleet));
    size_t left = (size_t)(end - at);
    size_t beyond = arena_to_large(at + bytes);
    if (bytes > 2 * ARENA_LARGE_PAGE) {
        arena_prefer_large(at, bytes + beyond < left ? bytes + beyond : left);
    }
}

/* The memory for what comes in is asked for at once: page by page it would take
 * longer than all the rest. */
static void
make_room(struct bk_fleet *fleet, const struct bk_segment *s)
{
    struct bk_fleet_part parts[BK_FLEET_PARTS];
    uint64_t services = atomic_load(&s->header->service_count);
    if (services > bk_fleet_limits(fleet)->services) {
        services = bk_fleet_limits(fleet)->services;
    }
    bk_fleet_parts(fleet, parts);
    for (size_t i = 0; i < BK_FLEET_PARTS; i++) {
        size_t bytes = parts[i].slot_bytes * (size_t)services;
        if (!parts[i].is_seldom) {
            prefer_large_pages(fleet, parts[i].at, bytes);
            populate(parts[i].at, bytes, MADV_POPULATE_WRITE);
        }
    }
    look_ahead(s->buckets, s->bucket_count, 1);
    look_ahead(s->names, services, BK_NAME_WORDS);
    look_ahead(s->records, services, BK_RECORD_WORDS);
    look_ahead(s->chains, services, 1);
    look_ahead(s->blocks, bk_segment_blocks(s), BK_BLOCK_WORDS);
}

void
adopt_all(const struct adopt *old, struct bk_fleet *fleet, int64_t now_ns,
          struct publish_found *found)
{
    const struct bk_segment *s = &old->segment;
    uint64_t next_id = atomic_load(&s->header->next_id);
    uint32_t lease_end = bk_segment_lease_end(s);
    struct bk_lease lease;
    struct seen seen = {.has_policy = false};
    make_room(fleet, s);
    for (uint32_t i = 0; i < s->limits.services; i++) {
        found->services += adopt_service(s, i, fleet, now_ns, &seen);
    }
    for (uint32_t i = 0; i < lease_end; i++) {
        if (bk_segment_read_lease(s, i, &lease) &&
            lease.kind != BK_LEASE_FREE && lease.id >= next_id &&
            lease.id < BK_NUMBER_END) {
            next_id = lease.id + 1;
        }
    }
    bk_fleet_set_next_id(fleet, next_id > 0 ? next_id : 1);
    for (uint32_t i = 0; i < lease_end; i++) {
        if (bk_segment_read_lease(s, i, &lease) &&
            lease.kind != BK_LEASE_FREE) {
            found->leases += bk_fleet_adopt_lease(fleet, i, &lease);
        }
    }
    for (uint32_t i = 0; i < BK_PAST_COUNT; i++) {
        struct bk_past line;
        if (bk_segment_read_past(s, i, &line) && line.seq > found->last_seq) {
            found->last_seq = line.seq;
        }
    }
    found->is_adopted = true;
    found->epoch = atomic_load(&s->header->epoch);
}

/* Which blocks are in use, and which were being given back. */
static bool
sweep(struct bk_segment *s)
{
    uint64_t *met = calloc(s->block_count / 64 + 1, sizeof(*met));
    if (met != NULL) {
        bk_segment_sweep(s, met);
    }
    free(met);
    return met != NULL;
}

/* What lies in the file and the fleet did not take over would come back from the
 * dead with the next adoption. */
static void
clear_rest(struct bk_segment *s, struct bk_fleet *fleet)
{
    struct bk_record record;
    struct bk_lease lease;
    for (uint32_t i = 0; i < s->limits.services; i++) {
        if (bk_fleet_service(fleet, i) == NULL &&
            (bk_segment_read(s, i, &record) || atomic_load(&s->words[i]) != 0 ||
             atomic_load(&s->chains[i]) != 0)) {
            bk_segment_put_word(s, i, 0);
            bk_segment_put_service(s, fleet, i);
        }
    }
    for (uint32_t i = 0; i < bk_segment_lease_end(s); i++) {
        if (!bk_segment_read_lease(s, i, &lease) ||
            lease.kind != BK_LEASE_FREE) {
            bk_segment_put_lease(s, fleet, i);
        }
    }
}

bool
adopt_tidy(struct bk_segment *s, struct bk_fleet *fleet)
{
    if (!sweep(s)) {
        return false;
    }
    clear_rest(s, fleet);
    return true;
}
