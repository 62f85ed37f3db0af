# SPDX-License-Identifier: Apache-2.0
"""breakerctl: what changes things, and following events."""
import json
import os
import select
import signal
import subprocess
import time

from ctl_case import (BREAKERCTL, DONE, FAILED, NO_SERVICE, PATIENCE_S, USAGE,
                      CtlCase, Shared, environment, run, run_on_terminal)
from harness import die_with_parent, main, until


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

    def test_a_value_of_nothing_is_none(self):
        name = self.name()
        self.ctl("set", name, "requires=other")
        self.assertIn(f"{name} requires = - (set)",
                      self.ctl("set", name, "requires=").out)
        config = self.ctl("config", name, "--json").json()["config"]
        self.assertEqual(config["requires"], {"value": "", "origin": "set"})

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
            bufsize=0, preexec_fn=die_with_parent)

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

    def test_ctrl_c_ends_it_well(self):
        name = self.name()
        waiting = self.follow()
        waiting.send_signal(signal.SIGINT)
        self.assertEqual(waiting.wait(PATIENCE_S), DONE)
        busy = self.follow("--json")
        self.assertTrue(json.loads(self.first(busy, name)))
        busy.send_signal(signal.SIGINT)
        self.assertEqual(busy.wait(PATIENCE_S), DONE)
        ended = self.follow()
        ended.send_signal(signal.SIGTERM)
        self.assertEqual(ended.wait(PATIENCE_S), -signal.SIGTERM)

    def test_n_ends_it(self):
        name = self.name()
        process = self.follow("-n", "2")
        self.first(process, name)
        self.assertEqual(process.wait(PATIENCE_S), DONE)


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


if __name__ == "__main__":
    main()
