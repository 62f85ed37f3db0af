/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands of operators and of the configuration. */
#include "core/fleet_private.h"
#include <string.h>

enum bk_error
bk_fleet_order(struct bk_fleet *f, int64_t now_ns, const struct bk_order *order,
               uint32_t *service, bool *was_override)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    *was_override = false;
    if (order->mode == BK_AUTO &&
        bk_fleet_find(f, order->name, order->name_len) == BK_NO_SLOT) {
        return bk_name_is_valid(order->name, order->name_len)
                   ? BK_ERR_UNKNOWN_SERVICE
                   : BK_ERR_BAD_SERVICE;
    }
    enum bk_error error =
        bk_fleet_reach(f, now_ns, order->name, order->name_len, service);
    if (error != BK_OK) {
        return error;
    }
    struct bk_event event = {.kind = BK_EV_ORDER, .now_ns = now_ns};
    event.u.order.mode = order->mode;
    event.u.order.duration_ns = order->duration_ns;
    event.u.order.reason = order->reason != NULL ? order->reason : "";
    event.u.order.reason_len = order->reason != NULL ? order->reason_len : 0;
    event.u.order.actor = order->actor;
    *was_override = bk_fleet_step(f, *service, &event).was_override;
    bk_fleet_settle(f, *service);
    return BK_OK;
}

enum bk_error
bk_fleet_reset(struct bk_fleet *f, int64_t now_ns, const char *name, size_t len,
               bool keeps_override, bool *was_override)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t slot = bk_fleet_find(f, name, len);
    if (slot == BK_NO_SLOT) {
        return bk_name_is_valid(name, len) ? BK_ERR_UNKNOWN_SERVICE
                                           : BK_ERR_BAD_SERVICE;
    }
    bk_fleet_catch_up(f, slot, now_ns);
    struct bk_event event = {.kind = BK_EV_RESET, .now_ns = now_ns};
    event.u.reset.keeps_override = keeps_override;
    *was_override = bk_fleet_step(f, slot, &event).was_override;
    bk_fleet_settle(f, slot);
    return BK_OK;
}

enum bk_error
bk_fleet_reconfigure(struct bk_fleet *f, int64_t now_ns, uint32_t slot)
{
    struct bk_service *s = &f->services[slot];
    struct bk_policy policy;
    now_ns = bk_fleet_clamp(f, now_ns);
    bk_fleet_catch_up(f, slot, now_ns);
    bool is_configured = f->source(f->context, s->name, &policy);
    if (is_configured != s->is_configured) {
        s->is_configured = is_configured;
        bk_fleet_mark_dirty(f, slot);
    }
    if (memcmp(&policy, bk_fleet_policy_of(f, slot), sizeof(policy)) == 0) {
        return BK_OK;
    }
    struct bk_policy old = *bk_fleet_policy_of(f, slot);
    uint32_t before = s->policy;
    uint32_t taken = bk_fleet_take_policy(f, &policy);
    if (taken == BK_NO_SLOT) {
        return BK_ERR_TABLE_FULL;
    }
    s->policy = taken;
    bk_fleet_drop_policy(f, before);
    struct bk_event event = {.kind = BK_EV_POLICY, .now_ns = now_ns};
    event.u.old_policy = &old;
    bk_fleet_step(f, slot, &event);
    bk_fleet_settle(f, slot);
    return BK_OK;
}

enum bk_error
bk_fleet_forget(struct bk_fleet *f, const char *name, size_t len)
{
    uint32_t slot = bk_fleet_find(f, name, len);
    if (slot == BK_NO_SLOT) {
        return bk_name_is_valid(name, len) ? BK_ERR_UNKNOWN_SERVICE
                                           : BK_ERR_BAD_SERVICE;
    }
    bk_fleet_remember(f, f->services[slot].name,
                      f->services[slot].breaker.generation);
    bk_fleet_remove(f, slot);
    return BK_OK;
}

bool
bk_fleet_set_routes(struct bk_fleet *f, const struct bk_route *routes,
                    uint32_t count)
{
    if (count > f->limits.routes) {
        return false;
    }
    if (count > 0) {
        memcpy(f->routes, routes, sizeof(*routes) * count);
    }
    f->route_count = count;
    return true;
}
