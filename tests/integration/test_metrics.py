# SPDX-License-Identifier: Apache-2.0
"""What Prometheus sees: every number is what was done, it survives what it should,
and the dashboard and the rules speak of nothing else."""
import json
import os
import re
import shutil
import subprocess
import unittest

from brk import Deny, Grant
from ctl_case import DONE, FAILED, UNREACHABLE, USAGE, run
from exposition import Scrape, expressions
from harness import Case, main, until

ROOT = os.environ["BREAKERD_SOURCE"]
PATIENCE_S = 60
CONFIG = """
[service llm]
failure_threshold = 3
recovery_timeout = 1h
jitter = none
base_delay = 250ms
max_attempts = 3
[service held]
[service seen]
mode = observe
failure_threshold = 1
"""


class MetricsCase(Case):
    def started(self, config=CONFIG):
        return self.daemon(config=config).start()

    def scrape(self, daemon, *args, code=DONE):
        done = run("--dir", daemon.dir, "metrics", *args)
        self.assertEqual(done.code, code, done)
        return Scrape(done.out)

    def traffic(self, daemon):
        """A little of everything; what is asserted below is what is done here."""
        w, o = daemon.worker(), daemon.operator()
        w.ask_all("ACQUIRE llm", "ACQUIRE llm", "ACQUIRE llm", "ACQUIRE llm")
        w.ask_all("REPORT llm 0 - success 3000", "REPORT llm 0 - success 700000",
                  "REPORT llm 0 - rejected 90000000",
                  "REPORT llm 0 - cancelled 1000")
        self.assertEqual(Grant(w.ask("RETRY llm 1 failure")).delay_ms, 250)
        self.assertEqual(Grant(w.ask("RETRY llm 2 failure")).delay_ms, 500)
        Grant(w.ask("RETRY llm 1 rate_limited 2000"))
        self.assertEqual(Deny(w.ask("RETRY llm 3 failure")).reason,
                         "max_attempts")
        self.assertEqual(Deny(w.ask("RETRY llm 1 rejected")).reason,
                         "not_retryable")
        w.ask_all(*["REPORT llm 0 - failure"] * 3)
        self.assertEqual(Deny(w.ask("ACQUIRE llm")).reason, "open")
        w.tell("TALLYQ llm denied 40 open", "TALLYQ llm denied 2",
               "TALLYQ llm allowed 100", "TALLYQ nobody denied 1 open",
               "REPORTQ llm nonsense")
        self.assertEqual(w.ask("REPORT llm 0 0 success 1"), "OK stale")
        w.ask("REPORT held 0 - rate_limited 1000 1 60000")
        self.assertEqual(Deny(w.ask("ACQUIRE held")).reason, "rate_limited")
        w.ask("REPORT seen 0 - failure 1000")
        w.ask_all("ACQUIRE seen", "ACQUIRE seen")
        self.assertRegex(w.ask("RESET llm"), "^ERR forbidden")
        o.ask("TRIP other - for a test")
        # Everything is published before it is answered.
        w.ask("PING")


class Counted(MetricsCase):
    def test_every_number_is_what_was_done(self):
        daemon = self.started()
        self.traffic(daemon)
        s = self.scrape(daemon)
        llm = {"service": "llm"}
        self.assertEqual(s.value("breakerd_up"), 1)
        self.assertEqual(s.value("breakerd_services"), 4)
        self.assertEqual(s.value("breakerd_circuit_state", **llm), 1)
        self.assertEqual(s.value("breakerd_circuit_state", service="held"), 0)
        self.assertEqual(s.value("breakerd_circuit_opened_total", **llm), 1)
        for mode, name in (("auto", "llm"), ("observe", "seen"),
                           ("forced_open", "other")):
            self.assertEqual(
                s.value("breakerd_circuit_mode", service=name, mode=mode), 1)
            self.assertEqual(s.sum("breakerd_circuit_mode", service=name), 1)
        for outcome, count in (("success", 2), ("failure", 3), ("rejected", 1),
                               ("cancelled", 1), ("timeout", 0),
                               ("rate_limited", 0), ("critical", 0)):
            self.assertEqual(
                s.value("breakerd_calls_total", outcome=outcome, **llm), count)
        self.assertEqual(s.value("breakerd_reports_stale_total", **llm), 1)
        self.assertEqual(s.value("breakerd_calls_allowed_total", **llm), 104)
        rejected = "breakerd_calls_rejected_total"
        self.assertEqual(s.value(rejected, reason="open", **llm), 41)
        self.assertEqual(s.value(rejected, reason="none", **llm), 2)
        self.assertEqual(s.sum(rejected, **llm), 43)
        self.assertEqual(
            s.value(rejected, reason="rate_limited", service="held"), 1)
        self.assertEqual(s.value("breakerd_calls_would_reject_total",
                                 reason="open", service="seen"), 2)
        self.assertEqual(s.sum(rejected, service="seen"), 0)
        self.assertEqual(s.value("breakerd_circuit_transitions_total", **llm,
                                 **{"from": "closed", "to": "open"}), 1)
        self.assertEqual(s.sum("breakerd_circuit_transitions_total", **llm), 1)
        # Three failures of unknown duration and a cancelled call are left out.
        bucket = "breakerd_call_duration_seconds_bucket"
        for end, count in (("0.005", 1), ("0.5", 1), ("1", 2), ("60", 2),
                           ("+Inf", 3)):
            self.assertEqual(s.value(bucket, le=end, **llm), count, end)
        self.assertEqual(
            s.value("breakerd_call_duration_seconds_count", **llm), 3)
        self.assert_near(
            s.value("breakerd_call_duration_seconds_sum", **llm), 90.703, 1e-6)
        self.assertEqual(
            s.value("breakerd_retries_total", result="granted", **llm), 3)
        self.assertEqual(
            s.value("breakerd_retries_total", result="denied", **llm), 2)
        granted = "breakerd_retries_granted_total"
        self.assertEqual(s.value(granted, outcome="failure", **llm), 2)
        self.assertEqual(s.value(granted, outcome="rate_limited", **llm), 1)
        delay = "breakerd_retry_delay_seconds_total"
        self.assertEqual(s.value(delay, outcome="failure", **llm), 0.75)
        self.assertEqual(s.value(delay, outcome="rate_limited", **llm), 2)
        denied = "breakerd_retries_denied_total"
        self.assertEqual(s.value(denied, reason="max_attempts", **llm), 1)
        self.assertEqual(s.value(denied, reason="not_retryable", **llm), 1)
        self.assertGreater(s.value("breakerd_retry_budget_tokens", **llm), 6)
        self.assertEqual(
            s.value("breakerd_circuit_consecutive_failures_threshold", **llm), 3)
        self.assertEqual(s.value("breakerd_circuit_failure_ratio", **llm), 0.5)
        self.assertGreater(
            s.value("breakerd_hold_until_timestamp_seconds", service="held"),
            1.7e9)
        self.assertEqual(
            s.value("breakerd_hold_until_timestamp_seconds", **llm), 0)
        until_name = "breakerd_circuit_override_until_timestamp_seconds"
        self.assertEqual(s.value(until_name, service="other"), float("inf"))
        self.assertEqual(s.value(until_name, **llm), 0)
        # Of the daemon, which publishes them with the next heartbeat.
        errors = "breakerd_protocol_errors_total"
        until(lambda: self.scrape(daemon).value(errors, kind="forbidden") == 1,
              "the daemon's own counters")
        s = self.scrape(daemon)
        self.assertEqual(s.value(errors, kind="line"), 1)
        self.assertEqual(s.value(errors, kind="message"), 0)
        self.assertEqual(s.value("breakerd_reports_dropped_total"), 2)
        self.assertGreater(s.value("breakerd_messages_total"), 10)
        self.assertGreater(s.value("process_resident_memory_bytes"), 1e6)
        self.assertGreater(s.value("process_start_time_seconds"), 1.7e9)

    def test_time_open_goes_on_and_is_never_less(self):
        daemon = self.started()
        daemon.operator().ask("TRIP llm 300")
        last = 0

        def is_over():
            nonlocal last
            s = self.scrape(daemon)
            now = s.value("breakerd_circuit_open_seconds_total", service="llm")
            self.assertGreaterEqual(now, last)
            last = now
            return s.value("breakerd_circuit_state", service="llm") == 2
        until(is_over, "the end of the override")
        self.assert_near(last, 0.3, 0.05)

    def test_all_series_are_there_from_the_first_use(self):
        daemon = self.started()
        before = self.scrape(daemon)
        self.traffic(daemon)
        after = self.scrape(daemon)
        # Nothing new but the service that was made.
        new = {key for key in after.samples if ("service", "other") not in key[1]}
        self.assertEqual(set(before.samples) - new, set())
        self.assertEqual(new - set(before.samples), set())
        for name, labels in before.samples:
            if before.types.get(name) == "counter" and ("service", "llm") in labels:
                self.assertEqual(before.samples[name, labels], 0, (name, labels))

    def test_a_worker_tells_why_it_denied(self):
        """libbreaker decides from shared memory and says so at its end."""
        daemon = self.started()
        daemon.operator().ask("TRIP llm -")
        for _ in range(3):
            self.assertEqual(run("--dir", daemon.dir, "run", "llm", "--",
                                 "true").code, 75)
        until(lambda: self.scrape(daemon).value(
            "breakerd_calls_rejected_total", service="llm",
            reason="forced_open") == 3, "the workers' tallies")

    def test_by_the_names_of_resilience4j(self):
        daemon = self.started()
        self.traffic(daemon)
        s = self.scrape(daemon, "--compat", "resilience4j")
        r4j = "resilience4j_circuitbreaker_"
        for name, state in (("llm", "open"), ("held", "closed"),
                            ("other", "forced_open"), ("seen", "metrics_only")):
            self.assertEqual(s.value(r4j + "state", name=name, state=state), 1)
            self.assertEqual(s.sum(r4j + "state", name=name), 1)
        for kind, count, seconds in (("successful", 3, 90.703), ("failed", 3, 0),
                                     ("ignored", 1, 0)):
            self.assertEqual(
                s.value(r4j + "calls_seconds_count", name="llm", kind=kind),
                count)
            self.assert_near(
                s.value(r4j + "calls_seconds_sum", name="llm", kind=kind),
                seconds, 1e-6)
        self.assertEqual(s.value(r4j + "not_permitted_calls_total", name="llm",
                                 kind="not_permitted"), 43)
        self.assertEqual(
            s.value(r4j + "buffered_calls", name="llm", kind="failed"), 3)
        self.assertEqual(s.value(r4j + "failure_rate", name="llm"), -1)
        daemon.operator().ask("SET llm minimum_calls 6")
        s = self.scrape(daemon, "--compat", "resilience4j")
        self.assertEqual(s.value(r4j + "failure_rate", name="llm"), 50)
        self.assertEqual({name for name in s.names()
                          if not name.startswith(r4j)}, set())


class Survives(MetricsCase):
    def counters(self, scrape):
        """Of services, all that never falls."""
        return {key: value for key, value in scrape.samples.items()
                if re.search("_(total|bucket|count|sum)$", key[0])
                and dict(key[1]).get("service")
                and "open_seconds" not in key[0]}

    def test_a_kill_and_a_lost_segment(self):
        daemon = self.started()
        self.traffic(daemon)
        before = self.counters(self.scrape(daemon))
        daemon.kill()
        down = self.scrape(daemon)
        self.assertEqual(down.value("breakerd_up"), 0)
        self.assertEqual(self.counters(down), before)
        self.assertNotIn("breakerd_clients", down.names())
        daemon.start()
        self.assertEqual(self.counters(self.scrape(daemon)), before)
        # A clean end saves; without the segment it is as after a reboot.
        opened = self.scrape(daemon).value(
            "breakerd_circuit_open_seconds_total", service="other")
        self.assertEqual(daemon.stop(), 0)
        os.unlink(daemon.segment_path)
        daemon.start()
        s = self.scrape(daemon)
        self.assertEqual(self.counters(s), before)
        self.assertGreaterEqual(
            s.value("breakerd_circuit_open_seconds_total", service="other"),
            opened - 0.001)
        daemon.operator().ask("FORGET llm")
        daemon.worker().ask("ACQUIRE llm")
        self.assertEqual(self.scrape(daemon).sum(
            "breakerd_calls_rejected_total", service="llm"), 0)


class Printed(MetricsCase):
    def test_nobody_has_run_here(self):
        daemon = self.daemon()
        s = self.scrape(daemon, code=UNREACHABLE)
        self.assertEqual(s.samples, {("breakerd_up", frozenset()): 0})

    def test_a_file_is_replaced_as_a_whole(self):
        daemon = self.started()
        path = os.path.join(daemon.home, "breakerd.prom")
        for _ in range(2):
            self.scrape(daemon, "--file", path)
            with open(path, encoding="utf-8") as text:
                self.assertEqual(Scrape(text.read()).value("breakerd_up"), 1)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o644)
        self.assertEqual(
            [name for name in os.listdir(daemon.home) if ".prom" in name],
            ["breakerd.prom"])
        daemon.kill()
        self.scrape(daemon, "--file", path)
        with open(path, encoding="utf-8") as text:
            self.assertEqual(Scrape(text.read()).value("breakerd_up"), 0)
        done = run("--dir", daemon.dir, "metrics", "--file",
                   os.path.join(daemon.home, "none", "x.prom"))
        self.assertEqual(done.code, FAILED, done)
        self.assertRegex(done.err, "cannot make a file beside .*No such file")

    def test_mistakes_of_usage(self):
        daemon = self.daemon()
        done = run("--dir", daemon.dir, "metrics", "--compat", "opossum")
        self.assertEqual(done.code, USAGE, done)
        self.assertIn("--compat is resilience4j", done.err)
        self.assertEqual(run("metrics", "gpt-4").code, USAGE)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_finds_nothing(self):
        daemon = self.started()
        self.traffic(daemon)
        for words in ([], ["--compat", "resilience4j"]):
            done = subprocess.run(
                ["promtool", "check", "metrics"],
                input=self.scrape(daemon, *words).text, capture_output=True,
                text=True, timeout=PATIENCE_S, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr),
                             (0, ""))


class Observed(MetricsCase):
    def test_would_be_denials_are_told(self):
        daemon = self.started()
        self.traffic(daemon)
        self.assertEqual(
            len(re.findall("seen: would have denied a call \\(open\\)",
                           daemon.log())), 1)
        explained = run("--dir", daemon.dir, "explain", "seen")
        self.assertIn("let through by observe and else denied: 2 calls (open 2)",
                      explained.out)
        self.assertIn("would have denied 2",
                      run("--dir", daemon.dir, "status", "seen").out)
        # The rest comes in one line.
        daemon.worker().ask_all(*["ACQUIRE seen"] * 20)
        until(lambda: re.search(
            r"seen: would have denied 21 calls \(open 21\) in the last \d+ s",
            daemon.log()), "the line of ten seconds")


class Deployed(MetricsCase):
    """What is scraped holds every name that the files in deploy/ ask for."""

    def setUp(self):
        daemon = self.started()
        self.traffic(daemon)
        self.names = self.scrape(daemon).names()

    def asked(self, expression):
        return set(re.findall(r"\b(?:breakerd|process)_[a-z_]+", expression))

    def test_the_dashboard(self):
        path = os.path.join(ROOT, "deploy", "grafana", "breakerd.json")
        with open(path, encoding="utf-8") as text:
            dashboard = json.load(text)
        found = list(expressions(dashboard))
        self.assertGreater(len(found), 8)
        for expression in found:
            self.assertTrue(self.asked(expression) or expression == "prometheus",
                            expression)
            self.assertEqual(self.asked(expression) - self.names, set(),
                             expression)

        sources = {json.dumps(source) for source in self.sources(dashboard)}
        self.assertEqual(sources, {
            '{"type": "prometheus", "uid": "${datasource}"}'})

    def sources(self, node):
        """Every data source that something asks: one variable stands for it."""
        if isinstance(node, dict):
            if "datasource" in node:
                yield node["datasource"]
            node = list(node.values())
        for value in node if isinstance(node, list) else []:
            yield from self.sources(value)

    def test_the_rules(self):
        path = os.path.join(ROOT, "deploy", "prometheus", "rules.yml")
        with open(path, encoding="utf-8") as text:
            asked = self.asked("\n".join(
                line for line in text.read().splitlines() if "#" not in line))
        self.assertGreater(len(asked), 6)
        self.assertEqual(asked - self.names, set())


if __name__ == "__main__":
    main()
