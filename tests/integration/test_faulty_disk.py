# SPDX-License-Identifier: Apache-2.0
"""A disk that is slow, and one that fails: the system call is made to, by
strace. Decisions never wait for either."""
import os
import shutil
import subprocess
import time
import unittest

import harness
from brk import Deny


def can_trace():
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e",
         "trace=fdatasync", "true"], stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


@unittest.skipUnless(can_trace(), "strace is not there or not permitted")
class FaultyDisk(harness.Case):
    def begin(self, fault):
        """A daemon whose syncs go wrong. strace -D: the daemon stays our
        child. The leak checker cannot work under a tracer."""
        daemon = self.daemon(env={
            "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=4"})
        self.trace = os.path.join(daemon.home, "trace")
        daemon.prefix = ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o",
                         self.trace, "-e", "trace=fdatasync,fsync", "-e",
                         f"inject=fdatasync,fsync:{fault}"]
        return daemon.start()

    def test_slow(self):
        daemon = self.begin("delay_enter=1500000:when=12+")
        worker, operator = daemon.worker(), daemon.operator()
        # Some orders until the disk has become slow.
        for i in range(20):
            start = time.monotonic()
            operator.document(f"TRIP warm{i} -")
            if time.monotonic() - start > 1:
                break
        else:
            self.fail("the disk never became slow")
        start = time.monotonic()
        operator.send(["late", "", "TRIP s - now"])
        times = []
        # In force long before it is on disk.
        is_in_force = False
        while not operator.socket.poll(0):
            before = time.monotonic()
            worker.ask("PING")
            worker.ask("REPORT t 0 - success")
            times.append(time.monotonic() - before)
            if not is_in_force:
                answer = worker.ask("ACQUIRE s")
                is_in_force = answer.startswith("DENY s forced_open ")
            self.assertLess(time.monotonic() - start, harness.PATIENCE_S)
        self.assertGreater(time.monotonic() - start, 1)
        self.assertTrue(operator.receive()[2].startswith(b"OK {"))
        self.assertTrue(is_in_force)
        self.assertGreater(len(times), 100)
        self.assertLess(sorted(times)[len(times) * 99 // 100], 0.1)

    def fail_at(self, when):
        daemon = self.begin(f"error=EIO:when={when}")
        worker, operator = daemon.worker(), daemon.operator()
        acknowledged, refused = [], 0
        for i in range(40):
            answer = operator.ask(f"TRIP s{i} - {i}")
            if answer.startswith("OK "):
                acknowledged.append(i)
            else:
                self.assertRegex(answer, "^ERR unavailable ")
                refused += 1
            self.assertEqual(Deny(worker.ask(f"ACQUIRE s{i}")).reason,
                             "forced_open")
        self.assertGreater(len(acknowledged), 5)
        harness.until(
            lambda: operator.ask("TRIP last - end").startswith("OK "),
            "the disk to be used again", every_s=0.2)
        with open(self.trace, encoding="ascii", errors="replace") as f:
            self.assertIn("EIO", f.read(), "nothing failed")
        daemon.kill()
        os.unlink(daemon.segment_path)
        daemon.prefix = []
        daemon.start()
        operator = daemon.operator()
        # Those that were refused are saved as well, now that it is possible.
        for i in range(40):
            self.assertEqual(operator.service(f"s{i}")["override"]["reason"],
                             str(i))
        return refused

    # The first nine syncs of the thread that saves make a new file.
    def test_failing_once(self):
        for when in (8, 13, 21):
            with self.subTest(when=when):
                self.fail_at(when)

    def test_failing_for_a_while(self):
        self.assertGreater(self.fail_at("17..21"), 0)


if __name__ == "__main__":
    harness.main()
