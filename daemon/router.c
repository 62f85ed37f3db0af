/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/router.h"
#include "daemon/log.h"
#include "daemon/meter.h"
#include "daemon/orders.h"
#include "daemon/peers.h"
#include "daemon/rings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Replies that may wait at once; more are refused. */
#define WAITING_MAX 1024
/* Frames of the longest message: what libzmq puts in front, and ours. */
#define FRAMES_MAX (REPLY_ROUTE_MAX + BK_LINES_MAX)
/* What is carried out before it is published and answered, all at once: messages,
 * and about so many lines; lines, when nobody waits for an answer. */
#define BATCH 32
#define BATCH_LINES 256
#define SILENT_LINES 4096
/* Peers, and frames of theirs, that were heard before the meter is told. */
#define HEARD 32
#define HEARD_FRAMES 512

struct router {
    struct commands *commands;
    struct peers *peers;
    void *sockets[ROUTER_DOORS];
    bool may_have[ROUTER_DOORS]; /* there may be a message */
    struct reply *batch[BATCH];  /* whose commands have been carried out */
    unsigned held;    /* of them; the next is the one being written */
    unsigned taken;   /* messages of the batch, answered or not */
    unsigned lines;   /* in them */
    int heard[HEARD]; /* whose they were; the meter is to be told */
    unsigned heard_count;
    unsigned heard_frames;
    struct reply *waiting; /* oldest first */
    struct reply **last;
    struct router_stats stats;
    zmq_msg_t frames[FRAMES_MAX]; /* of the message in hand */
};

struct router *
router_open(struct commands *commands, void *worker, void *operator_)
{
    struct router *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    r->commands = commands;
    r->sockets[ROUTER_WORKERS] = worker;
    r->sockets[ROUTER_OPERATORS] = operator_;
    r->may_have[ROUTER_WORKERS] = true;
    r->may_have[ROUTER_OPERATORS] = true;
    r->last = &r->waiting;
    r->peers = peers_new();
    bool ok = r->peers != NULL;
    for (unsigned i = 0; i < BATCH; i++) {
        r->batch[i] = reply_new();
        ok = ok && r->batch[i] != NULL;
    }
    if (!ok) {
        router_close(&r);
    }
    return r;
}

void
router_close(struct router **r)
{
    if (*r == NULL) {
        return;
    }
    while ((*r)->waiting != NULL) {
        struct reply *gone = (*r)->waiting;
        (*r)->waiting = gone->next;
        commands_drop((*r)->commands, gone);
        reply_free(&gone);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        commands_drop((*r)->commands, (*r)->batch[i]);
        reply_free(&(*r)->batch[i]);
    }
    peers_free(&(*r)->peers);
    free(*r);
    *r = NULL;
}

/* Takes all frames of one message in; those beyond the limit are let go, and
 * counted all the same. 0: there is no message. libzmq hands a message over whole
 * or not at all. */
static unsigned
receive(struct router *r, void *socket)
{
    unsigned count = 0;
    bool has_more = true;
    while (has_more) {
        zmq_msg_t *frame = &r->frames[count < FRAMES_MAX ? count : 0];
        if (count >= FRAMES_MAX) {
            zmq_msg_close(frame);
        }
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
            return count;
        }
        has_more = zmq_msg_more(frame) != 0;
        count++;
    }
    return count;
}

/* Copies envelope and delimiter into the reply; the index of the first line, 0
 * for a message that has none. */
static unsigned
take_route(struct router *r, struct reply *reply, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        size_t len = zmq_msg_size(&r->frames[i]);
        if (!reply_add_route(reply, zmq_msg_data(&r->frames[i]), len)) {
            return 0;
        }
        if (i > 0 && len == 0) {
            bool fits = i + 1 < count && count - i - 1 <= BK_LINES_MAX;
            return fits ? i + 1 : 0;
        }
    }
    return 0;
}

/* Another one takes its place in the batch. */
static void
wait(struct router *r, struct reply **reply)
{
    struct reply *fresh = reply_new();
    if (fresh == NULL || r->stats.waiting == WAITING_MAX) {
        reply_free(&fresh);
        r->stats.refused++;
        commands_drop(r->commands, *reply);
        return;
    }
    *r->last = *reply;
    r->last = &(*reply)->next;
    r->stats.waiting++;
    *reply = fresh;
}

/* Sending acts on what the socket's ZMQ_FD would have told. */
static void
send(struct router *r, const struct reply *reply)
{
    r->stats.unsent += !reply_send(reply);
    r->may_have[reply->door] = true;
}

static void
tell_meter(struct router *r)
{
    for (unsigned i = 0; i < r->heard_count; i++) {
        meter_heard(r->heard[i]);
    }
    r->heard_count = 0;
    r->heard_frames = 0;
}

/* Shows what the batch has done, then answers it. */
static void
answer(struct router *r)
{
    if (r->taken == 0) {
        return;
    }
    if (r->commands->has_promised) {
        registry_publish_rest(r->commands->registry, true);
        r->commands->has_promised = false;
    } else {
        registry_publish(r->commands->registry);
    }
    for (unsigned i = 0; i < r->held; i++) {
        if (reply_is_whole(r->batch[i], r->commands->registry->saved)) {
            send(r, r->batch[i]);
        } else {
            wait(r, &r->batch[i]);
        }
    }
    tell_meter(r);
    r->held = 0;
    r->taken = 0;
    r->lines = 0;
}

static bool
is_full(const struct router *r)
{
    return r->lines >= SILENT_LINES ||
           (r->held > 0 && (r->taken >= BATCH || r->lines >= BATCH_LINES));
}

/* The meter's counts are shared with libzmq's thread: not one by one, but before a
 * peer that does as it may looks like one that goes too far. */
static void
hear(struct router *r, int fd, unsigned frames)
{
    bool is_known = false;
    for (unsigned i = 0; i < r->heard_count; i++) {
        is_known = is_known || r->heard[i] == fd;
    }
    if (!is_known) {
        r->heard[r->heard_count++] = fd;
    }
    r->heard_frames += frames;
    if (r->heard_count == HEARD || r->heard_frames >= HEARD_FRAMES) {
        tell_meter(r);
    }
}

static void
run(struct router *r, unsigned door, struct reply *reply, unsigned count,
    int64_t now_ns)
{
    unsigned first = count <= FRAMES_MAX ? take_route(r, reply, count) : 0;
    unsigned kept = count <= FRAMES_MAX ? count : FRAMES_MAX;
    /* After a poll libzmq's own frame has lost the address; the last always has
     * it. */
    zmq_msg_t *last = &r->frames[kept - 1];
    const struct peer *peer = peers_find(
        r->peers, zmq_msg_gets(last, "Peer-Address"), door == ROUTER_OPERATORS);
    hear(r, zmq_msg_get(last, ZMQ_SRCFD), count);
    if (peer->pid != 0) {
        rings_take_of(r->commands->rings, now_ns, peer->pid);
    }
    r->stats.messages++;
    r->stats.faulty += first == 0;
    for (unsigned i = first; first > 0 && i < count; i++) {
        commands_run(r->commands, peer, now_ns, zmq_msg_data(&r->frames[i]),
                     zmq_msg_size(&r->frames[i]), reply);
    }
    for (unsigned i = 0; i < kept; i++) {
        zmq_msg_close(&r->frames[i]);
    }
}

static bool
take_message(struct router *r, unsigned door, int64_t now_ns)
{
    unsigned count = receive(r, r->sockets[door]);
    if (count == 0) {
        return false;
    }
    struct reply *reply = r->batch[r->held];
    reply_clear(reply);
    reply->socket = r->sockets[door];
    reply->door = door;
    run(r, door, reply, count, now_ns);
    r->held += reply->count > 0;
    r->lines += count;
    r->taken++;
    return true;
}

void
router_look(struct router *r, enum router_door door)
{
    r->may_have[door] = true;
}

bool
router_has_more(const struct router *r)
{
    return r->may_have[ROUTER_WORKERS] || r->may_have[ROUTER_OPERATORS];
}

/* One that comes alone is answered at once; the others of a turn when they are
 * many, or when no more have come. */
static void
take_messages(struct router *r, unsigned door, int64_t now_ns, unsigned most)
{
    for (unsigned n = 0; r->may_have[door] && n < most &&
                         (n == 0 || !rings_took_much(r->commands->rings));
         n++) {
        r->may_have[door] = take_message(r, door, now_ns);
        if (is_full(r) || !r->may_have[door] || (n == 0 && r->held > 0)) {
            answer(r);
        }
    }
    answer(r);
}

void
router_turn(struct router *r, int64_t now_ns, unsigned most)
{
    for (unsigned door = 0; door < ROUTER_DOORS; door++) {
        take_messages(r, door, now_ns, most);
    }
}

void
router_flush(struct router *r)
{
    struct reply **link = &r->waiting;
    while (*link != NULL) {
        struct reply *one = *link;
        if (!reply_is_whole(one, r->commands->registry->saved)) {
            link = &one->next;
            continue;
        }
        *link = one->next;
        send(r, one);
        r->stats.waiting--;
        commands_drop(r->commands, one);
        reply_free(&one);
    }
    r->last = link;
}

void
router_stored(struct router *r, const struct store_done *done)
{
    if (done->kind == STORE_ANSWER) {
        orders_fill(r->waiting, done);
    } else if (done->kind == STORE_FAILED) {
        char why[STORE_WORDS_SIZE + 128];
        snprintf(why, sizeof(why),
                 "done and in force, but not saved yet: %s; it will be saved "
                 "when the database can be written",
                 done->text);
        for (struct reply *one = r->waiting; one != NULL; one = one->next) {
            if (one->job != 0 && one->job <= done->job) {
                reply_fail_disk(one, why);
            }
        }
    }
    router_flush(r);
}

void
router_stats(const struct router *r, struct router_stats *out)
{
    *out = r->stats;
}
