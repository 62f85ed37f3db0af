# SPDX-License-Identifier: Apache-2.0
"""Help, manual page and completion of every program say the same."""
import functools
import glob
import os
import re
import shutil
import subprocess
import unittest

SOURCE = os.environ["BREAKERD_SOURCE"]
PROGRAMS = dict(pair.split("=", 1)
                for pair in os.environ["BREAKERD_PROGRAMS"].split(","))
BREAKERCTL = PROGRAMS["breakerctl"]
PATIENCE_S = 60


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout


@functools.lru_cache(maxsize=None)
def read_help(*command):
    status, said = run(*command, "--help")
    assert status == 0, said
    return said


def page_of(program):
    pages = glob.glob(os.path.join(SOURCE, "docs/man", program + ".[1-8]"))
    assert len(pages) == 1, f"{program} has {len(pages)} manual pages"
    with open(pages[0], encoding="utf-8") as text:
        return text.read()


def options_of_help(text):
    """What looks like an option, wherever it stands. With a letter and a name
    ("-n, --limit") both."""
    return set(re.findall(r"(?<![\w\-'$])--?[A-Za-z][\w-]*", text))


def options_of_page(text):
    return {"-" + word for word in
            re.findall(r"\bFl (-?[A-Za-z][\w-]*)", text)}


def commands():
    said = read_help(BREAKERCTL).split("\ncommands:\n")[1].split("\n\n")[0]
    return re.findall(r"(?m)^  (\w+) ", said)


def command_options(command):
    """Pairs of letter (or None) and name."""
    said = read_help(BREAKERCTL, command).split("\noptions:\n")[1]
    return re.findall(r"(?m)^  (?:-(\w), )?--([\w-]+)", said)


class Programs(unittest.TestCase):
    def test_every_option_is_in_help_and_page(self):
        for program, path in PROGRAMS.items():
            if program == "breakerctl":
                continue
            with self.subTest(program=program):
                said = read_help(path)
                page = page_of(program)
                self.assertEqual(options_of_help(said), options_of_page(page))

    def test_breakerctl_options(self):
        in_help = options_of_help(read_help(BREAKERCTL))
        for command in commands():
            in_help |= options_of_help(read_help(BREAKERCTL, command))
        self.assertEqual(options_of_page(page_of("breakerctl")) - in_help,
                         set())

    def test_breakerctl_commands(self):
        """Each has a place of its own in the page, with its own options."""
        page = page_of("breakerctl")
        blocks = re.split(r"(?m)^\.It Cm (?=\w)", page)[1:]
        common = set(command_options("reload"))
        for command in commands():
            with self.subTest(command=command):
                own = [b for b in blocks if re.match(rf"{command}\b", b)]
                self.assertTrue(own, "not in the page")
                named = options_of_page("".join(own))
                for letter, name in set(command_options(command)) - common:
                    self.assertTrue({"-" + letter, "--" + name} & named,
                                    f"--{name} is not in the page")
        for letter, name in common:
            self.assertIn("--" + name, options_of_page(page))

    def test_completion_offers_the_same(self):
        for command in commands():
            with self.subTest(command=command):
                status, said = run(BREAKERCTL, "completion", "words", "--",
                                   command, "-")
                self.assertEqual(status, 0, said)
                offered = {line.split("\t")[0] for line in said.splitlines()}
                self.assertEqual(offered, {"--" + name for _, name in
                                           command_options(command)})
        _, said = run(BREAKERCTL, "completion", "words", "--", "")
        self.assertEqual([line.split("\t")[0] for line in said.splitlines()],
                         commands())


class Scripts(unittest.TestCase):
    def test_help_has_the_options_that_are_read(self):
        for name in ("quickstart", "check"):
            with self.subTest(script=name):
                path = os.path.join(SOURCE, "tools", name)
                with open(path, encoding="utf-8") as text:
                    read = set(re.findall(r"(?m)^ +(--[a-z]+)(?: \| -h)?\)",
                                          text.read()))
                self.assertIn("--help", read)
                self.assertEqual(options_of_help(read_help(path)),
                                 read - {"--help"})


class Pages(unittest.TestCase):
    def test_every_header_and_file_has_one(self):
        for page in ("breakerd.conf.5", "breaker.7", "breaker-protocol.7",
                     "libbreaker.3", "libbreaker-cache.3", "libbreaker-call.3",
                     "libbreaker-classify.3", "libbreaker-curl.3"):
            self.assertTrue(os.path.exists(
                os.path.join(SOURCE, "docs/man", page)), page)

    def test_functions_are_documented(self):
        """Each that a header declares is named in some page of section 3."""
        pages = ""
        for path in glob.glob(os.path.join(SOURCE, "docs/man/*.3")):
            with open(path, encoding="utf-8") as text:
                pages += text.read()
        for path in glob.glob(os.path.join(SOURCE, "include/breaker/*.h")):
            with open(path, encoding="utf-8") as text:
                declared = re.findall(
                    r"(?ms)^BREAKER_API\b.*?\b(breaker_\w+)\s*\(", text.read())
            self.assertTrue(declared, path)
            missing = [name for name in declared
                       if not re.search(rf"\b{name}\b", pages)]
            self.assertEqual(missing, [], path)

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_mandoc_finds_no_fault(self):
        pages = glob.glob(os.path.join(SOURCE, "docs/man/*.[1-8]"))
        self.assertGreater(len(pages), 5)
        # One at a time: what it says of several runs together where its buffers
        # end.
        said = "".join(run("mandoc", "-T", "lint", page)[1]
                       for page in sorted(pages))
        # Which pages are installed on this machine, and how long the lines of a
        # source are, is not the matter.
        faults = [line for line in said.splitlines()
                  if not re.search("referenced manual|mandoc.db|longer than 80",
                                   line)]
        self.assertEqual(faults, [])

    def test_pages_refer_to_pages_that_are_there(self):
        for path in glob.glob(os.path.join(SOURCE, "docs/man/*.[1-8]")):
            with open(path, encoding="utf-8") as text:
                for name, section in re.findall(
                        r"\.Xr (\S+) (\d)", text.read()):
                    if "breaker" in name or "flaky" in name:
                        self.assertTrue(os.path.exists(os.path.join(
                            SOURCE, "docs/man", f"{name}.{section}")),
                            f"{path}: {name}({section})")


if __name__ == "__main__":
    unittest.main(verbosity=2)
