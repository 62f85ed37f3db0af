# SPDX-License-Identifier: Apache-2.0
"""Every reason to deny, over the wire, with its wait; and routes."""
import harness
from brk import Allow, Deny, Grant


class Reasons(harness.SharedDaemonCase):
    def deny(self, line):
        return Deny(self.worker.ask(line))

    def half_open(self, name):
        self.set(name, recovery_timeout="20ms")
        self.trip(name)
        harness.until(
            lambda: self.worker.service(name)["state"] == "half_open",
            "the open time to end")

    def test_open(self):
        name = self.name()
        self.trip(name)
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "open")
        self.assertTrue(59000 < deny.retry_after_ms <= 60000)
        self.assertEqual(self.worker.service(name)["counters"]["denied"], 1)

    def test_half_open(self):
        name = self.name()
        self.half_open(name)
        Allow(self.worker.ask(f"ACQUIRE {name} 1 0 500"))
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "half_open")
        self.assertTrue(0 < deny.retry_after_ms <= 500)

    def test_half_open_waits_at_most_a_second(self):
        name = self.name()
        self.half_open(name)
        Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual(self.deny(f"ACQUIRE {name}").retry_after_ms, 1000)

    def test_forced_open(self):
        name = self.name()
        self.operator.document(f"TRIP {name} 5000")
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "forced_open")
        self.assertTrue(4000 < deny.retry_after_ms <= 5000)

    def test_rate_limited(self):
        name = self.name()
        self.worker.ask(f"REPORT {name} 0 - rate_limited 1 1 7000")
        self.worker.ask(f"REPORT {name} 0 - rate_limited 1 1 3000")
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "rate_limited")
        self.assertTrue(6000 < deny.retry_after_ms <= 7000)

    def test_ramp(self):
        name = self.name()
        self.set(name, ramp="100s", success_threshold=1)
        self.half_open(name)
        allow = Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.worker.ask(f"REPORT {name} {allow.permit} - success")
        Allow(self.worker.ask(f"ACQUIRE {name}"))
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "ramp")
        self.assertTrue(9000 < deny.retry_after_ms <= 10000)
        answers = [self.worker.ask(f"ACQUIRE {name}") for _ in range(98)]
        self.assertEqual(sum(a.startswith("ALLOW") for a in answers), 9)
        self.assertEqual(self.worker.service(name)["ramp_step"], 1)

    def test_concurrency(self):
        name = self.name()
        self.set(name, max_concurrent=2)
        first = Allow(self.worker.ask(f"ACQUIRE {name}"))
        Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual(self.deny(f"ACQUIRE {name}").reason, "concurrency")
        self.worker.ask(f"REPORT {name} {first.permit} - success")
        Allow(self.worker.ask(f"ACQUIRE {name}"))

    def test_requires(self):
        name, other = self.name(), self.name()
        self.set(name, requires=other)
        Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.trip(other)
        deny = self.deny(f"ACQUIRE {name}")
        self.assertEqual(deny.reason, "requires")
        self.assertTrue(59000 < deny.retry_after_ms <= 60000)

    def test_budget(self):
        name = self.name()
        self.set(name, retry_min_per_sec=0)
        self.assertEqual(self.deny(f"RETRY {name} 1 failure").reason, "budget")
        self.assertEqual(self.deny(f"ACQUIRE {name} 2 0").reason, "budget")

    def test_max_attempts(self):
        name = self.name()
        Grant(self.worker.ask(f"RETRY {name} 2 failure"))
        self.assertEqual(self.deny(f"RETRY {name} 3 failure").reason,
                         "max_attempts")
        Grant(self.worker.ask(f"RETRY {name} 9 rate_limited"))
        self.assertEqual(self.deny(f"RETRY {name} 10 rate_limited").reason,
                         "max_attempts")

    def test_not_retryable(self):
        name = self.name()
        for outcome in ("rejected", "critical", "success", "cancelled"):
            self.assertEqual(self.deny(f"RETRY {name} 1 {outcome}").reason,
                             "not_retryable")

    def test_max_elapsed(self):
        name = self.name()
        self.assertEqual(self.deny(f"RETRY {name} 1 failure 300001").reason,
                         "max_elapsed")
        Grant(self.worker.ask(f"RETRY {name} 1 failure 300000"))

    def test_off(self):
        name = self.name()
        self.set(name, retries="off")
        self.assertEqual(self.deny(f"RETRY {name} 1 failure").reason, "off")

    def test_retry_while_open_or_held_longer_than_the_delay(self):
        name = self.name()
        self.trip(name)
        deny = self.deny(f"RETRY {name} 1 failure")
        self.assertEqual(deny.reason, "open")
        self.assertGreater(deny.retry_after_ms, 59000)
        Grant(self.worker.ask(f"RETRY {name} 1 failure 60000"))
        held = self.name()
        self.worker.ask(f"REPORT {held} 0 - rate_limited 1 1 30000")
        self.assertEqual(self.deny(f"RETRY {held} 1 failure").reason,
                         "rate_limited")
        Grant(self.worker.ask(f"RETRY {held} 1 rate_limited 30000"))

    def test_denied_acquire_keeps_the_token(self):
        name = self.name()
        grant = Grant(self.worker.ask(f"RETRY {name} 1 failure"))
        self.operator.document(f"TRIP {name} -")
        self.assertEqual(self.deny(f"ACQUIRE {name} 2 {grant.token}").reason,
                         "forced_open")
        self.operator.document(f"RESET {name}")
        Allow(self.worker.ask(f"ACQUIRE {name} 2 {grant.token}"))


class Routes(harness.SharedDaemonCase):
    config = """
[route chat]
services = first, second, third
[route pair]
services = left, right
"""

    def test_choose_the_first_that_admits(self):
        self.assertEqual(Allow(self.worker.ask("ACQUIRE chat")).service,
                         "first")
        self.operator.document("TRIP first 9000")
        self.assertEqual(Allow(self.worker.ask("ACQUIRE chat")).service,
                         "second")
        self.operator.document("TRIP second -")
        self.assertEqual(Allow(self.worker.ask("ACQUIRE chat")).service,
                         "third")
        self.worker.ask("REPORT third 0 - rate_limited 1 1 4000")
        denied = {n: self.worker.service(n)["counters"]["denied"]
                  for n in ("first", "second", "third")}
        deny = Deny(self.worker.ask("ACQUIRE chat"))
        self.assertEqual((deny.service, deny.reason), ("chat", "rate_limited"))
        self.assertTrue(3000 < deny.retry_after_ms <= 4000)
        for name, before in denied.items():
            self.assertEqual(self.worker.service(name)["counters"]["denied"],
                             before + 1)
        for name in denied:
            self.operator.document(f"RESET {name}")

    def test_token_serves_the_whole_route(self):
        grant = Grant(self.worker.ask("RETRY left 1 failure"))
        self.operator.document("TRIP left -")
        allow = Allow(self.worker.ask(f"ACQUIRE pair 2 {grant.token}"))
        self.assertEqual(allow.service, "right")
        self.assertEqual(
            Deny(self.worker.ask(f"ACQUIRE right 2 {grant.token}")).reason,
            "budget")
        self.operator.document("RESET left")
        stranger = Grant(self.worker.ask("RETRY other 1 failure"))
        self.assertEqual(
            Deny(self.worker.ask(f"ACQUIRE pair 2 {stranger.token}")).reason,
            "budget")

    def test_names_are_no_services(self):
        for line in ("REPORT chat 0 - success", "RETRY chat 1 failure",
                     "STATUS chat"):
            self.assertRegex(self.worker.ask(line),
                             "^ERR (bad_service|unknown_service) ")
        for line in ("TRIP chat -", "SET chat ramp 1s"):
            self.assert_error(self.operator.ask(line), "bad_service")


if __name__ == "__main__":
    harness.main()
