/* SPDX-License-Identifier: Apache-2.0
 *
 * One line in, one answer out: the commands that a scenario can send. */
#include "tools/scenario_serve.h"
#include "core/status.h"
#include <string.h>

/* The actor of the bare stage's operator, as a kernel would name one. */
#define OPERATOR "0:0:1"

/* A line being answered. */
struct turn {
    struct scenario_fleet *f;
    int64_t now_ns;
    const struct scenario_peer *peer;
    struct bk_request request;
    struct bk_text *out;
};

static int64_t
ns_of(uint64_t value, int64_t unit_ns)
{
    return value > (uint64_t)(BK_NEVER / unit_ns) ? BK_NEVER
                                                  : (int64_t)value * unit_ns;
}

static void
refuse(struct turn *t, enum bk_error error, const char *words)
{
    bk_write_error(t->out, error, words);
}

/* The error of the fleet in words; true when there was none. */
static bool
went_well(struct turn *t, enum bk_error error)
{
    if (error == BK_OK) {
        return true;
    }
    refuse(t, error,
           error == BK_ERR_UNKNOWN_SERVICE ? "no such service"
                                           : "the command cannot be done");
    return false;
}

static void
serve_acquire(struct turn *t)
{
    const struct bk_request *r = &t->request;
    struct bk_acquire ask = {.name = r->service.at,
                             .name_len = r->service.len,
                             .attempt = r->attempt,
                             .token = r->id,
                             .ttl_ns = ns_of(r->duration_ms, BK_NS_PER_MS),
                             .caller = t->peer->caller};
    struct bk_acquired a;
    if (!went_well(t, bk_fleet_acquire(t->f->fleet, t->now_ns, &ask, &a))) {
        return;
    }
    if (a.is_allowed) {
        bk_write_allow(t->out, a.name, a.permit, a.generation, a.state);
    } else {
        bk_write_deny(t->out, a.name, a.deny, a.retry_after_ms);
    }
}

static void
serve_report(struct turn *t)
{
    const struct bk_request *r = &t->request;
    struct bk_report report = {
        .name = r->service.at,
        .name_len = r->service.len,
        .permit = r->id,
        .is_current = r->is_current,
        .generation = r->generation,
        .outcome = (enum bk_outcome)r->outcome,
        .latency_ns = r->has_latency ? ns_of(r->latency_us, BK_NS_PER_US) : -1,
        .attempt = r->attempt,
        .will_retry = r->will_retry,
        .retry_after_ns = ns_of(r->duration_ms, BK_NS_PER_MS),
        .text = r->text.at,
        .text_len = r->text.len,
        .caller = t->peer->caller};
    enum bk_applied applied = BK_UNKNOWN;
    if (went_well(t,
                  bk_fleet_report(t->f->fleet, t->now_ns, &report, &applied))) {
        bk_write_applied(t->out, applied);
    }
}

static void
serve_retry(struct turn *t)
{
    const struct bk_request *r = &t->request;
    struct bk_retry ask = {.name = r->service.at,
                           .name_len = r->service.len,
                           .failed_attempt = r->attempt,
                           .outcome = (enum bk_outcome)r->outcome,
                           .retry_after_ns =
                               ns_of(r->duration_ms, BK_NS_PER_MS),
                           .caller = t->peer->caller};
    struct bk_granted a;
    if (!went_well(t, bk_fleet_retry(t->f->fleet, t->now_ns, &ask, &a))) {
        return;
    }
    const char *name = bk_fleet_service(t->f->fleet, a.service)->name;
    if (a.is_granted) {
        bk_write_grant(t->out, name, a.token, bk_ms_up(a.delay_ns));
    } else {
        bk_write_deny(t->out, name, a.deny, a.retry_after_ms);
    }
}

static void
serve_status(struct turn *t)
{
    const struct bk_request *r = &t->request;
    const struct bk_fleet *fleet = t->f->fleet;
    uint32_t slot = bk_fleet_find(fleet, r->service.at, r->service.len);
    if (slot == BK_NO_SLOT) {
        refuse(t, BK_ERR_UNKNOWN_SERVICE, "no such service");
        return;
    }
    const struct bk_service *s = bk_fleet_service(fleet, slot);
    struct bk_status_daemon daemon = {.is_running = true,
                                      .version = "core",
                                      .uptime_ns = t->now_ns,
                                      .services = bk_fleet_count(fleet)};
    struct bk_status_service row = {.name = s->name,
                                    .breaker = &s->breaker,
                                    .policy = bk_fleet_policy(fleet, s->policy),
                                    .evidence = s->evidence,
                                    .now_ns = t->now_ns};
    struct bk_json j;
    bk_text_put(t->out, "OK ");
    bk_json_init(&j, t->out);
    bk_status_begin(&j, &daemon);
    bk_status_row(&j, &row);
    bk_status_end(&j);
}

/* What an operator is told: the service as it is now. */
static void
tell_order(struct turn *t, uint32_t slot, bool was_override)
{
    const struct bk_service *s = bk_fleet_service(t->f->fleet, slot);
    const struct bk_breaker *b = &s->breaker;
    struct bk_json j;
    bk_text_put(t->out, "OK ");
    bk_json_init(&j, t->out);
    bk_json_open(&j, NULL, '{');
    bk_json_string(&j, "service", s->name);
    bk_json_string(&j, "state", bk_state_name((enum bk_state)b->state));
    bk_json_string(&j, "mode", bk_mode_name((enum bk_mode)b->mode));
    bk_json_u64(&j, "generation", b->generation);
    bk_json_bool(&j, "override_removed", was_override);
    if (b->override.is_set && b->override.expires_ns != BK_NEVER) {
        bk_json_u64(&j, "expires_ms",
                    bk_ms_up(b->override.expires_ns - t->now_ns));
    } else {
        bk_json_null(&j, "expires_ms");
    }
    bk_json_close(&j, '}');
}

/* RESET * and AUTO *: every service in turn; overrides that stay are named. */
static void
serve_all(struct turn *t)
{
    struct bk_fleet *fleet = t->f->fleet;
    uint64_t done = 0;
    struct bk_json j;
    bk_text_put(t->out, "OK ");
    bk_json_init(&j, t->out);
    bk_json_open(&j, NULL, '{');
    bk_json_open(&j, "overrides", '[');
    for (uint32_t i = 0; i < bk_fleet_limits(fleet)->services; i++) {
        const struct bk_service *s = bk_fleet_service(fleet, i);
        bool was_override = false;
        if (s == NULL) {
            continue;
        }
        if (t->request.command == BK_CMD_RESET) {
            bk_fleet_reset(fleet, t->now_ns, s->name, strlen(s->name), true,
                           &was_override);
        } else {
            struct bk_order order = {.name = s->name,
                                     .name_len = strlen(s->name),
                                     .mode = BK_AUTO,
                                     .duration_ns = BK_NEVER,
                                     .actor = OPERATOR};
            bk_fleet_order(fleet, t->now_ns, &order, &i, &was_override);
        }
        done++;
        if (was_override) {
            bk_json_string(&j, NULL, s->name);
        }
    }
    bk_json_close(&j, ']');
    bk_json_u64(&j, "reset", done);
    bk_json_close(&j, '}');
}

static void
serve_reset(struct turn *t)
{
    const struct bk_request *r = &t->request;
    bool was_override = false;
    if (r->is_all) {
        serve_all(t);
    } else if (went_well(t, bk_fleet_reset(t->f->fleet, t->now_ns,
                                           r->service.at, r->service.len, false,
                                           &was_override))) {
        tell_order(t, bk_fleet_find(t->f->fleet, r->service.at, r->service.len),
                   was_override);
    }
}

static void
serve_order(struct turn *t, enum bk_mode mode)
{
    const struct bk_request *r = &t->request;
    struct bk_order order = {
        .name = r->service.at,
        .name_len = r->service.len,
        .mode = mode,
        .duration_ns =
            r->has_duration ? ns_of(r->duration_ms, BK_NS_PER_MS) : BK_NEVER,
        .reason = r->text.at,
        .reason_len = r->text.len,
        .actor = OPERATOR};
    uint32_t slot = BK_NO_SLOT;
    bool was_override = false;
    if (r->is_all) {
        serve_all(t);
    } else if (went_well(t, bk_fleet_order(t->f->fleet, t->now_ns, &order,
                                           &slot, &was_override))) {
        tell_order(t, slot, was_override);
    }
}

/* SET makes its service, UNSET does not; then the service takes its values
 * anew. */
static void
serve_setting(struct turn *t, bool is_set)
{
    const struct bk_request *r = &t->request;
    struct bk_fleet *fleet = t->f->fleet;
    char name[BK_NAME_SIZE];
    char words[300];
    struct bk_text why;
    uint32_t slot = bk_fleet_find(fleet, r->service.at, r->service.len);
    bk_copy_text(name, sizeof(name), r->service.at, r->service.len);
    bk_text_init(&why, words, sizeof(words));
    if (!is_set && slot == BK_NO_SLOT) {
        refuse(t, BK_ERR_UNKNOWN_SERVICE, "no such service");
        return;
    }
    bool is_ok =
        is_set
            ? scenario_values_set(&t->f->values, name, &r->key, &r->value, &why)
            : scenario_values_unset(&t->f->values, name, &r->key, &why);
    if (!is_ok) {
        refuse(t, BK_ERR_BAD_REQUEST, words);
        return;
    }
    enum bk_error error = BK_OK;
    if (slot == BK_NO_SLOT) {
        error = bk_fleet_make(fleet, t->now_ns, name, strlen(name), &slot);
    }
    if (error == BK_OK) {
        error = bk_fleet_reconfigure(fleet, t->now_ns, slot);
    }
    if (went_well(t, error)) {
        tell_order(t, slot, false);
    }
}

static void
serve_forget(struct turn *t)
{
    const struct bk_request *r = &t->request;
    char name[BK_NAME_SIZE];
    bk_copy_text(name, sizeof(name), r->service.at, r->service.len);
    if (went_well(
            t, bk_fleet_forget(t->f->fleet, r->service.at, r->service.len))) {
        scenario_values_forget(&t->f->values, name);
        bk_text_put(t->out, "OK {}");
    }
}

static void
serve_renew(struct turn *t)
{
    int64_t ttl_ns = ns_of(t->request.duration_ms, BK_NS_PER_MS);
    bk_write_applied(
        t->out, bk_fleet_renew(t->f->fleet, t->now_ns, t->request.id, ttl_ns));
}

static void
dispatch(struct turn *t)
{
    /* The commands a scenario has no verb for are not served here. */
    switch ((int)t->request.command) {
    case BK_CMD_ACQUIRE:
        serve_acquire(t);
        break;
    case BK_CMD_REPORT:
        serve_report(t);
        break;
    case BK_CMD_RETRY:
        serve_retry(t);
        break;
    case BK_CMD_RELEASE:
        bk_write_applied(
            t->out, bk_fleet_release(t->f->fleet, t->now_ns, t->request.id));
        break;
    case BK_CMD_RENEW:
        serve_renew(t);
        break;
    case BK_CMD_STATUS:
        serve_status(t);
        break;
    case BK_CMD_RESET:
        serve_reset(t);
        break;
    case BK_CMD_TRIP:
        serve_order(t, BK_FORCED_OPEN);
        break;
    case BK_CMD_BYPASS:
        serve_order(t, BK_BYPASS);
        break;
    case BK_CMD_OBSERVE:
        serve_order(t, BK_OBSERVE);
        break;
    case BK_CMD_AUTO:
        serve_order(t, BK_AUTO);
        break;
    case BK_CMD_SET:
        serve_setting(t, true);
        break;
    case BK_CMD_UNSET:
        serve_setting(t, false);
        break;
    case BK_CMD_FORGET:
        serve_forget(t);
        break;
    default:
        refuse(t, BK_ERR_UNKNOWN_COMMAND, "not served without a daemon");
        break;
    }
}

void
scenario_serve(struct scenario_fleet *f, int64_t now_ns,
               const struct scenario_peer *peer, const char *line, size_t len,
               struct bk_text *out)
{
    struct turn t = {.f = f, .now_ns = now_ns, .peer = peer, .out = out};
    const char *why = "";
    enum bk_error error = bk_request_parse(line, len, &t.request, &why);
    if (error != BK_OK) {
        refuse(&t, error, why);
    } else if (bk_command_rows[t.request.command].is_operators &&
               !peer->is_operator) {
        refuse(&t, BK_ERR_FORBIDDEN, "only operators may do this");
    } else {
        dispatch(&t);
    }
}
