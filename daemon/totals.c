/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/totals.h"
#include "daemon/callers.h"
#include "daemon/gate.h"
#include "daemon/meter.h"

static void
take_store(struct registry *r, int64_t now_ns, struct bk_totals *out)
{
    struct store_stats stats;
    store_stats(r->store, &stats);
    out->store_commits = stats.commits;
    out->store_commit_us = stats.commit_us;
    out->store_failures = stats.failures;
    out->store_events_dropped = stats.dropped_events;
    out->store_queued = stats.queued;
    out->store_degraded = r->is_degraded;
    if (r->saved >= r->awaited) {
        r->awaited = r->job;
        r->awaited_ns = now_ns;
    }
    out->store_lag_us = (uint64_t)((now_ns - r->awaited_ns) / BK_NS_PER_US);
}

static void
take_router(const struct router *router, struct bk_totals *out)
{
    struct router_stats stats;
    router_stats(router, &stats);
    out->messages = stats.messages;
    out->messages_faulty = stats.faulty;
    out->replies_unsent = stats.unsent;
    out->replies_waiting = stats.waiting;
    out->replies_refused = stats.refused;
}

static void
take_gate(const struct callers *callers, struct bk_totals *out)
{
    struct gate_stats stats;
    gate_stats(&stats);
    out->connections = stats.connections;
    out->connections_refused = stats.refused;
    out->accept_shortages = stats.shortages;
    out->connections_cut = callers_cut(callers) + meter_cut();
}

static void
take_prober(const struct prober *prober, struct bk_totals *out)
{
    struct prober_stats stats;
    prober_stats(prober, &stats);
    out->prober_starts = stats.starts;
    out->webhooks_sent = stats.webhooks_sent;
    out->webhooks_failed = stats.webhooks_failed;
    out->webhooks_dropped = stats.webhooks_dropped;
}

static void
take_rings(const struct rings *rings, struct bk_totals *out)
{
    struct rings_stats stats;
    rings_stats(rings, &stats);
    out->rings = stats.rings;
    out->rings_refused = stats.refused;
    out->ring_items = stats.items;
    out->ring_items_unknown = stats.unknown;
}

void
totals_collect(const struct loop *l, int64_t now_ns, struct bk_totals *out)
{
    *out = (struct bk_totals){
        .lines_malformed = l->commands->malformed,
        .lines_forbidden = l->commands->refused,
        .reports_dropped = l->commands->reports_dropped,
        .leases = bk_fleet_leases(l->registry->fleet)->used,
    };
    take_gate(l->callers, out);
    take_router(l->router, out);
    take_store(l->registry, now_ns, out);
    take_prober(l->registry->prober, out);
    take_rings(l->rings, out);
}
