# SPDX-License-Identifier: Apache-2.0
"""The commands that README and docs/ print work, and say what is printed there.

A block of ```console is played from the top of its page to the end, in one shell,
beside a daemon of the page's own:

    $ command            is run and must succeed; a line that ends with \\ goes on
    what it prints       is compared word by word; a word with a digit in it may
                         have other digits, "..." stands for any lines
    # command            is for an administrator and is not run here

`<!-- first: command -->` is run as well and not shown to readers. A block of
```ini must be a good configuration file. What begins with a program of ours and
stands in another kind of block is told: it would not be run."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.environ["BREAKERD_SOURCE"]
# The programs that pages may use, by name.
PROGRAMS = dict(pair.split("=") for pair in
                os.environ["BREAKERD_PROGRAMS"].split(","))
PATIENCE_S = 60
MARK = "\x01"


def pages():
    found = ["README.md"]
    for name in sorted(os.listdir(os.path.join(ROOT, "docs"))):
        if name.endswith(".md"):
            found.append("docs/" + name)
    return found


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as text:
        return text.read()


class Command:
    """A command with the lines a reader is shown below it."""

    def __init__(self, line, text):
        self.line, self.text, self.expected = line, text, []


def commands_of(page):
    """What is run of a page, in its order."""
    found, inside, is_going_on = [], None, False
    for number, line in enumerate(read(page).splitlines(), 1):
        hidden = re.fullmatch(r"<!-- first: (.*) -->", line)
        if line.startswith("```"):
            inside = None if inside is not None else line[3:]
            continue
        if hidden and inside is None:
            found.append(Command(number, hidden[1]))
        if inside != "console":
            continue
        if is_going_on:
            found[-1].text += "\n" + line
        elif line.startswith("$ "):
            found.append(Command(number, line[2:]))
        elif line.startswith("# "):
            found.append(Command(number, ""))
        else:
            assert found, f"{page}:{number}: output without a command"
            found[-1].expected.append(line)
        is_going_on = line.endswith("\\") and (
            is_going_on or line.startswith("$ "))
    return [command for command in found if command.text]


def blocks_of(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", read(page), re.S | re.M)


def shape(line):
    """A line without what changes from run to run: digits, units of time, and
    the width of the columns."""
    return [re.sub(r"\d+(?:\.\d+)?(?:(?:us|ms|s|m|h)\b)?", "0", word)
            for word in line.split()]


def is_as_shown(shown, printed):
    """`shown` may leave lines out with "..."."""
    if not shown:
        return not printed
    if shown[0] == ["..."]:
        return any(is_as_shown(shown[1:], printed[i:])
                   for i in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and is_as_shown(
        shown[1:], printed[1:])


class Page:
    """A shell with a daemon, in a directory of its own."""

    def __init__(self, commands):
        self.place = tempfile.TemporaryDirectory(prefix="breakerd-docs-")
        self.commands = commands
        home = self.place.name
        self.bin = os.path.join(home, "bin")
        self.work = os.path.join(home, "work")
        os.mkdir(self.bin)
        os.mkdir(self.work)
        for name, program in PROGRAMS.items():
            os.symlink(program, os.path.join(self.bin, name))
        os.symlink(os.path.join(ROOT, "tests"),
                   os.path.join(self.work, "tests"))
        self.environment = dict(
            os.environ, HOME=home, BREAKERD_DIR=os.path.join(home, "run"),
            PATH=self.bin + ":" + os.environ["PATH"])
        self.log = open(os.path.join(home, "log"), "w+", encoding="utf-8")
        self.daemon = subprocess.Popen(
            [PROGRAMS["breakerd"], "--db", os.path.join(home, "db")],
            env=self.environment, stderr=self.log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        end = time.monotonic() + PATIENCE_S
        while subprocess.run([PROGRAMS["breakerctl"], "raw", "PING"],
                             env=self.environment, capture_output=True,
                             timeout=PATIENCE_S).returncode != 0:
            if self.daemon.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                raise AssertionError("breakerd does not answer:\n"
                                     + self.log.read())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.daemon.terminate()
        self.daemon.wait(PATIENCE_S)
        self.log.close()
        self.place.cleanup()

    def play(self):
        """Runs all commands; a list of (status, lines) comes back."""
        script = "".join(
            f"{command.text}\nprintf '%s%s\\n' '{MARK}' \"$?\"\n"
            for command in self.commands)
        # Background programs of a page end with its shell's process group.
        shell = subprocess.Popen(
            ["bash", "-s"], cwd=self.work, env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        timer = PATIENCE_S + 5 * len(self.commands)
        try:
            said, _ = shell.communicate(
                script + "kill $(jobs -p) 2>/dev/null; wait; exit 0\n", timer)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            said, _ = shell.communicate()
        results, lines = [], []
        for line in said.splitlines():
            head, mark, status = line.partition(MARK)
            if head or not mark:
                lines.append(head)
            if mark:
                results.append((int(status), lines))
                lines = []
        return results


class Commands(unittest.TestCase):
    def play(self, page):
        commands = commands_of(page)
        if not commands:
            return
        with Page(commands) as shell:
            results = shell.play()
        for command, (status, lines) in zip(commands, results):
            where = f"{page}:{command.line}: {command.text}"
            printed = "\n".join(lines)
            self.assertEqual(status, 0, f"{where}\n{printed}")
            if command.expected:
                self.assertTrue(
                    is_as_shown([shape(l) for l in command.expected],
                                [shape(l) for l in lines]),
                    f"{where}\nprints\n{printed}\nand the page shows\n"
                    + "\n".join(command.expected))
        self.assertEqual(len(results), len(commands),
                         f"{page}: did not come to its end")

    def configuration(self, page):
        for text in blocks_of(page, "ini"):
            with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
                file.write(text)
                file.flush()
                done = subprocess.run(
                    [PROGRAMS["breakerd"], "-n", "-c", file.name],
                    capture_output=True, text=True, timeout=PATIENCE_S)
                self.assertEqual(done.returncode, 0,
                                 f"{page}:\n{text}\n{done.stderr}")

    def test_no_command_is_left_out(self):
        ours = "|".join(re.escape(name) for name in PROGRAMS)
        for page in pages():
            text = re.sub(r"^```console\n.*?^```", "", read(page),
                          flags=re.S | re.M)
            inside = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text,
                                          re.S | re.M))
            indented = "\n".join(re.findall(r"^ {4}(.*)$", text, re.M))
            left = re.findall(rf"^\s*(?:\$ )?(?:{ours}) .*$",
                              inside + "\n" + indented, re.M)
            with self.subTest(page):
                self.assertEqual(left, [], "not in a console block")


def add(page):
    name = re.sub(r"\W+", "_", page.lower())

    def test_commands(self):
        self.play(page)

    def test_configuration(self):
        self.configuration(page)
    setattr(Commands, f"test_commands_of_{name}", test_commands)
    setattr(Commands, f"test_configuration_of_{name}", test_configuration)


for each in pages():
    add(each)

if __name__ == "__main__":
    unittest.main(argv=sys.argv)
