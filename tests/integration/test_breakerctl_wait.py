# SPDX-License-Identifier: Apache-2.0
"""breakerctl wait, and status --watch."""
import json
import os
import pty
import select
import signal
import subprocess
import time

from ctl_case import (BREAKERCTL, DONE, NO_SERVICE, PATIENCE_S, UNMET,
                      UNREACHABLE, USAGE, CtlCase, Shared, environment, run)
from harness import die_with_parent, main, until


def start(*args):
    """breakerctl in the background, its words and data in pipes."""
    return subprocess.Popen([BREAKERCTL, *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(),
                            preexec_fn=die_with_parent)


class Wait(Shared):
    def started(self, *args):
        process = start("--dir", self.shared.dir, *args)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def hear(self, process, words):
        """Reads stderr until the words were said."""
        said = b""
        while words not in said:
            self.assertTrue(select.select([process.stderr], [], [],
                                          PATIENCE_S)[0], said)
            some = os.read(process.stderr.fileno(), 4096)
            self.assertTrue(some, said)
            said += some

    def ended(self, process, code):
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, code, err)
        return out.decode()

    def test_a_state_that_is_there_needs_no_waiting(self):
        name = self.name()
        self.trip(name)
        result = self.ctl("wait", name, "--state", "open")
        self.assertEqual((result.out, result.err), (f"{name} is open\n", ""))

    def test_it_ends_when_the_state_comes(self):
        name = self.name()
        self.trip(name)
        process = self.started("wait", name)
        self.hear(process, b"waiting until it is closed")
        self.operator.document(f"RESET {name}")
        self.assertEqual(self.ended(process, DONE), f"{name} is closed\n")

    def test_one_of_several_states_will_do(self):
        name = self.name()
        self.set(name, recovery_timeout="300ms")
        self.trip(name)
        document = self.ctl("wait", name, "--state", "closed,half_open",
                            "--json").json()
        self.assertEqual((document["reached"], document["state"]),
                         (True, "half_open"))
        self.assertGreaterEqual(document["generation"], 2)

    def test_time_is_over(self):
        name = self.name()
        self.trip(name)
        begun = time.monotonic()
        result = self.ctl("wait", name, "--timeout", "300ms", code=UNMET)
        self.assertGreaterEqual(time.monotonic() - begun, 0.3)
        self.assertEqual(result.out, "")
        self.assertIn("is open", result.err)
        self.assertIn("was not closed within 300ms", result.err)
        document = self.ctl("wait", name, "--timeout", "50ms", "--json",
                            code=UNMET).json()
        self.assertEqual((document["reached"], document["state"]),
                         (False, "open"))

    def test_forced_open_does_not_promise_probes(self):
        name = self.name()
        self.operator.document(f"TRIP {name} -")
        result = self.ctl("wait", name, "--timeout", "50ms", code=UNMET)
        self.assertIn("mode forced_open", result.err)

    def test_who_is_not_known(self):
        name = self.name()
        self.trip(name)
        result = self.ctl("wait", name[:-1], code=NO_SERVICE)
        self.assertIn("no such service", result.err)
        process = self.started("wait", name)
        self.hear(process, b"waiting")
        self.operator.document(f"FORGET {name}")
        self.ended(process, NO_SERVICE)

    def test_usage(self):
        for words in (["wait"], ["wait", "a", "b"],
                      ["wait", "a", "--state", "ajar"],
                      ["wait", "a", "--state", "open,"],
                      ["wait", "a", "--timeout", "0s"],
                      ["status", "--watch=0"], ["status", "--watch=often"]):
            self.ctl(*words, code=USAGE)


class Away(CtlCase):
    def test_it_waits_through_a_restart(self):
        daemon = self.daemon().start()
        worker = daemon.worker()
        for _ in range(5):
            worker.ask("REPORT a 0 - failure")
        process = start("--dir", daemon.dir, "wait", "a")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        until(lambda: select.select([process.stderr], [], [], 0)[0], "words")
        daemon.kill()
        daemon.start()
        daemon.operator().document("RESET a")
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, out), (DONE, b"a is closed\n"),
                         err)

    def test_without_a_daemon_the_deadline_holds(self):
        daemon = self.daemon().start()
        daemon.worker().ask("REPORT a 0 - failure")
        daemon.stop()
        result = self.assert_exit(
            run("--dir", daemon.dir, "wait", "a", "--state", "open",
                "--timeout", "200ms"), UNMET)
        self.assertIn("not running", result.err)
        self.assert_exit(run("--dir", "/nonexistent", "wait", "a"), UNREACHABLE)


class Watch(Shared):
    def test_blocks_with_an_empty_line_between_until_interrupted(self):
        name = self.name()
        self.trip(name)
        process = start("--dir", self.shared.dir, "status", name,
                        "--watch=0.1")
        shown = ""
        while shown.count("SERVICE ") < 3:
            shown += process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, err), (DONE, b""))
        for block in (shown + rest.decode()).split("\n\nSERVICE")[:-1]:
            self.assertIn(f"{name} ", block)

    def test_documents_are_lines(self):
        name = self.name()
        self.trip(name)
        process = start("--dir", self.shared.dir, "status", name,
                        "--watch=100ms", "--json")
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DONE)
        for line in lines:
            self.assertEqual(json.loads(line)["services"][0]["name"], name)

    def test_a_terminal_is_cleared(self):
        self.trip(self.name())
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(BREAKERCTL, [BREAKERCTL, "--dir", self.shared.dir,
                                   "status", "--watch=0.1"], environment())
        self.addCleanup(os.close, terminal)
        shown = b""
        while shown.count(b"\033[H\033[J") < 3:
            self.assertTrue(select.select([terminal], [], [], PATIENCE_S)[0])
            shown += os.read(terminal, 65536)
        os.write(terminal, b"\x03")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), DONE)

    def test_what_is_not_there_is_not_watched(self):
        self.ctl("status", "nobody", "--watch", code=NO_SERVICE)
        self.assert_exit(run("--dir", "/nonexistent", "status", "--watch"),
                         UNREACHABLE)


if __name__ == "__main__":
    main()
