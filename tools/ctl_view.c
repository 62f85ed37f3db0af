/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/ctl_view.h"
#include "tools/link.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A daemon that just starts lays its segment out within this. */
#define PATIENCE_TRIES 25
#define PATIENCE_NS (20 * BK_NS_PER_MS)
/* Deadlines of one service let pass when the daemon is away: ten ramp steps, an
 * open time, an override and a hold, with room. */
#define DEADLINES_MAX 64

static int64_t
boottime_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

/* Why the open file must not be believed; NULL when it may be. Whoever owns the
 * directory could replace the file anyway, so that owner (or root) is trusted. */
static const char *
distrust(int fd, const char *dir)
{
    struct stat file;
    struct stat home;

    if (fstat(fd, &file) != 0 || stat(dir, &home) != 0)
        return "it cannot be examined";
    if (!S_ISREG(file.st_mode))
        return "it is not a regular file";
    if (file.st_uid != 0 && file.st_uid != home.st_uid)
        return "it does not belong to the owner of its directory";
    if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "others than its owner may write it";
    if (file.st_size < (off_t)sizeof(struct bk_segment_header))
        return "it is too short";
    return NULL;
}

static enum view_result
map(struct view *v, const char *dir, const char **why)
{
    int fd = open(v->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0) {
        *why = strerror(errno);
        if (errno == ENOENT)
            return VIEW_ABSENT;
        return errno == EACCES ? VIEW_FORBIDDEN : VIEW_UNSOUND;
    }
    *why = distrust(fd, dir);
    if (*why == NULL && fstat(fd, &st) == 0) {
        v->bytes = (size_t)st.st_size;
        v->base = mmap(NULL, v->bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (v->base == MAP_FAILED) {
            v->base = NULL;
            *why = strerror(errno);
        }
    }
    close(fd);
    if (*why == NULL)
        *why = bk_segment_attach(&v->segment, v->base, v->bytes);
    return *why == NULL ? VIEW_OPEN : VIEW_UNSOUND;
}

/* Clocks of another time namespace cannot be compared with ours. */
static bool
shares_our_time(const struct bk_segment_header *header)
{
    struct stat st;

    return stat("/proc/self/ns/time", &st) != 0 ||
           header->time_namespace == 0 ||
           header->time_namespace == (uint64_t)st.st_ino;
}

/* A file left by an earlier boot tells times of a clock that has begun anew. */
static bool
is_of_this_boot(const struct bk_segment_header *header)
{
    char id[BK_BOOT_ID_SIZE] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, id, sizeof id - 1);

    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return true;
    id[strcspn(id, "\n")] = '\0';
    return strncmp(id, header->boot_id, sizeof id) == 0;
}

/* Why the clocks in a sound segment are not ours; NULL when they are. */
static const char *
foreign_time(const struct bk_segment_header *header)
{
    if (!is_of_this_boot(header))
        return "it was left by an earlier boot";
    if (!shares_our_time(header))
        return "its clock is of another time namespace";
    return NULL;
}

void
view_beat(struct view *v)
{
    const struct bk_segment_header *h = v->segment.header;
    uint64_t phase = atomic_load_explicit(&h->phase, memory_order_acquire);
    int64_t beat =
        atomic_load_explicit(&h->heartbeat_boot_ns, memory_order_acquire);

    v->now_ns = boottime_ns();
    v->heartbeat_age_ns = beat == 0 ? BK_NEVER : v->now_ns - beat;
    v->is_stopped = phase == BK_SEGMENT_STOPPED;
    v->is_running = phase == BK_SEGMENT_RUNNING && !v->is_deaf &&
                    v->heartbeat_age_ns < BK_HEARTBEAT_STALE_NS;
}

/* Whether the daemon is there. A fresh heartbeat may be of one that was killed a
 * moment ago; then nobody listens any more, and the kernel knows. */
static void
feel_pulse(struct view *v, const struct place *p)
{
    char socket[PLACE_PATH_SIZE];

    v->is_deaf = !place_file(p, "worker.sock", socket) ||
                 link_probe(socket) == LINK_DEAF;
    view_beat(v);
    v->pid = atomic_load_explicit(&v->segment.header->daemon_pid,
                                  memory_order_acquire);
    bk_segment_read_version(&v->segment, v->version);
}

enum view_result
view_open(struct view *v, const struct place *p, struct bk_text *why)
{
    const char *clause = NULL;
    enum view_result result = VIEW_UNSOUND;

    *v = (struct view){0};
    if (!place_file(p, "breakerd.shm", v->path)) {
        bk_text_put(why, "the path is too long");
        return VIEW_ABSENT;
    }
    for (int i = 0; i < PATIENCE_TRIES; i++) {
        struct timespec pause = {.tv_nsec = PATIENCE_NS};
        const struct bk_segment_header *h;

        result = map(v, p->dir, &clause);
        h = v->base;
        if (result == VIEW_OPEN) {
            if (atomic_load_explicit(&h->phase, memory_order_acquire) !=
                BK_SEGMENT_RETIRED)
                break;
            clause = "another file is about to take its place";
            result = VIEW_UNSOUND;
        } else if (h == NULL ||
                   atomic_load_explicit(&h->phase, memory_order_acquire) !=
                       BK_SEGMENT_BLANK) {
            break;
        }
        view_close(v);
        nanosleep(&pause, NULL);
    }
    if (result == VIEW_OPEN) {
        clause = foreign_time(v->segment.header);
        result = clause == NULL ? VIEW_OPEN : VIEW_UNSOUND;
    }
    if (result == VIEW_OPEN)
        feel_pulse(v, p);
    else
        view_close(v);
    if (clause != NULL)
        bk_text_put(why, clause);
    return result;
}

void
view_close(struct view *v)
{
    if (v->base != NULL)
        munmap(v->base, v->bytes);
    v->base = NULL;
}

/* Lets the deadlines of a copy pass, each at its own instant, as the next daemon
 * will. */
static void
settle(struct view_service *s, int64_t now_ns)
{
    uint64_t random = 0; /* no deadline of the machine draws a number */

    for (int i = 0; i < DEADLINES_MAX; i++) {
        struct bk_event event = {.kind = BK_EV_TICK, .random = &random};

        event.now_ns = bk_breaker_deadline(&s->record.breaker);
        if (event.now_ns > now_ns)
            return;
        bk_breaker_step(&s->record.breaker, &s->policy, &event);
    }
}

bool
view_read(const struct view *v, uint32_t slot, struct view_service *out)
{
    out->slot = slot;
    if (!bk_segment_read(&v->segment, slot, &out->record))
        return false;
    if (!bk_segment_read_policy(&v->segment, out->record.policy, &out->policy))
        return false;
    if (!bk_breaker_is_sound(&out->record.breaker))
        return false;
    settle(out, v->now_ns);
    return true;
}

bool
view_find(const struct view *v, const char *name, struct view_service *out)
{
    uint32_t slot = bk_segment_find(&v->segment, name, strlen(name));

    return slot != BK_NO_SLOT && view_read(v, slot, out);
}

struct named_slot {
    char name[BK_NAME_SIZE];
    uint32_t slot;
};

static int
compare(const void *a, const void *b)
{
    const struct named_slot *x = a;
    const struct named_slot *y = b;

    return strcmp(x->name, y->name);
}

uint32_t *
view_slots(const struct view *v, size_t *count)
{
    uint32_t most = v->segment.limits.services;
    struct named_slot *named = calloc(most, sizeof *named);
    uint32_t *slots = calloc(most, sizeof *slots);
    size_t found = 0;

    *count = 0;
    if (named == NULL || slots == NULL) {
        free(named);
        free(slots);
        return NULL;
    }
    for (uint32_t slot = 0; slot < most; slot++) {
        if (bk_segment_name(&v->segment, slot, named[found].name))
            named[found++].slot = slot;
    }
    qsort(named, found, sizeof *named, compare);
    for (size_t i = 0; i < found; i++)
        slots[i] = named[i].slot;
    free(named);
    *count = found;
    return slots;
}

bool
view_nearest(const struct view *v, const char *name, char out[BK_NAME_SIZE])
{
    size_t len = strlen(name);
    unsigned least = len > 4 ? 3 : 2;
    bool is_found = false;

    for (uint32_t slot = 0; slot < v->segment.limits.services; slot++) {
        char other[BK_NAME_SIZE];
        unsigned d;

        if (!bk_segment_name(&v->segment, slot, other))
            continue;
        d = bk_edit_distance(name, len, other);
        if (d < least) {
            least = d;
            bk_copy_text(out, BK_NAME_SIZE, other, strlen(other));
            is_found = true;
        }
    }
    return is_found;
}

int64_t
view_lease_left(const struct view *v, const struct view_service *s)
{
    int64_t first_ns = BK_NEVER;

    if (s->record.breaker.permits_out == 0)
        return 0;
    for (uint32_t i = 0; i < v->segment.limits.leases; i++) {
        struct bk_lease lease;

        if (bk_segment_read_lease(&v->segment, i, &lease) &&
            lease.kind == BK_LEASE_PERMIT && lease.service == s->slot &&
            lease.generation == s->record.breaker.generation &&
            lease.deadline_ns < first_ns)
            first_ns = lease.deadline_ns;
    }
    if (first_ns == BK_NEVER || first_ns < v->now_ns)
        return 0;
    return first_ns - v->now_ns;
}

struct bk_effects
view_peek(const struct view *v, const struct view_service *s)
{
    struct bk_breaker copy = s->record.breaker;
    uint64_t random = 0; /* asking draws no number */
    struct bk_event event = {
        .kind = BK_EV_ACQUIRE, .now_ns = v->now_ns, .random = &random};
    struct view_service other;

    event.u.acquire.lease_left_ns = view_lease_left(v, s);
    if (s->policy.requires_name[0] != '\0' &&
        view_find(v, s->policy.requires_name, &other) &&
        other.record.breaker.state == BK_OPEN) {
        event.u.acquire.requires_denies = true;
        event.u.acquire.requires_left_ns =
            bk_breaker_wait(&other.record.breaker, v->now_ns);
    }
    return bk_breaker_step(&copy, &s->policy, &event);
}

void
view_daemon(const struct view *v, struct bk_status_daemon *out)
{
    const struct bk_segment_header *h = v->segment.header;
    int64_t started =
        atomic_load_explicit(&h->started_boot_ns, memory_order_acquire);

    *out = (struct bk_status_daemon){
        .is_running = v->is_running,
        .pid = v->pid,
        .version = v->version,
        .epoch = atomic_load_explicit(&h->epoch, memory_order_acquire),
        .services =
            atomic_load_explicit(&h->service_count, memory_order_acquire),
    };
    if (v->is_running) {
        out->uptime_ns = v->now_ns - started;
        out->workers = atomic_load_explicit(&h->workers, memory_order_acquire);
    }
}
