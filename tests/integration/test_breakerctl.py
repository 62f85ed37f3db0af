# SPDX-License-Identifier: Apache-2.0
"""breakerctl against real daemons: what it prints, where, and its exit status."""
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

from harness import Case, SharedDaemonCase, die_with_parent, main, until

BREAKERCTL = os.environ.get("BREAKERCTL", "breakerctl")
HERE = os.path.dirname(os.path.abspath(__file__))
MANUALS = os.path.join(HERE, "..", "..", "docs", "man")
PATIENCE_S = 30
NOBODY = 65534

DONE, FAILED, USAGE, NO_SERVICE, FORBIDDEN, UNMET, UNREACHABLE = 0, 1, 2, 3, 4, 6, 7

DAEMON_FIELDS = ["running", "pid", "version", "epoch", "uptime_s", "services",
                 "workers"]
SERVICE_FIELDS = [
    "name", "state", "mode", "reason", "generation", "since_ms",
    "retry_after_ms", "hold_ms", "consecutive_failures", "failed_rounds",
    "ramp_step", "window", "permits", "override", "retry_budget", "counters"]
EVIDENCE_FIELDS = ["worker", "pid", "outcome", "latency_ms", "age_ms", "text"]


def environment(extra=None):
    kept = {k: v for k, v in os.environ.items()
            if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")}
    kept.update({"HOME": "/nonexistent", "TERM": "xterm", "TZ": "UTC"})
    kept.update(extra or {})
    return kept


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return (f"breakerctl {' '.join(self.args)} ended {self.code}\n"
                f"stdout: {self.out}\nstderr: {self.err}")


def run(*args, env=None, uid=None, stdin=""):
    def before_exec():
        die_with_parent()
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)

    done = subprocess.run([BREAKERCTL, *args], input=stdin.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment(env), cwd="/", timeout=PATIENCE_S,
                          preexec_fn=before_exec, check=False)
    return Result(args, done.returncode, done.stdout.decode(),
                  done.stderr.decode())


def run_on_terminal(*args, env=None, answer=None):
    """With a terminal for stdin, stdout and stderr; (status, what it showed)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BREAKERCTL, [BREAKERCTL, *args], environment(env))
    shown = b""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        shown += some
        if answer is not None and b"[y/N]" in shown:
            os.write(terminal, answer.encode())
            answer = None
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), shown.decode()


class CtlCase(Case):
    def assert_exit(self, result, code):
        self.assertEqual(result.code, code, repr(result))
        return result

    def assert_quiet(self, result):
        self.assertEqual(result.err, "", repr(result))
        return result


class Shared(SharedDaemonCase, CtlCase):
    """Runs breakerctl against the daemon that the class shares."""

    def ctl(self, *args, code=DONE, **kwargs):
        result = run("--dir", self.shared.dir, "--db", self.shared.db, *args,
                     **kwargs) if "history" in args[:1] else run(
                         "--dir", self.shared.dir, *args, **kwargs)
        return self.assert_exit(result, code)

    def say(self, name, outcome="failure", times=5, text="503"):
        for _ in range(times):
            self.assertEqual(
                self.worker.ask(f"REPORT {name} 0 - {outcome} 812000 1 0 {text}"),
                "OK applied")

    def state(self, name):
        return self.worker.service(name)["state"]

    def history(self, name):
        return self.operator.document(f"HISTORY {name} 100")["history"]


class CommandLine(CtlCase):
    """What needs no daemon."""

    def test_help_names_every_command(self):
        out = self.assert_quiet(self.assert_exit(run("--help"), DONE)).out
        for command in COMMANDS:
            self.assertRegex(out, rf"(?m)^  {command} ")
            own = self.assert_exit(run(command, "--help"), DONE).out
            self.assertIn(f"usage: breakerctl {command}", own)
        for word in ("top", "run"):
            self.assertNotRegex(out, rf"(?m)^  {word} ")

    def test_version(self):
        out = self.assert_exit(run("--version"), DONE).out
        self.assertRegex(out, r"^breakerctl \d+\.\d+\.\d+\n$")

    def test_a_typing_error_gets_the_nearest_command(self):
        result = self.assert_exit(run("stauts"), USAGE)
        self.assertIn('did you mean "status"?', result.err)
        self.assertEqual(result.out, "")
        self.assert_exit(run("top"), USAGE)
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


COMMANDS = ["status", "explain", "check", "reset", "trip", "bypass", "observe",
            "auto", "set", "unset", "config", "reload", "history", "events",
            "raw", "doctor"]


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
        self.assertRegex(out, rf"^{name} is open \(mode auto\) since ")
        self.assertIn("failure_threshold is 5", out)
        self.assertIn("5 calls in a row failed", out)
        self.assertRegex(out, r"next +in (5\d|60)(\.\d)?s \(at \d\d:\d\d:\d\d\) "
                              r"probing begins")
        self.assertIn("bot-3", out)
        self.assertIn("upstream is down", out)
        document = self.ctl("explain", name, "--json").json()
        self.assertEqual(document["rule"], "failure_threshold")
        self.assertEqual(document["evidence"][0]["worker"], "bot-3")
        self.assert_near(document["next_ms"], 60000, 10000)
        self.assertEqual(document["status"]["consecutive_failures"], 5)

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


class Changing(Shared):
    def test_reset_closes_and_says_so(self):
        one, two = self.name(), self.name()
        self.say(one)
        self.say(two)
        result = self.assert_quiet(
            self.ctl("reset", one, two, "--reason", "fixed upstream"))
        for name in (one, two):
            self.assertRegex(result.out, rf"(?m)^{name} is reset and closed: "
                                         r"calls are let through")
            self.assertEqual(self.state(name), "closed")
            last = self.history(name)[-1]
            self.assertEqual(last["text"], "fixed upstream")
            self.assertEqual(last["reason"], "operator")
            self.assertRegex(last["actor"],
                             rf"^{os.getuid()}:{os.getgid()}:\d+$")

    def test_reset_of_a_name_removes_its_override(self):
        name = self.name()
        self.ctl("trip", name)
        self.assertIn("its override is removed", self.ctl("reset", name).out)
        self.assertIsNone(self.worker.service(name)["override"])

    def test_reset_goes_on_behind_a_name_nobody_knows(self):
        name = self.name()
        self.say(name)
        result = self.ctl("reset", "never-seen", name, code=NO_SERVICE)
        self.assertIn("never-seen", result.err)
        self.assertEqual(self.state(name), "closed")

    def test_reset_all_needs_yes_without_a_terminal(self):
        name = self.name()
        self.say(name)
        result = self.ctl("reset", "--all", code=USAGE)
        self.assertIn("--yes", result.err)
        self.ctl("reset", "--all", stdin="y\n", code=USAGE)
        self.assertEqual(self.state(name), "open")

    def test_reset_all_asks_on_a_terminal(self):
        name = self.name()
        self.say(name)
        words = ["--dir", self.shared.dir, "reset", "--all"]
        code, shown = run_on_terminal(*words, answer="n\n")
        self.assertIn("nothing was reset", shown)
        self.assertEqual((code, self.state(name)), (FAILED, "open"))
        code, shown = run_on_terminal(*words, answer="\n")
        self.assertEqual((code, self.state(name)), (FAILED, "open"))
        code, shown = run_on_terminal(*words, answer="y\n")
        self.assertEqual((code, self.state(name)), (DONE, "closed"), shown)

    def test_reset_all_keeps_overrides_and_names_them(self):
        name, other = self.name(), self.name()
        self.ctl("trip", name)
        self.say(other)
        result = self.ctl("reset", "--all", "--yes")
        self.assertRegex(result.out, r"^\d+ services reset")
        self.assertIn(name, result.err)
        self.assertEqual(self.worker.service(name)["mode"], "forced_open")
        self.assertEqual(self.state(other), "closed")
        document = self.ctl("reset", "--all", "--yes", "--json").json()
        self.assertIn(name, document["overrides"])
        self.ctl("reset", "--all", "--overrides", "--yes")
        service = self.worker.service(name)
        self.assertEqual((service["mode"], service["state"]),
                         ("auto", "closed"))
        self.assertEqual(self.ctl("reset", "--all", "--yes", "--json").json()[
            "overrides"], [])

    def test_each_override_says_what_happens_to_calls_and_until_when(self):
        name = self.name()
        for command, words, answer in (
                ("trip", "every call is denied", "DENY"),
                ("bypass", "every call is let through", "ALLOW"),
                ("observe", "what it would have denied is counted", "ALLOW")):
            result = self.assert_quiet(self.ctl(
                command, name, "--for", "10m", "--reason", "trying " + command))
            self.assertIn(words, result.out)
            self.assertRegex(result.out, r"until (\S+ )?\d\d:\d\d:\d\d "
                                         r"\(in (10m|9m 5\ds)\)")
            self.assertTrue(self.worker.ask(f"ACQUIRE {name}").startswith(
                answer))
            override = self.worker.service(name)["override"]
            self.assertEqual(override["reason"], "trying " + command)
            self.assert_near(override["expires_ms"], 600000, 20000)
        self.assertIn(f"until you say breakerctl auto {name}",
                      self.ctl("trip", name).out)
        self.assertIsNone(self.worker.service(name)["override"]["expires_ms"])
        result = self.ctl("auto", name)
        self.assertIn("its override is removed", result.out)
        self.assertIn("half open", result.out)
        self.assertIn("it had no override", self.ctl("auto", name).out)

    def test_an_override_ends_by_itself(self):
        name = self.name()
        self.ctl("trip", name, "--for", "300ms")
        self.assertEqual(self.state(name), "open")
        until(lambda: self.worker.service(name)["mode"] == "auto",
              "the override's end")

    def test_orders_as_json(self):
        name = self.name()
        document = self.ctl("trip", name, "--for=1m", "--json").json()
        self.assertEqual(
            (document["service"], document["state"], document["mode"]),
            (name, "open", "forced_open"))
        self.assert_near(document["expires_ms"], 60000, 5000)
        document = self.ctl("auto", name, "-ojson").json()
        self.assertIs(document["override_removed"], True)
        self.assertIsNone(document["expires_ms"])

    def test_set_several_and_unset(self):
        name = self.name()
        out = self.ctl("set", name, "failure_threshold=2", "window=30s").out
        self.assertIn(f"{name} failure_threshold = 2 (set)", out)
        self.assertIn(f"{name} window = 30s (set)", out)
        self.say(name, times=2)
        self.assertEqual(self.state(name), "open")
        out = self.ctl("unset", name, "failure_threshold").out
        self.assertIn(f"{name} failure_threshold = 5 (built-in)", out)
        self.assertIn('"set"', self.ctl("config", name, "--json").out)

    def test_set_refuses_all_when_one_is_bad(self):
        name = self.name()
        for pair, words in (("failure_treshold=3", "failure_threshold"),
                            ("window=long", "window"),
                            ("max_attempts=0", "max_attempts"),
                            ("window", "KEY=VALUE")):
            result = self.ctl("set", name, "success_threshold=7", pair,
                              code=USAGE)
            self.assertIn(words, result.err)
        self.ctl("config", name, code=NO_SERVICE)
        self.say(name, "success", times=1)
        result = self.ctl("unset", name, "windw", code=USAGE)
        self.assertIn("window", result.err)

    def test_history_tells_who_when_why(self):
        name = self.name()
        self.say(name)
        self.ctl("reset", name, "--reason", "deploy is out")
        result = self.assert_quiet(self.ctl("history", name))
        lines = result.out.splitlines()
        self.assertRegex(lines[1], rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{{3}}Z "
                                   rf"+{name} +closed -> open +auto "
                                   r"+consecutive_failures +1 +-$")
        self.assertRegex(lines[-1], r"open -> closed +auto +operator +2 +"
                                    r"\d+:\d+:\d+ +deploy is out$")
        rows = self.ctl("history", name, "-n", "1", "--json").json()["history"]
        self.assertEqual([r["text"] for r in rows], ["deploy is out"])
        self.assertEqual(list(rows[0]), [
            "seq", "at", "service", "from", "to", "mode", "reason",
            "generation", "actor", "text"])
        self.assertIn(name, self.ctl("history").out)

    def test_raw(self):
        name = self.name()
        result = self.assert_quiet(
            self.ctl("raw", "PING", f"ACQUIRE {name}", "NONSENSE"))
        lines = result.out.splitlines()
        self.assertRegex(lines[0], r"^PONG \d+$")
        self.assertEqual(lines[1], f"ALLOW {name} 0 0 closed")
        self.assertRegex(lines[2], r"^ERR unknown_command ")
        self.assertRegex(self.ctl("raw", f"RESET {name}").out,
                         r"^ERR forbidden ")
        self.assertRegex(self.ctl("raw", "--operator", f"RESET {name}").out,
                         r"^OK \{")
        self.assertRegex(self.ctl("raw", f"REPORTQ {name} 0 - failure",
                                  f"STATUS {name}").out,
                         r'^OK .*"consecutive_failures":1,')

    def test_raw_lines_without_an_answer_arrive_all_the_same(self):
        name = self.name()
        self.assertEqual(
            self.ctl("raw", f"REPORTQ {name} 0 - failure").out, "")
        self.assertEqual(self.worker.service(name)["counters"]["failure"], 1)


class Events(Shared):
    def follow(self, *words):
        process = subprocess.Popen(
            [BREAKERCTL, "--dir", self.shared.dir, "events", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
            preexec_fn=die_with_parent)

        def end():
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        self.addCleanup(end)
        self.assertIn("following", self.line(process.stderr))
        return process

    def line(self, pipe):
        self.assertTrue(select.select([pipe], [], [], PATIENCE_S)[0],
                        "no line came")
        return pipe.readline().decode()

    def first(self, process, name):
        """Trips and resets until the subscription has arrived."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.operator.document(f"TRIP {name} -")
            self.operator.document(f"RESET {name}")
            if select.select([process.stdout], [], [], 0.2)[0]:
                return self.line(process.stdout)
        self.fail("no event came")
        return None

    def test_one_line_an_event_at_once(self):
        name = self.name()
        process = self.follow(name)
        self.assertRegex(
            self.first(process, name),
            rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+Z  {name}  \S+")

    def test_json_lines_with_all_fields(self):
        name = self.name()
        process = self.follow(name, "--json")
        event = json.loads(self.first(process, name))
        self.assertEqual(sorted(event), sorted(
            ["seq", "service", "from", "to", "mode", "reason", "generation",
             "actor", "at"]))
        self.assertEqual(event["service"], name)

    def test_a_service_whose_name_goes_on_is_another(self):
        name = self.name()
        process = self.follow(name, "--json")
        self.first(process, name)
        for _ in range(3):
            self.operator.document(f"TRIP {name}-mini -")
            self.operator.document(f"RESET {name}-mini")
        self.operator.document(f"OBSERVE {name} -")
        while True:
            event = json.loads(self.line(process.stdout))
            self.assertEqual(event["service"], name)
            if event["mode"] == "observe":
                break

    def test_n_ends_it(self):
        name = self.name()
        process = self.follow("-n", "2")
        self.first(process, name)
        self.assertEqual(process.wait(PATIENCE_S), DONE)


class Down(CtlCase):
    """What is left when the daemon is not there."""

    def ctl(self, daemon, *args, code=DONE, **kwargs):
        return self.assert_exit(run("--dir", daemon.dir, *args, **kwargs), code)

    def tripped(self, name="gpt-4", **kwargs):
        daemon = self.daemon(**kwargs).start()
        worker = daemon.worker()
        for _ in range(5):
            worker.ask(f"REPORT {name} 0 - failure 812000 1 0 503")
        return daemon

    def test_status_right_after_kill(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "status", "gpt-4", "--json")
        self.assertIs(result.json()["daemon"]["running"], False)
        service, = result.json()["services"]
        self.assertEqual((service["state"], service["reason"]),
                         ("open", "consecutive_failures"))
        self.assertEqual(len(service["evidence"]), 5)
        self.assertIn("not running", result.err)
        self.assertIn("open", self.ctl(daemon, "status").out)
        self.assertIn("not running", self.ctl(daemon, "status").err)

    def test_status_after_a_clean_end(self):
        daemon = self.tripped()
        self.assertEqual(daemon.stop(), 0)
        result = self.ctl(daemon, "status", "--json")
        self.assertIs(result.json()["daemon"]["running"], False)
        self.assertIn("ended cleanly", result.err)

    def test_time_goes_on_while_it_is_down(self):
        daemon = self.daemon(
            config="[service fast]\nrecovery_timeout = 300ms\n").start()
        worker = daemon.worker()
        for _ in range(5):
            worker.ask("REPORT fast 0 - failure")
        daemon.kill()
        until(lambda: self.ctl(daemon, "status", "fast", "--json").json()[
            "services"][0]["state"] == "half_open", "half_open")
        self.ctl(daemon, "check", "fast")

    def test_check_and_explain_while_down(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "check", "gpt-4", code=UNMET)
        self.assertIn("not running", result.err)
        self.assertIn("failure_threshold",
                      self.ctl(daemon, "explain", "gpt-4").out)

    def test_commands_are_7_and_name_the_path(self):
        daemon = self.tripped()
        daemon.kill()
        for words in (["reset", "gpt-4"], ["trip", "gpt-4"],
                      ["auto", "gpt-4"], ["set", "gpt-4", "window=30s"],
                      ["config"], ["reload"], ["events"], ["raw", "PING"],
                      ["reset", "--all", "--yes"]):
            result = self.ctl(daemon, *words, code=UNREACHABLE)
            self.assertIn(daemon.dir, result.err)
            self.assertEqual(result.out, "")

    def test_a_daemon_that_hangs_does_not_hold_us_up(self):
        daemon = self.tripped()
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            result = self.ctl(daemon, "reset", "gpt-4", code=UNREACHABLE)
            self.assertLess(time.monotonic() - begin, 10)
            self.assertIn("did not answer", result.err)
            result = self.ctl(daemon, "status", "--json")
            self.assertIs(result.json()["daemon"]["running"], False)
            self.assertIn("hangs", result.err)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)

    def test_history_comes_from_the_database(self):
        daemon = self.tripped()
        daemon.operator().document("RESET gpt-4 all clear")
        before = self.ctl(daemon, "history", "--json").json()
        for end in (daemon.kill, lambda: daemon.start() and daemon.stop()):
            end()
            result = self.ctl(daemon, "history", "gpt-4", "--db", daemon.db,
                              "--json")
            self.assertEqual(
                result.json()["history"][:len(before["history"])],
                [r for r in before["history"] if r["service"] == "gpt-4"])
            self.assertIn(daemon.db, result.err)
        rows = self.ctl(daemon, "history", "-n", "1", "--db",
                        daemon.db).out.splitlines()
        self.assertEqual(len(rows), 2)
        self.ctl(daemon, "history", "nobody", "--db", daemon.db,
                 code=NO_SERVICE)
        self.assertEqual(daemon.start().stop(), 0)

    def test_history_from_nowhere_is_7(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "history", "--db", "/nonexistent/db",
                          code=UNREACHABLE)
        self.assertIn("/nonexistent/db", result.err)
        self.assertIn(daemon.dir, result.err)

    def test_history_of_a_file_that_is_none(self):
        daemon = self.tripped()
        daemon.kill()
        path = os.path.join(daemon.home, "noise")
        with open(path, "wb") as f:
            f.write(b"this is no database" * 100)
        self.ctl(daemon, "history", "--db", path, code=FAILED)

    def test_events_tell_when_it_goes_and_comes_back(self):
        daemon = self.tripped()
        process = subprocess.Popen(
            [BREAKERCTL, "--dir", daemon.dir, "events"], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent)
        try:
            for step, words in ((None, "following"), (daemon.kill, "gone"),
                                (daemon.start, "back")):
                if step is not None:
                    step()
                self.assertTrue(select.select([process.stderr], [], [],
                                              PATIENCE_S)[0], words)
                self.assertIn(words, process.stderr.readline().decode())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


class Distrust(CtlCase):
    """Shared memory that must not be believed."""

    def ctl(self, daemon, *args, code=DONE, **kwargs):
        return self.assert_exit(run("--dir", daemon.dir, *args, **kwargs), code)

    def check_falls_back(self, daemon, words):
        result = self.ctl(daemon, "status", "gpt-4", "--json")
        self.assertIn(words, result.err)
        self.assertEqual(result.json()["services"][0]["name"], "gpt-4")
        self.assertIn("evidence", result.json()["services"][0])
        document = self.ctl(daemon, "status", "gpt-4", "claude-3",
                            "--json").json()
        self.assertEqual([s["name"] for s in document["services"]],
                         ["gpt-4", "claude-3"])
        self.assertNotIn("evidence", document["services"][0])
        self.assertEqual(len(self.ctl(daemon, "status", "--json").json()[
            "services"]), 2)
        self.ctl(daemon, "check", "gpt-4", code=FAILED)

    def used(self):
        daemon = self.daemon().start()
        for name in ("gpt-4", "claude-3"):
            daemon.worker().ask(f"REPORT {name} 0 - success")
        return daemon

    def test_a_file_that_others_may_write(self):
        daemon = self.used()
        os.chmod(daemon.segment_path, 0o666)
        self.check_falls_back(daemon, "may write it")

    def test_a_link(self):
        daemon = self.used()
        moved = daemon.segment_path + ".moved"
        os.rename(daemon.segment_path, moved)
        os.symlink(moved, daemon.segment_path)
        self.check_falls_back(daemon, "cannot be used")

    def test_noise(self):
        daemon = self.used()
        with open(daemon.segment_path, "rb") as f:
            good = f.read()
        os.unlink(daemon.segment_path)
        for noise in (b"", b"x" * 100, os.urandom(len(good)),
                      good[:len(good) // 2], bytes(8) + good[8:]):
            with open(daemon.segment_path, "wb") as f:
                f.write(noise)
            os.chmod(daemon.segment_path, 0o640)
            self.check_falls_back(daemon, "cannot be used")

    def test_a_directory_in_its_place(self):
        daemon = self.used()
        os.unlink(daemon.segment_path)
        os.mkdir(daemon.segment_path, 0o755)
        self.check_falls_back(daemon, "cannot be used")

    @unittest.skipIf(os.getuid() != 0, "needs root to be somebody else")
    def test_another_users_file(self):
        daemon = self.used()
        os.chown(daemon.segment_path, NOBODY, NOBODY)
        self.check_falls_back(daemon, "owner")


@unittest.skipIf(os.getuid() != 0, "needs root to be somebody else")
class Permissions(CtlCase):
    def setUp(self):
        self.running = self.daemon().start()
        self.running.worker().ask("REPORT gpt-4 0 - success")

    def ctl(self, *args, code):
        # The tests' own directory may be closed to others; the binary is not.
        return self.assert_exit(
            run("--dir", self.running.dir, *args, uid=NOBODY), code)

    def setUpBinary(self):
        mode = os.stat(BREAKERCTL).st_mode
        if not mode & stat.S_IXOTH:
            self.skipTest("others may not run the binary")

    def test_operators_commands_are_4_with_the_remedy(self):
        self.setUpBinary()
        for words in (["reset", "gpt-4"], ["trip", "gpt-4"], ["reload"],
                      ["history"]):
            result = self.ctl(*words, code=FORBIDDEN)
            self.assertIn("operator.sock", result.err)
            self.assertIn("root", result.err)
            self.assertEqual(result.out, "")

    def test_looking_is_4_with_the_remedy(self):
        self.setUpBinary()
        for words in (["status"], ["check", "gpt-4"], ["explain", "gpt-4"],
                      ["config"], ["events"], ["raw", "PING"]):
            result = self.ctl(*words, code=FORBIDDEN)
            self.assertIn("group", result.err)

    def test_doctor_names_each_thing_this_user_may_not(self):
        self.setUpBinary()
        document = self.ctl("doctor", "--json", code=FAILED).json()
        results = {row["name"]: row for row in document["checks"]}
        for name in ("segment", "worker.sock", "protocol"):
            self.assertEqual(results[name]["result"], "fail", name)
            self.assertTrue(results[name]["remedy"], name)
        self.assertEqual(results["operator.sock"]["result"], "warn")


class Doctor(CtlCase):
    def examine(self, daemon, code):
        result = self.assert_exit(run("--dir", daemon.dir, "doctor", "--db",
                                      daemon.db, "--json"), code)
        document = result.json()
        rows = {row["name"]: row for row in document["checks"]}
        for row in rows.values():
            self.assertEqual(list(row), ["name", "result", "text", "remedy"])
            self.assertTrue(row["text"], row)
            self.assertEqual(row["result"] == "ok", row["remedy"] is None, row)
        for word in ("ok", "warn", "fail"):
            self.assertEqual(document[word], sum(
                row["result"] == word for row in rows.values()))
        return rows

    def assert_result(self, rows, name, result, words=""):
        self.assertEqual(rows[name]["result"], result, rows[name])
        self.assertIn(words, rows[name]["text"] + str(rows[name]["remedy"]))

    def test_a_healthy_daemon(self):
        daemon = self.daemon().start()
        rows = self.examine(daemon, DONE)
        for name in ("directory", "lock", "process", "segment", "heartbeat",
                     "worker.sock", "operator.sock", "events.sock", "group",
                     "protocol", "database"):
            self.assert_result(rows, name, "ok")
        words = self.assert_exit(run("--dir", daemon.dir, "doctor", "--db",
                                     daemon.db), DONE)
        self.assertRegex(words.out, r"(?m)^ok +lock +held by a running breakerd$")
        self.assertRegex(words.out, r"(?m)^\d+ ok, \d warn, 0 fail$")

    def test_the_lock_is_looked_at_and_not_taken(self):
        daemon = self.daemon().start()
        daemon.kill()
        doctors = [subprocess.Popen(
            [BREAKERCTL, "--dir", daemon.dir, "doctor"], env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent) for _ in range(4)]
        daemon.start()
        for doctor in doctors:
            doctor.wait(PATIENCE_S)
        self.examine(daemon, DONE)

    def test_a_dead_daemon(self):
        daemon = self.daemon().start()
        daemon.kill()
        rows = self.examine(daemon, FAILED)
        for name in ("lock", "process", "heartbeat", "worker.sock",
                     "operator.sock", "events.sock", "protocol"):
            self.assert_result(rows, name, "fail")
        self.assert_result(rows, "lock", "fail", "start breakerd")
        self.assert_result(rows, "process", "fail", "dead")
        self.assert_result(rows, "segment", "ok")

    def test_a_daemon_that_hangs(self):
        daemon = self.daemon().start()
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            time.sleep(1.2)
            rows = self.examine(daemon, FAILED)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        self.assert_result(rows, "heartbeat", "fail", "hangs")
        self.assert_result(rows, "process", "ok", "alive")
        self.assert_result(rows, "protocol", "fail")

    def test_wrong_modes(self):
        daemon = self.daemon().start()
        os.chmod(daemon.dir, 0o777)
        os.chmod(daemon.worker_path, 0o600)
        os.chmod(daemon.operator_path, 0o666)
        os.chmod(daemon.segment_path, 0o666)
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "directory", "fail", "0755")
        self.assert_result(rows, "worker.sock", "warn", "0660")
        self.assert_result(rows, "operator.sock", "warn", "0600")
        self.assert_result(rows, "segment", "fail", "may write it")

    def test_missing_things(self):
        daemon = self.daemon().start()
        os.unlink(daemon.events_path)
        os.unlink(os.path.join(daemon.dir, "breakerd.pid"))
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "events.sock", "fail", "missing")
        self.assert_result(rows, "process", "warn")

    def test_a_damaged_database(self):
        daemon = self.daemon().start()
        daemon.stop()
        with open(daemon.db, "r+b") as f:
            f.write(b"garbage" * 20)
        self.assert_result(self.examine(daemon, FAILED), "database", "fail")

    def test_nothing_at_all(self):
        result = self.assert_exit(
            run("--dir", "/nonexistent/dir", "doctor", "--json"), FAILED)
        rows = {row["name"]: row for row in result.json()["checks"]}
        self.assert_result(rows, "directory", "fail", "/nonexistent/dir")


class Reload(CtlCase):
    def test_reload_and_a_faulty_file(self):
        daemon = self.daemon(config="[defaults]\nfailure_threshold = 3\n")
        daemon.start()
        daemon.worker().ask("REPORT gpt-4 0 - success")
        daemon.configure("[defaults]\nfailure_threshold = 4\n")
        result = self.assert_exit(run("--dir", daemon.dir, "reload"), DONE)
        self.assertIn("1 service", result.out)
        self.assertEqual(self.threshold(daemon),
                         {"value": "4", "origin": "defaults"})
        daemon.configure("[defaults]\nfailure_treshold = 5\n")
        result = self.assert_exit(run("--dir", daemon.dir, "reload"), FAILED)
        self.assertIn(daemon.conf + ":2:", result.err)
        self.assertIn("failure_threshold", result.err)
        self.assertEqual(self.threshold(daemon)["value"], "4")

    def threshold(self, daemon):
        result = run("--dir", daemon.dir, "config", "gpt-4", "--json")
        return result.json()["config"]["failure_threshold"]


class Directories(CtlCase):
    def test_each_way_to_name_the_instance(self):
        daemon = self.daemon().start()
        home = os.path.dirname(daemon.dir)
        os.symlink(daemon.dir, os.path.join(home, "breakerd"))
        for env in ({"BREAKERD_DIR": daemon.dir},
                    {"XDG_RUNTIME_DIR": home}):
            document = self.assert_exit(run("status", "--json", env=env),
                                        DONE).json()
            self.assertEqual(document["daemon"]["pid"], daemon.pid)

    def test_nothing_used_yet(self):
        daemon = self.daemon().start()
        result = self.assert_exit(run("--dir", daemon.dir, "status"), DONE)
        self.assertEqual(result.out, "")
        self.assertIn("no service", result.err)
        document = self.assert_exit(
            run("--dir", daemon.dir, "status", "--json"), DONE).json()
        self.assertEqual(document["services"], [])


if __name__ == "__main__":
    main()
