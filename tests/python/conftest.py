# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python client share: a real daemon, handles on it, and an
upstream that answers what it is told."""
import http.server
import json
import os
import pathlib
import sys
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "client" / "python"),
                str(HERE.parent / "integration")]

from harness import Daemon, until  # noqa: E402

from breaker import Breaker  # noqa: E402

CONFIG = """\
[service quick]
failure_threshold = 2
recovery_timeout = 300ms
success_threshold = 1
[service long]
failure_threshold = 2
[service slow]
max_concurrent = 1
[service poor]
retry_ratio = 0
retry_min_per_sec = 0
[route chat]
services = first, second
"""


class Fleet:
    """A daemon, and what it says."""

    def __init__(self, config=CONFIG):
        self.daemon = Daemon(config).start()
        self.dir = self.daemon.dir
        self._operator = self.daemon.operator()
        self._open = []

    def breaker(self, **options):
        options.setdefault("deadline_ms", 5000)
        br = Breaker(dir=self.dir, worker="tester", **options)
        self._open.append(br)
        return br

    def order(self, *words):
        self._operator.send(["", " ".join(words)])
        return self._operator.receive(10)

    def status(self, name):
        """One service's status; {}: never heard of."""
        self._operator.send(["", f"STATUS {name}"])
        frames = self._operator.receive(10)
        text = frames[-1].decode() if isinstance(frames[-1], bytes) else frames[-1]
        if not text.startswith("OK "):
            return {}
        return json.loads(text[3:])["services"][0]

    def counters(self, name):
        return self.status(name).get("counters", {})

    def wait_for(self, name, **wanted):
        """Until these counters have these values."""
        def same():
            has = self.counters(name)
            return all(has.get(k) == v for k, v in wanted.items())

        try:
            until(same, f"{wanted} of {name}")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.counters(name)}") from None

    def is_known(self, br, name):
        """Until its word is in shared memory, so that nobody has to be asked."""
        service = br.service(name)

        def known():
            permit = service.take()
            verdict = service._now(service._pointer, permit.at)
            service.give_back(permit)
            return verdict == 1

        until(known, f"{name} in shared memory")
        return service

    def close(self):
        for br in self._open:
            br.close()
        self.daemon.close()


@pytest.fixture
def fleet():
    it = Fleet()
    yield it
    it.close()


@pytest.fixture
def br(fleet):
    return fleet.breaker()


class Upstream:
    """Answers each request with the next of `answers` (status, headers, body), the
    last one again and again. A body that is a list is sent in pieces; None in it
    breaks the connection off."""

    def __init__(self):
        self.answers = [(200, {}, b"{}")]
        self.requests = []
        self._lock = threading.Lock()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                size = int(self.headers.get("content-length", 0))
                self.rfile.read(size)
                with upstream._lock:
                    upstream.requests.append((self.command, self.path, dict(self.headers)))
                    answer = upstream.answers[0]
                    if len(upstream.answers) > 1:
                        upstream.answers.pop(0)
                self.reply(*answer)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def reply(self, status, headers, body):
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                pieces = body if isinstance(body, list) else [body]
                size = sum(len(p) for p in pieces if p is not None)
                self.send_header("Content-Length", str(size + (None in pieces)))
                self.end_headers()
                for piece in pieces:
                    if piece is None:
                        self.close_connection = True
                        return
                    self.wfile.write(piece)

            def log_message(self, *_args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def hits(self):
        with self._lock:
            return len(self.requests)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def upstream():
    it = Upstream()
    yield it
    it.close()


def library():
    return os.environ["BREAKER_LIBRARY"]
