/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/router.h"
#include "daemon/log.h"
#include "daemon/meter.h"
#include "daemon/orders.h"
#include "daemon/rings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Replies that may wait at once; more are refused. */
#define WAITING_MAX 1024
/* Workers whose names are remembered, by pid; display only. */
#define NAMES 4096
/* Frames of the longest message: what libzmq puts in front, and ours. */
#define FRAMES_MAX (REPLY_ROUTE_MAX + BK_LINES_MAX)

struct name {
    uint32_t pid;
    char text[BK_WORKER_SIZE];
};

struct router {
    struct commands *commands;
    void *sockets[ROUTER_DOORS];
    bool may_have[ROUTER_DOORS]; /* there may be a message */
    struct reply *reply;         /* the one being written */
    struct reply *waiting;       /* oldest first */
    struct reply **last;
    struct router_stats stats;
    struct name names[NAMES];
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
    r->reply = reply_new();
    if (r->reply == NULL) {
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
    if ((*r)->reply != NULL) {
        commands_drop((*r)->commands, (*r)->reply);
        reply_free(&(*r)->reply);
    }
    free(*r);
    *r = NULL;
}

/* The next of the numbers in "localhost:uid:gid:pid", libzmq's words for who is at
 * the other end of an ipc connection (the numbers are the kernel's). */
static uint32_t
next_number(const char **rest, uint32_t otherwise)
{
    const char *colon = *rest != NULL ? strchr(*rest, ':') : NULL;
    uint64_t number;
    if (colon == NULL) {
        *rest = NULL;
        return otherwise;
    }
    *rest = colon + 1;
    bool is_number = bk_read_number(*rest, strcspn(*rest, ":"), &number) &&
                     number <= UINT32_MAX;
    return is_number ? (uint32_t)number : otherwise;
}

static void
identify(struct router *r, zmq_msg_t *frame, bool is_operator,
         struct peer *peer)
{
    const char *rest = zmq_msg_gets(frame, "Peer-Address");
    memset(peer, 0, sizeof(*peer));
    peer->is_operator = is_operator;
    peer->uid = next_number(&rest, UINT32_MAX);
    peer->gid = next_number(&rest, UINT32_MAX);
    peer->pid = next_number(&rest, 0);
    snprintf(peer->actor, sizeof(peer->actor), "%u:%u:%u", peer->uid, peer->gid,
             peer->pid);
    struct name *name = &r->names[peer->pid % NAMES];
    if (name->pid != peer->pid) {
        memset(name, 0, sizeof(*name));
        name->pid = peer->pid;
    }
    peer->worker = peer->pid != 0 ? name->text : NULL;
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
take_route(struct router *r, unsigned count)
{
    struct reply *reply = r->reply;
    for (unsigned i = 0; i < count && i < REPLY_ROUTE_MAX; i++) {
        size_t len = zmq_msg_size(&r->frames[i]);
        if (len > (i == 0 ? REPLY_ROUTE_OCTETS : BK_ENVELOPE_OCTETS)) {
            return 0;
        }
        struct reply_frame *frame = &reply->route[reply->route_count++];
        memcpy(frame->at, zmq_msg_data(&r->frames[i]), len);
        frame->len = len;
        if (i > 0 && len == 0) {
            bool fits = i + 1 < count && count - i - 1 <= BK_LINES_MAX;
            return fits ? i + 1 : 0;
        }
    }
    return 0;
}

static void
wait(struct router *r)
{
    struct reply *fresh = reply_new();
    if (fresh == NULL || r->stats.waiting == WAITING_MAX) {
        reply_free(&fresh);
        r->stats.refused++;
        commands_drop(r->commands, r->reply);
        return;
    }
    *r->last = r->reply;
    r->last = &r->reply->next;
    r->stats.waiting++;
    r->reply = fresh;
}

/* Sending acts on what the socket's ZMQ_FD would have told. */
static void
send(struct router *r, const struct reply *reply)
{
    r->stats.unsent += !reply_send(reply);
    r->may_have[reply->door] = true;
}

static void
answer(struct router *r)
{
    registry_publish(r->commands->registry);
    if (r->reply->count == 0) {
        return;
    }
    if (!reply_is_whole(r->reply, r->commands->registry->saved)) {
        wait(r);
    } else {
        send(r, r->reply);
    }
}

static bool
take_message(struct router *r, unsigned door, int64_t now_ns)
{
    struct peer peer;
    reply_clear(r->reply);
    r->reply->socket = r->sockets[door];
    r->reply->door = door;
    unsigned count = receive(r, r->sockets[door]);
    if (count == 0) {
        return false;
    }
    unsigned kept = count < FRAMES_MAX ? count : FRAMES_MAX;
    unsigned first = count <= FRAMES_MAX ? take_route(r, count) : 0;
    /* After a poll libzmq's own frame has lost the address; the last always has
     * it. */
    identify(r, &r->frames[kept - 1], door == ROUTER_OPERATORS, &peer);
    meter_heard(zmq_msg_get(&r->frames[kept - 1], ZMQ_SRCFD));
    if (peer.pid != 0) {
        rings_take_of(r->commands->rings, now_ns, peer.pid);
    }
    r->stats.messages++;
    r->stats.faulty += first == 0;
    for (unsigned i = first; first > 0 && i < count; i++) {
        commands_run(r->commands, &peer, now_ns, zmq_msg_data(&r->frames[i]),
                     zmq_msg_size(&r->frames[i]), r->reply);
    }
    for (unsigned i = 0; i < kept; i++) {
        zmq_msg_close(&r->frames[i]);
    }
    if (first > 0) {
        answer(r);
    }
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

void
router_turn(struct router *r, int64_t now_ns, unsigned most)
{
    for (unsigned door = 0; door < ROUTER_DOORS; door++) {
        for (unsigned n = 0; r->may_have[door] && n < most; n++) {
            r->may_have[door] = take_message(r, door, now_ns);
        }
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
