# SPDX-License-Identifier: Apache-2.0
"""breakerd under a service manager: listening sockets that it is handed, restarts
that refuse nobody, the watchdog. The manager is played by this test."""
import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import threading
import time
import unittest

import zmq

import harness
from brk import Client

NAMES = ("worker.sock", "events.sock", "operator.sock")
# Puts descriptors where sd_listen_fds(3) says, in the process that becomes the
# daemon.
LAUNCH = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(f), fcntl.F_DUPFD, 100) for f in sys.argv[1].split(",") if f]
for at, fd in enumerate(fds):
    os.dup2(fd, 3 + at)
    os.close(fd)
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_PID"] = str(os.getpid() + int(sys.argv[2]))
os.environ["LISTEN_FDNAMES"] = ":".join(["operator.sock"] * len(fds))
os.execv(sys.argv[3], sys.argv[3:])
"""


class Managed(harness.Daemon):
    """A daemon whose sockets are the test's."""

    def __init__(self, names=NAMES):
        super().__init__()
        os.mkdir(self.dir, 0o755)
        self.sockets = [self.listen(name) for name in names]
        self.pass_fds = tuple(s.fileno() for s in self.sockets)
        self.launch()

    def launch(self, pid_offset=0):
        fds = ",".join(str(fd) for fd in self.pass_fds)
        self.prefix = [harness.sys.executable, "-c", LAUNCH, fds,
                       str(pid_offset)]

    def listen(self, name):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = os.path.join(self.dir, name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(1024)
        return sock

    def close(self):
        super().close()
        for sock in self.sockets:
            sock.close()


class Case(harness.Case):
    def managed(self, *args):
        daemon = Managed(*args)
        self.addCleanup(daemon.close)
        return daemon


class Handed(Case):
    def test_sockets_are_used_and_left_alone(self):
        daemon = self.managed()
        before = {name: os.stat(os.path.join(daemon.dir, name))
                  for name in NAMES}
        daemon.start()
        events = daemon.events()
        self.assertRegex(daemon.worker().ask("ACQUIRE s"), "^ALLOW ")
        # What they are called does not matter, where they lie does.
        self.assert_error(daemon.worker().ask("TRIP s -"), "forbidden")
        daemon.operator().document("TRIP s -")
        self.assertEqual(events.receive()[0], b"breaker.s")
        self.assertEqual(daemon.stop(), 0, daemon.log())
        after = {name: os.stat(os.path.join(daemon.dir, name))
                 for name in NAMES}
        for name in NAMES:
            self.assertEqual(before[name].st_ino, after[name].st_ino)
            self.assertEqual(before[name].st_mode, after[name].st_mode)

    @unittest.skipUnless(shutil.which("systemd-socket-activate"),
                         "no systemd-socket-activate")
    def test_as_systemd_hands_them_over(self):
        daemon = self.daemon()
        os.mkdir(daemon.dir, 0o755)
        # It hands on nearly nothing of its environment.
        daemon.prefix = [
            "systemd-socket-activate",
            *(f"--setenv={name}" for name in harness.SANITIZER),
            *(word for name in NAMES
              for word in ("--listen", os.path.join(daemon.dir, name)))]
        daemon.start()
        daemon.operator().document("TRIP s -")
        self.assertEqual(len(re.findall("was handed over", daemon.log())), 3,
                         daemon.log())
        self.assertEqual(daemon.stop(), 0)

    def test_missing_ones_are_made(self):
        daemon = self.managed(("worker.sock",)).start()
        daemon.operator().document("TRIP s -")
        self.assertEqual(
            stat.S_IMODE(os.stat(daemon.operator_path).st_mode), 0o600)
        self.assertEqual(daemon.stop(), 0)
        self.assertTrue(os.path.exists(daemon.worker_path))
        self.assertFalse(os.path.exists(daemon.operator_path))

    def test_who_waits_there_already_is_let_in(self):
        daemon = self.managed()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early:
            early.connect(daemon.worker_path)
            early.settimeout(harness.PATIENCE_S)
            daemon.start()
            self.assertEqual(early.recv(1), b"\xff")  # ZMTP's greeting

    def test_meant_for_another_process_are_ignored(self):
        daemon = self.managed()
        daemon.launch(pid_offset=1)
        daemon.spawn()
        harness.until(lambda: " ready " in daemon.log(), "readiness")
        self.assertNotIn("handed over", daemon.log())
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")

    def refused(self, sock, directory=None):
        """A daemon that is handed `sock` makes its own, and says so."""
        daemon = self.managed(())
        self.addCleanup(sock.close)
        if directory is not None:
            sock.bind(os.path.join(daemon.dir, directory))
        daemon.pass_fds = (sock.fileno(),)
        daemon.launch()
        daemon.start()
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")
        self.assertRegex(daemon.log(), "(?m)handed over .* is closed;")
        return daemon

    def test_what_does_not_listen_here_is_not_used(self):
        stream = (socket.AF_UNIX, socket.SOCK_STREAM)
        self.refused(socket.socket(*stream), "worker.sock")  # does not listen
        self.refused(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
                     "worker.sock")
        self.refused(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        elsewhere = socket.socket(*stream)
        other = self.managed(("worker.sock",))
        elsewhere.bind(os.path.join(other.home, "worker.sock"))
        elsewhere.listen()
        self.refused(elsewhere)

    def test_a_socket_whose_file_is_gone_is_replaced(self):
        daemon = self.managed()
        os.unlink(daemon.worker_path)
        daemon.start()
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")

    def test_descriptors_do_not_block_and_are_not_inherited(self):
        daemon = self.managed().start()
        for fd in (3, 4, 5):
            with open(f"/proc/{daemon.pid}/fdinfo/{fd}",
                      encoding="ascii") as info:
                flags = int(info.read().split("flags:")[1].split()[0], 8)
            self.assertTrue(flags & os.O_CLOEXEC)
            self.assertTrue(flags & os.O_NONBLOCK)


class Crowd:
    """Threads that connect and ask all the time."""

    def __init__(self, daemon, count=3):
        self.daemon = daemon
        self.ended = threading.Event()
        self.refused, self.unanswered, self.answered = [], [], 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=target, daemon=True)
                        for target in [self.connect] + [self.ask] * count]
        for thread in self.threads:
            thread.start()

    def connect(self):
        while not self.ended.wait(0.002):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                try:
                    sock.connect(self.daemon.worker_path)
                except OSError as error:
                    self.refused.append(repr(error))

    def ask(self):
        context = zmq.Context()
        while not self.ended.is_set():
            end = time.monotonic() + harness.PATIENCE_S
            if self.is_answered(context, end):
                with self.lock:
                    self.answered += 1
            else:
                self.unanswered.append("PING")
        context.term()

    def is_answered(self, context, end):
        """What a killed daemon had already read it takes along: such a question
        is put again, as the library does."""
        while time.monotonic() < end:
            client = Client(self.daemon.worker_path, context=context)
            try:
                client.send(["", "PING"])
                if client.receive(0.5) is not None:
                    return True
            finally:
                client.close()
        return False

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(2 * harness.PATIENCE_S)
            assert not thread.is_alive()


class Restarts(Case):
    def restart(self, how, rounds):
        daemon = self.managed().start()
        crowd = Crowd(daemon)
        try:
            for _ in range(rounds):
                before = crowd.answered
                harness.until(lambda: crowd.answered > before, "an answer")
                how(daemon)
                # Asked of nobody: the next daemon finds it in the queue.
                waiting = daemon.worker()
                waiting.send(["", "PING"])
                daemon.spawn()
                self.assertRegex(waiting.receive()[1], b"^PONG ")
        finally:
            crowd.end()
        self.assertEqual(crowd.refused, [])
        self.assertEqual(crowd.unanswered, [])
        self.assertEqual(daemon.stop(), 0, daemon.log())

    def test_by_kill_refuse_nobody(self):
        self.restart(lambda daemon: daemon.kill(), 20)

    def test_by_stop_refuse_nobody(self):
        self.restart(lambda daemon: self.assertEqual(daemon.stop(), 0), 5)


class Watchdog(Case):
    def watched(self, **env):
        daemon = self.daemon(env=env)
        sock = self.notices(daemon)
        daemon.start()
        return daemon, sock

    def beat(self, sock):
        while sock.recv(4096) != b"WATCHDOG=1":
            pass

    def test_is_fed_while_idle_but_not_by_a_daemon_that_stands_still(self):
        daemon, sock = self.watched(WATCHDOG_USEC="400000")
        for _ in range(3):
            self.beat(sock)
        os.kill(daemon.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, daemon.pid, signal.SIGCONT)
        harness.until(lambda: state(daemon.pid) == "T", "the stop")
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.recv(4096)
        sock.settimeout(0.8)
        with self.assertRaises(socket.timeout):
            sock.recv(4096)
        os.kill(daemon.pid, signal.SIGCONT)
        sock.settimeout(harness.PATIENCE_S)
        self.beat(sock)

    def test_is_not_fed_when_it_is_anothers_or_not_wanted(self):
        for env in ({"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}, {}):
            daemon, sock = self.watched(**env)
            self.assertEqual(sock.recv(4096), b"READY=1")
            sock.settimeout(0.4)
            with self.assertRaises(socket.timeout):
                sock.recv(4096)
            self.assertEqual(daemon.stop(), 0)


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().rpartition(")")[2].split()[0]


if __name__ == "__main__":
    harness.main()
