/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of workers and the dispatch of all; operators' are in orders.c. */
#include "daemon/commands.h"
#include "core/status.h"
#include "daemon/gate.h"
#include "daemon/orders.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
fail(struct answer *a, enum bk_error code)
{
    static const char *const sentence[BK_ERROR_COUNT] = {
        [BK_ERR_BAD_SERVICE] = "not a service's name here (1 to 63 of A-Z a-z "
                               "0-9 . _ : / @ -, and no route's)",
        [BK_ERR_UNKNOWN_SERVICE] = "no such service",
        [BK_ERR_TABLE_FULL] = "no room: too many services, leases or different "
                              "configurations",
        [BK_ERR_UNAVAILABLE] = "not now",
        [BK_ERR_INTERNAL] = "a mistake of the daemon's"};
    bk_write_error(a->out, code,
                   sentence[code] != NULL ? sentence[code] : "refused");
}

void
answer_error(struct answer *a, enum bk_error code)
{
    fail(a, code);
}

static struct bk_caller
caller_of(const struct answer *a)
{
    return (struct bk_caller){.pid = a->peer->pid, .worker = a->peer->worker};
}

/* Whoever holds a lease is watched; one that is dead already gives it back. */
static void
watch_holder(const struct answer *a)
{
    struct registry *r = a->commands->registry;
    if (!watch_add(a->commands->watch, a->peer->pid)) {
        while (!bk_fleet_process_died(r->fleet, a->now_ns, a->peer->pid)) {
            registry_note(r, a->now_ns, NULL, NULL);
        }
    }
}

static void
run_hello(struct answer *a, const struct bk_request *q)
{
    const struct registry *r = a->commands->registry;
    const struct bk_limits *l = bk_fleet_limits(r->fleet);
    const struct rundir *dir = a->commands->dir;
    char path[PATH_MAX];
    struct bk_json j;
    if (q->key.at != NULL) {
        bk_copy_text(a->peer->worker, BK_WORKER_SIZE, q->key.at, q->key.len);
    }
    bk_text_put(a->out, "OK ");
    bk_json_init(&j, a->out);
    bk_json_open(&j, NULL, '{');
    bk_json_u64(&j, "protocol", BK_PROTOCOL);
    bk_json_string(&j, "version", BREAKERD_VERSION);
    bk_json_u64(&j, "epoch", r->epoch);
    bk_json_string(&j, "dir", dir->path);
    if (rundir_file(dir, "breakerd.shm", path)) {
        bk_json_string(&j, "segment", path);
    }
    if (rundir_file(dir, "events.sock", path)) {
        bk_json_string(&j, "events", path);
    }
    bk_json_open(&j, "limits", '{');
    bk_json_u64(&j, "line", BK_LINE_MAX);
    bk_json_u64(&j, "lines", BK_LINES_MAX);
    bk_json_u64(&j, "frame", BK_FRAME_MAX);
    bk_json_u64(&j, "services", l->services);
    bk_json_u64(&j, "leases", l->leases);
    bk_json_close(&j, '}');
    bk_json_close(&j, '}');
}

static void
run_ping(struct answer *a, const struct bk_request *q)
{
    (void)q;
    bk_write_pong(a->out, a->commands->registry->epoch);
}

static void
run_acquire(struct answer *a, const struct bk_request *q)
{
    struct bk_acquire ask = {.name = q->service.at,
                             .name_len = q->service.len,
                             .attempt = q->attempt,
                             .token = q->id,
                             .ttl_ns = bk_ns_of_ms(q->duration_ms),
                             .caller = caller_of(a)};
    struct bk_acquired got;
    enum bk_error error =
        bk_fleet_acquire(a->commands->registry->fleet, a->now_ns, &ask, &got);
    if (error != BK_OK) {
        fail(a, error);
    } else if (got.is_allowed) {
        bk_write_allow(a->out, got.name, got.permit, got.generation, got.state);
        if (got.would_deny != BK_DENY_NONE) {
            observe_see(&a->commands->observe, a->commands->registry->fleet,
                        a->now_ns, got.service, got.would_deny);
        }
        if (got.permit != 0) {
            a->commands->has_promised = true;
            watch_holder(a);
        }
    } else {
        bk_write_deny(a->out, got.name, got.deny, got.retry_after_ms);
    }
}

static void
run_report(struct answer *a, const struct bk_request *q)
{
    struct bk_report report = {
        .name = q->service.at,
        .name_len = q->service.len,
        .permit = q->id,
        .is_current = q->is_current,
        .generation = q->generation,
        .outcome = (enum bk_outcome)q->outcome,
        .latency_ns =
            q->has_latency ? (int64_t)q->latency_us * BK_NS_PER_US : -1,
        .attempt = q->attempt,
        .will_retry = q->will_retry,
        .retry_after_ns = bk_ns_of_ms(q->duration_ms),
        .text = q->text.at,
        .text_len = q->text.len,
        .caller = caller_of(a)};
    enum bk_applied applied;
    enum bk_error error = bk_fleet_report(a->commands->registry->fleet,
                                          a->now_ns, &report, &applied);
    if (error != BK_OK) {
        a->commands->reports_dropped++;
        fail(a, error);
    } else {
        bk_write_applied(a->out, applied);
    }
}

static void
run_tally(struct answer *a, const struct bk_request *q)
{
    int deny = bk_deny_parse(q->value.at, q->value.len);
    enum bk_error error = bk_fleet_tally(
        a->commands->registry->fleet, a->now_ns, q->service.at, q->service.len,
        q->is_allowed, q->count, deny > 0 ? (enum bk_deny)deny : BK_DENY_NONE);
    a->commands->reports_dropped += error != BK_OK;
}

static void
run_retry(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    struct bk_retry ask = {.name = q->service.at,
                           .name_len = q->service.len,
                           .failed_attempt = q->attempt,
                           .outcome = (enum bk_outcome)q->outcome,
                           .retry_after_ns = bk_ns_of_ms(q->duration_ms),
                           .caller = caller_of(a)};
    struct bk_granted got;
    enum bk_error error = bk_fleet_retry(r->fleet, a->now_ns, &ask, &got);
    if (error != BK_OK) {
        fail(a, error);
        return;
    }
    const char *name = bk_fleet_service(r->fleet, got.service)->name;
    if (got.is_granted) {
        bk_write_grant(a->out, name, got.token, bk_ms_up(got.delay_ns));
        watch_holder(a);
    } else {
        bk_write_deny(a->out, name, got.deny, got.retry_after_ms);
    }
}

static void
run_release(struct answer *a, const struct bk_request *q)
{
    bk_write_applied(a->out, bk_fleet_release(a->commands->registry->fleet,
                                              a->now_ns, q->id));
}

static void
run_renew(struct answer *a, const struct bk_request *q)
{
    bk_write_applied(a->out,
                     bk_fleet_renew(a->commands->registry->fleet, a->now_ns,
                                    q->id, bk_ns_of_ms(q->duration_ms)));
}

static void
begin_status(const struct registry *r, int64_t now_ns, struct bk_json *j)
{
    struct gate_stats gate;
    gate_stats(&gate);
    struct bk_status_daemon daemon = {.is_running = true,
                                      .pid = (uint64_t)getpid(),
                                      .version = BREAKERD_VERSION,
                                      .epoch = r->epoch,
                                      .uptime_ns = now_ns - r->started_ns,
                                      .services = bk_fleet_count(r->fleet),
                                      .workers = gate.workers};
    bk_status_begin(j, &daemon);
}

static void
put_row(const struct registry *r, int64_t now_ns, uint32_t slot,
        bool has_evidence, struct bk_json *j)
{
    const struct bk_service *s = bk_fleet_service(r->fleet, slot);
    struct bk_status_service row = {
        .name = s->name,
        .breaker = &s->breaker,
        .policy = bk_fleet_policy(r->fleet, s->policy),
        .evidence = has_evidence ? s->evidence : NULL,
        .now_ns = now_ns};
    bk_status_row(j, &row);
}

/* Room for a row without evidence: names, reasons and numbers at their longest. */
#define ROW_MAX 2048

/* All services: a piece a turn, so that decisions go on. */
static void
begin_slice(struct answer *a)
{
    struct commands *c = a->commands;
    uint32_t count = bk_fleet_count(c->registry->fleet);
    size_t room = 1024 + (size_t)count * ROW_MAX;
    char *at = c->slice_count < COMMANDS_SLICES ? malloc(room) : NULL;
    if (at == NULL) {
        bk_write_error(a->out, BK_ERR_UNAVAILABLE,
                       "too many big answers at once; ask again");
        return;
    }
    struct commands_slice *s = &c->slices[c->slice_count++];
    memset(s, 0, sizeof(*s));
    s->at = at;
    bk_text_init(&s->text, at, room);
    bk_text_put(&s->text, "OK ");
    bk_json_init(&s->json, &s->text);
    begin_status(c->registry, a->now_ns, &s->json);
    s->reply = a->reply;
    s->index = reply_add_due(a->reply);
    a->is_later = true;
}

static void
run_status(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    struct bk_json j;
    if (q->is_all) {
        if (a->peer->is_operator) {
            begin_slice(a);
        } else {
            bk_write_error(a->out, BK_ERR_FORBIDDEN,
                           "all services at once: at the operator endpoint");
        }
        return;
    }
    uint32_t slot = bk_fleet_find(r->fleet, q->service.at, q->service.len);
    if (slot == BK_NO_SLOT) {
        fail(a, BK_ERR_UNKNOWN_SERVICE);
        return;
    }
    bk_text_put(a->out, "OK ");
    bk_json_init(&j, a->out);
    begin_status(r, a->now_ns, &j);
    put_row(r, a->now_ns, slot, true, &j);
    bk_status_end(&j);
}

/* Services a piece holds. */
#define SLICE_SERVICES 64

/* The last one moves into its place; its writer must follow. */
static void
take_out(struct commands *c, unsigned at)
{
    c->slices[at] = c->slices[--c->slice_count];
    c->slices[at].json.text = &c->slices[at].text;
}

static void
end_slice(struct commands *c, unsigned at)
{
    struct commands_slice *s = &c->slices[at];
    bk_status_end(&s->json);
    if (s->text.is_cut) { /* services were made meanwhile: too many to fit */
        bk_text_init(&s->text, s->at, s->text.cap);
        bk_write_error(&s->text, BK_ERR_UNAVAILABLE,
                       "the services changed meanwhile; ask again");
    }
    reply_fill(s->reply, s->index, s->at, s->text.len);
    take_out(c, at);
}

bool
commands_slice(struct commands *c, int64_t now_ns)
{
    if (c->slice_count == 0) {
        return false;
    }
    struct commands_slice *s = &c->slices[0];
    const struct registry *r = c->registry;
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    unsigned rows = 0;
    while (s->slot < services && rows < SLICE_SERVICES) {
        if (bk_fleet_service(r->fleet, s->slot) != NULL) {
            put_row(r, now_ns, s->slot, false, &s->json);
            rows++;
        }
        s->slot++;
    }
    if (s->slot == services) {
        end_slice(c, 0);
    }
    return true;
}

void
commands_drop(struct commands *c, const struct reply *reply)
{
    for (unsigned i = 0; i < c->slice_count;) {
        if (c->slices[i].reply == reply) {
            free(c->slices[i].at);
            take_out(c, i);
        } else {
            i++;
        }
    }
}

typedef void run_function(struct answer *a, const struct bk_request *q);

static run_function *const run[BK_CMD_COUNT] = {
    [BK_CMD_HELLO] = run_hello,      [BK_CMD_PING] = run_ping,
    [BK_CMD_ACQUIRE] = run_acquire,  [BK_CMD_REPORT] = run_report,
    [BK_CMD_REPORTQ] = run_report,   [BK_CMD_TALLYQ] = run_tally,
    [BK_CMD_RETRY] = run_retry,      [BK_CMD_RELEASE] = run_release,
    [BK_CMD_RENEW] = run_renew,      [BK_CMD_STATUS] = run_status,
    [BK_CMD_CONFIG] = orders_config, [BK_CMD_RESET] = orders_reset,
    [BK_CMD_TRIP] = orders_mode,     [BK_CMD_BYPASS] = orders_mode,
    [BK_CMD_OBSERVE] = orders_mode,  [BK_CMD_AUTO] = orders_auto,
    [BK_CMD_SET] = orders_set,       [BK_CMD_UNSET] = orders_unset,
    [BK_CMD_RELOAD] = orders_reload, [BK_CMD_HISTORY] = orders_history,
    [BK_CMD_BACKUP] = orders_backup, [BK_CMD_FORGET] = orders_forget};

/* Longest answer that is written in place: a status with its evidence. */
#define ANSWER_MAX (32 * 1024)

static bool
tells(enum bk_command command)
{
    return command == BK_CMD_REPORT || command == BK_CMD_REPORTQ ||
           command == BK_CMD_TALLYQ;
}

/* Whoever has the answer relies on what was done. After PING: on all that was told
 * before. */
static bool
promises(enum bk_command command)
{
    return command == BK_CMD_PING || command == BK_CMD_REPORT ||
           command == BK_CMD_RETRY || command == BK_CMD_RELEASE ||
           command == BK_CMD_RENEW || bk_command_rows[command].is_operators;
}

static void
run_line(struct answer *a, const char *line, size_t len, bool *is_silent)
{
    struct bk_request q;
    const char *why = "";
    enum bk_error error = bk_request_parse(line, len, &q, &why);
    bool is_known = error != BK_ERR_UNKNOWN_COMMAND && q.command < BK_CMD_COUNT;
    *is_silent = is_known && bk_command_rows[q.command].is_silent;
    if (is_known && bk_command_rows[q.command].is_operators &&
        !a->peer->is_operator) {
        a->commands->refused++;
        bk_write_error(a->out, BK_ERR_FORBIDDEN,
                       "an operator's command: use operator.sock");
        return;
    }
    if (error != BK_OK) {
        a->commands->malformed++;
        a->commands->reports_dropped += is_known && tells(q.command);
        bk_write_error(a->out, error, why);
        return;
    }
    a->commands->has_promised =
        a->commands->has_promised || promises(q.command);
    run[q.command](a, &q);
}

/* The second word, if there is one, as most commands have it. */
static struct bk_word
second_word(const char *line, size_t len)
{
    const char *from = memchr(line, ' ', len);
    const char *to;
    if (from == NULL) {
        return (struct bk_word){NULL, 0};
    }
    from++;
    to = memchr(from, ' ', (size_t)(line + len - from));
    return (struct bk_word){from,
                            (size_t)((to != NULL ? to : line + len) - from)};
}

void
commands_foresee(const struct commands *c, const char *line, size_t len)
{
    struct bk_word service = second_word(line, len);
    bk_fleet_foresee(c->registry->fleet, service.at, service.len);
}

void
commands_run(struct commands *c, struct peer *peer, int64_t now_ns,
             const char *line, size_t len, struct reply *reply)
{
    static char buffer[ANSWER_MAX]; /* the loop is one thread */
    struct bk_text out;
    bool is_silent;
    bk_text_init(&out, buffer, sizeof(buffer));
    struct answer a = {.commands = c,
                       .peer = peer,
                       .now_ns = now_ns,
                       .out = &out,
                       .reply = reply};
    run_line(&a, line, len, &is_silent);
    registry_note(c->registry, now_ns, NULL, NULL);
    if (is_silent || a.is_later) {
        return;
    }
    if (out.is_cut) {
        bk_text_init(&out, buffer, sizeof(buffer));
        fail(&a, BK_ERR_INTERNAL);
    }
    reply_add(reply, buffer, out.len);
    if (a.needs_disk && !reply->is_short) {
        reply->answers[reply->count - 1].needs_disk = true;
        reply->job = c->registry->job;
    }
}
