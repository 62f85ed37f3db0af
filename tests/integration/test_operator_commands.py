# SPDX-License-Identifier: Apache-2.0
"""Operators' commands: what they answer, what they do, who may send them."""
import os
import re

import harness
from brk import Allow, Deny

ACTOR = f"{os.getuid()}:{os.getgid()}:{os.getpid()}"


class Forbidden(harness.SharedDaemonCase):
    def test_at_the_worker_endpoint(self):
        name = self.name()
        self.trip(name)
        for line in ("STATUS", f"RESET {name}", "RESET *", f"TRIP {name} -",
                     f"BYPASS {name} 1000", f"OBSERVE {name} - why",
                     f"AUTO {name}", "AUTO *", f"SET {name} ramp 1s",
                     f"UNSET {name} ramp", "RELOAD", f"HISTORY {name} 5",
                     "HISTORY * 5", "BACKUP new /nonexistent/a", f"FORGET {name}"):
            with self.subTest(line=line):
                self.assert_error(self.worker.ask(line), "forbidden")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["override"],
                          service["generation"]), ("open", None, 1))

    def test_workers_commands_work_at_the_operator_endpoint(self):
        name = self.name()
        answers = self.operator.ask_all(
            "PING", "HELLO 1 op 1", f"ACQUIRE {name}", f"CONFIG {name}",
            f"REPORT {name} 0 - success", f"RETRY {name} 1 failure",
            f"STATUS {name}", "RELEASE 0", "RENEW 0 1")
        self.assertEqual([a.split(" ")[0] for a in answers],
                         ["PONG", "OK", "ALLOW", "OK", "OK", "GRANT", "OK",
                          "OK", "OK"])


class NeverSeen(harness.SharedDaemonCase):
    def test_is_unknown_to_commands_that_make_nothing(self):
        for line in ("STATUS {}", "CONFIG {}", "RESET {}", "AUTO {}",
                     "UNSET {} ramp", "HISTORY {} 5", "FORGET {}"):
            name = self.name()
            with self.subTest(line=line):
                self.assert_error(self.operator.ask(line.format(name)),
                                  "unknown_service")
                self.assert_error(self.operator.ask(f"STATUS {name}"),
                                  "unknown_service")

    def test_is_made_by_the_others(self):
        for line in ("ACQUIRE {}", "REPORT {} 0 - success",
                     "RETRY {} 1 failure", "TRIP {} -", "BYPASS {} -",
                     "OBSERVE {} -", "SET {} ramp 1s"):
            name = self.name()
            with self.subTest(line=line):
                self.assertNotRegex(self.operator.ask(line.format(name)),
                                    "^ERR")
                self.assertEqual(self.worker.service(name)["name"], name)


class Overrides(harness.SharedDaemonCase):
    def test_trip(self):
        name = self.name()
        answer = self.operator.document(f"TRIP {name} - maintenance at noon")
        self.assertEqual((answer["service"], answer["state"], answer["mode"],
                          answer["generation"], answer["expires_ms"]),
                         (name, "open", "forced_open", 1, None))
        deny = Deny(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual((deny.service, deny.reason, deny.retry_after_ms),
                         (name, "forced_open", 0))
        service = self.worker.service(name)
        self.assertEqual(service["override"],
                         {"mode": "forced_open", "reason": "maintenance at noon",
                          "actor": ACTOR, "expires_ms": None})
        self.assertEqual((service["state"], service["reason"]),
                         ("open", "operator"))
        self.assertEqual(service["counters"]["opened"], 1)

    def test_trip_with_an_end_goes_half_open(self):
        name = self.name()
        answer = self.operator.document(f"TRIP {name} 300 short")
        self.assertLessEqual(answer["expires_ms"], 300)
        self.assertGreater(answer["expires_ms"], 0)
        deny = Deny(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual(deny.reason, "forced_open")
        self.assertTrue(0 < deny.retry_after_ms <= 300)
        harness.until(
            lambda: self.worker.service(name)["state"] == "half_open",
            "the order to end")
        service = self.worker.service(name)
        self.assertEqual((service["mode"], service["override"],
                          service["reason"], service["generation"]),
                         ("auto", None, "override_expired", 2))
        self.assertNotEqual(Allow(self.worker.ask(f"ACQUIRE {name}")).permit, 0)

    def test_auto_ends_a_trip(self):
        name = self.name()
        self.operator.ask(f"TRIP {name} -")
        answer = self.operator.document(f"AUTO {name} done")
        self.assertEqual((answer["state"], answer["mode"],
                          answer["override_removed"]),
                         ("half_open", "auto", True))
        self.assertIs(
            self.operator.document(f"AUTO {name}")["override_removed"], False)

    def test_bypass(self):
        name = self.name()
        self.trip(name)
        answer = self.operator.document(f"BYPASS {name} 60000 they promised")
        self.assertEqual((answer["state"], answer["mode"]),
                         ("closed", "bypass"))
        for _ in range(10):
            allow = Allow(self.worker.ask(f"ACQUIRE {name}"))
            self.assertEqual((allow.permit, allow.state), (0, "closed"))
            self.worker.ask(f"REPORT {name} 0 - failure")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["consecutive_failures"],
                          service["counters"]["failure"]), ("closed", 0, 15))
        self.operator.document(f"AUTO {name}")
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["window"]["calls"]),
                         ("closed", 0))

    def test_observe(self):
        name = self.name()
        answer = self.operator.document(f"OBSERVE {name} - first days")
        self.assertEqual((answer["state"], answer["mode"]),
                         ("closed", "observe"))
        self.trip(name)
        allow = Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual((allow.permit, allow.state), (0, "open"))
        counters = self.worker.service(name)["counters"]
        self.assertEqual((counters["would_deny"], counters["denied"]), (1, 0))

    def test_repeated_replaces_end_and_reason_only(self):
        name = self.name()
        first = self.operator.document(f"TRIP {name} - one")
        again = self.operator.document(f"TRIP {name} 50000 two")
        self.assertEqual(again["generation"], first["generation"])
        override = self.worker.service(name)["override"]
        self.assertEqual(override["reason"], "two")
        self.assertTrue(0 < override["expires_ms"] <= 50000)

    def test_auto_of_all(self):
        names = [self.name() for _ in range(3)]
        for name in names:
            self.operator.document(f"BYPASS {name} -")
        self.operator.document("AUTO * over")
        for name in names:
            self.assertIsNone(self.worker.service(name)["override"])

    def test_bad_words(self):
        name = self.name()
        for line in (f"TRIP {name}", f"TRIP {name} 0", f"TRIP {name} 5m",
                     f"TRIP {name} 9007199254740992", "BYPASS", "OBSERVE",
                     f"OBSERVE {name} soon", f"SET {name}", f"SET {name} ramp",
                     f"UNSET {name}", f"HISTORY {name} x", "FORGET", "RESET",
                     "AUTO"):
            with self.subTest(line=line):
                self.assert_error(self.operator.ask(line), "bad_request")


class Reset(harness.SharedDaemonCase):
    def test_closes(self):
        name = self.name()
        self.trip(name)
        answer = self.operator.document(f"RESET {name} fixed upstream")
        self.assertEqual((answer["service"], answer["state"],
                          answer["generation"], answer["override_removed"]),
                         (name, "closed", 2, False))
        service = self.worker.service(name)
        self.assertEqual((service["state"], service["consecutive_failures"],
                          service["window"]["calls"], service["reason"]),
                         ("closed", 0, 0, "operator"))
        self.assertEqual(service["counters"]["failure"], 5)

    def test_removes_the_override_and_says_so(self):
        name = self.name()
        self.operator.document(f"TRIP {name} -")
        answer = self.operator.document(f"RESET {name}")
        self.assertIs(answer["override_removed"], True)
        self.assertEqual((answer["state"], answer["mode"]), ("closed", "auto"))

    def test_of_all_names_the_overrides_it_leaves(self):
        tripped, forced = self.name(), self.name()
        self.trip(tripped)
        self.operator.document(f"TRIP {forced} - stays")
        answer = self.operator.document("RESET * new week")
        self.assertIn(forced, answer["overrides"])
        self.assertNotIn(tripped, answer["overrides"])
        self.assertGreaterEqual(answer["reset"], 1)
        self.assertEqual(self.worker.service(tripped)["state"], "closed")
        service = self.worker.service(forced)
        self.assertEqual((service["state"], service["mode"]),
                         ("open", "forced_open"))

    def test_voids_permits_and_ends_holds(self):
        name = self.name()
        self.set(name, max_concurrent=1)
        permit = Allow(self.worker.ask(f"ACQUIRE {name}")).permit
        self.worker.ask(f"REPORT {name} 0 - rate_limited 1 1 60000")
        self.assertEqual(Deny(self.worker.ask(f"ACQUIRE {name}")).reason,
                         "rate_limited")
        self.operator.document(f"RESET {name}")
        self.assertEqual(self.worker.ask(f"RELEASE {permit}"), "OK stale")
        Allow(self.worker.ask(f"ACQUIRE {name}"))


class Settings(harness.SharedDaemonCase):
    def test_set_and_unset(self):
        name = self.name()
        answer = self.operator.document(f"SET {name} failure_threshold 2")
        self.assertEqual(
            (answer["service"], answer["key"], answer["value"],
             answer["origin"]), (name, "failure_threshold", "2", "set"))
        self.trip(name, failures=2)
        answer = self.operator.document(f"UNSET {name} failure_threshold")
        self.assertEqual((answer["value"], answer["origin"]),
                         ("5", "built-in"))
        self.operator.document(f"RESET {name}")
        for _ in range(4):
            self.worker.ask(f"REPORT {name} 0 - failure")
        self.assertEqual(self.worker.service(name)["state"], "closed")

    def test_bad_ones_are_refused_with_the_nearest_key(self):
        name = self.name()
        self.assertRegex(
            self.operator.ask(f"SET {name} failure_treshold 2"),
            "^ERR bad_request .*failure_treshold.*failure_threshold")
        self.assert_error(self.operator.ask(f"SET {name} ramp soon"),
                          "bad_request")
        self.assert_error(self.operator.ask(f"SET {name} failure_rate 150%"),
                          "bad_request")
        self.assertRegex(self.operator.ask(f"UNSET {name} rampp"),
                         "^ERR (bad_request|unknown_service) ")

    def test_value_is_one_word_and_may_be_a_list(self):
        name = self.name()
        answer = self.operator.document(
            f"SET {name} retry_on failure,timeout and words of later versions")
        self.assertEqual(answer["value"], "failure,timeout")
        self.assertEqual(
            Deny(self.worker.ask(f"RETRY {name} 1 rate_limited")).reason,
            "not_retryable")

    def test_mode_is_a_change_at_once(self):
        name = self.name()
        self.operator.document(f"SET {name} mode observe")
        service = self.worker.service(name)
        self.assertEqual((service["mode"], service["generation"],
                          service["override"]), ("observe", 1, None))

    def test_reload_without_a_file(self):
        self.assertIn("services", self.operator.document("RELOAD"))


class Forget(harness.SharedDaemonCase):
    def test_then_comes_back_with_the_next_generation(self):
        name = self.name()
        self.trip(name)
        self.assertEqual(self.operator.document(f"FORGET {name}"),
                         {"service": name, "generation": 1})
        self.assert_error(self.worker.ask(f"STATUS {name}"), "unknown_service")
        allow = Allow(self.worker.ask(f"ACQUIRE {name}"))
        self.assertEqual((allow.generation, allow.state), (2, "closed"))

    def test_takes_settings_along(self):
        name = self.name()
        self.operator.document(f"SET {name} failure_threshold 1")
        self.operator.document(f"FORGET {name}")
        self.worker.ask(f"REPORT {name} 0 - failure")
        self.assertEqual(self.worker.service(name)["state"], "closed")


class History(harness.SharedDaemonCase):
    def test_rows(self):
        name = self.name()
        self.trip(name)
        self.operator.document(f"RESET {name} looks fine")
        self.operator.document(f"BYPASS {name} - trusted")
        rows = self.operator.document(f"HISTORY {name} 10")["history"]
        self.assertEqual(
            [(r["from"], r["to"], r["mode"], r["reason"], r["generation"])
             for r in rows],
            [("closed", "open", "auto", "consecutive_failures", 1),
             ("open", "closed", "auto", "operator", 2),
             ("closed", "closed", "bypass", "operator", 3)])
        self.assertEqual([r["text"] for r in rows[1:]],
                         ["looks fine", "trusted"])
        self.assertEqual([r["actor"] for r in rows], ["-", ACTOR, ACTOR])
        self.assertEqual({r["service"] for r in rows}, {name})
        for row in rows:
            self.assertRegex(
                row["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        seqs = [r["seq"] for r in rows]
        self.assertEqual(seqs, sorted(set(seqs)))

    def test_limit_keeps_the_newest(self):
        name = self.name()
        for i in range(6):
            self.operator.document(f"RESET {name} round {i}"
                                   if i else f"TRIP {name} - round 0")
        rows = self.operator.document(f"HISTORY {name} 2")["history"]
        self.assertEqual([r["text"] for r in rows], ["round 4", "round 5"])

    def test_of_all(self):
        first, second = self.name(), self.name()
        self.operator.document(f"TRIP {first} -")
        self.operator.document(f"TRIP {second} -")
        rows = self.operator.document("HISTORY * 2")["history"]
        self.assertEqual([r["service"] for r in rows], [first, second])

    def test_is_big(self):
        name = self.name()
        self.operator.document(f"TRIP {name} -")
        lines = [f"RESET {name} {i} " + "x" * 80 for i in range(500)]
        for i in range(0, 500, 100):
            for answer in self.operator.ask_all(*lines[i:i + 100]):
                self.assertTrue(answer.startswith("OK "), answer)
        rows = self.operator.document(f"HISTORY {name} 500")["history"]
        self.assertEqual([int(re.match(r"\d+", r["text"])[0]) for r in rows],
                         list(range(500)))


if __name__ == "__main__":
    harness.main()
