#ifndef RINGS_PRIVATE_H
#define RINGS_PRIVATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The rings from the inside: those who handed them over (ring_guests.c), what is taken
 * from them (ring_taking.c), and the turn that holds both together (rings.c). */
#include "core/ring.h"
#include "daemon/rings.h"

/* Rings in all: 36 KiB each, if they are used. */
#define RINGS_MAX 4096
/* The listening socket, in an event's data: no guest's number. */
#define RINGS_LISTENING UINT32_MAX

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
    uint64_t turn_items; /* taken when the turn began */
    int64_t looked_ns;
    bool has_more; /* the last turn left something */
    struct rings_stats stats;
};

/* The first of the guests whose process may have this number. */
static inline uint32_t *
rings_of_pid(const struct rings *r, uint32_t pid)
{
    return &r->by_pid[(pid * UINT32_C(2654435761)) & r->pid_mask];
}

/* ---- what is taken ---- */

/* It is looked at from now on. */
void rings_activate(struct rings *r, uint32_t at, int64_t now_ns);
void rings_deactivate(struct rings *r, uint32_t at);
/* Reads the head of a ring, of all of a guest's, whose items are taken next. */
void rings_enlist(struct rings *r, uint32_t at);
void rings_enlist_guest(struct rings *r, uint32_t at);
/* Takes them. False: enough was done, and there is more. */
bool rings_take_in_turn(struct rings *r, int64_t now_ns, uint32_t most);
void rings_give(struct ring *ring, int64_t now_ns);
void rings_give_guest(struct rings *r, int64_t now_ns, uint32_t at);

/* ---- who comes and goes ---- */

/* Whoever has come, rung or gone. */
void rings_listen(struct rings *r, int64_t now_ns);
/* Takes what is left in its rings first. */
void rings_drop_guest(struct rings *r, int64_t now_ns, uint32_t at);
/* The same, with a word in the log: one clause. */
void rings_blame(struct rings *r, int64_t now_ns, uint32_t at, const char *why);

#endif
