# SPDX-License-Identifier: Apache-2.0
"""The programs of quickstart: what a fleet of workers does, and the judgement."""
import json
import os
import subprocess
import tempfile
import unittest

UPSTREAM = os.environ["FLAKY_UPSTREAM"]
WORKER = os.environ["QUICKSTART_WORKER"]
REPORT = os.environ["QUICKSTART_REPORT"]
PATIENCE_S = 30


class Fleet(unittest.TestCase):
    def setUp(self):
        self.upstream = subprocess.Popen(
            [UPSTREAM, "--latency", "5ms", "ok"], stdout=subprocess.PIPE,
            text=True)
        port = self.upstream.stdout.readline().split()[1]
        control = self.upstream.stdout.readline().split()[1]
        self.url = f"http://127.0.0.1:{port}/"
        self.control = f"http://127.0.0.1:{control}"
        self.place = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.upstream.terminate()
        self.upstream.wait(PATIENCE_S)
        self.upstream.stdout.close()
        self.place.cleanup()

    def play(self, script, *options, mode="none"):
        environment = dict(os.environ, BREAKERD_DIR=self.place.name)
        done = subprocess.run(
            [WORKER, "--url", self.url, "--control", self.control,
             "--script", script, "--mode", mode, *options],
            capture_output=True, text=True, timeout=PATIENCE_S,
            env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def check_sums(self, result):
        self.assertEqual(result["calls"], result["ok"] + result["failed"])
        self.assertEqual(result["attempts"], result["upstream"]["hits"])
        self.assertEqual(result["shed"], 0)

    def test_all_is_well(self):
        result = self.play("ok", "--duration", "1s", "--rate", "100")
        self.check_sums(result)
        self.assertEqual(result["failed"], 0)
        self.assertEqual(result["attempts"], result["calls"])
        self.assertTrue(50 < result["calls"] < 200, result["calls"])

    def test_the_schedule_depends_on_the_seed_alone(self):
        calls = []
        for workers, script in (("1", "ok"), ("8", "down 500")):
            result = self.play(script, "--duration", "1s", "--rate", "100",
                               "--seed", "5", "--workers", workers,
                               "--attempts", "1")
            self.check_sums(result)
            calls.append(result["calls"])
        self.assertEqual(calls[0], calls[1])
        other = self.play("ok", "--duration", "1s", "--rate", "100",
                          "--seed", "6")
        self.assertNotEqual(other["calls"], calls[0])

    def test_alone_every_call_is_tried_three_times(self):
        result = self.play("down", "--duration", "300ms", "--base-delay",
                           "20ms")
        self.check_sums(result)
        self.assertEqual(result["ok"], 0)
        self.assertEqual(result["attempts"], 3 * result["calls"])
        # 20 and 40 ms of waiting, and three answers of 5 ms
        self.assertGreaterEqual(result["failed_wait_ms"],
                                75 * result["failed"])

    def test_what_no_retry_would_help_is_tried_once(self):
        for status in ("404", "401"):
            result = self.play(status, "--duration", "200ms")
            self.check_sums(result)
            self.assertEqual(result["attempts"], result["calls"])
            self.assertEqual(result["failed"], result["calls"])

    def test_timeouts_end_attempts(self):
        result = self.play("hang", "--duration", "200ms", "--timeout", "50ms",
                           "--attempts", "1")
        self.check_sums(result)
        self.assertEqual(result["failed"], result["calls"])
        self.assertLess(result["failed_wait_max_ms"], 1000)

    def test_guarded_without_a_daemon_it_goes_on(self):
        result = self.play("ok", "--duration", "300ms", mode="auto")
        self.check_sums(result)
        self.assertEqual(result["failed"], 0)
        self.assertEqual(result["by_local"], result["calls"])

    def test_a_guarded_fleet_opens_its_own_circuits(self):
        result = self.play("down", "--duration", "1s", "--rate", "100",
                           "--workers", "1", "--patience", "0ms",
                           "--attempts", "1", mode="local")
        self.check_sums(result)
        self.assertLess(result["attempts"], result["calls"] / 2)
        self.assertGreaterEqual(result["attempts"], 5)
        self.assertEqual(result["failed_denied"],
                         result["calls"] - result["attempts"])


class CommandLine(unittest.TestCase):
    def test_bad_words_get_one_sentence(self):
        for words in ([], ["--url"], ["--url", "x", "--mode", "magic"],
                      ["--url", "x", "--rate", "0"],
                      ["--url", "x", "--workers", "65"],
                      ["--url", "x", "--duration", "0"],
                      ["--url", "x", "--duration", "fast"],
                      ["--url", "x", "--timeout", "0"],
                      ["--url", "x", "--service", "a b"],
                      ["--url", "x", "--script", "ok"],
                      ["--url", "x", "more"]):
            done = subprocess.run([WORKER, *words], capture_output=True,
                                  text=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_no_server_is_a_failure_not_a_hang(self):
        done = subprocess.run(
            [WORKER, "--url", "http://127.0.0.1:1/", "--control",
             "http://127.0.0.1:1"], capture_output=True, text=True,
            timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn("did not start its script", done.stderr)


def result(service, outage_hits, calls=100, **more):
    return {"mode": service, "service": service, "calls": calls, "ok": 50,
            "failed": 50, "by_local": 0, "by_nobody": 0,
            "upstream": {"hits": outage_hits + 10,
                         "outage_hits": outage_hits}, **more}


def history(*states):
    steps = zip(("closed", *states), states)
    return [{"service": "guarded", "from": a, "to": b} for a, b in steps]


class Judgement(unittest.TestCase):
    def judge(self, rows, alone, guarded):
        with tempfile.TemporaryDirectory() as place:
            paths = []
            for name, content in (("history", {"history": rows}),
                                  ("alone", alone), ("guarded", guarded)):
                paths.append(os.path.join(place, name))
                with open(paths[-1], "w", encoding="utf-8") as out:
                    json.dump(content, out)
            return subprocess.run([REPORT, *paths], capture_output=True,
                                  text=True, timeout=PATIENCE_S)

    def test_good(self):
        done = self.judge(
            history("open", "half_open", "open", "half_open", "closed"),
            result("alone", 1000), result("guarded", 49))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("4.9 %", done.stdout)

    def test_bad(self):
        good = history("open", "half_open", "closed")
        for rows, alone, guarded in (
                (good, result("alone", 1000), result("guarded", 50)),
                (good, result("alone", 0), result("guarded", 0)),
                (good, result("alone", 1000), result("guarded", 9, calls=99)),
                (good, result("alone", 1000),
                 result("guarded", 9, by_local=1)),
                (good, result("alone", 1000), result("other", 9)),
                ([], result("alone", 1000), result("guarded", 9)),
                (history("open", "half_open", "open"),
                 result("alone", 1000), result("guarded", 9)),
                (history("open", "half_open", "closed", "open"),
                 result("alone", 1000), result("guarded", 9)),
                (history("open", "closed"),
                 result("alone", 1000), result("guarded", 9))):
            done = self.judge(rows, alone, guarded)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("FAILED", done.stdout)

    def test_files_that_are_none(self):
        done = subprocess.run([REPORT, "/nonexistent", "/a", "/b"],
                              capture_output=True, text=True,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(self.judge({}, result("a", 1), result("b", 1))
                         .returncode, 2)


if __name__ == "__main__":
    unittest.main()
