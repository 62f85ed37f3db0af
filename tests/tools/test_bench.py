# SPDX-License-Identifier: Apache-2.0
"""breaker-bench runs on a few rows, tells people and programs the same, and leaves
nothing behind. What it measures is no test's business."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

BENCH = os.environ["BREAKER_BENCH"]
PATIENCE_S = 100
# Short ones, one of each kind.
ROWS = "decide,report,floors"


def places():
    """The scratch directories of benches that run, or ran."""
    return {os.path.join(folder, name)
            for folder in ("/dev/shm", tempfile.gettempdir())
            if os.path.isdir(folder)
            for name in os.listdir(folder) if name.startswith("breaker-bench-")}


def bench(*words):
    done = subprocess.run(
        [BENCH, "--quick", "--repeats", "1", *words], text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
        check=False)
    return done.returncode, done.stdout, done.stderr


class Bench(unittest.TestCase):
    def test_rows_for_people(self):
        status, said, progress = bench("--rows", ROWS)
        self.assertEqual(status, 0, said + progress)
        for row in ROWS.split(","):
            self.assertIn(f"({row})\n", said)
            self.assertIn(f", {row}\n", progress)
        self.assertRegex(said, r"decision by handle / mutex allow.* <= 0\.65 +"
                               r"(holds|missed)\n")
        self.assertRegex(said, r"\n\d+ hold, \d+ missed, 0 skipped, 0 failed\n")

    def test_document_for_programs_and_pages(self):
        with tempfile.TemporaryDirectory() as docs:
            status, said, progress = bench("--rows", "decide,count*", "--json",
                                           "--docs", docs)
            self.assertEqual(status, 0, said + progress)
            with open(os.path.join(docs, "performance.md"),
                      encoding="utf-8") as page:
                page = page.read()
        told = json.loads(said)
        self.assertEqual({line["row"] for line in told["lines"]},
                         {"decide", "counts"})
        for line in told["lines"]:
            self.assertIn(line["state"],
                          ("told", "holds", "missed", "skipped"))
            self.assertIn(f"| {line['what']} |", page)
            if line["state"] != "skipped":
                self.assertLessEqual(line["low"], line["median"])
                self.assertLessEqual(line["median"], line["high"])
        self.assertIn("# Performance\n", page)

    def test_rows_are_named(self):
        done = subprocess.run([BENCH, "--list"], text=True, check=True,
                              capture_output=True, timeout=PATIENCE_S)
        rows = re.findall(r"^(\w+) ", done.stdout, re.M)
        self.assertGreater(len(rows), 10)
        self.assertEqual(len(set(rows)), len(rows))

    def test_an_interrupted_one_leaves_nothing(self):
        before = places()
        run = subprocess.Popen([BENCH, "--rows", "change,services"],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE_S
        mine = set()
        while not any("small" in os.listdir(place) for place in mine):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
            mine = places() - before
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(PATIENCE_S), 1)
        self.assertEqual([place for place in mine if os.path.exists(place)], [])

    def test_wrong_usage(self):
        for words in (["--repeats", "0"], ["--what"], ["more"],
                      ["--breakerd", "/nowhere"]):
            done = subprocess.run([BENCH, *words], text=True, check=False,
                                  capture_output=True, timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 2, words)
            self.assertRegex(done.stderr, r"^breaker-bench: .*\n$")


if __name__ == "__main__":
    unittest.main()
