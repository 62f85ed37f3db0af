# SPDX-License-Identifier: Apache-2.0
"""A fleet of real processes and one breaker: trips at exactly the fifth failure,
lets exactly one probe through."""
import os
import subprocess
import unittest

import harness

ROUNDS = os.environ.get("BREAKERD_TEST_ROUNDS", "100")


class Fleet(harness.Case):
    def play(self, daemon, program, *args):
        """Runs one of the C programs beside a daemon; what it printed."""
        path = os.environ[program]
        done = subprocess.run(
            [path, "--dir", daemon.dir, *args], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=500, check=False,
            preexec_fn=harness.die_with_parent)
        said = done.stdout.decode(errors="replace")
        print(said, flush=True)
        self.assertEqual(done.returncode, 0, said + daemon.log())
        return dict(word.split("=") for word in said.split() if "=" in word)

    def trip(self, mode):
        daemon = self.daemon().start()
        said = self.play(daemon, "FLEET_TRIP", "--mode", mode,
                         "--processes", "32", "--flips", ROUNDS)
        self.assertEqual(said["flips"], ROUNDS)
        self.assertEqual(said["allowed_after_publication"], "0")
        self.assertEqual(said["flips_not_at_the_fifth"], "0")
        self.assertGreater(int(said["allowed"]), 5 * int(ROUNDS))

    def test_trips_at_the_fifth_failure_asked_by_wire(self):
        self.trip("wire")

    def test_trips_at_the_fifth_failure_read_from_the_word(self):
        self.trip("word")

    def test_trips_at_the_fifth_failure_through_the_library(self):
        self.trip("auto")

    def test_one_probe_of_fifty_askers(self):
        daemon = self.daemon().start()
        said = self.play(daemon, "FLEET_PROBE", "--processes", "50",
                         "--rounds", ROUNDS)
        self.assertEqual(said["rounds"], ROUNDS)
        self.assertEqual(said["rounds_without_exactly_one"], "0")
        # They did ask at the moment, not long after it.
        self.assertGreater(int(said["asked_just_before"]), int(ROUNDS))

    @unittest.skipIf(harness.IS_THREAD_SANITIZED,
                     "threads after a fork are beyond the thread sanitizer")
    def test_handle_opened_before_a_fork(self):
        for mode in ("auto", "zmq"):
            daemon = self.daemon().start()
            daemon.operator().document("SET forked max_concurrent 1000")
            said = self.play(daemon, "FLEET_FORK", "--mode", mode)
            self.assertEqual(said["children"], "8")


if __name__ == "__main__":
    harness.main()
