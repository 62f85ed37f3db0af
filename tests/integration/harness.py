# SPDX-License-Identifier: Apache-2.0
"""Real daemons for tests: started in a private directory, spoken to over their
sockets, stopped by their own process id. $BREAKERD names the binary."""
import atexit
import contextlib
import ctypes
import functools
import itertools
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import zmq

from brk import PATIENCE_S, Client, Silence

BREAKERD = os.environ.get("BREAKERD", "breakerd")
# The thread sanitizer makes every octet several: sizes say nothing then.
IS_THREAD_SANITIZED = "thread" in os.environ.get("BREAKERD_SANITIZE", "")
# How workers talk to the daemon: for those that are given a daemon's environment.
WAYS = ("BREAKERD_MODE", "BREAKERD_RING", "BREAKERD_TRANSPORT")
# A daemon under a sanitizer keeps freed memory; tests that look at memory need
# that kept small.
SANITIZER = {
    "ASAN_OPTIONS": "quarantine_size_mb=4:detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1",
}


def until(condition, what, patience_s=PATIENCE_S, every_s=0.01):
    """Waits until condition() is true and returns what it gave."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s} s for {what}")
        time.sleep(every_s)


@functools.lru_cache(maxsize=None)
def reachable(program):
    """A copy that any user may run: a build tree can lie where only its owner
    may look."""
    place = tempfile.mkdtemp(prefix="breakerd-test-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    os.chmod(place, 0o755)
    return shutil.copy(program, place)


class Daemon:
    """One breakerd in a private directory. Its files live in `home`: run/ (the
    instance), db/ (the database), conf (the configuration, when given)."""

    def __init__(self, config=None, env=None, args=(), umask=None, limits=None,
                 uid=None, prefix=(), with_dir=True, with_db=True):
        self.home = tempfile.mkdtemp(prefix="breakerd-test-")
        os.chmod(self.home, 0o755)
        self.dir = os.path.join(self.home, "run")
        self.db_dir = os.path.join(self.home, "db")
        os.mkdir(self.db_dir, 0o700)
        if uid is not None:
            os.chown(self.db_dir, uid, uid)
            os.chown(self.home, uid, uid)
        self.db = os.path.join(self.db_dir, "breakerd.db")
        self.conf = os.path.join(self.home, "conf")
        self.log_path = os.path.join(self.home, "log")
        self.env = dict(env or {})
        self.args = list(args)
        self.umask, self.limits, self.uid = umask, dict(limits or {}), uid
        self.prefix = list(prefix)
        self.with_dir, self.with_db = with_dir, with_db
        self.pass_fds = ()
        self.process = None
        self.clients = []
        self.configure(config)

    def configure(self, text):
        self.has_conf = text is not None
        if text is not None:
            with open(self.conf, "w", encoding="utf-8") as f:
                f.write(text)

    def command(self):
        program = BREAKERD if self.uid is None else reachable(BREAKERD)
        line = [*self.prefix, program]
        if self.with_dir:
            line += ["--dir", self.dir]
        if self.with_db:
            line += ["--db", self.db]
        if self.has_conf:
            line += ["-c", self.conf]
        return line + self.args

    def environment(self):
        kept = {k: os.environ[k] for k in ("PATH", "LANG", "HOME", *WAYS)
                if k in os.environ}
        kept.update(SANITIZER)
        kept.update({k: os.environ[k] for k in SANITIZER if k in os.environ})
        kept.update(self.env)
        return kept

    def before_exec(self):
        # The child must not outlive a test that is killed.
        die_with_parent()
        if self.umask is not None:
            os.umask(self.umask)
        for limit, value in self.limits.items():
            resource.setrlimit(limit, (value, value))
        if self.uid is not None:
            os.setgroups([])
            os.setgid(self.uid)
            os.setuid(self.uid)

    def spawn(self):
        """Starts the process and does not wait for anything."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.environment(), cwd="/",
                pass_fds=self.pass_fds, preexec_fn=self.before_exec)
        return self

    def start(self):
        """Starts it and waits until it answers."""
        self.spawn()
        end = time.monotonic() + PATIENCE_S
        probe = Client(self.worker_path)
        try:
            while time.monotonic() < end:
                if self.process.poll() is not None:
                    raise AssertionError(
                        f"breakerd ended {self.process.returncode}:\n"
                        + self.log())
                probe.send(["", "PING"])
                if probe.receive(0.2):
                    return self
            raise Silence("breakerd does not answer:\n" + self.log())
        finally:
            probe.close()

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, patience_s=PATIENCE_S):
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("breakerd had to be killed:\n" + self.log())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def run(self, *extra):
        """Runs the binary to its end; (status, what it wrote)."""
        done = subprocess.run(
            [*self.command(), *extra], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment(), cwd="/", timeout=PATIENCE_S,
            preexec_fn=self.before_exec, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def close(self):
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self):
        with contextlib.suppress(OSError):
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        return ""

    @property
    def pid(self):
        return self.process.pid

    @property
    def worker_path(self):
        return os.path.join(self.dir, "worker.sock")

    @property
    def operator_path(self):
        return os.path.join(self.dir, "operator.sock")

    @property
    def events_path(self):
        return os.path.join(self.dir, "events.sock")

    @property
    def segment_path(self):
        return os.path.join(self.dir, "breakerd.shm")

    def client(self, path, kind=zmq.DEALER):
        client = Client(path, kind)
        self.clients.append(client)
        return client

    def worker(self):
        return self.client(self.worker_path)

    def req(self):
        return self.client(self.worker_path, zmq.REQ)

    def operator(self):
        return self.client(self.operator_path)

    def events(self, topic=""):
        client = Client.__new__(Client)
        client.context = zmq.Context.instance()
        client.socket = client.context.socket(zmq.SUB)
        client.socket.linger = 0
        client.socket.setsockopt(zmq.RECONNECT_IVL, 5)
        client.socket.setsockopt(zmq.RCVHWM, 0)
        client.socket.subscribe(topic)
        client.socket.connect("ipc://" + self.events_path)
        self.clients.append(client)
        return client

    def resident_kib(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            pages = int(f.read().split()[1])
        return pages * (os.sysconf("SC_PAGE_SIZE") // 1024)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


class Relay:
    """A worker in a process of its own: lines in, answers out. It can be killed,
    and it can live in a namespace (`prefix`)."""

    def __init__(self, daemon, prefix=()):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, __file__, "relay", daemon.worker_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=lambda: die_with_parent())

    def ask(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
            raise Silence(f"no answer to {line!r}")
        return self.process.stdout.readline().decode().rstrip("\n")

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process.stdin.close()
        self.process.stdout.close()


def relay(path):
    client = Client(path)
    for line in sys.stdin:
        print(client.ask(line.rstrip("\n")), flush=True)


class Case(unittest.TestCase):
    """A test with daemons that are always cleaned up."""

    maxDiff = None

    def daemon(self, *args, **kwargs):
        daemon = Daemon(*args, **kwargs)
        self.addCleanup(daemon.close)
        return daemon

    def notices(self, daemon):
        """The socket at which a daemon tells its manager, once it is started."""
        path = os.path.join(daemon.home, "notify")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(path)
        sock.settimeout(PATIENCE_S)
        daemon.env["NOTIFY_SOCKET"] = path
        return sock

    def relay(self, daemon, prefix=()):
        worker = Relay(daemon, prefix)
        self.addCleanup(worker.kill)
        return worker

    def assert_error(self, answer, code):
        self.assertRegex(answer, rf"^ERR {code} .*\w")

    def assert_near(self, value, target, slack):
        self.assertLessEqual(abs(value - target), slack,
                             f"{value} is not within {slack} of {target}")


class SharedDaemonCase(Case):
    """Tests that share one daemon and keep apart by their services' names."""

    config = None
    daemon_options = {}
    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.shared = Daemon(config=cls.config, **cls.daemon_options)
        cls.addClassCleanup(cls.shared.close)
        cls.shared.start()
        cls.worker = cls.shared.worker()
        cls.operator = cls.shared.operator()

    def name(self):
        """A service nobody else has."""
        stem = re.sub(r"[^a-z0-9]", "-", self._testMethodName)[5:45]
        return f"{stem}-{next(SharedDaemonCase.numbers)}"

    def set(self, service, **values):
        for key, value in values.items():
            self.operator.document(f"SET {service} {key} {value}")

    def trip(self, service, failures=5):
        """Opens a circuit the honest way."""
        for _ in range(failures):
            self.assertEqual(
                self.worker.ask(f"REPORT {service} 0 - failure"), "OK applied")
        self.assertEqual(self.worker.service(service)["state"], "open")

    def tearDown(self):
        self.assertIsNone(self.shared.process.poll(),
                          "breakerd died:\n" + self.shared.log())


def main():
    """Runs the calling file's tests; 77 when every one was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and result.testsRun == len(result.skipped):
        sys.exit(77)
    sys.exit(0 if result.testsRun else 1)


if __name__ == "__main__" and sys.argv[1:2] == ["relay"]:
    relay(sys.argv[2])
