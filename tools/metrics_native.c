/* SPDX-License-Identifier: Apache-2.0
 *
 * The metrics of breakerd by their own names. */
#include "tools/metrics_axis.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define US_PER_NS(ns) ((ns) / BK_NS_PER_US)

#define BREAKER (&s->service.record.breaker)
#define POLICY (&s->service.policy)

/* ---- the daemon ---- */

METRICS_VALUE(up, scene->v != NULL && scene->v->is_running)
METRICS_VALUE(one, 1)
METRICS_VALUE(heartbeat_age, scene->v->heartbeat_age_ns == BK_NEVER
                                 ? METRICS_NONE
                                 : US_PER_NS(scene->v->heartbeat_age_ns))
METRICS_VALUE(uptime, US_PER_NS(scene->daemon.uptime_ns))
METRICS_VALUE(services, scene->count)
METRICS_VALUE(services_limit, scene->v->segment.limits.services)
METRICS_VALUE(clients, scene->daemon.workers)
METRICS_VALUE(leases, scene->totals.leases)
METRICS_VALUE(leases_limit, scene->v->segment.limits.leases)
METRICS_VALUE(connections, scene->totals.connections)
METRICS_VALUE(connections_refused, scene->totals.connections_refused)
METRICS_VALUE(connections_cut, scene->totals.connections_cut)
METRICS_VALUE(accept_shortages, scene->totals.accept_shortages)
METRICS_VALUE(messages, scene->totals.messages)
METRICS_VALUE(protocol_errors, i == 0   ? scene->totals.messages_faulty
                               : i == 1 ? scene->totals.lines_malformed
                                        : scene->totals.lines_forbidden)
METRICS_VALUE(reports_dropped, scene->totals.reports_dropped)
METRICS_VALUE(rings, scene->totals.rings)
METRICS_VALUE(rings_refused, scene->totals.rings_refused)
METRICS_VALUE(ring_items, scene->totals.ring_items)
METRICS_VALUE(ring_items_unknown, scene->totals.ring_items_unknown)
METRICS_VALUE(replies_waiting, scene->totals.replies_waiting)
METRICS_VALUE(replies_unsent, scene->totals.replies_unsent)
METRICS_VALUE(replies_refused, scene->totals.replies_refused)
METRICS_VALUE(commits, scene->totals.store_commits)
METRICS_VALUE(commit_time, scene->totals.store_commit_us)
METRICS_VALUE(commits_failed, scene->totals.store_failures)
METRICS_VALUE(events_dropped, scene->totals.store_events_dropped)
METRICS_VALUE(rows_queued, scene->totals.store_queued)
METRICS_VALUE(persist_lag, scene->totals.store_lag_us)
METRICS_VALUE(persist_degraded, scene->totals.store_degraded)
METRICS_VALUE(prober_starts, scene->totals.prober_starts)
METRICS_VALUE(webhooks, i == 0   ? scene->totals.webhooks_sent
                        : i == 1 ? scene->totals.webhooks_failed
                                 : scene->totals.webhooks_dropped)

#define OF_PROCESS(value) (scene->process.is_known ? (value) : METRICS_NONE)
METRICS_VALUE(process_cpu, OF_PROCESS(scene->process.cpu_us))
METRICS_VALUE(process_resident, OF_PROCESS(scene->process.resident_bytes))
METRICS_VALUE(process_virtual, OF_PROCESS(scene->process.virtual_bytes))
METRICS_VALUE(process_start,
              OF_PROCESS(scene->wall_us + scene->process.started_us))
METRICS_VALUE(process_fds, OF_PROCESS(scene->process.open_fds))
METRICS_VALUE(process_max_fds, OF_PROCESS(scene->process.max_fds))

static void
put_kind(struct bk_text *out, size_t index)
{
    static const char *const kinds[] = {"message", "line", "forbidden"};

    metrics_put_label(out, "kind", kinds[index]);
}

static const struct metrics_axis kinds = {"kind", 3, NULL, put_kind, NULL};

static void
put_fate(struct bk_text *out, size_t index)
{
    static const char *const fates[] = {"sent", "failed", "dropped"};

    metrics_put_label(out, "fate", fates[index]);
}

static const struct metrics_axis fates = {"fate", 3, NULL, put_fate, NULL};

/* The only outcomes that a health probe has are the first three. */
static void
put_probe_outcome(struct bk_text *out, size_t index)
{
    metrics_put_label(out, "outcome", bk_outcome_name((enum bk_outcome)index));
}

static const struct metrics_axis probe_outcomes = {
    "outcome", BK_TIMEOUT + 1, NULL, put_probe_outcome, NULL};

/* ---- a service ---- */

/* An instant of ours on the wall clock; 0 for none. */
static int64_t
wall(const struct metrics_scene *scene, int64_t at_ns)
{
    if (at_ns == 0)
        return 0;
    return at_ns == BK_NEVER ? METRICS_ENDLESS
                             : scene->wall_us + US_PER_NS(at_ns);
}

static int64_t
share(uint32_t part, uint32_t whole)
{
    return whole > 0 ? (int64_t)(part * BK_PPM / whole) : 0;
}

static uint64_t
sum_up(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += words[i];
    return sum;
}

METRICS_VALUE(state, BREAKER->state)
METRICS_VALUE(is_mode, BREAKER->mode == i)
METRICS_VALUE(override_until,
              wall(scene,
                   BREAKER->override.is_set ? BREAKER->override.expires_ns : 0))
METRICS_VALUE(hold_until,
              wall(scene, bk_hold_left(&BREAKER->hold, scene->v->now_ns) > 0
                              ? BREAKER->hold.until_ns
                              : 0))
METRICS_VALUE(opened, BREAKER->counters.opened)
METRICS_VALUE(transitions, s->stats.transitions[i])
METRICS_VALUE(open_time,
              US_PER_NS(bk_breaker_open_time(BREAKER, scene->v->now_ns)))
METRICS_VALUE(failure_ratio, share(s->window.failures, s->window.calls))
METRICS_VALUE(failure_ratio_threshold, POLICY->failure_rate_ppm)
METRICS_VALUE(slow_ratio, share(s->window.slow, s->window.calls))
METRICS_VALUE(slow_ratio_threshold, POLICY->slow_call_duration_ns > 0
                                        ? POLICY->slow_call_rate_ppm
                                        : 0)
METRICS_VALUE(window_calls, s->window.calls)
METRICS_VALUE(in_a_row, BREAKER->consecutive_failures)
METRICS_VALUE(in_a_row_threshold, POLICY->failure_threshold)
METRICS_VALUE(calls, metrics_outcome_count(&BREAKER->counters, i))
METRICS_VALUE(allowed, BREAKER->counters.allowed)
METRICS_VALUE(rejected, s->stats.rejected[i])
METRICS_VALUE(would_reject, s->stats.would_reject[i])
METRICS_VALUE(stale, BREAKER->counters.stale)
METRICS_VALUE(duration, s->stats.duration[i])
METRICS_VALUE(duration_sum, sum_up(s->stats.duration_us, BK_OUTCOME_COUNT))
METRICS_VALUE(permits, BREAKER->permits_out)
METRICS_VALUE(permits_limit, bk_breaker_permit_limit(BREAKER, POLICY))
METRICS_VALUE(retries, i == 0 ? sum_up(s->stats.retry_granted, BK_OUTCOME_COUNT)
                              : sum_up(s->stats.retry_denied, BK_DENY_COUNT))
METRICS_VALUE(health_probes, s->stats.probes[i])
METRICS_VALUE(retries_granted, s->stats.retry_granted[i])
METRICS_VALUE(retries_denied, s->stats.retry_denied[i])
METRICS_VALUE(retry_delay, s->stats.retry_delay_us[i])
METRICS_VALUE(retry_tokens,
              bk_budget_balance_ppm(&BREAKER->budget, POLICY, scene->v->now_ns))

/* ---- the rows ---- */

#define GAUGE METRICS_GAUGE
#define COUNTER METRICS_COUNTER
#define ALL METRICS_OF_ALL
#define DAEMON METRICS_OF_DAEMON
#define LIFE METRICS_OF_LIFE
#define SERVICE METRICS_OF_SERVICE
/* Whole numbers, and seconds or shares with a fraction. */
#define WHOLE false
#define PARTS true

static const struct metrics_family families[] = {
    {"breakerd_up", GAUGE, ALL, WHOLE, NULL, up, NULL,
     "1 while the daemon serves: its heartbeat is fresh and it listens."},
    {"breakerd_build_info", GAUGE, DAEMON, WHOLE, &metrics_version, one, NULL,
     "1; the daemon's version is in the label."},
    {"breakerd_heartbeat_age_seconds", GAUGE, DAEMON, PARTS, NULL,
     heartbeat_age, NULL, "Time since the daemon's last heartbeat."},
    {"breakerd_uptime_seconds", GAUGE, LIFE, PARTS, NULL, uptime, NULL,
     "Time since the daemon started."},
    {"breakerd_services", GAUGE, DAEMON, WHOLE, NULL, services, NULL,
     "Services known."},
    {"breakerd_services_limit", GAUGE, DAEMON, WHOLE, NULL, services_limit,
     NULL, "Services there may be."},
    {"breakerd_clients", GAUGE, LIFE, WHOLE, NULL, clients, NULL,
     "Worker processes connected."},
    {"breakerd_leases", GAUGE, LIFE, WHOLE, NULL, leases, NULL,
     "Permits and retry tokens out, of all services."},
    {"breakerd_leases_limit", GAUGE, DAEMON, WHOLE, NULL, leases_limit, NULL,
     "Permits and retry tokens that may be out."},
    {"breakerd_connections", GAUGE, LIFE, WHOLE, NULL, connections, NULL,
     "Connections open, of all sockets but ring.sock."},
    {"breakerd_connections_refused_total", COUNTER, DAEMON, WHOLE, NULL,
     connections_refused, NULL, "Connections refused for being too many."},
    {"breakerd_connections_cut_total", COUNTER, DAEMON, WHOLE, NULL,
     connections_cut, NULL,
     "Connections hung up on because they sent more than was taken up."},
    {"breakerd_accept_shortages_total", COUNTER, DAEMON, WHOLE, NULL,
     accept_shortages, NULL,
     "Connections not taken for want of descriptors or memory."},
    {"breakerd_messages_total", COUNTER, DAEMON, WHOLE, NULL, messages, NULL,
     "Messages taken up."},
    {"breakerd_protocol_errors_total", COUNTER, DAEMON, WHOLE, &kinds,
     protocol_errors, NULL,
     "What was no good: whole messages, single lines, and operators' commands from workers."},
    {"breakerd_reports_dropped_total", COUNTER, DAEMON, WHOLE, NULL,
     reports_dropped, NULL, "Reports and tallies that could not be taken in."},
    {"breakerd_rings", GAUGE, LIFE, WHOLE, NULL, rings, NULL,
     "Rings in shared memory by which workers' threads report."},
    {"breakerd_rings_refused_total", COUNTER, DAEMON, WHOLE, NULL,
     rings_refused, NULL,
     "Rings that were not taken, or let go for what was in them."},
    {"breakerd_ring_items_total", COUNTER, DAEMON, WHOLE, NULL, ring_items,
     NULL, "Outcomes and returned permits that came by ring."},
    {"breakerd_ring_items_unknown_total", COUNTER, DAEMON, WHOLE, NULL,
     ring_items_unknown, NULL,
     "Of those, the ones about a service that is not there any more."},
    {"breakerd_replies_waiting", GAUGE, LIFE, WHOLE, NULL, replies_waiting,
     NULL, "Replies that wait for the disk."},
    {"breakerd_replies_unsent_total", COUNTER, DAEMON, WHOLE, NULL,
     replies_unsent, NULL, "Replies whose peer was gone or did not read."},
    {"breakerd_replies_refused_total", COUNTER, DAEMON, WHOLE, NULL,
     replies_refused, NULL, "Replies dropped because too many waited."},
    {"breakerd_persist_duration_seconds", METRICS_SUMMARY, DAEMON, PARTS, NULL,
     commits, commit_time,
     "Transactions written to the database, and the time they took."},
    {"breakerd_persist_failures_total", COUNTER, DAEMON, WHOLE, NULL,
     commits_failed, NULL, "Transactions that failed and were tried again."},
    {"breakerd_persist_events_dropped_total", COUNTER, DAEMON, WHOLE, NULL,
     events_dropped, NULL,
     "Lines of history lost because the database could not follow."},
    {"breakerd_persist_queued", GAUGE, LIFE, WHOLE, NULL, rows_queued, NULL,
     "Rows that wait for the database."},
    {"breakerd_persist_lag_seconds", GAUGE, LIFE, PARTS, NULL, persist_lag,
     NULL, "How long the oldest change has waited for the disk."},
    {"breakerd_persist_degraded", GAUGE, LIFE, WHOLE, NULL, persist_degraded,
     NULL,
     "1 while the database cannot be written; state is then kept in memory."},
    {"breakerd_prober_starts_total", COUNTER, DAEMON, WHOLE, NULL,
     prober_starts, NULL,
     "Times the process for health probes and webhooks was started."},
    {"breakerd_webhooks_total", COUNTER, DAEMON, WHOLE, &fates, webhooks, NULL,
     "Messages to webhooks sent and given up, and changes dropped for want of room."},
    {"process_cpu_seconds_total", COUNTER, LIFE, PARTS, NULL, process_cpu, NULL,
     "Processor time the daemon has used."},
    {"process_resident_memory_bytes", GAUGE, LIFE, WHOLE, NULL,
     process_resident, NULL, "The daemon's memory, shared memory included."},
    {"process_virtual_memory_bytes", GAUGE, LIFE, WHOLE, NULL, process_virtual,
     NULL, "The daemon's address space."},
    {"process_start_time_seconds", GAUGE, LIFE, PARTS, NULL, process_start,
     NULL, "When the daemon started, since 1970."},
    {"process_open_fds", GAUGE, LIFE, WHOLE, NULL, process_fds, NULL,
     "Descriptors the daemon has open; not there when this user may not see them."},
    {"process_max_fds", GAUGE, LIFE, WHOLE, NULL, process_max_fds, NULL,
     "Descriptors the daemon may have open."},
    {"breakerd_circuit_state", GAUGE, SERVICE, WHOLE, NULL, state, NULL,
     "0 closed, 1 open, 2 half-open."},
    {"breakerd_circuit_mode", GAUGE, SERVICE, WHOLE, &metrics_modes, is_mode,
     NULL, "1 for the mode in force."},
    {"breakerd_circuit_override_until_timestamp_seconds", GAUGE, SERVICE, PARTS,
     NULL, override_until, NULL,
     "When the operator's override ends by itself, since 1970; 0 without one, +Inf without an end."},
    {"breakerd_circuit_opened_total", COUNTER, SERVICE, WHOLE, NULL, opened,
     NULL, "Changes to open, forced ones included."},
    {"breakerd_circuit_transitions_total", COUNTER, SERVICE, WHOLE,
     &metrics_changes, transitions, NULL,
     "Changes of state; where from and to are the same, of the mode, or a reset."},
    {"breakerd_circuit_open_seconds_total", COUNTER, SERVICE, PARTS, NULL,
     open_time, NULL, "Time spent open."},
    {"breakerd_circuit_failure_ratio", GAUGE, SERVICE, PARTS, NULL,
     failure_ratio, NULL, "Share of the window's calls that failed."},
    {"breakerd_circuit_failure_ratio_threshold", GAUGE, SERVICE, PARTS, NULL,
     failure_ratio_threshold, NULL,
     "The share that opens the circuit (failure_rate); 0: this rule is off."},
    {"breakerd_circuit_slow_ratio", GAUGE, SERVICE, PARTS, NULL, slow_ratio,
     NULL, "Share of the window's calls that were slow."},
    {"breakerd_circuit_slow_ratio_threshold", GAUGE, SERVICE, PARTS, NULL,
     slow_ratio_threshold, NULL,
     "The share that opens the circuit (slow_call_rate); 0: this rule is off."},
    {"breakerd_circuit_window_calls", GAUGE, SERVICE, WHOLE, NULL, window_calls,
     NULL, "Calls in the window."},
    {"breakerd_circuit_consecutive_failures", GAUGE, SERVICE, WHOLE, NULL,
     in_a_row, NULL, "Failures in a row, of the whole fleet."},
    {"breakerd_circuit_consecutive_failures_threshold", GAUGE, SERVICE, WHOLE,
     NULL, in_a_row_threshold, NULL,
     "Failures in a row that open the circuit (failure_threshold); 0: this rule is off."},
    {"breakerd_calls_total", COUNTER, SERVICE, WHOLE, &metrics_outcomes, calls,
     NULL,
     "Calls by what came of them; permits not reported in time are timeouts."},
    {"breakerd_calls_allowed_total", COUNTER, SERVICE, WHOLE, NULL, allowed,
     NULL, "Calls let through."},
    {"breakerd_calls_rejected_total", COUNTER, SERVICE, WHOLE,
     &metrics_call_reasons, rejected, NULL,
     "Calls denied, by reason (none: a worker did not say)."},
    {"breakerd_calls_would_reject_total", COUNTER, SERVICE, WHOLE,
     &metrics_observe_reasons, would_reject, NULL,
     "Calls let through only because the mode is observe."},
    {"breakerd_reports_stale_total", COUNTER, SERVICE, WHOLE, NULL, stale, NULL,
     "Reports that came too late to count."},
    {"breakerd_call_duration_seconds", METRICS_HISTOGRAM, SERVICE, PARTS,
     &metrics_buckets, duration, duration_sum,
     "How long calls took; those cancelled, late or of unknown duration are left out."},
    {"breakerd_permits_in_use", GAUGE, SERVICE, WHOLE, NULL, permits, NULL,
     "Leased permits out."},
    {"breakerd_permits_limit", GAUGE, SERVICE, WHOLE, NULL, permits_limit, NULL,
     "Leased permits that may be out now; 0: no limit."},
    {"breakerd_health_probes_total", COUNTER, SERVICE, WHOLE, &probe_outcomes,
     health_probes, NULL, "Health probes (of probe_url), by their outcome."},
    {"breakerd_retries_total", COUNTER, SERVICE, WHOLE, &metrics_results,
     retries, NULL, "Retries asked for."},
    {"breakerd_retries_granted_total", COUNTER, SERVICE, WHOLE,
     &metrics_failures, retries_granted, NULL,
     "Retries granted, by what had failed."},
    {"breakerd_retry_delay_seconds_total", COUNTER, SERVICE, PARTS,
     &metrics_failures, retry_delay, NULL, "Delays given with those retries."},
    {"breakerd_retries_denied_total", COUNTER, SERVICE, WHOLE,
     &metrics_retry_reasons, retries_denied, NULL,
     "Retries denied, by reason."},
    {"breakerd_retry_budget_tokens", GAUGE, SERVICE, PARTS, NULL, retry_tokens,
     NULL, "Retries the budget would grant now."},
    {"breakerd_hold_until_timestamp_seconds", GAUGE, SERVICE, PARTS, NULL,
     hold_until, NULL,
     "Until when the upstream asked to wait, since 1970; 0: not held."},
};

const struct metrics_table metrics_native = {"native", "service", families,
                                             COUNT_OF(families)};
