/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/publish.h"
#include "core/segment_blocks.h"
#include "daemon/adopt.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "breakerd.shm"
/* Room is taken for so many at a time, which are whole pages. */
#define BLOCK_STEP 1024
#define POLICY_STEP 64
/* When there was none, it is asked for again after so long. */
#define SHORT_NS BK_NS_PER_S
/* Records that wait are published in at most one part of so many of the time, but for
 * PUBLISH_LATE_NS. */
#define LATE_PARTS 20
/* From the one that is published to the one whose memory is called for. */
#define LATE_AHEAD 3

/* Of a record that may wait. */
enum late {
    NOT_LATE,
    LISTED, /* it waited, and was published meanwhile with its verdict */
    LATE
};

struct publish {
    struct bk_segment segment;
    void *map;
    size_t bytes;
    int fd;            /* of the file; -1: it could not be made */
    struct adopt old;  /* another file, whose place is taken in publish_run */
    bool is_short;     /* a block had no room */
    int64_t relief_ns; /* then: when room is asked for again */
    char boot_id[BK_BOOT_ID_SIZE];
    uint64_t time_namespace;
    uint64_t policy_edition; /* as published */
    uint32_t *late;          /* slots whose records wait */
    uint32_t late_count;
    uint8_t *is_late; /* enum late of a slot */
    int64_t late_ns;  /* not before this, unless promised */
    bool is_running;
    char path[PATH_MAX];
    char new_path[PATH_MAX];
};

static void
read_host(struct publish *p)
{
    struct stat st;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, p->boot_id, sizeof(p->boot_id) - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    p->boot_id[n > 0 ? n : 0] = '\0';
    p->boot_id[strcspn(p->boot_id, "\n")] = '\0';
    if (stat("/proc/self/ns/time", &st) == 0) {
        p->time_namespace = (uint64_t)st.st_ino;
    }
}

static bool
has_limits(const struct bk_segment *s, const struct bk_limits *l)
{
    return s->limits.services == l->services && s->limits.leases == l->leases &&
           s->limits.policies == l->policies && s->limits.routes == l->routes;
}

/* The writer may have died before a word, and verdicts depend on other services; in a
 * new file there is nothing yet. */
static void
touch_rest(struct bk_segment *s, struct bk_fleet *fleet, bool is_new)
{
    for (uint32_t i = 0; i < s->limits.services; i++) {
        if (bk_fleet_service(fleet, i) != NULL &&
            (is_new ||
             atomic_load(&s->words[i]) != bk_fleet_verdict(fleet, i))) {
            bk_fleet_touch(fleet, i);
        }
    }
}

/* ---- a new file ---- */

static void *
make_file(struct publish *p, const struct rundir *r,
          const struct bk_limits *limits)
{
    char sentence[256];
    struct bk_text error;
    bk_text_init(&error, sentence, sizeof(sentence));
    unlink(p->new_path);
    int fd = open(p->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_line(LOG_ERROR, "cannot make %s: %s", p->new_path, strerror(errno));
        return NULL;
    }
    /* Room is taken before it is used: a page that cannot be had later would be a
     * SIGBUS in every reader. */
    size_t first = bk_segment_fixed_bytes(limits);
    int number = posix_fallocate(fd, 0, (off_t)first);
    void *map = MAP_FAILED;
    if (number == 0) {
        map = ftruncate(fd, (off_t)p->bytes) == 0
                  ? mmap(NULL, p->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                         0)
                  : MAP_FAILED;
        number = errno;
    }
    if (map == MAP_FAILED) {
        log_line(LOG_ERROR, "no room for %zu KiB of shared memory in %s: %s",
                 first / 1024, r->path, strerror(number));
        close(fd);
        unlink(p->new_path);
        return NULL;
    }
    p->fd = fd;
    if (!rundir_protect(r, p->new_path, 0640, &error)) {
        log_line(LOG_WARNING, "%s", sentence);
    }
    return map;
}

static bool
make(struct publish *p, const struct rundir *r, const struct bk_limits *limits)
{
    p->bytes = bk_segment_bytes(limits);
    p->map = make_file(p, r, limits);
    if (p->map == NULL) {
        log_line(LOG_ERROR, "workers cannot read verdicts from memory and will "
                            "ask over the socket instead");
        p->new_path[0] = '\0';
        p->map = mmap(NULL, p->bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p->map == MAP_FAILED) {
            p->map = NULL;
            return false;
        }
    }
    bk_segment_format(p->map, limits, p->boot_id, p->time_namespace);
    const char *why = bk_segment_attach(&p->segment, p->map, p->bytes);
    if (why != NULL) {
        log_line(LOG_ERROR, "the new shared memory is unsound: %s", why);
    }
    if (p->fd >= 0) {
        bk_segment_set_policies(&p->segment, 0);
        bk_segment_set_blocks(&p->segment, 0);
    }
    return why == NULL;
}

static void
free_publish(struct publish *p)
{
    if (p != NULL) {
        if (p->fd >= 0) {
            close(p->fd);
        }
        adopt_unmap(&p->old);
        free(p->late);
        free(p->is_late);
        free(p);
    }
}

static struct publish *
new_publish(const struct bk_limits *limits)
{
    struct publish *p = calloc(1, sizeof(*p));
    if (p != NULL) {
        p->fd = -1;
        p->old.fd = -1;
        p->late = calloc(limits->services, sizeof(*p->late));
        p->is_late = calloc(limits->services, sizeof(*p->is_late));
    }
    if (p == NULL || p->late == NULL || p->is_late == NULL) {
        free_publish(p);
        return NULL;
    }
    return p;
}

struct publish *
publish_open(const struct rundir *r, struct bk_fleet *fleet, int64_t now_ns,
             struct publish_found *found)
{
    struct adopt old = {.fd = -1};
    const struct bk_limits *limits = bk_fleet_limits(fleet);
    struct publish *p = new_publish(limits);
    memset(found, 0, sizeof(*found));
    if (p == NULL || !rundir_file(r, FILE_NAME, p->path) ||
        !rundir_file(r, FILE_NAME ".new", p->new_path)) {
        free_publish(p);
        return NULL;
    }
    read_host(p);
    const char *why = adopt_map(&old, p->path, p->boot_id, p->time_namespace);
    if (why == NULL) {
        adopt_all(&old, fleet, now_ns, found);
    } else if (why[0] != '\0') {
        log_line(LOG_INFO, "%s is not taken over: %s", p->path, why);
    }
    if (why == NULL && has_limits(&old.segment, limits)) {
        p->segment = old.segment;
        p->map = old.map;
        p->bytes = old.bytes;
        p->fd = old.fd;
        p->new_path[0] = '\0';
        if (!adopt_tidy(&p->segment, fleet)) {
            munmap(p->map, p->bytes);
            free_publish(p);
            return NULL;
        }
        touch_rest(&p->segment, fleet, false);
        return p;
    }
    if (why == NULL) {
        p->old = old;
    } else {
        adopt_unmap(&old);
    }
    if (!make(p, r, limits)) {
        free_publish(p);
        return NULL;
    }
    touch_rest(&p->segment, fleet, true);
    return p;
}

/* Till now a daemon that cannot start leaves the old file as it was. Whoever has it
 * mapped must not believe it any more. */
static void
take_place(struct publish *p)
{
    if (p->new_path[0] != '\0' && rename(p->new_path, p->path) != 0) {
        log_line(LOG_ERROR, "cannot put %s in place: %s", p->path,
                 strerror(errno));
    } else if (p->fd < 0) {
        unlink(p->path);
    }
    p->new_path[0] = '\0';
    if (p->old.map != NULL) {
        atomic_store(&p->old.segment.header->phase, BK_SEGMENT_RETIRED);
        adopt_unmap(&p->old);
    }
}

static void
put_version(struct bk_segment_header *h)
{
    uint64_t words[BK_VERSION_SIZE / 8] = {0};
    memcpy(words, BREAKERD_VERSION, sizeof(BREAKERD_VERSION));
    for (size_t i = 0; i < BK_VERSION_SIZE / 8; i++) {
        atomic_store_explicit(&h->version[i], words[i], memory_order_relaxed);
    }
}

void
publish_run(struct publish *p, uint64_t epoch, int64_t now_ns)
{
    struct bk_segment_header *h = p->segment.header;
    put_version(h);
    atomic_store(&h->daemon_pid, (uint64_t)getpid());
    atomic_store(&h->started_boot_ns, now_ns);
    atomic_store(&h->epoch, epoch);
    publish_beat(p, now_ns, 0);
    p->is_running = true;
    /* Pairs with the acquire in bk_segment_attach's callers: whoever sees
     * RUNNING sees all that was laid out before. */
    atomic_store_explicit(&h->phase, BK_SEGMENT_RUNNING, memory_order_release);
    take_place(p);
}

/* Takes room for what lies between two places of the segment, before it is used. */
static bool
take_room(const struct publish *p, const _Atomic uint64_t *from,
          const _Atomic uint64_t *to)
{
    uintptr_t at = (uintptr_t)from - (uintptr_t)p->map;
    uintptr_t bytes = (uintptr_t)to - (uintptr_t)from;
    return posix_fallocate(p->fd, (off_t)at, (off_t)bytes) == 0;
}

static uint32_t
step(uint32_t from, uint32_t by, uint32_t most)
{
    return most - from < by ? most : from + by;
}

static bool
add_blocks(struct publish *p)
{
    struct bk_segment *s = &p->segment;
    uint32_t from = bk_segment_blocks(s);
    uint32_t to = step(from, BLOCK_STEP, s->block_count);
    if (from < to && !take_room(p, s->blocks + (size_t)from * BK_BLOCK_WORDS,
                                s->blocks + (size_t)to * BK_BLOCK_WORDS)) {
        return false;
    }
    bk_segment_set_blocks(s, to);
    return true;
}

static bool
add_policies(struct publish *p, uint32_t wanted)
{
    const size_t words = BK_IMAGE_WORDS(struct bk_policy);
    struct bk_segment *s = &p->segment;
    uint32_t from = bk_segment_policies(s);
    for (; from < wanted && from < s->limits.policies;
         from = bk_segment_policies(s)) {
        uint32_t to = step(from, POLICY_STEP, s->limits.policies);
        if (!take_room(p, s->policies + from * words,
                       s->policies + to * words)) {
            return false;
        }
        bk_segment_set_policies(s, to);
    }
    return true;
}

/* What is not seen now is put again when there is room. */
static void
tell_short(struct publish *p)
{
    if (!p->is_short) {
        log_line(LOG_ERROR,
                 "no room for more shared memory: some settings, counts and "
                 "outcomes are not seen in it until there is");
    }
    p->is_short = true;
    p->relief_ns = clock_boot_ns() + SHORT_NS;
}

static void
put_policies(struct publish *p, const struct bk_fleet *fleet)
{
    if (!add_policies(p, bk_fleet_policy_end(fleet))) {
        tell_short(p);
    }
    bk_segment_put_policies(&p->segment, fleet);
}

static void
put_record(struct publish *p, struct bk_fleet *fleet, uint32_t slot)
{
    bool has_room = p->is_short ||
                    bk_segment_room(&p->segment) >= BK_BLOCKS_MOST ||
                    add_blocks(p);
    bool is_done = bk_segment_put_service(&p->segment, fleet, slot);
    if (!p->is_short && !(has_room && is_done)) {
        tell_short(p);
    }
}

/* When there is room again, all is put that may have found none. */
static void
relieve(struct publish *p, struct bk_fleet *fleet)
{
    if (!p->is_short || clock_boot_ns() < p->relief_ns) {
        return;
    }
    p->relief_ns = clock_boot_ns() + SHORT_NS;
    if (!add_blocks(p) || !add_policies(p, bk_fleet_policy_end(fleet))) {
        return;
    }
    p->is_short = false;
    log_line(LOG_INFO, "there is room for shared memory again");
    p->policy_edition = UINT64_MAX;
    for (uint32_t i = 0; i < p->segment.limits.services; i++) {
        if (bk_fleet_service(fleet, i) != NULL) {
            bk_fleet_touch(fleet, i);
        }
    }
}

/* The record comes before the word: who has read the word finds its generation. */
static void
put_service(struct publish *p, struct bk_fleet *fleet, uint32_t slot)
{
    struct bk_segment *s = &p->segment;
    uint64_t word = bk_fleet_verdict(fleet, slot);
    uint64_t shown =
        atomic_load_explicit(&s->words[slot], memory_order_relaxed);
    if (word == shown && word != 0) {
        if (p->is_late[slot] == NOT_LATE) {
            p->late[p->late_count++] = slot;
        }
        p->is_late[slot] = LATE;
        return;
    }
    if (p->is_late[slot] == LATE) {
        p->is_late[slot] = LISTED;
    }
    put_record(p, fleet, slot);
    if (bk_segment_put_word(s, slot, word)) {
        atomic_store_explicit(&s->stamps[slot], clock_boot_ns(),
                              memory_order_release);
    }
}

void
publish_rest(struct publish *p, struct bk_fleet *fleet, bool is_promised)
{
    relieve(p, fleet);
    if (p->late_count == 0) {
        return;
    }
    int64_t from_ns = clock_boot_ns();
    if (!is_promised && from_ns < p->late_ns) {
        return;
    }
    for (uint32_t i = 0; i < p->late_count; i++) {
        uint32_t slot = p->late[i];
        if (i + LATE_AHEAD < p->late_count) {
            bk_fleet_foresee_slot(fleet, p->late[i + LATE_AHEAD]);
            bk_segment_foresee(&p->segment, p->late[i + LATE_AHEAD]);
        }
        if (p->is_late[slot] == LATE) {
            put_record(p, fleet, slot);
        }
        p->is_late[slot] = NOT_LATE;
    }
    p->late_count = 0;
    int64_t to_ns = clock_boot_ns();
    int64_t pause_ns = (LATE_PARTS - 1) * (to_ns - from_ns);
    p->late_ns =
        to_ns + (pause_ns < PUBLISH_LATE_NS ? pause_ns : PUBLISH_LATE_NS);
}

int64_t
publish_deadline(const struct publish *p)
{
    return p->late_count > 0 ? p->late_ns : BK_NEVER;
}

void
publish_sync(struct publish *p, struct bk_fleet *fleet,
             void (*changed)(void *context, uint32_t slot), void *context)
{
    struct bk_segment *s = &p->segment;
    struct bk_segment_header *h = s->header;
    uint32_t slot;
    /* Ids first: a lease that is seen was given out below next_id. */
    atomic_store_explicit(&h->next_id, bk_fleet_next_id(fleet),
                          memory_order_release);
    while ((slot = bk_fleet_next_dirty_lease(fleet)) != BK_NO_SLOT) {
        bk_segment_put_lease(s, fleet, slot);
    }
    bool is_policy_new = p->policy_edition != bk_fleet_policy_edition(fleet);
    if (is_policy_new) {
        p->policy_edition = bk_fleet_policy_edition(fleet);
        put_policies(p, fleet);
    }
    while ((slot = bk_fleet_next_dirty(fleet)) != BK_NO_SLOT) {
        put_service(p, fleet, slot);
        if (changed != NULL) {
            changed(context, slot);
        }
    }
    if (is_policy_new) { /* a record that waits names a policy's old place */
        publish_rest(p, fleet, true);
    }
    atomic_store_explicit(&h->service_count, bk_fleet_count(fleet),
                          memory_order_relaxed);
}

void
publish_line(void *publish, const struct bk_past *line)
{
    struct publish *p = publish;
    struct bk_past there;
    if (!bk_segment_read_past(&p->segment,
                              (uint32_t)(line->seq % BK_PAST_COUNT), &there) ||
        there.seq < line->seq) {
        bk_segment_put_past(&p->segment, line);
    }
}

void
publish_routes(struct publish *p, const struct bk_fleet *fleet)
{
    bk_segment_put_routes(&p->segment, fleet);
}

void
publish_totals(struct publish *p, const struct bk_totals *totals)
{
    bk_segment_put_totals(&p->segment, totals);
}

void
publish_beat(struct publish *p, int64_t boot_ns, uint64_t workers)
{
    struct bk_segment_header *h = p->segment.header;
    atomic_store_explicit(&h->workers, workers, memory_order_relaxed);
    atomic_store_explicit(&h->heartbeat_boot_ns, boot_ns, memory_order_release);
    atomic_store_explicit(&h->heartbeat_mono_ns, clock_mono_ns(),
                          memory_order_release);
}

void
publish_close(struct publish **p)
{
    if (*p == NULL) {
        return;
    }
    if ((*p)->is_running) {
        atomic_store_explicit(&(*p)->segment.header->phase, BK_SEGMENT_STOPPED,
                              memory_order_release);
    } else if ((*p)->new_path[0] != '\0') {
        unlink((*p)->new_path);
    }
    munmap((*p)->map, (*p)->bytes);
    free_publish(*p);
    *p = NULL;
}
