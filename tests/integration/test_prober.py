# SPDX-License-Identifier: Apache-2.0
"""Health probes of a real daemon: what they open and bring forward, hostile
answers, and the life of the prober's process."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from brk import Allow, Deny
from harness import IS_THREAD_SANITIZED, Case, main, until
from test_directories import can_unshare
from upstream import (Authority, Endless, Upstream, descriptors, is_alive,
                      prober_of, resident_kib, threads, wait_for_prober)
from web import Rogue

HEAD = b"HTTP/1.1 200 OK\r\n"


class ProberCase(Case):
    def upstream(self, *args, **kwargs):
        upstream = Upstream(*args, **kwargs)
        self.addCleanup(upstream.close)
        return upstream

    def rogue(self, *acts):
        rogue = Rogue(*acts)
        self.addCleanup(rogue.close)
        return rogue

    def started(self, config, **kwargs):
        daemon = self.daemon(config=config, **kwargs)
        log = daemon.log  # of the prober, too; read before it is removed
        self.addCleanup(lambda: self.assertNotRegex(
            log(), r"Sanitizer|runtime error"))
        return daemon.start()

    def await_state(self, client, service, state):
        until(lambda: client.service(service)["state"] == state,
              f"{service} to be {state}")

    def await_probes(self, daemon, service, count=2):
        """Until this many failed probes are evidence."""
        if not daemon.clients:
            daemon.worker()
        client = daemon.clients[0]
        until(lambda: len(client.service(service)["evidence"]) >= count,
              f"{count} failed probes of {service}")
        return client.service(service)


class Meaning(ProberCase):
    def test_a_probe_opens_and_lets_try_and_never_closes(self):
        upstream = self.upstream(status=503)
        daemon = self.started(
            "[service llm]\nfailure_threshold = 3\nsuccess_threshold = 1\n"
            f"probe_url = {upstream.url('/health')}\n"
            "probe_interval = 100ms\nprobe_timeout = 2s\n")
        worker = daemon.worker()
        self.await_state(worker, "llm", "open")
        status = worker.service("llm")
        self.assertEqual(status["reason"], "consecutive_failures")
        self.assertEqual(status["evidence"][0]["worker"], "breakerd")
        self.assertEqual(status["evidence"][0]["text"], "probe: HTTP 503")
        self.assertEqual(status["counters"]["failure"], 0)
        self.assertEqual(status["window"]["calls"], 0)
        self.assertGreater(status["retry_after_ms"], 30000)
        upstream.status = 204
        self.await_state(worker, "llm", "half_open")
        self.assertEqual(worker.service("llm")["reason"], "probe_succeeded")
        seen = upstream.hits["/health"]
        until(lambda: upstream.hits["/health"] > seen + 3, "more probes")
        self.assertEqual(worker.service("llm")["state"], "half_open")
        permit = Allow(worker.ask("ACQUIRE llm")).permit
        worker.ask(f"REPORT llm {permit} - success")
        self.assertEqual(worker.service("llm")["state"], "closed")

    def test_the_network_chooses_the_provider(self):
        """A list of providers by preference; which of them is asked follows from
        whether an address on the net answers."""
        net = self.upstream()
        daemon = self.started(
            "[service internet]\nfailure_threshold = 2\n"
            "recovery_timeout = 1h\nmax_recovery_timeout = 1h\n"
            f"probe_url = {net.url('/generate_204')}\n"
            "probe_interval = 200ms\nprobe_timeout = 3s\n"
            "[service gpt-4]\nrequires = internet\n"
            "[service claude]\nrequires = internet\n"
            "[route chat]\nservices = gpt-4, claude, ollama\n")
        worker = daemon.worker()

        def chosen():
            return Allow(worker.ask("ACQUIRE chat")).service
        for _ in range(2):
            until(lambda: chosen() == "gpt-4", "the cloud to be chosen")
            net.status = 502
            until(lambda: chosen() == "ollama", "the local one to be chosen")
            self.assertEqual(Deny(worker.ask("ACQUIRE claude")).reason,
                             "requires")
            net.status = 200
        until(lambda: chosen() == "gpt-4", "the cloud to be back")

    def test_addresses_change_while_it_runs(self):
        first, second = self.upstream(status=500), self.upstream(status=500)
        text = ("[service llm]\nprobe_interval = 100ms\n"
                "failure_threshold = 0\nprobe_url = {}\n")
        daemon = self.started(text.format(first.url("/a")))
        operator = daemon.operator()
        until(lambda: first.hits.get("/a", 0) > 1, "probes of the file's")
        daemon.configure(text.format(second.url("/b")))
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: second.hits.get("/b", 0) > 1, "probes after SIGHUP")
        operator.document(f"SET llm probe_url {first.url('/c')}")
        until(lambda: first.hits.get("/c", 0) > 1, "probes after SET")
        operator.document(f"SET other probe_url {first.url('/d')}")
        operator.document("SET other probe_interval 100ms")
        until(lambda: first.hits.get("/d", 0) > 1, "probes of another")
        operator.ask("FORGET other")
        operator.document("UNSET llm probe_url")
        seen = second.hits["/b"]
        until(lambda: second.hits["/b"] > seen + 1, "the file's again")
        still = dict(first.hits)
        seen = second.hits["/b"]
        until(lambda: second.hits["/b"] > seen + 3, "a few more")
        self.assertEqual(first.hits, still)
        # With nothing to ask there is no process.
        pid = prober_of(daemon)
        self.assertIsNotNone(pid)
        operator.document("SET llm probe_url -")
        until(lambda: prober_of(daemon) is None, "the prober to end")

    def test_what_is_no_address_is_refused_with_a_sentence(self):
        daemon = self.daemon(config="[service llm]\nprobe_url = file:///etc\n")
        status, words = daemon.run("-n")
        self.assertEqual(status, 2)
        self.assertRegex(words, r"conf:2: probe_url: .*http")


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


class Process(ProberCase):
    def config(self, upstream):
        return (f"[service llm]\nprobe_url = {upstream.url('/h')}\n"
                "probe_interval = 100ms\n")

    def test_without_probes_there_is_no_prober(self):
        daemon = self.started("[service llm]\nfailure_threshold = 3\n")
        daemon.worker().ask("ACQUIRE llm")
        self.assertIsNone(prober_of(daemon))

    def test_it_holds_nothing_of_the_daemons(self):
        daemon = self.started(self.config(self.upstream()))
        pid = wait_for_prober(daemon)

        def opened():
            names = set()
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    names.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
                except OSError:
                    pass
            return names
        until(lambda: not any(name.startswith(daemon.home + "/db") or
                              name.startswith(daemon.home + "/run")
                              for name in opened()), "it to let go")
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            self.assertNotIn("breakerd.shm", f.read())

        def rights():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return dict(line.split(":", 1) for line in f)
        until(lambda: rights()["NoNewPrivs"].strip() == "1",
              "it to give up new rights")
        if os.getuid() == 0:
            self.assertNotIn("0", rights()["Uid"].split())

    def test_killed_it_comes_back(self):
        upstream = self.upstream()
        daemon = self.started(self.config(upstream))
        pid = wait_for_prober(daemon)
        for _ in range(3):
            os.kill(pid, signal.SIGKILL)
            pid = wait_for_prober(daemon, other_than=pid)
            seen = upstream.hits.get("/h", 0)
            until(lambda: upstream.hits.get("/h", 0) > seen + 1, "probes")
        self.assertIn("the prober has died", daemon.log())

    def test_stopped_it_is_replaced(self):
        upstream = self.upstream()
        daemon = self.started(self.config(upstream))
        pid = wait_for_prober(daemon)
        os.kill(pid, signal.SIGSTOP)
        other = until(lambda: prober_of(daemon) not in (pid, None),
                      "another prober", patience_s=60)
        self.assertTrue(other)
        self.assertIn("the prober has said nothing", daemon.log())

    def test_it_goes_with_the_daemon(self):
        for ending in (signal.SIGKILL, signal.SIGTERM):
            daemon = self.started(self.config(self.upstream()))
            pid = wait_for_prober(daemon)
            daemon.process.send_signal(ending)
            daemon.process.wait(20)
            until(lambda p=pid: not is_alive(p), "the prober to be gone")

    def test_without_the_program_the_daemon_serves_and_says_so(self):
        upstream = self.upstream()
        daemon = self.daemon(config=self.config(upstream))
        alone = shutil.copy(os.environ["BREAKERD"], daemon.home)
        daemon.command = lambda: [alone, "--dir", daemon.dir, "--db",
                                  daemon.db, "-c", daemon.conf]
        daemon.start()
        until(lambda: "no health probes and no webhooks" in daemon.log(),
              "it to say so")
        self.assertTrue(daemon.worker().ask("ACQUIRE llm").startswith("ALLOW"))


if __name__ == "__main__":
    main()
