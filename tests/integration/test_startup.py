# SPDX-License-Identifier: Apache-2.0
"""How breakerd starts and ends: readiness, options, exit statuses, signals, the
files of an instance and their modes, one daemon a directory."""
import grp
import os
import re
import signal
import socket
import stat

import harness


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Ready(harness.Case):
    def test_tells_the_notify_socket_when_it_answers(self):
        daemon = self.daemon()
        sock = self.notices(daemon)
        daemon.spawn()
        said = sock.recv(4096).decode().split("\n")
        self.assertIn("READY=1", said)
        self.assertRegex(daemon.worker().ask("PING", 5), "^PONG ")
        self.assertRegex(daemon.log(), r"(?im)^breakerd: .*\bready\b")

    def test_tells_an_abstract_socket_too(self):
        daemon = self.daemon()
        name = f"\0breakerd-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(name)
            sock.settimeout(harness.PATIENCE_S)
            daemon.env["NOTIFY_SOCKET"] = "@" + name[1:]
            daemon.spawn()
            self.assertIn("READY=1", sock.recv(4096).decode().split("\n"))

    def test_needs_no_notify_socket_that_works(self):
        self.daemon(env={"NOTIFY_SOCKET": "/no/such/socket"}).start()


class Ends(harness.Case):
    def test_on_sigterm_and_sigint_and_saves(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.daemon().start()
            daemon.operator().document("TRIP s - stays")
            daemon.worker().ask("REPORT t 0 - failure")
            daemon.process.send_signal(number)
            self.assertEqual(daemon.wait(), 0, daemon.log())
            os.unlink(daemon.segment_path)
            daemon.start()
            worker = daemon.worker()
            self.assertEqual(worker.service("s")["override"]["reason"], "stays")
            self.assertEqual(worker.service("t")["counters"]["failure"], 1)

    def test_with_standard_streams_closed(self):
        daemon = self.daemon(prefix=["/bin/sh", "-c",
                                     'exec "$@" <&- >&- 2>&-', "sh"]).start()
        daemon.operator().document("TRIP s -")
        self.assertEqual(daemon.stop(), 0)

    def test_a_reader_of_stderr_that_goes_does_no_harm(self):
        daemon = self.daemon()
        pipe = os.path.join(daemon.home, "pipe")
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        daemon.prefix = ["/bin/sh", "-c", f'exec "$@" 2>{pipe}', "sh"]
        daemon.start()
        os.close(reader)
        worker, operator = daemon.worker(), daemon.operator()
        for i in range(20):
            worker.tell("garbage", f"REPORT s{i} 0 - critical")
            operator.document(f"TRIP s{i} - noise")
        self.assertRegex(worker.ask("PING"), "^PONG ")
        self.assertEqual(daemon.stop(), 0)


class Options(harness.Case):
    def test_version_and_help(self):
        daemon = self.daemon(with_dir=False, with_db=False)
        status, said = daemon.run("--version")
        self.assertEqual(status, 0)
        self.assertRegex(said, r"^breakerd \d+\.\d+\.\d+")
        status, said = daemon.run("--help")
        self.assertEqual(status, 0)
        for word in ("-c", "--dir", "--db", "--check-config", "-n", "-v",
                     "--version", "--help"):
            self.assertIn(word, said)

    def test_usage_is_2(self):
        for args in (["--no-such-option"], ["surplus"], ["--dir"], ["-c"],
                     ["--db"]):
            daemon = self.daemon(with_dir=False, with_db=False)
            daemon.args = args
            status, said = daemon.run()
            self.assertEqual(status, 2, said)
            self.assertTrue(said.strip())

    def test_verbose_says_more(self):
        quiet, loud = self.daemon().start(), self.daemon(args=["-v"]).start()
        for daemon in (quiet, loud):
            daemon.worker().ask("ACQUIRE s")
            daemon.stop()
        self.assertGreater(len(loud.log()), len(quiet.log()))

    def test_unusable_database_is_1(self):
        daemon = self.daemon()
        daemon.db = "/proc/no/such/place.db"
        status, said = daemon.run()
        self.assertEqual(status, 1)
        self.assertIn("/proc/no", said)

    def test_unusable_directory_is_1(self):
        daemon = self.daemon()
        with open(daemon.dir, "w", encoding="ascii"):
            pass
        status, said = daemon.run()
        self.assertEqual(status, 1)
        self.assertIn(daemon.dir, said)

    def test_path_too_long_for_a_socket_is_one_sentence(self):
        daemon = self.daemon()
        daemon.dir = os.path.join(daemon.home, "x" * 120)
        status, said = daemon.run()
        self.assertEqual(status, 1)
        self.assertRegex(said, r"(?i)long")


class Files(harness.Case):
    def test_modes_under_every_umask(self):
        for umask in (0o000, 0o022, 0o077):
            with self.subTest(umask=oct(umask)):
                daemon = self.daemon(umask=umask).start()
                daemon.operator().document("TRIP s -")
                self.assertEqual(
                    {f: oct(mode(os.path.join(daemon.dir, f))) for f in
                     ("", "worker.sock", "events.sock", "operator.sock",
                      "breakerd.shm")},
                    {"": "0o755", "worker.sock": "0o660",
                     "events.sock": "0o660", "operator.sock": "0o600",
                     "breakerd.shm": "0o640"})
                self.assertEqual(mode(daemon.db) & 0o077, 0)

    def test_group_or_one_line_saying_so(self):
        daemon = self.daemon().start()
        owner = os.stat(daemon.worker_path)
        try:
            group = grp.getgrnam("breakerd").gr_gid
        except KeyError:
            self.assertEqual(owner.st_uid, os.getuid())
            lines = [line for line in daemon.log().split("\n")
                     if re.search(r"\bgroup\b", line)]
            self.assertEqual(len(lines), 1, daemon.log())
        else:
            self.assertEqual(owner.st_gid, group)

    def test_pid_file(self):
        daemon = self.daemon().start()
        with open(os.path.join(daemon.dir, "breakerd.pid"),
                  encoding="ascii") as f:
            self.assertEqual(f.read(), f"{daemon.pid}\n")

    def test_warns_once_when_not_on_tmpfs(self):
        daemon = self.daemon().start()
        kind = os.popen(f"stat -f -c %T {daemon.dir}").read().strip()
        expected = 0 if kind == "tmpfs" else 1
        self.assertEqual(len(re.findall("tmpfs", daemon.log())), expected,
                         daemon.log())

    def test_leftovers_of_a_killed_daemon_do_not_matter(self):
        daemon = self.daemon().start()
        daemon.operator().document("TRIP s - before")
        daemon.kill()
        self.assertTrue(os.path.exists(daemon.worker_path))
        daemon.start()
        self.assertEqual(
            daemon.worker().service("s")["override"]["reason"], "before")

    def test_foreign_segment_is_not_believed(self):
        for content in (b"", b"x" * 100, os.urandom(1 << 20)):
            daemon = self.daemon()
            os.mkdir(daemon.dir)
            with open(daemon.segment_path, "wb") as f:
                f.write(content)
            daemon.start()
            self.assertEqual(daemon.worker().ask("ACQUIRE s"),
                             "ALLOW s 0 0 closed")


class Second(harness.Case):
    def test_is_refused_and_the_first_unharmed(self):
        daemon = self.daemon().start()
        worker, events = daemon.worker(), daemon.events()
        worker.ask("PING")
        before = os.stat(daemon.worker_path), os.stat(daemon.segment_path)
        second = self.daemon()
        second.dir = daemon.dir
        status, said = second.run()
        self.assertEqual(status, 1)
        self.assertIn(daemon.dir, said)
        self.assertIn("another", said)
        after = os.stat(daemon.worker_path), os.stat(daemon.segment_path)
        self.assertEqual([s.st_ino for s in before], [s.st_ino for s in after])
        self.assertRegex(worker.ask("PING"), "^PONG ")
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")
        daemon.operator().document("TRIP s -")
        self.assertIsNotNone(events.receive())
        with open(os.path.join(daemon.dir, "breakerd.pid"),
                  encoding="ascii") as f:
            self.assertEqual(int(f.read()), daemon.pid)

    def test_with_the_same_database_is_refused(self):
        daemon = self.daemon().start()
        second = self.daemon()
        second.db = daemon.db
        status, said = second.run()
        self.assertEqual(status, 1)
        self.assertIn(daemon.db, said)
        self.assertIn("services", daemon.operator().document("STATUS"))


if __name__ == "__main__":
    harness.main()
