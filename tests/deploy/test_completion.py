# SPDX-License-Identifier: Apache-2.0
"""Completion of breakerctl: what the program offers, and what bash, zsh and fish
make of it."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from ctl_case import BREAKERCTL, run

SCRIPTS = os.path.join(os.environ["BREAKERD_SOURCE"], "tools/completion")
CONFIG = "[service gpt-4]\n[service gpt-4:mini]\n[service eu/west]\n"


def offered(*words, env=None):
    result = run("completion", "words", "--", *words, env=env)
    assert result.code == 0 and result.err == "", repr(result)
    return [line.split("\t")[0] for line in result.out.splitlines()]


class Shells(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared = harness.Daemon(config=CONFIG)
        cls.addClassCleanup(cls.shared.close)
        cls.shared.start()
        cls.env = {"BREAKERD_DIR": cls.shared.dir}
        cls.place = tempfile.mkdtemp(prefix="breakerd-test-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        os.symlink(os.path.abspath(BREAKERCTL),
                   os.path.join(cls.place, "breakerctl"))

    def shell(self, *command, stdin=""):
        path = self.place + ":" + os.environ.get("PATH", "/usr/bin:/bin")
        done = subprocess.run(
            command, input=stdin, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60, check=False, cwd=self.place,
            env={"PATH": path, "HOME": self.place, "TERM": "dumb",
                 "LC_ALL": "C.UTF-8", **self.env})
        return done.stdout


class Words(Shells):
    def test_commands_options_and_values(self):
        self.assertIn("status", offered(""))
        self.assertEqual(offered("stat"), ["status"])
        self.assertEqual(offered("--json", "stat"), ["status"])
        self.assertEqual(offered("history", "--li"), ["--limit"])
        self.assertEqual(offered("status", "--output", ""), ["table", "json"])
        self.assertEqual(offered("status", "-o", "j"), ["json"])
        self.assertEqual(offered("--output=j"), ["--output=json"])
        self.assertEqual(offered("--dir", ""), ["*directories"])
        self.assertEqual(offered("wait", "s", "--state", "half"),
                         ["half_open"])
        self.assertEqual(offered("no-such-command", ""), [])

    def test_operands(self):
        names = ["eu/west", "gpt-4", "gpt-4:mini"]
        self.assertEqual(offered("trip", "", env=self.env), names)
        self.assertEqual(offered("trip", "gpt-4", env=self.env), names[1:])
        self.assertEqual(offered("status", "gpt-4", "e", env=self.env),
                         names[:1])
        self.assertEqual(offered("trip", "gpt-4", "", env=self.env), [])
        self.assertEqual(offered("set", "gpt-4", "failure_r"),
                         ["failure_rate="])
        self.assertEqual(offered("unset", "gpt-4", "failure_r"),
                         ["failure_rate"])
        self.assertEqual(offered("set", "gpt-4", "ramp=1s", "failure_r"),
                         ["failure_rate="])
        self.assertEqual(offered("config", "check", ""), ["*files"])
        self.assertEqual(offered("run", "gpt-4", ""), ["--"])
        self.assertEqual(offered("run", "gpt-4", "--", ""), ["*commands"])
        self.assertEqual(offered("completion", "z"), ["zsh"])

    def test_the_directory_may_stand_on_the_line(self):
        for words in (["--dir", self.shared.dir, "trip", "eu"],
                      ["trip", "--dir", self.shared.dir, "eu"]):
            self.assertEqual(offered(*words), ["eu/west"])

    def test_without_an_instance_nothing_is_said(self):
        self.assertEqual(offered("trip", "",
                                 env={"BREAKERD_DIR": "/no/such"}), [])

    def test_scripts_are_those_of_the_tree(self):
        for shell in ("bash", "zsh", "fish"):
            with open(os.path.join(SCRIPTS, "breakerctl." + shell),
                      encoding="utf-8") as script:
                self.assertEqual(run("completion", shell).out, script.read())
        for words in (["tcsh"], ["bash", "zsh"], []):
            self.assertEqual(run("completion", *words).code, 2)


class Bash(Shells):
    def complete(self, line):
        """What bash would insert: the function is called as readline does."""
        script = f"""
source <(breakerctl completion bash)
COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}}
# Words as bash cuts them, at ":" and "=" too.
COMP_WORDS=()
rest=$COMP_LINE
while [[ $rest =~ ^([[:space:]]*)([^:=[:space:]]+|[:=]+)(.*)$ ]]; do
    COMP_WORDS+=("${{BASH_REMATCH[2]}}")
    rest=${{BASH_REMATCH[3]}}
done
[[ $COMP_LINE == *[[:space:]] ]] && COMP_WORDS+=("")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_breakerctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        return self.shell("bash", "--norc", "-c", script).split()

    def test_completes(self):
        self.assertEqual(self.complete("breakerctl stat"), ["status"])
        self.assertEqual(self.complete("breakerctl trip gpt"),
                         ["gpt-4", "gpt-4:mini"])
        # Only what stands behind the last colon is bash's to replace.
        self.assertEqual(self.complete("breakerctl trip gpt-4:m"), ["mini"])
        self.assertEqual(self.complete("breakerctl trip gpt-4:"), ["mini"])
        self.assertEqual(self.complete("breakerctl --output=j"), ["json"])
        self.assertEqual(self.complete("breakerctl history --li"), ["--limit"])
        with open(os.path.join(self.place, "a-file"), "w", encoding="ascii"):
            pass
        self.assertEqual(self.complete("breakerctl backup a-"), ["a-file"])

    def test_completes_at_the_prompt(self):
        """The real thing: a shell on a terminal, and the key."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(self.env, HOME=self.place, TERM="dumb", PS1="> ",
                              PATH=self.place + ":" + os.environ["PATH"],
                              INPUTRC="/dev/null")
            os.execvp("bash", ["bash", "--norc", "--noprofile"])
        try:
            os.write(terminal, b"source <(breakerctl completion bash)\n"
                               b"echo re''ady\n")
            self.await_text(terminal, rb"ready\r?\n")
            os.write(terminal, b"breakerctl trip gpt-4:m\t")
            self.await_text(terminal, rb"trip gpt-4:mini")
        finally:
            os.kill(pid, signal.SIGKILL)
            os.close(terminal)
            os.waitpid(pid, 0)

    def await_text(self, terminal, pattern):
        seen = b""
        end = time.monotonic() + harness.PATIENCE_S
        while not re.search(pattern, seen):
            left = end - time.monotonic()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                raise AssertionError(f"{pattern} is not in {seen}")
            seen += os.read(terminal, 4096)


@unittest.skipUnless(shutil.which("zsh"), "no zsh")
class Zsh(Shells):
    def complete(self, line):
        """zsh completes only at a prompt: one in a pseudo terminal of its own. What
        is typed before its line editor runs is echoed by the terminal as it is."""
        script = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= PS2=; autoload -U compinit; compinit -u -D"
zpty -w shell "source <(breakerctl completion zsh)"
zpty -w shell "zstyle ':completion:*' verbose no; LISTMAX=0"
zpty -w shell "bindkey '^I' complete-word"
zpty -w shell "zle-line-init() {{ print re''ady }}; zle -N zle-line-init"
zpty -r shell seen '*ready[^a-z]*'
sleep 0.2
zpty -n -w shell $'{line}\\t'
zpty -n -w shell $'\\C-a: \\C-e  # end\\n'
zpty -r shell seen '*# end*'
print -r -- "$seen"
zpty -d shell
"""
        # A widget that prints leaves the terminal to echo for a moment; then what was
        # typed is seen twice, and read here too early.
        for _ in range(20):
            seen = self.shell("zsh", "-f", "-c", script)
            if "^A" not in seen:
                break
        return seen

    def test_completes(self):
        self.assertIn("trip eu/west", self.complete("breakerctl trip e"))
        self.assertIn("history --limit",
                      self.complete("breakerctl history --li"))
        self.assertRegex(self.complete("breakerctl trip gpt-4:m"),
                         r"trip gpt-4\\?:mini")


@unittest.skipUnless(shutil.which("fish"), "no fish")
class Fish(Shells):
    def complete(self, line):
        said = self.shell("fish", "--no-config", "-c",
                          "breakerctl completion fish | source; "
                          f"complete -C {line!r}")
        return [row.split("\t")[0] for row in said.splitlines()]

    def test_completes(self):
        self.assertEqual(self.complete("breakerctl stat"), ["status"])
        self.assertEqual(self.complete("breakerctl trip gpt"),
                         ["gpt-4", "gpt-4:mini"])
        self.assertEqual(self.complete("breakerctl set gpt-4 failure_r"),
                         ["failure_rate="])


if __name__ == "__main__":
    harness.main()
