/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listen.h"
#include "daemon/rings_private.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_NAME "ring.sock"
/* Items taken in one turn. */
#define TURN_ITEMS 4096
/* With those of processes whose lines are carried out: then it is another's turn. */
#define TURN_MUCH 16384
/* Descriptors that are left for everything else when there are few. */
#define FD_SPARE 64
/* A ring that was silent for so long is not looked at any more. */
#define SILENCE_NS (100 * BK_NS_PER_MS)
/* Between two looks at all of them that no bell asked for. */
#define GLANCE_NS (1 * BK_NS_PER_MS)

_Static_assert(TURN_ITEMS >= RINGS_MAX, "one of each in every turn");

/* ---- a turn ---- */

/* One whose ring had a fault, with all its rings. */
static void
let_faulty_go(struct rings *r, int64_t now_ns)
{
    for (uint32_t i = r->active_count; i-- > 0;) {
        if (i < r->active_count && r->rings[r->active[i]].is_faulty) {
            rings_blame(r, now_ns, r->rings[r->active[i]].guest,
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
        rings_give(&r->rings[r->active[i]], now_ns);
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
        rings_enlist(r, r->active[i]);
    }
    bool is_done = rings_take_in_turn(r, now_ns, TURN_ITEMS);
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
            rings_activate(r, at, now_ns); /* it has just said something */
        } else if (ring->is_leaving &&
                   now_ns - ring->silent_ns >= BK_RING_LOOK_NS) {
            rings_deactivate(r, at);
        }
    }
}

void
rings_turn(struct rings *r, int64_t now_ns, bool rang)
{
    r->turn_items = r->stats.items;
    if (rang) {
        rings_listen(r, now_ns);
    }
    if (r->active_count > 0 &&
        (rang || r->has_more || now_ns - r->looked_ns >= GLANCE_NS)) {
        r->has_more = look(r, now_ns);
        let_sleep(r, now_ns);
    }
}

bool
rings_took_much(const struct rings *r)
{
    return r->stats.items - r->turn_items > TURN_MUCH;
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
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = RINGS_LISTENING};
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
            rings_drop_guest(r, now_ns, i);
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
