/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service's verdict word says. */
#include "core/fleet_private.h"
#include "core/verdict.h"
#include <string.h>

/* Whether what a service requires is open, and for how long. */
static bool
is_required_open(const struct bk_fleet *f, uint32_t slot, int64_t *until_ns)
{
    const char *name = bk_fleet_policy_of(f, slot)->requires_name;
    uint32_t other = bk_fleet_find(f, name, strlen(name));
    if (other == BK_NO_SLOT || f->services[other].breaker.state != BK_OPEN) {
        return false;
    }
    *until_ns = bk_breaker_shut_until(&f->services[other].breaker);
    return true;
}

static void
deny(struct bk_verdict *v, enum bk_deny reason, int64_t until_ns)
{
    v->kind = BK_NO;
    v->reason = reason;
    v->until_ms = bk_verdict_until(until_ns);
}

uint64_t
bk_fleet_verdict(const struct bk_fleet *f, uint32_t slot)
{
    const struct bk_service *s = &f->services[slot];
    if (s->name[0] == '\0') {
        return 0;
    }
    const struct bk_breaker *b = &s->breaker;
    const struct bk_policy *p = bk_fleet_policy_of(f, slot);
    struct bk_verdict v = {.kind = BK_ASK,
                           .incarnation = (uint8_t)s->incarnation,
                           .generation = (uint16_t)(b->generation & 0xfff)};
    int64_t until_ns = 0;
    bool is_held = bk_hold_left(&b->hold, f->now_ns) > 0;
    bool is_barred = is_required_open(f, slot, &until_ns);
    if (b->mode == BK_BYPASS) {
        v.kind = BK_GO;
    } else if (b->mode == BK_FORCED_OPEN) {
        deny(&v, BK_DENY_FORCED_OPEN, bk_breaker_shut_until(b));
    } else if (b->state == BK_CLOSED && !is_held && !is_barred) {
        v.kind = p->max_concurrent == 0 && b->ramp.step == 0 ? BK_GO : BK_ASK;
    } else if (b->mode == BK_OBSERVE) {
        v.kind = BK_ASK; /* the daemon counts what would have been denied */
    } else if (is_held) {
        deny(&v, BK_DENY_RATE_LIMITED, bk_breaker_shut_until(b));
    } else if (is_barred) {
        deny(&v, BK_DENY_REQUIRES, until_ns);
    } else if (b->state == BK_OPEN) {
        deny(&v, BK_DENY_OPEN, bk_breaker_shut_until(b));
    }
    return bk_verdict_pack(&v);
}
