# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the kernel decides, by the files' owners and modes. And a
runtime directory that is too small."""
import mmap
import os
import socket
import stat
import unittest

import zmq

import harness
from brk import Allow, Client, Deny
from test_directories import can_unshare

STRANGER = 65534
GROUP = 4242
MEMBER = 4243


def as_user(uid, gid, groups, work):
    """Runs work() in a child as that user; what it returned (an int)."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            status = work()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def connect_errno(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(path)


def open_errno(path, flags):
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return error.errno
    return 0


def ask(path, *lines):
    """Asks with a context of this process's own; the answers."""
    with zmq.Context() as context:
        client = Client(path, context=context)
        answers = client.ask_all(*lines, timeout_s=5)
        client.close()
    return answers


def ask_operator(path):
    """0 when an operator's command is answered OK."""
    return 0 if ask(path, "TRIP s -")[0].startswith("OK ") else 1


EACCES = 13


@unittest.skipUnless(os.getuid() == 0, "only root can become others")
class Strangers(harness.Case):
    def test_get_nowhere(self):
        daemon = self.daemon().start()
        for path in (daemon.worker_path, daemon.operator_path,
                     daemon.events_path):
            self.assertEqual(
                as_user(STRANGER, STRANGER, [], lambda: connect_errno(path)),
                EACCES, path)
        self.assertEqual(
            as_user(STRANGER, STRANGER, [], lambda: open_errno(
                daemon.segment_path, os.O_RDONLY)), EACCES)
        self.assertEqual(
            as_user(STRANGER, STRANGER, [], lambda: open_errno(
                os.path.join(daemon.dir, "x"), os.O_CREAT | os.O_WRONLY)),
            EACCES)
        self.assertEqual(
            as_user(STRANGER, STRANGER, [], lambda: open_errno(
                daemon.db, os.O_RDONLY)), EACCES)

    def test_daemon_of_another_user_serves_that_user(self):
        daemon = self.daemon(uid=STRANGER).start()
        self.assertEqual(os.stat(daemon.worker_path).st_uid, STRANGER)
        self.assertEqual(
            as_user(STRANGER, STRANGER, [], lambda: ask_operator(
                daemon.operator_path)), 0)
        override = daemon.worker().service("s")["override"]
        self.assertRegex(override["actor"], rf"^{STRANGER}:{STRANGER}:\d+$")


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "mount namespaces are not permitted here")
class Group(harness.Case):
    """A machine that has the group `breakerd`: /etc/group is another one, for
    this daemon alone."""

    def setUp(self):
        self.host = self.daemon()
        table = os.path.join(self.host.home, "group")
        with open(table, "w", encoding="ascii") as f:
            f.write(f"root:x:0:\nbreakerd:x:{GROUP}:\n")
        self.host.prefix = ["unshare", "-m", "/bin/sh", "-c",
                            f"mount --bind {table} /etc/group && "
                            'exec "$@"', "sh"]
        self.host.start()

    def test_files_belong_to_it(self):
        for name, mode in (("worker.sock", 0o660), ("events.sock", 0o660),
                           ("breakerd.shm", 0o640)):
            st = os.stat(os.path.join(self.host.dir, name))
            self.assertEqual((st.st_gid, stat.S_IMODE(st.st_mode)),
                             (GROUP, mode), name)
        self.assertEqual(
            stat.S_IMODE(os.stat(self.host.operator_path).st_mode), 0o600)
        self.assertNotRegex(self.host.log(), "(?i)no group")

    def test_members_are_workers_and_no_operators(self):
        def work():
            first, second = ask(self.host.worker_path, "ACQUIRE s", "RESET s")
            Allow(first)
            return 0 if second.startswith("ERR forbidden") else 1
        self.assertEqual(as_user(MEMBER, MEMBER, [GROUP], work), 0)
        self.assertEqual(
            as_user(MEMBER, MEMBER, [GROUP],
                    lambda: connect_errno(self.host.operator_path)), EACCES)

    def test_members_read_the_segment_and_cannot_write_it(self):
        path = self.host.segment_path

        def read():
            fd = os.open(path, os.O_RDONLY)
            with mmap.mmap(fd, 4096, prot=mmap.PROT_READ) as m:
                return 0 if any(m[:64]) else 1
        self.assertEqual(as_user(MEMBER, MEMBER, [GROUP], read), 0)
        self.assertEqual(
            as_user(MEMBER, MEMBER, [GROUP],
                    lambda: open_errno(path, os.O_RDWR)), EACCES)

    def test_strangers_still_get_nowhere(self):
        self.assertEqual(
            as_user(STRANGER, STRANGER, [],
                    lambda: connect_errno(self.host.worker_path)), EACCES)


@unittest.skipUnless(os.getuid() == 0 and can_unshare("-m"),
                     "mounting a small tmpfs is not permitted here")
class SmallRuntimeDirectory(harness.Case):
    def begin(self, size, before=""):
        """A daemon whose runtime directory is a tmpfs of this size; reached
        through /proc."""
        daemon = self.daemon()
        inside = daemon.dir
        os.mkdir(inside)
        daemon.prefix = ["unshare", "-m", "/bin/sh", "-c",
                         f"mount -t tmpfs -o mode=755,size={size} tmpfs "
                         f'{inside}; {before} exec "$@"', "sh"]
        daemon.spawn()
        short = os.path.join(daemon.home, "d")
        os.symlink(f"/proc/{daemon.pid}/root{inside}", short)
        daemon.dir = short
        harness.until(lambda: os.path.exists(daemon.worker_path)
                      or daemon.process.poll() is not None, "its socket")
        self.assertIsNone(daemon.process.poll(), daemon.log())
        return daemon

    def use(self, daemon):
        worker = daemon.worker()
        for i in range(500):
            Allow(worker.ask(f"ACQUIRE s{i}"))
        for _ in range(5):
            worker.ask("REPORT s7 0 - failure")
        self.assertEqual(Deny(worker.ask("ACQUIRE s7")).reason, "open")
        daemon.operator().document("TRIP s8 -")
        self.assertIsNone(daemon.process.poll(), daemon.log())

    def test_no_room_for_the_segment(self):
        daemon = self.begin("256k")
        self.use(daemon)
        self.assertRegex(daemon.log(), r"(?i)breakerd\.shm|shared memory")

    def test_room_that_is_taken_afterwards(self):
        """The segment has its room from the start: no SIGBUS later."""
        daemon = self.begin("128m")
        filler = os.path.join(daemon.dir, "filler")
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
        self.use(daemon)
        os.unlink(filler)


if __name__ == "__main__":
    harness.main()
