# SPDX-License-Identifier: Apache-2.0
"""Hostile input and numbers: the daemon stays, stays small, goes on answering and
loses nothing."""
import os
import random
import resource
import socket
import string
import time
import unittest

import zmq

import harness
from brk import Allow, Client

SEED = int(os.environ.get("BREAKERD_TEST_SEED", "20240607"))
NAME_CHARS = string.ascii_letters + string.digits + "._:/@-"
# What the whole daemon may grow by under an attack, beyond its fixed tables.
GROWTH_KIB = 48 * 1024 * (8 if harness.IS_THREAD_SANITIZED else 1)
CONNECTION_KIB = 120 * (8 if harness.IS_THREAD_SANITIZED else 1)
not_thread_sanitized = unittest.skipIf(
    harness.IS_THREAD_SANITIZED,
    "memory is measured, which the thread sanitizer multiplies")


class HostileCase(harness.Case):
    def setUp(self):
        self.rng = random.Random(SEED)
        print(f"seed {SEED}", flush=True)
        self.daemon_ = self.daemon().start()
        self.worker = self.daemon_.worker()
        self.operator = self.daemon_.operator()
        self.prepare()

    def prepare(self):
        """State that must be there afterwards."""
        self.operator.document("TRIP pinned - must stay")
        for _ in range(3):
            self.worker.ask("REPORT counted 0 - failure")
        self.operator.document("SET limited max_concurrent 2")
        self.permit = Allow(self.worker.ask("ACQUIRE limited")).permit

    def check(self):
        self.assertIsNone(self.daemon_.process.poll(), self.daemon_.log())
        self.assertRegex(self.worker.ask("PING"), "^PONG ")
        self.assertEqual(self.worker.service("pinned")["override"]["reason"],
                         "must stay")
        self.assertEqual(
            self.worker.service("counted")["counters"]["failure"], 3)
        self.assertEqual(self.worker.ask(f"RELEASE {self.permit}"),
                         "OK applied")
        fresh = self.daemon_.worker()
        self.assertRegex(fresh.ask("ACQUIRE counted"), "^ALLOW ")

    def assert_bounded(self, before_kib):
        grown = self.daemon_.resident_kib() - before_kib
        self.assertLess(grown, GROWTH_KIB, f"grew by {grown} KiB")

    def random_name(self):
        return "".join(self.rng.choices(NAME_CHARS,
                                        k=self.rng.randint(12, 63)))

    def random_octets(self, longest):
        return self.rng.randbytes(self.rng.randint(0, longest))


class Names(HostileCase):
    def test_20000_random_ones(self):
        kinds = {}
        before = self.daemon_.resident_kib()
        for _ in range(200):
            lines = [f"ACQUIRE {self.random_name()}" for _ in range(100)]
            for answer in self.worker.ask_all(*lines):
                words = answer.split(" ")
                kind = words[0] + (" " + words[1] if words[0] == "ERR" else "")
                kinds[kind] = kinds.get(kind, 0) + 1
        self.assertEqual(sum(kinds.values()), 20000)
        self.assertEqual(set(kinds), {"ALLOW", "ERR table_full"})
        # Three are there already.
        self.assertEqual(kinds["ALLOW"], 4096 - 3)
        self.assert_bounded(before)
        self.check()

    def test_known_services_answer_as_quickly_as_before(self):
        def median_s():
            times = []
            for _ in range(300):
                start = time.perf_counter()
                self.worker.ask("ACQUIRE counted")
                times.append(time.perf_counter() - start)
            return sorted(times)[150]
        before = median_s()
        for _ in range(50):
            self.worker.ask_all(
                *[f"ACQUIRE {self.random_name()}" for _ in range(100)])
        self.assertLess(median_s(), before * 4 + 0.001)
        self.check()


class Numbers(HostileCase):
    def test_durations_beyond_all_are_the_longest(self):
        """In nanoseconds they would not fit."""
        self.operator.document("SET long max_concurrent 9")
        for ms in (9223372036854, 9223372036855, 12345678901234, 2 ** 53 - 1):
            held = Allow(self.worker.ask(f"ACQUIRE long 1 - {ms}")).permit
            self.assertEqual(self.worker.ask(f"RENEW {held} {ms}"),
                             "OK applied")
            answer = self.worker.ask(f"REPORT held 0 - rate_limited - 1 {ms}")
            self.assertEqual(answer, "OK applied")
            answer = self.worker.ask("ACQUIRE held")
            self.assertRegex(answer, r"^DENY held rate_limited \d{6}")
            self.assertRegex(self.worker.ask(f"RETRY long 1 failure {ms}"),
                             "^DENY long max_elapsed ")
            self.operator.document(f"TRIP shut {ms} for long")
            self.assertRegex(self.worker.ask("ACQUIRE shut"), "^DENY shut ")
            self.operator.document("RESET held")
        self.check()


class Messages(HostileCase):
    def frames(self):
        words = [b"", b"PING", b"ACQUIRE", b"REPORT x 0 - failure",
                 b"STATUS", b"RESET *", b"TALLYQ x allowed 9", b"a" * 64,
                 b"RELEASE 777777", b"RENEW 777777 9", b"RETRY x 1 failure"]
        count = self.rng.choice([1, 1, 2, 3, 4, 5, 6, 7, 20])
        return [self.rng.choice(words) if self.rng.random() < 0.6
                else self.random_octets(self.rng.choice([4, 64, 1100]))
                for _ in range(count)]

    def test_10000_random_multipart(self):
        kinds = [zmq.DEALER, zmq.DEALER, zmq.DEALER]
        attackers = [self.daemon_.client(p, k) for p, k in
                     zip([self.daemon_.worker_path] * 3, kinds)]
        before, self.answers = None, 0
        for i in range(10000):
            attacker = attackers[i % 3]
            attacker.send(self.frames())
            if i % 50 == 49:
                self.drain(attackers)
                self.worker.ask("PING")
            if i == 1000:
                before = self.daemon_.resident_kib()
        self.drain(attackers)
        self.assertGreater(self.answers, 500)
        self.assert_bounded(before)
        self.check()

    def drain(self, clients):
        for client in clients:
            while client.receive(0):
                self.answers += 1

    def test_long_honest_ones_are_all_taken(self):
        """As much as a busy worker may pipeline is not taken for an attack."""
        worker = self.daemon_.worker()
        for _ in range(600):
            worker.tell(*["REPORTQ honest 0 - success 183000 1 0 " + "x" * 30]
                        * 1024)
        worker.ask("PING")
        self.assertEqual(
            self.worker.service("honest")["counters"]["success"], 600 * 1024)
        self.check()

    def test_replies_nobody_reads(self):
        """A peer that asks and never reads fills its own queue, not us."""
        quiet = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(quiet.close)
        quiet.settimeout(1)
        quiet.connect(self.daemon_.worker_path)
        handshake(quiet)
        before = self.daemon_.resident_kib()
        ask = frame(b"", more=True) + frame(b"CONFIG counted")
        try:
            for _ in range(60000):
                quiet.sendall(ask)
        except (socket.timeout, OSError):
            pass
        self.assert_bounded(before)
        self.check()


def frame(body, more=False):
    """A ZMTP 3.0 frame (RFC 23)."""
    if len(body) > 255:
        return bytes([3 if more else 2]) + len(body).to_bytes(8, "big") + body
    return bytes([1 if more else 0, len(body)]) + body


def handshake(sock, kind=b"DEALER"):
    """Greeting and READY of the NULL mechanism."""
    sock.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16)
                 + bytes(32))
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    sock.sendall(bytes([4, len(ready)]) + ready)
    got = b""
    while len(got) < 64 + 2:
        got += sock.recv(4096)


class Raw(HostileCase):
    def connect(self, path=None):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(sock.close)
        sock.settimeout(2)
        sock.connect(path or self.daemon_.worker_path)
        return sock

    def test_random_octets(self):
        before = self.daemon_.resident_kib()
        for i in range(600):
            path = [self.daemon_.worker_path, self.daemon_.operator_path,
                    self.daemon_.events_path][i % 3]
            sock = self.connect(path)
            try:
                if i % 2:
                    handshake(sock, b"DEALER" if i % 3 != 2 else b"SUB")
                sock.sendall(self.random_octets(3000))
            except OSError:
                pass  # closed on us: that is its right
            sock.close()
        self.assert_bounded(before)
        self.check()

    @not_thread_sanitized
    def test_message_without_end(self):
        """Frames that always promise another one, big, small and empty."""
        before = self.daemon_.resident_kib()
        for body in (b"x" * 8000, b"x", b""):
            self.assertTrue(self.floods(frame(body, more=True)),
                            f"frames of {len(body)} octets are taken for ever")
            self.worker.ask("PING")
        grown = self.daemon_.resident_kib() - before
        self.assertLess(grown, 512 * 1024, f"grew by {grown} KiB")
        self.check()

    def floods(self, body):
        """Sends until hung up on, at most 1 GiB; whether it was."""
        sock = self.connect()
        handshake(sock)
        chunk = body * (262144 // len(body))
        try:
            for _ in range(4096):
                sock.sendall(chunk)
        except OSError as error:
            return not isinstance(error, socket.timeout)
        finally:
            sock.close()
        return False

    @not_thread_sanitized
    def test_messages_without_end_of_many(self):
        before = self.daemon_.resident_kib()
        socks = [self.connect() for _ in range(30)]
        for sock in socks:
            handshake(sock)
        chunk = frame(b"", more=True) * 131072
        most = 0
        for _ in range(24):
            for sock in socks:
                try:
                    sock.sendall(chunk)
                except OSError:
                    pass
            most = max(most, self.daemon_.resident_kib() - before)
        print(f"at most {most} KiB", flush=True)
        self.assertLess(most, 512 * 1024)
        for sock in socks:
            sock.close()
        self.check()

    def test_of_older_protocols(self):
        """Greetings of ZMTP 1 and 2, then frames without end."""
        for greeting in (b"\x01\x00", b"\xff" + bytes(8) + b"\x7f\x01\x05"):
            sock = self.connect()
            try:
                sock.sendall(greeting)
                for _ in range(400):
                    sock.sendall(b"\x01\x00" * 131072)
            except OSError:
                pass
            sock.close()
        self.check()

    def test_huge_frame_is_not_waited_for(self):
        before = self.daemon_.resident_kib()
        for size in (8193, 1 << 31, 1 << 62):
            sock = self.connect()
            handshake(sock)
            sock.sendall(bytes([2]) + size.to_bytes(8, "big") + b"x" * 100)
            self.assertTrue(self.is_closed(sock), size)
        self.assert_bounded(before)
        self.check()

    def is_closed(self, sock):
        try:
            while True:
                if not sock.recv(4096):
                    return True
        except socket.timeout:
            return False
        except OSError:
            return True


class Many(HostileCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
        if wanted < 4096:
            self.skipTest("needs 4,096 descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        (soft, hard))
        super().setUp()

    def test_1000_idle_connections(self):
        before = self.daemon_.resident_kib()
        context = zmq.Context()
        context.set(zmq.MAX_SOCKETS, 1100)
        clients = [Client(self.daemon_.worker_path, context=context)
                   for _ in range(1000)]
        try:
            for client in clients:
                client.send(["", "PING"])
            answered = sum(client.receive(5) is not None for client in clients)
            self.assertEqual(answered, 1000)
            # Idle from here on.
            grown = self.daemon_.resident_kib() - before
            self.assertLess(grown, 1000 * CONNECTION_KIB)
            times = []
            for _ in range(300):
                start = time.perf_counter()
                self.worker.ask("ACQUIRE counted")
                times.append(time.perf_counter() - start)
            self.assertLess(sorted(times)[150], 0.02)
            self.check()
        finally:
            for client in clients:
                client.close()
            context.term()
        harness.until(lambda: len(os.listdir(
            f"/proc/{self.daemon_.pid}/fd")) < 100, "descriptors to close")

    def test_1000_that_never_greet(self):
        before = self.daemon_.resident_kib()
        held = []
        for _ in range(1000):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(5)
            self.addCleanup(sock.close)
            sock.connect(self.daemon_.worker_path)
            held.append(sock)
        self.assert_bounded(before)
        self.check()


class FewDescriptors(harness.Case):
    def test_300_connections_at_40(self):
        daemon = self.daemon(limits={resource.RLIMIT_NOFILE: 40}).start()
        worker = daemon.worker()
        daemon.operator().document("TRIP pinned - must stay")
        held = []
        for _ in range(300):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(sock.close)
            sock.settimeout(5)
            try:
                sock.connect(daemon.worker_path)
            except OSError:
                continue
            held.append(sock)
        self.assertIsNone(daemon.process.poll(), daemon.log())
        self.assertRegex(worker.ask("PING"), "^PONG ")
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as f:
            before = f.read().split()
        time.sleep(1)
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as f:
            after = f.read().split()
        ticks = sum(int(after[i]) - int(before[i]) for i in (13, 14))
        self.assertLess(ticks / os.sysconf("SC_CLK_TCK"), 0.3,
                        "starved of descriptors it spins")
        for sock in held:
            sock.close()
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")
        self.assertEqual(worker.service("pinned")["override"]["reason"],
                         "must stay")
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    harness.main()
