/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/local.h"
#include "breaker/breaker.h"
#include "client/bug.h"
#include "client/client.h"
#include "client/clock.h"
#include "client/home.h"
#include "client/local_seed.h"
#include "core/status.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One question to the machine; which fields count depends on the work. */
struct question {
    struct breaker *client;
    struct bk_fleet *fleet;
    int64_t now_ns;
    const char *name;
    uint64_t id;
    int64_t ttl_ns;
    const struct bk_acquire *acquire;
    const struct bk_retry *retry;
    const struct told *told;
    struct bk_text *text;
    struct bk_acquired acquired;
    struct bk_granted granted;
    enum bk_applied applied;
    enum bk_error error;
    char chosen[BK_NAME_SIZE]; /* outlives the lock */
};

bool
local_init(struct local *l)
{
    memset(l, 0, sizeof *l);
    return pthread_mutex_init(&l->lock, NULL) == 0;
}

void
local_fini(struct local *l)
{
    free(l->fleet);
    l->fleet = NULL;
    (void)pthread_mutex_destroy(&l->lock);
}

void
local_end(struct breaker *b)
{
    struct local *l = &client_world(b)->local;

    (void)pthread_mutex_lock(&l->lock);
    free(l->fleet);
    l->fleet = NULL;
    (void)pthread_mutex_unlock(&l->lock);
}

uint32_t
local_serial(struct breaker *b)
{
    struct local *l = &client_world(b)->local;
    uint32_t serial;

    (void)pthread_mutex_lock(&l->lock);
    serial = l->fleet != NULL ? l->serial : 0;
    (void)pthread_mutex_unlock(&l->lock);
    return serial;
}

/* ---- asking: the lock is held, a broken promise ends only the machine ---- */

static void
begin(void *context)
{
    struct question *q = context;

    q->fleet = local_seed_fleet(q->client);
}

static bool
make_fleet(struct local *l, struct question *q, const char **what)
{
    if (!bug_guard(begin, q, what)) {
        l->is_broken = true;
        return false;
    }
    if (q->fleet == NULL)
        return false;
    l->fleet = q->fleet;
    l->serial++;
    if (l->serial == 0)
        l->serial = 1;
    return true;
}

static void
tell_broken(struct breaker *b, const char *what)
{
    char sentence[LOG_SIZE];
    struct bk_text text;

    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, "a fault of libbreaker's own (");
    bk_text_put(&text, what);
    bk_text_put(&text, "): without breakerd every call is let through now");
    log_say(b, BREAKER_LOG_WARNING, sentence);
}

/* False: the machine cannot answer. *serial names the outage it served. */
static bool
ask(struct breaker *b, bug_work *work, struct question *q, uint32_t *serial)
{
    struct local *l = &client_world(b)->local;
    const char *what = NULL;
    struct bk_note note;
    bool is_done;

    q->client = b;
    q->now_ns = clock_boot_ns();
    (void)pthread_mutex_lock(&l->lock);
    is_done = !l->is_broken && (l->fleet != NULL || make_fleet(l, q, &what));
    if (is_done) {
        q->fleet = l->fleet;
        is_done = bug_guard(work, q, &what);
        l->is_broken = !is_done;
    }
    if (is_done) {
        *serial = l->serial;
        while (bk_fleet_next_note(l->fleet, &note))
            ; /* nobody stores or publishes here */
    } else if (what != NULL) {
        free(l->fleet);
        l->fleet = NULL;
    }
    (void)pthread_mutex_unlock(&l->lock);
    if (what != NULL)
        tell_broken(b, what);
    return is_done;
}

static struct bk_caller
myself(struct breaker *b)
{
    return (struct bk_caller){.pid = (uint32_t)getpid(), .worker = b->worker};
}

/* ---- acquire ---- */

static void
work_acquire(void *context)
{
    struct question *q = context;

    local_seed(q->client, q->fleet, q->now_ns, q->name);
    q->error = bk_fleet_acquire(q->fleet, q->now_ns, q->acquire, &q->acquired);
    if (q->error == BK_OK)
        (void)bk_copy_text(q->chosen, sizeof q->chosen, q->acquired.name,
                           strlen(q->acquired.name));
}

bool
local_acquire(struct breaker *b, struct breaker_service *s,
              const struct bk_acquire *how, struct breaker_permit *permit)
{
    struct bk_acquire full = *how;
    struct question q = {.name = s->name, .acquire = &full};
    uint32_t serial = 0;

    full.name = s->name;
    full.name_len = s->name_len;
    full.caller = myself(b);
    if (!ask(b, work_acquire, &q, &serial) || q.error != BK_OK)
        return false;
    permit->service =
        strcmp(q.chosen, s->name) == 0 ? s : breaker_service(b, q.chosen);
    permit->verdict = q.acquired.is_allowed ? BREAKER_ALLOWED : BREAKER_DENIED;
    permit->id = q.acquired.permit;
    permit->generation = q.acquired.generation;
    permit->retry_after_ms = q.acquired.retry_after_ms;
    permit->reason = (uint8_t)q.acquired.deny;
    permit->state = (uint8_t)q.acquired.state;
    permit->home = home_of_local(b, serial);
    permit->source = BREAKER_BY_LOCAL;
    return permit->service != NULL;
}

/* ---- retry ---- */

static void
work_retry(void *context)
{
    struct question *q = context;

    local_seed(q->client, q->fleet, q->now_ns, q->name);
    q->error = bk_fleet_retry(q->fleet, q->now_ns, q->retry, &q->granted);
}

bool
local_retry(struct breaker *b, struct breaker_service *s,
            const struct bk_retry *how, struct breaker_token *token)
{
    struct bk_retry full = *how;
    struct question q = {.name = s->name, .retry = &full};
    uint32_t serial = 0;

    full.name = s->name;
    full.name_len = s->name_len;
    full.caller = myself(b);
    if (!ask(b, work_retry, &q, &serial) || q.error != BK_OK)
        return false;
    token->verdict = q.granted.is_granted ? BREAKER_ALLOWED : BREAKER_DENIED;
    token->id = q.granted.token;
    token->delay_ms = q.granted.is_granted ? bk_ms_up(q.granted.delay_ns) : 0;
    token->retry_after_ms = q.granted.retry_after_ms;
    token->reason = (uint8_t)q.granted.deny;
    token->home = home_of_local(b, serial);
    token->source = BREAKER_BY_LOCAL;
    return true;
}

/* ---- report, release, renew ---- */

static void
work_report(void *context)
{
    struct question *q = context;
    const struct told *t = q->told;
    struct bk_report report = {
        .name = t->service->name,
        .name_len = t->service->name_len,
        .permit = t->id,
        .is_current = t->is_current,
        .generation = t->generation,
        .outcome = (enum bk_outcome)t->outcome,
        .latency_ns = t->latency_us < 0 ? -1 : t->latency_us * BK_NS_PER_US,
        .attempt = t->attempt,
        .will_retry = t->will_retry,
        .retry_after_ns = (int64_t)t->retry_after_ms * BK_NS_PER_MS,
        .text = t->text,
        .text_len = strlen(t->text),
        .caller = myself(q->client)};

    local_seed(q->client, q->fleet, q->now_ns, q->name);
    q->error = bk_fleet_report(q->fleet, q->now_ns, &report, &q->applied);
}

bool
local_report(struct breaker *b, const struct told *item,
             enum bk_applied *answer)
{
    struct question q = {.name = item->service->name, .told = item};
    uint32_t serial = 0;

    if (!ask(b, work_report, &q, &serial) || q.error != BK_OK)
        return false;
    *answer = q.applied;
    return true;
}

static void
work_release(void *context)
{
    struct question *q = context;

    q->applied = bk_fleet_release(q->fleet, q->now_ns, q->id);
}

static void
work_renew(void *context)
{
    struct question *q = context;

    q->applied = bk_fleet_renew(q->fleet, q->now_ns, q->id, q->ttl_ns);
}

static bool
settle(struct breaker *b, bug_work *work, struct question *q, uint32_t serial,
       enum bk_applied *answer)
{
    uint32_t now_serving = 0;

    *answer = BK_STALE;
    if (serial != local_serial(b))
        return true; /* that machine is gone, and its leases with it */
    if (!ask(b, work, q, &now_serving))
        return false;
    *answer = q->applied;
    return true;
}

bool
local_release(struct breaker *b, uint32_t serial, uint64_t id,
              enum bk_applied *answer)
{
    struct question q = {.id = id};

    return settle(b, work_release, &q, serial, answer);
}

bool
local_renew(struct breaker *b, uint32_t serial, uint64_t id, int64_t ttl_ns,
            enum bk_applied *answer)
{
    struct question q = {.id = id, .ttl_ns = ttl_ns};

    return settle(b, work_renew, &q, serial, answer);
}

/* ---- status ---- */

/* "running" is false: this is one worker's own view. */
static void
work_status(void *context)
{
    struct question *q = context;
    struct bk_status_daemon daemon = {.is_running = false,
                                      .version = breaker_version()};
    struct bk_json json;
    const struct bk_service *s;
    uint32_t slot;

    local_seed(q->client, q->fleet, q->now_ns, q->name);
    bk_fleet_advance(q->fleet, q->now_ns);
    daemon.services = bk_fleet_count(q->fleet);
    bk_json_init(&json, q->text);
    bk_status_begin(&json, &daemon);
    slot = bk_fleet_find(q->fleet, q->name, strlen(q->name));
    s = slot == BK_NO_SLOT ? NULL : bk_fleet_service(q->fleet, slot);
    if (s != NULL) {
        struct bk_status_service row = {
            .name = s->name,
            .breaker = &s->breaker,
            .policy = bk_fleet_policy(q->fleet, s->policy),
            .evidence = s->evidence,
            .now_ns = q->now_ns};

        bk_status_row(&json, &row);
    }
    bk_status_end(&json);
}

bool
local_status(struct breaker *b, struct breaker_service *s, struct bk_text *out)
{
    struct question q = {.name = s->name, .text = out};
    uint32_t serial = 0;

    return ask(b, work_status, &q, &serial);
}
