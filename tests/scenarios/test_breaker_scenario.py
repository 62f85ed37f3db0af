# SPDX-License-Identifier: Apache-2.0
"""What breaker-scenario itself does: that it notices what is wrong, in a scenario
and in a file. $BREAKER_SCENARIO names the program."""
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["BREAKER_SCENARIO"]


def play(*texts, options=()):
    """Plays files with these texts; the exit status and the lines printed."""
    with tempfile.TemporaryDirectory() as home:
        paths = []
        for number, text in enumerate(texts):
            path = os.path.join(home, f"{number}.brk")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            paths.append(path)
        done = subprocess.run([PROGRAM, *options, *paths], timeout=60,
                              stdout=subprocess.PIPE, check=False,
                              encoding="utf-8", errors="replace")
        lines = done.stdout.replace(home + "/", "").rstrip("\n").split("\n")
        return done.returncode, lines


class Outcomes(unittest.TestCase):
    """A line a file, the count alone on the last, the status."""

    def expect_failure(self, text, words, line):
        status, lines = play(text)
        self.assertEqual(lines[-1], "0 passed, 1 failed", lines)
        self.assertEqual(status, 1)
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith(f"FAIL 0.brk:{line}: "), lines)
        self.assertIn(words, lines[0])

    def test_the_example_holds(self):
        status, lines = play(
            "# A breaker trips, waits, lets one probe through, and closes.\n"
            "service llm failure_threshold=2 recovery_timeout=5s success_threshold=2\n"
            "\n"
            "   0ms  a  acquire llm               -> allow\n"
            " +10ms  a  report llm failure x2     -> open retry_after_ms=5000\n"
            "4900ms  a  acquire llm               -> deny open\n"
            "5010ms  a  acquire llm as P          -> allow state=half_open\n"
            "  +0ms  b  acquire llm               -> deny half_open\n"
            " +30ms  a  report P success          -> half_open\n"
            " +10ms  a  acquire llm as Q          -> allow\n"
            "  +5ms  a  report Q success          -> closed\n"
            "  +0ms  -  state llm                 -> closed generation=3 counters.success=2\n")
        self.assertEqual((status, lines), (0, ["ok   0.brk", "1 passed, 0 failed"]))

    def test_passed_and_failed_are_counted(self):
        good = "0ms a acquire llm -> allow\n"
        bad = "0ms a acquire llm -> deny\n"
        status, lines = play(good, bad, good)
        self.assertEqual(status, 1)
        self.assertEqual([line.split()[0] for line in lines],
                         ["ok", "FAIL", "ok", "2"])
        self.assertEqual(lines[-1], "2 passed, 1 failed")

    def test_a_wrong_word(self):
        self.expect_failure("# title\n\n0ms a acquire llm -> deny\n",
                            "expected deny, got allow", 3)

    def test_a_wrong_reason(self):
        self.expect_failure("0ms op trip llm\n0ms a acquire llm -> deny open\n",
                            "expected deny open, got deny forced_open", 2)

    def test_a_wrong_state(self):
        self.expect_failure("0ms a report llm failure -> open\n",
                            "expected open, got closed", 1)

    def test_a_wrong_number(self):
        self.expect_failure("0ms a report llm failure -> counters.failure=2\n",
                            "expected counters.failure=2, got 1", 1)

    def test_a_number_out_of_range(self):
        self.expect_failure("0ms a report llm failure x5 -> open retry_after_ms=1..59999\n",
                            "expected retry_after_ms=1..59999, got 60000", 1)

    def test_a_number_is_a_number(self):
        status, lines = play("0ms a report llm failure -> closed "
                             "window.failure_rate=1.0 counters.failure=01 "
                             "window.calls=0.5..1.5\n")
        self.assertEqual(status, 0, lines)

    def test_no_slack_without_a_clock(self):
        self.expect_failure("0ms a report llm failure x5 -> open retry_after_ms=59999\n",
                            "got 60000", 1)

    def test_no_such_field(self):
        self.expect_failure("0ms a acquire llm -> allow counters.nonsense=1\n",
                            "no such field", 1)

    def test_an_error_nobody_expects(self):
        self.expect_failure("0ms op set llm failure_treshold=1\n",
                            "failure_threshold", 1)

    def test_a_name_that_holds_nothing(self):
        self.expect_failure("0ms op trip llm\n0ms a acquire llm as P\n0ms a release P\n",
                            "P holds nothing", 3)

    def test_an_expectation_over_several_lines(self):
        self.expect_failure("0ms a report llm failure -> closed window.calls=1\n"
                            "  -> window.failures=1\n  -> window.slow=3 # no\n",
                            "expected window.slow=3, got 0", 1)

    def test_only_elsewhere(self):
        status, lines = play("on daemon\n0ms a acquire llm -> deny\n")
        self.assertEqual(status, 0)
        self.assertTrue(lines[0].startswith("skip 0.brk"), lines)
        self.assertEqual(lines[-1], "0 passed, 0 failed")

    def test_all_units_and_fractions(self):
        status, lines = play("1us - state llm -> unknown\n"
                             "0.5ms a acquire llm -> allow\n"
                             "+0.25s a acquire llm -> allow\n"
                             "1.5m a acquire llm -> allow\n"
                             "2h a acquire llm -> allow\n")
        self.assertEqual(status, 0, lines)

    def test_every_route_of_the_answer(self):
        status, lines = play(
            "service one mode=observe\nroute any services=one,two\n"
            "1ms a acquire any as P -> allow service=one permit=0 state=closed mode=observe\n"
            "1ms a report P failure -> closed name=one evidence.0.outcome=failure\n"
            "1ms a retry one failure as T -> grant service=one delay_ms=0..1000\n"
            "1ms - state one -> closed override=null daemon.running=true schema=1\n"
            "1ms a release T -> ok\n1ms a die\n1ms op bypass one -> bypass\n"
            "1ms op reset one -> observe\n")
        self.assertEqual(status, 0, lines)


class Refusals(unittest.TestCase):
    """A file that cannot be read: file, line, one sentence, status 2."""

    def expect_refusal(self, text, words, line):
        status, lines = play(text)
        self.assertEqual(lines[-1], "0 passed, 1 failed", lines)
        self.assertEqual(status, 2)
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith(f"FAIL 0.brk:{line}: "), lines)
        self.assertIn(words, lines[0])

    def test_words_that_mean_nothing(self):
        for text, words in (
                ("0ms a aquire llm", "did you mean acquire?"),
                ("0ms a dance llm", "dance is no verb"),
                ("soon a acquire llm", "soon is not a time"),
                ("5 a acquire llm", "5 is not a time"),
                ("0ms a acquire", "acquire what?"),
                ("0ms a", "a line is: time actor verb words"),
                ("0ms a acquire *", "not a service's name"),
                ("0ms a report llm sucess", "an outcome is one of"),
                ("0ms a report llm", "an outcome is one of"),
                ("0ms a acquire llm soon=1", "acquire does not understand soon=1"),
                ("0ms a acquire llm latency=1ms", "acquire takes no latency"),
                ("0ms a acquire llm ttl=5", "ttl=5 cannot be read"),
                ("0ms a acquire llm attempt=0", "attempt=0 cannot be read"),
                ("0ms a acquire llm attempt=1+", "cannot be read"),
                ("0ms a report llm success x0", "x0 is not x1"),
                ("0ms a acquire llm as", "as what?"),
                ("0ms a release P", "no line above says `as P`"),
                ("0ms a acquire llm token=T", "no line above says `as T`"),
                ("0ms a renew 1", "renew needs ttl=D"),
                ("0ms a kill", "only the daemon can kill"),
                ("0ms daemon acquire llm", "the daemon cannot acquire"),
                ("0ms op die", "only a worker can die"),
                ("0ms op set llm", "set which key?"),
                ("0ms op set llm ramp", "key=value"),
                ("0ms a acquire llm ->", "nothing is written"),
                ("0ms a acquire llm -> allow closed", "one word too many"),
                ("0ms a acquire llm -> allow x=5..1", "a range is two numbers"),
                ("0ms a acquire llm -> allow =1", "path=value"),
                ("-> open", "nothing before it"),
                ("service llm failure_treshold=1", "failure_threshold"),
                ("service llm failure_rate=2", "failure_rate"),
                ("service llm ramp=1s ramp=2s", "ramp is configured twice"),
                ("service llm ramp", "ramp is not key=value"),
                ("service", "service NAME key=value..."),
                ("service -", "not a service's name"),
                ("service llm -> open", "service expects no answer"),
                ("defaults nonsense=1", "nonsense"),
                ("env HOME=1", "no setting is read from HOME"),
                ("route any", "route NAME services=a,b"),
                ("route any services=any", "any is a route"),
                ("on moon", "on core, or on daemon"),
                ("daemon max_services=0", "daemon max_services=N")):
            with self.subTest(text):
                self.expect_refusal(text + "\n", words, 1)

    def test_time_does_not_go_back(self):
        self.expect_refusal("20ms a acquire llm\n\n10ms a acquire llm\n",
                            "10ms is before the time of the line above", 3)

    def test_a_name_is_no_service(self):
        self.expect_refusal("0ms a acquire llm as P\n0ms a acquire P\n",
                            "P is the name of a permit or token (line 1)", 2)
        self.expect_refusal("0ms a acquire llm\n0ms a acquire x as llm\n",
                            "llm is a service (line 1)", 2)

    def test_a_file_that_is_not_there(self):
        done = subprocess.run([PROGRAM, "/nonexistent/a.brk"], timeout=60,
                              stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout.splitlines(), [
            "FAIL cannot read /nonexistent/a.brk: No such file or directory",
            "0 passed, 1 failed"])

    def test_the_command_line(self):
        for arguments in ((), ("--core",), ("--nonsense", "x"),
                          ("--core", "--daemon", "x"), ("--client", "--daemon", "x")):
            done = subprocess.run([PROGRAM, *arguments], timeout=60,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, check=False)
            self.assertEqual(done.returncode, 2, arguments)
        done = subprocess.run([PROGRAM, "--help"], timeout=60,
                              stdout=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn("usage: breaker-scenario", done.stdout)

    def test_any_octets_at_all(self):
        """A damaged file is refused; it never takes the program with it."""
        import random
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}")
        draw = random.Random(seed)
        words = ["0ms", "+1ms", "a", "op", "daemon", "-", "acquire", "report",
                 "llm", "as", "P", "x2", "->", "#", "=", "..", "allow", "a=b",
                 "service", "route", "services=", "on", "set", "\n", "\r\n",
                 "\t", "env", "defaults", "kill", "attempt=", "-> a=1..2"]
        texts = [" ".join(draw.choices(words, k=draw.randrange(40)))
                 for _ in range(200)]
        texts += ["".join(chr(draw.randrange(1, 256)) for _ in range(80))
                  for _ in range(50)]
        status, lines = play(*texts)
        self.assertIn(status, (0, 1, 2))
        self.assertEqual(len(lines), len(texts) + 1)


if __name__ == "__main__":
    unittest.main()
