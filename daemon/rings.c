/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rings.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/ring_door.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_NAME "ring.sock"
/* Rings of one connection: a worker's threads that report at the same time. */
#define RINGS_A_GUEST 64
/* Connections of one process: one for each handle. */
#define GUESTS_A_PROCESS 8
/* Rings in all: 36 KiB each, if they are used. */
#define RINGS_MAX 4096
/* One user may hold this share of the connections and of the rings, so that another
 * gets some. */
#define USER_SHARE_PCT 80
/* Descriptors that are left for everything else when there are few. */
#define FD_SPARE 64
/* Connections heard, packets of one of them, and items taken in one turn. */
#define TURN_EVENTS 64
#define TURN_PACKETS 16
#define TURN_ITEMS 4096
/* Times TURN_PACKETS that are left of a dead one. */
#define BURY_ROUNDS 256
/* A ring that was silent for so long is not looked at any more. */
#define SILENCE_NS (100 * BK_NS_PER_MS)
/* Between two looks at all of them that no bell asked for. */
#define GLANCE_NS (1 * BK_NS_PER_MS)

_Static_assert(TURN_ITEMS >= RINGS_MAX, "one of each in every turn");

#define LISTENING UINT32_MAX /* in an event's data: no guest's number */

struct guest {
    int fd; /* -1: the place is free */
    uint32_t pid;
    uint32_t uid;
    uint32_t next;  /* of those whose pid has the same hash; of the free ones */
    uint32_t rings; /* the first of its own */
    uint32_t count;
    bool is_dead; /* its process; there may be more to hear all the same */
    char worker[BK_WORKER_SIZE];
};

struct ring {
    struct bk_ring *map; /* NULL: the place is free */
    uint64_t tail;
    uint64_t given;    /* the tail that the worker knows */
    uint64_t head;     /* as read at the beginning of a turn */
    int64_t silent_ns; /* since when nothing came; asleep since, if it is */
    uint32_t guest;
    uint32_t next;      /* of the guest's; of the free ones */
    uint32_t active_at; /* place among the active ones, BK_NO_SLOT: none */
    bool is_leaving;    /* asleep to the worker, to be looked at once more */
    bool has_rung;      /* since the last look */
    bool is_faulty;     /* to be let go at the end of the turn */
};

struct rings {
    struct registry *registry;
    struct watch *watch;
    int epoll_fd;
    int listening_fd;
    uint32_t fd_end; /* no connection's number is above */
    struct guest *guests;
    uint32_t guest_max;
    uint32_t guest_free;
    uint32_t guest_count;
    uint32_t *by_pid; /* heads, a power of two */
    uint32_t pid_mask;
    struct ring *rings;
    uint32_t ring_free;
    uint32_t *active; /* rings that are looked at */
    uint32_t active_count;
    uint32_t *turn; /* those whose items are taken just now */
    uint32_t turn_count;
    int64_t looked_ns;
    bool has_more; /* the last turn left something */
    struct rings_stats stats;
};

/* ---- places ---- */

static uint32_t *
chain_of(const struct rings *r, uint32_t pid)
{
    return &r->by_pid[(pid * UINT32_C(2654435761)) & r->pid_mask];
}

static void
activate(struct rings *r, uint32_t at, int64_t now_ns)
{
    struct ring *ring = &r->rings[at];
    ring->silent_ns = now_ns;
    ring->is_leaving = false;
    if (ring->active_at == BK_NO_SLOT) {
        ring->active_at = r->active_count;
        r->active[r->active_count++] = at;
    }
    atomic_store_explicit(&ring->map->watch, BK_RING_WATCHED,
                          memory_order_relaxed);
}

static void
deactivate(struct rings *r, uint32_t at)
{
    uint32_t place = r->rings[at].active_at;
    if (place != BK_NO_SLOT) {
        r->active[place] = r->active[--r->active_count];
        r->rings[r->active[place]].active_at = place;
        r->rings[at].active_at = BK_NO_SLOT;
    }
}

static void
drop_ring(struct rings *r, uint32_t at)
{
    deactivate(r, at);
    /* Its worker rings for the next item, and hears that nobody listens. Pairs with
     * the acquire in its is_let_go: the tail is the last. */
    atomic_store_explicit(&r->rings[at].map->watch, BK_RING_LET_GO,
                          memory_order_release);
    ring_door_unmap(&r->rings[at].map);
    r->rings[at].next = r->ring_free;
    r->ring_free = at;
    r->stats.rings--;
}

/* ---- what was written ---- */

static void
carry_out(struct rings *r, int64_t now_ns, const struct guest *g,
          const struct bk_ring_item *item, const char *text)
{
    struct registry *registry = r->registry;
    struct bk_report report = {
        .permit = item->permit,
        .is_current = item->is_current,
        .generation = item->generation,
        .outcome = (enum bk_outcome)item->outcome,
        .latency_ns =
            item->latency_us >= 0 ? item->latency_us * BK_NS_PER_US : -1,
        .attempt = item->attempt,
        .will_retry = item->will_retry,
        .retry_after_ns = bk_ns_of_ms(item->retry_after_ms),
        .text = item->text_len > 0 ? text : NULL,
        .text_len = item->text_len,
        .caller = {.pid = g->pid, .worker = g->worker}};
    enum bk_applied applied =
        item->kind == BK_RING_RELEASE
            ? bk_fleet_release(registry->fleet, now_ns, item->permit)
            : bk_fleet_report_at(registry->fleet, now_ns, item->slot,
                                 item->incarnation, &report);
    r->stats.items++;
    r->stats.unknown += applied == BK_UNKNOWN;
    registry_note(registry, now_ns, NULL, NULL);
}

/* At most `most` items up to the ring's head; how many. Nothing more is taken of a ring
 * with a fault. */
static uint32_t
take(struct rings *r, int64_t now_ns, uint32_t at, uint32_t most)
{
    struct ring *ring = &r->rings[at];
    for (uint32_t i = 0; i < most; i++) {
        struct bk_ring_item item;
        char text[BK_RING_TEXT + 1];
        enum bk_ring_taken got =
            bk_ring_take(ring->map, ring->head, &ring->tail, &item, text);
        if (got != BK_RING_ITEM) {
            ring->is_faulty = ring->is_faulty || got == BK_RING_FAULT;
            ring->head = ring->tail;
            return i;
        }
        carry_out(r, now_ns, &r->guests[ring->guest], &item, text);
    }
    return most;
}

/* Takes from the rings of r->turn, of each up to the head that was read and no more than
 * `most` in all, as near as can be told in the order of writing. What rings the bell is
 * taken within microseconds, what does not may have lain here for BK_RING_LOOK_NS: so
 * first come rings without anything that rings. Of the others an item each in turn, or
 * the successes of one would lie behind the failures of another, which would fake
 * failures in a row. False: enough was done, and there is more. */
static bool
take_in_turn(struct rings *r, int64_t now_ns, uint32_t most)
{
    const uint32_t share = most / (r->turn_count > 0 ? r->turn_count : 1);
    uint32_t left = most;
    uint32_t loud = 0;
    for (uint32_t i = 0; i < r->turn_count; i++) {
        struct ring *ring = &r->rings[r->turn[i]];
        if (!bk_ring_has_urgent(ring->map, ring->head, ring->tail)) {
            left -= take(r, now_ns, r->turn[i], share);
        }
        if (ring->head != ring->tail) {
            r->turn[loud++] = r->turn[i];
        }
    }
    while (loud > 0 && left > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < loud; i++) {
            uint32_t at = r->turn[i];
            left -= left > 0 ? take(r, now_ns, at, 1) : 0;
            if (r->rings[at].head != r->rings[at].tail) {
                r->turn[kept++] = at;
            }
        }
        loud = kept;
    }
    return left > 0;
}

/* What was taken is given back, so that the worker may write there again, before
 * what came of it is published: a daemon that dies between the two has lost a few
 * outcomes, and none is ever counted twice. */
static void
give(struct ring *ring, int64_t now_ns)
{
    if (ring->tail != ring->given) {
        ring->given = ring->tail;
        ring->silent_ns = now_ns;
        bk_ring_give(ring->map, ring->tail);
    }
}

/* The head is read once: a worker that goes on writing would keep the daemon
 * here. */
static void
enlist(struct rings *r, uint32_t at)
{
    r->rings[at].head = bk_ring_head(r->rings[at].map);
    r->turn[r->turn_count++] = at;
}

static void
enlist_guest(struct rings *r, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        enlist(r, k);
    }
}

/* The next turn deals with them. */
static void
wake_faulty(struct rings *r, int64_t now_ns, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        if (r->rings[k].is_faulty) {
            activate(r, k, now_ns);
        }
    }
}

static void
give_guest(struct rings *r, int64_t now_ns, uint32_t at)
{
    for (uint32_t k = r->guests[at].rings; k != BK_NO_SLOT;
         k = r->rings[k].next) {
        give(&r->rings[k], now_ns);
    }
}

/* ---- who comes and goes ---- */

static void
drop_guest(struct rings *r, int64_t now_ns, uint32_t at)
{
    struct guest *g = &r->guests[at];
    uint32_t *link = chain_of(r, g->pid);
    r->turn_count = 0;
    enlist_guest(r, at);
    take_in_turn(r, now_ns, UINT32_MAX);
    give_guest(r, now_ns, at);
    for (uint32_t ring = g->rings; ring != BK_NO_SLOT;) {
        uint32_t next = r->rings[ring].next;
        drop_ring(r, ring);
        ring = next;
    }
    while (*link != at) {
        link = &r->guests[*link].next;
    }
    *link = g->next;
    close(g->fd);
    g->fd = -1;
    g->next = r->guest_free;
    r->guest_free = at;
    r->guest_count--;
}

static void
blame(struct rings *r, int64_t now_ns, uint32_t at, const char *why)
{
    r->stats.refused++;
    log_line(LOG_WARNING,
             "the ring of process %u is let go: %s; it will send what it has "
             "to tell",
             r->guests[at].pid, why);
    drop_guest(r, now_ns, at);
}

/* Before a line of it is carried out all its rings are emptied: there is a limit to
 * that. */
static bool
is_too_many(struct rings *r, uint32_t pid)
{
    uint32_t count = 0;
    for (uint32_t at = *chain_of(r, pid); at != BK_NO_SLOT;
         at = r->guests[at].next) {
        count += r->guests[at].pid == pid;
    }
    return count >= GUESTS_A_PROCESS;
}

static bool
may_enter(struct rings *r, int fd, const struct ucred *who)
{
    uint64_t of_user = 0;
    for (uint32_t i = 0; i < r->guest_max; i++) {
        of_user += r->guests[i].fd >= 0 && r->guests[i].uid == who->uid;
    }
    /* A process that cannot be told from others cannot be kept in order. */
    return who->pid > 0 && (uint32_t)fd < r->fd_end &&
           !is_too_many(r, (uint32_t)who->pid) && r->guest_free != BK_NO_SLOT &&
           of_user * 100 < (uint64_t)r->guest_max * USER_SHARE_PCT;
}

static void
enter(struct rings *r, int fd, const struct ucred *who)
{
    uint32_t at = r->guest_free;
    struct guest *g = &r->guests[at];
    uint32_t *chain = chain_of(r, (uint32_t)who->pid);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = at};
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        r->stats.refused++;
        close(fd);
        return;
    }
    r->guest_free = g->next;
    r->guest_count++;
    *g = (struct guest){.fd = fd,
                        .pid = (uint32_t)who->pid,
                        .uid = who->uid,
                        .next = *chain,
                        .rings = BK_NO_SLOT};
    *chain = at;
}

static void
accept_all(struct rings *r)
{
    for (int i = 0; i < TURN_EVENTS; i++) {
        struct ucred who = {.pid = 0, .uid = (uid_t)-1};
        socklen_t size = sizeof(who);
        int fd =
            accept4(r->listening_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
        if (may_enter(r, fd, &who)) {
            enter(r, fd, &who);
        } else {
            r->stats.refused++;
            close(fd);
        }
    }
}

static bool
may_have_ring(const struct rings *r, const struct guest *g)
{
    const uint64_t share = (uint64_t)RINGS_MAX * USER_SHARE_PCT / 100;
    uint64_t of_user = 0;
    if (g->count == RINGS_A_GUEST || r->ring_free == BK_NO_SLOT) {
        return false;
    }
    if (r->stats.rings < share) {
        return true;
    }
    for (uint32_t i = 0; i < r->guest_max; i++) {
        const struct guest *one = &r->guests[i];
        of_user += one->fd >= 0 && one->uid == g->uid ? one->count : 0;
    }
    return of_user < share;
}

/* False: its process is dead already. */
static bool
take_ring(struct rings *r, int64_t now_ns, uint32_t at,
          const struct ring_said *said)
{
    struct guest *g = &r->guests[at];
    uint32_t place = r->ring_free;
    struct ring *ring = &r->rings[place];
    r->ring_free = ring->next;
    r->stats.rings++;
    *ring = (struct ring){.map = said->ring,
                          .guest = at,
                          .next = g->rings,
                          .active_at = BK_NO_SLOT};
    g->rings = place;
    g->count++;
    memcpy(g->worker, said->worker, sizeof(g->worker));
    activate(r, place, now_ns);
    return watch_add(r->watch, g->pid);
}

static void
hear_bell(struct rings *r, int64_t now_ns, const struct guest *g)
{
    for (uint32_t k = g->rings; k != BK_NO_SLOT; k = r->rings[k].next) {
        activate(r, k, now_ns);
        r->rings[k].has_rung = true;
    }
}

/* Packets of one guest. Who is dead is heard to the end: rings that he handed over may
 * lie behind the first. False: there is no more for now, or he is let go. */
static bool
hear(struct rings *r, int64_t now_ns, uint32_t at)
{
    struct guest *g = &r->guests[at];
    for (int i = 0; i < TURN_PACKETS; i++) {
        struct ring_said said;
        switch (ring_door_take(g->fd, &said)) {
        case RING_NOTHING:
            if (g->is_dead) {
                drop_guest(r, now_ns, at);
            }
            return false;
        case RING_BELL:
            hear_bell(r, now_ns, g);
            break;
        case RING_NEW:
            if (!may_have_ring(r, g)) {
                ring_door_unmap(&said.ring);
                blame(r, now_ns, at, "there are too many");
                return false;
            }
            if (!take_ring(r, now_ns, at, &said)) {
                g->is_dead = true;
            }
            break;
        case RING_END:
            drop_guest(r, now_ns, at);
            return false;
        case RING_FAULT:
            blame(r, now_ns, at, said.fault);
            return false;
        }
    }
    return true;
}

static void
listen_to_all(struct rings *r, int64_t now_ns)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(r->epoll_fd, events, TURN_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        uint32_t at = events[i].data.u32;
        if (at == LISTENING) {
            accept_all(r);
        } else if (r->guests[at].fd >= 0) {
            (void)hear(r, now_ns, at);
        }
    }
}

/* ---- a turn ---- */

/* One whose ring had a fault, with all its rings. */
static void
let_faulty_go(struct rings *r, int64_t now_ns)
{
    for (uint32_t i = r->active_count; i-- > 0;) {
        if (i < r->active_count && r->rings[r->active[i]].is_faulty) {
            blame(r, now_ns, r->rings[r->active[i]].guest,
                  "what it says is out of bounds");
        }
    }
}

/* True: something is left, or was written by who saw that he had rung the bell
 * already. The fence is one of a pair, the worker's is between writing and looking
 * at the tail: either he sees it given back, or his item is seen here. */
static bool
give_all(struct rings *r, int64_t now_ns)
{
    bool is_left = false;
    for (uint32_t i = 0; i < r->active_count; i++) {
        give(&r->rings[r->active[i]], now_ns);
    }
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < r->active_count; i++) {
        struct ring *ring = &r->rings[r->active[i]];
        is_left = is_left || ring->head != ring->tail ||
                  (ring->has_rung && bk_ring_head(ring->map) != ring->tail);
        ring->has_rung = false;
    }
    return is_left;
}

static bool
look(struct rings *r, int64_t now_ns)
{
    r->looked_ns = now_ns;
    r->turn_count = 0;
    for (uint32_t i = 0; i < r->active_count; i++) {
        enlist(r, r->active[i]);
    }
    bool is_done = take_in_turn(r, now_ns, TURN_ITEMS);
    let_faulty_go(r, now_ns);
    return give_all(r, now_ns) || !is_done;
}

/* Rings that are silent are put to sleep. A worker may have seen a watched one a
 * moment ago and have left the bell alone, so it is looked at once more, later than
 * any store takes to be seen. */
static void
let_sleep(struct rings *r, int64_t now_ns)
{
    for (uint32_t i = r->active_count; i-- > 0;) {
        uint32_t at = r->active[i];
        struct ring *ring = &r->rings[at];
        if (!ring->is_leaving && now_ns - ring->silent_ns >= SILENCE_NS) {
            atomic_store_explicit(&ring->map->watch, BK_RING_ASLEEP,
                                  memory_order_relaxed);
            ring->is_leaving = true;
            ring->silent_ns = now_ns;
        } else if (ring->is_leaving && ring->silent_ns == now_ns) {
            activate(r, at, now_ns); /* it has just said something */
        } else if (ring->is_leaving &&
                   now_ns - ring->silent_ns >= BK_RING_LOOK_NS) {
            deactivate(r, at);
        }
    }
}

void
rings_turn(struct rings *r, int64_t now_ns, bool rang)
{
    if (rang) {
        listen_to_all(r, now_ns);
    }
    if (r->active_count > 0 &&
        (rang || r->has_more || now_ns - r->looked_ns >= GLANCE_NS)) {
        r->has_more = look(r, now_ns);
        let_sleep(r, now_ns);
    }
}

bool
rings_has_more(const struct rings *r)
{
    return r->has_more && r->active_count > 0;
}

int64_t
rings_deadline(const struct rings *r)
{
    return r->active_count > 0 ? r->looked_ns + BK_RING_LOOK_NS : BK_NEVER;
}

int
rings_fd(const struct rings *r)
{
    return r->epoll_fd;
}

void
rings_take_of(struct rings *r, int64_t now_ns, uint32_t pid)
{
    const uint32_t first = *chain_of(r, pid);
    r->turn_count = 0;
    for (uint32_t at = first; at != BK_NO_SLOT; at = r->guests[at].next) {
        if (r->guests[at].pid == pid) {
            enlist_guest(r, at);
        }
    }
    if (r->turn_count == 0) {
        return;
    }
    take_in_turn(r, now_ns, UINT32_MAX);
    for (uint32_t at = first; at != BK_NO_SLOT; at = r->guests[at].next) {
        if (r->guests[at].pid == pid) {
            give_guest(r, now_ns, at);
            wake_faulty(r, now_ns, at);
        }
    }
}

void
rings_bury(struct rings *r, int64_t now_ns, uint32_t pid)
{
    uint32_t at = *chain_of(r, pid);
    while (at != BK_NO_SLOT) {
        struct guest *g = &r->guests[at];
        uint32_t next = g->next;
        if (g->pid == pid) {
            g->is_dead = true;
            /* What the kernel holds of a connection is no more than this. */
            for (int i = 0; i < BURY_ROUNDS && hear(r, now_ns, at); i++) {
            }
            if (g->fd >= 0) {
                drop_guest(r, now_ns, at);
            }
        }
        at = next;
    }
}

void
rings_stats(const struct rings *r, struct rings_stats *out)
{
    *out = r->stats;
}

/* ---- opening and closing ---- */

static bool
make_room(struct rings *r, uint32_t most)
{
    r->guest_max = most;
    r->pid_mask = 1;
    while (r->pid_mask < most) {
        r->pid_mask = 2 * r->pid_mask + 1;
    }
    r->guests = calloc(most, sizeof(*r->guests));
    r->by_pid = calloc(r->pid_mask + 1, sizeof(*r->by_pid));
    r->rings = calloc(RINGS_MAX, sizeof(*r->rings));
    r->active = calloc(RINGS_MAX, sizeof(*r->active));
    r->turn = calloc(RINGS_MAX, sizeof(*r->turn));
    if (r->guests == NULL || r->by_pid == NULL || r->rings == NULL ||
        r->active == NULL || r->turn == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < most; i++) {
        r->guests[i].fd = -1;
        r->guests[i].next = i + 1 < most ? i + 1 : BK_NO_SLOT;
    }
    memset(r->by_pid, 0xff, (r->pid_mask + 1) * sizeof(*r->by_pid));
    for (uint32_t i = 0; i < RINGS_MAX; i++) {
        r->rings[i].next = i + 1 < RINGS_MAX ? i + 1 : BK_NO_SLOT;
    }
    return true;
}

static bool
listen_here(struct rings *r, const struct rundir *dir, struct bk_text *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENING};
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    r->fd_end =
        limit.rlim_cur < UINT32_MAX ? (uint32_t)limit.rlim_cur : UINT32_MAX;
    r->fd_end = r->fd_end > FD_SPARE ? r->fd_end - FD_SPARE : 0;
    r->listening_fd = listen_at(dir, SOCKET_NAME, SOCK_SEQPACKET, 0660, error);
    if (r->listening_fd < 0) {
        return false;
    }
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return r->epoll_fd >= 0 &&
           epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->listening_fd, &event) == 0;
}

struct rings *
rings_open(struct registry *registry, struct watch *watch,
           const struct rundir *dir, uint32_t most, struct bk_text *error)
{
    struct rings *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        bk_text_put(error, "not enough memory");
        return NULL;
    }
    r->registry = registry;
    r->watch = watch;
    r->epoll_fd = -1;
    r->listening_fd = -1;
    if (!make_room(r, most) || !listen_here(r, dir, error)) {
        if (error->len == 0) {
            bk_text_put(error, "not enough memory or descriptors");
        }
        rings_close(&r, dir, 0);
    }
    return r;
}

void
rings_close(struct rings **rings, const struct rundir *dir, int64_t now_ns)
{
    struct rings *r = *rings;
    char path[PATH_MAX];
    if (r == NULL) {
        return;
    }
    for (uint32_t i = 0; r->guest_count > 0 && i < r->guest_max; i++) {
        if (r->guests[i].fd >= 0) {
            drop_guest(r, now_ns, i);
        }
    }
    if (r->listening_fd >= 0) {
        close(r->listening_fd);
        if (rundir_file(dir, SOCKET_NAME, path)) {
            unlink(path);
        }
    }
    if (r->epoll_fd >= 0) {
        close(r->epoll_fd);
    }
    free(r->guests);
    free(r->by_pid);
    free(r->rings);
    free(r->active);
    free(r->turn);
    free(r);
    *rings = NULL;
}
