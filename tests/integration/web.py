# SPDX-License-Identifier: Apache-2.0
"""Web servers for tests, on loopback and in directories of their own: nginx and
httpbin, which others wrote, and one that breaks the rules as it is told."""
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from harness import die_with_parent, until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
PYTHON = "/usr/bin/python3"

NGINX_CONF = """
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {home}/access.log;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port};
        root {home};
        location / {{ return 200 "ready"; }}
        {locations}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A program with a port and a directory of its own."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="breakerd-web-")
        self.port = free_port()
        self.process = None

    def spawn(self, *line, **env):
        with open(os.path.join(self.home, "log"), "wb") as log:
            self.process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.home, preexec_fn=die_with_parent,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                     "HOME": self.home, **env})
        until(lambda: self.process.poll() is not None or answers(self.port),
              f"{line[0]} to listen", 30)
        if self.process.poll() is not None:
            with open(os.path.join(self.home, "log"), encoding="utf-8") as f:
                raise AssertionError(f"{line[0]} ended:\n{f.read()}")
        return self

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


class Nginx(Server):
    """nginx with the locations given. `flag` names are files in its root that
    a location may test for."""

    def __init__(self, locations):
        super().__init__()
        conf = os.path.join(self.home, "conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(NGINX_CONF.format(home=self.home, port=self.port,
                                      locations=locations))
        self.spawn(NGINX, "-p", self.home, "-c", conf, "-e",
                   os.path.join(self.home, "error.log"))

    def set(self, flag):
        with open(os.path.join(self.home, flag), "w", encoding="utf-8"):
            pass

    def unset(self, flag, after_s=0.0):
        """Removes a flag, perhaps from a thread; returns that."""
        def remove():
            time.sleep(after_s)
            os.unlink(os.path.join(self.home, flag))
        thread = threading.Thread(target=remove)
        thread.start()
        return thread

    def hits(self, path):
        with open(os.path.join(self.home, "access.log"),
                  encoding="utf-8") as f:
            return sum(f" {path} " in line for line in f)


class Httpbin(Server):
    def __init__(self):
        super().__init__()
        self.spawn(PYTHON, "-B", "-m", "gunicorn", "--threads", "32",
                   "--no-sendfile", "-b", f"127.0.0.1:{self.port}",
                   "httpbin:app")


class Rogue:
    """Plays one act for each request. An act is a list of octets to send,
    seconds to sleep, and at last "reset" or nothing (an orderly close)."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_closing = threading.Event()
        self.threads = []
        self.spawn(self.accept)

    def spawn(self, function, *words):
        thread = threading.Thread(target=function, args=words, daemon=True)
        self.threads.append(thread)
        thread.start()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def accept(self):
        while not self.is_closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.spawn(self.serve, connection)

    @staticmethod
    def receive(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line.lower().startswith(b"expect:"):
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(body) < length:
            more = connection.recv(65536)
            if not more:
                return None
            body += more
        return body

    def serve(self, connection):
        connection.settimeout(30)
        with connection:
            try:
                body = self.receive(connection)
                if body is None:
                    return
                self.requests.append(body)
                number = len(self.requests) - 1
                self.play(connection,
                          self.acts[min(number, len(self.acts) - 1)])
            except OSError:
                pass

    def play(self, connection, act):
        for part in act:
            if part == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack("ii", 1, 0))
            elif isinstance(part, bytes):
                connection.sendall(part)
            else:
                self.is_closing.wait(part)

    def close(self):
        self.is_closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)
