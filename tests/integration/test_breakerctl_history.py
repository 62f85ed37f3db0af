# SPDX-License-Identifier: Apache-2.0
"""breakerctl history with filters, asked of the daemon and read from its
database."""
import os
import sqlite3
import time

from ctl_case import DONE, NO_SERVICE, USAGE, CtlCase, run
from harness import main

# More lines than one page of the tool, and than the daemon answers at once.
MANY = 12000


class Filters(CtlCase):
    """One history, with the daemon and without it."""

    def prepared(self):
        daemon = self.daemon().start()
        worker, operator = daemon.worker(), daemon.operator()
        for name in ("gpt-4", "claude"):
            for _ in range(5):
                worker.ask(f"REPORT {name} 0 - failure 1000 1 0 503")
        operator.document("RESET gpt-4 by hand")
        operator.document("TRIP claude - maintenance")
        operator.document("SET gpt-4 failure_threshold 3")
        return daemon

    def ask(self, daemon, *args, code=DONE):
        result = self.assert_exit(
            run("--dir", daemon.dir, "--db", daemon.db, "history", *args,
                "--json"), code)
        return [(row["service"], row["from"], row["to"], row["reason"])
                for row in result.json()["history"]] if code == DONE else []

    def check(self, daemon):
        opened = [("gpt-4", "closed", "open", "consecutive_failures"),
                  ("claude", "closed", "open", "consecutive_failures")]
        self.assertEqual(self.ask(daemon, "--to", "open"), opened)
        self.assertEqual(self.ask(daemon, "--to", "open", "-n", "1"),
                         opened[1:])
        self.assertEqual(self.ask(daemon, "gpt-4", "--to", "open"), opened[:1])
        self.assertEqual(self.ask(daemon, "--from", "open", "--to", "closed"),
                         [("gpt-4", "open", "closed", "operator")])
        self.assertEqual(
            self.ask(daemon, "--reason", "consecutive_failures"), opened)
        mine = self.ask(daemon, "--actor", str(os.getuid()))
        self.assertEqual([row[3] for row in mine], ["operator"] * 3)
        self.assertEqual(mine, self.ask(
            daemon, "--actor",
            f"{os.getuid()}:{os.getgid()}:{os.getpid()}"))
        self.assertEqual(self.ask(daemon, "--actor", f"{os.getuid()}1"), [])
        self.assertEqual(len(self.ask(daemon, "--since", "1h")), 5)
        self.assertEqual(self.ask(daemon, "--since", "0"), [])
        self.ask(daemon, "nobody", "--since", "1h", code=NO_SERVICE)

    def test_of_the_daemon_and_of_its_database(self):
        daemon = self.prepared()
        self.check(daemon)
        daemon.stop()
        self.check(daemon)

    def test_times_are_compared_as_instants(self):
        daemon = self.prepared()
        rows = daemon.operator().document("HISTORY * 100")["history"]
        at = rows[-1]["at"]
        newest = sum(row["at"] >= at for row in rows)
        times = [at, at.replace("T", " ")]
        hour = int(at[11:13])
        if hour < 22:
            times.append(f"{at[:11]}{hour + 2:02}{at[13:-1]}+02:00")
        for text in times:
            self.assertEqual(len(self.ask(daemon, "--since", text)), newest,
                             text)
        self.assertEqual(self.ask(daemon, "--since", "2999-01-01T00:00:00Z"),
                         [])

    def test_nothing_that_matches_is_said(self):
        daemon = self.prepared()
        result = self.assert_exit(
            run("--dir", daemon.dir, "history", "--reason", "slow_rate"), DONE)
        self.assertEqual(result.out, "")
        self.assertIn("nothing in the history matches", result.err)

    def test_usage(self):
        for words in (["--since", "yesterday"], ["--since", "2026-01-01"],
                      ["--since", "2026-01-01T00:00:00"],
                      ["--reason", "boredom"], ["--actor", "root"],
                      ["--actor", "1:2:3:4"], ["--actor", "1:"],
                      ["--to", "ajar"], ["--from", ""]):
            result = self.assert_exit(
                run("--dir", "/nonexistent", "history", *words), USAGE)
            self.assertIn(words[1], result.err)


class Pages(CtlCase):
    def test_lines_far_back_are_found(self):
        daemon = self.daemon().start()
        daemon.stop()
        now_ms = int(time.time() * 1000)
        with sqlite3.connect(daemon.db) as db:
            first = db.execute(
                "SELECT coalesce(max(seq), 0) FROM history").fetchone()[0] + 1
            db.executemany(
                "INSERT INTO history VALUES (?, ?, 'a', 'closed', ?, 'auto',"
                " ?, 1, '-', '')",
                ((first + i, now_ms - MANY + i,
                  "open" if i < 3 else "closed",
                  "failure_rate" if i < 3 else "none") for i in range(MANY)))
        db.close()
        for is_running in (False, True):
            if is_running:
                daemon.start()
            result = self.assert_exit(
                run("--dir", daemon.dir, "--db", daemon.db, "history",
                    "--to", "open", "-n", "2", "--json"), DONE)
            self.assertEqual([row["seq"] for row in result.json()["history"]],
                             [first + 1, first + 2])


if __name__ == "__main__":
    main()
