# SPDX-License-Identifier: Apache-2.0
"""Where the instance and the database are, by option, environment and user. The
places every system shares (/run, /tmp, /var/lib) are looked at in a mount
namespace of the test's own."""
import os
import re
import subprocess
import unittest

import harness
from brk import Client

NOBODY = 65534


def can_unshare(*options):
    done = subprocess.run(["unshare", *options, "true"],
                          stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


class ByOptionAndEnvironment(harness.Case):
    def lone(self, **env):
        """A daemon that is told no directory by option."""
        daemon = self.daemon(with_dir=False)
        daemon.env.update(
            {k: v.format(home=daemon.home) for k, v in env.items()})
        return daemon

    def test_option_wins(self):
        daemon = self.daemon()
        daemon.env.update(BREAKERD_DIR=daemon.home + "/no",
                          RUNTIME_DIRECTORY=daemon.home + "/nor")
        daemon.start()
        self.assertFalse(os.path.exists(daemon.home + "/no"))
        self.assertFalse(os.path.exists(daemon.home + "/nor"))

    def test_then_breakerd_dir(self):
        daemon = self.lone(BREAKERD_DIR="{home}/run",
                           RUNTIME_DIRECTORY="{home}/nor",
                           XDG_RUNTIME_DIR="{home}")
        daemon.start()
        self.assertFalse(os.path.exists(daemon.home + "/nor"))

    def test_then_runtime_directory(self):
        self.lone(RUNTIME_DIRECTORY="{home}/run",
                  XDG_RUNTIME_DIR="{home}").start()

    def test_database_by_state_directory(self):
        daemon = self.daemon(with_db=False)
        daemon.env["STATE_DIRECTORY"] = daemon.db_dir
        daemon.start()
        self.assertTrue(os.path.exists(daemon.db))

    def test_database_directory_is_made(self):
        daemon = self.daemon()
        daemon.db = os.path.join(daemon.db_dir, "a", "b", "x.db")
        daemon.start()
        self.assertTrue(os.path.exists(daemon.db))


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "mount namespaces are not permitted here")
class ByUser(harness.Case):
    """/run, /tmp and /var/lib are empty tmpfs of the daemon's own."""

    fresh = ("mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && "
             "mount -t tmpfs -o mode=1777 tmpfs /tmp")

    def hidden(self, script="true", uid=None, **env):
        """A daemon told nothing, in a system with nothing in it; as `uid`. The
        binary is opened first: it may lie below the hidden /tmp."""
        daemon = self.daemon(with_dir=False, with_db=False)
        become = "" if uid is None else (
            f"setpriv --reuid={uid} --regid={uid} --clear-groups ")
        daemon.prefix = [
            "unshare", "-m", "/bin/sh", "-c",
            f'exec 9<"$1"; shift; {self.fresh} && {{ {script}; }} && '
            f'exec {become}/proc/self/fd/9 "$@"', "sh"]
        daemon.env.update(env)
        return daemon

    def begin(self, daemon, directory):
        """Waits for it to answer in its own /run or /tmp."""
        daemon.spawn()
        daemon.dir = f"/proc/{daemon.process.pid}/root{directory}"
        short = os.path.join(daemon.home, "d")
        os.symlink(daemon.dir, short)
        client = Client(os.path.join(short, "worker.sock"))
        daemon.clients.append(client)
        harness.until(
            lambda: os.path.exists(os.path.join(daemon.dir, "worker.sock"))
            or daemon.process.poll() is not None, f"{directory}/worker.sock")
        self.assertIsNone(daemon.process.poll(), daemon.log())
        self.assertRegex(client.ask("PING"), "^PONG ")

    def test_root(self):
        daemon = self.hidden()
        self.begin(daemon, "/run/breakerd")
        self.assertTrue(os.path.exists(
            f"/proc/{daemon.pid}/root/var/lib/breakerd/breakerd.db"))

    def test_root_ignores_xdg(self):
        self.begin(self.hidden(XDG_RUNTIME_DIR="/tmp"), "/run/breakerd")

    def test_user_with_xdg(self):
        daemon = self.hidden(
            f"mkdir -m 700 /run/u /tmp/state && "
            f"chown {NOBODY} /run/u /tmp/state", NOBODY,
            XDG_RUNTIME_DIR="/run/u", XDG_STATE_HOME="/tmp/state")
        self.begin(daemon, "/run/u/breakerd")
        self.assertTrue(os.path.exists(
            f"/proc/{daemon.pid}/root/tmp/state/breakerd/breakerd.db"))

    def test_user_without_xdg(self):
        daemon = self.hidden(
            f"mkdir -m 700 /tmp/home && chown {NOBODY} /tmp/home", NOBODY,
            HOME="/tmp/home")
        self.begin(daemon, f"/tmp/breakerd-{NOBODY}")
        root = f"/proc/{daemon.pid}/root"
        self.assertEqual(
            os.stat(f"{root}/tmp/breakerd-{NOBODY}").st_mode & 0o777, 0o700)
        self.assertTrue(os.path.exists(
            f"{root}/tmp/home/.local/state/breakerd/breakerd.db"))

    def test_somebody_elses_directory_in_tmp_is_refused(self):
        home = f"mkdir -m 700 /tmp/home && chown {NOBODY} /tmp/home"
        for trap in (f"mkdir -m 777 /tmp/breakerd-{NOBODY}",
                     f"mkdir -m 777 /run/x && ln -s /run/x "
                     f"/tmp/breakerd-{NOBODY}"):
            daemon = self.hidden(f"{home} && {trap}", NOBODY, HOME="/tmp/home")
            status, said = daemon.run()
            self.assertEqual(status, 1, said)
            self.assertTrue(re.search(rf"/tmp/breakerd-{NOBODY}\b", said), said)


if __name__ == "__main__":
    harness.main()
