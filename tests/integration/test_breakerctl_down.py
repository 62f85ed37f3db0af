# SPDX-License-Identifier: Apache-2.0
"""breakerctl without a daemon, or with shared memory that must not be
believed."""
import os
import select
import signal
import subprocess
import time
import unittest

from ctl_case import (BREAKERCTL, DONE, FAILED, NO_SERVICE, NOBODY, PATIENCE_S,
                      UNMET, UNREACHABLE, CtlCase, environment, run)
from harness import die_with_parent, main, until


class Down(CtlCase):
    """What is left when the daemon is not there."""

    def ctl(self, daemon, *args, code=DONE, **kwargs):
        return self.assert_exit(run("--dir", daemon.dir, *args, **kwargs), code)

    def tripped(self, name="gpt-4", **kwargs):
        daemon = self.daemon(**kwargs).start()
        worker = daemon.worker()
        for _ in range(5):
            worker.ask(f"REPORT {name} 0 - failure 812000 1 0 503")
        return daemon

    def test_status_right_after_kill(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "status", "gpt-4", "--json")
        self.assertIs(result.json()["daemon"]["running"], False)
        service, = result.json()["services"]
        self.assertEqual((service["state"], service["reason"]),
                         ("open", "consecutive_failures"))
        self.assertEqual(len(service["evidence"]), 5)
        self.assertIn("not running", result.err)
        self.assertIn("open", self.ctl(daemon, "status").out)
        self.assertIn("not running", self.ctl(daemon, "status").err)

    def test_status_after_a_clean_end(self):
        daemon = self.tripped()
        self.assertEqual(daemon.stop(), 0)
        result = self.ctl(daemon, "status", "--json")
        self.assertIs(result.json()["daemon"]["running"], False)
        self.assertIn("ended cleanly", result.err)

    def test_time_goes_on_while_it_is_down(self):
        daemon = self.daemon(
            config="[service fast]\nrecovery_timeout = 300ms\n").start()
        worker = daemon.worker()
        for _ in range(5):
            worker.ask("REPORT fast 0 - failure")
        daemon.kill()
        until(lambda: self.ctl(daemon, "status", "fast", "--json").json()[
            "services"][0]["state"] == "half_open", "half_open")
        self.ctl(daemon, "check", "fast")

    def test_check_and_explain_while_down(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "check", "gpt-4", code=UNMET)
        self.assertIn("not running", result.err)
        self.assertIn("failure_threshold",
                      self.ctl(daemon, "explain", "gpt-4").out)

    def test_commands_are_7_and_name_the_path(self):
        daemon = self.tripped()
        daemon.kill()
        for words in (["reset", "gpt-4"], ["trip", "gpt-4"],
                      ["auto", "gpt-4"], ["set", "gpt-4", "window=30s"],
                      ["config"], ["reload"], ["events"], ["raw", "PING"],
                      ["reset", "--all", "--yes"]):
            result = self.ctl(daemon, *words, code=UNREACHABLE)
            self.assertIn(daemon.dir, result.err)
            self.assertEqual(result.out, "")

    def test_a_daemon_that_hangs_does_not_hold_us_up(self):
        daemon = self.tripped()
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            result = self.ctl(daemon, "reset", "gpt-4", code=UNREACHABLE)
            self.assertLess(time.monotonic() - begin, 10)
            self.assertIn("did not answer", result.err)
            result = self.ctl(daemon, "status", "--json")
            self.assertIs(result.json()["daemon"]["running"], False)
            self.assertIn("hangs", result.err)
        finally:
            os.kill(daemon.pid, signal.SIGCONT)

    def test_history_comes_from_the_database(self):
        daemon = self.tripped()
        daemon.operator().document("RESET gpt-4 all clear")
        before = self.ctl(daemon, "history", "--json").json()
        for end in (daemon.kill, lambda: daemon.start() and daemon.stop()):
            end()
            result = self.ctl(daemon, "history", "gpt-4", "--db", daemon.db,
                              "--json")
            self.assertEqual(
                result.json()["history"][:len(before["history"])],
                [r for r in before["history"] if r["service"] == "gpt-4"])
            self.assertIn(daemon.db, result.err)
        rows = self.ctl(daemon, "history", "-n", "1", "--db",
                        daemon.db).out.splitlines()
        self.assertEqual(len(rows), 2)
        self.ctl(daemon, "history", "nobody", "--db", daemon.db,
                 code=NO_SERVICE)
        self.assertEqual(daemon.start().stop(), 0)

    def test_history_comes_from_the_memory_where_no_database_is(self):
        daemon = self.tripped()
        daemon.operator().document("RESET gpt-4 all clear")
        daemon.operator().document("TRIP other -")
        rows = self.ctl(daemon, "history", "--json").json()["history"]
        daemon.kill()
        env = {"STATE_DIRECTORY": daemon.home}  # nothing is there
        result = self.ctl(daemon, "history", "--json", env=env)
        self.assertEqual(result.json()["history"], rows)
        self.assertIn(daemon.segment_path, result.err)
        self.assertIn("--db", result.err)
        result = self.ctl(daemon, "history", "gpt-4", "-n", "1", "--json",
                          env=env)
        self.assertEqual(
            result.json()["history"],
            [r for r in rows if r["service"] == "gpt-4"][-1:])
        self.ctl(daemon, "history", "nobody", env=env, code=NO_SERVICE)
        os.unlink(daemon.segment_path)
        self.ctl(daemon, "history", env=env, code=UNREACHABLE)

    def test_history_from_nowhere_is_7(self):
        daemon = self.tripped()
        daemon.kill()
        result = self.ctl(daemon, "history", "--db", "/nonexistent/db",
                          code=UNREACHABLE)
        self.assertIn("/nonexistent/db", result.err)
        self.assertIn(daemon.dir, result.err)

    def test_history_of_a_file_that_is_none(self):
        daemon = self.tripped()
        daemon.kill()
        path = os.path.join(daemon.home, "noise")
        with open(path, "wb") as f:
            f.write(b"this is no database" * 100)
        self.ctl(daemon, "history", "--db", path, code=FAILED)

    def test_events_tell_when_it_goes_and_comes_back(self):
        daemon = self.tripped()
        process = subprocess.Popen(
            [BREAKERCTL, "--dir", daemon.dir, "events"], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            preexec_fn=die_with_parent)
        try:
            for step, words in ((None, "following"), (daemon.kill, "gone"),
                                (daemon.start, "back")):
                if step is not None:
                    step()
                self.assertTrue(select.select([process.stderr], [], [],
                                              PATIENCE_S)[0], words)
                self.assertIn(words, process.stderr.readline().decode())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


class Distrust(CtlCase):
    """Shared memory that must not be believed."""

    def ctl(self, daemon, *args, code=DONE, **kwargs):
        return self.assert_exit(run("--dir", daemon.dir, *args, **kwargs), code)

    def check_falls_back(self, daemon, words):
        result = self.ctl(daemon, "status", "gpt-4", "--json")
        self.assertIn(words, result.err)
        self.assertEqual(result.json()["services"][0]["name"], "gpt-4")
        self.assertIn("evidence", result.json()["services"][0])
        document = self.ctl(daemon, "status", "gpt-4", "claude-3",
                            "--json").json()
        self.assertEqual([s["name"] for s in document["services"]],
                         ["gpt-4", "claude-3"])
        self.assertNotIn("evidence", document["services"][0])
        self.assertEqual(len(self.ctl(daemon, "status", "--json").json()[
            "services"]), 2)
        self.ctl(daemon, "check", "gpt-4", code=FAILED)

    def used(self):
        daemon = self.daemon().start()
        for name in ("gpt-4", "claude-3"):
            daemon.worker().ask(f"REPORT {name} 0 - success")
        return daemon

    def test_a_file_that_others_may_write(self):
        daemon = self.used()
        os.chmod(daemon.segment_path, 0o666)
        self.check_falls_back(daemon, "may write it")

    def test_a_link(self):
        daemon = self.used()
        moved = daemon.segment_path + ".moved"
        os.rename(daemon.segment_path, moved)
        os.symlink(moved, daemon.segment_path)
        self.check_falls_back(daemon, "cannot be used")

    def test_noise(self):
        daemon = self.used()
        with open(daemon.segment_path, "rb") as f:
            good = f.read()
        os.unlink(daemon.segment_path)
        for noise in (b"", b"x" * 100, os.urandom(len(good)),
                      good[:len(good) // 2], bytes(8) + good[8:]):
            with open(daemon.segment_path, "wb") as f:
                f.write(noise)
            os.chmod(daemon.segment_path, 0o640)
            self.check_falls_back(daemon, "cannot be used")

    def test_a_directory_in_its_place(self):
        daemon = self.used()
        os.unlink(daemon.segment_path)
        os.mkdir(daemon.segment_path, 0o755)
        self.check_falls_back(daemon, "cannot be used")

    @unittest.skipIf(os.getuid() != 0, "needs root to be somebody else")
    def test_another_users_file(self):
        daemon = self.used()
        os.chown(daemon.segment_path, NOBODY, NOBODY)
        self.check_falls_back(daemon, "owner")


class Directories(CtlCase):
    def test_each_way_to_name_the_instance(self):
        daemon = self.daemon().start()
        home = os.path.dirname(daemon.dir)
        os.symlink(daemon.dir, os.path.join(home, "breakerd"))
        for env in ({"BREAKERD_DIR": daemon.dir},
                    {"XDG_RUNTIME_DIR": home}):
            document = self.assert_exit(run("status", "--json", env=env),
                                        DONE).json()
            self.assertEqual(document["daemon"]["pid"], daemon.pid)

    def test_nothing_used_yet(self):
        daemon = self.daemon().start()
        result = self.assert_exit(run("--dir", daemon.dir, "status"), DONE)
        self.assertEqual(result.out, "")
        self.assertIn("no service", result.err)
        document = self.assert_exit(
            run("--dir", daemon.dir, "status", "--json"), DONE).json()
        self.assertEqual(document["services"], [])


if __name__ == "__main__":
    main()
