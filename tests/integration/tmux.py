# SPDX-License-Identifier: Apache-2.0
"""A terminal that can be looked at: tmux, a server of its own for each."""
import os
import shutil
import subprocess
import tempfile

from harness import until


class Terminal:
    """One window of so many columns and lines, with a shell in it."""

    def __init__(self, columns, lines, env):
        self.home = tempfile.mkdtemp(prefix="breakerctl-test-")
        self.socket = os.path.join(self.home, "tmux")
        # A leak check that the end of the terminal interrupts never ends.
        asan = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.env = {**env, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color",
                    "ASAN_OPTIONS": asan.lstrip(":")}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns),
                  "-y", str(lines), "env PS1='$ ' sh")
        until(lambda: "$" in self.screen(), "a shell's prompt")

    def tmux(self, *words):
        done = subprocess.run(["tmux", "-S", self.socket, *words],
                              env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=30, check=False)
        if done.returncode != 0:
            raise AssertionError(f"tmux {words}: {done.stderr.decode()}")
        return done.stdout.decode()

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        self.press("Enter")

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def is_alternate(self):
        return self.tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    def has_cursor(self):
        return self.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def await_screen(self, *words):
        """Waits until all of the words are on the screen; the screen."""
        def look():
            shown = self.screen()
            return all(word in shown for word in words) and shown
        try:
            return until(look, f"{words} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.screen()}") from None

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"],
                       stderr=subprocess.DEVNULL, timeout=30, check=False)
        shutil.rmtree(self.home, ignore_errors=True)
