# SPDX-License-Identifier: Apache-2.0
"""What the documents show is true: README's programs run, links lead somewhere."""
import os
import re
import subprocess
import tempfile
import time
import unittest

ROOT = os.environ["BREAKERD_SOURCE"]
BREAKERD = os.environ["BREAKERD"]
BREAKERCTL = os.environ["BREAKERCTL"]
PATIENCE_S = 20


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def block(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", read("README.md"),
                       re.S | re.M)
    assert len(found) == 1, f"README has {len(found)} blocks of {language}"
    return found[0]


class Readme(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.dir = os.path.join(self.place.name, "run")
        self.environment = dict(os.environ, BREAKERD_DIR=self.dir)
        with open(os.path.join(self.place.name, "log"), "w",
                  encoding="utf-8") as log:
            self.daemon = subprocess.Popen(
                [BREAKERD, "--dir", self.dir,
                 "--db", os.path.join(self.place.name, "db")],
                stderr=log, env=self.environment)
        end = time.monotonic() + PATIENCE_S
        while self.ctl("raw", "PING").returncode != 0:
            self.assertLess(time.monotonic(), end, "breakerd does not answer")
            time.sleep(0.05)

    def tearDown(self):
        self.daemon.terminate()
        self.assertEqual(self.daemon.wait(PATIENCE_S), 0)
        self.place.cleanup()

    def ctl(self, *words):
        return subprocess.run([BREAKERCTL, *words], capture_output=True,
                              text=True, timeout=PATIENCE_S,
                              env=self.environment)

    def test_the_c_program_is_the_example(self):
        self.assertEqual(block("c"), read("examples/worker.c"))

    def test_the_python_program(self):
        program = block("python")
        expected = re.findall(r"# (.*)$", program, re.M)
        said = subprocess.run(
            ["/usr/bin/python3", "-B", "-c",
             program.replace("/run/breakerd", self.dir)],
            capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        self.assertEqual(said.stdout.splitlines(), expected)


class Links(unittest.TestCase):
    def test_links_lead_somewhere(self):
        documents = []
        for folder, below, files in os.walk(ROOT):
            below[:] = [b for b in below
                        if b not in ("build", ".git", "node_modules")]
            documents += [os.path.relpath(os.path.join(folder, f), ROOT)
                          for f in files if f.endswith(".md")]
        self.assertIn("README.md", documents)
        broken = []
        for document in documents:
            for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)",
                                   read(document)):
                target = os.path.join(ROOT, os.path.dirname(document), link)
                if "://" not in link and not os.path.exists(target):
                    broken.append(f"{document}: {link}")
        self.assertEqual(broken, [])

    def test_files_that_hacking_names_are_there(self):
        named = re.findall(r"`((?:core|daemon|client|tools|tests|docs|include)"
                           r"/[\w./-]+)`", read("HACKING.md"))
        self.assertGreater(len(named), 10)
        missing = [name for name in named
                   if "NN" not in name and "NAME" not in name
                   and not os.path.exists(os.path.join(ROOT, name))]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
