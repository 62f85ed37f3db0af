/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/mirror.h"

#include <stdlib.h>
#include <string.h>

bool
mirror_open(struct play *p, const struct bk_limits *limits)
{
    p->limits = *limits;
    p->segment_memory = malloc(bk_segment_bytes(limits));
    return p->segment_memory != NULL;
}

void
mirror_close(struct play *p)
{
    free(p->segment_memory);
    p->segment_memory = NULL;
}

void
mirror_format(struct play *p)
{
    size_t bytes = bk_segment_bytes(&p->limits);
    memset(p->segment_memory, 0, bytes);
    bk_segment_format(p->segment_memory, &p->limits, "a boot", 1);
    const char *why = bk_segment_attach(&p->segment, p->segment_memory, bytes);
    p->policy_edition = UINT64_MAX;
    if (why != NULL)
        play_fault(p, "segment", why, 1, 0);
}

void
mirror_sync(struct play *p)
{
    struct bk_segment *s = &p->segment;
    uint32_t slot;
    atomic_store(&s->header->next_id, bk_fleet_next_id(p->fleet));
    while ((slot = bk_fleet_next_dirty_lease(p->fleet)) != BK_NO_SLOT)
        bk_segment_put_lease(s, p->fleet, slot);
    if (p->policy_edition != bk_fleet_policy_edition(p->fleet)) {
        p->policy_edition = bk_fleet_policy_edition(p->fleet);
        bk_segment_put_policies(s, p->fleet);
    }
    while ((slot = bk_fleet_next_dirty(p->fleet)) != BK_NO_SLOT) {
        bk_segment_put_service(s, p->fleet, slot);
        bk_segment_put_word(s, slot, bk_fleet_verdict(p->fleet, slot));
    }
}

static void
adopt_service(struct play *p, struct bk_fleet *fleet, uint32_t slot)
{
    struct bk_record record;
    struct bk_policy policy;
    struct bk_evidence evidence[BK_EVIDENCE_COUNT];
    struct bk_stats stats;
    if (!bk_segment_read(&p->segment, slot, &record))
        return;
    if (!bk_segment_read_policy(&p->segment, record.policy, &policy))
        play_fault(p, record.name, "policy is not published", 1, 0);
    bk_segment_read_evidence(&p->segment, slot, evidence);
    bk_segment_read_stats(&p->segment, slot, &stats);
    const struct bk_kept kept = {.name = record.name,
                                 .slot = slot,
                                 .incarnation = record.incarnation,
                                 .policy_at = record.policy,
                                 .is_configured = record.is_configured,
                                 .used_ns = record.used_ns,
                                 .breaker = &record.breaker,
                                 .policy = &policy,
                                 .evidence = evidence,
                                 .stats = &stats};
    enum bk_error error = bk_fleet_adopt(fleet, p->now_ns, &kept);
    if (error != BK_OK)
        play_fault(p, record.name, "is not adopted", error, BK_OK);
}

void
mirror_adopt(struct play *p, struct bk_fleet *fleet)
{
    bk_fleet_set_next_id(fleet, atomic_load(&p->segment.header->next_id));
    for (uint32_t slot = 0; slot < p->limits.services; slot++)
        adopt_service(p, fleet, slot);
    for (uint32_t slot = 0; slot < p->limits.leases; slot++) {
        struct bk_lease lease;
        if (!bk_segment_read_lease(&p->segment, slot, &lease) ||
            lease.kind == BK_LEASE_FREE)
            continue;
        if (!bk_fleet_adopt_lease(fleet, slot, &lease))
            play_fault(p, "lease", "is not adopted", lease.id, 0);
    }
}

/* What the word ought to say. */
static struct bk_verdict
expect_verdict(struct play *p, const struct model_service *m)
{
    struct bk_verdict v = {.kind = BK_ASK};
    struct model_outlook o = model_look(p->model, m, p->now_ns);
    if (o.reason == BK_DENY_NONE && o.is_plain)
        v.kind = BK_GO;
    if (o.reason == BK_DENY_OPEN || o.reason == BK_DENY_FORCED_OPEN ||
        o.reason == BK_DENY_RATE_LIMITED || o.reason == BK_DENY_REQUIRES) {
        v.kind = BK_NO;
        v.reason = o.reason;
        v.until_ms = bk_verdict_until(o.end_ns);
    }
    return v;
}

void
mirror_compare_word(struct play *p, uint32_t slot,
                    const struct model_service *m)
{
    struct bk_verdict core =
        bk_verdict_unpack(atomic_load(&p->segment.words[slot]));
    struct bk_verdict model = expect_verdict(p, m);
    /* Asking is never wrong where another service has a say, nor in the last
     * millisecond of a denial. */
    bool may_ask = m->policy.requires_name[0] != '\0' ||
                   (model.kind == BK_NO &&
                    model.until_ms * BK_NS_PER_MS <= (uint64_t)p->now_ns);
    if (core.kind == BK_ASK && may_ask)
        return;
    if (core.kind != model.kind)
        play_fault(p, m->name, "verdict word's kind", core.kind, model.kind);
    if (core.kind == BK_ASK)
        return;
    if (core.reason != model.reason)
        play_fault(p, m->name, "verdict word's reason", core.reason,
                   model.reason);
    /* Another service's hold is no end of ours; its open time is. */
    bool is_early =
        core.reason == BK_DENY_REQUIRES && core.until_ms < model.until_ms;
    if (core.until_ms != model.until_ms && !is_early)
        play_fault(p, m->name, "verdict word's end", core.until_ms,
                   model.until_ms);
    if (core.generation != (m->generation & 0xfff))
        play_fault(p, m->name, "verdict word's generation", core.generation,
                   m->generation & 0xfff);
}
