# SPDX-License-Identifier: Apache-2.0
"""breaker-scenario with real daemons: tolerances, and that nothing stays behind.
$BREAKER_SCENARIO and $BREAKERD name the programs."""
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.environ["BREAKER_SCENARIO"]


def descendants(pid):
    """Processes started by a process, and theirs."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(entry)] + descendants(int(entry))
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix="brk-")
        self.addCleanup(self.home.cleanup)
        self.place = os.path.join(self.home.name, "place")
        os.mkdir(self.place)
        self.env = dict(os.environ, TMPDIR=self.place)

    def start(self, text, *options, stage="--daemon"):
        path = os.path.join(self.home.name, "a.brk")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return subprocess.Popen([PROGRAM, stage, *options, path],
                                env=self.env, stdout=subprocess.PIPE, text=True)

    def play(self, text, *options, stage="--daemon"):
        with self.start(text, *options, stage=stage) as process:
            lines = process.communicate(timeout=60)[0].splitlines()
            self.assertEqual(os.listdir(self.place), [])
            return process.returncode, lines


class Real(Case):
    def test_a_failure_is_noticed_and_cleaned_up(self):
        status, lines = self.play("0ms a acquire llm -> allow\n"
                                  "100ms b acquire llm -> deny\n")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn(":2: expected deny, got allow", lines[0])

    def test_a_state_that_comes_a_little_late(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=200ms\n"
            "0ms a report llm failure -> open retry_after_ms=215\n"
            "190ms - state llm -> half_open\n"
            "+0ms a acquire llm -> allow\n")
        self.assertEqual(status, 0, lines)

    def test_a_state_that_comes_too_late(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=300ms\n"
            "0ms a report llm failure -> open\n"
            "150ms - state llm -> half_open\n")
        self.assertEqual(status, 1, lines)
        self.assertIn("expected half_open, got open", lines[0])

    def test_milliseconds_beyond_the_slack(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=300ms\n"
            "0ms a report llm failure -> open retry_after_ms=400\n")
        self.assertEqual(status, 1, lines)
        self.assertIn("expected retry_after_ms=400", lines[0])

    def test_an_allow_whose_fields_come_a_little_late(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=200ms mode=observe\n"
            "0ms a report llm failure -> open\n"
            "190ms a acquire llm as P -> allow state=half_open permit=1..99999\n"
            "+0ms a report P success -> half_open\n")
        self.assertEqual(status, 0, lines)

    def test_what_was_allowed_too_early_is_given_back(self):
        status, lines = self.play(
            "service llm max_concurrent=1\n"
            "service other failure_threshold=1 recovery_timeout=200ms "
            "max_concurrent=1\n"
            "route any services=other,llm\n"
            "0ms a report other failure -> open\n"
            "190ms a acquire any -> allow service=other\n"
            "+0ms - state llm -> closed permits.in_use=0 counters.cancelled=1..20\n"
            "+0ms - state other -> half_open permits.in_use=1\n")
        self.assertEqual(status, 0, lines)

    def test_an_allow_whose_fields_come_too_late(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=400ms mode=observe\n"
            "0ms a report llm failure -> open\n"
            "150ms a acquire llm -> allow state=half_open\n")
        self.assertEqual(status, 1, lines)
        self.assertIn('expected state=half_open, got "open"', lines[0])

    def test_a_call_that_spent_its_token_is_not_asked_again(self):
        status, lines = self.play(
            "service llm failure_threshold=9\n"
            "0ms a retry llm failure as T -> grant\n"
            "+0ms a acquire llm attempt=2 token=T -> allow state=half_open\n")
        self.assertEqual(status, 1, lines)
        self.assertIn('got "closed" (allow)', lines[0])

    def test_the_state_behind_an_order_comes_a_little_late(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=200ms\n"
            "0ms a report llm failure -> open\n"
            "190ms op observe llm -> observe state=half_open generation=3\n")
        self.assertEqual(status, 0, lines)

    def restarted(self, remains):
        return self.play(
            "service llm failure_threshold=1 recovery_timeout=5s\n"
            "0ms a report llm failure -> open\n"
            "100ms daemon lose-segment\n"
            f"+0ms - state llm -> open retry_after_ms={remains}\n"
            f"+0ms a acquire llm -> deny open retry_after_ms={remains}\n")

    def test_a_restart_makes_the_lines_behind_it_late(self):
        status, lines = self.restarted(4900)
        self.assertEqual(status, 0, lines)

    def test_lateness_excuses_no_wrong_value(self):
        for wrong in (4000, 4600, 5000, 5500):
            status, lines = self.restarted(wrong)
            self.assertEqual(status, 1, lines)
            self.assertIn(f"expected retry_after_ms={wrong}", lines[0])

    def test_a_denial_too_near_a_change_is_skipped(self):
        status, lines = self.play(
            "service llm failure_threshold=1 recovery_timeout=200ms\n"
            "0ms a report llm failure -> open\n"
            "195ms a acquire llm -> deny open\n")
        self.assertEqual(status, 0, lines)
        self.assertIn("(1 denial too near a change to judge)", lines[0])

    def test_a_long_file_waits_to_be_asked_for(self):
        status, lines = self.play("11s a acquire llm -> allow\n")
        self.assertEqual((status, lines[-1]), (0, "0 passed, 0 failed"))
        self.assertTrue(lines[0].startswith("skip "), lines)
        self.assertIn("--slow", lines[0])
        status, lines = self.play("10100ms a acquire llm -> allow\n", "--slow")
        self.assertEqual((status, lines[-1]), (0, "1 passed, 0 failed"))

    def test_a_daemon_that_is_down_does_not_answer(self):
        status, lines = self.play("0ms daemon kill\n50ms a acquire llm -> allow\n")
        self.assertEqual(status, 1)
        self.assertIn(":2: no answer", lines[0])

    def test_a_configuration_the_daemon_refuses(self):
        self.env["BREAKERD"] = "/bin/false"
        status, lines = self.play("0ms a acquire llm -> allow\n")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn("breakerd ended by itself with status 1", lines[0])

    def test_no_daemon_to_start(self):
        self.env["BREAKERD"] = "/nonexistent/breakerd"
        status, lines = self.play("0ms a acquire llm -> allow\n")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn("/nonexistent/breakerd", lines[0])

    def test_foreign_settings_do_not_reach_the_daemon(self):
        self.env.update(CIRCUIT_BREAKER_THRESHOLD="1", BREAKERD_DIR="/nonexistent")
        status, lines = self.play("0ms a report llm failure -> closed\n")
        self.assertEqual(status, 0, lines)

    def interrupt(self, number):
        """Ctrl-C in the middle: all ended, all removed, the count still told."""
        process = self.start("service llm max_concurrent=1\n"
                             "0ms a acquire llm\n0ms b acquire llm\n"
                             "9s a acquire llm -> allow\n")
        with process:
            until = time.monotonic() + 30
            while len(descendants(process.pid)) < 4:
                self.assertLess(time.monotonic(), until, "actors did not start")
                time.sleep(0.02)
            time.sleep(0.3)
            below = descendants(process.pid)
            process.send_signal(number)
            lines = process.communicate(timeout=30)[0].splitlines()
        self.assertEqual(process.returncode, 128 + number)
        self.assertEqual(lines[-1], "0 passed, 1 failed")
        self.assertIn("interrupted", lines[0])
        self.assertEqual(os.listdir(self.place), [])
        for pid in below:
            self.assertFalse(os.path.exists(f"/proc/{pid}"), pid)

    def test_interrupted(self):
        self.interrupt(signal.SIGINT)

    def test_terminated(self):
        self.interrupt(signal.SIGTERM)


class Library(Case):
    """Workers that speak through libbreaker."""

    def ways(self, lines):
        """Decided from memory, asked, told, of these by ring, lines."""
        self.assertIn("through the library: ", lines[-2])
        return tuple(int(n) for n in re.findall(r"\d+", lines[-2]))

    def through(self, text, **env):
        for name in ("BREAKERD_MODE", "BREAKERD_RING", "BREAKERD_TRANSPORT"):
            self.env.pop(name, None)
        self.env.update(env)
        return self.play(text, stage="--client")

    def test_each_way_is_gone(self):
        text = ("service llm failure_threshold=2\n"
                "0ms op set llm ramp=0 -> closed\n"
                "+0ms a acquire llm x3 as P -> allow state=closed permit=0\n"
                "+0ms a report P success -> closed counters.success=1\n"
                "+0ms a report llm failure x2 -> open counters.allowed=3\n"
                "+0ms b acquire llm -> deny open\n")
        for env, ways in (({}, (4, 0, 3, 3, 0)),
                          ({"BREAKERD_RING": "off"}, (4, 0, 3, 0, 0)),
                          ({"BREAKERD_MODE": "zmq"}, (0, 4, 3, 0, 0)),
                          ({"BREAKERD_TRANSPORT": "libzmq",
                            "BREAKERD_RING": "off"}, (4, 0, 3, 0, 0))):
            with self.subTest(env):
                status, lines = self.through(text, **env)
                self.assertEqual(status, 0, lines)
                self.assertEqual(self.ways(lines), ways)

    def test_a_wrong_answer_of_the_library_is_noticed(self):
        for expected, got in (("deny ramp", "got deny open"),
                              ("deny open retry_after_ms=1000",
                               "got 2"), ("allow", "got deny open")):
            status, lines = self.through(
                "service llm failure_threshold=1 recovery_timeout=30s\n"
                "0ms a report llm failure -> open\n"
                f"+0ms a acquire llm -> {expected}\n")
            self.assertEqual(status, 1, lines)
            self.assertIn(got, lines[0])

    def test_what_comes_too_late_is_told_so(self):
        status, lines = self.through(
            "service llm failure_threshold=1 max_concurrent=2\n"
            "0ms a acquire llm as P -> allow\n"
            "+0ms a acquire llm as Q -> allow\n"
            "+0ms b report llm failure -> open\n"
            "+0ms a report P success -> stale counters.stale=1\n"
            "+0ms a release Q -> stale\n")
        self.assertEqual(status, 0, lines)
        self.assertEqual(self.ways(lines)[4], 0)

    def test_what_the_library_never_says_goes_by_line(self):
        status, lines = self.through(
            "service llm max_concurrent=1\n"
            "0ms a acquire llm as P -> allow\n"
            "+0ms b report P success -> closed permits.in_use=0\n"
            "+0ms b release 999999999 -> stale\n")
        self.assertEqual(status, 0, lines)
        self.assertEqual(self.ways(lines)[4], 2)

    def test_nothing_to_say(self):
        status, lines = self.through("0ms op trip llm -> forced_open\n")
        self.assertEqual(status, 0, lines)
        self.assertIn("nothing in it is a worker's to say", lines[0])


if __name__ == "__main__":
    unittest.main()
