# SPDX-License-Identifier: Apache-2.0
"""What breakerweb does with requests that nobody should send: every one is answered
or cut off, nothing changes, and good ones go on being served."""
import os
import random
import socket
import threading
import time
import unittest

from breakerweb import Answer
from harness import until
from test_breakerweb import WebCase

ROUNDS = int(os.environ.get("BREAKERD_TEST_ROUNDS", "10000"))
SEED = int(os.environ.get("BREAKERD_TEST_SEED", random.randrange(1 << 32)))
METHODS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
           "PROPFIND", "get", "GETT", "RESET", "HEADER")


class Hostile(WebCase):
    def setUp(self):
        self.home = self.daemon()
        self.home.start()
        self.page = self.web(self.home)
        self.host = f"127.0.0.1:{self.page.port}"

    def tearDown(self):
        self.assertEqual(self.page.get("/healthz").body, b"ok\n")
        self.assertEqual(self.page.stop(), 0, self.page.said())
        self.assertNotIn("ERROR", self.page.said())

    def raw(self, text):
        return self.page.send(text.encode("latin-1") + b"\r\n\r\n")

    def test_other_methods(self):
        for method in METHODS:
            for path in ("/", "/api/v1/status", "/reset", "/nothing"):
                answer = self.page.get(path, method=method)
                self.assertIn(answer.status, (405, 400), (method, answer))
                if answer.status == 405:
                    self.assertEqual(answer.header("allow"), "GET, HEAD")
                    self.assert_headers(answer)
        self.assertEqual(self.page.get("/", method="POST").status, 405)
        self.assertEqual(self.page.get("/", method="DELETE").status, 405)

    def test_hosts(self):
        for host in (self.host, f"localhost:{self.page.port}",
                     f"LOCALHOST:{self.page.port}", f"[::1]:{self.page.port}"):
            self.assertEqual(self.page.get("/healthz", host=host).status, 200)
        for host in ("evil.example", f"evil.example:{self.page.port}",
                     "127.0.0.1", "localhost", "127.0.0.1:1",
                     f"127.0.0.1:{self.page.port}.evil.example",
                     f"127.0.0.2:{self.page.port}", self.host + "@evil", "*",
                     self.host + ",evil", "http://" + self.host):
            answer = self.page.get("/api/v1/status", host=host)
            self.assertEqual(answer.status, 421, host)
            self.assert_headers(answer)
            self.assertNotIn(b"services", answer.body)

    def test_none_and_two_hosts(self):
        for hosts in ([], [self.host, self.host], [self.host, "evil.example"],
                      ["evil.example", self.host], [""]):
            lines = ["GET /healthz HTTP/1.1",
                     *(f"Host: {host}" for host in hosts), "Connection: close"]
            answer = self.raw("\r\n".join(lines))
            self.assertIn(answer.status, (400, 421), hosts)
        # No version is old enough to do without.
        self.assertEqual(self.raw("GET /healthz HTTP/1.0").status, 421)
        folded = f"GET /healthz HTTP/1.1\r\nHost: evil\r\n {self.host}"
        self.assertIn(self.raw(folded).status, (400, 421))

    def test_allowed_names(self):
        web = self.web(self.home, "--allow-host", "breaker.example")
        for host, status in (("breaker.example", 200),
                             ("Breaker.Example:8443", 200),
                             ("a.breaker.example", 421),
                             ("breaker.example.evil", 421),
                             (f"127.0.0.1:{web.port}", 200)):
            self.assertEqual(web.get("/healthz", host=host).status, status,
                             host)

    def test_bodies(self):
        start = f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n"
        for rest in ("Content-Length: 5\r\n\r\nhello",
                     "Content-Length: 00\r\n\r\n",
                     "Content-Length: 99999999999999999999\r\n\r\nx",
                     "Content-Length: -1\r\n\r\n",
                     "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                     "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
                     "Transfer-Encoding: gzip\r\n\r\nxx"):
            answer = self.page.send((start + rest).encode())
            self.assertIn(answer.status, (400, 413, 501), rest)
        kept = start + "Content-Length: 0\r\nConnection: close\r\n\r\n"
        self.assertEqual(self.page.send(kept.encode()).status, 200)

    def test_what_is_smuggled_is_no_request(self):
        inner = f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n\r\n"
        outer = (f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n"
                 f"Content-Length: {len(inner)}\r\n\r\n{inner}")
        answer = self.page.send(outer.encode())
        self.assertEqual(answer.status, 413)
        self.assertNotIn(b"HTTP/1.1 200", answer.body)

    def test_paths(self):
        for target in ("//", "/.", "/..", "/../etc/passwd", "/%2e%2e/etc/passwd",
                       "/healthz/", "//healthz", "/./healthz", "/x/../healthz",
                       "/%68ealthz", "/healthz%00", "/healthz;a=b", "/Healthz",
                       "/web/app.js", "/app.js.map", "/api", "/api/v1/",
                       "/api/v1/status/", "/api/v1/reset", "/*"):
            self.assertEqual(self.page.get(target).status, 404, target)
        for target in ("*", "healthz", f"http://{self.host}/healthz"):
            self.assertIn(self.page.get(target).status, (400, 404), target)
        for target in ("/healthz?x", "/?x=1", "/app.js?v=2"):
            self.assertEqual(self.page.get(target).status, 400, target)

    def test_odd_octets(self):
        # What comes after a NUL is nothing; what comes before it is looked at.
        nul = self.page.send(b"GET /nothing\0/healthz HTTP/1.1\r\nHost: "
                             + self.host.encode() + b"\r\n\r\n")
        self.assertIn(nul.status, (400, 404))
        host = self.page.send(b"GET /healthz HTTP/1.1\r\nHost: evil\0"
                              + self.host.encode() + b"\r\n\r\n")
        self.assertIn(host.status, (400, 421))
        for target in ("/\xff", "/h\xe4lthz", "/a\tb", "/a\x01b"):
            answer = self.page.get(target)
            self.assertIn(answer.status, (400, 404), repr(target))

    def test_too_much(self):
        self.assertEqual(self.page.get("/" + 1100 * "x").status, 414)
        self.assertIn(self.page.get("/" + 20000 * "x").status, (414, 0))
        many = [f"X-{i}: {i}" for i in range(5000)]
        self.assertIn(self.page.get("/healthz", headers=many).status,
                      (431, 413, 0))
        long = ["X-Long: " + 100000 * "x"]
        self.assertIn(self.page.get("/healthz", headers=long).status,
                      (431, 413, 0))

    def test_one_connection_serves_many(self):
        request = (f"GET /healthz HTTP/1.1\r\nHost: {self.host}\r\n\r\n"
                   ).encode()
        with self.page.connect() as s:
            for _ in range(5):
                s.sendall(request)
                answer = s.recv(65536)
                while not answer.endswith(b"ok\n"):
                    answer += s.recv(65536)
                self.assertEqual(Answer(answer).status, 200)

    def test_silent_connections_are_cut(self):
        silent = [self.page.connect() for _ in range(8)]
        slow = self.page.connect()
        for s in (*silent, slow):
            self.addCleanup(s.close)
            s.settimeout(60)
        slow.sendall(b"GET / HTTP/1.1\r\n")
        end = time.monotonic() + 60

        def trickle():
            # Each octet would begin a mere timeout anew.
            try:
                while time.monotonic() < end:
                    slow.sendall(b"X")
                    time.sleep(0.5)
            except OSError:
                pass
        trickler = threading.Thread(target=trickle)
        trickler.start()
        for s in silent:
            self.assertEqual(s.recv(1), b"")
        while True:
            try:
                if slow.recv(4096) == b"":
                    break
            except ConnectionError:
                break
        self.assertLess(time.monotonic(), end, "a trickle was not cut off")
        trickler.join()

    def test_good_requests_are_served_meanwhile(self):
        bad = []
        for _ in range(100):
            s = self.page.connect()
            self.addCleanup(s.close)
            with_some = bad and len(bad) % 2
            try:
                s.sendall(b"GET /api/v1/status HTTP/1.1\r\nHo" if with_some
                          else b"")
            except OSError:
                pass
            bad.append(s)

        def served():
            return self.page.get("/healthz").status == 200
        # At the latest when the silent ones have been cut off.
        until(served, "a good request to be served", patience_s=60)

    def test_a_listener_that_does_not_read(self):
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", self.page.port))
        deaf.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {self.host}\r\n\r\n"
                     .encode())
        worker = self.home.worker()

        def is_cut():
            # As long as it is there, one of sixteen finds no room.
            for name in range(500):
                worker.send(["", f"REPORTQ s{name} 0 - success"])
            worker.ask("PING")
            streams = [self.page.events() for _ in range(16)]
            for stream in streams:
                if stream.status == 200:
                    stream.next()
            for stream in streams:
                stream.close()
            return all(stream.status == 200 for stream in streams)
        until(is_cut, "a deaf listener to be cut off", patience_s=90,
              every_s=0.25)

    def test_mutated_requests(self):
        print(f"seed {SEED}", flush=True)
        draw = random.Random(SEED)
        before = self.page.get("/api/v1/status").json()["services"]
        for round_ in range(ROUNDS):
            # Now and then one follows another.
            text = b"".join(self.mutated(draw)
                            for _ in range(draw.choice((1, 1, 1, 4))))
            with self.page.connect() as s:
                # What is no whole request is waited for by the server, not by us.
                s.settimeout(0.01)
                try:
                    s.sendall(text)
                    while s.recv(65536):
                        pass
                except (ConnectionError, TimeoutError):
                    pass
            self.assertIsNone(self.page.process.poll(),
                              f"seed {SEED}, round {round_}: {self.page.said()}")
        after = self.page.get("/api/v1/status").json()["services"]
        self.assertEqual(before, after)

    def mutated(self, draw):
        path = draw.choice(("/", "/healthz", "/readyz", "/metrics", "/app.js",
                            "/api/v1/status?service=a", "/api/v1/live",
                            "/api/v1/history?limit=3"))
        text = bytearray(
            f"{draw.choice(('GET', 'HEAD', *METHODS))} {path} HTTP/1.1\r\n"
            f"Host: {self.host}\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n"
            .encode())
        for _ in range(draw.choice((0, 0, 1, 1, 2, 5))):
            at = draw.randrange(len(text))
            what = draw.randrange(5)
            if what == 0:
                text[at] = draw.randrange(256)
            elif what == 1:
                del text[at:at + draw.randrange(1, 20)]
                text = text or bytearray(b"\n")
            elif what == 2:
                text[at:at] = draw.choice((
                    b"\0", b"\r\n", b"\n", b"%00", b"%", b": ", b"?", b"&",
                    b"HTTP/1.1", b"\xff\xfe", b"Host: evil\r\n", 300 * b"A",
                    b"Transfer-Encoding: chunked\r\n", b"-1", b"../"))
            elif what == 3:
                text[at:at] = text[at:at + draw.randrange(1, 40)]
            else:
                text[at] ^= 1 << draw.randrange(8)
        return bytes(text)


if __name__ == "__main__":
    unittest.main()
