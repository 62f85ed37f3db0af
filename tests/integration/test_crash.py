# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, over and over: nothing acknowledged is lost, generations
never go back, remaining times are kept, no worker is blocked."""
import contextlib
import json
import os
import random
import subprocess
import threading
import time

import zmq

import harness
from brk import Client, Silence

ROUNDS = int(os.environ.get("BREAKERD_TEST_ROUNDS", "100"))
SEED = int(os.environ.get("BREAKERD_TEST_SEED", "1"))
SERVICES = ["op-0", "op-1", "op-2"]
HOUR_MS = 3600 * 1000


class Orders(threading.Thread):
    """An operator who never rests. Every order and every value carries a number;
    what was answered must be there afterwards, or something sent later."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.path = daemon.operator_path
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.sent = dict.fromkeys(SERVICES, 0)
        self.acknowledged = dict.fromkeys(SERVICES, 0)
        self.set_sent = dict.fromkeys(SERVICES, 1)
        self.set_acknowledged = dict.fromkeys(SERVICES, 1)
        self.count = 0
        self.faults = []

    def run(self):
        with zmq.Context() as context:
            client = Client(self.path, context=context)
            while not self.stopping.is_set():
                self.order(client)
            client.close()

    def order(self, client):
        self.count += 1
        number = self.count
        name = SERVICES[number % len(SERVICES)]
        if number % 2:
            verb = ["TRIP", "BYPASS", "OBSERVE"][number // 2 % 3]
            line = f"{verb} {name} {HOUR_MS} {number}"
            sent, done = self.sent, self.acknowledged
        else:
            line = f"SET {name} failure_threshold {number}"
            sent, done = self.set_sent, self.set_acknowledged
        with self.lock:
            sent[name] = number
        try:
            answer = client.ask(line, timeout_s=0.5)
        except Silence:
            return
        with self.lock:
            if answer.startswith("OK "):
                done[name] = number
            else:
                self.faults.append((line, answer))


class Listener(threading.Thread):
    """Remembers every event it is told."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.path = daemon.events_path
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.events = {}
        self.faults = []

    def run(self):
        with zmq.Context() as context:
            self.listen(context.socket(zmq.SUB))

    def listen(self, socket):
        socket.linger = 0
        socket.setsockopt(zmq.RECONNECT_IVL, 5)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.subscribe("breaker.")
        socket.connect("ipc://" + self.path)
        while not self.stopping.is_set():
            if socket.poll(50):
                self.take(json.loads(socket.recv_multipart()[1]))
        socket.close(0)

    def take(self, event):
        with self.lock:
            other = self.events.get(event["seq"])
            if other is not None and other != event:
                self.faults.append((other, event))
            self.events[event["seq"]] = event


class Crash(harness.Case):
    def load(self, daemon, mode, processes):
        process = subprocess.Popen(
            [os.environ["FLEET_LOAD"], "--dir", daemon.dir, "--mode", mode,
             "--processes", str(processes)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=harness.die_with_parent)
        self.addCleanup(self.end_process, process)
        return process

    def end_process(self, process):
        process.kill()
        process.communicate(timeout=10)

    def end_load(self, process):
        said, _ = process.communicate(timeout=60)
        said = said.decode(errors="replace")
        print(said, flush=True)
        self.assertEqual(process.returncode, 0, said)

    def prepare(self, daemon):
        operator = daemon.operator()
        for i in range(8):
            operator.document(f"SET load-{i} recovery_timeout 40ms")
        operator.document("SET numbered max_concurrent 100000")
        operator.document("SET numbered retry_min_per_sec 1000")
        operator.document("SET timer recovery_timeout 2h")
        operator.document("SET timer max_recovery_timeout 2h")
        # Each began between two looks at the clock.
        self.began = {"timer": [time.monotonic()]}
        for _ in range(5):
            operator.ask("REPORT timer 0 - failure")
        self.began["timer"].append(time.monotonic())
        self.began["ordered"] = [time.monotonic()]
        operator.document(f"TRIP ordered {HOUR_MS} for an hour")
        self.began["ordered"].append(time.monotonic())

    def check_times(self, client, slack_ms):
        """What remains is what should, but for rounding and the length of a turn
        of the loop."""
        for name, whole_ms in (("timer", 2 * HOUR_MS), ("ordered", HOUR_MS)):
            first, last = self.began[name]
            before = time.monotonic()
            service = client.service(name)
            after = time.monotonic()
            self.assertEqual(service["state"], "open")
            left_ms = (service["retry_after_ms"] if name == "timer"
                       else service["override"]["expires_ms"])
            self.assertLessEqual(
                left_ms, whole_ms - (before - last) * 1000 + slack_ms, name)
            self.assertGreaterEqual(
                left_ms, whole_ms - (after - first) * 1000 - slack_ms, name)

    def check_orders(self, client, orders):
        with orders.lock:
            self.assertEqual(orders.faults, [])
            floor = dict(orders.acknowledged), dict(orders.set_acknowledged)
        for name in SERVICES:
            if not floor[0][name] and floor[1][name] == 1:
                continue  # nothing about it was ever answered
            service = client.service(name)
            value = client.document(f"CONFIG {name}")["config"]
            with orders.lock:
                ceiling = orders.sent[name], orders.set_sent[name]
            if floor[0][name]:
                number = int(service["override"]["reason"])
                self.assertTrue(floor[0][name] <= number <= ceiling[0],
                                (name, floor[0][name], number, ceiling[0]))
            if floor[1][name] > 1:
                number = int(value["failure_threshold"]["value"])
                self.assertTrue(floor[1][name] <= number <= ceiling[1],
                                (name, floor[1][name], number, ceiling[1]))

    def check_events(self, client, listener, known):
        """Each event told is in the history as it was told."""
        with listener.lock:
            self.assertEqual(listener.faults, [])
            told = {s: e for s, e in listener.events.items() if s not in known}
        if not told:
            return
        rows = client.document("HISTORY * 10000")["history"]
        history = {r["seq"]: r for r in rows}
        for seq, event in told.items():
            self.assertIn(seq, history)
            self.assertEqual({k: history[seq][k] for k in event}, event)
        known.update(told)

    def check_generations(self, client, listener, newest):
        with listener.lock:
            for event in listener.events.values():
                name = event["service"]
                newest[name] = max(newest.get(name, 0), event["generation"])
        document = client.document("STATUS")
        for service in document["services"]:
            name = service["name"]
            self.assertGreaterEqual(service["generation"],
                                    newest.get(name, 0), name)
            newest[name] = service["generation"]

    def check_ids(self, client, ids):
        """Permits and tokens are numbered once, whatever was lost."""
        lines = ["ACQUIRE numbered", "RETRY numbered 1 failure"] * 4
        for answer in client.ask_all(*lines):
            self.assertRegex(answer, "^(ALLOW|GRANT) ")
            number = int(answer.split(" ")[2])
            self.assertGreater(number, ids[-1])
            ids.append(number)

    def crash_over_and_over(self, lose_segment, slack_ms):
        rng = random.Random(SEED)
        print(f"seed {SEED}, {ROUNDS} kills", flush=True)
        daemon = self.daemon().start()
        self.prepare(daemon)
        orders, listener = Orders(daemon), Listener(daemon)
        loads = [self.load(daemon, "wire", 3), self.load(daemon, "auto", 2),
                 self.load(daemon, "zmq", 1)]
        listener.start()
        orders.start()
        known, newest, epochs, ids = {}, {}, set(), [0]
        for _ in range(ROUNDS):
            time.sleep(rng.uniform(0.02, 0.2))
            daemon.kill()
            time.sleep(0.02)  # what was published has arrived
            if lose_segment:
                os.unlink(daemon.segment_path)
            daemon.start()
            client = Client(daemon.operator_path)
            epochs.add(client.ask("PING"))
            self.check_orders(client, orders)
            self.check_events(client, listener, known)
            self.check_generations(client, listener, newest)
            self.check_times(client, slack_ms)
            self.check_ids(client, ids)
            client.close()
        orders.stopping.set()
        listener.stopping.set()
        orders.join(10)
        listener.join(10)
        for load in loads:
            self.end_load(load)
        self.assertEqual(len(epochs), ROUNDS)
        print(f"{orders.count} orders, {len(known)} events", flush=True)
        self.assertGreater(sum(orders.acknowledged.values()), 0)
        self.assertGreater(len(known), ROUNDS)

    def test_killed_while_starting(self):
        """A daemon that dies at any moment of its start loses nothing."""
        rng = random.Random(SEED)
        daemon = self.daemon().start()
        self.prepare(daemon)
        newest, ids = {}, [0]
        for number in range(1, ROUNDS + 1):
            client = Client(daemon.operator_path)
            client.document(f"TRIP op-0 {HOUR_MS} {number}")
            client.document(f"TRIP op-{number % 2 + 1} -")
            client.document(f"RESET op-{number % 2 + 1} {number}")
            self.check_ids(client, ids)
            for service in client.document("STATUS")["services"]:
                newest[service["name"]] = service["generation"]
            client.close()
            daemon.kill()
            for _ in range(3):
                if number % 2:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(daemon.segment_path)
                daemon.spawn()
                time.sleep(rng.uniform(0, 0.12))
                daemon.kill()
            daemon.start()
            client = Client(daemon.operator_path)
            for service in client.document("STATUS")["services"]:
                name = service["name"]
                self.assertGreaterEqual(service["generation"], newest[name])
                newest.pop(name)
            self.assertEqual(newest, {})
            self.assertEqual(client.service("op-0")["override"]["reason"],
                             str(number))
            self.check_ids(client, ids)
            self.check_times(client, 25 + 8 * ROUNDS)
            client.close()

    def test_segment_kept(self):
        self.crash_over_and_over(lose_segment=False, slack_ms=25)

    def test_segment_lost(self):
        self.crash_over_and_over(lose_segment=True, slack_ms=25 + 2 * ROUNDS)


if __name__ == "__main__":
    harness.main()
