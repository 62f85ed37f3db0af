# SPDX-License-Identifier: Apache-2.0
"""breakerweb for tests: started on a port of its own, asked with raw octets.
$BREAKERWEB names the binary."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

from harness import PATIENCE_S, SANITIZER, die_with_parent, until

BREAKERWEB = os.environ.get("BREAKERWEB", "breakerweb")


def environment(extra=None):
    kept = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}
    kept.update(SANITIZER)
    kept.update(extra or {})
    return kept


def run(*args):
    """Runs the binary to its end; (status, stdout, stderr)."""
    done = subprocess.run([BREAKERWEB, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, env=environment(), text=True,
                          timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout, done.stderr


class Answer:
    def __init__(self, octets):
        head, _, self.body = octets.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if octets else 0
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.lower(), []).append(value.strip())

    def header(self, name):
        values = self.headers.get(name.lower(), [])
        return values[0] if len(values) == 1 else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


class Stream:
    """Server-sent events, as they come."""

    def __init__(self, web, *headers):
        self.socket = web.connect()
        lines = ["GET /api/v1/events HTTP/1.1",
                 f"Host: 127.0.0.1:{web.port}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline() not in (b"\r\n", b""):
            pass
        self.text = b""

    def next(self):
        """(name, document) of the next event."""
        while b"\n\n" not in self.text:
            size = int(self.file.readline(), 16)
            assert size > 0, "the stream ended"
            self.text += self.file.read(size)
            self.file.readline()
        event, _, self.text = self.text.partition(b"\n\n")
        fields = dict(line.split(": ", 1)
                      for line in event.decode().splitlines())
        document = json.loads(fields["data"])
        if fields["event"] == "transition":
            assert fields["id"] == str(document["seq"])
        return fields["event"], document

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Web:
    """One breakerweb for the instance in `directory`."""

    def __init__(self, directory, *args, listen="127.0.0.1:0", env=None,
                 **popen):
        self.log = tempfile.TemporaryFile()
        # A shell says the pid that $LISTEN_FDS must come with.
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"',
             BREAKERWEB, "--dir", directory,
             *(("--listen", listen) if listen else ()), *args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env=environment(env), **{"preexec_fn": die_with_parent, **popen})
        found = until(self.find, "breakerweb to serve")
        self.port = int(found.group(1)) if found.group(1) else None

    def find(self):
        if self.process.poll() is not None:
            raise AssertionError(
                f"breakerweb ended {self.process.returncode}:\n{self.said()}")
        return re.search(r"serving on (?:127\.0\.0\.1:(\d+)|unix:|\[)",
                         self.said())

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    def send(self, octets, connection=None):
        """Sends octets as they are; the answer up to the connection's end."""
        with connection or self.connect() as s:
            got = b""
            try:
                s.sendall(octets)
                while True:
                    part = s.recv(65536)
                    if not part:
                        break
                    got += part
            except ConnectionError:
                pass
            return Answer(got)

    def get(self, target, method="GET", host=None, headers=()):
        lines = [f"{method} {target} HTTP/1.1",
                 f"Host: {host or f'127.0.0.1:{self.port}'}",
                 "Connection: close", *headers, "", ""]
        return self.send("\r\n".join(lines).encode("latin-1"))

    def events(self, *headers):
        return Stream(self, *headers)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        self.log.close()
