/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"
#include "daemon/ring_door.h"
#include "daemon/rings_private.h"
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Rings of one connection: a worker's threads that report at the same time. */
#define RINGS_A_GUEST 64
/* Connections of one process: one for each handle. */
#define GUESTS_A_PROCESS 8
/* One user may hold this share of the connections and of the rings, so that another
 * gets some. */
#define USER_SHARE_PCT 80
/* Connections heard, and packets of one of them, in one turn. */
#define TURN_EVENTS 64
#define TURN_PACKETS 16
/* Times TURN_PACKETS that are left of a dead one. */
#define BURY_ROUNDS 256

static void
drop_ring(struct rings *r, uint32_t at)
{
    rings_deactivate(r, at);
    /* Its worker rings for the next item, and hears that nobody listens. Pairs with
     * the acquire in its is_let_go: the tail is the last. */
    atomic_store_explicit(&r->rings[at].map->watch, BK_RING_LET_GO,
                          memory_order_release);
    ring_door_unmap(&r->rings[at].map);
    r->rings[at].next = r->ring_free;
    r->ring_free = at;
    r->stats.rings--;
}

void
rings_drop_guest(struct rings *r, int64_t now_ns, uint32_t at)
{
    struct guest *g = &r->guests[at];
    uint32_t *link = rings_of_pid(r, g->pid);
    r->turn_count = 0;
    rings_enlist_guest(r, at);
    rings_take_in_turn(r, now_ns, UINT32_MAX);
    rings_give_guest(r, now_ns, at);
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

void
rings_blame(struct rings *r, int64_t now_ns, uint32_t at, const char *why)
{
    r->stats.refused++;
    log_line(LOG_WARNING,
             "the ring of process %u is let go: %s; it will send what it has "
             "to tell",
             r->guests[at].pid, why);
    rings_drop_guest(r, now_ns, at);
}

/* Before a line of it is carried out all its rings are emptied: there is a limit to
 * that. */
static bool
is_too_many(struct rings *r, uint32_t pid)
{
    uint32_t count = 0;
    for (uint32_t at = *rings_of_pid(r, pid); at != BK_NO_SLOT;
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
    uint32_t *chain = rings_of_pid(r, (uint32_t)who->pid);
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
    rings_activate(r, place, now_ns);
    return watch_add(r->watch, g->pid);
}

static void
hear_bell(struct rings *r, int64_t now_ns, const struct guest *g)
{
    for (uint32_t k = g->rings; k != BK_NO_SLOT; k = r->rings[k].next) {
        rings_activate(r, k, now_ns);
        r->rings[k].has_rung = true;
    }
}

/* A ring that is not taken up: its worker sees that at once and sends what lies in
 * it. Pairs with the acquire in its is_let_go. */
static void
turn_away(struct rings *r, int64_t now_ns, uint32_t at, struct ring_said *said,
          const char *why)
{
    atomic_store_explicit(&said->ring->watch, BK_RING_LET_GO,
                          memory_order_release);
    ring_door_unmap(&said->ring);
    rings_blame(r, now_ns, at, why);
}

/* Packets of one guest. Who is dead is heard to the end: rings that he handed over may
 * lie behind the first. False: nothing more has come, or he is let go. */
static bool
hear(struct rings *r, int64_t now_ns, uint32_t at)
{
    struct guest *g = &r->guests[at];
    for (int i = 0; i < TURN_PACKETS; i++) {
        struct ring_said said;
        switch (ring_door_take(g->fd, &said)) {
        case RING_NOTHING:
            if (g->is_dead) {
                rings_drop_guest(r, now_ns, at);
            }
            return false;
        case RING_BELL:
            hear_bell(r, now_ns, g);
            break;
        case RING_NEW:
            if (said.epoch != r->registry->epoch) {
                turn_away(r, now_ns, at, &said,
                          "it means the services of another daemon");
                return false;
            }
            if (!may_have_ring(r, g)) {
                turn_away(r, now_ns, at, &said, "there are too many");
                return false;
            }
            if (!take_ring(r, now_ns, at, &said)) {
                g->is_dead = true;
            }
            break;
        case RING_END:
            rings_drop_guest(r, now_ns, at);
            return false;
        case RING_FAULT:
            rings_blame(r, now_ns, at, said.fault);
            return false;
        }
    }
    return true;
}

void
rings_listen(struct rings *r, int64_t now_ns)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(r->epoll_fd, events, TURN_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        uint32_t at = events[i].data.u32;
        if (at == RINGS_LISTENING) {
            accept_all(r);
        } else if (r->guests[at].fd >= 0) {
            (void)hear(r, now_ns, at);
        }
    }
}

void
rings_bury(struct rings *r, int64_t now_ns, uint32_t pid)
{
    uint32_t at = *rings_of_pid(r, pid);
    while (at != BK_NO_SLOT) {
        struct guest *g = &r->guests[at];
        uint32_t next = g->next;
        if (g->pid == pid) {
            g->is_dead = true;
            /* What the kernel holds of a connection is no more than this. */
            for (int i = 0; i < BURY_ROUNDS && hear(r, now_ns, at); i++) {
            }
            if (g->fd >= 0) {
                rings_drop_guest(r, now_ns, at);
            }
        }
        at = next;
    }
}
