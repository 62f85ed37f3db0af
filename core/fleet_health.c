/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of health probes, which come from the daemon and not from a worker. */
#include "core/bug.h"
#include "core/fleet_private.h"
#include <string.h>

/* Who is named as the witness of a failed health probe. */
#define WITNESS "breakerd"

static void
put_evidence(struct bk_service *s, const struct bk_health *h, int64_t now_ns)
{
    struct bk_evidence *e = bk_fleet_next_evidence(s);
    struct bk_text text;
    e->at_ns = now_ns;
    e->latency_ns = h->latency_ns;
    e->outcome = h->outcome;
    bk_copy_text(e->worker, sizeof(e->worker), WITNESS, strlen(WITNESS));
    bk_text_init(&text, e->text, sizeof(e->text));
    bk_text_put(&text, "probe: ");
    if (h->text != NULL) {
        bk_copy_text(e->text + text.len, sizeof(e->text) - text.len, h->text,
                     h->text_len);
    }
}

enum bk_error
bk_fleet_health(struct bk_fleet *f, int64_t now_ns, const struct bk_health *h)
{
    now_ns = bk_fleet_clamp(f, now_ns);
    uint32_t slot = bk_fleet_find(f, h->name, h->name_len);
    if (slot == BK_NO_SLOT) {
        return BK_ERR_UNKNOWN_SERVICE;
    }
    BK_ASSERT(h->outcome < BK_OUTCOME_COUNT);
    bk_fleet_catch_up(f, slot, now_ns);
    struct bk_service *s = &f->services[slot];
    bk_fleet_count_stat(s, &s->stats->probes[h->outcome], 1);
    struct bk_event event = {.kind = BK_EV_HEALTH, .now_ns = now_ns};
    event.u.health.is_good = h->outcome == BK_SUCCESS;
    struct bk_effects fx = bk_fleet_step(f, slot, &event);
    if (fx.is_evidence) {
        put_evidence(&f->services[slot], h, now_ns);
    }
    bk_fleet_settle(f, slot);
    return BK_OK;
}
