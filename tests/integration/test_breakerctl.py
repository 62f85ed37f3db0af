# SPDX-License-Identifier: Apache-2.0
"""breakerctl: its command line, and what it shows of a running daemon."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from ctl_case import (BREAKERCTL, DONE, FAILED, NO_SERVICE, PATIENCE_S,
                      UNMET, UNREACHABLE, USAGE, CtlCase, Shared, environment,
                      run, run_on_terminal)
from harness import BREAKERD, main, until

HERE = os.path.dirname(os.path.abspath(__file__))
MANUALS = os.path.join(HERE, "..", "..", "docs", "man")
COMMANDS = ["status", "top", "explain", "check", "wait", "reset", "trip", "bypass",
            "observe", "auto", "set", "unset", "config", "reload", "history", "backup",
            "events", "run", "raw", "keygen", "completion", "doctor"]
DAEMON_FIELDS = ["running", "pid", "version", "epoch", "uptime_s", "services",
                 "workers"]
SERVICE_FIELDS = [
    "name", "state", "mode", "reason", "generation", "since_ms",
    "retry_after_ms", "hold_ms", "consecutive_failures", "failed_rounds",
    "ramp_step", "window", "permits", "override", "retry_budget", "counters"]
EVIDENCE_FIELDS = ["worker", "pid", "outcome", "latency_ms", "age_ms", "text"]


class CommandLine(CtlCase):
    """What needs no daemon."""

    def test_help_names_every_command(self):
        out = self.assert_quiet(self.assert_exit(run("--help"), DONE)).out
        for command in COMMANDS:
            self.assertRegex(out, rf"(?m)^  {command} ")
            own = self.assert_exit(run(command, "--help"), DONE).out
            self.assertIn(f"usage: breakerctl {command}", own)

    def test_version(self):
        out = self.assert_exit(run("--version"), DONE).out
        self.assertRegex(out, r"^breakerctl \d+\.\d+\.\d+\n$")

    def test_a_typing_error_gets_the_nearest_command(self):
        result = self.assert_exit(run("stauts"), USAGE)
        self.assertIn('did you mean "status"?', result.err)
        self.assertEqual(result.out, "")
        self.assert_exit(run(), USAGE)

    def test_a_typing_error_gets_the_nearest_option(self):
        result = self.assert_exit(run("reset", "--al"), USAGE)
        self.assertIn("--all", result.err)

    def test_bad_usage(self):
        for words in (["trip"], ["trip", "a", "b"], ["reset"],
                      ["reset", "a", "--all"], ["reset", "a", "--overrides"],
                      ["set", "a"], ["set", "a", "b"], ["unset", "a"],
                      ["check"], ["explain"], ["raw"], ["doctor", "a"],
                      ["status", "-o", "xml"], ["status", "--dir"],
                      ["status", "--reason", "a"], ["status", "--json=1"],
                      ["history", "-n", "0"], ["history", "-n", "x"],
                      ["trip", "a", "--for", "10"], ["trip", "a", "--for", "0s"],
                      ["trip", "a", "--reason", "two\nlines"],
                      ["trip", "a", "--reason", "x" * 1000],
                      ["trip", "*"], ["status", "a b"], ["status", "-"],
                      ["status", "x" * 64], ["config", "a", "b"]):
            result = self.assert_exit(run(*words), USAGE)
            self.assertEqual(result.out, "", repr(result))
            self.assertEqual(result.err.count("\n"), result.err.rstrip(
                "\n").count("\n") + 1, repr(result))

    def test_every_path_tried_is_named(self):
        home = tempfile.mkdtemp(prefix="breakerctl-test-")
        self.addCleanup(shutil.rmtree, home)
        if os.path.exists("/run/breakerd") or os.path.exists(
                f"/tmp/breakerd-{os.getuid()}"):
            self.skipTest("this machine runs a breakerd")
        for words in (["status"], ["reset", "a"], ["check", "a"], ["events"],
                      ["config"], ["raw", "PING"], ["explain", "a"]):
            result = self.assert_exit(
                run(*words, env={"XDG_RUNTIME_DIR": home}), UNREACHABLE)
            for path in (f"{home}/breakerd", "/run/breakerd",
                         f"/tmp/breakerd-{os.getuid()}"):
                self.assertIn(path, result.err)
            self.assertEqual(result.out, "")

    def test_a_directory_that_is_named_is_the_only_one_tried(self):
        result = self.assert_exit(
            run("status", env={"BREAKERD_DIR": "/nonexistent/a",
                               "RUNTIME_DIRECTORY": "/tmp"}), UNREACHABLE)
        self.assertIn("/nonexistent/a", result.err)
        self.assertNotIn("/run/breakerd", result.err)
        result = self.assert_exit(
            run("status", "--dir", "/nonexistent/b",
                env={"BREAKERD_DIR": "/nonexistent/a"}), UNREACHABLE)
        self.assertIn("/nonexistent/b", result.err)
        self.assertNotIn("/nonexistent/a", result.err)

    def test_what_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BREAKERCTL, "--help"], stdout=full,
                                  stderr=subprocess.PIPE, env=environment(),
                                  timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, FAILED)

    def test_the_manual_has_every_command(self):
        with open(os.path.join(MANUALS, "breakerctl.1"), encoding="utf-8") as f:
            page = f.read()
        for command in COMMANDS:
            self.assertRegex(page, rf"(?m)^\.It Cm {command}\b")


class Looking(Shared):
    config = "[service limited]\nmax_concurrent = 1\n" \
             "[route chat]\nservices = chat-a, chat-b\n"

    def test_status_json_has_exactly_the_fields_promised(self):
        name = self.name()
        self.say(name)
        document = self.assert_quiet(self.ctl("status", name, "--json")).json()
        self.assertEqual(list(document), ["schema", "daemon", "services"])
        self.assertEqual(document["schema"], 1)
        self.assertEqual(list(document["daemon"]), DAEMON_FIELDS)
        self.assertIs(document["daemon"]["running"], True)
        self.assertEqual(document["daemon"]["pid"], self.shared.pid)
        service, = document["services"]
        self.assertEqual(list(service), SERVICE_FIELDS + ["evidence"])
        self.assertEqual(list(service["evidence"][0]), EVIDENCE_FIELDS)
        self.assertEqual(len(service["evidence"]), 5)
        self.assertEqual(service["evidence"][0]["latency_ms"], 812)
        self.assertEqual(service["evidence"][0]["text"], "503")
        self.assertEqual(service["state"], "open")
        self.assertEqual(service["reason"], "consecutive_failures")
        self.assertEqual(service["window"]["failures"], 5)
        self.assertIsNone(service["override"])

    def test_status_says_what_the_daemon_says(self):
        name = self.name()
        self.say(name, times=2)
        self.say(name, "success", times=3)
        ours = self.ctl("-o", "json", "status", name).json()["services"][0]
        theirs = self.worker.service(name)
        for service in (ours, theirs):
            del service["since_ms"], service["retry_budget"]
            for row in service["evidence"]:
                del row["age_ms"]
        self.assertEqual(ours, theirs)

    def test_evidence_only_when_one_is_asked_for(self):
        one, two = self.name(), self.name()
        self.say(one, times=1)
        self.say(two, times=1)
        for words in ([], [one, two]):
            document = self.ctl("status", *words, "--json").json()
            for service in document["services"]:
                self.assertEqual(list(service), SERVICE_FIELDS)
            self.assertTrue({one, two} <= {
                s["name"] for s in document["services"]})
        names = [s["name"] for s in self.ctl("status", "--json").json()[
            "services"]]
        self.assertEqual(names, sorted(names))

    def test_status_table(self):
        name = self.name()
        self.say(name, text="connection reset")
        result = self.assert_quiet(self.ctl("status", name))
        head, row = result.out.splitlines()[:2]
        self.assertTrue(head.startswith("SERVICE"))
        self.assertRegex(row, rf"^{name} +open +auto +\S+ +\S+ +5 +5 \(100%\) "
                              r"+consecutive_failures$")
        self.assertRegex(result.out, r"failure +812ms .*connection reset")
        self.assertIn(name, self.ctl("status").out)

    def test_an_unknown_service_is_3_and_the_others_are_shown(self):
        name = "claude-3"
        self.say(name, times=1)
        result = self.ctl("status", name, name + "x", "--json", code=NO_SERVICE)
        self.assertEqual([s["name"] for s in result.json()["services"]], [name])
        self.assertIn(f"did you mean {name}?", result.err)
        for command in ("explain", "check", "history", "auto", "reset",
                        "config"):
            result = self.ctl(command, "never-seen-before", code=NO_SERVICE)
            self.assertEqual(result.out, "", repr(result))
            self.assertTrue(result.err)
        self.ctl("unset", "never-seen-before", "window", code=NO_SERVICE)

    def test_control_characters_of_workers_do_not_reach_the_terminal(self):
        name = self.name()
        self.say(name, times=1, text="caf\u00e9 \u009b31m")
        out = self.ctl("status", name).out
        self.assertIn("caf\u00e9", out)
        self.assertNotIn("\u009b", out)
        self.assertNotIn("\033", out)

    def test_colour_only_on_a_terminal_and_with_the_word(self):
        name = self.name()
        self.say(name)
        words = ["--dir", self.shared.dir, "status", name]
        code, shown = run_on_terminal(*words)
        self.assertEqual(code, DONE)
        self.assertIn("\033[31mopen\033[0m", shown)
        code, shown = run_on_terminal(*words, env={"NO_COLOR": "1"})
        self.assertNotIn("\033", shown)
        self.assertIn("open", shown)
        self.assertNotIn("\033", run_on_terminal(*words,
                                                 env={"TERM": "dumb"})[1])
        self.assertNotIn("\033", run(*words).out)
        self.assertNotIn("\033", run_on_terminal(*words, "--json")[1])

    def test_check(self):
        name = self.name()
        self.say(name, "success", times=1)
        self.assertIn("allowed", self.assert_quiet(self.ctl("check", name)).out)
        self.say(name)
        result = self.ctl("check", name, code=UNMET)
        self.assertRegex(result.out, r"^denied open\b")
        answer = self.ctl("check", name, "--json", code=UNMET).json()
        self.assertIs(answer["allowed"], False)
        self.assertEqual(answer["reason"], "open")
        self.assert_near(answer["retry_after_ms"], 60000, 10000)

    def test_times_are_rounded_up(self):
        name = self.name()
        self.set(name, recovery_timeout="90s")
        self.say(name, times=5)
        until(lambda: self.worker.service(name)["retry_after_ms"] < 90000,
              "some of the time")
        self.assertRegex(self.ctl("status", name).out, r" 1m (30|2\d)s ")
        self.assert_covers(lambda: self.ctl("status", name).out,
                           r" auto +\S+ +(\d+)m(?: (\d+)s)? ", name)
        self.assert_covers(lambda: self.ctl("check", name, code=UNMET).out,
                           r"look again in (\d+)m(?: (\d+)s)?$", name)
        self.assert_covers(lambda: self.ctl("explain", name).out,
                           r"next +in (\d+)m(?: (\d+)s)? \(", name)

    def assert_covers(self, show, pattern, name):
        """What is shown lies between what remains afterwards and a second more
        than what remained before."""
        before = self.worker.service(name)["retry_after_ms"]
        shown = re.search(pattern, show(), re.MULTILINE)
        after = self.worker.service(name)["retry_after_ms"]
        self.assertIsNotNone(shown, pattern)
        ms = 1000 * (60 * int(shown[1]) + int(shown[2] or 0))
        self.assertGreaterEqual(ms, after)
        self.assertLess(ms, before + 1000)

    def test_times_just_below_a_unit_are_the_next(self):
        for millis, shown in ((7199000, "2h"), (86399000, "1d"),
                              (172790000, "2d")):
            name = self.name()
            self.operator.document(f"TRIP {name} {millis}")
            self.assertRegex(self.ctl("check", name, code=UNMET).out,
                             rf"look again in {shown}$")

    def test_check_takes_no_permit_and_counts_nothing(self):
        name = self.name()
        self.set(name, recovery_timeout="20ms")
        self.say(name)
        until(lambda: self.state(name) == "half_open", "half_open")
        before = self.worker.service(name)
        for _ in range(3):
            self.ctl("check", name)
        after = self.worker.service(name)
        self.assertEqual(before["counters"], after["counters"])
        self.assertEqual(after["permits"], {"in_use": 0, "limit": 1})
        self.assertTrue(self.worker.ask(f"ACQUIRE {name}").startswith("ALLOW"))
        result = self.ctl("check", name, code=UNMET)
        self.assertRegex(result.out, r"^denied half_open\b")

    def test_check_sees_limit_hold_override_and_requires(self):
        self.worker.ask("ACQUIRE limited")
        self.assertRegex(self.ctl("check", "limited", code=UNMET).out,
                         r"^denied concurrency\b")
        name = self.name()
        self.worker.ask(f"REPORT {name} 0 - rate_limited - 1 30000")
        self.assertRegex(self.ctl("check", name, code=UNMET).out,
                         r"^denied rate_limited\b")
        self.ctl("observe", name)
        self.ctl("check", name)
        self.ctl("trip", name)
        self.assertRegex(self.ctl("check", name, code=UNMET).out,
                         r"^denied forced_open\b")
        needy = self.name()
        self.set(needy, requires=name)
        self.assertRegex(self.ctl("check", needy, code=UNMET).out,
                         r"^denied requires\b")
        self.ctl("bypass", needy)
        self.ctl("check", needy)

    def test_check_of_a_route_is_that_of_its_first_member_that_admits(self):
        self.worker.ask("ACQUIRE chat")
        self.ctl("trip", "chat-a")
        answer = self.ctl("check", "chat", "--json").json()
        self.assertEqual(answer["service"], "chat-b")
        self.ctl("trip", "chat-b", "--for", "10s")
        answer = self.ctl("check", "chat", "--json", code=UNMET).json()
        self.assertEqual((answer["service"], answer["reason"]),
                         ("chat-b", "forced_open"))

    def test_explain_names_rule_numbers_witnesses_and_what_is_next(self):
        name = self.name()
        self.worker.ask(f"HELLO 1 bot-3 {os.getpid()}")
        self.say(name, text="upstream is down")
        out = self.assert_quiet(self.ctl("explain", name)).out
        self.assertRegex(out, rf"^{name} is open \(mode auto\) for ")
        self.assertIn("failure_threshold is 5", out)
        self.assertIn("5 calls in a row failed", out)
        self.assertRegex(out, r"next +in (5\d(\.\d)?s|1m) \(at \d\d:\d\d:\d\d\) "
                              r"probing begins")
        self.assertIn("bot-3", out)
        self.assertIn("upstream is down", out)
        document = self.ctl("explain", name, "--json").json()
        self.assertEqual(document["rule"], "failure_threshold")
        self.assertEqual(document["evidence"][0]["worker"], "bot-3")
        self.assert_near(document["next_ms"], 60000, 10000)
        self.assertEqual(document["status"]["consecutive_failures"], 5)

    def test_explain_puts_workers_and_errors_together(self):
        name = self.name()
        pid, other = os.getpid(), self.relay(self.shared)
        self.worker.ask(f"HELLO 1 bot-3 {pid}")
        other.ask("HELLO 1 bot-4 -")
        self.say(name, times=3)
        for outcome, text in (("timeout", "no answer"), ("failure", "503")):
            other.ask(f"REPORT {name} 0 - {outcome} 9000 1 0 {text}")
        out = self.ctl("explain", name).out
        self.assertRegex(out, rf"seen +the last 5 outcomes against it came from "
                              rf"bot-3 \(pid {pid}\): 3, "
                              rf"bot-4 \(pid {other.process.pid}\): 2\n")
        self.assertRegex(out, r'failure "503": 4 times, the last \S+ ago\n')
        self.assertRegex(out, r'timeout "no answer": 1 time, the last ')
        document = self.ctl("explain", name, "--json").json()
        self.assertEqual(document["numbers"], {"consecutive_failures": 5,
                                               "failure_threshold": 5})
        self.assertEqual({(w["worker"], w["pid"], w["count"])
                          for w in document["workers"]},
                         {("bot-3", pid, 3), ("bot-4", other.process.pid, 2)})
        self.assertEqual({(e["outcome"], e["text"]): e["count"]
                          for e in document["errors"]},
                         {("failure", "503"): 4, ("timeout", "no answer"): 1})
        soon, = document["upcoming"]
        self.assertEqual(soon["what"], "probe")
        self.assertEqual(soon["in_ms"], document["next_ms"])

    def test_explain_gives_commands_that_work(self):
        name = self.name()
        self.say(name)
        commands = self.ctl("explain", name, "--json").json()["commands"]
        self.assertIn(f"do    {commands[0]} (", self.ctl("explain", name).out)
        self.assertEqual(commands[0], f"breakerctl reset {name}")
        for command in commands[:2]:
            self.ctl(*command.split()[1:])
        self.assertEqual(self.worker.service(name)["mode"], "bypass")
        commands = self.ctl("explain", name, "--json").json()["commands"]
        self.assertEqual(commands, [f"breakerctl auto {name}"])
        self.ctl(*commands[0].split()[1:])
        self.assertEqual(self.worker.service(name)["mode"], "auto")

    def test_explain_tells_every_instant_to_come(self):
        name, gateway = self.name(), self.name()
        self.set(gateway, recovery_timeout="90s")
        self.say(gateway)
        self.set(name, requires=gateway, ramp="100s", recovery_timeout="1ms",
                 success_threshold=1)
        self.say(name)
        until(lambda: self.state(name) == "half_open", "a probe to be due")
        self.operator.document(f"UNSET {name} requires")
        permit = self.worker.ask(f"ACQUIRE {name}").split(" ")
        self.worker.ask(f"REPORT {name} {permit[2]} {permit[3]} success")
        self.set(name, requires=gateway)
        self.worker.ask(f"REPORT {name} 0 - rate_limited 1 1 500000")
        self.operator.document(f"OBSERVE {name} 300000")
        document = self.ctl("explain", name, "--json").json()
        self.assertEqual([soon["what"] for soon in document["upcoming"]],
                         ["override_end", "hold_end", "requires", "ramp_step"])
        words = " ".join(document["next"])
        for part in ("the override (observe) ends in",
                     "calls would be denied until " + gateway,
                     "the ramp's step 1 of 10 ends in",
                     "asked everybody to wait"):
            self.assertIn(part, words)
        self.assertEqual(document["next_ms"], min(
            soon["in_ms"] for soon in document["upcoming"]))

    @unittest.skipUnless(os.path.exists(BREAKERD + "-prober"),
                         "breakerd-prober was not built")
    def test_explain_of_health_probes(self):
        name = self.name()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            self.set(name, failure_threshold=2, probe_interval="100ms",
                     probe_url=f"http://127.0.0.1:{port}/")
            until(lambda: self.worker.service(name)["state"] == "open",
                  "health probes to open it")
        out = self.ctl("explain", name).out
        self.assertRegex(out, r"health probes \(probe_url\) failed in a row, "
                              r"the last \d+ probes among them; "
                              r"failure_threshold is 2")
        self.assertIn("or as soon as probe_url answers well", out)
        self.assertRegex(out, r"breakerd +0 +probe: \w")

    def test_explain_of_every_rule(self):
        rate, slow, critical = self.name(), self.name(), self.name()
        self.set(rate, failure_threshold=0, failure_rate="50%",
                 minimum_calls=4)
        self.say(rate, "success", times=2)
        self.say(rate, "timeout", times=2)
        self.assertIn("2 of 4 calls in the last 60s failed (50%); failure_rate "
                      "is 50% from 4 calls on", self.ctl("explain", rate).out)
        self.set(slow, slow_call_duration="500ms", slow_call_rate="50%",
                 minimum_calls=2, window="10calls")
        self.say(slow, "success", times=2)
        self.assertIn("2 of 2 calls in the last 10 calls took longer than 500ms "
                      "(100%)", self.ctl("explain", slow).out)
        self.set(critical, on_critical="trip")
        self.say(critical, "critical", times=1)
        self.assertIn("on_critical is trip", self.ctl("explain", critical).out)

    def test_explain_of_an_operators_order(self):
        name = self.name()
        self.say(name, "success", times=1)
        self.ctl("trip", name, "--for", "10m", "--reason", "key rotation")
        out = self.ctl("explain", name).out
        self.assertIn("an operator ordered it", out)
        self.assertRegex(out, rf"uid:gid:pid {os.getuid()}:{os.getgid()}:\d+")
        self.assertIn("key rotation", out)
        self.assertRegex(out, r"override \(forced_open\) ends in (9m 5\ds|10m)")
        self.ctl("reset", name, "--reason", "all is well")
        self.assertIn("all is well", self.ctl("explain", name).out)

    def test_explain_while_half_open_and_held(self):
        name = self.name()
        self.set(name, recovery_timeout="20ms", recovery_multiplier=3)
        self.say(name)
        until(lambda: self.state(name) == "half_open", "half_open")
        out = self.ctl("explain", name).out
        self.assertIn("recovery_timeout is 20ms", out)
        self.assertIn("2 successful probes will close it; one failed probe opens "
                      "it again for 60ms", out)
        self.worker.ask(f"REPORT {name} 0 - rate_limited - 1 30000")
        out = self.ctl("explain", name).out
        self.assertIn("asked everybody to wait", out)
        self.assertRegex(out, r"denied \(rate_limited\) for another (29|30)")

    def test_config_tells_each_origin(self):
        name = self.name()
        self.set(name, window="30s")
        document = self.ctl("config", name, "--json").json()
        self.assertEqual(document["service"], name)
        self.assertEqual(document["config"]["window"],
                         {"value": "30s", "origin": "set"})
        self.assertEqual(document["config"]["jitter"]["origin"], "built-in")
        out = self.ctl("config", "limited").out
        self.assertRegex(out, r"(?m)^max_concurrent +1 +service$")
        self.assertRegex(self.ctl("config").out,
                         r"(?m)^max_concurrent +0 +built-in$")

    def test_the_manual_has_every_key_with_its_default(self):
        with open(os.path.join(MANUALS, "breakerd.conf.5"),
                  encoding="utf-8") as f:
            page = f.read()
        config = self.ctl("config", "--json").json()["config"]
        self.assertGreater(len(config), 35)
        for key, row in config.items():
            default = f" Pq Cm {re.escape(row['value'])}"
            self.assertRegex(
                page, rf"(?m)^\.It Cm {key}({default}| *)$", key)


if __name__ == "__main__":
    main()
