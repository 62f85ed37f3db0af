# SPDX-License-Identifier: Apache-2.0
"""flaky-upstream does what its script says, and counts who came."""
import email.utils
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.environ["FLAKY_UPSTREAM"]
PATIENCE_S = 10


class Upstream:
    """A server in its own process; the script's clock starts with it."""

    def __init__(self, script, *options):
        self.process = subprocess.Popen(
            [PROGRAM, *options, script], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.control = int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.status = self.process.wait(PATIENCE_S)
        self.process.stdout.close()

    def connect(self, port=None):
        return http.client.HTTPConnection(
            "127.0.0.1", port or self.port, timeout=PATIENCE_S)

    def get(self, path="/", method="GET", body=None, port=None):
        connection = self.connect(port)
        connection.request(method, path, body=body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer, text

    def order(self, path, body=None):
        return self.get(path, "POST", body, self.control)

    def stats(self):
        answer, text = self.get("/stats", port=self.control)
        assert answer.status == 200
        return json.loads(text)

    def status_within(self, wanted):
        """Asks until the status is the wanted one."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.get()[0].status == wanted:
                return
            time.sleep(0.01)
        raise AssertionError(f"no {wanted} within {PATIENCE_S} s")


def run(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True,
                          timeout=PATIENCE_S)


class Phases(unittest.TestCase):
    def test_follows_the_script(self):
        with Upstream("ok 300ms; down 502 300ms; 404") as upstream:
            self.assertEqual(upstream.get()[0].status, 200)
            upstream.status_within(502)
            upstream.status_within(404)
            stats = upstream.stats()
            self.assertEqual([p["outage"] for p in stats["phases"]],
                             [False, True, True])
            self.assertEqual(stats["phase"], 2)
            self.assertEqual(stats["hits"],
                             sum(p["hits"] for p in stats["phases"]))
            self.assertEqual(
                stats["outage_hits"],
                sum(p["hits"] for p in stats["phases"][1:]))
            self.assertIsNone(stats["phases"][2]["length_ms"])
        self.assertEqual(upstream.status, 0)

    def test_rate_limit_tells_the_wait(self):
        with Upstream("429 retry-after=7") as upstream:
            answer, _ = upstream.get()
            self.assertEqual(answer.status, 429)
            self.assertEqual(answer.headers["Retry-After"], "7")
            upstream.order("/script", "429 retry-after=date:90")
            answer, _ = upstream.get()
            when = email.utils.parsedate_to_datetime(
                answer.headers["Retry-After"])
            self.assertAlmostEqual(when.timestamp() - time.time(), 90, delta=2)

    def test_hang_never_answers_and_counts(self):
        with Upstream("hang 500ms; ok") as upstream:
            raw = socket.create_connection(("127.0.0.1", upstream.port))
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            raw.settimeout(0.8)
            with self.assertRaises(socket.timeout):
                raw.recv(1)
            self.assertEqual(upstream.stats()["kinds"]["hang"], 1)
            self.assertEqual(upstream.get()[0].status, 200)
            self.assertEqual(upstream.stats()["open"], 2)  # it, and we
            raw.close()
            self.assertEqual(upstream.stats()["open"], 1)

    def test_reset_cuts_the_connection(self):
        with Upstream("reset") as upstream:
            raw = socket.create_connection(("127.0.0.1", upstream.port))
            raw.settimeout(PATIENCE_S)
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with self.assertRaises(ConnectionResetError):
                raw.recv(1)
            raw.close()
            self.assertEqual(upstream.stats()["kinds"]["reset"], 1)

    def test_refuse_keeps_its_port_and_comes_back(self):
        with Upstream("ok") as upstream:
            kept = upstream.connect()
            kept.request("GET", "/")
            kept.getresponse().read()
            upstream.order("/script", "refuse 400ms; ok")
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", upstream.port))
            with self.assertRaises((http.client.RemoteDisconnected, OSError)):
                kept.sock.settimeout(PATIENCE_S)
                if kept.sock.recv(1) == b"":
                    raise http.client.RemoteDisconnected("closed")
            kept.close()
            with self.assertRaises(OSError):  # nobody else gets the number
                thief = socket.socket()
                try:
                    thief.bind(("127.0.0.1", upstream.port))
                finally:
                    thief.close()
            time.sleep(0.5)
            self.assertEqual(upstream.get()[0].status, 200)

    def test_share_is_exact_and_even(self):
        with Upstream("down share=25%") as upstream:
            statuses = [upstream.get()[0].status for _ in range(40)]
            self.assertEqual(statuses.count(503), 10)
            for at in range(0, 40, 4):
                self.assertEqual(statuses[at:at + 4].count(503), 1)

    def test_latency(self):
        with Upstream("ok latency=200ms") as upstream:
            start = time.monotonic()
            upstream.get()
            self.assertGreaterEqual(time.monotonic() - start, 0.2)


class Protocol(unittest.TestCase):
    def test_keep_alive_and_pipelining(self):
        with Upstream("ok latency=5ms") as upstream:
            raw = socket.create_connection(("127.0.0.1", upstream.port))
            raw.settimeout(PATIENCE_S)
            raw.sendall(b"GET /1 HTTP/1.1\r\n\r\n" * 3 +
                        b"POST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" +
                        b"HEAD /3 HTTP/1.1\r\nConnection: close\r\n\r\n")
            got = b""
            while chunk := raw.recv(4096):
                got += chunk
            raw.close()
            self.assertEqual(got.count(b"HTTP/1.1 200 OK"), 5)
            self.assertEqual(got.count(b"fine\n"), 4)
            self.assertEqual(upstream.stats()["hits"], 5)

    def test_octet_by_octet(self):
        with Upstream("ok") as upstream:
            raw = socket.create_connection(("127.0.0.1", upstream.port))
            raw.settimeout(PATIENCE_S)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for octet in b"GET / HTTP/1.0\nX: y\n\n":
                raw.sendall(bytes([octet]))
                time.sleep(0.002)
            self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 200"))
            raw.close()

    def test_what_is_no_request_gets_400(self):
        bad = [b"hello\r\n\r\n", b"GET / HTTP/2\r\n\r\n", b"\r\n\r\n",
               b"GET noslash HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n",
               b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
               b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
               b"GET /" + b"a" * 9000]
        with Upstream("ok") as upstream:
            for octets in bad:
                raw = socket.create_connection(("127.0.0.1", upstream.port))
                raw.settimeout(PATIENCE_S)
                raw.sendall(octets)
                self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 400"),
                                octets[:40])
                raw.close()
            stats = upstream.stats()
            self.assertEqual(stats["bad_requests"], len(bad))
            self.assertEqual(stats["hits"], 0)

    def test_connections_are_bounded(self):
        with Upstream("ok", "--connections", "4") as upstream:
            held = [socket.create_connection(("127.0.0.1", upstream.port))
                    for _ in range(4)]
            extra = socket.create_connection(("127.0.0.1", upstream.port))
            extra.settimeout(PATIENCE_S)
            self.assertEqual(extra.recv(1), b"")
            for raw in [*held, extra]:
                raw.close()
            time.sleep(0.1)
            self.assertEqual(upstream.get()[0].status, 200)
            self.assertEqual(upstream.stats()["turned_away"], 1)

    def test_control(self):
        with Upstream("ok 50ms; down") as upstream:
            upstream.status_within(503)
            answer, _ = upstream.order("/script", "ok; ok")
            self.assertEqual(answer.status, 400)
            answer, _ = upstream.order("/start")
            self.assertEqual(answer.status, 200)
            self.assertEqual(upstream.stats()["hits"], 0)
            self.assertEqual(upstream.get("/start", port=upstream.control)
                             [0].status, 405)
            self.assertEqual(upstream.get("/else", port=upstream.control)
                             [0].status, 404)


class CommandLine(unittest.TestCase):
    def test_statistics_file_and_script_file(self):
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, "script")
            stats = os.path.join(folder, "stats.json")
            with open(script, "w", encoding="ascii") as out:
                out.write("# first well; then not\nok 100ms\n\ndown 500 # for ever\n")
            process = subprocess.Popen(
                [PROGRAM, "--stats", stats, "--file", script],
                stdout=subprocess.PIPE, text=True)
            process.stdout.readline()
            time.sleep(0.3)
            with open(stats, encoding="ascii") as kept:
                self.assertEqual(len(json.load(kept)["phases"]), 2)
            process.terminate()
            self.assertEqual(process.wait(PATIENCE_S), 0)
            process.stdout.close()
            with open(stats, encoding="ascii") as kept:
                self.assertEqual(json.load(kept)["phase"], 1)

    def test_bad_words_get_one_sentence(self):
        for words in (["sleep 2s"], ["ok; down"], ["ok 2s 3s"], ["ok 2x"],
                      ["429 retry-after=soon"], ["down share=120%"],
                      ["ok colour=red"], ["999"], ["; ;"], [],
                      ["--port", "70000", "ok"], ["--connections", "0", "ok"],
                      ["--connections", "99999", "ok"],
                      ["--latency", "fast", "ok"], ["ok", "ok"],
                      ["--file", "/nonexistent"]):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_port_in_use(self):
        with Upstream("ok") as upstream:
            done = run("--port", str(upstream.port), "ok")
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(upstream.port), done.stderr)

    def test_help(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("retry-after=", done.stdout)


if __name__ == "__main__":
    unittest.main()
