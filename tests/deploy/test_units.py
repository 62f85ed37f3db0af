# SPDX-License-Identifier: Apache-2.0
"""The units: systemd finds no fault with them, their sandbox is tight, and does
not stand in the daemon's way."""
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import harness

BUILD = os.environ["BREAKERD_BUILD"]
UNITS = "usr/lib/systemd/system"
PATIENCE_S = 60


def run(*command, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE_S, check=False, **kwargs)
    return done.returncode, done.stdout


class Unit(dict):
    """A unit's settings, each a list: they may be given several times."""

    def __init__(self, path):
        super().__init__()
        with open(path, encoding="utf-8") as text:
            for line in text:
                if re.match(r"\w+=", line):
                    key, value = line.rstrip("\n").split("=", 1)
                    self.setdefault(key, []).append(value)


class Installed(harness.Case):
    """Tests that look at an installation for /usr in a folder of its own."""

    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="breakerd-test-")
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        status, said = run("cmake", "--install", BUILD, "--prefix", "/usr",
                           "--component", "breakerd",
                           env=dict(os.environ, DESTDIR=cls.root))
        assert status == 0, said
        cls.services = sorted(
            name for name in os.listdir(os.path.join(cls.root, UNITS))
            if name.endswith(".service"))

    def unit(self, name):
        return Unit(os.path.join(self.root, UNITS, name))


class Files(Installed):
    def test_programs_that_units_start_are_installed(self):
        self.assertIn("breakerd.service", self.services)
        for name in self.services:
            unit = self.unit(name)
            for line in unit["ExecStart"] + unit.get("ExecReload", []):
                program = line.split()[0]
                self.assertTrue(
                    os.access(self.root + program, os.X_OK), program)

    def test_the_configuration_is_where_the_unit_reads_it_and_good(self):
        words = self.unit("breakerd.service")["ExecStart"][0].split()
        conf = words[words.index("-c") + 1]
        self.assertEqual(conf, "/etc/breakerd/breakerd.conf")
        status, said = run(harness.BREAKERD, "-n", "-c", self.root + conf)
        self.assertEqual(status, 0, said)
        # What it shows commented out is good too.
        with open(self.root + conf, encoding="utf-8") as text:
            shown = re.findall(r"^# (\[.*|\w+ = .*)$", text.read(), re.M)
        self.assertGreater(len(shown), 3)
        with tempfile.TemporaryDirectory() as place:
            url, copy = os.path.join(place, "url"), os.path.join(place, "conf")
            with open(url, "w", encoding="ascii") as text:
                text.write("https://hooks.example.org/a\n")
            os.chmod(url, 0o600)
            with open(copy, "w", encoding="utf-8") as text:
                text.write(re.sub(r"(?m)^url_file = .*", f"url_file = {url}",
                                  "\n".join(shown) + "\n"))
            status, said = run(harness.BREAKERD, "-n", "-c", copy)
        self.assertEqual(status, 0, said)

    def test_a_configuration_that_is_there_is_kept(self):
        with tempfile.TemporaryDirectory() as root:
            conf = os.path.join(root, "etc/breakerd/breakerd.conf")
            os.makedirs(os.path.dirname(conf))
            with open(conf, "w", encoding="utf-8") as text:
                text.write("# mine\n")
            status, said = run("cmake", "--install", BUILD, "--prefix", "/usr",
                               "--component", "breakerd",
                               env=dict(os.environ, DESTDIR=root))
            self.assertEqual(status, 0, said)
            with open(conf, encoding="utf-8") as text:
                self.assertEqual(text.read(), "# mine\n")

    def test_another_prefix_is_the_units_too(self):
        with tempfile.TemporaryDirectory() as prefix:
            status, said = run("cmake", "--install", BUILD, "--prefix", prefix,
                               "--component", "breakerd")
            self.assertEqual(status, 0, said)
            unit = Unit(os.path.join(prefix,
                                     "lib/systemd/system/breakerd.service"))
            program, _, conf = unit["ExecStart"][0].split()
            for path in (program, conf):
                self.assertTrue(path.startswith(prefix + "/"), path)
                self.assertTrue(os.path.exists(path), path)

    def test_sockets_are_those_of_the_contract(self):
        """Path and mode of each, by two units that start one service."""
        found = {}
        for name in ("breakerd.socket", "breakerd-operator.socket"):
            unit = self.unit(name)
            self.assertEqual(unit["SocketGroup"], ["breakerd"])
            for path in unit["ListenStream"]:
                found[path] = unit["SocketMode"]
            self.assertIn(name, self.unit("breakerd.service")["Sockets"][0]
                          .split())
        self.assertEqual(found, {"/run/breakerd/worker.sock": ["0660"],
                                 "/run/breakerd/events.sock": ["0660"],
                                 "/run/breakerd/operator.sock": ["0600"]})

    def test_the_traps_are_avoided(self):
        unit = self.unit("breakerd.service")
        for key in ("DynamicUser", "RemoveIPC", "PrivateUsers", "ProcSubset"):
            self.assertNotIn(key, unit)
        self.assertEqual(unit["RuntimeDirectoryPreserve"], ["yes"])


@unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
class Judged(Installed):
    def test_systemd_finds_no_fault(self):
        # What the units of the system itself would need is not here.
        units = [f"/{UNITS}/{name}" for name in
                 sorted(os.listdir(os.path.join(self.root, UNITS)))]
        _, said = run("systemd-analyze", "verify", "--man=no",
                      "--recursive-errors=no", f"--root={self.root}", *units)
        self.assertEqual(said, "")

    def test_exposure_is_at_most_2(self):
        for name in self.services:
            status, said = run(
                "systemd-analyze", "security", "--offline=true",
                "--threshold=20", os.path.join(self.root, UNITS, name))
            self.assertEqual(status, 0, said)
            self.assertRegex(said, r"Overall exposure level for .*: [01]\.")

    def test_users_and_directory_are_made(self):
        os.makedirs(os.path.join(self.root, "etc"), exist_ok=True)
        status, said = run("systemd-sysusers", f"--root={self.root}",
                           "breakerd.conf")
        self.assertEqual(status, 0, said)
        entries = {}
        for name in ("passwd", "group"):
            with open(os.path.join(self.root, "etc", name),
                      encoding="ascii") as text:
                entries[name] = {line.split(":")[0]: line.strip().split(":")
                                 for line in text}
        group = entries["group"]["breakerd"][2]
        for service in self.services:
            user = entries["passwd"][self.unit(service)["User"][0]]
            self.assertEqual(user[3], group)
            self.assertIn("nologin", user[6])
        # Orders are for the daemon's own user, and the web page's is another.
        self.assertNotEqual(entries["passwd"]["breakerd"][2],
                            entries["passwd"]["breakerweb"][2])
        if os.getuid() == 0:
            status, said = run("systemd-tmpfiles", f"--root={self.root}",
                               "--create", "breakerd.conf")
            self.assertEqual(status, 0, said)
            made = os.stat(os.path.join(self.root, "run/breakerd"))
            self.assertEqual(oct(made.st_mode & 0o7777), "0o755")
            self.assertEqual(made.st_gid, int(group))

    def allowed(self, unit):
        """The system calls that a unit's filter lets through."""
        calls = set()
        for line in self.unit(unit)["SystemCallFilter"]:
            for word in line.lstrip("~").split():
                expanded = expand(word)
                if line.startswith("~"):
                    calls -= expanded
                else:
                    calls |= expanded
        return calls

    @unittest.skipIf(os.environ.get("BREAKERD_SANITIZE"),
                     "a sanitizer makes calls of its own")
    @unittest.skipUnless(shutil.which("strace"), "no strace")
    def test_the_filter_lets_through_what_the_daemon_does(self):
        trace = tempfile.NamedTemporaryFile(suffix=".trace")
        self.addCleanup(trace.close)
        asked = threading.Event()
        upstream = Upstream(asked)
        self.addCleanup(upstream.close)
        daemon = self.daemon(
            config="[service u]\nprobe_interval = 100ms\nprobe_url = "
                   f"http://localhost:{upstream.port}/\n",
            prefix=["strace", "-f", "-qq", "-o", trace.name])
        daemon.start()
        worker, operator = daemon.worker(), daemon.operator()
        worker.ask("ACQUIRE s")
        worker.ask("REPORT s 0 - failure")
        events = daemon.events()
        operator.document("TRIP s - why")
        operator.document("RELOAD")
        operator.document("HISTORY * 10")
        self.assertTrue(asked.wait(harness.PATIENCE_S), "no health probe")
        events.close()
        worker.close()
        # strace stands in front of it; the daemon itself is to end.
        with open(os.path.join(daemon.dir, "breakerd.pid"),
                  encoding="ascii") as pid:
            os.kill(int(pid.read()), 15)
        self.assertEqual(daemon.wait(), 0, daemon.log())
        with open(trace.name, encoding="utf-8", errors="replace") as lines:
            used = set(re.findall(r"(?m)^\d+ +(\w+)\(", lines.read()))
        # The manager makes the first before the filter is there.
        used -= {"execve"}
        # As root, which the unit's daemon is not, the prober becomes nobody.
        if os.getuid() == 0:
            used -= {"setgroups", "setgid", "setuid"}
        self.assertIn("sendto", used)
        self.assertEqual(used - self.allowed("breakerd.service"), set())


class Upstream:
    """Answers health probes."""

    def __init__(self, asked):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(204)
                self.end_headers()
                asked.set()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def expand(word):
    if not word.startswith("@"):
        return {word}
    _, said = run("systemd-analyze", "syscall-filter", word)
    calls = set()
    for name in re.findall(r"(?m)^    ([@\w-]+)$", said):
        calls |= expand(name)
    return calls


if __name__ == "__main__":
    harness.main()
