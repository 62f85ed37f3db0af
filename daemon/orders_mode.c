/* SPDX-License-Identifier: Apache-2.0
 *
 * RESET, TRIP, BYPASS, OBSERVE and AUTO: what moves a breaker by hand. */
#include "core/json.h"
#include "daemon/orders.h"
#include <stdlib.h>
#include <string.h>

/* Settles what a command did: its transitions under the operator's name, or, if
 * it moved nothing, a line of history all the same. */
static void
settle(struct answer *a, const char *service, const struct bk_word *text,
       const char *action)
{
    struct registry *r = a->commands->registry;
    char line[BK_REASON_SIZE];
    struct bk_text t;
    if (registry_note(r, a->now_ns, a->peer->actor, text) == 0) {
        bk_text_init(&t, line, sizeof(line));
        bk_text_put(&t, action);
        if (text->at != NULL) {
            bk_text_put(&t, ": ");
            bk_text_put_n(&t, text->at, text->len);
        }
        registry_record(r, a->now_ns, service, a->peer->actor, line, t.len);
    }
    a->needs_disk = true;
}

static void
say_state(struct answer *a, uint32_t slot, bool was_override)
{
    const struct bk_service *s =
        bk_fleet_service(a->commands->registry->fleet, slot);
    const struct bk_breaker *b = &s->breaker;
    struct bk_json j = orders_begin(a);
    bk_json_string(&j, "service", s->name);
    bk_json_string(&j, "state", bk_state_name((enum bk_state)b->state));
    bk_json_string(&j, "mode", bk_mode_name((enum bk_mode)b->mode));
    bk_json_u64(&j, "generation", b->generation);
    bk_json_bool(&j, "override_removed", was_override);
    if (b->override.is_set && b->override.expires_ns != BK_NEVER) {
        bk_json_u64(&j, "expires_ms",
                    bk_ms_up(b->override.expires_ns - a->now_ns));
    } else {
        bk_json_null(&j, "expires_ms");
    }
    bk_json_close(&j, '}');
}

/* An answer in memory of its own: longer than what is written in place. */
static void
answer_long(struct answer *a, char *own, size_t len)
{
    struct reply *reply = a->reply;
    size_t index = reply_add_due(reply);
    a->is_later = true;
    if (reply->is_short) {
        free(own);
        return;
    }
    reply_fill(reply, index, own, len);
    reply->answers[index].needs_disk = true;
    reply->job = a->commands->registry->job;
}

/* Resets every service; the names of those whose override stays. */
static uint64_t
reset_each(struct answer *a, const struct bk_request *q, struct bk_json *j)
{
    struct registry *r = a->commands->registry;
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    uint64_t count = 0;
    for (uint32_t slot = 0; slot < services; slot++) {
        const struct bk_service *s = bk_fleet_service(r->fleet, slot);
        bool was_override = false;
        if (s == NULL) {
            continue;
        }
        bk_fleet_reset(r->fleet, a->now_ns, s->name, strlen(s->name), true,
                       &was_override);
        if (was_override) {
            bk_json_string(j, NULL, s->name);
        }
        registry_note(r, a->now_ns, a->peer->actor, &q->text);
        count++;
    }
    return count;
}

static void
reset_all(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    /* Each name with quotes and comma, and what stands around them. */
    size_t room = 128 + bk_fleet_count(r->fleet) * (size_t)(BK_NAME_SIZE + 2);
    char *own = malloc(room);
    struct bk_text text;
    struct bk_json j;
    if (own == NULL) {
        answer_error(a, BK_ERR_UNAVAILABLE);
        return;
    }
    bk_text_init(&text, own, room);
    bk_text_put(&text, "OK ");
    bk_json_init(&j, &text);
    bk_json_open(&j, NULL, '{');
    bk_json_open(&j, "overrides", '[');
    uint64_t count = reset_each(a, q, &j);
    bk_json_close(&j, ']');
    bk_json_u64(&j, "reset", count);
    bk_json_close(&j, '}');
    registry_record(r, a->now_ns, "*", a->peer->actor, "reset all", 9);
    answer_long(a, own, text.len);
}

void
orders_reset(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    bool was_override;
    if (q->is_all) {
        reset_all(a, q);
        return;
    }
    enum bk_error error = bk_fleet_reset(r->fleet, a->now_ns, q->service.at,
                                         q->service.len, false, &was_override);
    if (error != BK_OK) {
        answer_error(a, error);
        return;
    }
    uint32_t slot = bk_fleet_find(r->fleet, q->service.at, q->service.len);
    settle(a, bk_fleet_service(r->fleet, slot)->name, &q->text, "reset");
    say_state(a, slot, was_override);
}

static void
give_order(struct answer *a, const struct bk_request *q, enum bk_mode mode,
           const char *action)
{
    struct registry *r = a->commands->registry;
    struct bk_order order = {
        .name = q->service.at,
        .name_len = q->service.len,
        .mode = mode,
        .duration_ns = q->has_duration ? bk_ns_of_ms(q->duration_ms) : BK_NEVER,
        .reason = q->text.at,
        .reason_len = q->text.len,
        .actor = a->peer->actor};
    uint32_t slot;
    bool was_override;
    enum bk_error error =
        bk_fleet_order(r->fleet, a->now_ns, &order, &slot, &was_override);
    if (error != BK_OK) {
        answer_error(a, error);
        return;
    }
    settle(a, bk_fleet_service(r->fleet, slot)->name, &q->text, action);
    say_state(a, slot, was_override);
}

void
orders_mode(struct answer *a, const struct bk_request *q)
{
    if (q->command == BK_CMD_TRIP) {
        give_order(a, q, BK_FORCED_OPEN, "trip");
    } else if (q->command == BK_CMD_BYPASS) {
        give_order(a, q, BK_BYPASS, "bypass");
    } else {
        give_order(a, q, BK_OBSERVE, "observe");
    }
}

void
orders_auto(struct answer *a, const struct bk_request *q)
{
    struct registry *r = a->commands->registry;
    uint32_t services = bk_fleet_limits(r->fleet)->services;
    uint64_t count = 0;
    if (!q->is_all) {
        give_order(a, q, BK_AUTO, "auto");
        return;
    }
    for (uint32_t slot = 0; slot < services; slot++) {
        const struct bk_service *s = bk_fleet_service(r->fleet, slot);
        uint32_t same;
        bool was_override;
        if (s == NULL || !s->breaker.override.is_set) {
            continue;
        }
        struct bk_order order = {.name = s->name,
                                 .name_len = strlen(s->name),
                                 .mode = BK_AUTO,
                                 .actor = a->peer->actor};
        bk_fleet_order(r->fleet, a->now_ns, &order, &same, &was_override);
        registry_note(r, a->now_ns, a->peer->actor, &q->text);
        count++;
    }
    struct bk_json j = orders_begin(a);
    bk_json_u64(&j, "overrides_removed", count);
    bk_json_close(&j, '}');
    registry_record(r, a->now_ns, "*", a->peer->actor, "auto all", 8);
    a->needs_disk = true;
}
