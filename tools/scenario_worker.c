/* SPDX-License-Identifier: Apache-2.0
 *
 * From lines to calls of the library and back. A line has no call when it says what
 * the library never would: of a permit that another worker holds, of another
 * generation or attempt than the permit's, of one that was settled. */
#define _GNU_SOURCE
#include "tools/scenario_worker.h"
#include "breaker/breaker.h"
#include "core/wire.h"
#include "tools/scenario_segment.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Permits and tokens remembered, the oldest forgotten first. */
#define HELD_MAX 1024
#define DOCUMENT_SIZE ((size_t)131072)
/* The library's deadline: on a busy machine late is not never. */
#define DEADLINE_MS 2000
/* Between two looks for a daemon that is not there yet. */
#define PAUSE_NS (1 * BK_NS_PER_MS)
/* Of outcomes every so manieth waits for the daemon's answer; the others are told,
 * as workers do. */
#define CONFIRM_EVERY 4

struct held {
    bool is_token;
    struct breaker_permit permit;
    struct breaker_token token;
};

struct scenario_worker {
    struct breaker *breaker;
    const char *dir;
    const char *name;
    struct scenario_ways *ways;
    struct held held[HELD_MAX];
    size_t held_next;
    uint64_t outcomes; /* reported so far */
    char *document;    /* DOCUMENT_SIZE */
};

static void
count(_Atomic uint64_t *way)
{
    atomic_fetch_add_explicit(way, 1, memory_order_relaxed);
}

/* What the library has to say is in its answers. */
static void
be_quiet(void *context, enum breaker_log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    (void)sentence;
}

static struct breaker *
open_handle(const char *dir, const char *name)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    options.dir = dir;
    options.worker = name;
    options.deadline_ms = DEADLINE_MS;
    options.log = be_quiet;
    return breaker_open(&options);
}

struct scenario_worker *
scenario_worker_open(const char *dir, const char *name,
                     struct scenario_ways *ways, struct bk_text *error)
{
    struct scenario_worker *w = calloc(1, sizeof(*w));
    if (w == NULL || (w->document = malloc(DOCUMENT_SIZE)) == NULL) {
        free(w);
        bk_text_put(error, "out of memory");
        return NULL;
    }
    w->dir = dir;
    w->name = name;
    w->ways = ways;
    w->breaker = open_handle(dir, name);
    if (w->breaker == NULL) {
        bk_text_put(error, breaker_error_text());
        scenario_worker_close(&w);
    }
    return w;
}

void
scenario_worker_close(struct scenario_worker **w)
{
    struct scenario_worker *old = *w;
    if (old != NULL) {
        breaker_close(&old->breaker);
        free(old->document);
        free(old);
        *w = NULL;
    }
}

bool
scenario_worker_tell_all(struct scenario_worker *w, struct bk_text *error)
{
    struct breaker_stats stats = BREAKER_STATS_INIT;
    if (breaker_stats(w->breaker, &stats) == 0 && stats.by_memory == 0) {
        return true;
    }
    breaker_close(&w->breaker);
    memset(w->held, 0, sizeof(w->held));
    w->breaker = open_handle(w->dir, w->name);
    if (w->breaker == NULL) {
        bk_text_put(error, breaker_error_text());
    }
    return w->breaker != NULL;
}

static int64_t
clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

bool
scenario_worker_await(struct scenario_worker *w, int64_t deadline_ms,
                      struct bk_text *error)
{
    int64_t end_ns = clock_ns() + deadline_ms * BK_NS_PER_MS;
    while (breaker_ping(w->breaker, NULL) != 0) {
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        if (clock_ns() > end_ns) {
            bk_text_put(error, "the library finds no daemon: ");
            bk_text_put(error, breaker_error_text());
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

/* ---- what is held ---- */

static struct held *
hold(struct scenario_worker *w)
{
    struct held *held = &w->held[w->held_next];
    w->held_next = (w->held_next + 1) % HELD_MAX;
    *held = (struct held){0};
    return held;
}

/* A permit by number, not settled; NULL: this worker holds none. */
static struct breaker_permit *
find_permit(struct scenario_worker *w, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < HELD_MAX; i++) {
        struct breaker_permit *p = &w->held[i].permit;
        if (!w->held[i].is_token && p->id == id && p->is_settled == 0) {
            return p;
        }
    }
    return NULL;
}

static struct breaker_token *
find_token(struct scenario_worker *w, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < HELD_MAX; i++) {
        struct breaker_token *t = &w->held[i].token;
        if (w->held[i].is_token && t->id == id && t->is_settled == 0) {
            return t;
        }
    }
    return NULL;
}

/* The permit that a report speaks of: of those without a number any of the same
 * service and generation is as good. */
static struct breaker_permit *
find_reported(struct scenario_worker *w, const struct bk_request *r)
{
    for (size_t i = 0; !r->is_current && i < HELD_MAX; i++) {
        struct breaker_permit *p = &w->held[i].permit;
        if (!w->held[i].is_token && p->verdict == BREAKER_ALLOWED &&
            p->is_settled == 0 && p->id == r->id &&
            p->generation == r->generation &&
            bk_is(r->service.at, r->service.len,
                  breaker_service_name(p->service)) &&
            (r->attempt > 1 ? p->attempt == r->attempt : p->attempt <= 1)) {
            return p;
        }
    }
    return NULL;
}

static struct breaker_service *
service_of(struct scenario_worker *w, const struct bk_request *r)
{
    char name[BK_NAME_SIZE];
    bk_copy_text(name, sizeof(name), r->service.at, r->service.len);
    return breaker_service(w->breaker, name);
}

/* ---- decisions ---- */

/* True when it was the daemon's. The library decides by itself also where the daemon
 * answers with an error, and on a machine that stood still: the line itself then says
 * what the daemon answers, and is counted among the lines. */
static bool
is_daemons(struct scenario_worker *w, uint8_t source)
{
    if (source == BREAKER_BY_MEMORY) {
        count(&w->ways->by_memory);
    } else if (source == BREAKER_BY_DAEMON) {
        count(&w->ways->asked);
    }
    return source == BREAKER_BY_MEMORY || source == BREAKER_BY_DAEMON;
}

static enum scenario_carried
acquire(struct scenario_worker *w, const struct bk_request *r,
        struct bk_text *answer)
{
    struct breaker_service *service = service_of(w, r);
    struct breaker_token *token = find_token(w, r->id);
    struct breaker_ask ask = BREAKER_ASK_INIT;
    struct breaker_permit permit;
    uint64_t attempt = token != NULL ? token->attempt : 1;
    if (service == NULL || r->attempt != attempt ||
        (r->id != 0 && token == NULL)) {
        return SCENARIO_NO_CALL;
    }
    ask.token = token;
    ask.ttl_ms = r->duration_ms;
    if (token == NULL && ask.ttl_ms == 0) {
        breaker_acquire(service, &permit);
    } else {
        breaker_acquire_with(service, &ask, &permit);
    }
    if (!is_daemons(w, permit.source)) {
        return SCENARIO_NO_CALL;
    }
    if (permit.verdict == BREAKER_ALLOWED) {
        bk_write_allow(answer, breaker_service_name(permit.service), permit.id,
                       permit.generation, (enum bk_state)permit.state);
    } else {
        bk_write_deny(answer, breaker_service_name(permit.service),
                      (enum bk_deny)permit.reason, permit.retry_after_ms);
    }
    hold(w)->permit = permit;
    return SCENARIO_CARRIED;
}

static enum scenario_carried
retry(struct scenario_worker *w, const struct bk_request *r,
      struct bk_text *answer)
{
    struct breaker_service *service = service_of(w, r);
    struct breaker_token token;
    if (service == NULL || r->attempt == 0 || r->attempt >= UINT32_MAX) {
        return SCENARIO_NO_CALL;
    }
    breaker_retry(service, (uint32_t)r->attempt,
                  (enum breaker_outcome)r->outcome, r->duration_ms, &token);
    if (!is_daemons(w, token.source)) {
        return SCENARIO_NO_CALL;
    }
    if (token.verdict == BREAKER_ALLOWED) {
        struct held *held = hold(w);
        held->is_token = true;
        held->token = token;
        bk_write_grant(answer, breaker_service_name(service), token.id,
                       token.delay_ms);
    } else {
        bk_write_deny(answer, breaker_service_name(service),
                      (enum bk_deny)token.reason, token.retry_after_ms);
    }
    return SCENARIO_CARRIED;
}

/* ---- looking ---- */

static enum scenario_carried
look(struct scenario_worker *w, const struct bk_request *r,
     struct bk_text *answer)
{
    struct breaker_service *service = r->is_all ? NULL : service_of(w, r);
    int len;
    if (service == NULL) {
        return SCENARIO_NO_CALL;
    }
    len = breaker_status(service, w->document, DOCUMENT_SIZE);
    if (len < 0 || (size_t)len >= DOCUMENT_SIZE ||
        strstr(w->document, "\"running\":false") != NULL) {
        return SCENARIO_NO_CALL; /* the line says why */
    }
    bk_text_put(answer, "OK ");
    bk_text_put(answer, w->document);
    return SCENARIO_CARRIED;
}

/* How many reports of it came too late. None for a service that nobody knows. */
static int64_t
count_stale(struct scenario_worker *w, struct breaker_service *service)
{
    json_t *document;
    const json_t *row;
    int64_t stale;
    if (breaker_status(service, w->document, DOCUMENT_SIZE) < 0) {
        return 0;
    }
    document = json_loads(w->document, 0, NULL);
    row = json_array_get(json_object_get(document, "services"), 0);
    stale = json_integer_value(
        json_object_get(json_object_get(row, "counters"), "stale"));
    json_decref(document);
    return stale;
}

/* ---- outcomes ---- */

static bool
write_answer(int answer, struct bk_text *out)
{
    switch (answer) {
    case BREAKER_APPLIED:
        bk_write_applied(out, BK_APPLIED);
        return true;
    case BREAKER_STALE:
        bk_write_applied(out, BK_STALE);
        return true;
    case BREAKER_UNKNOWN:
        bk_write_applied(out, BK_UNKNOWN);
        return true;
    default:
        return false;
    }
}

static enum scenario_carried
fail(struct bk_text *answer, const char *what)
{
    bk_text_put(answer, "the library ");
    bk_text_put(answer, what);
    bk_text_put(answer, ": ");
    bk_text_put(answer, breaker_error_text());
    return SCENARIO_ASTRAY;
}

static int
tell(const struct bk_request *r, struct breaker_service *service,
     struct breaker_permit *permit, uint32_t flags)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    enum breaker_outcome outcome = (enum breaker_outcome)r->outcome;
    if (r->has_latency) {
        details.latency_us = (int64_t)r->latency_us;
    }
    details.retry_after_ms = r->duration_ms;
    details.will_retry = r->will_retry;
    details.flags = flags;
    if (permit == NULL) {
        return breaker_report_service(service, outcome, &details);
    }
    if (flags == 0 && !r->will_retry && r->duration_ms == 0) {
        return breaker_report(permit, outcome, details.latency_us);
    }
    return breaker_report_with(permit, outcome, &details);
}

/* What was told has no answer. What the same process asks afterwards comes behind
 * it, so the status says whether it was too late. */
static enum scenario_carried
report(struct scenario_worker *w, const struct bk_request *r, bool is_repeated,
       struct bk_text *answer)
{
    struct breaker_permit *permit = find_reported(w, r);
    struct breaker_service *service = service_of(w, r);
    bool is_bare = r->id == 0 && r->is_current && r->attempt <= 1;
    bool is_confirmed = ++w->outcomes % CONFIRM_EVERY == 0;
    int64_t stale;
    int told;
    if (service == NULL || (permit == NULL && !is_bare)) {
        return SCENARIO_NO_CALL;
    }
    if (is_confirmed) {
        count(&w->ways->asked);
        told = tell(r, service, permit, BREAKER_CONFIRM);
        return write_answer(told, answer) ? SCENARIO_CARRIED
                                          : fail(answer, "confirmed nothing");
    }
    stale = is_repeated ? 0 : count_stale(w, service);
    count(&w->ways->told);
    told = tell(r, service, permit, 0);
    if (told != BREAKER_DONE) {
        return fail(answer, "took a report otherwise than it should");
    }
    bk_write_applied(answer, !is_repeated && count_stale(w, service) > stale
                                 ? BK_STALE
                                 : BK_APPLIED);
    return SCENARIO_CARRIED;
}

/* Is the permit or token out? The daemon's table of them is in shared memory for the
 * next daemon to find. */
static bool
is_out(const struct scenario_worker *w, uint64_t id)
{
    struct scenario_segment segment;
    bool is_found = false;
    if (!scenario_segment_open(&segment, w->dir)) {
        return false;
    }
    for (uint32_t i = 0; !is_found && i < bk_segment_lease_end(&segment.map);
         i++) {
        struct bk_lease lease;
        is_found = bk_segment_read_lease(&segment.map, i, &lease) &&
                   lease.kind != BK_LEASE_FREE && lease.id == id;
    }
    scenario_segment_close(&segment);
    return is_found;
}

/* It was out and is so no more, or it came too late. */
static enum scenario_carried
release(struct scenario_worker *w, const struct bk_request *r,
        struct bk_text *answer)
{
    struct breaker_permit *permit = find_permit(w, r->id);
    struct breaker_token *token = find_token(w, r->id);
    bool was_out = is_out(w, r->id);
    int told;
    if (permit == NULL && token == NULL) {
        return SCENARIO_NO_CALL;
    }
    count(&w->ways->told);
    told =
        permit != NULL ? breaker_release(permit) : breaker_token_release(token);
    if (told != BREAKER_DONE || breaker_ping(w->breaker, NULL) != 0) {
        return fail(answer, "takes nothing back");
    }
    if (is_out(w, r->id)) {
        bk_text_put(answer, "what the library gave back is still out");
        return SCENARIO_ASTRAY;
    }
    bk_write_applied(answer, was_out ? BK_APPLIED : BK_STALE);
    return SCENARIO_CARRIED;
}

static enum scenario_carried
renew(struct scenario_worker *w, const struct bk_request *r,
      struct bk_text *answer)
{
    struct breaker_permit *permit = find_permit(w, r->id);
    if (permit == NULL || r->duration_ms == 0) {
        return SCENARIO_NO_CALL;
    }
    count(&w->ways->asked);
    return write_answer(breaker_renew(permit, r->duration_ms), answer)
               ? SCENARIO_CARRIED
               : fail(answer, "does not renew");
}

enum scenario_carried
scenario_worker_carry(struct scenario_worker *w, const char *line,
                      bool is_repeated, struct bk_text *answer)
{
    struct bk_request r;
    const char *why;
    if (bk_request_parse(line, strlen(line), &r, &why) != BK_OK) {
        return SCENARIO_NO_CALL;
    }
    switch ((int)r.command) {
    case BK_CMD_ACQUIRE:
        return acquire(w, &r, answer);
    case BK_CMD_RETRY:
        return retry(w, &r, answer);
    case BK_CMD_REPORT:
        return report(w, &r, is_repeated, answer);
    case BK_CMD_RELEASE:
        return release(w, &r, answer);
    case BK_CMD_RENEW:
        return renew(w, &r, answer);
    case BK_CMD_STATUS:
        return look(w, &r, answer);
    default:
        return SCENARIO_NO_CALL;
    }
}
