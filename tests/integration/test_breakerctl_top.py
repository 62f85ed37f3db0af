# SPDX-License-Identifier: Apache-2.0
"""breakerctl top in a real terminal, compared with what it looked like before."""
import contextlib
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import unittest

from ctl_case import (BREAKERCTL, DONE, FORBIDDEN, NOBODY, UNREACHABLE, USAGE,
                      CtlCase, environment, run)
from harness import main, until
from tmux import Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = re.compile(r"breakerd is running, .*")


def normal(screen):
    """What moves is taken out; a place that moves keeps its width."""
    screen = HEAD.sub("breakerd is running, ...", screen)
    screen = re.sub(r" +\S+( \S+)? old$", " ... old", screen, flags=re.M)
    # Times left and times since stand to the right of their column.
    screen = re.sub(r" +\d+(\.\d)?(ms|s|m|h)( \d+[smh])?(?= |$)",
                    lambda m: "TIME".rjust(len(m[0])), screen, flags=re.M)
    return "\n".join(line.rstrip() for line in screen.split("\n")).rstrip() + "\n"


class Prepared(CtlCase):
    """A daemon with services in every state."""

    def setUp(self):
        self.host = self.daemon(
            config="[service limited]\nmax_concurrent = 4\n"
                   "[service half-open]\nrecovery_timeout = 1ms\n"
                   "[service rated]\nfailure_rate = 50%\n").start()
        worker, operator = self.host.worker(), self.host.operator()
        for _ in range(5):
            worker.ask("REPORT gpt-4 0 - failure 812000 1 0 503")
            worker.ask("REPORT half-open 0 - failure")
        for outcome in ("failure", "success", "success", "success"):
            worker.ask(f"REPORT rated 0 - {outcome}")
        worker.ask("REPORT held 0 - rate_limited 1 1 500000")
        self.assertTrue(worker.ask("ACQUIRE limited").startswith("ALLOW"))
        operator.document("TRIP forced - maintenance")
        operator.document("BYPASS trusted -")
        until(lambda: worker.service("half-open")["state"] == "half_open",
              "a half-open service")

    def command(self, *args):
        return shlex.join([BREAKERCTL, "--dir", self.host.dir, "top", *args])


@unittest.skipUnless(shutil.which("tmux"), "needs tmux")
class Screens(Prepared):
    def terminal(self, columns, lines, *args, env=None):
        terminal = Terminal(columns, lines, environment(env))
        self.addCleanup(terminal.close)
        terminal.type(self.command("-d", "200ms", *args) + "; echo ended=$?")
        return terminal

    def assert_given_back(self, terminal, status=None):
        until(lambda: not terminal.is_alternate() and terminal.has_cursor(),
              "the terminal as it was")
        if status is not None:
            terminal.await_screen(f"ended={status}")
        terminal.type("echo raw=$(stty -a | grep -c -e '-icanon' -e '-echo ')")
        terminal.await_screen("raw=0")

    def compare(self, columns, lines):
        terminal = self.terminal(columns, lines, env={"NO_COLOR": "1"})
        # The second look has rates.
        shown = terminal.await_screen("by state", "X open", "0      0")
        path = os.path.join(HERE, "golden", f"top-{columns}x{lines}.txt")
        if os.environ.get("BREAKERD_TEST_RENEW"):
            with open(path, "w", encoding="utf-8") as f:
                f.write(normal(shown))
        with open(path, encoding="utf-8") as f:
            self.assertEqual(normal(shown), f.read(), shown)
        self.assertTrue(terminal.is_alternate())
        self.assertFalse(terminal.has_cursor())
        terminal.press("q")
        self.assert_given_back(terminal, DONE)

    def test_80_by_24(self):
        self.compare(80, 24)

    def test_200_by_50(self):
        self.compare(200, 50)

    def test_keys_do_what_help_says(self):
        terminal = self.terminal(80, 24)
        terminal.await_screen("> forced")
        terminal.press("n")
        terminal.await_screen("by name")
        terminal.press("n")
        terminal.await_screen("by name, reversed")
        terminal.press("?")
        terminal.await_screen("this help", "Esc goes back")
        terminal.press("Escape")
        terminal.await_screen("by name, reversed")
        terminal.press("/")
        terminal.press("-l", "gpt")
        terminal.await_screen("/gpt_")
        terminal.press("Enter")
        shown = terminal.await_screen("only *gpt*: 1", "> gpt-4")
        self.assertNotIn("forced", shown)
        terminal.press("Enter")
        terminal.await_screen("5 calls in a row failed", "failure_threshold is 5",
                              "breakerctl reset gpt-4")
        terminal.press("Escape")
        terminal.await_screen("only *gpt*: 1")
        terminal.press("Escape")
        terminal.await_screen("forced")
        terminal.press("Space")
        terminal.await_screen("PAUSED")
        self.host.operator().document("RESET gpt-4")
        terminal.press("Space")
        until(lambda: "PAUSED" not in terminal.screen(), "it going on")
        until(lambda: re.search(r"gpt-4 +- closed", terminal.screen()),
              "the change on the screen")
        terminal.press("q")
        self.assert_given_back(terminal, DONE)

    def test_arrows_select(self):
        terminal = self.terminal(80, 24)
        terminal.press("n")
        terminal.await_screen("by name")
        terminal.press("Home")
        terminal.await_screen("> forced")
        terminal.press("Down")
        terminal.await_screen("> gpt-4")
        terminal.press("k")
        terminal.await_screen("> forced")
        terminal.press("PageDown")
        terminal.await_screen("> trusted")

    def test_another_size_is_another_screen(self):
        terminal = self.terminal(80, 24)
        terminal.await_screen("BUDGET", "by state")
        terminal.resize(40, 10)
        until(lambda: "BUDGET" not in terminal.screen() and
              "FAILED" in terminal.screen(), "a small screen")
        self.assertLessEqual(max(map(len, terminal.screen().split("\n"))), 40)
        terminal.resize(160, 30)
        terminal.await_screen("REASON", "consecutive_failures")

    def test_a_daemon_that_dies_is_shown_dead_and_back(self):
        terminal = self.terminal(80, 24)
        terminal.await_screen("breakerd is running")
        self.host.kill()
        shown = terminal.await_screen("breakerd IS DOWN", "gpt-4")
        self.assertIn("half-open", shown)
        self.host.start()
        terminal.await_screen("breakerd is running")

    def pid(self, terminal):
        shell = terminal.tmux("display-message", "-p", "#{pane_pid}").strip()

        def child():
            for path in glob.glob("/proc/[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    with open(path, encoding="utf-8", errors="replace") as f:
                        pid, rest = f.read().split(" ", 1)
                    if rest.rsplit(") ", 1)[1].split(" ")[1] == shell:
                        return pid
            return None
        return int(until(child, "a child of the shell"))

    def test_signals_give_the_terminal_back(self):
        for number, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 129),
                               (signal.SIGQUIT, 131), (None, DONE)):
            terminal = self.terminal(80, 24)
            terminal.await_screen("by state")
            if number is None:
                terminal.press("C-c")
            else:
                os.kill(self.pid(terminal), number)
            self.assert_given_back(terminal, status)

    def test_a_stopped_one_gives_it_back_and_takes_it_again(self):
        terminal = self.terminal(80, 24)
        terminal.await_screen("by state")
        terminal.press("C-z")
        self.assert_given_back(terminal)
        terminal.type("fg; echo ended=$?")
        terminal.await_screen("by state", "> forced")
        self.assertTrue(terminal.is_alternate())
        terminal.press("n")
        terminal.await_screen("by name")
        terminal.press("q")
        self.assert_given_back(terminal, DONE)

    def test_colour_comes_with_the_word_or_not_at_all(self):
        terminal = self.terminal(80, 24)
        terminal.await_screen("by state")
        self.assertIn("\033[31mX open", terminal.tmux("capture-pane", "-pe"))
        plain = self.terminal(80, 24, env={"NO_COLOR": "1"})
        plain.await_screen("by state")
        self.assertNotIn("\033[31m", plain.tmux("capture-pane", "-pe"))


class Text(Prepared):
    def test_without_a_terminal_it_is_one_look(self):
        for words in (["--once", "-d", "100ms"], ["-d", "100ms"]):
            result = self.assert_quiet(self.assert_exit(
                run("--dir", self.host.dir, "top", *words,
                    env={"COLUMNS": "200"}), DONE))
            self.assertNotIn("\033", result.out)
            self.assertRegex(result.out, r"(?m)^breakerd is running")
            self.assertRegex(result.out, r"(?m)^  gpt-4 +X open +auto .* 5/5 .*"
                                         r"consecutive_failures$")
            self.assertRegex(result.out, r"(?m)^  half-open +/ half_open ")
            self.assertRegex(result.out, r"(?m)^  rated .* 25%/50% ")
            self.assertRegex(result.out, r"(?m)^  limited .* 1/4 ")
            self.assertRegex(result.out, r"(?m)^  trusted +- closed +bypass ")

    def test_rates_are_differences(self):
        worker = self.host.worker()
        worker.ask("REPORT busy 0 - success")
        process = subprocess.Popen(
            [BREAKERCTL, "--dir", self.host.dir, "top", "--once", "-d", "1s"],
            env=environment({"COLUMNS": "200"}), stdout=subprocess.PIPE)
        # Whenever it looks, the second look is a second later.
        while process.poll() is None:
            worker.send(["", "TALLYQ busy allowed 10", "TALLYQ busy denied 5",
                         "PING"])
            self.assertTrue(worker.receive(5))
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        row = re.search(r"(?m)^  busy .*$", process.stdout.read().decode())[0]
        process.stdout.close()
        calls, denied = re.split(r" +", row.strip())[5:7]
        self.assertGreater(float(calls.rstrip("k")), 0)
        self.assertGreater(float(denied.rstrip("k")), 0)

    def test_a_daemon_that_is_down_is_said(self):
        self.host.stop()
        result = self.assert_exit(run("--dir", self.host.dir, "top", "--once",
                                      "-d", "100ms"), DONE)
        self.assertIn("breakerd IS DOWN: it ended cleanly", result.out)
        self.assertIn("gpt-4", result.out)
        result = self.assert_exit(run("--dir", "/nonexistent", "top"),
                                  UNREACHABLE)
        self.assertIn("no breakerd has run here", result.out)

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes somebody else")
    def test_who_may_not_look_is_told_so(self):
        result = self.assert_exit(run("--dir", self.host.dir, "top", "--once",
                                      uid=NOBODY), FORBIDDEN)
        self.assertIn("breakerd CANNOT BE SEEN", result.out)
        self.assertNotIn("DOWN", result.out)

    def test_usage(self):
        for words in (["top", "a"], ["top", "--json"], ["top", "-d", "1ms"],
                      ["top", "-d", "x"]):
            self.assert_exit(run("--dir", self.host.dir, *words), USAGE)


if __name__ == "__main__":
    main()
