# SPDX-License-Identifier: Apache-2.0
"""breakerctl backup: of a running daemon, of one that is down, on a full disk and
under load."""
import os
import sqlite3
import stat
import subprocess
import threading
import unittest

from brk import Client
from ctl_case import (BREAKERCTL, DONE, FAILED, FORBIDDEN, NOBODY, PATIENCE_S,
                      UNREACHABLE, USAGE, CtlCase, environment, run)
from harness import Daemon, die_with_parent, main
from test_directories import can_unshare


# A daemon without the shared memory goes on this much later.
LEAP = 1024


class Backup(CtlCase):
    def prepared(self, **kwargs):
        daemon = self.daemon(**kwargs).start()
        worker, operator = daemon.worker(), daemon.operator()
        operator.document("SET gpt-4 failure_threshold 2")
        for _ in range(2):
            worker.ask("REPORT gpt-4 0 - failure 1000 1 0 503")
        worker.ask("REPORT claude 0 - rate_limited 1 1 500000")
        operator.document("TRIP forced 600000 until ten")
        operator.document("BYPASS gone -")
        operator.document("FORGET gone")
        return daemon

    def back_up(self, daemon, path, *args, code=DONE):
        return self.assert_exit(
            run("--dir", daemon.dir, "--db", daemon.db, "backup", path, *args),
            code)

    def assert_whole(self, path):
        with sqlite3.connect(path) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(),
                             [("ok",)])
        db.close()
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def assert_alone(self, path):
        """No half copy lies beside it."""
        directory, name = os.path.split(path)
        self.assertEqual([n for n in os.listdir(directory)
                          if n.startswith(name) and n != name], [])

    def statuses(self, daemon):
        document = daemon.operator().document("STATUS")
        return {s["name"]: (s["state"], s["mode"], s["reason"],
                            s["generation"] % LEAP, bool(s["hold_ms"]),
                            s["counters"])
                for s in document["services"]}

    def assert_starts(self, path, expected):
        """A daemon on the copy, in a directory where nothing else is."""
        other = Daemon()
        self.addCleanup(other.close)
        other.db = path
        other.start()
        self.assertEqual(self.statuses(other), expected)
        config = other.operator().document("CONFIG gpt-4")["config"]
        self.assertEqual(config["failure_threshold"],
                         {"value": "2", "origin": "set"})
        other.stop()

    def test_a_copy_of_a_running_daemon_starts_another(self):
        daemon = self.prepared()
        expected = self.statuses(daemon)
        path = os.path.join(daemon.home, "a copy.db")
        result = self.assert_quiet(self.back_up(daemon, path))
        self.assertIn(path, result.out)
        self.assert_alone(path)
        self.assert_whole(path)
        self.assertEqual(self.statuses(daemon), expected)
        row = daemon.operator().document("HISTORY * 1")["history"][0]
        self.assertEqual((row["text"], row["reason"]),
                         (f"backup: {path}"[:95], "operator"))
        self.assert_starts(path, expected)

    def test_a_copy_while_it_is_down_starts_another(self):
        for way in ("stop", "kill"):
            daemon = self.prepared()
            daemon.operator().document("SET gpt-4 max_attempts 4")
            expected = self.statuses(daemon)
            getattr(daemon, way)()
            path = os.path.join(daemon.home, "copy.db")
            result = self.back_up(daemon, path, "--json")
            self.assertIn("does not answer; copying", result.err)
            self.assertEqual(result.json(), {
                "path": path, "bytes": os.path.getsize(path)})
            self.assert_alone(path)
            self.assert_whole(path)
            if way == "stop":
                self.assert_starts(path, expected)
            # The original is as good as before.
            daemon.start()
            self.assertEqual(self.statuses(daemon).keys(), expected.keys())

    def test_what_is_there_stays_unless_forced(self):
        daemon = self.prepared()
        path = os.path.join(daemon.home, "copy.db")
        for is_running in (True, False):
            if not is_running:
                daemon.stop()
            with open(path, "w", encoding="ascii") as f:
                f.write("precious")
            err = self.back_up(daemon, path, code=FAILED).err
            self.assertIn("there is a file of this name", err)
            self.assertIn("--force", err)
            with open(path, encoding="ascii") as f:
                self.assertEqual(f.read(), "precious")
            self.assertIn("not a database", self.back_up(
                daemon, path, "--force", code=FAILED).err)
            with open(path, encoding="ascii") as f:
                self.assertEqual(f.read(), "precious")
            owns = [os.path.join(daemon.dir, "lock"), daemon.segment_path]
            if is_running:
                owns.append(daemon.db + "-wal")
            for own in owns:
                self.assertIn("not a database", self.back_up(
                    daemon, own, "--force", code=FAILED).err)
            os.unlink(path)
            self.back_up(daemon, path)
            with open(path, "r+b") as f:
                f.truncate(100)  # half a copy, of a disk that was full
            self.back_up(daemon, path, "--force")
            self.assert_whole(path)
            self.assertIn("that is the database itself", self.back_up(
                daemon, daemon.db, "--force", code=FAILED).err)
            self.assertIn("not a regular file", self.back_up(
                daemon, daemon.db_dir, "--force", code=FAILED).err)
            self.assert_alone(path)
            self.assertIn("No such file", self.back_up(
                daemon, "/nonexistent/copy.db", code=FAILED).err)

    def test_a_relative_path_is_the_callers(self):
        daemon = self.prepared()
        subprocess.run([BREAKERCTL, "--dir", daemon.dir, "backup", "c.db"],
                       cwd=daemon.home, env=environment(), timeout=PATIENCE_S,
                       check=True, stdout=subprocess.DEVNULL)
        self.assert_whole(os.path.join(daemon.home, "c.db"))

    def test_usage_and_no_database(self):
        daemon = self.daemon()
        self.back_up(daemon, "", code=USAGE)
        self.back_up(daemon, "/tmp/two\nlines", code=USAGE)
        self.back_up(daemon, "/" + "x" * 1024, code=USAGE)
        self.assertIn(daemon.db, self.back_up(
            daemon, os.path.join(daemon.home, "c"), code=FAILED).err)

    def test_under_the_instances_lock(self):
        daemon = self.prepared()
        daemon.process.send_signal(19)  # SIGSTOP: the lock is held, still
        self.addCleanup(daemon.process.send_signal, 18)
        os.rename(daemon.operator_path, daemon.operator_path + ".away")
        result = self.back_up(daemon, os.path.join(daemon.home, "c"),
                              code=UNREACHABLE)
        self.assertIn("holds", result.err)

    @unittest.skipUnless(os.getuid() == 0, "needs another user")
    def test_not_for_everybody(self):
        daemon = self.prepared()
        result = self.assert_exit(
            run("--dir", daemon.dir, "backup", "/tmp/never.db", uid=NOBODY),
            FORBIDDEN)
        self.assertIn("not permitted", result.err)

    def test_under_load_nothing_is_late_and_the_copy_is_whole(self):
        daemon = self.prepared()
        daemon.stop()
        with sqlite3.connect(daemon.db) as db:
            db.executemany(
                "INSERT INTO history VALUES (?, 0, 'a', 'closed', 'open',"
                " 'auto', 'none', 1, '-', ?)",
                ((1000 + i, "x" * 90) for i in range(60000)))
        db.close()
        daemon.start()
        over = threading.Event()
        orders = []

        def order():
            client = Client(daemon.operator_path)
            while not over.is_set():
                client.document(f"SET busy max_attempts {len(orders) % 9 + 1}")
                orders.append(1)
            client.close()

        thread = threading.Thread(target=order)
        thread.start()
        try:
            for i in range(3):
                path = os.path.join(daemon.home, f"copy{i}.db")
                self.back_up(daemon, path)
                self.assert_whole(path)
        finally:
            over.set()
            thread.join(PATIENCE_S)
        self.assertGreater(len(orders), 3)


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "needs a mount namespace of its own")
class FullDisk(CtlCase):
    def test_no_room_is_said_and_leaves_nothing(self):
        """The daemon has a small tmpfs of its own, to which the copies go."""
        daemon = self.daemon()
        small = os.path.join(daemon.home, "small")
        os.mkdir(small)
        daemon.prefix = [
            "unshare", "-m", "/bin/sh", "-c",
            f'mount -t tmpfs -o size=64k tmpfs {small} && exec "$@"', "sh"]
        daemon.start()
        operator = daemon.operator()
        for i in range(300):
            operator.send(["", f"TRIP s{i} - {'x' * 90}"])
        for _ in range(300):
            self.assertTrue(operator.receive())
        answer = operator.ask(f"BACKUP new {small}/copy.db")
        self.assertRegex(answer, "^ERR unavailable cannot write .*copy.db: "
                                 ".*full")
        left = os.listdir(f"/proc/{daemon.pid}/root{small}")
        self.assertEqual(left, [])
        # The database itself was never in doubt.
        self.assertTrue(operator.document("RESET s1"))
        self.assertTrue(operator.document(
            f"BACKUP new {daemon.home}/copy.db")["bytes"])


if __name__ == "__main__":
    main()
