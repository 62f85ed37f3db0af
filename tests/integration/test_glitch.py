# SPDX-License-Identifier: Apache-2.0
"""What users notice of an upstream's trouble: nothing, with a deadline that is
long enough. Eight workers whose users call once a second each, a glitch of two
seconds, an outage of thirty, one 429, beside the same calls with the retry loop
that each process has for itself. Numbers are printed; every scene runs at the
same time as the others, on a service and a server of its own."""
import http.client
import json
import os
import subprocess
import sys
import threading
import time

from harness import Case, die_with_parent, main

WORKER = os.environ["FLEET_GLITCH"]
UPSTREAM = os.environ["FLAKY_UPSTREAM"]
WORKERS = 8
PATIENCE_S = 170
START_MS = 6000
GLITCH = "ok 5s; reset 2s; ok"
OUTAGE = "ok 5s; down 503 30s; ok"


def boot_ms():
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)


class Upstream:
    def __init__(self, script, latency="20ms"):
        self.process = subprocess.Popen(
            [UPSTREAM, "--latency", latency, script], stdout=subprocess.PIPE,
            text=True, preexec_fn=die_with_parent)
        self.port = int(self.process.stdout.readline().split()[1])
        self.control = int(self.process.stdout.readline().split()[1])

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.control,
                                                timeout=10)
        connection.request(method, path)
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def stats(self):
        return json.loads(self.ask("GET", "/stats"))

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


class Scene:
    """One upstream, one service, the fleet that calls it; afterwards what every
    call and attempt came to, in ms since the start."""

    def __init__(self, daemon, service, script, seconds=40, mode="breaker",
                 latency="20ms", rate_ms=1000):
        self.service = service
        self.upstream = Upstream(script, latency)
        self.command = [
            WORKER, "--dir", daemon.dir, "--service", service, "--url",
            f"http://127.0.0.1:{self.upstream.port}/", "--seconds",
            str(seconds), "--mode", mode, "--rate-ms", str(rate_ms)]
        self.calls, self.attempts, self.statuses, self.failed = [], [], [], []
        self.rate_ms = rate_ms
        self.thread = threading.Thread(target=self.play)

    def play(self):
        # All begin together, once everything is there; within a round the
        # workers call one after the other.
        start = boot_ms() + START_MS
        workers = [subprocess.Popen(
            [*self.command, "--start-ms",
             str(start + i * self.rate_ms // WORKERS)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=die_with_parent) for i in range(WORKERS)]
        time.sleep((start - boot_ms()) / 1000)
        self.upstream.ask("POST", "/start")
        for worker in workers:
            try:
                out = worker.communicate(timeout=PATIENCE_S)[0]
            except subprocess.TimeoutExpired:
                worker.kill()
                out = worker.communicate()[0]
            self.statuses.append(worker.returncode)
            self.read(out)
        self.stats = self.upstream.stats()
        self.upstream.close()
        self.attempts = sorted((at - start, status)
                               for at, status in self.attempts)
        self.calls = [(a - start, b - start, *rest)
                      for a, b, *rest in self.calls]
        self.failed = [call for call in self.calls if call[2] != "success"]

    def read(self, out):
        for line in out.splitlines():
            word, *rest = line.split()
            if word == "attempt":
                self.attempts.append((int(rest[0]), int(rest[1])))
            else:
                self.calls.append((int(rest[0]), int(rest[1]), rest[2],
                                   int(rest[3]), int(rest[4])))

    def hits_in_trouble(self):
        return self.stats["phases"][1]["hits"]

    def first_good_after(self, ms):
        return next(at for at, status in self.attempts
                    if at > ms and status == 200)

    def tell(self):
        waits = sorted(call[1] - call[0] for call in self.calls)
        print(f"{self.service:15} calls {len(self.calls):4}  failed "
              f"{len(self.failed):3}  hits in trouble "
              f"{self.hits_in_trouble():4}  hits {self.stats['hits']:4}  "
              f"median {waits[len(waits) // 2]:6} ms  longest {waits[-1]:6} ms",
              file=sys.stderr)


class Glitch(Case):
    """All scenes at once: they take as long as the longest."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_a_glitch_of_two_seconds")
        cls.case = case
        cls.addClassCleanup(case.doCleanups)
        daemon = case.daemon("[service recovery-5s]\nrecovery_timeout = 5s\n")
        daemon.start()
        cls.scenes = {
            scene.service: scene for scene in (
                Scene(daemon, "glitch", GLITCH),
                Scene(daemon, "glitch-alone", GLITCH, mode="alone"),
                Scene(daemon, "outage", OUTAGE),
                Scene(daemon, "outage-alone", OUTAGE, mode="alone"),
                Scene(daemon, "recovery-5s", OUTAGE),
                Scene(daemon, "limit", "ok 6s; 429 retry-after=1 share=100% "
                      "70ms; ok", seconds=16, latency="1s", rate_ms=250))}
        for scene in cls.scenes.values():
            scene.thread.start()
        for scene in cls.scenes.values():
            scene.thread.join()
        for scene in cls.scenes.values():
            scene.tell()

    def scene(self, name):
        scene = self.scenes[name]
        self.assertEqual(scene.statuses, [0] * WORKERS)
        return scene

    def assert_unnoticed(self, scene, alone):
        self.assertEqual(len(scene.calls), WORKERS * 40)
        self.assertEqual(scene.failed, [])
        self.assertLess(max(call[1] - call[0] for call in scene.calls),
                        120000)
        self.assertLess(scene.hits_in_trouble(),
                        self.scene(alone).hits_in_trouble())

    def test_a_glitch_of_two_seconds(self):
        self.assert_unnoticed(self.scene("glitch"), "glitch-alone")

    def test_an_outage_of_thirty_seconds(self):
        self.assert_unnoticed(self.scene("outage"), "outage-alone")

    def test_a_sooner_recovery(self):
        scene = self.scene("recovery-5s")
        self.assert_unnoticed(scene, "outage-alone")
        late = scene.first_good_after(35000) - 35000
        print(f"recovery-5s     first good answer {late} ms after the outage",
              file=sys.stderr)
        # A probe each 5 s, and the spread of who waits for it.
        self.assertLess(late, 7000)

    def test_one_429_costs_its_second(self):
        scene = self.scene("limit")
        limited = [at for at, status in scene.attempts if status == 429]
        self.assertTrue(limited, "nobody met the 429")
        self.assertEqual(scene.failed, [])
        # From when the last 429 was answered until calls start again.
        held = max(limited) + 1000
        starts = [at for at, _ in scene.attempts]
        back = next(at for at in starts if at > held)
        before = sum(1 for at in starts if held - 4000 <= at < held) / 4
        after = sum(1 for at in starts if back <= at < back + 4000) / 4
        print(f"limit           {len(limited)} were limited; calls start "
              f"again {back - held} ms after, {before:.1f} a second before, "
              f"{after:.1f} after", file=sys.stderr)
        self.assertGreater(back - held, 900)
        self.assertLessEqual(back - held, 1100 + 150)
        self.assertGreaterEqual(after, before * 0.9)


if __name__ == "__main__":
    main()
