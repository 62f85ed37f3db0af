# SPDX-License-Identifier: Apache-2.0
"""breakerctl run: a command guarded as one call."""
import os
import signal
import subprocess
import tempfile
import time

from ctl_case import (BREAKERCTL, PATIENCE_S, USAGE, CtlCase, Shared,
                      environment, run)
from harness import die_with_parent, main, until

DENIED, TIMEOUT, NOT_STARTED, NOT_FOUND = 75, 124, 126, 127
FAST = {"base_delay": "20ms", "jitter": "none"}


class Run(Shared):
    def setUp(self):
        super().setUp()
        self.home = tempfile.TemporaryDirectory(prefix="breakerd-run-")
        self.addCleanup(self.home.cleanup)
        self.log = os.path.join(self.home.name, "log")

    def service(self, **values):
        name = self.name()
        self.set(name, **{**FAST, **values})
        return name

    def guard(self, service, script, *options, code=0, **kwargs):
        """Runs a shell script; each attempt adds a line to the log."""
        return self.ctl("run", service, *options, "--", "sh", "-c",
                        f"echo attempt >>{self.log}; {script}", code=code,
                        **kwargs)

    def attempts(self):
        try:
            with open(self.log, encoding="ascii") as f:
                return len(f.readlines())
        except FileNotFoundError:
            return 0

    def counted(self, service, **counts):
        """Reports travel by themselves: waits until all have come."""
        def counters():
            seen = self.worker.service(service)["counters"]
            return all(seen[key] == count for key, count in counts.items())
        until(counters, f"{counts} of {service}")

    def start(self, service, script, *options):
        child = subprocess.Popen(
            [BREAKERCTL, "--dir", self.shared.dir, "run", service, *options,
             "--", "sh", "-c", script], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env=environment(), preexec_fn=die_with_parent)
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child):
        if child.poll() is None:
            child.kill()
        child.communicate(timeout=PATIENCE_S)


class Outcomes(Run):
    def test_a_command_that_works_is_a_success(self):
        name = self.service()
        result = self.guard(name, "echo 'a b'; printf '\\001\\n' >&2")
        self.assertEqual((result.out, result.err), ("a b\n", "\x01\n"))
        self.counted(name, success=1, failure=0)

    def test_a_failure_is_retried_and_its_status_returned(self):
        name = self.service()
        result = self.guard(name, "exit 9", code=9)
        self.assertEqual(self.attempts(), 3)
        self.assertIn("attempt 1 of " + name, result.err)
        self.assertIn("exit status 9", result.err)
        self.counted(name, failure=3)

    def test_a_retry_that_works(self):
        name = self.service()
        self.guard(name, f"test $(wc -l <{self.log}) -ge 2 && echo good")
        self.assertEqual(self.attempts(), 2)
        self.counted(name, failure=1, success=1)

    def test_at_most_as_many_attempts_as_asked(self):
        self.guard(self.service(), "exit 75", "--max-attempts", "2", code=75)
        self.assertEqual(self.attempts(), 2)

    def test_statuses_that_mean_something(self):
        for status, outcome in ((64, "rejected"), (77, "critical"),
                                (78, "cancelled"), (66, "cancelled")):
            name = self.service()
            before = self.attempts()
            self.guard(name, f"exit {status}", code=status)
            self.assertEqual(self.attempts(), before + 1, outcome)
            self.counted(name, **{outcome: 1})

    def test_statuses_may_be_given_a_meaning(self):
        name = self.service()
        lists = ("--retry-on", "75,69", "--critical-on", "10-12",
                 "--reject-on", "20")
        self.guard(name, "exit 69", *lists, code=69)
        self.assertEqual(self.attempts(), 3)
        self.guard(name, "exit 11", *lists, code=11)
        self.guard(name, "exit 20", *lists, code=20)
        self.guard(name, "exit 1", *lists, code=1)
        self.assertEqual(self.attempts(), 6)
        self.counted(name, failure=3, critical=1, rejected=2)

    def test_a_command_that_cannot_be_started_is_no_verdict(self):
        name = self.service()
        result = self.ctl("run", name, "--", "/nonexistent/program",
                          code=NOT_FOUND)
        self.assertIn("cannot run /nonexistent/program", result.err)
        self.ctl("run", name, "--", "/", code=NOT_STARTED)
        self.counted(name, cancelled=2)

    def test_a_command_that_crashes_is_no_verdict(self):
        name = self.service()
        self.guard(name, "kill -SEGV $$", code=128 + signal.SIGSEGV)
        self.assertEqual(self.attempts(), 1)
        self.counted(name, cancelled=1, failure=0)


class Denied(Run):
    def test_a_denied_command_is_not_run(self):
        name = self.service()
        self.trip(name)
        result = self.guard(name, "true", code=DENIED)
        self.assertEqual(self.attempts(), 0)
        self.assertRegex(result.err, f"{name} is denied: open, again in ")

    def test_waiting_for_the_circuit(self):
        name = self.service(recovery_timeout="700ms")
        self.trip(name)
        start = time.monotonic()
        self.guard(name, "true", "--wait", "20s")
        self.assertGreater(time.monotonic() - start, 0.5)
        self.counted(name, success=1)

    def test_waiting_no_longer_than_asked(self):
        name = self.service()
        self.trip(name)
        start = time.monotonic()
        self.guard(name, "true", "--wait", "2s", code=DENIED)
        self.assertLess(time.monotonic() - start, 2)

    def test_failures_open_the_circuit_and_keep_their_status(self):
        name = self.service(failure_threshold=2)
        self.guard(name, "exit 9", code=9)
        self.assertEqual(self.attempts(), 2)
        self.assertEqual(self.state(name), "open")

    def test_retries_are_paid_from_the_budget(self):
        name = self.service(retry_min_per_sec=0, retry_ratio=0,
                            failure_threshold=0)
        self.guard(name, "exit 9", code=9)
        self.assertEqual(self.attempts(), 1)
        self.assertEqual(
            self.worker.service(name)["retry_budget"]["denied"], 1)

    def test_without_a_daemon_the_command_runs(self):
        with tempfile.TemporaryDirectory() as nowhere:
            result = run("--dir", nowhere, "run", "llm", "--", "echo", "good")
        self.assert_exit(result, 0)
        self.assertEqual(result.out, "good\n")


class Output(Run):
    def test_what_was_written_is_not_written_twice(self):
        name = self.service()
        result = self.guard(name, "echo half; exit 9", code=9)
        self.assertEqual((self.attempts(), result.out), (1, "half\n"))
        self.assertIn("it has written output", result.err)

    def test_unless_that_is_wanted(self):
        name = self.service()
        result = self.guard(name, "echo half; exit 9", "--retry-output",
                            code=9)
        self.assertEqual((self.attempts(), result.out), (3, "half\n" * 3))

    def test_words_on_stderr_are_no_output(self):
        self.guard(self.service(), "echo sorry >&2; exit 9", code=9)
        self.assertEqual(self.attempts(), 3)

    def test_much_output_arrives_whole(self):
        done = subprocess.run(
            [BREAKERCTL, "--dir", self.shared.dir, "run", self.service(),
             "--", "head", "-c", "3000000", "/dev/zero"],
            stdout=subprocess.PIPE, env=environment(), timeout=PATIENCE_S,
            check=True)
        self.assertEqual(done.stdout, bytes(3000000))

    def test_a_file_on_stdin_is_read_again(self):
        path = os.path.join(self.home.name, "input")
        with open(path, "w", encoding="ascii") as f:
            f.write("question\n")
        script = (f"read word; echo $word >>{self.log}; "
                  f"test $(wc -l <{self.log}) -ge 2")
        with open(path, encoding="ascii") as f:
            subprocess.run([BREAKERCTL, "--dir", self.shared.dir, "run",
                            self.service(), "--", "sh", "-c", script],
                           stdin=f, stderr=subprocess.DEVNULL,
                           env=environment(), timeout=PATIENCE_S, check=True)
        with open(self.log, encoding="ascii") as f:
            self.assertEqual(f.read(), "question\n" * 2)

    def test_nobody_waits_for_what_the_command_left_behind(self):
        start = time.monotonic()
        self.guard(self.service(), "sleep 20 2>/dev/null & echo good")
        self.assertLess(time.monotonic() - start, 10)

    def test_a_reader_that_goes_away_ends_the_command(self):
        child = self.start(self.service(), "yes; exit 3")
        child.stdout.read(100)
        child.stdout.close()
        self.assertEqual(child.wait(PATIENCE_S), 3)
        child.stdout = None


class Time(Run):
    def test_a_command_that_takes_too_long_is_a_timeout(self):
        name = self.service()
        start = time.monotonic()
        self.guard(name, "sleep 20", "--timeout", "300ms", "--max-attempts",
                   "2", code=TIMEOUT)
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(self.attempts(), 2)
        self.counted(name, timeout=2)

    def test_a_command_that_does_not_listen_is_killed(self):
        start = time.monotonic()
        self.guard(self.service(), "trap '' TERM; sleep 20; sleep 20",
                   "--timeout", "200ms", "--max-attempts", "1", code=TIMEOUT)
        self.assertGreater(time.monotonic() - start, 4.5)
        self.assertLess(time.monotonic() - start, 15)

    def test_a_signal_is_passed_on_and_ends_all(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            name = self.service()
            child = self.start(
                name, "trap 'echo bye; exit 5' TERM INT HUP; echo ready; "
                "while :; do sleep 0.05; done")
            self.assertEqual(child.stdout.readline(), b"ready\n")
            child.send_signal(number)
            self.assertEqual(child.stdout.readline(), b"bye\n")
            self.assertEqual(child.wait(PATIENCE_S), 5)
            self.counted(name, cancelled=1, failure=0)

    def test_a_signal_ends_the_wait_before_a_retry(self):
        name = self.service(base_delay="20s", retry_min_per_sec=2)
        whole = self.worker.service(name)["retry_budget"]["balance"]
        child = self.start(name, "exit 9")
        self.assertIn(b"the next in 20s", child.stderr.readline())
        start = time.monotonic()
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(PATIENCE_S), 128 + signal.SIGTERM)
        self.assertLess(time.monotonic() - start, 2)
        until(lambda: self.worker.service(name)["retry_budget"]["balance"]
              >= whole, "the token's refund")

    def test_a_long_command_keeps_its_lease(self):
        name = self.service(max_concurrent=1)
        child = self.start(name, "echo ready; exec sleep 5")
        child.stdout.readline()
        self.assertEqual(self.worker.service(name)["permits"]["in_use"], 1)
        self.guard(name, "true", code=DENIED)
        child.kill()
        until(lambda: self.worker.service(name)["permits"]["in_use"] == 0,
              "the permit of a killed run")


class Usage(CtlCase):
    def test_bad_usage(self):
        for words in (["run"], ["run", "llm"], ["run", "l l", "true"],
                      ["run", "--max-attempts", "0", "llm", "true"],
                      ["run", "--timeout", "5", "llm", "true"],
                      ["run", "--retry-on", "1,,2", "llm", "true"],
                      ["run", "--retry-on", "256", "llm", "true"],
                      ["run", "--critical-on", "9-1", "llm", "true"],
                      ["run", "--reject-on", "", "llm", "true"],
                      ["status", "--retry-output"]):
            result = self.assert_exit(run(*words), USAGE)
            self.assertEqual(result.out, "")
            self.assertEqual(len(result.err.splitlines()), 1, repr(result))


if __name__ == "__main__":
    main()
