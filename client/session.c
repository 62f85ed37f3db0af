/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include "client/session_private.h"
#include "core/wire.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Rounds of sending and taking before the lock is let go. */
#define SETTLE_ROUNDS 64

bool
session_init(struct session *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->next_id = seed;
    s->cause.code = CAUSE_NONE;
    session_condition(&s->opened);
    return pthread_mutex_init(&s->lock, NULL) == 0;
}

void
session_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void
session_fini(struct session *s)
{
    if (s->is_open)
        transport_close(&s->transport);
    told_fini(&s->queue);
    (void)pthread_cond_destroy(&s->opened);
    (void)pthread_mutex_destroy(&s->lock);
}

/* ---- answers ---- */

/* Permits and tokens of answers that nobody waits for any more go back. */
static void
give_back(struct session *s, const char *line, size_t len)
{
    struct bk_reply reply;

    atomic_fetch_add_explicit(&s->late, 1, memory_order_relaxed);
    if (bk_reply_parse(line, len, &reply) && reply.id != 0 &&
        (reply.kind == BK_REPLY_ALLOW || reply.kind == BK_REPLY_GRANT)) {
        struct told item = {.kind = TOLD_RELEASE, .id = reply.id};

        told_push(&s->queue, &item);
    }
}

/* A sign of life: HELLO and PING are sent without a number. */
static void
note_epoch(struct session *s, const char *line, size_t len)
{
    struct bk_reply reply;

    if (bk_reply_parse(line, len, &reply) && reply.kind == BK_REPLY_PONG &&
        reply.id != s->epoch) {
        s->is_greeted = s->is_greeted && s->epoch == 0;
        s->epoch = reply.id;
    }
}

static void
hand_out(struct session *s, struct waiter *w, const char *line, size_t len)
{
    w->exchange->answer_len = len;
    (void)bk_copy_text(w->exchange->answer, w->exchange->size, line, len);
    w->is_done = true;
    if (s->leader == w)
        transport_wake(&s->transport);
    else
        (void)pthread_cond_signal(&w->wake);
}

static void
take_answer(void *context, uint64_t id, const char *line, size_t len)
{
    struct session *s = context;

    s->quiet = SESSION_SPEAKING;
    s->cause.code = CAUSE_NONE;
    if (id == 0) {
        note_epoch(s, line, len);
        return;
    }
    if (id == s->mark_id) {
        s->arrived = s->mark_told;
        s->mark_id = 0;
        return;
    }
    for (struct waiter *w = s->waiters; w != NULL; w = w->next) {
        if (w->id == id && !w->is_done) {
            hand_out(s, w, line, len);
            return;
        }
    }
    give_back(s, line, len);
}

/* ---- sending; the lock is held ---- */

static void
greet(struct breaker *b, struct session *s)
{
    char line[128];
    struct bk_text text;
    struct view *view = client_view(b);
    uint64_t epoch = view == NULL
                         ? 0
                         : atomic_load_explicit(&view->segment.header->epoch,
                                                memory_order_relaxed);

    if (s->is_greeted && s->serial == transport_serial(&s->transport) &&
        (epoch == 0 || epoch == s->epoch))
        return;
    bk_text_init(&text, line, sizeof line);
    bk_text_put(&text, "HELLO ");
    bk_text_put_u64(&text, BK_PROTOCOL);
    bk_text_put(&text, " ");
    bk_text_put(&text, b->worker);
    bk_text_put(&text, " ");
    bk_text_put_u64(&text, (uint64_t)getpid());
    if (transport_send(&s->transport, 0, line, text.len) == TRANSPORT_SENT) {
        s->is_greeted = true;
        s->serial = transport_serial(&s->transport);
        s->epoch = epoch;
    }
}

/* What was told, in order. A copy of it goes in one message, whole or not at all. */
static bool
send_queued(struct breaker *b, struct session *s)
{
    char lines[TOLD_BATCH * TOLD_LINE];

    greet(b, s);
    while (s->queue.count > 0) {
        struct bk_text text;
        uint32_t count;

        bk_text_init(&text, lines, sizeof lines);
        count = told_write_batch(&s->queue, &text);
        if (transport_send(&s->transport, 0, lines, text.len) != TRANSPORT_SENT)
            return false;
        told_pop(&s->queue, count);
    }
    return true;
}

/* First what was told, then the questions. */
void
session_send(struct breaker *b, struct session *s)
{
    if (!send_queued(b, s))
        return;
    for (struct waiter *w = s->waiters; w != NULL; w = w->next) {
        if (w->is_sent)
            continue;
        if (transport_send(&s->transport, w->id, w->exchange->line,
                           w->exchange->line_len) != TRANSPORT_SENT)
            return;
        w->is_sent = true;
    }
}

static bool
has_unsent(const struct session *s)
{
    if (s->queue.count > 0)
        return true;
    for (const struct waiter *w = s->waiters; w != NULL; w = w->next) {
        if (!w->is_sent)
            return true;
    }
    return false;
}

void
session_settle(struct breaker *b, struct session *s)
{
    for (int i = 0; i < SETTLE_ROUNDS; i++) {
        uint32_t can;

        session_send(b, s);
        if (s->leader == NULL || !transport_leaves_to_sleeper(&s->transport))
            (void)transport_drain(&s->transport, take_answer, s);
        can = transport_look(&s->transport);
        if ((can & TRANSPORT_MAY_TAKE) == 0 &&
            ((can & TRANSPORT_MAY_SEND) == 0 || !has_unsent(s)))
            return;
    }
    /* A flood: whoever sleeps looks again. */
    transport_wake(&s->transport);
}

void
session_ask_for_life(struct breaker *b, struct session *s, int64_t now_ns)
{
    if (now_ns < s->probe_ns)
        return;
    s->probe_ns = now_ns + SESSION_PROBE_NS +
                  client_jitter(client_world(b), SESSION_PROBE_NS / 4);
    (void)transport_send(&s->transport, 0, "PING", 4);
    session_settle(b, s);
}

/* ---- telling ---- */

/* Behind what was told, so that its answer says that all of it has arrived. */
static void
mark(struct session *s)
{
    uint64_t serial = transport_serial(&s->transport);

    if (s->mark_id != 0 && s->mark_serial == serial)
        return;
    s->mark_id = 0;
    if (s->queue.count > 0 || s->arrived == s->told)
        return;
    s->mark_id = s->next_id++;
    s->mark_told = s->told;
    s->mark_serial = serial;
    if (s->mark_id == 0 ||
        transport_send(&s->transport, s->mark_id, "PING", 4) != TRANSPORT_SENT)
        s->mark_id = 0;
}

bool
session_has_arrived(struct breaker *b)
{
    struct session *s = &client_world(b)->session;
    bool has_arrived;

    (void)pthread_mutex_lock(&s->lock);
    if (s->is_open) {
        session_settle(b, s);
        mark(s);
    }
    has_arrived = s->queue.count == 0 && s->arrived == s->told;
    (void)pthread_mutex_unlock(&s->lock);
    return has_arrived;
}

enum session_told
session_tell(struct breaker *b, const struct told *item)
{
    struct session *s = &client_world(b)->session;
    enum session_told told = SESSION_SPEECHLESS;
    enum session_reach reach;

    (void)pthread_mutex_lock(&s->lock);
    reach = session_reach(b, s, clock_mono_ns(), !b->tells_later);
    if (reach != REACH_NOWHERE) {
        told_push(&s->queue, item);
        s->told++;
        told = SESSION_TOLD;
    }
    if (reach == REACH_OPEN) {
        session_settle(b, s);
        if (s->is_new && !b->tells_later)
            session_await_connection(b, s);
        if (b->tells_later && b->has_rings)
            mark(s);
    }
    if (told == SESSION_TOLD && b->tells_later && s->queue.count > 0)
        told = SESSION_QUEUED;
    (void)pthread_mutex_unlock(&s->lock);
    return told;
}

bool
session_post(struct breaker *b, const char *lines, size_t len)
{
    struct session *s = &client_world(b)->session;
    bool is_sent;

    (void)pthread_mutex_lock(&s->lock);
    is_sent =
        session_reach(b, s, clock_mono_ns(), !b->tells_later) == REACH_OPEN &&
        send_queued(b, s) &&
        transport_send(&s->transport, 0, lines, len) == TRANSPORT_SENT;
    if (s->is_open)
        session_settle(b, s);
    (void)pthread_mutex_unlock(&s->lock);
    return is_sent;
}

void
session_keep(struct breaker *b, const struct told *item)
{
    struct session *s = &client_world(b)->session;

    (void)pthread_mutex_lock(&s->lock);
    told_push(&s->queue, item);
    s->told++;
    (void)pthread_mutex_unlock(&s->lock);
}

uint32_t
session_queued(struct breaker *b)
{
    struct session *s = &client_world(b)->session;
    uint32_t count;

    (void)pthread_mutex_lock(&s->lock);
    count = s->queue.count;
    (void)pthread_mutex_unlock(&s->lock);
    return count;
}

bool
session_take(struct breaker *b, struct told *out)
{
    struct session *s = &client_world(b)->session;
    const struct told *first;
    bool is_one;

    (void)pthread_mutex_lock(&s->lock);
    first = told_first(&s->queue);
    is_one = first != NULL;
    if (is_one) {
        *out = *first;
        told_pop(&s->queue, 1);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return is_one;
}

uint64_t
session_dropped(struct breaker *b)
{
    struct session *s = &client_world(b)->session;
    uint64_t dropped;

    (void)pthread_mutex_lock(&s->lock);
    dropped = s->queue.dropped;
    (void)pthread_mutex_unlock(&s->lock);
    return dropped;
}

/* Lines of one connection are carried out in order, so an answer to the last
 * says that all before it have arrived. */
bool
session_flush(struct breaker *b, int64_t deadline_ns)
{
    struct session *s = &client_world(b)->session;
    char answer[64];
    struct exchange ping = {
        .line = "PING", .line_len = 4, .answer = answer, .size = sizeof answer};
    bool has_reason;

    (void)pthread_mutex_lock(&s->lock);
    has_reason = s->is_open || s->queue.count > 0;
    (void)pthread_mutex_unlock(&s->lock);
    return !has_reason ||
           session_ask(b, &ping, deadline_ns) == SESSION_ANSWERED;
}

void
session_hope(struct breaker *b)
{
    struct session *s = &client_world(b)->session;

    (void)pthread_mutex_lock(&s->lock);
    s->quiet = SESSION_SPEAKING;
    s->again_ns = 0;
    if (s->is_open)
        transport_hope(&s->transport);
    (void)pthread_mutex_unlock(&s->lock);
}

bool
session_cause(struct breaker *b, struct cause *out)
{
    struct session *s = &client_world(b)->session;

    (void)pthread_mutex_lock(&s->lock);
    *out = s->cause;
    (void)pthread_mutex_unlock(&s->lock);
    return out->code != CAUSE_NONE;
}
