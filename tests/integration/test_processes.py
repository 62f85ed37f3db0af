# SPDX-License-Identifier: Apache-2.0
"""Workers as processes: they die with permits in hand, live in namespaces, lie
about who they are."""
import contextlib
import json
import os
import signal
import socket
import time
import unittest

import harness
from brk import Allow, Client, Deny, Grant
from test_directories import can_unshare
from test_hostile import frame, handshake

PID_NAMESPACE = ["unshare", "-p", "--fork", "--kill-child"]


def make_half_open(daemon, name, **values):
    operator = daemon.operator()
    operator.document(f"SET {name} recovery_timeout 20ms")
    for key, value in values.items():
        operator.document(f"SET {name} {key} {value}")
    for _ in range(5):
        operator.ask(f"REPORT {name} 0 - failure")
    harness.until(lambda: operator.service(name)["state"] == "half_open",
                  "the open time to end")


@contextlib.contextmanager
def halted(daemon):
    """It stands still: what happens meanwhile it finds all at once."""
    def state():
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as f:
            return f.read().rpartition(")")[2].split()[0]
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        harness.until(lambda: state() == "T", "the daemon to stop")
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def connect(daemon):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(daemon.worker_path)
    handshake(sock)
    return sock


def line(text):
    return frame(b"", more=True) + frame(text)


def last_words(daemon, words, connections=1, meanwhile=lambda: None):
    """A process with a permit of "s" says `words(permit)` by each of its connections and
    dies; the daemon finds out all at once, and what is done `meanwhile`."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        harness.die_with_parent()
        socks = [connect(daemon) for _ in range(connections)]
        socks[0].sendall(line(b"ACQUIRE s"))
        permit = socks[0].recv(4096).split(b" ")[2]
        theirs.sendall(b"y")
        theirs.recv(1)
        for sock in socks:
            sock.sendall(words(permit))
        os._exit(0)
    with ours, theirs:
        assert ours.recv(1) == b"y"
        with halted(daemon):
            ours.sendall(b"x")
            assert os.waitpid(pid, 0)[1] == 0
            meanwhile()


class Death(harness.Case):
    def test_gives_a_probe_back_at_once_with_no_verdict(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        worker, dying = daemon.worker(), self.relay(daemon)
        probe = Allow(dying.ask("ACQUIRE s"))
        self.assertEqual(Deny(worker.ask("ACQUIRE s")).reason, "half_open")
        start = time.monotonic()
        dying.kill()
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "the probe to come back", every_s=0.002)
        self.assertLess(time.monotonic() - start, 5)
        service = worker.service("s")
        self.assertEqual((service["state"], service["generation"],
                          service["failed_rounds"]), ("half_open", 2, 0))
        self.assertEqual(service["counters"]["timeout"], 0)
        self.assertEqual(service["counters"]["cancelled"], 0)
        self.assertEqual(
            worker.ask(f"REPORT s {probe.permit} 2 success"), "OK stale")
        Allow(worker.ask("ACQUIRE s"))

    def test_over_and_over(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        worker = daemon.worker()
        for _ in range(8):
            dying = self.relay(daemon)
            Allow(dying.ask("ACQUIRE s"))
            dying.kill()
            harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                          "the probe to come back")
        self.assertEqual(worker.service("s")["state"], "half_open")

    def test_what_it_said_before_is_heard_first(self):
        """The daemon finds both at once: its last line, and that it is dead."""
        daemon = self.daemon().start()
        make_half_open(daemon, "s", success_threshold=1)
        last_words(daemon,
                   lambda permit: line(b"REPORT s %s - success" % permit))
        worker = daemon.worker()
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "the probe to come back")
        self.assertEqual(worker.service("s")["counters"]["success"], 1)
        self.assertEqual(worker.service("s")["state"], "closed")

    def test_what_it_said_at_length_holds_nobody_up(self):
        """More than any worker leaves behind: all of it is carried out, but who asks
        does not wait for it."""
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        worker = daemon.worker()
        worker.ask("REPORT told 0 - success")

        def ask():
            worker.send(["", "STATUS told"])
            time.sleep(0.1)  # the question is there when the daemon goes on
        last_words(daemon, lambda _: line(b"REPORTQ told 0 - success") * 3000,
                   connections=20, meanwhile=ask)
        document = json.loads(worker.receive()[1][3:])
        self.assertLess(document["services"][0]["counters"]["success"], 30000)
        harness.until(
            lambda: worker.service("told")["counters"]["success"] == 60001,
            "all that it said")
        self.assertEqual(worker.service("s")["permits"]["in_use"], 0)

    def test_of_many_at_once_holds_nobody_up(self):
        daemon = self.daemon().start()
        worker = daemon.worker()
        daemon.operator().document("SET s max_concurrent 1000")
        hold, held = os.pipe()
        dying = []
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                harness.die_with_parent()
                sock = connect(daemon)
                sock.sendall(line(b"ACQUIRE s"))
                os.write(held, sock.recv(4096)[:1])
                time.sleep(600)
            dying.append(pid)
        for _ in dying:
            self.assertEqual(len(os.read(hold, 1)), 1)
        with halted(daemon):
            worker.send(["", "STATUS s"])
            time.sleep(0.1)  # the question is the first there is
            for pid in dying:
                os.kill(pid, signal.SIGKILL)
            for pid in dying:
                os.waitpid(pid, 0)
        os.close(hold)
        os.close(held)
        document = json.loads(worker.receive()[1][3:])
        self.assertGreater(document["services"][0]["permits"]["in_use"], 0)
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "all permits to come back")

    def test_gives_a_token_back(self):
        daemon = self.daemon().start()
        operator, dying = daemon.operator(), self.relay(daemon)
        operator.document("SET s retry_min_per_sec 0.1")
        operator.document("SET s retry_ratio 0")
        Grant(dying.ask("RETRY s 1 failure"))
        self.assertEqual(Deny(operator.ask("RETRY s 1 failure")).reason,
                         "budget")
        dying.kill()
        harness.until(
            lambda: operator.ask("RETRY s 1 failure").startswith("GRANT"),
            "the token to come back")

    def test_of_one_worker_leaves_the_others_permits(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        operator.document("SET s max_concurrent 10")
        living, dying = self.relay(daemon), self.relay(daemon)
        kept = Allow(living.ask("ACQUIRE s")).permit
        for _ in range(9):
            Allow(dying.ask("ACQUIRE s"))
        dying.kill()
        harness.until(
            lambda: operator.service("s")["permits"]["in_use"] == 1,
            "nine permits to come back")
        self.assertEqual(living.ask(f"REPORT s {kept} - success"), "OK applied")

    def test_while_the_daemon_was_down(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        dying = self.relay(daemon)
        Allow(dying.ask("ACQUIRE s"))
        daemon.kill()
        dying.kill()
        daemon.start()
        worker = daemon.worker()
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "the probe to come back")
        self.assertEqual(worker.service("s")["state"], "half_open")
        Allow(worker.ask("ACQUIRE s"))

    def test_after_the_daemon_was_restarted(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        dying = self.relay(daemon)
        Allow(dying.ask("ACQUIRE s"))
        daemon.kill()
        daemon.start()
        worker = daemon.worker()
        self.assertEqual(worker.service("s")["permits"]["in_use"], 1)
        dying.kill()
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "the probe to come back")

    def test_that_only_a_message_speaks_of_does_nothing(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        worker = daemon.worker()
        gone = self.relay(daemon)
        gone.kill()
        worker.document(f"HELLO 1 liar {gone.process.pid}")
        Allow(worker.ask("ACQUIRE s"))
        time.sleep(0.3)
        self.assertEqual(worker.service("s")["permits"]["in_use"], 1)


class Connections(harness.Case):
    def test_workers_are_the_processes_that_are_connected(self):
        daemon = self.daemon().start()
        operator = daemon.operator()

        def workers():
            return operator.document("STATUS")["daemon"]["workers"]
        harness.until(lambda: workers() == 0, "the probe of the start to go")
        relays = [self.relay(daemon) for _ in range(3)]
        for worker in relays:
            worker.ask("PING")
        mine = [daemon.worker() for _ in range(4)]
        for worker in mine:
            worker.ask("PING")
        self.assertEqual(workers(), 4)
        relays[0].kill()
        harness.until(lambda: workers() == 3, "a dead worker to be missed")

    def test_closed_one_keeps_its_permits(self):
        """The process lives: its permit ends by report or deadline."""
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        first, second = daemon.worker(), daemon.worker()
        probe = Allow(first.ask("ACQUIRE s"))
        first.close()
        time.sleep(0.2)
        self.assertEqual(
            second.ask(f"REPORT s {probe.permit} {probe.generation} success"),
            "OK applied")

    def test_a_child_of_a_fork_has_its_own(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        operator.document("SET s max_concurrent 10")
        mine = Allow(operator.ask("ACQUIRE s")).permit
        pids = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    import zmq
                    client = Client(daemon.worker_path, context=zmq.Context())
                    Allow(client.ask("ACQUIRE s"))
                    status = 0
                finally:
                    os._exit(status)
            pids.append(pid)
        for pid in pids:
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        harness.until(
            lambda: operator.service("s")["permits"]["in_use"] == 1,
            "the children's permits to come back")
        self.assertEqual(operator.ask(f"RELEASE {mine}"), "OK applied")


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-p", "--fork"),
                     "pid namespaces are not permitted here")
class Namespaces(harness.Case):
    def test_worker_in_one_is_known_by_its_outer_pid(self):
        daemon = self.daemon().start()
        make_half_open(daemon, "s")
        worker = daemon.worker()
        dying = self.relay(daemon, prefix=PID_NAMESPACE)
        Allow(dying.ask("ACQUIRE s"))
        dying.ask("REPORT t 0 - failure")
        pid = worker.service("t")["evidence"][0]["pid"]
        self.assertGreater(pid, 1)
        self.assertTrue(os.path.exists(f"/proc/{pid}"))
        dying.kill()
        harness.until(lambda: not worker.service("s")["permits"]["in_use"],
                      "the probe to come back")
        self.assertEqual(worker.service("s")["state"], "half_open")

    def test_unseen_worker_is_served_and_its_lease_ends_by_time(self):
        daemon = self.daemon(prefix=PID_NAMESPACE)
        daemon.start()
        make_half_open(daemon, "s", permit_ttl="1500ms")
        worker, dying = daemon.worker(), self.relay(daemon)
        worker.ask("REPORT t 0 - failure")
        self.assertEqual(worker.service("t")["evidence"][0]["pid"], 0)
        Allow(dying.ask("ACQUIRE s"))
        dying.kill()
        time.sleep(0.3)
        self.assertEqual(worker.service("s")["permits"]["in_use"], 1)
        harness.until(
            lambda: worker.service("s")["counters"]["timeout"] == 1,
            "the lease to end")
        self.assertEqual(worker.service("s")["reason"], "probe_failed")


if __name__ == "__main__":
    harness.main()
