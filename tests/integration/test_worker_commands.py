# SPDX-License-Identifier: Apache-2.0
"""Each command of workers: every kind of answer it has."""
import json
import os
import time

import harness
from brk import Allow, Deny, Grant


class Hello(harness.SharedDaemonCase):
    def test_tells_about_the_instance(self):
        hello = self.worker.document(f"HELLO 1 bot-1 {os.getpid()}")
        self.assertEqual(hello["protocol"], 1)
        self.assertRegex(hello["version"], r"^\d+\.\d+\.\d+")
        epoch = int(self.worker.ask("PING").split(" ")[1])
        self.assertEqual(hello["epoch"], epoch)
        text = json.dumps(hello)
        self.assertIn(self.shared.dir, text)
        self.assertIn(self.shared.segment_path, text)
        self.assertIn("limits", hello)

    def test_name_is_shown_and_the_pid_is_the_kernels(self):
        name, worker = self.name(), self.shared.worker()
        worker.document("HELLO 1 bot-7 1")
        worker.ask(f"REPORT {name} 0 - failure 812000 1 0 503 from upstream")
        evidence = worker.service(name)["evidence"]
        self.assertEqual(len(evidence), 1)
        self.assertEqual(evidence[0]["worker"], "bot-7")
        self.assertEqual(evidence[0]["pid"], os.getpid())
        self.assertEqual(evidence[0]["outcome"], "failure")
        self.assertEqual(evidence[0]["latency_ms"], 812)
        self.assertEqual(evidence[0]["text"], "503 from upstream")
        self.assertGreaterEqual(evidence[0]["age_ms"], 0)


class Acquire(harness.SharedDaemonCase):
    def test_of_an_unknown_service_makes_it(self):
        name = self.name()
        self.assert_error(self.worker.ask(f"STATUS {name}"), "unknown_service")
        self.assertEqual(self.worker.ask(f"ACQUIRE {name}"),
                         f"ALLOW {name} 0 0 closed")
        self.assertEqual(self.worker.service(name)["state"], "closed")

    def test_leased_permits_are_never_the_same(self):
        name = self.name()
        self.set(name, max_concurrent=200)
        permits = [Allow(self.worker.ask(f"ACQUIRE {name}")).permit
                   for _ in range(100)]
        for permit in permits[:50]:
            self.assertEqual(self.worker.ask(f"RELEASE {permit}"), "OK applied")
        permits += [Allow(self.worker.ask(f"ACQUIRE {name}")).permit
                    for _ in range(50)]
        tokens = [Grant(self.worker.ask(f"RETRY {name} 1 failure")).token
                  for _ in range(5)]
        self.assertEqual(len(set(permits + tokens)), 155)
        self.assertNotIn(0, permits + tokens)

    def test_of_a_second_attempt_needs_a_token(self):
        name = self.name()
        self.assertEqual(Deny(self.worker.ask(f"ACQUIRE {name} 2")).reason,
                         "budget")
        self.assertEqual(Deny(self.worker.ask(f"ACQUIRE {name} 2 -")).reason,
                         "budget")
        self.assertEqual(
            Deny(self.worker.ask(f"ACQUIRE {name} 2 123456")).reason, "budget")
        grant = Grant(self.worker.ask(f"RETRY {name} 1 failure"))
        Allow(self.worker.ask(f"ACQUIRE {name} 2 {grant.token}"))
        self.assertEqual(
            Deny(self.worker.ask(f"ACQUIRE {name} 2 {grant.token}")).reason,
            "budget")

    def test_ttl_is_the_permits_life(self):
        name = self.name()
        self.set(name, max_concurrent=1)
        self.worker.ask(f"ACQUIRE {name} 1 0 60")
        deny = Deny(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual(deny.reason, "concurrency")
        harness.until(
            lambda: self.worker.ask(f"ACQUIRE {name}").startswith("ALLOW"),
            "the lease to end")
        self.assertEqual(self.worker.service(name)["counters"]["timeout"], 1)


class Report(harness.SharedDaemonCase):
    def test_each_outcome_has_its_counter(self):
        name = self.name()
        self.set(name, failure_threshold=0)
        outcomes = ["success", "failure", "timeout", "rate_limited",
                    "rejected", "critical", "cancelled"]
        for outcome in outcomes:
            self.assertEqual(
                self.worker.ask(f"REPORT {name} 0 - {outcome} 1000 1 0 why"),
                "OK applied")
        counters = self.worker.service(name)["counters"]
        self.assertEqual({o: counters[o] for o in outcomes},
                         dict.fromkeys(outcomes, 1))
        self.assertEqual(counters["allowed"], 0)
        self.assertEqual(counters["stale"], 0)

    def test_of_an_unseen_service(self):
        name = self.name()
        self.assertEqual(self.worker.ask(f"REPORT {name} 7 - success"),
                         "OK unknown")
        self.assertEqual(self.worker.ask(f"REPORT {name} 0 3 success"),
                         "OK unknown")
        self.assert_error(self.worker.ask(f"STATUS {name}"), "unknown_service")
        self.assertEqual(self.worker.ask(f"REPORT {name} 0 0 success"),
                         "OK applied")
        self.assertEqual(self.worker.service(name)["counters"]["success"], 1)

    def test_unknown_permit_and_future_generation(self):
        name = self.name()
        self.worker.ask(f"ACQUIRE {name}")
        self.assertEqual(
            self.worker.ask(f"REPORT {name} 9000000000000 0 success"),
            "OK unknown")
        self.assertEqual(self.worker.ask(f"REPORT {name} 0 1 success"),
                         "OK unknown")
        self.assertEqual(self.worker.service(name)["counters"]["success"], 0)

    def test_settles_once(self):
        name = self.name()
        self.set(name, max_concurrent=1)
        permit = Allow(self.worker.ask(f"ACQUIRE {name}")).permit
        self.assertEqual(self.worker.ask(f"REPORT {name} {permit} - success"),
                         "OK applied")
        self.assertEqual(self.worker.ask(f"REPORT {name} {permit} - success"),
                         "OK stale")
        counters = self.worker.service(name)["counters"]
        self.assertEqual((counters["success"], counters["stale"]), (1, 1))

    def test_with_another_services_name_is_stale(self):
        name, other = self.name(), self.name()
        self.set(name, max_concurrent=1)
        self.worker.ask(f"ACQUIRE {other}")
        permit = Allow(self.worker.ask(f"ACQUIRE {name}")).permit
        self.assertEqual(self.worker.ask(f"REPORT {other} {permit} - success"),
                         "OK stale")
        self.assertEqual(self.worker.service(name)["permits"]["in_use"], 1)

    def test_of_an_older_generation_is_stale(self):
        name = self.name()
        self.trip(name)
        self.assertEqual(self.worker.ask(f"REPORT {name} 0 0 failure"),
                         "OK stale")
        self.assertEqual(self.worker.ask(f"REPORT {name} 0 - success"),
                         "OK stale")
        self.assertEqual(self.worker.service(name)["state"], "open")

    def test_unknown_words(self):
        name = self.name()
        self.assertEqual(
            self.worker.ask(f"REPORT {name} 0 - failure - - - why not"),
            "OK applied")
        evidence = self.worker.service(name)["evidence"][0]
        self.assertEqual(evidence["text"], "why not")
        self.assertIsNone(evidence["latency_ms"])
        self.assertEqual(
            self.worker.ask(f"REPORT {name} 0 - failure 5 2+ 0 again"),
            "OK applied")

    def test_quiet_form_does_the_same(self):
        name = self.name()
        for _ in range(5):
            self.worker.tell(f"REPORTQ {name} 0 - failure 10 1 0 x")
        self.assertEqual(self.worker.service(name)["state"], "open")


class Tally(harness.SharedDaemonCase):
    def test_counts(self):
        name = self.name()
        self.worker.ask(f"ACQUIRE {name}")
        self.worker.tell(f"TALLYQ {name} allowed 41")
        self.worker.tell(f"TALLYQ {name} denied 7 open")
        self.worker.tell(f"TALLYQ {name} denied 2")
        counters = self.worker.service(name)["counters"]
        self.assertEqual((counters["allowed"], counters["denied"]), (42, 9))


class RetryReleaseRenew(harness.SharedDaemonCase):
    def test_grant_has_the_delay(self):
        name = self.name()
        self.set(name, jitter="none")
        grant = Grant(self.worker.ask(f"RETRY {name} 1 failure"))
        self.assertEqual((grant.service, grant.delay_ms), (name, 1000))
        self.assertEqual(
            Grant(self.worker.ask(f"RETRY {name} 2 timeout")).delay_ms, 2000)
        self.assertEqual(Grant(self.worker.ask(
            f"RETRY {name} 1 rate_limited 1234")).delay_ms, 1234)
        self.assertEqual(Grant(self.worker.ask(
            f"RETRY {name} 1 rate_limited 0")).delay_ms, 10000)
        self.assertEqual(Grant(self.worker.ask(
            f"RETRY {name} 1 rate_limited -")).delay_ms, 10000)

    def test_release_gives_a_token_back_once(self):
        name = self.name()
        self.set(name, retry_ratio=0, retry_min_per_sec="0.1")
        token = Grant(self.worker.ask(f"RETRY {name} 1 failure")).token
        self.assertEqual(Deny(self.worker.ask(f"RETRY {name} 1 failure")).reason,
                         "budget")
        self.assertEqual(self.worker.ask(f"RELEASE {token}"), "OK applied")
        self.assertEqual(self.worker.ask(f"RELEASE {token}"), "OK stale")
        Grant(self.worker.ask(f"RETRY {name} 1 failure"))

    def test_release_of_a_permit_is_cancelled(self):
        name = self.name()
        self.set(name, max_concurrent=1)
        permit = Allow(self.worker.ask(f"ACQUIRE {name}")).permit
        self.assertEqual(self.worker.ask(f"RELEASE {permit}"), "OK applied")
        self.assertEqual(self.worker.ask(f"RELEASE {permit}"), "OK stale")
        service = self.worker.service(name)
        self.assertEqual(service["counters"]["cancelled"], 1)
        self.assertEqual(service["permits"]["in_use"], 0)

    def test_release_and_renew_of_nothing_are_stale(self):
        for line in ("RELEASE 0", "RELEASE 9000000000000", "RENEW 0 1000",
                     "RENEW 9000000000000 5"):
            self.assertEqual(self.worker.ask(line), "OK stale")

    def test_renew_moves_the_deadline_both_ways(self):
        name = self.name()
        self.set(name, max_concurrent=1)
        permit = Allow(self.worker.ask(f"ACQUIRE {name} 1 0 300")).permit
        for _ in range(4):
            time.sleep(0.1)
            self.assertEqual(self.worker.ask(f"RENEW {permit} 5000"),
                             "OK applied")
        self.assertEqual(self.worker.service(name)["permits"]["in_use"], 1)
        self.assertEqual(self.worker.ask(f"RENEW {permit} 20"), "OK applied")
        harness.until(lambda: not self.worker.service(name)["permits"]["in_use"],
                      "the renewed lease to end")
        self.assertEqual(self.worker.ask(f"RENEW {permit} 20"), "OK stale")
        self.assertEqual(self.worker.ask(f"REPORT {name} {permit} - success"),
                         "OK stale")

    def test_renew_of_a_token_is_stale(self):
        name = self.name()
        token = Grant(self.worker.ask(f"RETRY {name} 1 failure")).token
        self.assertEqual(self.worker.ask(f"RENEW {token} 5000"), "OK stale")


class Ping(harness.SharedDaemonCase):
    def test_epoch_is_another_at_each_start(self):
        daemon = self.daemon().start()
        seen = []
        for _ in range(3):
            seen.append(int(daemon.worker().ask("PING").split(" ")[1]))
            daemon.kill()
            daemon.start()
        seen.append(int(daemon.worker().ask("PING").split(" ")[1]))
        self.assertEqual(len(set(seen)), 4, seen)


if __name__ == "__main__":
    harness.main()
