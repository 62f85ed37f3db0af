/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/router.h"
#include "daemon/orders.h"
#include "daemon/rings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Replies that may wait at once; more are refused. */
#define WAITING_MAX 1024
/* What is carried out before it is published and answered, all at once: messages,
 * and about so many lines; lines, when nobody waits for an answer. */
#define BATCH 64
#define BATCH_LINES 256
#define SILENT_LINES 4096
/* Lines of a message from the one that is carried out to the one that is foreseen. */
#define AHEAD 12
/* Lines of a turn, and what a piece counts whatever is in it. */
#define TURN_LINES 4096
#define PIECE_LINES 16
/* Lines of one that is dead: as many reports as the kernel keeps of a connection. What
 * else it said is heard in its turn. */
#define BURY_LINES 8192
/* What a burial counts, were it silent: all callers are gone through. */
#define BURIAL_LINES 64

struct router {
    struct commands *commands;
    struct callers *callers;
    struct reply *batch[BATCH]; /* whose commands have been carried out */
    unsigned held;              /* of them; the next is the one being written */
    unsigned lines;             /* carried out and not published */
    unsigned turn_lines;        /* of the dead, then of callers */
    struct reply *waiting;      /* oldest first */
    struct reply **last;
    struct router_stats stats;
};

struct router *
router_open(struct commands *commands, struct callers *callers)
{
    struct router *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return NULL;
    }
    r->commands = commands;
    r->callers = callers;
    r->last = &r->waiting;
    bool ok = true;
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
    free(*r);
    *r = NULL;
}

/* Copies envelope and delimiter into the reply; the index of the first line, 0
 * for a message that has none. */
static unsigned
take_route(struct reply *reply, const struct callers_message *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct callers_frame *frame = &m->frames[i];
        if (!reply_add_route(reply, frame->at, frame->len)) {
            return 0;
        }
        if (frame->len == 0) {
            bool fits = i + 1 < m->count && m->count - i - 1 <= BK_LINES_MAX;
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

static void
say(struct router *r, const struct reply *reply)
{
    r->stats.unsent += !reply_say(reply, r->callers);
}

/* Shows what the batch has done, then answers it. */
static void
answer(struct router *r)
{
    if (r->lines == 0) {
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
            say(r, r->batch[i]);
        } else {
            wait(r, &r->batch[i]);
        }
    }
    callers_flush(r->callers);
    r->held = 0;
    r->lines = 0;
}

static bool
is_full(const struct router *r)
{
    return r->held == BATCH || r->lines >= SILENT_LINES ||
           (r->held > 0 && r->lines >= BATCH_LINES);
}

/* The line `at` of a message, if it has as many. */
static void
foresee(const struct router *r, const struct callers_message *m, unsigned at)
{
    if (at < m->count) {
        commands_foresee(r->commands, m->frames[at].at, m->frames[at].len);
    }
}

static void
run_lines(struct router *r, struct peer *peer, int64_t now_ns,
          const struct callers_message *m, unsigned first, struct reply *reply)
{
    bool is_large = bk_fleet_is_large(r->commands->registry->fleet);
    for (unsigned i = first; is_large && i < first + AHEAD; i++) {
        foresee(r, m, i);
    }
    for (unsigned i = first; i < m->count; i++) {
        if (is_large) {
            foresee(r, m, i + AHEAD);
        }
        commands_run(r->commands, peer, now_ns, m->frames[i].at,
                     m->frames[i].len, reply);
    }
}

static void
run(struct router *r, struct peer *peer, int64_t now_ns,
    const struct callers_message *m)
{
    struct reply *reply = r->batch[r->held];
    reply_clear(reply);
    reply->caller = callers_current(r->callers);
    unsigned first = m->count <= CALLERS_FRAMES ? take_route(reply, m) : 0;
    r->stats.messages++;
    r->stats.faulty += first == 0;
    if (first > 0) {
        run_lines(r, peer, now_ns, m, first, reply);
    }
    r->held += reply->count > 0;
    r->lines += m->count;
    r->turn_lines += m->count;
    if (is_full(r)) {
        answer(r);
    }
}

/* What it wrote into its rings before it said this is taken first. */
static void
run_all(struct router *r, struct peer *peer, int64_t now_ns)
{
    struct callers_message message;
    r->turn_lines += PIECE_LINES;
    if (peer->pid != 0) {
        rings_take_of(r->commands->rings, now_ns, peer->pid);
    }
    while (callers_take(r->callers, &message)) {
        run(r, peer, now_ns, &message);
    }
    callers_done(r->callers);
}

void
router_turn(struct router *r, int64_t now_ns, bool is_called)
{
    struct peer *peer = NULL;
    if (is_called || now_ns >= callers_deadline(r->callers)) {
        callers_look(r->callers, now_ns);
    }
    do {
        peer = callers_next(r->callers);
        if (peer != NULL) {
            run_all(r, peer, now_ns);
        }
    } while (peer != NULL && r->turn_lines < TURN_LINES &&
             !rings_took_much(r->commands->rings));
    answer(r);
    r->turn_lines = 0;
}

void
router_bury(struct router *r, int64_t now_ns, uint32_t pid)
{
    struct peer *peer;
    unsigned before = r->turn_lines;
    r->turn_lines += BURIAL_LINES;
    while (r->turn_lines - before < BURY_LINES &&
           (peer = callers_next_of(r->callers, pid)) != NULL) {
        run_all(r, peer, now_ns);
    }
    answer(r);
}

bool
router_may_bury(const struct router *r)
{
    return r->turn_lines < TURN_LINES;
}

bool
router_has_more(const struct router *r)
{
    return callers_has_more(r->callers);
}

int64_t
router_deadline(const struct router *r)
{
    return callers_deadline(r->callers);
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
        say(r, one);
        r->stats.waiting--;
        commands_drop(r->commands, one);
        reply_free(&one);
    }
    r->last = link;
    callers_flush(r->callers);
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
