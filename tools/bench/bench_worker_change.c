/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast a change is seen: one thread asks without a pause, this one reports the
 * failure that trips the service "trip". The stamp in the segment says when the
 * daemon stored the word; all times are CLOCK_BOOTTIME's. */
#define _GNU_SOURCE
#include "core/segment.h"
#include "tools/bench/bench_worker.h"
#include "tools/link.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CHANGES_MAX 4096
#define PATIENCE_NS INT64_C(2000000000)
#define LOOK_NS 50000
/* At rest: nobody has said anything for this long, or a bit more. */
#define REST_NS 8000000
#define REST_SPREAD_NS 4000000
/* At least this part of the changes has to be undisturbed. */
#define ENOUGH 4

static struct {
    struct breaker_service *service;
    struct bk_segment segment;
    struct link *operator;
    int core;
    _Atomic bool is_over;
    _Atomic bool is_closed;    /* as the reader sees it */
    _Atomic int64_t seen_ns;   /* when it first saw it open; 0: not yet */
    _Atomic bool is_announced; /* the reader takes it back */
    _Atomic bool was_away;     /* others had its core before it saw that */
} change;

static int64_t
boot_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* How often others took this thread's core from it. */
static long
preemptions(void)
{
    struct rusage used;

    getrusage(RUSAGE_THREAD, &used);
    return used.ru_nivcsw;
}

static void *
read_on(void *argument)
{
    struct breaker_permit permit;
    long preempted = 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)change.core, &one);
    (void)argument;
    sched_setaffinity(0, sizeof one, &one);
    while (!atomic_load_explicit(&change.is_over, memory_order_relaxed)) {
        bool is_closed =
            breaker_acquire(change.service, &permit) == BREAKER_ALLOWED;

        if (atomic_load_explicit(&change.is_announced, memory_order_relaxed)) {
            preempted = preemptions();
            atomic_store(&change.is_announced, false);
        }
        if (is_closed == atomic_load(&change.is_closed))
            continue;
        if (!is_closed) {
            atomic_store(&change.seen_ns, boot_ns());
            atomic_store(&change.was_away, preemptions() != preempted);
        }
        atomic_store(&change.is_closed, is_closed);
    }
    return NULL;
}

static bool
attach(void)
{
    char path[LINK_PATH_SIZE];
    struct stat found;
    void *base;
    int fd;

    snprintf(path, sizeof path, "%s/breakerd.shm", worker.dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found) != 0)
        return false;
    base = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return base != MAP_FAILED &&
           bk_segment_attach(&change.segment, base, (size_t)found.st_size) ==
               NULL;
}

static bool
close_again(void)
{
    static const char *const lines[] = {"RESET trip"};
    struct link_reply reply;
    bool is_done = link_ask(change.operator, lines, 1, LINK_DEADLINE_MS,
                            &reply) == LINK_ANSWERED;

    if (is_done) {
        is_done = reply.count == 1 && strncmp(reply.frames[0], "OK", 2) == 0;
        link_reply_free(&reply);
    }
    return is_done;
}

/* Until the reader has set it so. */
static bool
await(_Atomic bool *flag, bool value)
{
    int64_t end_ns = player_clock_ns() + PATIENCE_NS;

    while (atomic_load(flag) != value) {
        if (player_clock_ns() > end_ns)
            return false;
        player_pause_ns(LOOK_NS);
    }
    return true;
}

static bool
change_once(uint32_t slot, int64_t *seen_after_ns, int64_t *stored_after_ns)
{
    struct breaker_permit permit;
    int64_t told_ns;
    int64_t stored_ns;

    if (!close_again() || !await(&change.is_closed, true))
        return false;
    player_pause_ns(REST_NS + random() % REST_SPREAD_NS);
    /* The reader is on its core, and notes who takes it away from here on. */
    atomic_store(&change.is_announced, true);
    if (!await(&change.is_announced, false))
        return false;
    breaker_acquire(change.service, &permit);
    told_ns = boot_ns();
    if (breaker_report(&permit, BREAKER_FAILURE, -1) != BREAKER_DONE ||
        !await(&change.is_closed, false))
        return false;
    stored_ns = atomic_load(&change.segment.stamps[slot]);
    *seen_after_ns = atomic_load(&change.seen_ns) - stored_ns;
    *stored_after_ns = stored_ns - told_ns;
    return true;
}

/* What others did to the reader is not told, unless they hardly ever let it be. */
static bool
change_all(size_t count, struct player_told *told)
{
    static int64_t seen_ns[CHANGES_MAX];
    static int64_t left_ns[CHANGES_MAX];
    static int64_t stored_ns[CHANGES_MAX];
    size_t left = 0;
    struct breaker_permit permit;
    uint32_t slot;

    /* It comes to be, and the reader may look. */
    if (!close_again())
        return player_fail(told, "the operator's socket does not answer");
    breaker_acquire(change.service, &permit);
    slot = bk_segment_find(&change.segment, "trip", 4);
    if (slot == BK_NO_SLOT)
        return player_fail(told, "the service is not in the segment");
    for (size_t i = 0; i < count; i++) {
        if (!change_once(slot, &seen_ns[i], &stored_ns[i]))
            return player_fail(told, "a change was not seen");
        if (!atomic_load(&change.was_away))
            left_ns[left++] = seen_ns[i];
    }
    if (left < count / ENOUGH) {
        memcpy(left_ns, seen_ns, sizeof left_ns);
        left = count;
    }
    told->more[0] = (double)player_share(left_ns, left, 0.5);
    told->more[1] = (double)player_share(left_ns, left, 0.99);
    told->more[2] = (double)player_share(stored_ns, count, 0.5);
    told->more[3] = (double)player_share(stored_ns, count, 0.99);
    told->more[4] = (double)(count - left);
    told->more_count = 5;
    return true;
}

/* change COUNT CORE: the reader runs on that core. */
bool
worker_play_change(const struct player_order *order, struct player_told *told)
{
    size_t count = order->count < CHANGES_MAX ? order->count : CHANGES_MAX;
    char path[LINK_PATH_SIZE];
    pthread_t reader;
    bool is_done;

    snprintf(path, sizeof path, "%s/operator.sock", worker.dir);
    change.service = breaker_service(worker.b, "trip");
    change.core = (int)player_number(order, 0, 0);
    atomic_store(&change.is_over, false);
    if (change.segment.header == NULL && !attach())
        return player_fail(told, "the segment cannot be read");
    if (change.operator== NULL)
        change.operator= link_open(path);
    if (change.operator== NULL ||
        pthread_create(&reader, NULL, read_on, NULL) != 0)
        return player_fail(told, "no connection, or no thread");
    player_begin(told);
    is_done = change_all(count, told);
    player_end(told, count);
    atomic_store(&change.is_over, true);
    pthread_join(reader, NULL);
    return is_done;
}
