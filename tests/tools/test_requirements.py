# SPDX-License-Identifier: Apache-2.0
"""docs/requirements.md has every row, and every test that it and
docs/failure-modes.md name is there and is one that runs."""
import os
import re
import unittest

ROOT = os.environ["BREAKERD_SOURCE"]
TESTS = os.path.join(ROOT, "tests")
ROWS = ([f"B{i}" for i in range(1, 16)] + ["C4", "C5", "C6", "C7", "D1", "D2",
                                           "D3", "D4", "E1", "E2", "E3"])


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as text:
        return text.read()


def lists():
    """All that says which files are run."""
    text = ""
    for folder, _, files in os.walk(TESTS):
        text += "".join(read(folder, f) for f in files
                        if f == "CMakeLists.txt" or f.endswith(".cmake"))
    return text


def is_run(path, known):
    """Whether the lists name this file: a unit's stem may be put together."""
    if path.startswith("scenarios/"):
        return True  # all files of that folder are played
    stem = os.path.splitext(os.path.basename(path))[0]
    words = [stem, stem.removeprefix("test_"),
             stem.removeprefix("test_client_")]
    return any(re.search(rf"\b{re.escape(word)}\b", known) for word in words)


def has_test(path, name):
    text = read(TESTS, path)
    if path.endswith(".py"):
        return re.search(rf"^    def {name}\(self\):", text, re.M)
    # Defined, and in the list of those that run.
    return (re.search(rf"^{name}\(void \*\*state\)", text, re.M)
            and len(re.findall(rf"\b{name}\b", text)) > 1)


class Requirements(unittest.TestCase):
    def setUp(self):
        self.rows = re.findall(r"^\| ([A-Z]\d+) \| (.*) \| (.*) \|$",
                               read(ROOT, "docs", "requirements.md"), re.M)

    def test_every_row_is_there_once(self):
        self.assertEqual([row[0] for row in self.rows], ROWS)

    def test_every_row_says_what_it_is(self):
        for number, what, _ in self.rows:
            self.assertRegex(what, r"^[A-Z].{20,}\.$", number)

    def test_every_row_is_shown_by_something(self):
        for number, _, shown in self.rows:
            self.assertTrue(re.search(r"`[^`]+`", shown),
                            f"nothing shows {number}")

    def test_every_test_that_is_named_is_there_and_runs(self):
        known = lists()
        wrong = []
        for page in ("requirements.md", "failure-modes.md"):
            named = re.findall(r"`((?:unit|integration|scenarios)/[^`]+)`",
                               read(ROOT, "docs", page))
            self.assertGreater(len(named), 10, page)
            for name in named:
                path, _, test = name.partition(": ")
                if not os.path.exists(os.path.join(TESTS, path)):
                    wrong.append(f"{page}: no file {path}")
                elif not path.endswith(".brk") and not has_test(path, test):
                    wrong.append(f"{page}: no test {test} in {path}")
                elif not is_run(path, known):
                    wrong.append(f"{page}: nobody runs {path}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
