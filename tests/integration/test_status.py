# SPDX-License-Identifier: Apache-2.0
"""The status document: every member, its kind and its value."""
import json
import os

import harness
from brk import Allow

COUNTERS = ["allowed", "denied", "would_deny", "success", "failure", "timeout",
            "rate_limited", "rejected", "critical", "cancelled", "stale",
            "opened"]
SERVICE = {
    "name": str, "state": str, "mode": str, "reason": str, "generation": int,
    "since_ms": int, "retry_after_ms": int, "hold_ms": int,
    "consecutive_failures": int, "failed_rounds": int, "ramp_step": int,
    "window": dict, "permits": dict, "override": (dict, type(None)),
    "retry_budget": dict, "counters": dict,
}
DAEMON = {"running": bool, "pid": int, "version": str, "epoch": int,
          "uptime_s": (int, float), "services": int, "workers": int}


class Shape(harness.SharedDaemonCase):
    def test_top_and_daemon(self):
        name = self.name()
        self.worker.ask(f"ACQUIRE {name}")
        status = self.worker.document(f"STATUS {name}")
        self.assertEqual(list(status), ["schema", "daemon", "services"])
        self.assertEqual(status["schema"], 1)
        daemon = status["daemon"]
        self.assertEqual(list(daemon), list(DAEMON))
        for key, kind in DAEMON.items():
            self.assertIsInstance(daemon[key], kind, key)
        self.assertIs(daemon["running"], True)
        self.assertEqual(daemon["pid"], self.shared.pid)
        self.assertEqual(daemon["epoch"],
                         int(self.worker.ask("PING").split(" ")[1]))
        self.assertGreaterEqual(daemon["services"], 1)
        self.assertGreaterEqual(daemon["workers"], 1)

    def test_service_never_used_shows_zeros(self):
        name = self.name()
        self.operator.document(f"SET {name} minimum_calls 20")
        service = self.worker.service(name)
        self.assertEqual(list(service), [*SERVICE, "evidence"])
        for key, kind in SERVICE.items():
            self.assertIsInstance(service[key], kind, key)
        for key in ("generation", "retry_after_ms", "hold_ms",
                    "consecutive_failures", "failed_rounds", "ramp_step"):
            self.assertEqual(service[key], 0, key)
        self.assertEqual((service["state"], service["mode"],
                          service["reason"]), ("closed", "auto", "none"))
        self.assertEqual(service["window"],
                         {"calls": 0, "failures": 0, "slow": 0,
                          "failure_rate": 0, "slow_rate": 0})
        self.assertEqual(service["permits"], {"in_use": 0, "limit": 0})
        self.assertEqual(service["retry_budget"],
                         {"balance": 10.0, "granted": 0, "denied": 0})
        self.assertEqual(service["counters"], dict.fromkeys(COUNTERS, 0))
        self.assertEqual(list(service["counters"]), COUNTERS)
        self.assertEqual((service["override"], service["evidence"]), (None, []))

    def test_evidence_only_when_one_is_asked_for(self):
        name = self.name()
        self.worker.ask(f"REPORT {name} 0 - failure")
        rows = {s["name"]: s for s in
                self.operator.document("STATUS")["services"]}
        self.assertNotIn("evidence", rows[name])
        self.assertEqual(list(rows[name]), list(SERVICE))
        self.assertEqual(len(self.worker.service(name)["evidence"]), 1)


class Values(harness.SharedDaemonCase):
    def test_window(self):
        name = self.name()
        self.set(name, slow_call_duration="100ms", window="10calls")
        for outcome, latency in (("success", 99000), ("rejected", 100000),
                                 ("failure", 100001), ("timeout", 5000000),
                                 ("cancelled", 9000000)):
            self.worker.ask(f"REPORT {name} 0 - {outcome} {latency}")
        self.assertEqual(self.worker.service(name)["window"],
                         {"calls": 4, "failures": 2, "slow": 2,
                          "failure_rate": 0.5, "slow_rate": 0.5})

    def test_rates_have_decimals(self):
        name = self.name()
        self.worker.ask(f"REPORT {name} 0 - failure")
        for _ in range(2):
            self.worker.ask(f"REPORT {name} 0 - success")
        self.assertAlmostEqual(
            self.worker.service(name)["window"]["failure_rate"], 1 / 3, 5)

    def test_open_circuit(self):
        name = self.name()
        self.trip(name)
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["reason"],
                          service["generation"],
                          service["consecutive_failures"]),
                         ("open", "consecutive_failures", 1, 5))
        self.assertTrue(59000 < service["retry_after_ms"] <= 60000)
        self.assertLess(service["since_ms"], 1000)
        self.assertEqual(service["counters"]["opened"], 1)
        self.assertEqual(service["hold_ms"], 0)

    def test_probe_and_failed_round(self):
        name = self.name()
        self.set(name, recovery_timeout="30ms")
        self.trip(name)
        harness.until(
            lambda: self.worker.service(name)["state"] == "half_open",
            "the open time to end")
        allow = Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual((allow.state, allow.generation), ("half_open", 2))
        service = self.worker.service(name)
        self.assertEqual(service["permits"], {"in_use": 1, "limit": 1})
        self.assertEqual(service["reason"], "recovery_timeout")
        self.set(name, recovery_timeout="60s")
        self.worker.ask(f"REPORT {name} {allow.permit} 2 failure")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["reason"],
                          service["failed_rounds"], service["permits"]["in_use"]),
                         ("open", "probe_failed", 1, 0))
        self.assertEqual(service["counters"]["opened"], 2)

    def test_recovery(self):
        name = self.name()
        self.set(name, recovery_timeout="30ms", success_threshold=2)
        self.trip(name)
        for _ in range(2):
            answer = harness.until(
                lambda: [a for a in [self.worker.ask(f"ACQUIRE {name}")]
                         if a.startswith("ALLOW")], "a probe")
            allow = Allow(answer[0])
            self.worker.ask(
                f"REPORT {name} {allow.permit} {allow.generation} success")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["reason"],
                          service["generation"], service["window"]["calls"],
                          service["consecutive_failures"]),
                         ("closed", "probe_succeeded", 3, 0, 0))

    def test_hold(self):
        name = self.name()
        self.worker.ask(f"REPORT {name} 0 - rate_limited 100 1 20000 429")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["generation"],
                          service["counters"]["rate_limited"]),
                         ("closed", 0, 1))
        self.assertTrue(19000 < service["hold_ms"] <= 20000)
        self.assert_near(service["retry_after_ms"], service["hold_ms"], 1)

    def test_evidence_is_the_last_eight_that_counted(self):
        name = self.name()
        self.set(name, failure_threshold=0)
        self.worker.document(f"HELLO 1 bot-3 {os.getpid()}")
        for i in range(12):
            self.worker.ask(f"REPORT {name} 0 - success 1")
            self.worker.ask(f"REPORT {name} 0 - cancelled 1")
            self.worker.ask(f"REPORT {name} 0 - failure {i * 1000} 1 0 no {i}")
        evidence = self.worker.service(name)["evidence"]
        self.assertEqual(sorted(int(e["text"][3:]) for e in evidence),
                         list(range(4, 12)))
        for entry in evidence:
            self.assertEqual(list(entry), ["worker", "pid", "outcome",
                                           "latency_ms", "age_ms", "text"])
            self.assertEqual((entry["worker"], entry["pid"], entry["outcome"]),
                             ("bot-3", os.getpid(), "failure"))
            self.assertEqual(entry["latency_ms"], int(entry["text"][3:]))

    def test_retry_budget(self):
        name = self.name()
        self.set(name, retry_ratio="0.75", retry_min_per_sec="0.2")
        for _ in range(2):
            self.worker.ask(f"REPORT {name} 0 - failure 1 1")
        self.assertEqual(
            self.worker.service(name)["retry_budget"]["balance"], 3.5)
        answers = [self.worker.ask(f"RETRY {name} 1 failure")
                   for _ in range(5)]
        self.assertEqual([a.split(" ")[0] for a in answers],
                         ["GRANT"] * 3 + ["DENY"] * 2)
        self.assertEqual(self.worker.service(name)["retry_budget"],
                         {"balance": 0.5, "granted": 3, "denied": 2})

    def test_text_is_escaped(self):
        name = self.name()
        self.operator.document(f'TRIP {name} - say "no" \\ </script>')
        raw = self.worker.ask(f"STATUS {name}")
        self.assertEqual(
            json.loads(raw[3:])["services"][0]["override"]["reason"],
            'say "no" \\ </script>')


class Config(harness.SharedDaemonCase):
    def test_is_there_for_one_and_for_all(self):
        name = self.name()
        self.set(name, failure_threshold=7)
        one = self.worker.document(f"CONFIG {name}")
        self.assertEqual(one["service"], name)
        self.assertEqual(one["config"]["failure_threshold"],
                         {"value": "7", "origin": "set"})
        everyone = self.worker.document("CONFIG")
        self.assertIsNone(everyone["service"])
        self.assertEqual(everyone["config"]["failure_threshold"],
                         {"value": "5", "origin": "built-in"})
        self.assertEqual(list(one["config"]), list(everyone["config"]))


if __name__ == "__main__":
    harness.main()
