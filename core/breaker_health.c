/* SPDX-License-Identifier: Apache-2.0
 *
 * Health probes: what an answer at probe_url, or the lack of one, does to a
 * breaker. A health probe is no call: it enters no window, takes no permit and
 * counts as no outcome. Going bad it may open, going well it may only let calls
 * try; closing takes the success of a call. */
#include "core/breaker_private.h"

static void
grow(uint32_t *count)
{
    if (*count < UINT32_MAX) {
        (*count)++;
    }
}

/* One failed probe is no verdict on its own, and neither is one now and then:
 * a good one takes back what failed ones added to the row, and leaves what calls
 * added. Else a probe that fails once in ten would open an idle service. */
static void
take_good(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    if (b->state == BK_CLOSED) {
        b->consecutive_failures -= b->health_failures < b->consecutive_failures
                                       ? b->health_failures
                                       : b->consecutive_failures;
    }
    b->health_failures = 0;
    if (b->state == BK_OPEN) {
        b->open_until_ns = 0;
        bk_breaker_enter(s, BK_HALF_OPEN, (enum bk_mode)b->mode,
                         BK_CAUSE_PROBE_SUCCEEDED);
    }
}

/* While open the row only grows, so that a circuit whose time is over opens again
 * at the next failed probe when nothing good came in between. */
static void
take_bad(struct bk_step *s)
{
    struct bk_breaker *b = s->b;
    uint32_t threshold = s->p->failure_threshold;
    grow(&b->health_failures);
    if (b->state == BK_OPEN) {
        return;
    }
    s->fx->is_evidence = true;
    uint32_t row = b->health_failures;
    if (b->state == BK_CLOSED) {
        grow(&b->consecutive_failures);
        row = b->consecutive_failures;
    }
    if (threshold > 0 && row >= threshold) {
        bk_breaker_open(s, BK_CAUSE_CONSECUTIVE_FAILURES);
    } else if (b->state == BK_CLOSED) {
        bk_ramp_failure(&b->ramp, s->p, s->ev->now_ns);
    }
}

void
bk_breaker_health(struct bk_step *s)
{
    if (s->b->mode == BK_BYPASS || s->b->mode == BK_FORCED_OPEN) {
        return;
    }
    if (s->ev->u.health.is_good) {
        take_good(s);
    } else {
        take_bad(s);
    }
}
