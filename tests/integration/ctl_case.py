# SPDX-License-Identifier: Apache-2.0
"""breakerctl for tests: run, run on a terminal, and beside a daemon. $BREAKERCTL
names the binary."""
import json
import os
import pty
import select
import signal
import subprocess
import time

from harness import (WAYS, Case, SharedDaemonCase, die_with_parent,
                     reachable)

BREAKERCTL = os.environ.get("BREAKERCTL", "breakerctl")
PATIENCE_S = 30
NOBODY = 65534

DONE, FAILED, USAGE, NO_SERVICE, FORBIDDEN, UNMET, UNREACHABLE = 0, 1, 2, 3, 4, 6, 7


def environment(extra=None):
    kept = {k: v for k, v in os.environ.items()
            if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
                     *WAYS)}
    kept.update({"HOME": "/nonexistent", "TERM": "xterm", "TZ": "UTC"})
    kept.update(extra or {})
    return kept


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return (f"breakerctl {' '.join(self.args)} ended {self.code}\n"
                f"stdout: {self.out}\nstderr: {self.err}")


def run(*args, env=None, uid=None, stdin=""):
    def before_exec():
        die_with_parent()
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)

    program = BREAKERCTL if uid is None else reachable(BREAKERCTL)
    done = subprocess.run([program, *args], input=stdin.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment(env), cwd="/", timeout=PATIENCE_S,
                          preexec_fn=before_exec, check=False)
    return Result(args, done.returncode, done.stdout.decode(),
                  done.stderr.decode())


def run_on_terminal(*args, env=None, answer=None):
    """With a terminal for stdin, stdout and stderr; (status, what it showed)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BREAKERCTL, [BREAKERCTL, *args], environment(env))
    shown = b""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        shown += some
        if answer is not None and b"[y/N]" in shown:
            os.write(terminal, answer.encode())
            answer = None
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), shown.decode()


class CtlCase(Case):
    def assert_exit(self, result, code):
        self.assertEqual(result.code, code, repr(result))
        return result

    def assert_quiet(self, result):
        self.assertEqual(result.err, "", repr(result))
        return result


class Shared(SharedDaemonCase, CtlCase):
    """Runs breakerctl against the daemon that the class shares."""

    def ctl(self, *args, code=DONE, **kwargs):
        result = run("--dir", self.shared.dir, *args, **kwargs)
        return self.assert_exit(result, code)

    def say(self, name, outcome="failure", times=5, text="503"):
        for _ in range(times):
            self.assertEqual(
                self.worker.ask(f"REPORT {name} 0 - {outcome} 812000 1 0 {text}"),
                "OK applied")

    def state(self, name):
        return self.worker.service(name)["state"]

    def history(self, name):
        return self.operator.document(f"HISTORY {name} 100")["history"]
