# SPDX-License-Identifier: Apache-2.0
"""What answers health probes, or does not, at its worst: bounded time and memory,
and nobody who waits."""
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import IS_THREAD_SANITIZED, main, until
from prober_case import ProberCase
from test_directories import can_unshare
from upstream import (Authority, Endless, descriptors, prober_of, resident_kib,
                      threads, wait_for_prober)

HEAD = b"HTTP/1.1 200 OK\r\n"


class Hostile(ProberCase):
    """Every act takes bounded time and memory, and nobody waits for it."""

    ACTS = {
        # name: the act, what the evidence says; None: it counts as good
        "body": (Endless(HEAD + b"\r\n", b"x" * 65536), None),
        "headers": (Endless(HEAD, b"X-Y: " + b"z" * 1000 + b"\r\n"),
                    "headers without end"),
        "drip": (Endless(HEAD + b"Content-Length: 99999\r\n\r\n", b"x", 0.2),
                 "no answer in time"),
        "slow-head": (Endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.2),
                      "no answer in time"),
        "garbage": ([b"\x00\xff\x17garbage\r\n\r\n" * 9], str),
        "status": ([b"HTTP/1.1 9999999 OK\r\n\r\n"], str),
        "chunks": ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
                    b"ffffffffffffffffffff\r\n"], str),
        "hints": (Endless(b"HTTP/1.1 103 Early\r\n\r\n",
                          b"HTTP/1.1 103 Early\r\n\r\n" * 50), str),
        "silence": ([20.0], "no answer in time"),
        "reset": (["reset"], str),
        "nothing": ([], str),
    }

    def test_hostile_answers(self):
        rogues = {name: self.rogue(act) for name, (act, _) in self.ACTS.items()}
        lure = self.upstream()
        moved = self.upstream(status=302, headers=[
            ("Location", lure.url("/stolen"))])
        filed = self.upstream(status=301, headers=[
            ("Location", "file:///etc/passwd")])
        urls = {name: rogue.url("/x") for name, rogue in rogues.items()}
        urls.update(moved=moved.url("/x"), filed=filed.url("/x"),
                    metadata="http://169.254.169.254/latest/meta-data/",
                    mapped="http://[::ffff:169.254.169.254]/",
                    nowhere="http://0.0.0.0/")
        config = "[defaults]\nprobe_interval = 300ms\nprobe_timeout = 700ms\n" \
            "failure_threshold = 0\n" + "".join(
                f"[service {name}]\nprobe_url = {url}\n"
                for name, url in urls.items())
        daemon = self.started(config)
        worker = daemon.worker()
        pid = wait_for_prober(daemon)
        for name in ("metadata", "mapped", "nowhere"):
            status = self.await_probes(daemon, name)
            self.assertEqual(status["evidence"][0]["text"],
                             "probe: address not allowed", name)
        for name, (_, words) in self.ACTS.items():
            if words is None:
                continue
            status = self.await_probes(daemon, name)
            text = status["evidence"][0]["text"]
            if isinstance(words, str):
                self.assertEqual(text, "probe: " + words, name)
            else:
                self.assertRegex(text, r"^probe: \w", name)
        for name in ("moved", "filed", "body"):
            self.assertEqual(worker.service(name)["evidence"], [], name)
        before = resident_kib(pid), descriptors(pid)
        slowest, end = 0.0, time.monotonic() + 5
        while time.monotonic() < end:
            began = time.monotonic()
            worker.ask("ACQUIRE calm")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.002)
        self.assertEqual(prober_of(daemon), pid, daemon.log())
        self.assertLess(slowest, 1.0)
        grown = resident_kib(pid) - before[0]
        print(f"prober grew {grown} KiB; slowest answer {slowest * 1e3:.1f} ms")
        if not IS_THREAD_SANITIZED:
            self.assertLess(grown, 16384)
        self.assertLess(descriptors(pid), before[1] + 32)
        self.assertEqual(lure.hits, {})
        self.assertEqual(worker.service("calm")["state"], "closed")

    def test_more_than_there_is_room_for_take_turns(self):
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(1024)  # and never accepts
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            daemon = self.started(
                "[defaults]\nprobe_interval = 200ms\nprobe_timeout = 500ms\n"
                "failure_threshold = 0\n" + "".join(
                    f"[service s{i}]\nprobe_url = {url}\n"
                    for i in range(200)))
            for i in range(200):
                self.await_probes(daemon, f"s{i}", 1)

    def test_its_own_want_of_descriptors_counts_against_nobody(self):
        upstream = self.upstream()
        daemon = self.started(
            "[service llm]\nfailure_threshold = 1\n"
            f"probe_url = {upstream.url('/h')}\nprobe_interval = 100ms\n")
        worker = daemon.worker()
        until(lambda: upstream.hits.get("/h", 0) > 1, "probes")
        pid = wait_for_prober(daemon)
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534",
                     "--clear-groups"] if os.getuid() == 0 else []
        subprocess.run([*as_nobody, "prlimit", "--pid", str(pid),
                        "--nofile=3:3"], check=True, timeout=20)
        until(lambda: "prober: out of" in daemon.log(), "it to say so")
        seen = upstream.hits["/h"]
        time.sleep(0.5)
        self.assertEqual(upstream.hits["/h"], seen)
        self.assertEqual(worker.service("llm")["state"], "closed")
        self.assertEqual(worker.service("llm")["evidence"], [])


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "mount namespaces are not permitted here")
class Names(ProberCase):
    """In a mount namespace whose name server is silent."""

    # Another one for each run of this test.
    SERVER = f"127.53.{os.getpid() >> 8 & 127}.{os.getpid() % 250 + 1}"

    def namespace(self, hosts="", then=""):
        home = tempfile.mkdtemp(prefix="breakerd-names-")
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        for name, text in (("resolv", f"nameserver {self.SERVER}\nsearch .\n"),
                           ("hosts", "127.0.0.1 localhost\n" + hosts),
                           ("nss", "hosts: files dns\n")):
            path = os.path.join(home, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, 0o644)
        os.chmod(home, 0o755)
        return ["unshare", "-m", "/bin/sh", "-c",
                f"mount --bind {home}/resolv /etc/resolv.conf && "
                f"mount --bind {home}/hosts /etc/hosts && "
                f"mount --bind {home}/nss /etc/nsswitch.conf && {then}"
                'exec "$@"', "sh"]

    def test_a_name_does_not_lead_to_loopback(self):
        upstream = self.upstream()
        daemon = self.started(
            "[defaults]\nprobe_interval = 100ms\nprobe_timeout = 2s\n"
            "failure_threshold = 0\n"
            f"[service rebound]\n"
            f"probe_url = http://rebound.example:{upstream.port}/r\n"
            f"[service named]\n"
            f"probe_url = http://localhost:{upstream.port}/n\n",
            prefix=self.namespace("127.0.0.1 rebound.example\n"))
        status = self.await_probes(daemon, "rebound")
        self.assertEqual(status["evidence"][0]["text"],
                         "probe: address not allowed")
        until(lambda: upstream.hits.get("/n", 0) > 1, "probes of localhost")
        self.assertNotIn("/r", upstream.hits)

    @unittest.skipUnless(shutil.which("openssl") and
                         os.path.isdir("/etc/ssl/certs"), "openssl is missing")
    def test_certificates_are_verified(self):
        home = tempfile.mkdtemp(prefix="breakerd-tls-")
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        os.chmod(home, 0o755)
        authority = Authority(home)
        good = self.upstream(tls=authority.context("localhost"))
        other = self.upstream(tls=authority.context("example.org"))
        own = self.upstream(tls=authority.context("localhost", False))
        stalls = self.rogue([20.0])
        ports = {"good": good.port, "other": other.port, "own": own.port,
                 "stalls": stalls.port}
        config = "[defaults]\nprobe_interval = 200ms\nprobe_timeout = 2s\n" \
            "failure_threshold = 0\n" + "".join(
                f"[service {name}]\nprobe_url = https://localhost:{port}/t\n"
                for name, port in ports.items())
        trusting = self.started(config, prefix=self.namespace(
            then="mount -t tmpfs none /etc/ssl/certs && "
            f"cp {authority.certificate} /etc/ssl/certs/ca-certificates.crt && "
            "chmod 644 /etc/ssl/certs/ca-certificates.crt && "))
        for name in ("other", "own", "stalls"):
            text = self.await_probes(trusting, name)["evidence"][0]["text"]
            self.assertRegex(text, "no answer in time" if name == "stalls"
                             else "(?i)ssl|certificate")
        until(lambda: good.hits.get("/t", 0) > 1, "probes of the good one")
        self.assertEqual(trusting.worker().service("good")["evidence"], [])
        self.assertEqual((other.hits, own.hits), ({}, {}))
        # Without anybody to trust nothing can be said of the services.
        bare = self.started(config, prefix=self.namespace(
            then="mount -t tmpfs none /etc/ssl/certs && "))
        until(lambda: "install ca-certificates" in bare.log(), "it to say so")
        self.assertEqual(bare.worker().service("own")["evidence"], [])

    def test_silent_names_and_dead_targets_delay_nobody(self):
        """Blocks of calls take turns on a daemon in trouble and on one without."""
        blocks = int(os.environ.get("BREAKERD_TEST_BLOCKS", "20"))
        plain = "".join(f"[service s{i}]\nfailure_threshold = 0\n"
                        for i in range(16))
        trouble = plain.replace(
            "failure", "probe_interval = 300ms\nprobe_timeout = 200ms\n"
            "probe_url = http://nowhere.example/\nfailure")
        silent, dead = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        with silent, dead:
            silent.bind((self.SERVER, 53))
            dead.bind(("127.0.0.1", 0))
            dead.listen(1)  # and never accepts
            trouble += ("[webhook deaf]\nurl = http://127.0.0.1:"
                        f"{dead.getsockname()[1]}/\n"
                        "[webhook unknown]\nurl = http://hook.example/\n")
            calm = self.started(plain, prefix=self.namespace())
            busy = self.started(trouble, prefix=self.namespace())
            pid = wait_for_prober(busy)
            self.await_probes(busy, "s0")
            workers = calm.worker(), busy.worker()
            operators = calm.operator(), busy.operator()
            times = [], []
            before = None
            for block in range(2 * blocks):
                which = block % 2
                operators[which].ask_all("TRIP flap -", "AUTO flap")
                for _ in range(200):
                    began = time.perf_counter()
                    workers[which].ask("ACQUIRE calm")
                    times[which].append(time.perf_counter() - began)
                if before is None:
                    time.sleep(3)
                    before = resident_kib(pid), descriptors(pid), threads(pid)
            after = resident_kib(pid), descriptors(pid), threads(pid)
            self.assertEqual(wait_for_prober(busy), pid, busy.log())
        p99 = [sorted(t)[int(len(t) * 0.99)] * 1e6 for t in times]
        print(f"p99 {p99[0]:.0f} us without trouble, {p99[1]:.0f} us with; "
              f"prober KiB, descriptors, threads {before} -> {after}")
        self.assertLess(p99[1], 5 * p99[0] + 20000)
        self.assertEqual(busy.worker().service("s0")["evidence"][0]["text"],
                         "probe: no answer in time")
        self.assertLess(after[1], before[1] + 64)
        self.assertLess(after[2], 200)
        if not IS_THREAD_SANITIZED:
            self.assertLess(after[0], before[0] + 16384)


if __name__ == "__main__":
    main()
