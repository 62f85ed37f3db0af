/* SPDX-License-Identifier: Apache-2.0
 *
 * May this call be made? First the gate; then the daemon; then, when it is away,
 * the fail policy. */
#define _GNU_SOURCE
#include "client/clock.h"
#include "client/gate.h"
#include "client/home.h"
#include "client/stopwatch.h"
#include "client/tally.h"
#include "core/wire.h"
#include <stddef.h>
#include <string.h>

/* A ttl is a number of the wire, and nanoseconds inside. */
#define TTL_MAX_MS (UINT64_C(1) << 40)

struct asked {
    uint64_t attempt; /* as the caller counts */
    uint64_t token;   /* one that whoever issued it still knows; 0: none */
    uint64_t home;    /* of the token */
    uint64_t ttl_ms;
    bool may_wait;
};

/* How it is put to the daemon (serial 0) or to the local machine of an outage. A
 * retry granted by the other has been paid for there: here it is like a first
 * attempt. */
static uint64_t
attempt_for(const struct asked *asked, uint32_t serial)
{
    return asked->token == 0 || home_serial(asked->home) == serial
               ? asked->attempt
               : 1;
}

static uint64_t
token_for(const struct asked *asked, uint32_t serial)
{
    return home_serial(asked->home) == serial ? asked->token : 0;
}

/* ---- the daemon ---- */

static void
take_allow(struct breaker *b, struct breaker_service *s,
           const struct bk_reply *reply, struct breaker_permit *permit)
{
    struct breaker_service *chosen = s;

    if (!bk_is(reply->service.at, reply->service.len, s->name)) {
        char name[BK_NAME_SIZE];

        (void)bk_copy_text(name, sizeof name, reply->service.at,
                           reply->service.len);
        chosen = breaker_service(b, name);
    }
    permit->service = chosen != NULL ? chosen : s;
    permit->verdict = BREAKER_ALLOWED;
    permit->id = reply->id;
    permit->generation = reply->generation;
    permit->state = (uint8_t)reply->state;
}

enum heard {
    HEARD_VERDICT,
    HEARD_LATER, /* it was not asked, but might answer who waits for it */
    HEARD_ERROR, /* it lives, but decides nothing: no room for the service */
    HEARD_NOTHING
};

static enum heard
ask_daemon(struct breaker *b, struct breaker_service *s,
           const struct asked *asked, int64_t now_ns,
           struct breaker_permit *permit)
{
    char line[BK_LINE_MAX + 1];
    char answer[BK_LINE_MAX + 1];
    struct exchange x = {.line = line, .answer = answer, .size = sizeof answer};
    struct bk_text text;
    struct bk_reply reply;

    if (!asked->may_wait)
        return session_may_answer(b, now_ns) ? HEARD_LATER : HEARD_NOTHING;
    bk_text_init(&text, line, sizeof line);
    bk_write_acquire(&text, s->name, attempt_for(asked, 0), token_for(asked, 0),
                     asked->ttl_ms);
    x.line_len = text.len;
    if (session_ask(b, &x, now_ns + b->deadline_ns) != SESSION_ANSWERED)
        return HEARD_NOTHING;
    if (!session_read(&x, &reply))
        return HEARD_ERROR;
    permit->source = BREAKER_BY_DAEMON;
    if (reply.kind == BK_REPLY_ALLOW) {
        take_allow(b, s, &reply, permit);
    } else if (reply.kind == BK_REPLY_DENY) {
        permit->verdict = BREAKER_DENIED;
        permit->reason = (uint8_t)reply.deny;
        permit->retry_after_ms = reply.wait_ms;
    } else {
        return HEARD_ERROR;
    }
    return HEARD_VERDICT;
}

/* ---- nobody to ask ---- */

static void
decide_alone(struct breaker *b, struct breaker_service *s,
             const struct asked *asked, struct breaker_permit *permit)
{
    uint32_t serial = local_serial(b);
    struct bk_acquire how = {.attempt = attempt_for(asked, serial),
                             .token = token_for(asked, serial),
                             .ttl_ns = (int64_t)asked->ttl_ms * BK_NS_PER_MS};

    permit->source = BREAKER_BY_NOBODY;
    permit->verdict = BREAKER_ALLOWED;
    switch (b->fail) {
    case BREAKER_FAIL_DEFAULT:
    case BREAKER_FAIL_LOCAL:
        if (!local_acquire(b, s, &how, permit)) {
            permit->verdict = BREAKER_ALLOWED;
            permit->source = BREAKER_BY_NOBODY;
            permit->service = s;
        }
        break;
    case BREAKER_FAIL_OPEN:
        break;
    case BREAKER_FAIL_CLOSED:
        permit->verdict = BREAKER_DENIED;
        permit->reason = BREAKER_REASON_UNAVAILABLE;
        permit->retry_after_ms = bk_ms_up(ATTACH_PROBE_NS);
        break;
    }
}

static void
count(struct world *w, uint8_t source)
{
    _Atomic uint64_t *number =
        source == BREAKER_BY_DAEMON  ? &w->numbers.by_daemon
        : source == BREAKER_BY_LOCAL ? &w->numbers.by_local
                                     : &w->numbers.by_nobody;

    atomic_fetch_add_explicit(number, 1, memory_order_relaxed);
}

/* ---- the slow way: everything but an answer from the gate ---- */

static void
decide(struct breaker *b, struct breaker_service *s, const struct asked *asked,
       struct breaker_permit *permit)
{
    int64_t now_ns = clock_mono_ns();
    bool is_daemons = client_daemon_in_charge(b, now_ns);
    enum heard heard = HEARD_NOTHING;

    /* The probe may just have found a living segment. */
    if (is_daemons && b->mode == BREAKER_MODE_AUTO) {
        if (gate_ask(b, s, asked->attempt > 1, clock_coarse_ns(), permit) <=
            GATE_DENIED)
            return;
    }
    if (is_daemons)
        heard = ask_daemon(b, s, asked, now_ns, permit);
    if (heard == HEARD_LATER) {
        permit->verdict = BREAKER_MUST_ASK;
        return;
    }
    if (heard != HEARD_NOTHING) {
        client_found(b);
        client_note_detour(b);
    } else if (is_daemons) {
        client_lost(b);
    }
    if (heard != HEARD_VERDICT)
        decide_alone(b, s, asked, permit);
    count(client_world(b), permit->source);
}

static __attribute__((noinline)) void
decide_slowly(struct breaker_service *s, const struct breaker_ask *ask,
              bool may_wait, struct breaker_permit *permit)
{
    struct breaker *b = s->client;
    struct entry entry = client_enter();
    struct asked asked = {.attempt = 1, .may_wait = may_wait};

    if (!client_is_ready(b)) {
        /* No memory for a child's own world. */
        if (b->fail == BREAKER_FAIL_CLOSED) {
            permit->verdict = BREAKER_DENIED;
            permit->reason = BREAKER_REASON_UNAVAILABLE;
        }
        client_leave(entry);
        return;
    }
    if (ask != NULL)
        asked.ttl_ms = ask->ttl_ms < TTL_MAX_MS ? ask->ttl_ms : TTL_MAX_MS;
    if (ask != NULL && ask->token != NULL) {
        asked.attempt = ask->token->attempt;
        asked.home = ask->token->home;
        /* A parent's token is the parent's. */
        if (home_is_ours(b, asked.home))
            asked.token = ask->token->id;
    }
    permit->home = home_of_daemon(b);
    decide(b, s, &asked, permit);
    tally_when_due(b, clock_coarse_ns());
    client_leave(entry);
}

static enum breaker_verdict
finish(const struct breaker_ask *ask, const struct breaker_permit *permit)
{
    if (permit->verdict == BREAKER_ALLOWED && ask != NULL && ask->token != NULL)
        ask->token->is_settled = 1;
    return (enum breaker_verdict)permit->verdict;
}

/* ---- the fast way ---- */

/* Let through, as far as is known. Field by field: the stores melt into few. */
static inline __attribute__((always_inline)) void
fill_in(struct breaker_permit *permit, struct breaker_service *s,
        uint64_t generation, uint64_t home, uint32_t attempt,
        enum breaker_source source)
{
    permit->service = s;
    permit->id = 0;
    permit->generation = generation;
    permit->retry_after_ms = 0;
    permit->home = home;
    permit->attempt = attempt;
    permit->verdict = BREAKER_ALLOWED;
    permit->reason = BREAKER_REASON_NONE;
    permit->state =
        source == BREAKER_BY_MEMORY ? BREAKER_CLOSED : BREAKER_STATE_UNKNOWN;
    permit->source = (uint8_t)source;
    memset((char *)permit + offsetof(struct breaker_permit, is_settled), 0,
           sizeof *permit - offsetof(struct breaker_permit, is_settled));
}

static inline uint64_t
word_of(const struct lane_entry *entry)
{
    /* Pairs with the store in bk_segment_put_word. */
    return atomic_load_explicit(entry->word, memory_order_acquire);
}

static inline __attribute__((always_inline)) void
let_through(struct breaker_service *s, const struct lane *lane,
            struct lane_entry *entry, struct breaker_permit *permit)
{
    fill_in(permit, s, entry->generation, lane->home, 1, BREAKER_BY_MEMORY);
    lane_count(entry);
}

/* In the tick of the lane's last look, which was `tick_ns`, the thread has seen this word
 * before, and knows that it lets calls through; nothing else that anybody writes is
 * read. */
static inline __attribute__((always_inline)) bool
lets_through_in(struct breaker_service *s, const struct lane *lane,
                int64_t tick_ns, struct breaker_permit *permit)
{
    struct lane_chunk *chunk = lane_chunk(lane, s->index);
    struct lane_entry *entry;

    if (chunk == NULL)
        return false;
    entry = &chunk->entries[s->index % LANE_CHUNK];
    if (entry->tick_ns != tick_ns || word_of(entry) != entry->go)
        return false;
    let_through(s, lane, entry, permit);
    return true;
}

/* The lane is at hand when the thread used this handle last, in this process: one word
 * says both. Nothing here calls anything, so that nothing has to be kept for later. */
static inline __attribute__((always_inline)) bool
allows_at_once(struct breaker_service *s, int64_t coarse_ns,
               struct breaker_permit *permit)
{
    return lane_is_at_hand(fork_page_serial(s->client->page)) &&
           lets_through_in(s, lane_thread.lane, coarse_ns, permit);
}

/* The stopwatch has to be read anyway: it stands for the clock. */
static inline __attribute__((always_inline)) bool
begins_at_once(struct breaker_service *s, struct breaker_permit *permit)
{
    const struct lane *lane;
    uint64_t count;

    if (!lane_is_at_hand(fork_page_serial(s->client->page)))
        return false;
    lane = lane_thread.lane;
    count = stopwatch_count();
    if (count - lane->tick_count >= lane->tick_span ||
        !lets_through_in(s, lane, lane->tick_ns, permit))
        return false;
    permit->began[0] = count;
    permit->began[1] = STOPWATCH_COUNTER;
    return true;
}

/* This thread's, of this process; NULL: the slow way makes one. */
static inline struct lane *
lane_of(const struct breaker_service *s)
{
    return lane_mine(fork_page_serial(s->client->page));
}

/* The lane has just been looked at. False: the slow way decides, and writes over what is
 * in `permit`. */
static bool
decides(struct breaker_service *s, const struct lane *lane,
        struct breaker_permit *permit)
{
    struct lane_entry *entry = lane_entry(lane, s->index);
    uint64_t word;

    if (entry == NULL || entry->word == NULL)
        return false;
    word = word_of(entry);
    if (word == entry->go && lane_renew(lane, entry)) {
        let_through(s, lane, entry, permit);
        return true;
    }
    fill_in(permit, s, 0, lane->home, 1, BREAKER_BY_NOBODY);
    return s->client->mode == BREAKER_MODE_AUTO &&
           gate_denies(s, word, entry->incarnation, permit);
}

/* The first time in a tick, or the word has changed. */
static bool
decides_anew(struct breaker_service *s, int64_t coarse_ns,
             struct breaker_permit *permit)
{
    struct lane *lane = lane_of(s);

    return lane != NULL &&
           (coarse_ns == lane->tick_ns ||
            lane_look(s->client, lane, coarse_ns)) &&
           decides(s, lane, permit);
}

static bool
begins_anew(struct breaker_service *s, struct breaker_permit *permit)
{
    struct lane *lane = lane_of(s);
    uint64_t count;

    if (lane == NULL || !stopwatch_runs())
        return false;
    count = stopwatch_count();
    if ((count - lane->tick_count >= lane->tick_span &&
         !lane_look_at(s->client, lane, count)) ||
        !decides(s, lane, permit))
        return false;
    permit->began[0] = count;
    permit->began[1] = STOPWATCH_COUNTER;
    return true;
}

static bool
knows(struct breaker_service *s, int64_t coarse_ns)
{
    struct lane *lane = lane_of(s);
    struct lane_entry *entry = lane != NULL ? lane_entry(lane, s->index) : NULL;

    return entry != NULL && coarse_ns < entry->until_ns &&
           word_of(entry) == entry->go;
}

/* Once a second a service, and after each change of its word. */
static __attribute__((noinline)) void
learn(struct breaker_service *s, const struct breaker_permit *permit)
{
    struct entry entry = client_enter();

    stopwatch_tend();
    lane_learn(s->client, s, permit->generation, gate_believes_until(s));
    client_leave(entry);
}

static enum breaker_verdict
acquire(struct breaker_service *s, const struct breaker_ask *ask, bool may_wait,
        struct breaker_permit *permit)
{
    uint32_t attempt =
        ask != NULL && ask->token != NULL ? ask->token->attempt : 1;
    struct breaker *b;

    fill_in(permit, s, 0, 0, attempt, BREAKER_BY_NOBODY);
    if (s == NULL)
        return BREAKER_ALLOWED;
    b = s->client;
    if (b->mode == BREAKER_MODE_AUTO && fork_page_is_ready(b->page)) {
        struct world *w = client_world(b);
        int64_t coarse_ns = clock_coarse_ns();

        if (!tally_is_due(w, coarse_ns) && client_outage(w) != OUTAGE_GONE &&
            gate_ask(b, s, attempt > 1, coarse_ns, permit) <= GATE_DENIED) {
            permit->home = (uint64_t)w->life << 32;
            if (permit->verdict == BREAKER_ALLOWED && !knows(s, coarse_ns))
                learn(s, permit);
            return finish(ask, permit);
        }
    }
    decide_slowly(s, ask, may_wait, permit);
    return finish(ask, permit);
}

/* Of no service, or for a caller who does not want the permit. */
static __attribute__((noinline)) enum breaker_verdict
acquire_oddly(struct breaker_service *s, const struct breaker_ask *ask,
              bool may_wait, struct breaker_permit *permit)
{
    struct breaker_permit unwanted;

    return acquire(s, ask, may_wait, permit != NULL ? permit : &unwanted);
}

/* Looks again at what was good for an earlier tick or word. Out of line, so that little
 * has to outlive the reading of the clock. */
static __attribute__((noinline)) enum breaker_verdict
acquire_anew(struct breaker_service *s, struct breaker_permit *permit,
             int64_t coarse_ns, bool may_wait)
{
    return decides_anew(s, coarse_ns, permit)
               ? (enum breaker_verdict)permit->verdict
               : acquire(s, NULL, may_wait, permit);
}

static inline __attribute__((always_inline)) enum breaker_verdict
acquire_quickly(struct breaker_service *s, struct breaker_permit *permit,
                bool may_wait)
{
    int64_t coarse_ns;

    if (s == NULL || permit == NULL)
        return acquire_oddly(s, NULL, may_wait, permit);
    coarse_ns = clock_coarse_ns();
    return allows_at_once(s, coarse_ns, permit)
               ? BREAKER_ALLOWED
               : acquire_anew(s, permit, coarse_ns, may_wait);
}

enum breaker_verdict
breaker_acquire_with(struct breaker_service *s, const struct breaker_ask *ask,
                     struct breaker_permit *permit)
{
    if (ask == NULL)
        return breaker_acquire(s, permit);
    return acquire_oddly(s, ask, true, permit);
}

LANE_HOT enum breaker_verdict
breaker_acquire(struct breaker_service *s, struct breaker_permit *permit)
{
    return acquire_quickly(s, permit, true);
}

LANE_HOT enum breaker_verdict
breaker_acquire_now(struct breaker_service *s, struct breaker_permit *permit)
{
    return acquire_quickly(s, permit, false);
}

static __attribute__((noinline)) enum breaker_verdict
begin_anew(struct breaker_service *s, struct breaker_permit *permit)
{
    enum breaker_verdict verdict;

    if (s != NULL && permit != NULL && begins_anew(s, permit))
        return (enum breaker_verdict)permit->verdict;
    verdict = breaker_acquire(s, permit);
    if (!stopwatch_runs())
        stopwatch_tend();
    if (permit != NULL)
        stopwatch_start(permit->began);
    return verdict;
}

LANE_HOT enum breaker_verdict
breaker_begin(struct breaker_service *s, struct breaker_permit *permit)
{
    return s != NULL && permit != NULL && begins_at_once(s, permit)
               ? BREAKER_ALLOWED
               : begin_anew(s, permit);
}

enum breaker_verdict
breaker_acquire_name(struct breaker *b, const char *name,
                     struct breaker_permit *permit)
{
    return breaker_acquire(breaker_service(b, name), permit);
}
