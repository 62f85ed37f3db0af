# SPDX-License-Identifier: Apache-2.0
"""Outcomes told by ring: none is lost, none is counted twice, whatever becomes of who
told them; and they count in the order they were given."""
import os
import subprocess
import time

import ring
from harness import Case, die_with_parent, main, until

# Nothing trips: every report counts.
CALM = "[defaults]\nfailure_threshold = 0\nfailure_rate = 0\n"


class Told(Case):
    def play(self, story, *args, config=CALM, daemon=None):
        daemon = daemon or self.daemon(config=config).start()
        done = subprocess.run(
            [os.environ["FLEET_RINGS"], "--dir", daemon.dir, "--story", story,
             *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=100, check=False, preexec_fn=die_with_parent)
        said = done.stdout.decode(errors="replace")
        print(said, flush=True)
        self.assertEqual(done.returncode, 0, said + daemon.log())

    def test_killed_behind_the_last(self):
        self.play("killed")

    def test_threads_that_come_and_go(self):
        self.play("threads")

    def test_forks(self):
        self.play("forks")

    def test_closed_behind_a_burst(self):
        self.play("closed", "--reports", "3000")

    def test_killed_behind_a_burst(self):
        self.play("burst", "--reports", "3000")

    def test_killed_at_any_moment(self):
        self.play("struck", "--reports", "100000")

    def test_order(self):
        self.play("order", "--reports", "2000", config=(
            "[defaults]\nfailure_threshold = 5\nfailure_rate = 0\n"))


class Order(Case):
    """By rings of the test's own, so that the moments are its own too."""

    def setUp(self):
        self.d = self.daemon(config=(
            "[defaults]\nfailure_threshold = 5\nfailure_rate = 0\n")).start()
        self.worker = self.d.worker()
        self.worker.ask("REPORT told 0 - success")
        self.slot = ring.slot_of(self.d.segment_path, "told")

    def ring(self):
        door = ring.Door(self.d)
        self.addCleanup(door.close)
        made = ring.Ring(door)
        self.addCleanup(made.close)
        return made

    def tell(self, a_ring, outcome, rings=True):
        a_ring.write(*self.slot, outcome=ring.OUTCOMES[outcome], flags=1)
        a_ring.publish()
        if rings:
            a_ring.door.bell()

    def until_read(self, *rings):
        until(lambda: all(r.is_empty for r in rings), "all to be read",
              every_s=0.001)

    def state(self):
        return self.worker.service("told")["state"]

    def test_a_success_that_did_not_ring_came_first(self):
        """Four failures of one worker, a success of another, and a failure again
        are no five in a row, though one look finds the last two."""
        first, second = self.ring(), self.ring()
        for failing, other in ((first, second), (second, first)):
            for _ in range(20):
                for r in (failing, other):
                    self.tell(r, "success")
                self.until_read(first, second)
                for _ in range(4):
                    self.tell(failing, "failure")
                self.until_read(failing)
                self.tell(other, "success", rings=False)
                self.tell(failing, "failure")
                self.until_read(first, second)
                self.assertEqual(self.state(), "closed")

    def test_what_a_process_wrote_comes_before_its_lines(self):
        """And of its rings an item each in turn: five failures of one thread among
        successes of another are no row."""
        first, second = self.ring(), self.ring()
        # This process asks by a line, too.
        for _ in range(20):
            self.tell(first, "success")
            self.until_read(first)
            for _ in range(8):
                self.tell(first, "failure", rings=False)
                self.tell(second, "failure", rings=False)
                self.tell(second, "success", rings=False)
            self.assertEqual(self.worker.ask("REPORT told 0 - success"),
                             "OK applied")
            self.assertTrue(first.is_empty and second.is_empty)

    def test_a_failure_opens_at_once_after_a_long_rest(self):
        one = self.ring()
        worst = 0
        for _ in range(5):
            self.worker.ask("PING")
            time.sleep(0.3)
            self.assertEqual(one.watch, ring.ASLEEP)
            for _ in range(4):
                self.tell(one, "failure")
            self.until_read(one)
            time.sleep(0.3)
            began = time.monotonic()
            self.tell(one, "failure")
            until(lambda: ring.word_kind(self.d.segment_path, self.slot) == 2,
                  "the circuit to open", every_s=0)
            worst = max(worst, time.monotonic() - began)
            self.d.operator().document("RESET told")
        print(f"open after {worst * 1e3:.1f} ms at worst", flush=True)
        self.assertLess(worst, 0.1)

    def test_a_success_is_taken_without_another_word(self):
        one = self.ring()
        self.tell(one, "success")
        self.until_read(one)
        self.assertEqual(one.watch, ring.WATCHED)
        took = []
        for _ in range(20):
            began = time.monotonic()
            self.tell(one, "success", rings=False)
            self.until_read(one)
            took.append(time.monotonic() - began)
        print(f"taken after {sorted(took)[10] * 1e3:.1f} ms", flush=True)
        self.assertLess(sorted(took)[10], 0.05)


if __name__ == "__main__":
    main()
