# SPDX-License-Identifier: Apache-2.0
"""Rules of the core, each with a way to break it: the file in core/, the exact
source, what is put in its place, and the scenario that must notice."""

RULES = [
    # What opens a circuit.
    ("breaker_judge.c",
     "s->b->consecutive_failures >= p->failure_threshold",
     "s->b->consecutive_failures > p->failure_threshold",
     "01-failures-in-a-row-over-the-whole-fleet"),
    ("breaker_judge.c",
     "    if (!is_bad) {\n        b->consecutive_failures = 0;\n",
     "    if (!is_bad) {\n",
     "01-a-success-ends-a-row-of-failures"),
    ("breaker_judge.c",
     "if (t.calls == 0 || t.calls < least) {",
     "if (t.calls == 0) {",
     "01-a-rate-needs-enough-calls"),
    ("breaker_judge.c",
     "    if (p->window_ns == 0 && least > p->window_calls) {\n"
     "        least = p->window_calls;\n    }\n",
     "",
     "01-a-count-window-asks-for-no-more-than-it-holds"),
    ("breaker_judge.c",
     "latency_ns > p->slow_call_duration_ns;",
     "latency_ns >= p->slow_call_duration_ns;",
     "01-slow-is-longer-than-the-limit"),
    ("window.c",
     "        if (slice->index > index - BK_SLICES && slice->index <= index) {",
     "        if (slice->index >= index - BK_SLICES && slice->index <= index) {",
     "01-a-time-window-is-ten-slices"),

    # What counts.
    ("breaker_judge.c",
     "    case BK_SUCCESS:\n    case BK_REJECTED:\n        return GOOD;",
     "    case BK_SUCCESS:\n        return GOOD;\n    case BK_REJECTED:\n"
     "        return BAD;",
     "02-success-and-rejected-are-successes"),
    ("breaker_judge.c",
     "    case BK_CANCELLED:\n    case BK_OUTCOME_COUNT:\n        break;\n    }\n"
     "    return NO_VERDICT;",
     "    case BK_CANCELLED:\n        return BAD;\n    case BK_OUTCOME_COUNT:\n"
     "        break;\n    }\n    return NO_VERDICT;",
     "02-cancelled-counts-nowhere"),
    ("breaker_judge.c",
     "return p->on_critical == BK_CRITICAL_TRIP ? TRIPS : BAD;",
     "return BAD;",
     "02-critical-may-open-at-once"),

    # Open, half open.
    ("breaker.c",
     "    time_ns -= bk_random_share(s->ev->random,",
     "    time_ns += bk_random_share(s->ev->random,",
     "03-jitter-only-shortens-the-open-time"),
    ("breaker_judge.c",
     "return standing == BK_LATE || (s->b->state == BK_OPEN);",
     "return standing == BK_LATE;",
     "04-while-open-every-report-is-stale"),
    ("breaker_judge.c",
     "    if (s->b->state == BK_HALF_OPEN) {\n"
     "        return standing != BK_LIVE;\n    }\n",
     "",
     "04-only-a-live-probe-is-a-verdict"),
    ("breaker_judge.c",
     "    if (b->failed_rounds < UINT32_MAX) {\n        b->failed_rounds++;\n    }\n",
     "",
     "03-the-open-time-grows-with-failed-rounds"),
    ("breaker.c",
     "    if (b->state == BK_HALF_OPEN && is_full) {\n"
     "        return BK_DENY_HALF_OPEN;\n    }\n",
     "    if (b->state == BK_HALF_OPEN) {\n"
     "        return BK_DENY_NONE;\n    }\n",
     "04-no-more-probes-than-allowed"),

    # Leases.
    ("fleet_call.c",
     "    if (ask->ttl_ns > p->max_permit_ttl_ns) {\n"
     "        ttl_ns = p->max_permit_ttl_ns;\n    }\n",
     "",
     "05-a-ttl-is-cut-to-the-maximum"),
    ("fleet_call.c",
     "lease->kind != BK_LEASE_PERMIT || lease->service != slot",
     "lease->kind != BK_LEASE_PERMIT",
     "20-a-report-of-another-service-frees-nothing"),
    ("fleet_time.c",
     "        bk_fleet_void_permits(f, s);\n        bk_fleet_note(f, &note);",
     "        bk_fleet_note(f, &note);",
     "00-a-void-permit-ends-without-an-outcome"),
    ("fleet_call.c",
     "            give_back(f, now_ns, at, BK_EV_RETURN);",
     "            give_back(f, now_ns, at, BK_EV_REPORT);",
     "05-a-dead-process-gives-back-all-it-held"),

    # Holds.
    ("hold.c",
     "    if (until_ns > h->until_ns) {\n        h->until_ns = until_ns;\n    }\n",
     "    h->until_ns = until_ns;\n",
     "06-several-holds-fold-into-the-latest-end"),
    ("breaker_judge.c",
     "p->on_rate_limit == BK_LIMIT_HOLD && retry_after_ns > 0 ? HELD",
     "p->on_rate_limit == BK_LIMIT_HOLD ? HELD",
     "06-without-a-time-to-wait-it-is-a-failure"),

    # The ramp.
    ("ramp.c",
     "    if (r->step == 0 || !r->has_success) {",
     "    if (r->step == 0) {",
     "07-a-step-needs-a-success-of-its-own"),
    ("breaker_judge.c",
     "        bk_ramp_failure(&b->ramp, p, s->ev->now_ns);",
     "        (void)p;",
     "07-a-failure-starts-the-step-anew"),

    # Tokens and the budget.
    ("breaker_judge.c",
     "    if (s->ev->u.report.deposits && outcome != BK_CANCELLED) {",
     "    if (s->ev->u.report.deposits) {",
     "09-first-attempts-fill-the-budget"),
    ("budget.c",
     "    if (bk_budget_balance_ppm(b, p, now_ns) < BK_PPM ||",
     "    if (bk_budget_balance_ppm(b, p, now_ns) == 0 ||",
     "09-a-ratio-is-exact"),
    ("fleet_call.c",
     "    if (fx.is_allowed && token != BK_NO_SLOT) {",
     "    if (token != BK_NO_SLOT) {",
     "08-only-an-allowed-call-spends-its-token"),
    ("backoff.c",
     "        value_ns = grown_ns;\n    }\n"
     "    return value_ns < max_ns ? value_ns : max_ns;",
     "        value_ns = grown_ns;\n    }\n    return value_ns;",
     "10-delays-grow-to-a-maximum"),
    ("fleet_call.c",
     "    return bk_breaker_bars_retry(&f->services[slot].breaker, now_ns, base_ns,",
     "    return bk_breaker_bars_retry(&f->services[slot].breaker, now_ns, *delay_ns,",
     "10-the-circuit-is-compared-with-the-delay-before-jitter"),

    # Health probes.
    ("breaker_health.c",
     "if (threshold > 0 && row >= threshold) {",
     "if (threshold > 0 && row > threshold) {",
     "14-failed-health-probes-open"),
    ("breaker_health.c",
     "    if (b->state == BK_CLOSED) {\n        b->consecutive_failures -=",
     "    if (b->state == BK_OPEN) {\n        b->consecutive_failures -=",
     "14-a-good-health-probe-takes-back-failed-ones"),
    ("breaker_health.c",
     "    grow(&b->health_failures);\n    if (b->state == BK_OPEN) {",
     "    if (b->state != BK_OPEN) {\n        grow(&b->health_failures);\n    }\n"
     "    if (b->state == BK_OPEN) {",
     "14-still-unwell-when-the-time-is-over"),

    # Operators, reset, survival.
    ("breaker.c",
     "    } else if (b->mode == BK_FORCED_OPEN) {\n        state = BK_HALF_OPEN;\n    }",
     "    } else if (b->mode == BK_FORCED_OPEN) {\n        state = BK_CLOSED;\n    }",
     "11-forced-open-ends-by-itself-half-open"),
    ("breaker.c",
     "    bk_budget_forget_withdrawals(&b->budget);\n",
     "",
     "12-a-reset-forgets-withdrawals"),
    ("fleet_keep.c",
     "saved->generation + BK_GENERATION_LEAP",
     "saved->generation",
     "13-a-lost-segment-keeps-the-state"),
]
