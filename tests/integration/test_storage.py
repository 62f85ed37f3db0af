# SPDX-License-Identifier: Apache-2.0
"""The database: what it gives back, corruption, a full disk, events after
commit."""
import glob
import json
import os
import random
import sqlite3
import time
import unittest

import harness
from brk import Allow, Deny
from test_directories import can_unshare


class Restart(harness.Case):
    """Rule 13: what survives a killed daemon, with the segment and without."""

    def prepared(self):
        daemon = self.daemon().start()
        worker, operator = daemon.worker(), daemon.operator()
        operator.document("SET limited max_concurrent 3")
        operator.document("SET probed recovery_timeout 20ms")
        for name in ("opened", "probed"):
            for _ in range(5):
                worker.ask(f"REPORT {name} 0 - failure 1000 1 0 down")
        for _ in range(3):
            worker.ask("REPORT shaky 0 - failure")
        worker.ask("REPORT held 0 - rate_limited 1 1 50000")
        operator.document("TRIP forced 600000 until ten")
        operator.document("BYPASS trusted -")
        self.permit = Allow(worker.ask("ACQUIRE limited")).permit
        harness.until(
            lambda: worker.service("probed")["state"] == "half_open",
            "the probe")
        self.probe = Allow(worker.ask("ACQUIRE probed"))
        operator.document("SET probed recovery_timeout 60s")
        for _ in range(4):
            worker.ask("RETRY shaky 1 failure")
        return daemon

    def statuses(self, daemon):
        document = daemon.operator().document("STATUS")
        return {s["name"]: s for s in document["services"]}

    def assert_same(self, before, after, passed_ms):
        for name in ("opened", "held", "forced", "trusted"):
            for key in ("state", "mode", "failed_rounds"):
                self.assertEqual(after[name][key], before[name][key],
                                 (name, key))
        for name, path in (("opened", "retry_after_ms"), ("held", "hold_ms")):
            gone = before[name][path] - after[name][path]
            self.assertTrue(0 <= gone <= passed_ms + 5,
                            f"{name}: {gone} ms of {passed_ms}")
        gone = (before["forced"]["override"]["expires_ms"]
                - after["forced"]["override"]["expires_ms"])
        self.assertTrue(0 <= gone <= passed_ms + 5, gone)
        self.assertEqual(after["forced"]["override"]["reason"], "until ten")
        self.assertIsNone(after["trusted"]["override"]["expires_ms"])

    def test_killed(self):
        daemon = self.prepared()
        start, before = time.monotonic(), self.statuses(daemon)
        daemon.kill()
        time.sleep(0.2)
        daemon.start()
        after = self.statuses(daemon)
        self.assert_same(before, after, (time.monotonic() - start) * 1000)
        for name in before:
            for key in ("generation", "reason", "consecutive_failures",
                        "window", "permits", "counters", "state"):
                self.assertEqual(after[name][key], before[name][key],
                                 (name, key))
        for key in ("granted", "denied", "balance"):
            self.assertEqual(after["shaky"]["retry_budget"][key],
                             before["shaky"]["retry_budget"][key])
        worker = daemon.worker()
        self.assertEqual(Deny(worker.ask("ACQUIRE probed")).reason, "half_open")
        self.assertEqual(
            worker.ask(f"REPORT probed {self.probe.permit} "
                       f"{self.probe.generation} success"), "OK applied")
        self.assertEqual(worker.ask(f"RELEASE {self.permit}"), "OK applied")
        new = Allow(worker.ask("ACQUIRE limited")).permit
        self.assertGreater(new, self.permit)
        self.assertEqual(len(worker.service("opened")["evidence"]), 5)

    def test_killed_and_the_segment_lost(self):
        daemon = self.prepared()
        time.sleep(1.3)  # counters are saved within a second
        start, before = time.monotonic(), self.statuses(daemon)
        daemon.kill()
        os.unlink(daemon.segment_path)
        time.sleep(0.2)
        daemon.start()
        after = self.statuses(daemon)
        self.assert_same(before, after, (time.monotonic() - start) * 1000)
        for name in before:
            self.assertEqual(after[name]["counters"], before[name]["counters"])
            self.assertEqual(after[name]["consecutive_failures"], 0, name)
            self.assertEqual(after[name]["permits"]["in_use"], 0)
        for name in ("opened", "held", "forced", "trusted"):
            self.assertEqual(after[name]["generation"],
                             before[name]["generation"] + 1024, name)
        self.assertEqual(after["opened"]["reason"], "consecutive_failures")
        self.assertIn((after["probed"]["state"], after["probed"]["reason"]),
                      [("half_open", "recovery_timeout"),
                       ("open", "restored")])
        worker = daemon.worker()
        probe = Allow(worker.ask("ACQUIRE probed"))
        self.assertEqual(probe.state, "half_open")
        self.assertEqual(worker.ask(f"RELEASE {self.permit}"), "OK stale")
        self.assertEqual(
            worker.ask(f"REPORT probed {self.probe.permit} - success"),
            "OK stale")
        new = Allow(worker.ask("ACQUIRE limited")).permit
        self.assertGreater(new, max(self.permit, self.probe.permit))
        rows = daemon.operator().document("HISTORY probed 1")["history"]
        self.assertEqual(rows[0]["service"], "probed")

    def test_forgotten_name_keeps_its_generation(self):
        for lose in (False, True):
            daemon = self.daemon().start()
            operator = daemon.operator()
            operator.document("TRIP s -")
            operator.document("RESET s")
            self.assertEqual(operator.document("FORGET s")["generation"], 2)
            daemon.kill()
            if lose:
                os.unlink(daemon.segment_path)
            daemon.start()
            self.assertGreaterEqual(
                Allow(daemon.worker().ask("ACQUIRE s")).generation, 3)


class Corrupt(harness.Case):
    def aside(self, daemon):
        return glob.glob(daemon.db + ".corrupt-*")

    def test_not_a_database_is_set_aside_with_one_line(self):
        daemon = self.daemon()
        with open(daemon.db, "wb") as f:
            f.write(b"this is no database at all" * 1000)
        daemon.start()
        self.assertTrue(self.aside(daemon))
        lines = [line for line in daemon.log().split("\n")
                 if "corrupt" in line]
        self.assertEqual(len(lines), 1, daemon.log())
        self.assertIn(daemon.db, lines[0])
        daemon.operator().document("TRIP s - works")
        self.assertEqual(len(
            daemon.operator().document("HISTORY s 5")["history"]), 1)

    def test_damaged_pages_while_the_segment_lives(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        for i in range(50):
            operator.document(f"TRIP s{i} - kept")
        self.assertEqual(daemon.stop(), 0)
        size = os.path.getsize(daemon.db)
        rng = random.Random(7)
        with open(daemon.db, "r+b") as f:
            for _ in range(200):
                f.seek(rng.randrange(100, size))
                f.write(rng.randbytes(16))
        daemon.start()
        status = daemon.operator().document("STATUS")
        self.assertEqual(
            sum(s["mode"] == "forced_open" for s in status["services"]), 50)
        daemon.operator().document("RESET s1")
        # What the segment gave back is in the new file too.
        daemon.kill()
        os.unlink(daemon.segment_path)
        daemon.start()
        status = daemon.operator().document("STATUS")
        self.assertEqual(
            sum(s["mode"] == "forced_open" for s in status["services"]), 49)

    def test_newer_schema_is_refused(self):
        daemon = self.daemon().start()
        daemon.stop()
        db = sqlite3.connect(daemon.db)
        db.execute("PRAGMA user_version = 99")
        db.commit()
        db.close()
        status, said = daemon.run()
        self.assertEqual(status, 1)
        self.assertRegex(said, "(?i)newer")
        self.assertFalse(self.aside(daemon))

    def test_edited_rows_cannot_stop_it(self):
        daemon = self.daemon().start()
        daemon.operator().document("TRIP good - kept")
        daemon.operator().document("TRIP bad -")
        daemon.stop()
        os.unlink(daemon.segment_path)
        db = sqlite3.connect(daemon.db)
        db.execute("UPDATE services SET state = 'ajar', generation = -5, "
                   "counters = '{' WHERE name = 'bad'")
        db.execute("INSERT INTO settings VALUES ('good', 'no_such_key', '1')")
        db.execute("INSERT INTO settings VALUES ('a,b', 'ramp', '1s')")
        db.commit()
        db.close()
        daemon.start()
        good = daemon.worker().service("good")
        self.assertEqual(good["override"]["reason"], "kept")


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "mounting a small tmpfs is not permitted here")
class FullDisk(harness.Case):
    def test_decisions_go_on_and_the_operator_is_told(self):
        daemon = self.daemon()
        daemon.prefix = ["unshare", "-m", "/bin/sh", "-c",
                         f"mount -t tmpfs -o size=512k tmpfs {daemon.db_dir};"
                         ' exec "$@"', "sh"]
        daemon.start()
        worker, operator = daemon.worker(), daemon.operator()
        operator.document("TRIP before - committed")
        filler = f"/proc/{daemon.pid}/root{daemon.db_dir}/filler"
        self.fill(filler)
        answer = self.until_refused(operator)
        self.assertRegex(answer, "^ERR unavailable ")
        self.assertRegex(answer, r"(?i)\bdisk\b")
        for i in range(200):
            Allow(worker.ask(f"ACQUIRE free{i % 10}"))
            worker.ask(f"REPORT free{i % 10} 0 - success")
        for _ in range(5):
            worker.ask("REPORT failing 0 - failure")
        self.assertEqual(Deny(worker.ask("ACQUIRE failing")).reason, "open")
        self.assertRegex(daemon.log(), r"(?i)\bdisk\b")
        os.unlink(filler)
        harness.until(
            lambda: operator.ask("TRIP again - space").startswith("OK "),
            "the disk to be used again", every_s=0.2)
        self.assertEqual(len(
            operator.document("HISTORY again 1")["history"]), 1)
        # What happened meanwhile is on disk as well.
        rows = operator.document("HISTORY failing 5")["history"]
        self.assertEqual([r["to"] for r in rows], ["open"])

    def fill(self, path):
        with open(path, "wb", buffering=0) as f:
            for size in (65536, 4096, 512):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass

    def until_refused(self, operator):
        """Room left in the log of SQLite may take a few more commands."""
        for i in range(3000):
            answer = operator.ask(f"TRIP fill{i % 50} - " + "x" * 90)
            if not answer.startswith("OK "):
                return answer
        self.fail("3,000 orders fit on a full disk")


class Events(harness.Case):
    def test_frames_and_json(self):
        daemon = self.daemon().start()
        events, worker = daemon.events(), daemon.worker()
        operator = daemon.operator()
        self.settle(events, operator)
        for _ in range(5):
            worker.ask("REPORT s 0 - failure")
        topic, body = events.receive()
        event = json.loads(body)
        self.assertEqual(topic, b"breaker.s")
        self.assertEqual(list(event), ["seq", "service", "from", "to", "mode",
                                       "reason", "generation", "actor", "at"])
        self.assertEqual(
            (event["service"], event["from"], event["to"], event["mode"],
             event["reason"], event["generation"]),
            ("s", "closed", "open", "auto", "consecutive_failures", 1))
        self.assertRegex(event["at"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        operator.document("RESET s fine again")
        topic, body = events.receive()
        after = json.loads(body)
        self.assertEqual((after["from"], after["to"], after["reason"]),
                         ("open", "closed", "operator"))
        self.assertGreater(after["seq"], event["seq"])
        self.assertEqual(after["actor"],
                         f"{os.getuid()}:{os.getgid()}:{os.getpid()}")

    def settle(self, events, operator):
        """Subscriptions take effect some time after connecting."""
        def heard():
            operator.ask_all("TRIP settle -", "RESET settle")
            return events.receive(0.05)
        harness.until(heard, "the subscription")
        while events.receive(0.1):
            pass

    def test_every_transition_in_order_and_in_history(self):
        daemon = self.daemon().start()
        events, operator = daemon.events(), daemon.operator()
        self.settle(events, operator)
        for i in range(100):
            operator.ask_all(f"TRIP a{i % 5} -", f"RESET a{i % 5}")
        got = [json.loads(events.receive()[1]) for _ in range(200)]
        seqs = [e["seq"] for e in got]
        self.assertEqual(seqs, list(range(seqs[0], seqs[0] + 200)))
        rows = operator.document("HISTORY * 200")["history"]
        keys = list(got[0])
        self.assertEqual([{k: r[k] for k in keys} for r in rows], got)

    def test_prefix_matches_more_and_whole_frames_do_not(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        events = daemon.events("breaker.gpt-4")
        harness.until(lambda: operator.document("TRIP gpt-4 -")
                      and operator.document("RESET gpt-4")
                      and events.receive(0.05), "the subscription")
        while events.receive(0.1):
            pass
        operator.document("TRIP mail -")
        operator.document("TRIP gpt-4o -")
        operator.document("TRIP gpt-4 -")
        self.assertEqual([events.receive()[0] for _ in range(2)],
                         [b"breaker.gpt-4o", b"breaker.gpt-4"])

    def test_what_was_published_is_committed(self):
        daemon = self.daemon().start()
        for round_ in range(10):
            events, worker = daemon.events(), daemon.worker()
            self.settle(events, daemon.operator())
            name = f"svc-{round_}"
            for _ in range(5):
                worker.tell(f"REPORTQ {name} 0 - failure")
            event = json.loads(events.receive()[1])
            daemon.kill()
            os.unlink(daemon.segment_path)
            daemon.start()
            rows = daemon.operator().document(f"HISTORY {name} 5")["history"]
            self.assertIn(event["seq"], [r["seq"] for r in rows])
            self.assertEqual(daemon.worker().service(name)["state"], "open")


if __name__ == "__main__":
    harness.main()
