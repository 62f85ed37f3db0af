# SPDX-License-Identifier: Apache-2.0
"""Run by test_package.py as root of a throw-away system: installs the packages that
lie in /tmp/packages, does what systemd would do with the units, and removes them."""
import fcntl
import glob
import grp
import os
import pwd
import re
import shlex
import signal
import socket
import stat
import struct
import subprocess
import time
import unittest

UNITS = "/usr/lib/systemd/system"
PATIENCE_S = 20
WANTS = ["/etc/systemd/system/multi-user.target.wants/breakerd.service",
         "/etc/systemd/system/sockets.target.wants/breakerd.socket",
         "/etc/systemd/system/sockets.target.wants/breakerd-operator.socket"]
LAUNCH = """
import os, sys
for at, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + at)
os.environ["LISTEN_FDS"] = str(len(sys.argv[1].split(",")))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


def run(*command, user=None, ok=True):
    if user is not None:
        command = (*as_user(user), *command)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, check=False)
    if ok and done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}")
    return done.stdout if ok else (done.returncode, done.stdout)


def as_user(user, groups=()):
    names = ",".join(groups)
    return ("setpriv", f"--reuid={user}",
            f"--regid={pwd.getpwnam(user).pw_gid}",
            f"--groups={names}" if names else "--clear-groups",
            "--no-new-privs", "--bounding-set=-all")


def unit(name):
    found = {}
    with open(f"{UNITS}/{name}", encoding="utf-8") as text:
        for line in text:
            if re.match(r"\w+=", line):
                key, value = line.rstrip("\n").split("=", 1)
                found.setdefault(key, []).append(value)
    return found


class Manager:
    """As much of systemd as the units need."""

    def __init__(self):
        self.sockets = []
        for name in ("breakerd.socket", "breakerd-operator.socket"):
            asked = unit(name)
            for path in asked["ListenStream"]:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sock.bind(path)
                os.chown(path, pwd.getpwnam(asked["SocketUser"][0]).pw_uid,
                         grp.getgrnam(asked["SocketGroup"][0]).gr_gid)
                os.chmod(path, int(asked["SocketMode"][0], 8))
                sock.listen(int(asked["Backlog"][0]))
                self.sockets.append(sock)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("/run/notify")
        os.chmod("/run/notify", 0o777)
        self.notify.settimeout(PATIENCE_S)

    def start(self, name, *options):
        asked = unit(name)
        user = asked["User"][0]
        environment = {"PATH": "/usr/bin", "NOTIFY_SOCKET": "/run/notify"}
        for key, value in (("RuntimeDirectory", "/run"),
                           ("StateDirectory", "/var/lib")):
            for directory in asked.get(key, []):
                path = f"{value}/{directory}"
                os.makedirs(path, exist_ok=True)
                os.chown(path, pwd.getpwnam(user).pw_uid,
                         grp.getgrnam(asked["Group"][0]).gr_gid)
                os.chmod(path, int(asked[key + "Mode"][0], 8))
                variable = re.sub("(?!^)([A-Z])", r"_\1", key).upper()
                environment[variable] = path
        if "WatchdogSec" in asked:
            environment["WATCHDOG_USEC"] = str(
                int(asked["WatchdogSec"][0]) * 1000000)
        command = [word for word in shlex.split(asked["ExecStart"][0])
                   if not word.startswith("$")]
        command = [*as_user(user), *command, *options]
        fds = []
        if "Sockets" in asked:
            fds = [sock.fileno() for sock in self.sockets]
            # setpriv becomes the program: the process stays the same.
            command = ["/usr/bin/python3", "-c", LAUNCH,
                       ",".join(map(str, fds)), *command]
        process = subprocess.Popen(command, env=environment, pass_fds=fds,
                                   umask=int(asked["UMask"][0], 8))
        while b"READY=1" not in self.notify.recv(4096):
            pass
        return process


def raise_loopback():
    """The network is this system's own, and its loopback down at first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(sock, 0x8913, request)  # SIOCGIFFLAGS
        flags = struct.unpack_from("16sh", request)[1]
        struct.pack_into("16sh", request, 0, b"lo", flags | 1)  # IFF_UP
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS


def mode(path):
    return oct(stat.S_IMODE(os.stat(path).st_mode))


class Life(unittest.TestCase):
    """One story, told in the order of the names."""

    @classmethod
    def install(cls):
        return run("dpkg", "-i", *sorted(glob.glob("/tmp/packages/*.deb")))

    def test_1_install(self):
        self.install()
        for path in WANTS:
            self.assertTrue(os.path.islink(path), path)
        self.assertFalse(os.path.exists(
            WANTS[0].replace("breakerd.service", "breakerweb.service")))
        self.assertEqual(mode("/run/breakerd"), "0o755")
        self.assertIn("libbreaker.so.0 ", run("ldconfig", "-p"))
        self.assertIn("breaker", run("/usr/bin/python3", "-c",
                                     "import breaker; print(breaker.Breaker)"))
        for page in ("breakerd.8", "breakerctl.1", "libbreaker.3"):
            self.assertTrue(glob.glob(f"/usr/share/man/man*/{page}.gz"), page)

    def test_2_serve(self):
        manager = Manager()
        daemon = manager.start("breakerd.service")
        sock = "/run/breakerd/"
        self.assertEqual([mode(sock + name) for name in
                          ("worker.sock", "events.sock", "operator.sock",
                           "breakerd.shm")],
                         ["0o660", "0o660", "0o600", "0o640"])
        self.assertTrue(os.path.exists("/var/lib/breakerd/breakerd.db"))
        group = grp.getgrnam("breakerd").gr_gid
        self.assertEqual(os.stat(sock + "breakerd.shm").st_gid, group)
        # The operator, a worker, a stranger.
        run("breakerctl", "trip", "s", "--reason", "as root")
        worker = (*as_user("nobody", ["breakerd"]), "breakerctl")
        self.assertIn("forced_open", run(*worker, "status", "s"))
        self.assertIn("DENY", run(*worker, "raw", "ACQUIRE s"))
        self.assertEqual(run(*worker, "auto", "s", ok=False)[0], 4)
        self.assertNotEqual(
            run("breakerctl", "raw", "PING", user="nobody", ok=False)[0], 0)
        doctor = run("breakerctl", "doctor")
        self.assertIn(" 0 fail", doctor)
        run("usermod", "-aG", "breakerd", "games")
        self.assertIn("was not when this session began",
                      run("breakerctl", "doctor", user="games", ok=False)[1])
        # What the unit does for systemctl reload.
        reload = unit("breakerd.service")["ExecReload"][0].replace(
            "${RUNTIME_DIRECTORY}", "/run/breakerd")
        run(*reload.split(), user="breakerd")
        # Killed, and started again on the same sockets.
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(PATIENCE_S)
        daemon = manager.start("breakerd.service")
        self.assertIn("as root", run("breakerctl", "status", "s", "--json"))
        if os.path.exists(f"{UNITS}/breakerweb.service"):
            self.web(manager)
        # An upgrade leaves a running daemon alone and a changed file as it is.
        with open("/etc/breakerd/breakerd.conf", "a", encoding="utf-8") as conf:
            conf.write("[defaults]\nfailure_threshold = 7\n")
        self.install()
        self.assertIsNone(daemon.poll())
        run("breakerctl", "reload")
        self.assertRegex(run("breakerctl", "config"),
                         "failure_threshold +7 +defaults")
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(PATIENCE_S), 0)
        for one in manager.sockets:
            one.close()
        manager.notify.close()

    def web(self, manager):
        web = manager.start("breakerweb.service", "--listen", "127.0.0.1:9465",
                            "--listen", "unix:/run/breakerweb/http.sock")
        try:
            self.assertEqual(mode("/run/breakerweb/http.sock"), "0o660")
            with socket.create_connection(("127.0.0.1", 9465),
                                          PATIENCE_S) as http:
                http.sendall(b"GET /api/v1/status HTTP/1.0\r\n"
                             b"Host: localhost:9465\r\n\r\n")
                answer = b""
                end = time.monotonic() + PATIENCE_S
                while time.monotonic() < end:
                    part = http.recv(65536)
                    if not part:
                        break
                    answer += part
            self.assertIn(b"as root", answer)
        finally:
            web.send_signal(signal.SIGTERM)
            self.assertEqual(web.wait(PATIENCE_S), 0)

    def test_3_remove(self):
        run("dpkg", "-r", "breakerd")
        self.assertFalse(os.path.exists("/usr/sbin/breakerd"))
        self.assertTrue(os.path.exists("/var/lib/breakerd/breakerd.db"))
        self.assertTrue(os.path.exists("/etc/breakerd/breakerd.conf"))

    def test_4_purge(self):
        run("dpkg", "-P", "breakerd", "libbreaker-dev", "python3-breaker",
            "libbreaker0")
        for path in (*WANTS, "/var/lib/breakerd", "/run/breakerd",
                     "/etc/breakerd", "/usr/include/breaker"):
            self.assertFalse(os.path.lexists(path), path)
        left = [path for path in
                run("find", "/etc", "/usr", "/var/lib/dpkg/info", "-xdev",
                    "-name", "*breaker*", "-newer", "/tmp/packages").split()]
        self.assertEqual(left, [])


if __name__ == "__main__":
    raise_loopback()
    unittest.main(failfast=True)
