# SPDX-License-Identifier: Apache-2.0
"""A worker's ring, written from docs/rings.md: memory it shares with the daemon, and
the connection by which it is handed over. What a hostile one would do, too."""
import array
import fcntl
import mmap
import os
import socket
import struct

RING_BYTES = 12288
CELLS = 512
CELL_BYTES = 16
MAGIC = 0x33474E49524B5242
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
OUTCOMES = {"success": 0, "failure": 1}
ASLEEP, WATCHED, LET_GO = 0, 1, 2
# The flags. Of a wide item latency and attempt lie in the next cell; then permit and
# Retry-After, if there is more.
IS_CURRENT, WILL_RETRY, IS_RELEASE, IS_WIDE, HAS_MORE = 1, 2, 4, 8, 16
FINGERPRINT_AT = 8  # in the segment's header
EPOCH_AT = 200


def memory(length=RING_BYTES, seals=SEALS, flags=os.MFD_ALLOW_SEALING):
    """A memfd of that length, sealed like that."""
    fd = os.memfd_create("ring", flags | os.MFD_CLOEXEC)
    os.ftruncate(fd, length)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def header_word(segment_path, at):
    with open(segment_path, "rb") as f:
        f.seek(at)
        return struct.unpack("=Q", f.read(8))[0]


def fingerprint(segment_path):
    return header_word(segment_path, FINGERPRINT_AT)


def epoch(segment_path):
    return header_word(segment_path, EPOCH_AT)


class Door:
    """A connection to ring.sock."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        try:
            self.socket.connect(os.path.join(daemon.dir, "ring.sock"))
        except OSError:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def say(self, octets, *fds):
        """One packet; False: the daemon has hung up."""
        control = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                        array.array("i", fds))]
        try:
            self.socket.sendmsg([octets], control)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def hello(self, *fds, magic=MAGIC, print_=None, epoch_=None,
              worker=b"hostile"):
        if print_ is None:
            print_ = fingerprint(self.daemon.segment_path)
        if epoch_ is None:
            epoch_ = epoch(self.daemon.segment_path)
        return self.say(
            struct.pack("=QQQ32s", magic, print_, epoch_, worker), *fds)

    def bell(self):
        return self.say(b"\0")

    def is_let_go(self, patience_s=5):
        """The daemon hangs up within that time."""
        self.socket.settimeout(patience_s)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False


class Ring:
    """One that is handed over."""

    def __init__(self, door, fd=None):
        self.door = door
        fd = memory() if fd is None else fd
        try:
            self.map = mmap.mmap(fd, RING_BYTES)
            self.is_taken = door.hello(fd)
        finally:
            os.close(fd)
        self.at = 0

    def close(self):
        self.map.close()

    def word(self, offset):
        return struct.unpack_from("@Q", self.map, offset)[0]

    def set_word(self, offset, value):
        # One store. struct.pack_into clears the place before it writes there, and a
        # head of zero, if the daemon reads it at that moment, is out of bounds.
        with memoryview(self.map) as octets, octets.cast("Q") as words:
            words[offset // 8] = value & (1 << 64) - 1

    @property
    def tail(self):
        return self.word(64)

    @property
    def watch(self):
        return self.word(72)

    @property
    def is_empty(self):
        return self.tail == self.at

    def move_head(self, head):
        self.at = head
        self.set_word(0, head)

    def write(self, slot, incarnation, outcome=0, generation=0, permit=0,
              latency_us=1000, retry_after_ms=0, attempt=1, text_len=0,
              flags=0):
        """An item; the head is moved by publish()."""
        is_wide = (generation >> 32 or attempt >> 8
                   or not -1 <= latency_us < (1 << 32) - 1)
        first = generation
        last = (slot | incarnation << 24 | outcome << 40 | text_len << 48
                | flags << 56)
        if is_wide:
            last |= IS_WIDE << 56
        else:
            first |= (latency_us & (1 << 32) - 1) << 32
            last |= attempt << 32
        if permit or retry_after_ms:
            last |= HAS_MORE << 56
        self.write_cell(first, last)
        if is_wide:
            self.write_cell(latency_us & (1 << 64) - 1, attempt)
        if permit or retry_after_ms:
            self.write_cell(permit, retry_after_ms)

    def write_cell(self, *words):
        struct.pack_into("=2Q", self.map, 128 + self.at % CELLS * CELL_BYTES,
                         *words)
        self.at += 1

    def publish(self):
        self.set_word(0, self.at)


def slot_of(segment_path, name):
    """Where a service lies: (slot, low bits of its incarnation)."""
    with open(segment_path, "rb") as f:
        header = f.read(4096)
        services = struct.unpack_from("=I", header, 24)[0]
        words_at, = struct.unpack_from("=Q", header, 48)
        names_at, = struct.unpack_from("=Q", header, 72)
        f.seek(names_at)
        names = f.read(64 * services)
        for slot in range(services):
            if names[64 * slot:64 * slot + 64].rstrip(b"\0") == name.encode():
                f.seek(words_at + 8 * slot)
                word, = struct.unpack("=Q", f.read(8))
                return slot, word >> 50 & 0xff
    raise AssertionError(f"{name} is not in {segment_path}")


def word_kind(segment_path, slot):
    """0: ask, 1: go, 2: no."""
    with open(segment_path, "rb") as f:
        f.seek(48)
        words_at, = struct.unpack("=Q", f.read(8))
        f.seek(words_at + 8 * slot[0])
        return struct.unpack("=Q", f.read(8))[0] >> 62
