# SPDX-License-Identifier: Apache-2.0
"""A foreign client of BRK/1, written from docs/protocol.md with nothing but a
ZeroMQ binding."""
import itertools
import json
import os
import time

import zmq

# No wait is longer than this, whatever the machine is busy with.
PATIENCE_S = float(os.environ.get("BREAKERD_TEST_PATIENCE", "20"))


class Silence(AssertionError):
    """Nobody answered in time."""


class Client:
    """A DEALER with correlation ids, or a REQ, at one endpoint."""

    ids = itertools.count(1)

    def __init__(self, path, kind=zmq.DEALER, context=None):
        self.context = context or zmq.Context.instance()
        self.socket = self.context.socket(kind)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.RECONNECT_IVL, 5)
        self.socket.setsockopt(zmq.SNDHWM, 100000)
        self.socket.setsockopt(zmq.RCVHWM, 100000)
        self.socket.connect("ipc://" + path)

    def close(self):
        self.socket.close(0)

    def send(self, frames):
        self.socket.send_multipart(
            [f.encode() if isinstance(f, str) else f for f in frames])

    def receive(self, timeout_s=PATIENCE_S):
        """The next message's frames, or None."""
        if not self.socket.poll(int(timeout_s * 1000)):
            return None
        return self.socket.recv_multipart()

    def tell(self, *lines):
        """Lines that have no answer."""
        self.send(["", *lines])

    def ask_all(self, *lines, timeout_s=PATIENCE_S):
        """Several lines in one message; the answers, in order."""
        tag = b"t%d" % next(Client.ids)
        self.send([tag, "", *lines])
        end = time.monotonic() + timeout_s
        while True:
            frames = self.receive(max(0.0, end - time.monotonic()))
            if frames is None:
                raise Silence(f"no answer to {lines!r} in {timeout_s} s")
            if frames[0] == tag and frames[1] == b"":
                return [f.decode() for f in frames[2:]]

    def ask(self, line, timeout_s=PATIENCE_S):
        answers = self.ask_all(line, timeout_s=timeout_s)
        if len(answers) != 1:
            raise AssertionError(f"{line!r} was answered {answers!r}")
        return answers[0]

    def document(self, line, timeout_s=PATIENCE_S):
        """The JSON of an OK."""
        answer = self.ask(line, timeout_s)
        if not answer.startswith("OK {"):
            raise AssertionError(f"{line!r} was answered {answer!r}")
        return json.loads(answer[3:])

    def service(self, name):
        return self.document("STATUS " + name)["services"][0]


class Allow:
    """The words of an ALLOW."""

    def __init__(self, answer):
        words = answer.split(" ")
        if words[0] != "ALLOW" or len(words) < 5:
            raise AssertionError(f"expected ALLOW, got {answer!r}")
        self.service = words[1]
        self.permit = int(words[2])
        self.generation = int(words[3])
        self.state = words[4]


class Deny:
    """The words of a DENY."""

    def __init__(self, answer):
        words = answer.split(" ")
        if words[0] != "DENY" or len(words) < 4:
            raise AssertionError(f"expected DENY, got {answer!r}")
        self.service = words[1]
        self.reason = words[2]
        self.retry_after_ms = int(words[3])


class Grant:
    """The words of a GRANT."""

    def __init__(self, answer):
        words = answer.split(" ")
        if words[0] != "GRANT" or len(words) < 4:
            raise AssertionError(f"expected GRANT, got {answer!r}")
        self.service = words[1]
        self.token = int(words[2])
        self.delay_ms = int(words[3])
