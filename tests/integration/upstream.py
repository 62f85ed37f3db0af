# SPDX-License-Identifier: Apache-2.0
"""Upstreams and webhook targets that a test steers, and what it has to know of the
prober's process."""
import http.server
import os
import ssl
import subprocess
import threading
import time

from harness import until


class Upstream:
    """Answers every request with `status` and counts them by path; keeps what was
    posted."""

    def __init__(self, status=200, headers=(), tls=None):
        self.status = status
        self.headers = list(headers)
        self.hits = {}
        self.posts = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                upstream.hits[self.path] = upstream.hits.get(self.path, 0) + 1
                self.send_response(upstream.status)
                for name, value in upstream.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = answer

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                upstream.posts.append((time.monotonic(), self.path,
                                       self.headers.get("Content-Type"), body))
                self.answer()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *words: None  # peers may hang up
        if tls is not None:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Authority:
    """Makes certificates with openssl, its own first."""

    def __init__(self, home):
        self.home = home
        self.certificate = self.make("authority", "-x509", "-days", "2")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, timeout=60,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=self.home)

    def make(self, name, *words):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj",
                     f"/CN={name}", "-keyout", f"{name}.key", "-out",
                     f"{name}.pem", *words)
        return os.path.join(self.home, f"{name}.pem")

    def context(self, host, is_signed=True):
        """What a server of this host needs."""
        name = f"{host}-{'signed' if is_signed else 'own'}"
        alternative = os.path.join(self.home, name + ".ext")
        with open(alternative, "w", encoding="ascii") as f:
            f.write(f"subjectAltName=DNS:{host}\n")
        self.make(name)
        signer = ("-CA", "authority.pem", "-CAkey", "authority.key",
                  "-CAcreateserial") if is_signed else \
            ("-signkey", f"{name}.key")
        self.openssl("x509", "-req", "-in", f"{name}.pem", "-days", "2",
                     "-out", f"{name}.crt", "-extfile", alternative, *signer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.home, name + ".crt"),
                                os.path.join(self.home, name + ".key"))
        return context


class Endless:
    """An act of a Rogue: a beginning, then the same for ever."""

    def __init__(self, head, part, pause_s=None):
        self.head, self.part, self.pause_s = head, part, pause_s

    def __iter__(self):
        yield self.head
        while True:
            yield self.part
            if self.pause_s is not None:
                yield self.pause_s


def prober_of(daemon):
    """The process id of the prober of a daemon, or None."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                words = f.read().rsplit(")", 1)
        except OSError:
            continue
        name, state, parent = (words[0].split("(", 1)[1],
                               *words[1].split()[:2])
        if name == "breakerd-prober" and int(parent) == daemon.pid \
                and state not in "ZX":
            return int(pid)
    return None


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read() != b""
    except OSError:
        return False


def wait_for_prober(daemon, other_than=None):
    def another():
        pid = prober_of(daemon)
        return pid if pid != other_than else None
    return until(another, "the prober to run")


def resident_kib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        pages = int(f.read().split()[1])
    return pages * (os.sysconf("SC_PAGE_SIZE") // 1024)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
