/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for answers: who sleeps on the socket, who on a condition, and when
 * nobody waits at all. */
#define _GNU_SOURCE
#include "client/client.h"
#include "client/clock.h"
#include "client/ring_tell.h"
#include "client/session_private.h"

/* Once silent, nobody waits: a sign of life comes first. */
static bool
is_worth_waiting(struct breaker *b, struct session *s, int64_t now_ns)
{
    if (s->quiet == SESSION_UNREACHED &&
        (transport_look(&s->transport) & TRANSPORT_MAY_SEND) != 0) {
        s->quiet = SESSION_SPEAKING;
        s->is_greeted = false;
    } else if (s->quiet == SESSION_UNANSWERED) {
        session_ask_for_life(b, s, now_ns);
    }
    return s->quiet == SESSION_SPEAKING;
}

static void
lead(struct session *s, struct waiter *w, int64_t left_ns)
{
    s->leader = w;
    transport_wait(&s->transport, &s->lock, left_ns);
    s->leader = NULL;
}

void
session_await_connection(struct breaker *b, struct session *s)
{
    int64_t wait_ns =
        b->deadline_ns < SESSION_FIRST_NS ? b->deadline_ns : SESSION_FIRST_NS;
    int64_t deadline_ns = clock_mono_ns() + wait_ns;
    struct waiter nobody = {.next = NULL}; /* holds the lead, gets no answer */

    s->is_new = false;
    while (s->queue.count > 0 && s->leader == NULL) {
        int64_t left_ns = deadline_ns - clock_mono_ns();

        if (left_ns <= 0)
            break;
        lead(s, &nobody, left_ns);
        session_settle(b, s);
    }
    if (s->leader == NULL && s->waiters != NULL)
        (void)pthread_cond_signal(&s->waiters->wake);
}

/* Nobody waits for anything but this one, and a sleeper sees all that comes. */
static bool
is_idle(const struct session *s)
{
    return s->leader == NULL && s->queue.count == 0 &&
           (s->waiters == NULL || s->waiters->next == NULL) &&
           transport_leaves_to_sleeper(&s->transport);
}

static void
wait_for_answer(struct breaker *b, struct session *s, struct waiter *w,
                int64_t deadline_ns)
{
    struct timespec deadline = clock_spec(deadline_ns);

    /* An answer is never there at once: who sleeps for it sees it come, with no look
     * before that. */
    if (is_idle(s)) {
        session_send(b, s);
        if (w->is_sent)
            lead(s, w, deadline_ns - clock_mono_ns());
    }
    for (;;) {
        int64_t now_ns;

        session_settle(b, s);
        now_ns = clock_mono_ns();
        if (w->is_done || now_ns >= deadline_ns)
            return;
        if (s->leader == NULL)
            lead(s, w, deadline_ns - now_ns);
        else
            (void)pthread_cond_timedwait(&w->wake, &s->lock, &deadline);
    }
}

static void
give_up(struct breaker *b, struct session *s, const struct waiter *w)
{
    struct bk_text text;

    atomic_fetch_add_explicit(&s->unanswered, 1, memory_order_relaxed);
    if (w->is_sent) {
        s->quiet = SESSION_UNANSWERED;
        text = cause_set(&s->cause, CAUSE_SILENT);
        bk_text_put(&text, "breakerd does not answer at ");
        bk_text_put(&text, s->path);
        session_ask_for_life(b, s, clock_mono_ns());
    } else {
        const struct cause *trouble = transport_trouble(&s->transport);

        s->quiet = SESSION_UNREACHED;
        text = cause_set(&s->cause, CAUSE_CONNECTING);
        bk_text_put(&text, "nobody serves ");
        bk_text_put(&text, s->path);
        if (trouble->code != CAUSE_NONE)
            s->cause = *trouble;
    }
}

static void
enlist(struct session *s, struct waiter *w)
{
    struct waiter **at = &s->waiters;

    session_condition(&w->wake);
    while (*at != NULL)
        at = &(*at)->next;
    *at = w;
    w->id = s->next_id++;
    if (w->id == 0)
        w->id = s->next_id++;
}

/* The lead passes to somebody who still waits. */
static void
delist(struct session *s, struct waiter *w)
{
    struct waiter **at = &s->waiters;

    while (*at != NULL && *at != w)
        at = &(*at)->next;
    if (*at != NULL)
        *at = w->next;
    if (s->leader == NULL && s->waiters != NULL)
        (void)pthread_cond_signal(&s->waiters->wake);
    (void)pthread_cond_destroy(&w->wake);
}

enum session_result
session_ask(struct breaker *b, struct exchange *x, int64_t deadline_ns)
{
    struct session *s = &client_world(b)->session;
    struct waiter w = {.exchange = x};
    bool may_ask;
    int64_t now_ns = clock_mono_ns();

    ring_await(b, now_ns + (deadline_ns - now_ns) / 2);
    (void)pthread_mutex_lock(&s->lock);
    may_ask = session_reach(b, s, now_ns, true) == REACH_OPEN;
    if (may_ask) {
        if (!is_idle(s) || s->quiet != SESSION_SPEAKING)
            session_settle(b, s);
        may_ask = is_worth_waiting(b, s, now_ns);
    }
    if (may_ask) {
        enlist(s, &w);
        wait_for_answer(b, s, &w, deadline_ns);
        delist(s, &w);
        if (!w.is_done)
            give_up(b, s, &w);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (w.is_done)
        return SESSION_ANSWERED;
    return w.is_sent ? SESSION_SENT : SESSION_NOT_SENT;
}

bool
session_may_answer(struct breaker *b, int64_t now_ns)
{
    struct session *s = &client_world(b)->session;
    enum session_reach reach;
    bool may_answer;

    (void)pthread_mutex_lock(&s->lock);
    reach = session_reach(b, s, now_ns, false);
    may_answer = reach == REACH_CLOSED;
    if (reach == REACH_OPEN) {
        session_settle(b, s);
        may_answer = is_worth_waiting(b, s, now_ns);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return may_answer;
}

bool
session_read(const struct exchange *x, struct bk_reply *reply)
{
    return x->answer_len < x->size &&
           bk_reply_parse(x->answer, x->answer_len, reply);
}
