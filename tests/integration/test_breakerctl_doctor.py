# SPDX-License-Identifier: Apache-2.0
"""breakerctl doctor, and what a user without rights is told."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

from ctl_case import (BREAKERCTL, DONE, FAILED, FORBIDDEN, NOBODY, PATIENCE_S,
                      CtlCase, environment, run)
from harness import die_with_parent, main


class Doctor(CtlCase):
    def examine(self, daemon, code):
        result = self.assert_exit(run("--dir", daemon.dir, "doctor", "--db",
                                      daemon.db, "--json"), code)
        document = result.json()
        rows = {row["name"]: row for row in document["checks"]}
        for row in rows.values():
            self.assertEqual(list(row), ["name", "result", "text", "remedy"])
            self.assertTrue(row["text"], row)
            self.assertEqual(row["result"] == "ok", row["remedy"] is None, row)
        for word in ("ok", "warn", "fail"):
            self.assertEqual(document[word], sum(
                row["result"] == word for row in rows.values()))
        return rows

    def assert_result(self, rows, name, result, words=""):
        self.assertEqual(rows[name]["result"], result, rows[name])
        self.assertIn(words, rows[name]["text"] + str(rows[name]["remedy"]))

    def test_a_healthy_daemon(self):
        daemon = self.daemon().start()
        rows = self.examine(daemon, DONE)
        for name in ("directory", "lock", "process", "segment", "heartbeat",
                     "worker.sock", "operator.sock", "events.sock", "ring.sock",
                     "group",
                     "protocol", "database"):
            self.assert_result(rows, name, "ok")
        words = self.assert_exit(run("--dir", daemon.dir, "doctor", "--db",
                                     daemon.db), DONE)
        self.assertRegex(words.out, r"(?m)^ok +lock +held by a running breakerd$")
        self.assertRegex(words.out, r"(?m)^\d+ ok, \d warn, 0 fail$")

    def test_the_lock_is_looked_at_and_not_taken(self):
        daemon = self.daemon().start()
        daemon.kill()
        doctors = [subprocess.Popen(
            [BREAKERCTL, "--dir", daemon.dir, "doctor"], env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent) for _ in range(4)]
        daemon.start()
        for doctor in doctors:
            doctor.wait(PATIENCE_S)
        self.examine(daemon, DONE)

    def test_a_dead_daemon(self):
        daemon = self.daemon().start()
        daemon.kill()
        rows = self.examine(daemon, FAILED)
        for name in ("lock", "process", "heartbeat", "worker.sock",
                     "operator.sock", "events.sock", "protocol"):
            self.assert_result(rows, name, "fail")
        self.assert_result(rows, "lock", "fail", "start breakerd")
        self.assert_result(rows, "process", "fail", "dead")
        self.assert_result(rows, "segment", "ok")

    def test_a_daemon_that_hangs(self):
        daemon = self.daemon().start()
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            time.sleep(1.2)
            rows = self.examine(daemon, FAILED)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        self.assert_result(rows, "heartbeat", "fail", "hangs")
        self.assert_result(rows, "process", "ok", "alive")
        self.assert_result(rows, "protocol", "fail")

    def test_wrong_modes(self):
        daemon = self.daemon().start()
        os.chmod(daemon.dir, 0o777)
        os.chmod(daemon.worker_path, 0o600)
        os.chmod(daemon.operator_path, 0o666)
        os.chmod(daemon.segment_path, 0o666)
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "directory", "fail", "0755")
        self.assert_result(rows, "worker.sock", "warn", "0660")
        self.assert_result(rows, "operator.sock", "warn", "0600")
        self.assert_result(rows, "segment", "fail", "may write it")

    def test_a_socket_unit_without_its_daemon(self):
        daemon = self.daemon().start()
        daemon.stop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unit:
            unit.bind(daemon.worker_path)
            os.chmod(daemon.worker_path, 0o660)
            unit.listen()
            rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "worker.sock", "warn", "a socket unit waits")
        self.assert_result(rows, "events.sock", "fail", "start breakerd")

    def test_a_daemon_whose_socket_was_removed_or_replaced(self):
        daemon = self.daemon().start()
        os.unlink(daemon.worker_path)
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "worker.sock", "fail", "removed or replaced")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(daemon.worker_path)
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "worker.sock", "fail", "removed or replaced")

    @unittest.skipUnless(os.path.ismount("/dev/shm"), "no /dev/shm")
    def test_dev_shm_is_no_place(self):
        daemon = self.daemon()
        daemon.dir = tempfile.mkdtemp(prefix="breakerd-test-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, daemon.dir, ignore_errors=True)
        os.chmod(daemon.dir, 0o755)
        rows = self.examine(daemon.start(), DONE)
        self.assert_result(rows, "tmpfs", "warn", "RemoveIPC")

    @unittest.skipUnless(os.getuid() == 0, "gives files away")
    def test_a_dynamic_user_is_no_owner(self):
        daemon = self.daemon().start()
        os.chown(daemon.dir, 61184, 61184)
        rows = self.examine(daemon, DONE)
        self.assert_result(rows, "directory", "warn", "DynamicUser")
        os.chown(daemon.dir, 0, 0)

    def test_missing_things(self):
        daemon = self.daemon().start()
        os.unlink(daemon.events_path)
        os.unlink(os.path.join(daemon.dir, "breakerd.pid"))
        rows = self.examine(daemon, FAILED)
        self.assert_result(rows, "events.sock", "fail", "missing")
        self.assert_result(rows, "process", "warn")

    def test_a_damaged_database(self):
        daemon = self.daemon().start()
        daemon.stop()
        with open(daemon.db, "r+b") as f:
            f.write(b"garbage" * 20)
        self.assert_result(self.examine(daemon, FAILED), "database", "fail")

    def test_a_database_with_a_damaged_page(self):
        daemon = self.daemon().start()
        for i in range(300):
            daemon.operator().document(f"TRIP gpt-{i} - {'x' * 90}")
        daemon.stop()
        self.assert_result(self.examine(daemon, FAILED), "database", "ok",
                           "sound")
        size = os.path.getsize(daemon.db)
        with open(daemon.db, "r+b") as f:
            f.seek(size // 4096 // 2 * 4096)
            f.write(b"\xff" * 4096)
        self.assert_result(self.examine(daemon, FAILED), "database", "fail")

    def test_nothing_at_all(self):
        result = self.assert_exit(
            run("--dir", "/nonexistent/dir", "doctor", "--json"), FAILED)
        rows = {row["name"]: row for row in result.json()["checks"]}
        self.assert_result(rows, "directory", "fail", "/nonexistent/dir")


@unittest.skipIf(os.getuid() != 0, "needs root to be somebody else")
class Permissions(CtlCase):
    def setUp(self):
        if not os.stat(BREAKERCTL).st_mode & stat.S_IXOTH:
            self.skipTest("others may not run the binary")
        self.running = self.daemon().start()
        self.running.worker().ask("REPORT gpt-4 0 - success")

    def ctl(self, *args, code):
        return self.assert_exit(
            run("--dir", self.running.dir, *args, uid=NOBODY), code)

    def test_operators_commands_are_4_with_the_remedy(self):
        for words in (["reset", "gpt-4"], ["trip", "gpt-4"], ["reload"],
                      ["history"]):
            result = self.ctl(*words, code=FORBIDDEN)
            self.assertIn("operator.sock", result.err)
            self.assertIn("root", result.err)
            self.assertEqual(result.out, "")

    def test_looking_is_4_with_the_remedy(self):
        for words in (["status"], ["check", "gpt-4"], ["explain", "gpt-4"],
                      ["config"], ["events"], ["raw", "PING"]):
            result = self.ctl(*words, code=FORBIDDEN)
            self.assertIn("group", result.err)

    def test_a_directory_that_is_closed_is_4(self):
        os.chmod(self.running.home, 0o700)
        for words in (["status"], ["reset", "gpt-4"], ["config"]):
            result = self.ctl(*words, code=FORBIDDEN)
            self.assertIn("permission denied", result.err)

    def test_doctor_names_each_thing_this_user_may_not(self):
        document = self.ctl("doctor", "--json", code=FAILED).json()
        results = {row["name"]: row for row in document["checks"]}
        for name in ("segment", "worker.sock", "protocol"):
            self.assertEqual(results[name]["result"], "fail", name)
            self.assertTrue(results[name]["remedy"], name)
        self.assertEqual(results["operator.sock"]["result"], "warn")


if __name__ == "__main__":
    main()
