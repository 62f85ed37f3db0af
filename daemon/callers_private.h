#ifndef CALLERS_PRIVATE_H
#define CALLERS_PRIVATE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of callers: callers.c knows who is there, callers_hear.c what they say,
 * callers_say.c what is said to them. */
#include "core/zmtp.h"
#include "daemon/callers.h"
#include <sys/epoll.h>
#include <sys/types.h>

/* Descriptors above this are never connections (gate.c hands out none), so that a
 * caller's name is its descriptor and its place among all there ever were. */
#define CALLERS_FD_BITS 14
#define CALLERS_FD_MAX (1 << CALLERS_FD_BITS)
/* Found at once. */
#define CALLERS_EVENTS 64
/* A piece: what is read of one before it is another's turn. */
#define CALLERS_PIECE ((size_t)32 * 1024)
/* Answers are collected before the kernel gets them. */
#define CALLERS_BASKET ((size_t)32 * 1024)

_Static_assert(CALLERS_UNREAD_MAX < CALLERS_KEPT_MAX, "one has room");

/* Memory that grows and goes. */
struct callers_memory {
    uint8_t *octets;
    size_t room;
};

struct caller {
    uint64_t key; /* the number among all, and the descriptor */
    int fd;
    struct peer peer;
    enum bk_zmtp_phase phase;
    bool is_lost;     /* to be dropped */
    bool is_deaf;     /* takes no answers any more; may have said more */
    bool is_skipping; /* in a message that has too many frames */
    bool may_pong;    /* nothing of the piece was answered with one */
    bool is_waiting;  /* watched for room to write */
    bool is_lengthy;  /* its messages are not short, as far as is known */
    int64_t since_ns;
    size_t skipped;           /* octets of that message */
    struct callers_memory in; /* the beginning of a message */
    size_t in_len;
    struct callers_memory out; /* what the kernel has not taken */
    size_t out_at;
    size_t out_len;
};

struct callers {
    int epoll_fd;
    int doors[CALLERS_DOORS];
    struct caller *by_fd[CALLERS_FD_MAX];
    int fd_end; /* above each descriptor of a caller, ever */
    uint64_t serial;
    uint64_t count;
    uint64_t greeting; /* callers that have not greeted */
    int64_t look_ns;
    int64_t now_ns;
    size_t kept;
    uint64_t cut;
    struct epoll_event events[CALLERS_EVENTS];
    int event_at;
    int event_count;
    /* What the caller in hand has said, and how much of it was taken. */
    struct caller *current;
    const uint8_t *said;
    size_t said_len;
    size_t said_at;
    size_t taken; /* messages of it */
    struct callers_frame frames[CALLERS_FRAMES];
    struct caller *answered; /* whom the basket is for */
    size_t basket_len;
    uint8_t basket[CALLERS_BASKET];
    uint8_t piece[CALLERS_PIECE];
};

/* False: there is no memory, or this caller would have more than its share. What was in
 * it stays, up to the new room. */
bool callers_set_room(struct callers *c, struct callers_memory *s, size_t room);
bool callers_grow(struct callers *c, struct callers_memory *s, size_t wanted);
/* NULL: it has gone. */
struct caller *callers_find(const struct callers *c, uint64_t key);
void callers_drop(struct callers *c, struct caller *who);
/* It may be in hand, or about to be answered: it is dropped when it is found again, as
 * one whose other end has hung up. */
void callers_lose(struct caller *who);
/* For what it made the daemon keep. */
void callers_cut_off(struct callers *c, struct caller *who);

/* Reads a piece. False: nothing has come; it may be lost. */
bool callers_hear(struct callers *c, struct caller *who);
/* What the kernel takes of it now; -1: the other end takes nothing any more. */
ssize_t callers_give(struct caller *who, const uint8_t *octets, size_t len);
/* There is room for what waits. */
void callers_go_on(struct callers *c, struct caller *who);

#endif
